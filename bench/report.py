"""report.py - running programs, keeping what they print, and the table of it: what all of run.py shares."""
import os
import statistics
import subprocess
import sys

AT_MOST, AT_LEAST = "<=", ">="  # a limit is (what of the row, relation, bound)


class Bench:
    """The options, what has failed, and the rows of the table."""

    def __init__(self, options):
        self.build = options.build
        self.quick = options.quick
        self.rounds = options.rounds
        self.only = options.only
        self.json_file = options.json
        self.copy_gib = options.copy_gib
        self.copy_dir = options.copy_dir
        self.rows = []
        self.samples = {}
        self.failures = []

    def wants(self, *names):
        return not self.only or any(wanted in name for wanted in self.only for name in names)

    def path(self, program):
        return os.path.join(self.build, program)

    def has(self, program):
        return os.access(self.path(program), os.X_OK)

    def rounds_of(self, usual, quick):
        return self.rounds or (quick if self.quick else usual)

    def fail(self, what, why):
        note(f"FAILED: {what}: {why}")
        self.failures.append(f"{what}: {why}")

    def output(self, command):
        """What a command prints; what failed is told and gives None."""
        name = os.path.basename(command[-1] if command[0] == sys.executable else command[0])
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.fail(name, error)
            return None
        if done.returncode != 0:
            self.fail(name, done.stderr.strip() or f"exit status {done.returncode}")
            return None
        return done.stdout

    def run(self, program, *args):
        """The lines of a program, as {name: {key: number}}; {} if it failed."""
        output = self.output([self.path(program), *args])
        return {} if output is None else parse_lines(output)

    def lines(self, command):
        """The same of a whole command."""
        output = self.output(command)
        return {} if output is None else parse_lines(output)

    def keep(self, name, value):
        self.samples.setdefault(name, []).append(value)


def note(text):
    print(text, file=sys.stderr, flush=True)


def parse_lines(text):
    numbers = {}
    for line in text.splitlines():
        name, *fields = line.split()
        numbers[name] = {key: field for key, field in (f.split("=", 1) for f in fields)}
    return {name: {key: float(value) for key, value in fields.items()} for name, fields in numbers.items()}


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def spread(values):
    if len(values) >= 5:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return low, high
    return min(values), max(values)


def row(bench, text, unit, value, reference, reference_name, ratios, target, aim):
    """Add a row; reference and ratios may be empty where a number stands for itself."""
    bench.rows.append({
        "number": text,
        "unit": unit,
        "ouro": value,
        "reference": reference,
        "reference_name": reference_name,
        "ratio": statistics.median(ratios) if ratios else None,
        "spread": spread(ratios) if ratios else None,
        "target": target,
        "aim": aim,
    })


def add_row(bench, name, text, target, aim):
    """Add the row of a number whose reference was measured inside its program."""
    samples = bench.samples.get(name, [])
    if not samples:
        return
    unit = "bytes" if "bytes" in samples[0] else "ns"
    value = statistics.median(sample[unit] for sample in samples)
    ratios = [sample["ratio"] for sample in samples if "ratio" in sample]
    if len(samples) == 1 and ratios:  # the program's own rounds
        ratios += [samples[0]["low"], samples[0]["high"]]
    known = {"ns", "bytes", "ratio", "low", "high", "rounds", "p90_ns", "cpu_ns", "jobs"}
    reference_key = next((key for key in samples[0] if key not in known), None)
    reference = statistics.median(sample[reference_key] for sample in samples) if reference_key else None
    row(bench, text, unit, value, reference, (reference_key or "").replace("_", " "), ratios, target, aim)


# ---- the table --------------------------------------------------------------------------------------------

def limit_text(limit):
    if limit is None:
        return ""
    what, relation, bound = limit
    return f"{relation} {bound:,.10g}" + (" x" if what == "ratio" else "")


def met(limit, entry):
    what, relation, bound = limit
    actual = entry["ratio"] if what == "ratio" else entry["ouro"]
    if actual is None:
        return "no reference"
    return "met" if (actual <= bound if relation == AT_MOST else actual >= bound) else "MISSED"


def amount(value, unit):
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:,.2f} {unit}"


def ratio_text(ratio):
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}"


def print_table(rows):
    cells = [("number", "ouro", "reference", "ratio", "spread", "target", "", "aim", "")]
    for entry in rows:
        reference = f"{amount(entry['reference'], entry['unit'])} {entry['reference_name']}".strip()
        ratio, (low, high) = entry["ratio"], entry["spread"] or (None, None)
        cells.append((
            entry["number"],
            amount(entry["ouro"], entry["unit"]),
            reference,
            "" if ratio is None else f"{ratio_text(ratio)} x",
            "" if ratio is None else f"{ratio_text(low)}-{ratio_text(high)}",
            limit_text(entry["target"]),
            met(entry["target"], entry) if entry["target"] else "",
            limit_text(entry["aim"]),
            met(entry["aim"], entry) if entry["aim"] else "",
        ))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    print()
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())

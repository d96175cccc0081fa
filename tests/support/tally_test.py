#!/usr/bin/env python3
"""tally_test.py - the count that ends a run of the suite is right, for every kind of program that it counts."""
import json
import pathlib
import subprocess
import sys
import tempfile

TALLY = pathlib.Path(__file__).parent.parent / "tally.py"
CRITERION = "[====] Synthesis: Tested: 5 | Passing: 3 | Failing: 2 | Crashing: 1 \n"
PASSING = "[====] Synthesis: Tested: 4 | Passing: 4 | Failing: 0 | Crashing: 0 \n"
LATE = "[----] Warning! The test `x::y` crashed during its setup or teardown.\n"
CASES = {  # name: (result, standard output, standard error, counted)
    "criterion": ("FAIL", "", CRITERION, "3 passed, 2 failed"),
    "criterion_in_colour": ("OK", "", "\x1b[1m" + PASSING.replace("4", "\x1b[0;32m4\x1b[0m"), "4 passed, 0 failed"),
    "criterion_dies_in_teardown": ("FAIL", "", LATE + PASSING, "3 passed, 1 failed"),
    "criterion_without_summary": ("TIMEOUT", "", "", "0 passed, 1 failed"),
    "criterion_passes_but_exits_badly": ("FAIL", "", PASSING, "4 passed, 1 failed"),
    "script": ("OK", "some words\n7 passed, 0 failed\n", "", "7 passed, 0 failed"),
    "script_fails": ("FAIL", "6 passed, 1 failed\n", "", "6 passed, 1 failed"),
    "tap": ("FAIL", "1..3\nok 1\nnot ok 2\nok 3\n", "", "2 passed, 1 failed"),
    "plain": ("OK", "", "", "1 passed, 0 failed"),
    "plain_fails": ("FAIL", "", "", "0 passed, 1 failed"),
    "skipped": ("SKIP", "", "", "0 passed, 0 failed"),
}


def tally(name, result, out, error):
    with tempfile.TemporaryDirectory() as directory:
        logs = pathlib.Path(directory) / "meson-logs"
        logs.mkdir()
        line = json.dumps({"name": name, "result": result, "stdout": out, "stderr": error})
        (logs / "testlog-x.json").write_text(line + "\n", encoding="utf-8")
        return subprocess.run([sys.executable, TALLY, directory], capture_output=True, text=True, check=False)


def main():
    failed = 0
    for name, (result, out, error, expected) in CASES.items():
        run = tally(name, result, out, error)
        status = 0 if expected.endswith(" 0 failed") and not expected.startswith("0 ") else 1
        if run.stdout.split("\n")[-2:] != [expected, ""] or run.returncode != status:
            print(f"{name}: expected {expected!r} and exit {status}, got {run.stdout!r}, exit {run.returncode}")
            failed += 1
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

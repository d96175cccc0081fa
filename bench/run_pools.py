"""run_pools.py - the pools of threads and of processes, beside each other, libuv's, Python's, and the floors."""
import os
import statistics
import sys

from report import AT_LEAST, AT_MOST, add_row, note, parse_lines, rotated, row

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "pools_python"

THREADS = [
    ("threads_there_and_back_spinning", "thread job there and back, spinning", ("value", AT_MOST, 3000)),
    ("threads_there_and_back_asleep", "thread job there and back, both asleep", ("ratio", AT_MOST, 1)),
    ("threads_bulk", "1,000,000 thread jobs, 2 workers, each", ("value", AT_MOST, 100)),
]

# program, the numbers it prints beside their references: name, text, target
INSIDE = [
    ("pools_jobs", [
        ("processes_there_and_back_spinning", "process job there and back, spinning", ("ratio", AT_MOST, 1.15)),
        ("processes_there_and_back_spinning_cpu", "process job there and back, spinning: CPU burnt", None),
        ("processes_there_and_back_asleep", "process job there and back, both asleep", ("ratio", AT_MOST, 1.3)),
        ("processes_there_and_back_asleep_cpu", "process job there and back, both asleep: CPU burnt", None),
        ("processes_bulk", "1,000,000 process jobs, 2 workers, each", ("value", AT_MOST, 120)),
        ("processes_bulk_cpu", "1,000,000 process jobs, 2 workers, each: CPU burnt", None),
    ]),
    ("pools_spans", [
        ("processes_argument", "process job with 1 MiB to read", ("ratio", AT_MOST, 1.5)),
        ("processes_arena", "process job with 1 MiB of the arena", None),
        ("processes_arena_extra", "process job with 1 MiB of the arena: more than empty", ("value", AT_MOST, 1000)),
    ]),
    ("pools_replaced", [
        ("processes_killed", "from SIGKILL to the end of the job that ran", None),
        ("processes_replaced", "from SIGKILL to the next worker's first job done", ("value", AT_MOST, 2e6)),
        ("processes_replaced_dirty", "the same, 100 MiB written to", ("value", AT_MOST, 2e6)),
        ("processes_replaced_standby", "the same, standby worker", None),
        ("processes_replaced_standby_dirty", "the same, standby worker, 100 MiB written to", None),
    ]),
    # Each of ten times as many jobs finds less in the caches; quadratic would be 10 times.
    ("pools_queued", [
        ("threads_queued", "100,000 queued thread jobs, each", ("ratio", AT_MOST, 2)),
        ("threads_queued_memory", "100,000 queued thread jobs, each", ("ratio", AT_MOST, 1.1)),
        ("processes_queued", "100,000 queued process jobs, each", ("ratio", AT_MOST, 2)),
        ("processes_queued_memory", "100,000 queued process jobs, each", ("ratio", AT_MOST, 1.1)),
    ]),
    ("pools_map", [
        ("threads_map", "map of pure CPU time by one thread, an item", ("ratio", AT_LEAST, 1.9)),
        ("processes_map", "map of pure CPU time by one process, an item", ("ratio", AT_LEAST, 1.9)),
    ]),
]

# our number, the other program's, its name in the table
BESIDE = [
    ("processes_there_and_back_spinning", "floor_spinning", "shared word (floor)"),
    ("processes_there_and_back_asleep", "floor_futex", "futex (floor)"),
    ("processes_there_and_back_asleep", "floor_pipe", "pipe (floor)"),
    ("processes_argument", "floor_memcpy", "memcpy (floor)"),
    ("processes_there_and_back_asleep", "python_processes_there_and_back", "Python"),
    ("processes_bulk", "python_processes_bulk", "Python"),
    ("processes_bulk", "python_processes_chunks", "Python, chunks of 1,000"),
    ("threads_there_and_back_asleep", "python_threads_there_and_back", "Python"),
    ("threads_bulk", "python_threads_bulk", "Python"),
]


def run_python(bench):
    output = bench.output([sys.executable, os.path.join(HERE, PYTHON + ".py")])
    return {} if output is None else parse_lines(output)


def wanted_programs(bench):
    """The programs of which a number is wanted, and those that the numbers are compared with."""
    inside = [program for program, numbers in INSIDE
              if bench.wants("pools", program, *(name for name, *_ in numbers))]
    threads = ["threads_ouro", "threads_uv"] if bench.wants("pools", *(name for name, *_ in THREADS)) else []
    programs = [program for program in [*threads, *inside] if bench.has(program)]
    if "threads_ouro" in programs or "pools_jobs" in programs:
        programs += ["floors", PYTHON]
    return programs


def run_pools(bench):
    programs = wanted_programs(bench)
    if not programs:
        return
    for turn in range(bench.rounds_of(5, 1)):
        for program in rotated(programs, turn):
            note(f"pools, round {turn + 1}: {program}")
            lines = run_python(bench) if program == PYTHON else bench.run(program)
            for name, fields in lines.items():
                bench.keep(f"{program} {name}" if program.startswith("threads_") else name, fields)
    for number in THREADS:
        add_thread_row(bench, *number, "ns")
        add_thread_row(bench, *number[:2], None, "cpu_ns")
    for _, numbers in INSIDE:
        for number in numbers:
            add_row(bench, *number, None)
    for ours, theirs, their_name in BESIDE:
        add_beside(bench, ours, theirs, their_name)


def samples_of(bench, name, key="ns"):
    return [sample[key] for sample in bench.samples.get(name, [])]


def add_thread_row(bench, name, text, target, key):
    ours, theirs = samples_of(bench, f"threads_ouro {name}", key), samples_of(bench, f"threads_uv {name}", key)
    if not ours:
        return
    row(bench, text + (": CPU burnt" if key == "cpu_ns" else ""), "ns", statistics.median(ours),
        statistics.median(theirs) if theirs else None, "libuv" if theirs else "",
        [a / b for a, b in zip(ours, theirs)], target, None)


def text_of(name):
    known = [number for _, numbers in INSIDE for number in numbers] + THREADS
    return next(text for key, text, *_ in known if key == name)


def add_beside(bench, name, other, other_name):
    """The ratio of two programs' numbers, round by round."""
    ours = samples_of(bench, name) or samples_of(bench, f"threads_ouro {name}")
    theirs = samples_of(bench, other)
    if ours and theirs:
        row(bench, text_of(name), "ns", statistics.median(ours), statistics.median(theirs), other_name,
            [a / b for a, b in zip(ours, theirs)], None, None)

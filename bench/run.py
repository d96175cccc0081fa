#!/usr/bin/env python3
"""run.py - run every benchmark, interleaved with its reference, and print one table.

A round runs each program once, in an order that rotates from round to round, so that what the machine does
meanwhile falls on all alike. Every ratio is of two numbers of the same round; the table shows the medians over
the rounds, and as spread the quartiles of the ratio (least and greatest where there are fewer than 5 rounds).
"target" is what the project holds itself to, "aim" what it would like.
"""
import argparse
import json
import os
import platform
import resource
import sys

from report import AT_LEAST, AT_MOST, Bench, add_row, note, print_table, rotated
from run_copy import run_copy
from run_echo import SERVER_CORE, run_echoes, run_idle
from run_files import run_files
from run_peers import add_peer_rows, peer_round
from run_pools import run_pools
from run_http import run_http
from run_resp import run_resp

HERE = os.path.dirname(os.path.abspath(__file__))

# program, the numbers it prints: name, text, target as a limit on the ratio or on the value
TASKS = [
    ("yield", [
        ("yield_2", "yield, 2 tasks", ("ratio", AT_MOST, 2.2)),
        ("yield_64", "yield, 64 tasks", ("ratio", AT_MOST, 2.2)),
        ("yield_4096", "yield, 4,096 tasks", ("ratio", AT_MOST, 3.5)),
        ("yield_2_sites", "yield, 2 tasks, two call sites", ("ratio", AT_MOST, 4)),
    ]),
    ("create_await", [
        ("create_await", "create + await", ("ratio", AT_MOST, 7)),
    ]),
    ("create_many", [
        ("create_many_warm", "create 1,000,000, await all: warm", ("ratio", AT_MOST, 7)),
        ("create_many_cold", "create 1,000,000, await all: cold", ("ratio", AT_MOST, 1.3)),
    ]),
    ("channel", [
        ("channel_128", "channel of 128, per message", ("ratio", AT_MOST, 2.5)),
        ("rendezvous", "rendezvous, per message", ("ratio", AT_MOST, 4)),
    ]),
    ("select", [
        ("select_next", "select of 8 channels, the next one ready", None),
        ("select_8", "select of 8 channels, one ready", ("ratio", AT_MOST, 25)),
        ("select_8_waiting", "select of 8 channels, waiting", ("ratio", AT_MOST, 25)),
    ]),
    ("mutex", [
        ("mutex", "mutex, lock + unlock", ("ratio", AT_MOST, 1.15)),
    ]),
    ("timers", [
        ("timers_few", "timer armed + cancelled, 10 others", None),
        ("timers", "timer armed + cancelled, 1,000,000 others", ("ratio", AT_MOST, 3.2)),
    ]),
    ("scopes", [
        ("scope", "scope entered and left", ("ratio", AT_MOST, 3.2)),
    ]),
    ("chan_shared", [
        ("chan_shared", "channel between two loops, per message", ("value", AT_MOST, 100)),
    ]),
    ("loops", [
        ("one_loop", "a CPU-bound mix of tasks: one loop over two", ("ratio", AT_LEAST, 1.9)),
    ]),
    ("relay", [
        ("relay", "1 MiB relayed between TCP connections", ("ratio", AT_MOST, 1.11)),
        ("relay_cpu", "the same, CPU of the relay", None),
    ]),
    ("sleepers", [
        ("sleepers_create", "1,000,000 sleepers: create", ("value", AT_MOST, 100)),
        ("sleepers_cold", "1,000,000 sleepers: life less sleep, cold", ("ratio", AT_MOST, 1.3)),
        ("sleepers_warm", "1,000,000 sleepers: life less sleep, warm", ("ratio", AT_MOST, 80)),
        ("sleepers_memory", "1,000,000 sleepers: bytes each", ("value", AT_MOST, 4450)),
    ]),
]


# ---- tasks: the reference is measured inside the program --------------------------------------------------

def run_tasks(bench):
    wanted = [(program, numbers) for program, numbers in TASKS
              if bench.wants(program, *(number[0] for number in numbers)) and bench.has(program)]
    if not wanted:
        return
    for turn in range(bench.rounds_of(5, 1)):
        for program, _ in rotated(wanted, turn):
            if program == "sleepers" and turn >= 3 and not bench.rounds:
                continue  # a minute each
            note(f"tasks, round {turn + 1}: {program}")
            for name, fields in bench.run(program, "--core", str(SERVER_CORE)).items():
                bench.keep(name, fields)
        if bench.wants("peers"):
            note(f"tasks, round {turn + 1}: peers")
            peer_round(bench, SERVER_CORE, bench.wants("sleepers") and (turn < 3 or bench.rounds))
    for _, numbers in wanted:
        for number in numbers:
            add_row(bench, *number, None)
    add_peer_rows(bench)


# ---- fast paths --------------------------------------------------------------------------------------------

def run_paths(bench):
    if bench.wants("path"):
        print("\nfast paths: CPU time over that of the plain one")
        for name, fields in bench.run("paths", "--rounds", str(bench.rounds_of(9, 3))).items():
            print(f"  {name:<18}{fields['ratio']:>6.2f}  ({fields['low']:.2f}-{fields['high']:.2f}; "
                  f"{fields['ns']:,.0f} ns, plain {fields['plain']:,.0f})")
    if bench.wants("zero_copy"):
        print("\nsending without a copy over loopback, which copies all the same: CPU over that of a plain send")
        for name, fields in bench.run("zero_copy").items():
            print(f"  {name[10:]:>8} bytes: {fields['ratio']:.2f}  ({fields['cpu_ns']:,.0f} ns, "
                  f"plain {fields['copy_cpu_ns']:,.0f})")


# ---- the whole --------------------------------------------------------------------------------------------

def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "")
    except OSError:
        return ""


def machine():
    return {
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", nargs="?", default=os.path.join(HERE, "..", "build"),
                        help="the build directory, or its bench/ (default: build)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="rounds of everything")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="only what has NAME in it: yield, sleepers, threads, processes, echo_tcp_50, ... (repeatable)")
    parser.add_argument("--copy-gib", type=float, metavar="N", help="size of the file that is copied (4; --quick: 0.25)")
    parser.add_argument("--copy-dir", metavar="DIRECTORY", help="where it is copied (default: where temporary files lie)")
    parser.add_argument("--json", metavar="FILE", help="also write the table and every sample there")
    options = parser.parse_args()
    if os.path.isdir(os.path.join(options.build, "bench")):
        options.build = os.path.join(options.build, "bench")
    if not os.access(os.path.join(options.build, "echo_load"), os.X_OK):
        parser.error(f"{options.build}: no benchmarks are built there")
    return options


def main():
    bench = Bench(parse_arguments())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host = machine()
    print(f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, load before the run {host['load']:.2f}")
    if host["cores"] < 2:
        sys.exit("run.py: the server and its load need a core each")
    run_tasks(bench)
    run_pools(bench)
    run_echoes(bench)
    run_idle(bench)
    run_paths(bench)
    run_resp(bench)
    run_copy(bench)
    run_files(bench)
    run_http(bench)
    print_table(bench.rows)
    if bench.json_file:
        with open(bench.json_file, "w", encoding="utf-8") as out:
            json.dump({"machine": host, "table": bench.rows, "samples": bench.samples,
                       "failures": bench.failures}, out, indent=1)
    for failure in bench.failures:
        print(f"failed: {failure}")
    sys.exit(1 if bench.failures else 0)


if __name__ == "__main__":
    main()

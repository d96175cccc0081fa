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
import re
import resource
import statistics
import subprocess
import sys
import time

from report import AT_LEAST, AT_MOST, Bench, add_row, note, print_table, rotated, row, spread
from run_copy import run_copy
from run_peers import add_peer_rows, peer_round
from run_pools import run_pools
from run_resp import run_resp

SERVER_CORE, LOAD_CORE = 0, 1
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
    ("sleepers", [
        ("sleepers_create", "1,000,000 sleepers: create", ("value", AT_MOST, 100)),
        ("sleepers_cold", "1,000,000 sleepers: life less sleep, cold", ("ratio", AT_MOST, 1.3)),
        ("sleepers_warm", "1,000,000 sleepers: life less sleep, warm", ("ratio", AT_MOST, 80)),
        ("sleepers_memory", "1,000,000 sleepers: bytes each", ("value", AT_MOST, 4450)),
    ]),
]

# What an echo row compares: key of the load's line, text, unit, target at 50 connections over TCP, aim over TCP
ECHO_OF_RAW = [
    ("server_cpu_us", "CPU per request", "us", ("ratio", AT_MOST, 1.05), ("ratio", AT_MOST, 1.03)),
    ("rps", "requests/s", "/s", None, None),
    ("p99_us", "p99", "us", None, None),
    ("p999_us", "p99.9", "us", None, ("ratio", AT_MOST, 1.03)),
]
ECHO_OF_LIBUV = [
    ("server_cpu_us", "CPU per request", "us", ("ratio", AT_MOST, 0.88), ("ratio", AT_MOST, 0.85)),
    ("rps", "requests/s", "/s", None, ("ratio", AT_LEAST, 1.15)),
]

RAW_SERVERS = ["raw oneshot", "raw pollfirst", "raw multishot"]
SERVERS = ["ouro", *RAW_SERVERS, "libuv"]


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


# ---- echo -------------------------------------------------------------------------------------------------

def server_command(bench, server):
    if server.startswith("raw "):
        return [bench.path("echo_raw"), server.split()[1]]
    return [bench.path("echo_uv" if server == "libuv" else "echo_ouro")]


def echo_once(bench, server, kind, connections, seconds):
    """One server and one load on it: the fields of the load's line, or None."""
    # The kernel frees a ring's sockets a while after its process has ended: a fresh name each time.
    address = "tcp:127.0.0.1:0" if kind == "tcp" else f"unix:@ouro-bench-{os.getpid()}-{time.monotonic_ns()}"
    command = [*server_command(bench, server), address, str(SERVER_CORE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = re.fullmatch(r"ready (\S+)\n", process.stdout.readline())
            if ready is None:
                bench.fail(server, "did not start")
                return None
            lines = bench.run("echo_load", ready.group(1), "--connections", str(connections),
                              "--seconds", str(seconds), "--warmup", "0.4",
                              "--pid", str(process.pid), "--core", str(LOAD_CORE))
            return lines.get("echo")
        finally:
            process.terminate()


def run_echo(bench, kind, connections, rounds):
    """All servers, interleaved: {server: [fields of each round]}, rounds in which one failed left out."""
    servers = [server for server in SERVERS if os.access(server_command(bench, server)[0], os.X_OK)]
    results = {server: [] for server in servers}
    for turn in range(rounds):
        note(f"echo over {kind}, {connections} connections, round {turn + 1} of {rounds}")
        this_round = {}
        for server in rotated(servers, turn):
            this_round[server] = echo_once(bench, server, kind, connections, 1 if bench.quick else 2)
        if all(this_round.values()):
            for server in servers:
                results[server].append(this_round[server])
    return results


def median_of(fields, key):
    return statistics.median(sample[key] for sample in fields)


def add_echo_rows(bench, where, results, reference, comparisons, with_target, with_aim):
    label = reference if reference == "libuv" else f"{reference} (floor)"
    for key, text, unit, target, aim in comparisons:
        ours = [sample[key] for sample in results["ouro"]]
        theirs = [sample[key] for sample in results[reference]]
        target, aim = target if with_target else None, aim if with_aim else None
        row(bench, f"{where}: {text}", unit, statistics.median(ours), statistics.median(theirs), label,
            [a / b for a, b in zip(ours, theirs)], target, aim)


def print_servers(where, results):
    print(f"\n{where}")
    print(f"  {'server':<15}{'req/s':>10}{'p50 us':>9}{'p99 us':>9}{'p99.9 us':>10}{'CPU us/req':>12}"
          f"{'quartiles':>15}{'starved':>9}")
    for server, fields in results.items():
        low, high = spread([sample["server_cpu_us"] for sample in fields])
        print(f"  {server:<15}{median_of(fields, 'rps'):>10,.0f}{median_of(fields, 'p50_us'):>9.0f}"
              f"{median_of(fields, 'p99_us'):>9.0f}{median_of(fields, 'p999_us'):>10.0f}"
              f"{median_of(fields, 'server_cpu_us'):>12.2f}{f'{low:.2f}-{high:.2f}':>15}"
              f"{max(sample['starved'] for sample in fields):>9.0f}", flush=True)


def run_echoes(bench):
    for kind in ("tcp", "unix"):
        for connections, usual, quick in ((50, 9, 3), (200, 5, 1), (1000, 5, 1)):
            where = f"echo {kind} {connections}"
            if not bench.wants("echo", where, where.replace(" ", "_")):
                continue
            results = run_echo(bench, kind, connections, bench.rounds_of(usual, quick))
            bench.samples[where] = results
            if not all(results.values()):
                bench.fail(where, "no round in which every server answered")
                continue
            print_servers(where, results)
            floor = min(RAW_SERVERS, key=lambda server: median_of(results[server], "server_cpu_us"))
            tcp, tcp_50 = kind == "tcp", kind == "tcp" and connections == 50
            add_echo_rows(bench, where, results, floor, ECHO_OF_RAW, tcp_50, tcp)
            if "libuv" in results:
                add_echo_rows(bench, where, results, "libuv", ECHO_OF_LIBUV, tcp_50, tcp_50)


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
    run_resp(bench)
    run_copy(bench)
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

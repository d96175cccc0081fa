"""run_resp.py - the RESP example beside redis-server, each on one core, loaded by redis-benchmark on the other.

redis-server runs with one thread, without snapshots and without its log of changes: both keep all in memory only."""
import csv
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from report import AT_LEAST, note, rotated, row

SERVER_CORE, LOAD_CORE = "0", "1"
CLIENTS = 50
COMMANDS = ["set", "get"]
PIPELINES = {1: (200_000, 60_000), 16: (2_000_000, 500_000)}  # commands per measurement, and with --quick
TICKS = os.sysconf("SC_CLK_TCK")


def start_ours(bench, _folder):
    server = subprocess.Popen(["taskset", "-c", SERVER_CORE, bench.path("resp_server"), "tcp:127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    port = re.search(r":(\d+)$", server.stdout.readline().strip())
    if not port:
        server.wait()
        raise OSError("the server does not say where it listens")
    return server, int(port[1])


def start_redis(_bench, folder):
    """On a port of its own choice: redis-server takes none, so a socket finds a free one first."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(["taskset", "-c", SERVER_CORE, "redis-server", "--bind", "127.0.0.1", "--port",
                               str(port), "--save", "", "--appendonly", "no", "--dir", folder],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise OSError("redis-server does not listen")


def cpu_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(port, pipeline, requests, server):
    """{command: (requests/s, server CPU per request in ns)}"""
    results = {}
    for command in COMMANDS:
        before = cpu_seconds(server)
        done = subprocess.run(["taskset", "-c", LOAD_CORE, "redis-benchmark", "-p", str(port), "-n", str(requests),
                               "-c", str(CLIENTS), "-P", str(pipeline), "-t", command, "-r", "100000", "--csv"],
                              capture_output=True, text=True, timeout=600, check=True)
        lines = [line for line in csv.reader(done.stdout.splitlines()) if line and line[0] == command.upper()]
        results[command] = float(lines[-1][1]), (cpu_seconds(server) - before) / requests * 1e9
    return results


def measure(bench, start, pipeline, requests):
    with tempfile.TemporaryDirectory() as folder:
        server, port = start(bench, folder)
        try:
            return load(port, pipeline, requests, server)
        finally:
            server.terminate()
            server.wait()


SERVERS = {"ouro": start_ours, "redis": start_redis}


def run_round(bench, turn, pipeline):
    requests = PIPELINES[pipeline][1 if bench.quick else 0]
    for name in rotated(list(SERVERS), turn):
        note(f"RESP, round {turn + 1}, pipeline {pipeline}: {name}")
        try:
            results = measure(bench, SERVERS[name], pipeline, requests)
        except (OSError, subprocess.SubprocessError, IndexError) as error:
            bench.fail(f"RESP, {name}", error)
            continue
        for command, (rate, cpu_ns) in results.items():
            bench.keep(f"resp {name} {command} {pipeline}", {"rate": rate, "cpu_ns": cpu_ns})


def add_rows(bench, command, pipeline, key, unit, text, target):
    ours, theirs = ([sample[key] for sample in bench.samples.get(f"resp {name} {command} {pipeline}", [])]
                    for name in SERVERS)
    if ours and len(ours) == len(theirs):
        row(bench, f"RESP {command.upper()}, pipeline {pipeline}: {text}", unit, statistics.median(ours),
            statistics.median(theirs), "redis-server", [a / b for a, b in zip(ours, theirs)], target, None)


def run_resp(bench):
    if not bench.wants("resp") or not bench.has("resp_server") or not shutil.which("redis-server"):
        return
    for pipeline in PIPELINES:
        for turn in range(bench.rounds_of(9, 3)):
            run_round(bench, turn, pipeline)
        for command in COMMANDS:
            add_rows(bench, command, pipeline, "rate", "/s", "requests", ("ratio", AT_LEAST, 1))
            add_rows(bench, command, pipeline, "cpu_ns", "ns", "server CPU each", None)

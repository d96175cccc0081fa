"""run_echo.py - the echo servers: ouro's beside raw io_uring, raw epoll, libuv and Tokio; and what an idle connection costs."""
import os
import re
import socket
import statistics
import subprocess
import tempfile

from report import AT_LEAST, AT_MOST, note, rotated, row, spread

SERVER_CORE, LOAD_CORE = 0, 1
IDLE_CONNECTIONS = 10_000

# What a row compares: key of the load's line, text, unit, and the limits by (kind, connections)
TCP = [("tcp", 50), ("tcp", 200), ("tcp", 1000)]
OF_RAW = [
    ("server_cpu_us", "CPU per request", "us", {where: ("ratio", AT_MOST, 1.03) for where in TCP}),
    ("rps", "requests/s", "/s", {}),
    ("p99_us", "p99", "us", {}),
    ("p999_us", "p99.9", "us", {where: ("ratio", AT_MOST, 1.03) for where in TCP}),
]
OF_LIBUV = [
    ("server_cpu_us", "CPU per request", "us", {("tcp", 50): ("ratio", AT_MOST, 0.85)}),
    ("rps", "requests/s", "/s", {("tcp", 50): ("ratio", AT_LEAST, 1.15), ("unix", 50): ("ratio", AT_LEAST, 1.4)}),
]
OF_TOKIO = [
    ("server_cpu_us", "CPU per request", "us", {("tcp", 50): ("ratio", AT_MOST, 0.85)}),
    ("rps", "requests/s", "/s", {("tcp", 50): ("ratio", AT_LEAST, 1.15)}),
]

RAW_SERVERS = ["raw oneshot", "raw pollfirst", "raw multishot"]
PROGRAMS = {"ouro": "echo_ouro", "libuv": "echo_uv", "Tokio": "echo_tokio", "raw epoll": "echo_epoll"}
OURO_FORMS = ["ouro buf", "ouro receiver"]  # told of beside what a server would use
SERVERS = ["ouro", *OURO_FORMS, *RAW_SERVERS, "raw epoll", "libuv", "Tokio"]


def server_command(bench, server):
    if server in OURO_FORMS:
        return [bench.path("echo_ouro"), server.split()[1]]
    if server in RAW_SERVERS:
        return [bench.path("echo_raw"), server.split()[1]]
    return [bench.path(PROGRAMS[server])]


def echo_once(bench, server, kind, connections, seconds):
    """One server and one load on it: the fields of the load's line, or None."""
    with tempfile.TemporaryDirectory() as folder:
        address = "tcp:127.0.0.1:0" if kind == "tcp" else f"unix:{folder}/echo"
        return load_server(bench, server, address, connections, seconds)


def load_server(bench, server, address, connections, seconds):
    command = ["taskset", "-c", str(SERVER_CORE), *server_command(bench, server), address]
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


def add_echo_rows(bench, kind, connections, results, reference, comparisons):
    label = reference if reference in PROGRAMS else f"{reference} (floor)"
    for key, text, unit, limits in comparisons:
        ours = [sample[key] for sample in results["ouro"]]
        theirs = [sample[key] for sample in results[reference]]
        row(bench, f"echo {kind} {connections}: {text}", unit, statistics.median(ours), statistics.median(theirs),
            label, [a / b for a, b in zip(ours, theirs)], limits.get((kind, connections)), None)


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
        for connections, usual, quick in ((50, 9, 3), (200, 9, 3), (1000, 9, 3)):
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
            add_echo_rows(bench, kind, connections, results, floor, OF_RAW)
            for peer, comparisons in (("libuv", OF_LIBUV), ("Tokio", OF_TOKIO)):
                if peer in results:
                    add_echo_rows(bench, kind, connections, results, peer, comparisons)


# ---- idle connections -------------------------------------------------------------------------------------

def memory_bytes(pid):
    """Resident memory of a process, its page tables included. What the kernel keeps for sockets is not its."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE")) * 1024


def kernel_bytes():
    """Of the kernel's objects and of TCP's buffers, of the whole machine: both ends of each connection."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        slab = next(int(line.split()[1]) for line in meminfo if line.startswith("Slab:"))
    with open("/proc/net/sockstat", encoding="ascii") as sockstat:
        tcp = next(line.split() for line in sockstat if line.startswith("TCP:"))
    return slab * 1024 + int(tcp[tcp.index("mem") + 1]) * os.sysconf("SC_PAGESIZE")


def connect_idle(address, count):
    """So many connections, each of which has had one answer."""
    host, port = address.removeprefix("tcp:").rsplit(":", 1)
    connections = []
    for _ in range(count):
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(b"x" * 64)
        connections.append(connection)
    for connection in connections:
        connection.recv(64, socket.MSG_WAITALL)
    return connections


def idle_bytes(bench, server):
    """Bytes for each idle connection, or None. A first thousand is not counted: tables have grown by then."""
    command = [*server_command(bench, server), "tcp:127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = re.fullmatch(r"ready (\S+)\n", process.stdout.readline())
            connections = connect_idle(ready.group(1), 1000)
            before, kernel = memory_bytes(process.pid), kernel_bytes()
            connections += connect_idle(ready.group(1), IDLE_CONNECTIONS)
            after = memory_bytes(process.pid)
            print(f"  {server}: {(after - before) / IDLE_CONNECTIONS:,.0f} bytes each in the server, "
                  f"{(kernel_bytes() - kernel) / IDLE_CONNECTIONS:,.0f} in the kernel for both ends", flush=True)
            for connection in connections:
                connection.close()
            return (after - before) / IDLE_CONNECTIONS
        except (OSError, AttributeError) as error:
            bench.fail(f"idle connections, {server}", error)
            return None
        finally:
            process.terminate()


def run_idle(bench):
    if not bench.wants("idle"):
        return
    results = {}
    for server in [name for name in ("ouro", *OURO_FORMS, "libuv", "Tokio")
                   if os.access(server_command(bench, name)[0], os.X_OK)]:
        note(f"{IDLE_CONNECTIONS:,} idle connections: {server}")
        results[server] = idle_bytes(bench, server)
    if not results.get("ouro"):
        return
    for peer in ("libuv", "Tokio"):
        if results.get(peer):
            row(bench, f"{IDLE_CONNECTIONS:,} idle connections, each", "bytes", results["ouro"], results[peer], peer,
                [results["ouro"] / results[peer]], ("value", AT_MOST, 5000), None)

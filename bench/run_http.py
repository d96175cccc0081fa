"""run_http.py - the HTTP example beside nginx, each on one core, loaded by wrk on the other.

nginx runs as one process that is its own master, by hand, from a folder of its own, with sendfile, without a log, and
with any number of requests on a connection. "cached": nginx with open_file_cache (60 s), the example with its
cache of descriptors and small contents (1 s). "uncached": both open the file for each request."""
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from report import AT_LEAST, note, rotated, row

SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 50
SECONDS = (5, 2)  # of a measurement, and with --quick
FILES = {"1 KiB": ("small", 1024), "100 KiB": ("large", 100 * 1024)}
WAYS = ["cached", "uncached"]
TICKS = os.sysconf("SC_CLK_TCK")
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; use epoll; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 60s; keepalive_requests 1000000000;
    {cache}
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""
NGINX_CACHE = "open_file_cache max=1024 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;"


def start_ours(bench, folder, way):
    server = subprocess.Popen(["taskset", "-c", SERVER_CORE, bench.path("http_server"), "--cache",
                               "1" if way == "cached" else "0", f"{folder}/root", "tcp:127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    port = re.search(r":(\d+)$", server.stdout.readline().strip())
    if not port:
        server.wait()
        raise OSError("the server does not say where it listens")
    return server, int(port[1])


def start_nginx(_bench, folder, way):
    """On a free port: nginx does not tell one that the kernel has chosen, so a socket finds it first."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    conf = pathlib.Path(folder) / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, cache=NGINX_CACHE if way == "cached" else ""))
    server = subprocess.Popen(["taskset", "-c", SERVER_CORE, shutil.which("nginx"), "-p", folder, "-c", conf])
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except ConnectionRefusedError:
            time.sleep(0.02)
    server.kill()
    raise OSError("nginx does not listen")


SERVERS = {"ouro": start_ours, "nginx": start_nginx}


def cpu_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(server, port, path, seconds):
    """Requests per second, and per second of the server's CPU."""
    before = cpu_seconds(server)
    done = subprocess.run(["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                           f"http://127.0.0.1:{port}/{path}"], capture_output=True, text=True, timeout=600, check=True)
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    if re.search(r"Socket errors|Non-2xx", done.stdout):
        raise OSError(done.stdout)
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            "per_cpu": requests / max(cpu_seconds(server) - before, 1 / TICKS)}


def measure(bench, start, way, path):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir()
        pathlib.Path(folder).chmod(0o755)
        for name, size in FILES.values():
            (root / name).write_bytes(b"x" * size)
        server, port = start(bench, folder, way)
        try:
            return load(server, port, path, SECONDS[1 if bench.quick else 0])
        finally:
            server.terminate()
            server.wait()


def run_round(bench, turn, way, size):
    for name in rotated(list(SERVERS), turn):
        note(f"HTTP, round {turn + 1}, {size}, {way}: {name}")
        try:
            bench.keep(f"http {name} {way} {size}", measure(bench, SERVERS[name], way, FILES[size][0]))
        except (OSError, subprocess.SubprocessError, TypeError) as error:
            bench.fail(f"HTTP, {name}", error)


def add_rows(bench, way, size, key, unit, text, target):
    ours, theirs = ([sample[key] for sample in bench.samples.get(f"http {name} {way} {size}", [])] for name in SERVERS)
    if ours and len(ours) == len(theirs):
        row(bench, f"HTTP {size}, {way}: {text}", unit, statistics.median(ours), statistics.median(theirs), "nginx",
            [a / b for a, b in zip(ours, theirs)], target, None)


def run_http(bench):
    if not bench.wants("http") or not bench.has("http_server") or not shutil.which("nginx") or not shutil.which("wrk"):
        return
    for way in WAYS:
        for size in FILES:
            for turn in range(bench.rounds_of(9, 3)):
                run_round(bench, turn, way, size)
            add_rows(bench, way, size, "per_cpu", "/s", "requests per CPU second", ("ratio", AT_LEAST, 1))
            add_rows(bench, way, size, "rate", "/s", "requests", None)

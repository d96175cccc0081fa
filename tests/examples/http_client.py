#!/usr/bin/env python3
"""http_client.py SERVER [chromium] [tls] - what clients that others wrote say of the HTTP server.

curl, wrk and raw sockets, or Chromium without a window; http, and https where the server has it."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SERVER = sys.argv[1]
LARGE = 30_000_000
wrong = []


def check(what, got, wanted):
    if got != wanted:
        wrong.append(f"{what}: {got!r}, not {wanted!r}")


class Server:
    """One that runs; .port is the kernel's choice."""

    def __init__(self, root, *options, descriptors=None):
        limit = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        self.process = subprocess.Popen([*limit, SERVER, *options, root, "tcp:127.0.0.1:0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on tcp:127.0.0.1:"):
            sys.exit(f"the server says {line!r}, {self.process.stderr.read()!r}")
        self.port = int(line.rsplit(":", 1)[1])
        self.stopped = False
        self.scheme = "https" if "--tls" in options else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        try:
            check("the server's end", self.process.wait(60), 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            wrong.append("the server did not end")
        check("the server's complaints", self.process.stderr.read(), "")

    def stop(self):
        """Once: a second signal would end what is no server any more."""
        if not self.stopped and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.stopped = True

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def curl(*args):
    done = subprocess.run(["curl", "-sSk", "--max-time", "120", *args], capture_output=True)
    if done.returncode != 0:
        wrong.append(f"curl {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


def status(*args):
    return curl("-o", "/dev/null", "-w", "%{http_code}", *args).decode()


def header(name, *args):
    found = re.search(rf"^{name}: (.*?)\r?$", curl("-D", "-", "-o", "/dev/null", *args).decode(), re.M | re.I)
    return found[1] if found else None


def receive_all(connection):
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        parts.append(b"<reset>")
    return b"".join(parts)


def exchange(server, request):
    """What comes back until the server ends the connection."""
    with server.connect() as connection:
        connection.sendall(request)
        return receive_all(connection)


def answered(server, what, request, wanted):
    check(what, exchange(server, request)[:13].decode(errors="replace"), f"HTTP/1.1 {wanted} ")


# ---- what is sent ----


def files_are_what_they_are(server, root):
    for name in ["index.html", "small.txt", "empty.txt", "large.bin", "with space & ü.txt", "sub/index.html"]:
        path = name.encode()
        quoted = "".join(chr(c) if c < 128 and chr(c).isalnum() or chr(c) in "./" else f"%{c:02x}" for c in path)
        check(name, curl(f"{server.url}/{quoted}") == (root / name).read_bytes(), True)
    check("a directory", curl(f"{server.url}/sub/"), (root / "sub/index.html").read_bytes())
    check("the root", curl(f"{server.url}/"), (root / "index.html").read_bytes())
    check("a query is no part of the name", curl(f"{server.url}/small.txt?a=b"), (root / "small.txt").read_bytes())
    check("a directory without slash", header("location", f"{server.url}/sub"), "/sub/")
    check("no way to another host", header("location", "--path-as-is", f"{server.url}//sub"), "/sub/")
    for name, kind in {"style.css": "text/css; charset=utf-8", "image.svg": "image/svg+xml",
                       "large.bin": "application/octet-stream"}.items():
        check(f"type of {name}", header("content-type", f"{server.url}/{name}"), kind)


def head_has_no_body(server, root):
    raw = exchange(server, b"HEAD /small.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    check("HEAD: body", body, b"")
    check("HEAD: length", f"Content-Length: {(root / 'small.txt').stat().st_size}\r\n".encode() in head, True)
    check("HEAD of what is not there", status("-I", f"{server.url}/none"), "404")


def ranges(server, root):
    content, large = (root / "small.txt").read_bytes(), (root / "large.bin").read_bytes()
    url, size = f"{server.url}/small.txt", len(content)
    check("first bytes", curl("-r", "0-4", url), content[:5])
    check("open range", curl("-r", f"{size - 7}-", url), content[-7:])
    check("suffix", curl("-r", "-6", url), content[-6:])
    check("suffix longer than all", curl("-r", "-99999999999999999999", url), content)
    check("range of a large file", curl("-r", "1000-20000999", f"{server.url}/large.bin") == large[1000:20001000], True)
    check("206", status("-r", "1-2", url), "206")
    check("Content-Range", header("content-range", "-r", "1-2", url), f"bytes 1-2/{size}")
    check("416", status("-r", f"{size}-", url), "416")
    check("416 of nothing", status("-r", "-0", url), "416")
    check("416 tells the size", header("content-range", "-r", f"{size}-", url), f"bytes */{size}")
    check("several ranges: all of it", status("-r", "0-1,3-4", url), "200")
    for nonsense in ["bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "lines=1-2", "bytes=1-2x"]:
        check(nonsense, status("-H", f"Range: {nonsense}", url), "200")
    tag = header("etag", url)
    check("If-Range, the same", status("-r", "1-2", "-H", f"If-Range: {tag}", url), "206")
    check("If-Range, another", status("-r", "1-2", "-H", 'If-Range: "x"', url), "200")


def conditions(server, root):
    url = f"{server.url}/changing.txt"
    tag, date = header("etag", url), header("last-modified", url)
    check("If-None-Match, the same", status("-H", f'If-None-Match: "x", {tag}', url), "304")
    check("If-None-Match, another", status("-H", 'If-None-Match: "x"', url), "200")
    check("If-None-Match, any", status("-H", "If-None-Match: *", url), "304")
    check("If-Modified-Since, now", status("-H", f"If-Modified-Since: {date}", url), "304")
    check("If-Modified-Since, long ago", status("-H", "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", url), "200")
    (root / "changing.new").write_text("another text\n")
    (root / "changing.new").rename(root / "changing.txt")
    deadline = time.monotonic() + 60
    while curl(url) != b"another text\n" and time.monotonic() < deadline:
        time.sleep(0.1)
    check("what has changed is seen", curl(url), b"another text\n")
    check("with another tag", header("etag", url) != tag, True)


# ---- connections ----


def keeps_connections(server, root):
    times = curl("-w", "%{num_connects}\n", "-o", "/dev/null", f"{server.url}/small.txt",
                 "-o", "/dev/null", f"{server.url}/large.bin", "-o", "/dev/null", f"{server.url}/none")
    check("connections of three requests", times.split(), [b"1", b"0", b"0"])
    check("HTTP/1.0", exchange(server, b"GET /small.txt HTTP/1.0\r\n\r\n").endswith((root / "small.txt").read_bytes()), True)
    kept = exchange(server, b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /none HTTP/1.0\r\n\r\n")
    check("HTTP/1.0, kept", (kept.count(b"HTTP/1.1 "), b"Connection: keep-alive\r\n" in kept), (2, True))


def pipelining(server, root):
    small, large = (root / "small.txt").read_bytes(), (root / "large.bin").read_bytes()
    one = b"GET /%b HTTP/1.1\r\nHost: x\r\n%b\r\n"
    request = (one % (b"small.txt", b"")) * 50 + one % (b"large.bin", b"") + one % (b"none", b"")
    request += b"GET /small.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + one % (b"small.txt", b"Connection: close\r\n")
    with server.connect() as connection, concurrent.futures.ThreadPoolExecutor(1) as threads:
        rest = threads.submit(receive_all, connection)
        for byte in request[:200]:
            connection.sendall(bytes([byte]))
        connection.sendall(request[200:])
        raw = rest.result()
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", raw)
    check("pipelined", statuses, [b"200"] * 51 + [b"404", b"200", b"200"])
    check("in order", raw.find(large) > 49 * len(small) and raw.endswith(small), True)


# ---- what must be refused ----


def traversal(server):
    for path in ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "sub/../../secret.txt", "/../secret.txt",
                 "%2e%2e%2fsecret.txt", "..%5csecret.txt", "out", "out/secret.txt", "%252e%252e/secret.txt",
                 "/etc/passwd", "%2fetc/passwd", "./../secret.txt", "fifo"]:
        answer = curl("--path-as-is", "-w", "%{http_code}", f"{server.url}/{path}")
        check(path, (answer[-3:] in (b"404", b"403", b"400"), b"secret" in answer, b"root:" in answer), (True, False, False))
    check("within the root", curl("--path-as-is", f"{server.url}/sub/../small.txt")[:5], b"small")
    check("a link within", curl(f"{server.url}/inside")[:5], b"small")


def bad_requests(server):
    answered(server, "a NUL in the path", b"GET /a%00b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400)
    answered(server, "half a percent", b"GET /a%4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400)
    answered(server, "no host", b"GET / HTTP/1.1\r\n\r\n", 400)
    answered(server, "no HTTP", b"\x16\x03\x01\x02\x00 hello\r\n\r\n", 400)
    answered(server, "two lengths", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400)
    answered(server, "no path", b"GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400)
    answered(server, "POST", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405)
    answered(server, "CONNECT", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405)
    answered(server, "a large body", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 500_000, 413)
    answered(server, "a large chunk", b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 500_000, 413)
    answered(server, "a long path", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414)
    answered(server, "a long name", b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404)
    answered(server, "a long head", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431)


def troubled_clients(server, root):
    """Each of them in its own way, all at once, while the others are served."""
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        troubled = []
        for i in range(60):
            connection = server.connect()
            connection.sendall([b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /lar", b""][i % 3])
            troubled.append(connection)
        fine = [threads.submit(curl, f"{server.url}/large.bin") for _ in range(8)]
        for connection in troubled[::2]:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        large = (root / "large.bin").read_bytes()
        check("served beside troubled clients", [done.result() == large for done in fine], [True] * 8)
        for connection in troubled[1::2]:
            connection.close()
    with server.connect() as connection:
        connection.sendall(b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        check("half-closed", receive_all(connection).endswith((root / "small.txt").read_bytes()), True)


def slow_clients(root):
    """A byte now and then holds a connection until the limit on a request's time, silence until that on silence."""
    with Server(root, "--idle", "2") as server:
        with server.connect() as silent, server.connect() as unread, server.connect() as slow:
            unread.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.settimeout(0.1)
            answer = b""
            for byte in b"GET /" + b"a" * 1000:
                try:
                    slow.sendall(bytes([byte]))
                    answer += slow.recv(4096)
                except TimeoutError:
                    continue
                break
            check("a byte now and then", answer[:13], b"HTTP/1.1 408 ")
            check("silent", receive_all(silent), b"")
            check("never reads", len(receive_all(unread)) < LARGE, True)


def drains(root):
    """A request under way at SIGTERM is answered to its end; a connection that is kept is closed."""
    with Server(root) as server, server.connect() as kept, server.connect() as busy:
        kept.sendall(b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        busy.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        head = busy.recv(65536)
        small = b""
        while not small.endswith((root / "small.txt").read_bytes()):
            small += kept.recv(65536)
        server.stop()
        check("a kept connection", receive_all(kept), b"")
        body = (head + receive_all(busy)).partition(b"\r\n\r\n")[2]
        check("a request under way", body == (root / "large.bin").read_bytes(), True)


def changes_under_load(root):
    """A file that is replaced again and again, and believed for a moment only, while fifty ask for it."""
    with Server(root, "--cache", "0.0001") as server:
        load = subprocess.Popen(["wrk", "-t1", "-c50", "-d3s", f"{server.url}/replaced.txt"], stdout=subprocess.PIPE, text=True)
        number = 0
        while load.poll() is None:
            (root / "replaced.new").write_text(f"text {number:9}\n" * 20)
            (root / "replaced.new").rename(root / "replaced.txt")
            number += 1
        check("replaced under load: errors", re.findall(r"Socket errors.*|Non-2xx.*", load.stdout.read()), [])


def more_files_than_descriptors(root):
    """What is kept of files leaves descriptors for connections."""
    names = [f"many-{i}.{size}" for i in range(200) for size in (100, 100_000)]
    for name in names:
        (root / name).write_bytes(b"m" * int(name.rpartition(".")[2]))
    with Server(root, "--cache", "1000", descriptors=128) as server:
        got = curl(*(f"{server.url}/{name}" for name in names))
        check("many files, in bytes", len(got), sum(int(name.rpartition(".")[2]) for name in names))
        check("one more connection", curl(f"{server.url}/small.txt"), (root / "small.txt").read_bytes())


def many_at_once(server):
    done = subprocess.run(["wrk", "-t1", "-c50", "-d2s", f"{server.url}/small.txt"], capture_output=True, text=True)
    check("wrk: errors", re.findall(r"Socket errors.*|Non-2xx.*", done.stdout), [])
    count = re.search(r"(\d+) requests in", done.stdout)
    check("wrk: requests", count is not None and int(count[1]) > 0, True)


# ---- browsers, TLS ----


def chromium(server):
    """Style, script and image come from the server; the script writes into the page what it finds."""
    profile = tempfile.mkdtemp()
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               "--ignore-certificate-errors", "--virtual-time-budget=20000", f"--user-data-dir={profile}", "--dump-dom",
               f"{server.url}/"]
    try:
        for _ in range(3): # a browser may fail for reasons of its own
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if "colour is" in done.stdout:
                break
        found = re.search(r"colour is (.*?); image is (\d+)", done.stdout)
        check(f"chromium, {server.scheme}", found and found.groups(), ("rgb(1, 2, 3)", "32"))
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def certificate(folder):
    key, chain = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return str(chain), str(key)


def tls(folder, root):
    chain, key = certificate(folder)
    with Server(root, "--tls", chain, key) as server:
        files_are_what_they_are(server, root)
        ranges(server, root)
        keeps = curl("-w", "%{num_connects}\n", "-o", "/dev/null", f"{server.url}/small.txt", "-o", "/dev/null",
                     f"{server.url}/large.bin")
        check("https: connections of two requests", keeps.split(), [b"1", b"0"])
        trusted = subprocess.run(["curl", "-sS", "--cacert", chain, f"{server.url}/small.txt"], capture_output=True)
        check("https, verified", trusted.stdout, (root / "small.txt").read_bytes())
        many_at_once(server)
        if "chromium" in sys.argv:
            chromium(server)


def make_site(folder):
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    (folder / "secret.txt").write_text("secret\n")
    (root / "index.html").write_text(
        '<!doctype html><html><head><title>t</title><link rel="stylesheet" href="style.css"></head><body><p id="p">text</p>'
        '<img id="i" src="image.svg"><script src="script.js"></script></body></html>\n')
    (root / "style.css").write_text("#p { color: rgb(1, 2, 3) }\n")
    (root / "script.js").write_text(
        'window.onload = () => { const p = document.getElementById("p"); p.textContent = "colour is " +'
        ' getComputedStyle(p).color + "; image is " + document.getElementById("i").naturalWidth; };\n')
    (root / "image.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="32" height="16"></svg>\n')
    (root / "small.txt").write_text("small " * 100)
    (root / "changing.txt").write_text("a text\n")
    (root / "replaced.txt").write_text("the first\n")
    (root / "empty.txt").touch()
    (root / "with space & ü.txt").write_text("a name\n")
    (root / "sub/index.html").write_text("below\n")
    (root / "large.bin").write_bytes(os.urandom(LARGE))
    (root / "out").symlink_to(folder)
    (root / "inside").symlink_to("small.txt")
    os.mkfifo(root / "fifo")
    return root


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        root = make_site(folder)
        if "chromium" in sys.argv:
            with Server(root) as server:
                chromium(server)
        else:
            for options in [[], ["--cache", "0"]]:
                with Server(root, *options) as server:
                    files_are_what_they_are(server, root)
                    head_has_no_body(server, root)
                    ranges(server, root)
                    conditions(server, root)
                    keeps_connections(server, root)
                    pipelining(server, root)
                    traversal(server)
                    bad_requests(server)
                    troubled_clients(server, root)
                    many_at_once(server)
            changes_under_load(root)
            more_files_than_descriptors(root)
            slow_clients(root)
            drains(root)
        if "tls" in sys.argv:
            tls(folder, root)
    print("\n".join(wrong) if wrong else "all as it should be")
    sys.exit(bool(wrong))


main()

#!/usr/bin/env python3
"""proxy_client.py TCP_PROXY - start the proxy before servers of Python's, and talk through it with curl and sockets.

Files come whole, several at a time; a half-close is passed on and the answer still comes; an upstream that vanishes or
is not there is told by a reset, not by what looks like an end; SIGTERM ends the proxy once its connections have ended."""
import contextlib
import functools
import http.server
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

SECONDS = 60
AT_ONCE = 8
FILE_BYTES = 5_000_000


@contextlib.contextmanager
def proxy_before(program, upstream_port):
    proxy = subprocess.Popen([program, "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{upstream_port}"], stdout=subprocess.PIPE,
                             text=True)
    line = proxy.stdout.readline()
    port = re.search(r":(\d+)$", line.strip())
    if not port:
        sys.exit(f"the proxy said {line!r}")
    try:
        yield proxy, int(port[1])
    finally:
        proxy.send_signal(signal.SIGTERM)
        if proxy.wait(SECONDS) != 0:
            sys.exit(f"the proxy ended with {proxy.returncode}")


def expect(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: {actual!r:.200} instead of {expected!r:.200}")


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def check_curl(program):
    with tempfile.TemporaryDirectory() as folder:
        content = bytes((i * i) % 251 for i in range(1000)) * (FILE_BYTES // 1000)
        (pathlib.Path(folder) / "file").write_bytes(content)
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with proxy_before(program, server.server_port) as (_, port):
                command = ["curl", "--silent", "--show-error", "--max-time", str(SECONDS),
                           f"http://127.0.0.1:{port}/file"]
                running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(AT_ONCE)]
                for curl in running:
                    expect("file by curl", curl.communicate()[0], content)
            server.shutdown()
    print("curl: files came whole")


def check_half_close(program):
    """The upstream answers only when it has seen the end of the question."""
    question = bytes(range(256)) * 2000

    def answer():
        connection, _ = upstream.accept()
        with connection:
            asked = b"".join(iter(lambda: connection.recv(65536), b""))
            connection.sendall(b"%d bytes\n" % len(asked) + asked[::-1])

    with socket.create_server(("127.0.0.1", 0)) as upstream:
        threading.Thread(target=answer, daemon=True).start()
        with proxy_before(program, upstream.getsockname()[1]) as (proxy, port):
            with connect(port) as client:
                client.sendall(question)
                client.shutdown(socket.SHUT_WR)
                answered = b"".join(iter(lambda: client.recv(65536), b""))
            expect("answer after a half-close", answered, b"%d bytes\n" % len(question) + question[::-1])
            told = proxy.stdout.readline()
            if "ended, 512000 bytes up, 512013 down" not in told:
                sys.exit(f"the proxy told {told!r}")
    print("half-close: the answer came whole")


def is_reset(client):
    try:
        while client.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


def is_reset_on_connect(port):
    """It may come before connect() has returned."""
    try:
        with connect(port) as client:
            return is_reset(client)
    except ConnectionResetError:
        return True


def check_lost_upstream(program):
    reset = struct.pack("ii", 1, 0)

    with socket.create_server(("127.0.0.1", 0)) as upstream:
        with proxy_before(program, upstream.getsockname()[1]) as (_, port):
            with connect(port) as client:
                client.sendall(b"are you there?")
                connection, _ = upstream.accept()
                expect("what was asked", connection.recv(14, socket.MSG_WAITALL), b"are you there?")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                connection.close()
                expect("reset upstream is told by a reset", is_reset(client), True)
            upstream.close()
            expect("absent upstream is told by a reset", is_reset_on_connect(port), True)
    print("lost upstream: told by a reset")


def check_lost_client(program):
    """The other way round, while the upstream sends to a client that reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        with proxy_before(program, upstream.getsockname()[1]) as (_, port):
            client = connect(port)
            connection, _ = upstream.accept()
            connection.settimeout(SECONDS)
            connection.sendall(bytes(100_000))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            try:
                while connection.send(bytes(100_000)):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                connection.close()
    print("lost client: told to the upstream")


for check in (check_curl, check_half_close, check_lost_upstream, check_lost_client):
    check(sys.argv[1])

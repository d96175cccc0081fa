#!/usr/bin/env python3
"""echo_client.py ECHO - start the echo server on a TCP port and on a unix socket, and talk to it.

Several connections at once each send more than the socket buffers hold, then end their side: all of it must
come back, and then the end. One more is cut off by a reset: that is its own affair, the others go on."""
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS = 5
BYTES_EACH = 200_000


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect(family, where, server):
    for _ in range(500):
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        connection = socket.socket(family)
        connection.settimeout(30)
        try:
            connection.connect(where)
            return connection
        except (ConnectionRefusedError, FileNotFoundError):
            connection.close()
            time.sleep(0.02)
    sys.exit("nobody listens")


def talk(connection, text, outcomes):
    def send():
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    echoed = bytearray()
    while chunk := connection.recv(65536):
        echoed += chunk
    sender.join()
    connection.close()
    outcomes.append(echoed == text)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(b"to nobody")
    connection.close()


def try_server(echo, kind, address, family, where):
    server = subprocess.Popen([echo, address], stderr=subprocess.DEVNULL)
    try:
        connections = [connect(family, where, server) for _ in range(CONNECTIONS)]
        reset(connect(family, where, server))
        outcomes, talkers = [], []
        for i, connection in enumerate(connections):
            text = bytes((i + j * j) % 251 for j in range(BYTES_EACH))
            talkers.append(threading.Thread(target=talk, args=(connection, text, outcomes)))
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        talk(connect(family, where, server), b"and once more", outcomes)
        if outcomes != [True] * (CONNECTIONS + 1):
            sys.exit(f"{kind}: {outcomes}")
        print(f"{kind}: {CONNECTIONS} connections, {BYTES_EACH} bytes each, came back whole")
    finally:
        server.terminate()
        server.wait()


with tempfile.TemporaryDirectory() as folder:
    port, path = free_port(), str(pathlib.Path(folder) / "echo")
    try_server(sys.argv[1], "tcp", f"tcp:127.0.0.1:{port}", socket.AF_INET, ("127.0.0.1", port))
    try_server(sys.argv[1], "unix", f"unix:{path}", socket.AF_UNIX, path)

#!/usr/bin/env python3
"""resp_client.py RESP_SERVER - start the server, and talk to it with redis-cli, redis-benchmark and plain sockets."""
import re
import shutil
import socket
import subprocess
import sys
import time

SECONDS = 60


def start(program):
    server = subprocess.Popen([program, "tcp:127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    port = re.search(r":(\d+)$", line.strip())
    if not port:
        sys.exit(f"the server said {line!r}")
    return server, int(port[1])


def cli(port, *words, text=None):
    done = subprocess.run(["redis-cli", "-p", str(port), "--no-raw", *words], capture_output=True, text=True,
                          input=text, timeout=SECONDS)
    return done.stdout.strip()


def expect(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: {actual!r} instead of {expected!r}")


def check_commands(port):
    for words, expected in [
        ("ping", "PONG"),
        ("echo hello", '"hello"'),
        ("get absent", "(nil)"),
        ("set k v", "OK"),
        ("get k", '"v"'),
        ("set k w", "OK"),
        ("GET k", '"w"'),
        ("exists k absent k", "(integer) 2"),
        ("ttl k", "(integer) -1"),
        ("ttl absent", "(integer) -2"),
        ("expire k 100", "(integer) 1"),
        ("expire absent 100", "(integer) 0"),
        ("ttl k", "(integer) 100"),
        ("set k again", "OK"),
        ("ttl k", "(integer) -1"),
        ("set k brief px 1", "OK"),
        ("set k v ex 0", "(error) ERR invalid expire time in 'set' command"),
        ("set k v zz 1", "(error) ERR syntax error"),
        ("incr n", "(integer) 1"),
        ("incrby n 41", "(integer) 42"),
        ("incrby n -50", "(integer) -8"),
        ("incrby n 9223372036854775807", "(integer) 9223372036854775799"),
        ("incrby n 9223372036854775807", "(error) ERR increment or decrement would overflow"),
        ("set word text", "OK"),
        ("incr word", "(error) ERR value is not an integer or out of range"),
        ("mset a 1 b 2", "OK"),
        ("mset a 1 b", "(error) ERR wrong number of arguments for 'mset' command"),
        ("mget a absent b", '1) "1"\n2) (nil)\n3) "2"'),
        ("del a b absent", "(integer) 2"),
        ("get", "(error) ERR wrong number of arguments for 'get' command"),
        ("nonsense", "(error) ERR unknown command 'nonsense'"),
        ("flushall", "OK"),
        ("dbsize", "(integer) 0"),
    ]:
        expect(words, cli(port, *words.split()), expected)
    expect("an empty value", cli(port, "set", "empty", ""), "OK")
    expect("an empty value", cli(port, "get", "empty"), '""')
    expect("a value from standard input", cli(port, "-x", "set", "bytes", text="a\0b\r\nc"), "OK")
    expect("a value of any bytes", cli(port, "get", "bytes"), '"a\\x00b\\r\\nc"')


def check_expiry(port):
    """A key with a time is gone some time: asked until it is, as often as it takes."""
    cli(port, "set", "brief", "v", "px", "20")
    while cli(port, "get", "brief") != "(nil)":
        pass
    expect("expired", cli(port, "ttl", "brief"), "(integer) -2")


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def exchange(port, *chunks, answer=None, pause=0):
    """What comes back for chunks, up to the length of answer, or up to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for chunk in chunks:
            connection.sendall(chunk)
            time.sleep(pause)
        got = bytearray()
        while answer is None or len(got) < len(answer):
            chunk = connection.recv(65536)
            if not chunk:
                break
            got += chunk
        return bytes(got)


def check_wire(port):
    pipeline = b"".join(command(b"SET", b"key%d" % i, b"x" * i) + command(b"GET", b"key%d" % i) for i in range(1000))
    answer = b"".join(b"+OK\r\n$%d\r\n%s\r\n" % (i, b"x" * i) for i in range(1000))
    expect("a pipeline", exchange(port, pipeline, answer=answer), answer)
    expect("a byte at a time", exchange(port, *(bytes([byte]) for byte in command(b"PING")), answer=b"+PONG\r\n",
                                         pause=0.01),
           b"+PONG\r\n")
    expect("typed lines", exchange(port, b"PING\r\n\r\nSET typed 7\r\nGET typed\n", answer=b"+PONG\r\n+OK\r\n$1\r\n7\r\n"),
           b"+PONG\r\n+OK\r\n$1\r\n7\r\n")
    big = b"b" * (5 << 20)
    answer = b"+OK\r\n$%d\r\n%s\r\n" % (len(big), big)
    expect("a large value", exchange(port, command(b"SET", b"big", big), command(b"GET", b"big"), answer=answer), answer)
    got = exchange(port, b"*1\r\n:5\r\n")
    expect("what is not the protocol", got.startswith(b"-ERR Protocol error"), True)
    exchange(port, b"*3\r\n$3\r\nSET\r\n", answer=b"")  # goes away half way
    expect("the others", cli(port, "ping"), "PONG")


def check_changed_meanwhile(port):
    """A value on its way to a client that is slow to read arrives as it was, whatever others do to its key."""
    old = b"o" * (24 << 20)
    answer = b"$%d\r\n%s\r\n" % (len(old), old)
    for words in ((b"SET", b"slow", b"n" * len(old)), (b"SET", b"slow", b"short"), (b"DEL", b"slow"), (b"FLUSHALL",)):
        exchange(port, command(b"SET", b"slow", old), answer=b"+OK\r\n")
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as slow:
            slow.sendall(command(b"GET", b"slow"))
            got = bytearray(slow.recv(1))
            exchange(port, command(*words), answer=b"+OK\r\n" if words[0] != b"DEL" else b":1\r\n")
            while len(got) < len(answer) and (chunk := slow.recv(1 << 20)):
                got += chunk
        expect(f"a value while {words[0].decode()} runs", got == answer, True)


def check_benchmark(port):
    done = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "5000", "-c", "20", "-P", "16", "-q", "-t",
                           "ping,set,get,incr,mset"], capture_output=True, text=True, timeout=SECONDS)
    named = re.findall(r"(\w+)[^\r\n:]*: [\d.]+ requests per second", done.stdout)
    expect("redis-benchmark", (done.returncode, sorted(set(named))), (0, sorted({"PING_INLINE", "PING_MBULK", "SET",
                                                                                   "GET", "INCR", "MSET"})))


for tool in ("redis-cli", "redis-benchmark"):
    if not shutil.which(tool):
        sys.exit(f"{tool} is not here: Debian's redis-tools")
process, where = start(sys.argv[1])
try:
    check_commands(where)
    check_expiry(where)
    check_wire(where)
    check_changed_meanwhile(where)
    check_benchmark(where)
finally:
    process.terminate()
    status = process.wait(SECONDS)
expect("its end when told to stop", status, 0)
print("redis-cli, redis-benchmark and plain sockets are served")

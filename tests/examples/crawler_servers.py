#!/usr/bin/env python3
"""crawler_servers.py CRAWLER - several servers whose pages link to each other, and what the crawler finds there.

Two are python's own http.server over folders of files; the third is slow on one page, resets on another, never
answers a third, and answers a fourth with nonsense. Prints what was found, ports replaced by names."""
import http.server
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_S = 5  # for a page; the slow one takes less, the silent one for ever


class Quiet(http.server.SimpleHTTPRequestHandler):
    def parse_request(self):
        well_formed = super().parse_request()
        self.server.asked.append(self.path)
        return well_formed

    def log_message(self, *args):
        pass


class Troubled(Quiet):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.2)
            self.answer(b'<a href="/end">slow, but there</a>')
        elif self.path == "/end":
            self.answer(b"the end")
        elif self.path == "/reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif self.path == "/half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
        elif self.path == "/silent":
            self.server.let_go.wait()
        elif self.path == "/nonsense":
            self.wfile.write(b"\0\1\2\r\n\r\n")
        elif self.path == "/chunked":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                             b"Content-Type: text/html\r\nConnection: close\r\n\r\n")
            for chunk in (b'<a hr', b'ef="/end?', b'chunks">.</a>'):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True
        else:
            self.send_error(404)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start(handler, folder=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None)
    server.daemon_threads = True
    server.asked, server.let_go = [], threading.Event()
    server.RequestHandlerClass = lambda *args: handler(*args, directory=folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def page(path, *links):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<html>" + "".join(f"<a href='{link}'>{link}</a>\n" for link in links) + "</html>")


with tempfile.TemporaryDirectory() as folder:
    first_root, second_root = pathlib.Path(folder) / "first", pathlib.Path(folder) / "second"
    first_root.mkdir(), second_root.mkdir()
    first, second = start(Quiet, first_root), start(Quiet, second_root)
    third = start(Troubled)
    name = {server.server_address[1]: text for server, text in ((first, "first"), (second, "second"), (third, "third"))}
    url = {text: f"http://127.0.0.1:{port}" for port, text in name.items()}
    trouble = [f"{url['third']}/{path}" for path in ("slow", "reset", "half", "silent", "nonsense", "chunked")]
    page(first_root / "index.html", "a.html", "./a.html#part", "deep/b.html", "deep/../a.html", "/absent",
         "mailto:somebody", "https://127.0.0.1:1/", "http://192.0.2.1/", "javascript:void(0)", *trouble)
    page(first_root / "a.html", "index.html", "/", f"{url['second']}/", "?query", "")
    page(first_root / "deep/b.html", "../a.html", "folder")
    page(first_root / "deep/folder/index.html", "../../index.html")
    page(second_root / "index.html", f"//127.0.0.1:{second.server_address[1]}/tree/0.html")
    for i in range(40):  # a tree, every page linked to from two
        page(second_root / f"tree/{i}.html", *(f"{j % 40}.html" for j in (2 * i + 1, 2 * i + 2)))
    (second_root / "tree/3.html").write_text('"no page": <a href="absent.html')

    def crawl(*args):
        return subprocess.run([sys.argv[1], *args], text=True, capture_output=True, timeout=100)

    done = crawl("-n", "6", "-t", str(LIMIT_S), url["first"], url["second"] + "/", url["third"] + "/end")
    twice = {path for server in (first, second, third) for path in server.asked if server.asked.count(path) > 1}
    nobody = crawl("-a", "0.5", "-t", "50", url["third"] + "/silent")
    third.let_go.set()
    lines = re.sub(r"127\.0\.0\.1:(\d+)", lambda m: name.get(int(m[1]), m[0]), done.stdout).splitlines()
    print("\n".join(sorted(re.sub(r"^(\d+) \d+ ", r"\1 ", line) for line in lines if "/tree/" not in line)))
    print(sum("/tree/" in line for line in lines), "pages of the tree")
    print("asked for twice:", *sorted(twice))
    print(nobody.stdout.splitlines()[-1], nobody.returncode)
    sys.stderr.write(done.stderr + nobody.stderr)
    sys.exit(done.returncode)

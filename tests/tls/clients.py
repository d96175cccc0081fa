#!/usr/bin/env python3
"""clients.py - libouro-tls beside what others wrote: openssl s_client and s_server, and curl.

usage: clients.py PEER, which is peer.c built."""
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

PEER = sys.argv[1]
WAIT_S = 20
failed = []


def check(name, condition, told=""):
    print(f"{'passed' if condition else 'FAILED'}: {name}")
    if not condition:
        failed.append(name)
        print(told)


def run(*command, given="", **more):
    done = subprocess.run(["timeout", str(WAIT_S), *map(str, command)], input=given, capture_output=True, text=True,
                          check=False, **more)
    return done.stdout + done.stderr


class Certificates:
    """Made by openssl(1): an authority, a server's, a client's, and faulty ones."""

    def __init__(self, where):
        self.where = where
        self.make("authority", None, "basicConstraints=critical,CA:TRUE")
        self.make("other", None, "basicConstraints=critical,CA:TRUE")
        self.make("server", "authority", "subjectAltName=DNS:server.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth")
        self.make("second", "authority", "subjectAltName=DNS:second.test\nextendedKeyUsage=serverAuth")
        self.make("client", "authority", "extendedKeyUsage=clientAuth")
        self.make("stranger", "other", "subjectAltName=DNS:server.test\nextendedKeyUsage=serverAuth")
        self.make("elsewhere", "authority", "subjectAltName=DNS:elsewhere.test\nextendedKeyUsage=serverAuth")
        self.make("expired", "authority", "subjectAltName=DNS:server.test\nextendedKeyUsage=serverAuth", days=-1)
        self.make("purpose", "authority", "subjectAltName=DNS:server.test\nextendedKeyUsage=clientAuth")
        self.make("self", None, "subjectAltName=DNS:server.test\nextendedKeyUsage=serverAuth")

    def make(self, name, issuer, extensions, days=2):
        key, request, text = (self.where / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
        text.write_text(extensions + "\n")
        quiet = {"check": True, "capture_output": True}
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}", "-keyout", key, "-out", request], **quiet)
        signer = ["-CA", self.of(issuer), "-CAkey", self.key(issuer)] if issuer else ["-signkey", key]
        subprocess.run(["openssl", "x509", "-req", "-in", request, *signer, "-days", str(days), "-extfile", text,
                        "-set_serial", str(abs(hash(name))), "-out", self.of(name)], **quiet)

    def of(self, name):
        return self.where / f"{name}.pem"

    def key(self, name):
        return self.where / f"{name}.key"


class Program:
    """A server of either make, what it has said, and its port."""

    def __init__(self, command, ready, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen([str(part) for part in command], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.lines, self.grown = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        self.port = re.search(ready, self.wait_for(ready))[1]

    def read(self):
        for line in self.process.stdout:
            with self.grown:
                self.lines.append(line)
                self.grown.notify_all()
        with self.grown:
            self.lines.append("(it has ended)\n")
            self.grown.notify_all()

    def wait_for(self, pattern):
        """The line that has it, which is then taken out with all before it; what was said if none comes."""
        def found():
            return next((i for i, line in enumerate(self.lines) if re.search(pattern, line)), None)
        with self.grown:
            self.grown.wait_for(lambda: found() is not None or "(it has ended)\n" in self.lines, WAIT_S)
            at = found()
            if at is None:
                return "".join(self.lines)
            line, self.lines = self.lines[at], self.lines[at + 1:]
            return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(WAIT_S)
        check("the server ended well", status in (0, -15), f"{status} {''.join(self.lines)}")


def our_server(certificates, *options, name="server"):
    return Program([PEER, "server", certificates.of(name), certificates.key(name), *options], r"listening on tcp:.*:(\d+)")


def their_server(certificates, name, *options):
    return Program(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificates.of(name), "-key",
                    certificates.key(name), *options], r"ACCEPT .*:(\d+)", stdin=subprocess.PIPE)


def s_client(certificates, port, *options, given="a line\n"):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", certificates.of("authority"),
               "-servername", "server.test", "-verify_hostname", "server.test", "-verify_return_error", *options,
               given=given)


def our_client(certificates, port, *options, given="a line\n", authority="authority"):
    return run(PEER, "client", f"tcp:127.0.0.1:{port}", "server.test", certificates.of(authority), *options, given=given)


# ---- openssl s_client against our server ----

def with_s_client(certificates):
    names = f"names={certificates.of('second')},{certificates.key('second')}"
    with our_server(certificates, names, "alpn=h2,http/1.1") as server:
        for version in ("tls1_3", "tls1_2"):
            said = s_client(certificates, server.port, f"-{version}", "-alpn", "spdy,http/1.1", "-ign_eof", given="GET /\n")
            check(f"s_client {version}", "greetings" in said and "Verify return code: 0" in said, said)
            check("s_client is told the protocol", "ALPN protocol: http/1.1" in said, said)
            told = server.wait_for("TLSv1")
            check("the server knows the same", "protocol http/1.1 host server.test" in told, told)
        said = s_client(certificates, server.port, "-servername", "second.test", "-verify_hostname", "second.test")
        check("s_client gets another certificate by another name", "CN = second" in said, said)
        said = s_client(certificates, server.port, "-alpn", "imap")
        check("without a protocol in common", "no application protocol" in said, said)
        check("the server says so", "EPROTONOSUPPORT" in server.wait_for("error"))
        said = s_client(certificates, server.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        check("TLS 1.1 is refused", "alert" in said and "EPROTONOSUPPORT" in server.wait_for("error"), said)
        # The R is for renegotiation: refused by a warning, and the client gives up.
        said = s_client(certificates, server.port, "-tls1_2", given="R\n")
        check("renegotiation is refused", "no renegotiation" in said, said)
        said = s_client(certificates, server.port, given="k\nK\nQ\n")
        check("key updates", "error" not in said.lower().replace("verify error", ""), said)


def resuming_s_client(certificates):
    with our_server(certificates) as server:
        for version in ("tls1_3", "tls1_2"):
            session = certificates.where / f"{version}.session"
            said = s_client(certificates, server.port, f"-{version}", "-sess_out", session, "-ign_eof", given="GET /\n")
            check(f"{version}: first is new", "New, " in said and "greetings" in said, said)
            said = s_client(certificates, server.port, f"-{version}", "-sess_in", session, "-ign_eof", given="GET /\n")
            check(f"{version}: second resumes", "Reused, " in said and "greetings" in said, said)
            server.wait_for("resumed")


def s_client_with_certificate(certificates):
    ca = f"ca={certificates.of('authority')}"
    own = ["-cert", certificates.of("client"), "-key", certificates.key("client")]
    with our_server(certificates, "require", ca) as server:
        said = s_client(certificates, server.port, *own, "-ign_eof", given="GET /\n")
        check("s_client shows its certificate", "greetings" in said, said)
        check("the server knows it", "verified peer CN=client" in server.wait_for("TLSv1"))
        s_client(certificates, server.port, "-ign_eof", given="GET /\n")
        check("s_client without one is refused", "EKEYREJECTED" in server.wait_for("error"))
        s_client(certificates, server.port, "-cert", certificates.of("stranger"), "-key", certificates.key("stranger"))
        told = server.wait_for("error")
        check("s_client with a stranger's is refused", "EKEYREJECTED" in told and "issuer" in told, told)


# ---- our client against openssl s_server ----

REFUSED = {
    "expired": "certificate has expired",
    "elsewhere": "hostname mismatch",
    "stranger": "unable to get local issuer certificate",
    "self": "self-signed certificate",
    "purpose": "unsuitable certificate purpose",
}


def with_s_server(certificates):
    with their_server(certificates, "server", "-rev", "-alpn", "http/1.1") as server:
        for more in ((), ("most=1.2",)):
            said = our_client(certificates, server.port, "alpn=h2,http/1.1", *more, given="abc\n")
            check(f"s_server answers {more}", "cba" in said and "verified" in said and "protocol http/1.1" in said, said)
    for name, words in REFUSED.items():
        with their_server(certificates, name, "-rev") as server:
            said = our_client(certificates, server.port)
            check(f"s_server with {name} is refused", "EKEYREJECTED" in said and words in said, said)
            said = our_client(certificates, server.port, "insecure", given="abc\n")
            check(f"s_server with {name} is talked to where that was chosen", "cba" in said, said)
    with their_server(certificates, "server", "-www") as server:
        said = our_client(certificates, server.port, "times=3", given="GET / HTTP/1.0\r\n\r\n")
        check("a client resumes with s_server", said.count("verified") == 3 and said.count(" resumed") == 2, said)
    with their_server(certificates, "server", "-www", "-Verify", "1", "-CAfile", certificates.of("authority"),
                      "-verify_return_error") as server:
        own = f"identity={certificates.of('client')},{certificates.key('client')}"
        said = our_client(certificates, server.port, own, given="GET / HTTP/1.0\r\n\r\n")
        check("s_server accepts our certificate", "HTTP/1.0 200" in said, said)
        said = our_client(certificates, server.port, given="GET / HTTP/1.0\r\n\r\n")
        check("s_server refuses us without", "EACCES" in said, said)


# ---- curl against our server ----

def curl(certificates, port, *options):
    return run("curl", "-sS", "-v", "--cacert", certificates.of("authority"), "--resolve", f"server.test:{port}:127.0.0.1",
               *options, f"https://server.test:{port}/")


def with_curl(certificates):
    with our_server(certificates, "alpn=http/1.1") as server:
        said = curl(certificates, server.port)
        check("curl", "greetings" in said and "accepted http/1.1" in said, said)
        check("curl by 1.2", "greetings" in curl(certificates, server.port, "--tls-max", "1.2"))
        said = run("curl", "-sS", f"https://127.0.0.1:{server.port}/")
        check("curl that does not know the authority", "issuer certificate" in said or "certificate problem" in said, said)
        told = server.wait_for("error")
        check("the server is told", "EACCES" in told and "unknown ca" in told, told)
        said = run("curl", "-sS", f"http://127.0.0.1:{server.port}/")
        check("curl without TLS gets nothing", "EPROTO:" in server.wait_for("error"), said)
    with our_server(certificates, "require", f"ca={certificates.of('authority')}") as server:
        said = curl(certificates, server.port, "--cert", certificates.of("client"), "--key", certificates.key("client"))
        check("curl with its certificate", "greetings" in said, said)
        said = curl(certificates, server.port)
        check("curl without is refused", "greetings" not in said and "EKEYREJECTED" in server.wait_for("error"), said)


with tempfile.TemporaryDirectory(prefix="ouro-tls-") as directory:
    made = Certificates(pathlib.Path(directory))
    for test in (with_s_client, resuming_s_client, s_client_with_certificate, with_s_server, with_curl):
        test(made)
print(f"{len(failed)} failed")
sys.exit(bool(failed))

#!/usr/bin/env python3
"""matrix.py - f94: a process pool in programs of every kind that compilers and linkers make of one source.

Each is built against the library that was just built, run, and must print what is expected, once.

usage: matrix.py SOURCE_ROOT LIBRARY ARCHIVE HELPER"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
MAIN = "main\nopened 0\njob 42\nclosed 0\nchildren -1, told of 0\n"
FORKED = MAIN.replace("job 42\n", "job 42\ndeep job 42\n")
CRASHED = "job 42\ncrashed -130 in write_through 1, follow_null 1, ouro_job_run 1\n"
REFUSED = "main\nopened -8\nchildren -1, told of 0\n"
AUTO, EXEC, FORK, HELPER = "0", "1", "2", "3"

passed = failed = 0


def told(name, problem):
    global passed, failed
    if problem:
        failed += 1
        print(f"FAILED: {name}: {problem}", flush=True)
    else:
        passed += 1
        print(f"passed: {name}", flush=True)


def skipped(name, why):
    print(f"skipped: {name}: {why}", flush=True)


class Matrix:
    def __init__(self, source, library, archive, helper, where):
        self.library, self.archive, self.helper, self.where = library, archive, helper, where
        self.include = f"-I{source / 'lib/include'}"
        self.shared = [f"-L{library.parent}", "-louro", f"-Wl,-rpath,{library.parent}"]
        self.static = [str(archive), "-luring", "-lpthread"]
        self.environment = dict(os.environ, OURO_TEST_HELPER=str(helper), TSAN_OPTIONS="", ASAN_OPTIONS="")
        self.environment.pop("LD_LIBRARY_PATH", None)  # meson's, which would hide other copies of the library

    def build(self, name, compiler, flags, link, sources=("program.c",)):
        """The path of the program, or None: it was told why not."""
        binary = str(self.where / name.replace(" ", "_"))
        language = "c++" if "++" in compiler else "c"
        files = [str(HERE / source) for source in sources]
        command = [compiler, "-x", language, "-O1", "-g", self.include, *flags, *files, "-x", "none", "-o", binary, *link]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            told(name, f"{' '.join(command)}\n{done.stderr}")
            return None
        return binary

    def start(self, command, **more):
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=self.environment, **more)

    def run(self, name, command, expected, said="", meanwhile=None):
        """Runs it; said is what stderr must contain, nothing if it is empty. A program that waits for a word gets
        it after meanwhile()."""
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=self.environment)
        try:
            before = ""
            if meanwhile:
                before = process.stdout.readline()  # it runs
                meanwhile()
            out, err = process.communicate("x", timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            told(name, f"hangs: {process.communicate()}")
            return
        out = before + out
        right = out == expected and process.returncode == 0 and (said in err if said else not err)
        told(name, "" if right else f"exit {process.returncode}, printed {out!r} instead of {expected!r}, {err!r}")

    def check(self, name, compiler, flags, link, expected=MAIN, start=EXEC, said="", sources=("program.c",)):
        if not shutil.which(compiler):
            skipped(name, f"there is no {compiler}")
            return None
        binary = self.build(name, compiler, flags, link, sources)
        if binary:
            self.run(name, [binary, start], expected, said)
        return binary


def crashes(matrix, name, compiler, flags, link):
    """As check(), and the backtrace of a job that crashes names its functions."""
    binary = matrix.check(name, compiler, flags, link)
    if binary:
        matrix.run(f"{name}, backtrace", [binary, EXEC, "crash"], MAIN.replace("job 42\n", CRASHED))


def linked_dynamically(matrix):
    for compiler in ("gcc", "g++", "clang", "clang++"):
        crashes(matrix, f"{compiler} pie", compiler, ["-fPIE"], ["-pie", *matrix.shared])
        crashes(matrix, f"{compiler} no-pie", compiler, ["-fno-pie"], ["-no-pie", *matrix.shared])
        matrix.check(f"{compiler} archive", compiler, [], matrix.static)
        matrix.check(f"{compiler} lto", compiler, ["-flto", *use_lld(compiler)], matrix.shared)
    matrix.check("now", "g++", [], ["-Wl,-z,now", *matrix.shared])
    matrix.check("no-pie now", "g++", ["-fno-pie"], ["-no-pie", "-Wl,-z,now", *matrix.shared])
    matrix.check("lazy", "g++", [], ["-Wl,-z,lazy", *matrix.shared])
    matrix.check("without relro", "g++", [], ["-Wl,-z,norelro", *matrix.shared])
    matrix.check("without build id", "g++", [], ["-Wl,--build-id=none", *matrix.shared])
    matrix.check("stripped", "g++", [], ["-s", *matrix.shared])
    matrix.check("archive without build id", "g++", [], ["-Wl,--build-id=none", *matrix.static])
    matrix.check("archive lto", "gcc", ["-flto"], matrix.static)


def use_lld(compiler):
    """What clang makes for link time only lld reads everywhere."""
    return ["-fuse-ld=lld"] if "clang" in compiler else []


def linked_otherwise(matrix):
    for linker, compiler in (("gold", "g++"), ("lld", "clang++")):
        if not shutil.which(f"ld.{linker}"):
            skipped(linker, "it is not installed")
            continue
        use = f"-fuse-ld={linker}"
        matrix.check(f"{linker} pie", compiler, [use], matrix.shared)
        matrix.check(f"{linker} no-pie", compiler, [use, "-fno-pie"], ["-no-pie", *matrix.shared])
        matrix.check(f"{linker} archive", compiler, [use], matrix.static)
        matrix.check(f"{linker} static", compiler, [use, "-fno-pie"], ["-static", *matrix.static])
        matrix.check(f"{linker} without build id", compiler, [use], ["-Wl,--build-id=none", *matrix.shared])


def linked_statically(matrix):
    for compiler in ("gcc", "g++", "clang", "clang++"):
        crashes(matrix, f"{compiler} static", compiler, ["-fno-pie"], ["-static", *matrix.static])
        crashes(matrix, f"{compiler} static-pie", compiler, ["-fPIE"], ["-static-pie", *matrix.static])
    matrix.check("static without build id", "g++", [], ["-static", "-Wl,--build-id=none", *matrix.static])
    matrix.check("static lto", "gcc", ["-flto"], ["-static", *matrix.static])
    matrix.check("static, forked", "g++", [], ["-static", *matrix.static], FORKED, FORK)


def sanitized(matrix):
    for compiler in ("gcc", "clang"):
        for sanitizer in ("address", "thread", "undefined"):
            matrix.check(f"{compiler} {sanitizer} sanitizer", compiler, [f"-fsanitize={sanitizer}"], matrix.shared)


def started_in_other_ways(matrix):
    program = matrix.build("ways", "g++", [], matrix.shared)
    if not program:
        return
    matrix.run("auto is exec", [program, AUTO], MAIN)
    matrix.run("fork", [program, FORK], FORKED)
    for linker in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        if os.path.exists(linker):
            matrix.run("as the linker's argument", [linker, program, EXEC], MAIN)
            matrix.run("as the linker's argument, with options",
                       [linker, "--library-path", str(matrix.library.parent), "--argv0", "another", program, EXEC], MAIN)
    matrix.run("the argument by hand", [program, "--ouro-zygote"], MAIN)
    matrix.run("without an environment", ["env", "-i", program, EXEC], MAIN)
    matrix.run("in the background of another session", ["setsid", program, EXEC], MAIN)
    matrix.run("orphans of a killed zygote, as subreaper", [program, EXEC, "orphan"],
               MAIN.replace("job 42\n", "job 42\nleft one: 0\nand again: job 42\n"))


def constructors(matrix):
    matrix.check("constructors that start threads", "g++", ["-DSTARTS_THREADS"], matrix.shared)
    matrix.check("constructors that start threads, static", "g++", ["-DSTARTS_THREADS"], ["-static", *matrix.static])
    matrix.check("constructors that start threads, forked", "g++", ["-DSTARTS_THREADS"], matrix.shared,
                 REFUSED.replace("-8", "-16"), FORK)
    matrix.check("a constructor that opens a pool", "g++", ["-DOPENS_IN_CONSTRUCTOR"], matrix.shared, said="constructor")
    bare = ["-nostartfiles", "-DBARE"]
    refused = MAIN.replace("opened 0\njob 42\nclosed 0", "opened -8")
    matrix.check("no constructors", "gcc", [*bare], matrix.shared, refused, said="ouro_worker_main()",
                 sources=("program.c", "bare.c"))
    matrix.check("no constructors, but the call", "gcc", [*bare, "-DCALLS_WORKER_MAIN"], matrix.shared,
                 sources=("program.c", "bare.c"))
    matrix.check("the call where it is not needed", "g++", ["-DCALLS_WORKER_MAIN"], matrix.shared)


def through_libraries(matrix):
    middle = matrix.build("libmiddle.so", "gcc", ["-shared", "-fPIC"], matrix.shared, ("middle.c",))
    above = middle and matrix.build("above", "gcc", [], [middle, f"-Wl,-rpath,{matrix.where}"], ("above.c",))
    if above:
        matrix.run("through a middle library", [above], "job 42\n")
    library = matrix.build("libjobs.so", "gcc", ["-shared", "-fPIC"], matrix.shared, ("library.c",))
    if library:
        python = [sys.executable, str(HERE / "from_python.py"), library, str(matrix.helper)]
        done = "opened 0\njob 1006\nclosed 0\n"
        matrix.run("f93 loaded by Python", [*python, AUTO], done)
        matrix.run("f93 loaded by Python, helper", [*python, HELPER], done)
        matrix.run("f93 loaded by Python, exec", [*python, EXEC], "opened -8\n", said="dlopen()")
        matrix.run("f93 loaded by Python, forked", [*python, FORK], done)
    program = matrix.build("helped", "gcc", [], matrix.shared)
    if program:
        matrix.run("the helper has no function of the program", [program, HELPER], MAIN.replace("job 42", "job -8"))


def replaced_on_disk(matrix):
    program = pathlib.Path(matrix.build("original", "g++", [], matrix.shared) or "")

    def copy(name):
        return shutil.copy(program, matrix.where / name)

    def replace(name):
        other = copy(name + ".new")
        with open(other, "ab") as file:
            file.write(b"another build")
        os.rename(other, matrix.where / name)

    for linker in ("", "/lib64/ld-linux-x86-64.so.2"):
        if linker and not os.path.exists(linker):
            continue
        prefix, expected, said = ([linker], REFUSED, "ld.so") if linker else ([], MAIN, "")
        for how, act in (("deleted", lambda name: os.unlink(matrix.where / name)), ("replaced", replace)):
            name = how + ("_by_linker" if linker else "")
            path = copy(name)
            process_name = f"f89 program {how} while it runs{', as an argument of the linker' if linker else ''}"
            matrix.run(process_name, [*prefix, path, EXEC, "wait"], expected, said, lambda act=act, name=name: act(name))


def library_replaced(matrix):
    """The library of the zygote is then not that of the host."""
    where = matrix.where / "own"
    where.mkdir()
    copy = where / "libouro.so.0"
    shutil.copy(matrix.library, copy)
    program = matrix.build("own_library", "gcc", [], [str(copy), f"-Wl,-rpath,{where}"])

    def replace():
        other = where / "new"
        subprocess.run(["gcc", "-shared", "-o", str(other), "-Wl,-soname,libouro.so.0", "-Wl,--whole-archive",
                        str(matrix.archive), "-Wl,--no-whole-archive", "-luring"], check=True)
        os.rename(other, copy)

    if program:
        matrix.run("f89 library replaced while it runs", [program, EXEC, "wait"], REFUSED, "library on disk", replace)


def privileged(matrix):
    if os.geteuid() != 0:
        skipped("set-user-ID", "needs to be root")
        return
    program = matrix.build("privileged", "gcc", [], ["-static", *matrix.static])
    if not program:
        return
    os.chmod(matrix.where, 0o755)
    os.chmod(program, 0o4755)
    matrix.run("set-user-ID, without effect", [program, EXEC], REFUSED, said="set-user-ID")
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    for start in (AUTO, EXEC, HELPER):
        matrix.run(f"set-user-ID, start {start}", [program, start], REFUSED, said="set-user-ID")
    matrix.run("set-user-ID, forked", [program, FORK], FORKED)
    os.chmod(program, 0o755)
    if shutil.which("setcap") and subprocess.run(["setcap", "cap_net_raw+ep", program], check=False).returncode == 0:
        matrix.run("with capabilities", [program, EXEC], REFUSED, said="capabilities")


def main(source, library, archive, helper):
    where = pathlib.Path(tempfile.mkdtemp(prefix="ouro-launch-"))
    matrix = Matrix(source, library, archive, helper, where)
    try:
        for part in (linked_dynamically, linked_otherwise, linked_statically, sanitized, started_in_other_ways,
                     constructors, through_libraries, replaced_on_disk, library_replaced, privileged):
            part(matrix)
    finally:
        shutil.rmtree(where)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*(pathlib.Path(argument).absolute() for argument in sys.argv[1:])))

"""run_copy.py - a large file and a tree, copied by ouro and by cp: from start to end of the program.

The file is read before the first round, so that as much of it as fits lies in memory, for both alike; the target is
removed, and what is dirty written back, before each copy begins. As many bytes of memory are touched then and given
back: in a virtual machine a page that the host must supply first costs more than to copy it, and whoever came first
would pay for that."""
import mmap
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

from report import AT_MOST, note, rotated, row

GIB = 1 << 30
TREE = "/usr/include"


def make_file(path, size):
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def touch_memory(size):
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def timed(bench, name, command, target, size):
    """(seconds, CPU seconds) of one copy, or None."""
    remove(target)
    os.sync()
    touch_memory(size)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        bench.fail(name, done.stderr.strip())
        return None
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(bench, text, commands, target, size, rounds, limit):
    """commands: {"ouro": ..., "cp": ...}, each to be followed by the target."""
    taken = {name: [] for name in commands}
    for turn in range(rounds):
        for name in rotated(list(commands), turn):
            note(f"{text}, round {turn + 1}: {name}")
            result = timed(bench, f"{text}: {name}", [*commands[name], target], target, size)
            if result is None:
                return
            taken[name].append(result)
            bench.keep(f"{text}: {name}", {"s": result[0], "cpu_s": result[1]})
    for place, what, bound in ((0, "time", limit), (1, "CPU", None)):
        ours = [sample[place] for sample in taken["ouro"]]
        theirs = [sample[place] for sample in taken["cp"]]
        row(bench, f"{text}: {what}", "s", statistics.median(ours), statistics.median(theirs), "cp",
            [a / max(b, 1e-6) for a, b in zip(ours, theirs)], bound, None)


def run_copy(bench):
    if not bench.wants("copy") or not bench.has("copy_ouro"):
        return
    gib = bench.copy_gib or (0.25 if bench.quick else 4)
    folder = tempfile.mkdtemp(prefix="ouro-bench-copy-", dir=bench.copy_dir)
    try:
        source, target = os.path.join(folder, "source"), os.path.join(folder, "target")
        if shutil.disk_usage(folder).free < 3 * gib * GIB:
            bench.fail("copy", f"{folder} has no room for it")
            return
        make_file(source, int(gib * GIB))
        compare(bench, f"copy of {gib:g} GiB", {"ouro": [bench.path("copy_ouro"), source], "cp": ["cp", source]},
                target, int(gib * GIB), bench.rounds_of(5, 1), ("ratio", AT_MOST, 1))
        os.unlink(source)
        compare(bench, f"copy of {TREE}", {"ouro": [bench.path("copy_tree"), TREE], "cp": ["cp", "-a", TREE]},
                target, GIB, bench.rounds_of(5, 1), ("ratio", AT_MOST, 1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)

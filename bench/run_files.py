"""run_files.py - random 4 KiB reads of a file without the page cache, beside fio's io_uring engine.

Both read the same file, 64 reads at a time, on one core. fio keeps no clock for each read (gtod_reduce), which is
the least CPU time that it can do with. The file lies in the working directory: on a disk, not in memory."""
import json
import os
import shutil
import statistics
import subprocess
import tempfile

from report import AT_LEAST, AT_MOST, note, rotated, row

CORE, DEPTH = "0", "64"
FILE_BYTES, QUICK_BYTES = 1 << 30, 1 << 28


def write_file(path, size):
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(block)
        os.fsync(file.fileno())


def read_with_ouro(bench, path, seconds):
    return bench.run("file_reads", path, DEPTH, str(seconds), CORE).get("file_reads")


def read_with_fio(bench, path, seconds):
    """Of its job alone, not of what fio does around it."""
    output = bench.output(["fio", "--name=reads", f"--filename={path}", "--rw=randread", "--bs=4k", "--direct=1",
                           "--ioengine=io_uring", f"--iodepth={DEPTH}", "--time_based", f"--runtime={seconds}",
                           "--ramp_time=200ms", "--norandommap", "--randrepeat=0", "--gtod_reduce=1",
                           f"--cpus_allowed={CORE}", "--output-format=json"])
    if output is None:
        return None
    job = json.loads(output[output.index("{"):])["jobs"][0]
    reads = job["read"]
    cpu_share = (job["usr_cpu"] + job["sys_cpu"]) / 100
    return {"iops": reads["iops"], "cpu_ns": cpu_share * reads["runtime"] * 1e6 / reads["total_ios"]}


READERS = {"ouro": read_with_ouro, "fio": read_with_fio}


def run_round(bench, path, turn, seconds):
    results = {}
    for name in rotated(list(READERS), turn):
        note(f"file reads, round {turn + 1}: {name}")
        results[name] = READERS[name](bench, path, seconds)
    if all(results.values()):
        for name, sample in results.items():
            bench.keep(f"file_reads {name}", sample)


def add_row(bench, key, unit, text, target):
    ours, theirs = ([sample[key] for sample in bench.samples.get(f"file_reads {name}", [])] for name in READERS)
    if ours:
        row(bench, f"random 4 KiB reads, depth {DEPTH}: {text}", unit, statistics.median(ours),
            statistics.median(theirs), "fio's io_uring", [a / b for a, b in zip(ours, theirs)], target, None)


def run_files(bench):
    if not bench.wants("file_reads") or not bench.has("file_reads") or not shutil.which("fio"):
        return
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".file-reads-") as folder:
        path = os.path.join(folder, "data")
        write_file(path, QUICK_BYTES if bench.quick else FILE_BYTES)
        for turn in range(bench.rounds_of(9, 3)):
            run_round(bench, path, turn, 1 if bench.quick else 3)
    add_row(bench, "iops", "/s", "rate", ("ratio", AT_LEAST, 0.99))
    add_row(bench, "cpu_ns", "ns", "CPU each", ("ratio", AT_MOST, 1))

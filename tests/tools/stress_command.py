#!/usr/bin/env python3
"""stress_command.py - `ouro stress` as its user meets it: statuses, complaints, numbers that fit together.

usage: stress_command.py OURO
The last line is "N passed, N failed, N skipped"."""
import json
import os
import resource
import subprocess
import sys
import tempfile

KINDS = ["tcp", "unix", "file", "job", "sleep", "channel", "process"]
ouro = sys.argv[1]
passed, failed, skipped = [], [], []


def run(*arguments, **keywords):
    return subprocess.run([ouro, *arguments], capture_output=True, text=True, timeout=300, check=False, **keywords)


def test(function, *arguments):
    name = " ".join([function.__name__, *map(str, arguments)])
    try:
        reason = function(*arguments)
    except Exception as error:  # whatever it is, the other tests still run
        failed.append(name)
        print(f"not ok {name}: {type(error).__name__}: {error}")
        return
    (skipped if reason else passed).append(name)
    print(f"ok {name}" + (f" # skip {reason}" if reason else ""))


def refused_with_one_line(arguments, word):
    result = run(*arguments)
    assert result.returncode == 2, f"status {result.returncode}: {result.stderr}"
    assert result.stdout == "", result.stdout
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n"), result.stderr
    assert word in result.stderr, result.stderr


def help_and_version():
    for arguments in (["--help"], ["stress", "--help"]):
        result = run(*arguments)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        assert result.stdout.startswith("Usage: ouro"), result.stdout
    for option in ["duration", "connections", "tasks", "threads", "processes", "chaos", "backend", "seed",
                   "json", "quiet"]:
        assert f"--{option}" in run("stress", "--help").stdout, option
    result = run("--version")
    assert result.returncode == 0 and result.stdout.startswith("ouro "), result.stdout
    assert result.stdout.count(".") == 2, result.stdout


def check_kinds(report, connections, tasks):
    kinds = report["kinds"]
    assert list(kinds) == KINDS
    assert kinds["tcp"]["workers"] + kinds["unix"]["workers"] == connections
    assert sum(kinds[kind]["workers"] for kind in KINDS[2:]) == tasks
    for name, kind in kinds.items():
        if kind["workers"] == 0:
            assert kind["count"] == 0, name
            continue
        assert kind["count"] > 0 and kind["errors"] == 0, (name, kind)
        assert kind["p50_ns"] <= kind["p99_ns"] <= kind["p999_ns"] <= kind["max_ns"], (name, kind)
        rate = kind["count"] / (report["elapsed_ns"] / 1e9)
        assert abs(kind["per_second"] - rate) <= 0.001 * rate, (name, kind)


def check_sums(report):
    echo, jobs, kinds = report["echo"], report["jobs"], report["kinds"]
    messages = kinds["tcp"]["count"] + kinds["unix"]["count"]
    assert echo["sent_bytes"] == echo["echoed_bytes"]
    # Every message has a header of 24 bytes, which the kinds do not count.
    assert echo["sent_bytes"] == kinds["tcp"]["bytes"] + kinds["unix"]["bytes"] + 24 * messages
    assert echo["dials"] == echo["whole_sessions"] + echo["cut_sessions"]
    assert echo["accepted"] == echo["served_whole"] + echo["served_broken"]
    cut = sum(kinds[kind]["cancelled"] + kinds[kind]["expired"] for kind in KINDS[:2])
    assert echo["cut_sessions"] <= cut, (echo["cut_sessions"], cut)
    check_process_jobs(report)
    assert jobs["submitted"] == jobs["done"] + jobs["cancelled"]
    assert jobs["done"] == kinds["job"]["count"]
    assert jobs["done"] <= jobs["runs"] <= jobs["submitted"]
    assert sum(kind["cancelled"] for kind in kinds.values()) <= report["cancels"]
    assert report["files_left"] == 0


def check_process_jobs(report):
    if report["kinds"]["process"]["workers"] == 0:
        assert "processes" not in report
        return
    processes = report["processes"]
    jobs = processes["jobs"]
    assert jobs["submitted"] == jobs["done"] + jobs["cancelled"] + jobs["died"], jobs
    assert jobs["done"] + processes["nameless_done"] == report["kinds"]["process"]["count"], processes
    assert jobs["done"] <= jobs["runs"] <= jobs["submitted"] + processes["retried"], processes
    assert processes["nameless_done"] <= processes["nameless_runs"] <= processes["nameless"], processes
    for what in ["lost", "repeated", "untold", "failed"]:
        assert jobs[what] == 0, (what, jobs)
    for what in ["unduly", "bad_records", "wrong", "torn", "late_writes"]:
        assert processes[what] == 0, (what, processes)
    assert processes["from_arena"] > 0
    if not report["options"]["chaos"]:
        assert jobs["died"] == 0 and processes["retried"] == 0 and "chaos" not in report, processes


def check_leftovers(report):
    leftovers = report["leftovers"]
    for what in ["descriptors", "threads", "children", "names", "mappings"]:
        assert leftovers[what]["extra"] == 0, leftovers[what]
    if "anonymous_bytes" in leftovers:
        assert leftovers["anonymous_bytes"]["after"] <= leftovers["anonymous_bytes"]["before"], leftovers
    assert report["peak_memory_bytes"] > 1 << 20


def run_keeps_its_promises(backend):
    with tempfile.TemporaryDirectory() as directory:
        place = os.path.join(directory, "place")
        os.mkdir(place)
        path = os.path.join(directory, "report.json")
        result = run("stress", "--duration", "2", "--connections", "31", "--tasks", "22", "--threads", "2",
                     "--backend", backend, "--seed", "7", "--json", path, env={**os.environ, "TMPDIR": place})
        if "the loop does not run" in result.stderr:
            return f"no {backend} here"
        assert result.returncode == 0, f"status {result.returncode}\n{result.stdout}{result.stderr}"
        assert result.stderr == "", result.stderr
        assert os.listdir(place) == [], os.listdir(place)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    assert report["processes"]["workers"] == 2  # as many as threads
    assert report["ok"] is True and all(check["ok"] for check in report["checks"])
    assert report["backend"] == backend
    assert report["options"]["seed"] == 7 and report["options"]["threads"] == 2
    assert report["elapsed_ns"] >= 2000000000
    check_kinds(report, 31, 22)
    check_sums(report)
    check_leftovers(report)
    assert report["cancels"] > 0
    lines = result.stdout.splitlines()
    assert sum(line.lstrip().startswith("1 s ") for line in lines) == 1, result.stdout
    assert "all promises kept" in lines, result.stdout
    return None


def own_processes():
    """Numbers of all processes of this command: zygotes and workers are of the same file."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.samefile(f"/proc/{pid}/exe", ouro):
                found.add(int(pid))
        except OSError:
            pass  # it has ended, or is none of ours to look at
    return found


def chaos_breaks_no_promise(backend):
    with tempfile.TemporaryDirectory() as directory:
        place = os.path.join(directory, "place")
        os.mkdir(place)
        path = os.path.join(directory, "report.json")
        shared = set(os.listdir("/dev/shm"))
        # A child that is left behind would keep a pipe open: the output goes to files.
        with open(os.path.join(directory, "output"), "w+", encoding="utf-8") as output:
            result = subprocess.run([ouro, "stress", "--chaos", "--duration", "4", "--connections", "6", "--tasks",
                                     "24", "--threads", "2", "--processes", "3", "--backend", backend, "--seed", "11",
                                     "--json", path], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    timeout=120, check=False, env={**os.environ, "TMPDIR": place})
            output.seek(0)
            text = output.read()
        if "the loop does not run" in text:
            return f"no {backend} here"
        assert result.returncode == 0, f"status {result.returncode}\n{text}"
        assert os.listdir(place) == [], os.listdir(place)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    left = [name for name in set(os.listdir("/dev/shm")) - shared if name.startswith("ouro")]
    assert left == [], left
    assert own_processes() == set(), own_processes()
    assert report["ok"] is True and report["backend"] == backend
    check_process_jobs(report)
    check_leftovers(report)
    chaos, processes = report["chaos"], report["processes"]
    assert processes["workers"] == 3
    assert sum(chaos["kills"].values()) > 20, chaos["kills"]
    assert processes["restarts"] > 10 and processes["jobs"]["died"] > 0, processes
    assert chaos["reports"] + chaos["reports_missing"] <= processes["jobs"]["died"], chaos
    assert chaos["calms"] > 0 and chaos["full_strength"]["max_ns"] <= 1000000000, chaos
    assert 0 < report["blocked"]["longest_ns"]
    return None


def processes_can_be_left_out():
    result = run("stress", "-d", "0.3", "-c", "2", "-t", "8", "-p", "0", "-q", "--json", "-")
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["kinds"]["process"]["workers"] == 0 and report["kinds"]["job"]["count"] > 0
    assert "processes" not in report and "processes" not in report["options"]


def duration_may_have_a_unit():
    result = run("stress", "-d", "0.01m", "-c", "2", "-t", "4", "-q", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["options"]["duration_ns"] == 600000000, result.stdout


def quiet_run_prints_json_alone():
    result = run("stress", "-d", "0.5", "-c", "4", "-t", "4", "-q", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    check_kinds(json.loads(result.stdout), 4, 4)


def quiet_run_prints_nothing():
    result = run("stress", "-d", "0.3", "-c", "2", "-t", "4", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), result


def one_sort_of_work_is_enough():
    for connections, tasks in ((3, 0), (0, 1)):
        result = run("stress", "-d", "0.3", "-c", str(connections), "-t", str(tasks), "-q", "--json", "-")
        assert result.returncode == 0, result.stdout + result.stderr
        check_kinds(json.loads(result.stdout), connections, tasks)


def missing_directory_is_told():
    result = run("stress", "-d", "0.3", env={**os.environ, "TMPDIR": "/nonexistent"})
    assert result.returncode == 1, result.returncode
    assert result.stderr.count("\n") == 1 and "TMPDIR" in result.stderr, result.stderr


def too_few_descriptors_are_told():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    result = run("stress", "-d", "0.3", "-c", "200", preexec_fn=limit)
    assert result.returncode == 2, result.returncode
    assert result.stderr.count("\n") == 1 and "256" in result.stderr, result.stderr
    assert "--connections 200" in result.stderr, result.stderr


def soft_limit_is_raised():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 1024))

    result = run("stress", "-d", "0.3", "-c", "100", "-t", "8", "-q", preexec_fn=limit)
    assert result.returncode == 0, result.stderr


def full_output_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([ouro, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result


test(help_and_version)
for bad, said in [
        ([], "--help"), (["strss"], "'strss'"), (["--nothing"], "--nothing"), (["stress", "--nothing"], "--nothing"),
        (["stress", "-x"], "-x"), (["stress", "extra"], "'extra'"), (["stress", "--duration"], "--duration"),
        (["stress", "--duration", "0"], "duration"), (["stress", "--duration", "-1"], "duration"),
        (["stress", "--duration", "1x"], "'1x'"), (["stress", "--duration", "nan"], "'nan'"),
        (["stress", "--duration", ""], "duration"), (["stress", "--connections", "-3"], "'-3'"),
        (["stress", "--connections", "many"], "'many'"), (["stress", "--connections", "100001"], "100000"),
        (["stress", "--tasks", "1.5"], "'1.5'"), (["stress", "--threads", "99999"], "threads"),
        (["stress", "--seed", "18446744073709551616"], "seed"), (["stress", "--backend", "kqueue"], "'kqueue'"),
        (["stress", "--processes", "1025"], "processes"), (["stress", "--processes", "two"], "'two'"),
        (["stress", "--duration", "1mm"], "'1mm'"), (["stress", "--duration", "m"], "'m'"),
        (["stress", "--chaos", "-p", "0"], "--processes 0"), (["stress", "--chaos", "-t", "0"], "--tasks 0"),
        (["stress", "--chaos=much"], "--chaos"),
        (["stress", "--quiet=yes"], "--quiet"), (["stress", "-c", "0", "-t", "0"], "nothing to do"),
        (["stress", "--json", "/nonexistent/report"], "/nonexistent/report")]:
    test(refused_with_one_line, bad, said)
for each in "uring", "epoll":
    test(run_keeps_its_promises, each)
    test(chaos_breaks_no_promise, each)
for each in (quiet_run_prints_json_alone, quiet_run_prints_nothing, one_sort_of_work_is_enough,
             processes_can_be_left_out, duration_may_have_a_unit, missing_directory_is_told, too_few_descriptors_are_told, soft_limit_is_raised,
             full_output_is_a_failure):
    test(each)
print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
sys.exit(bool(failed) or not passed)

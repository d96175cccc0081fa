#!/usr/bin/env python3
"""run.py - the programs of docs/examples/asyncio against their transcripts.

    run.py EXPECTED_DIR CLOCK PROGRAM...   CLOCK: real or virtual; $OURO_BACKEND is handed on
    run.py EXPECTED_DIR python             the Python programs themselves, against the same files

On the real clock a loaded machine may be late by half a tick. So a transcript that differs in nothing but its
ticks is tried again, alone; one that differs in its lines or their order has failed.
Exit status: 0, 1 for a failure, 77 where Python is older than 3.11.
"""
import concurrent.futures
import difflib
import os
import pathlib
import subprocess
import sys

ATTEMPTS_WHEN_LATE = 3


def texts(transcript):
    return [line.partition(" ")[2] for line in transcript.splitlines()]


def run_once(command, env, expected):
    """None if it is as expected, else what is wrong; and whether only the ticks are."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as expired:
        return f"did not end; it printed {expired.stdout!r}", False
    if done.returncode != 0 or done.stderr:
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}", False
    if done.stdout == expected:
        return None, False
    diff = difflib.unified_diff(expected.splitlines(), done.stdout.splitlines(), "expected", "printed", lineterm="")
    return "\n".join(diff), texts(done.stdout) == texts(expected)


def check(job):
    command, env, expected_path, may_be_late = job
    expected = expected_path.read_text()
    wrong, late = run_once(command, env, expected)
    return job, wrong, late and may_be_late


def jobs_of(args):
    where = pathlib.Path(args[0])
    if args[1] == "python":
        if sys.version_info < (3, 11):
            sys.exit(77)
        programs = sorted(where.glob("[st][0-9]*.py"))
        return [([sys.executable, str(p)], dict(os.environ), p.with_suffix(".expected"), True) for p in programs]
    clock, programs = args[1], args[2:]
    assert clock in ("real", "virtual"), clock
    env = dict(os.environ, SAY_CLOCK=clock)
    return [([p], env, where / (pathlib.Path(p).name + ".expected"), clock == "real") for p in programs]


def main(args):
    jobs = jobs_of(args)
    if not jobs:
        sys.exit("no programs given")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(check, jobs))
    for job, wrong, late in outcomes:
        attempts = 1
        while wrong and late and attempts < ATTEMPTS_WHEN_LATE:
            attempts += 1
            _, wrong, late = check(job)
        name = pathlib.Path(job[0][-1]).stem
        if wrong:
            failed += 1
            print(f"FAIL {name}: {wrong}")
        else:
            print(f"ok   {name}" + (f" (attempt {attempts})" if attempts > 1 else ""))
    return failed > 0


if __name__ == "__main__":
    sys.exit(int(main(sys.argv[1:])))

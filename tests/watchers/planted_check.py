#!/usr/bin/env python3
"""planted_check.py PROGRAM SANITIZER - f62: no false report, and a bug planted inside a task is found.

SANITIZER is meson's b_sanitize; with none, Valgrind looks.
"""
import os
import shutil
import subprocess
import sys

program, sanitizer = sys.argv[1:3]
environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1",
                   TSAN_OPTIONS="halt_on_error=1")
failed = 0


def run(bug, command=()):
    return subprocess.run([*command, program, bug], capture_output=True, text=True, timeout=100, env=environment)


def check(bug, holds, done):
    global failed
    name = "f62_no_false_report" if bug == "clean" else f"f62_planted_{bug}_is_found"
    print(("ok   " if holds else "FAIL ") + name)
    if not holds:
        print(done.returncode, done.stdout, done.stderr)
        failed += 1


def must_find(bug, reports, command=()):
    """One of the reports, and it points to the place."""
    done = run(bug, command)
    check(bug, done.returncode != 0 and "planted.c" in done.stderr and any(r in done.stderr for r in reports), done)


valgrind = []
if sanitizer == "none":
    if not shutil.which("valgrind"):
        print("valgrind is not here")
        sys.exit(77)
    valgrind = ["valgrind", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
done = run("clean", valgrind)
check("clean", done.returncode == 0 and "Warning: client switching stacks" not in done.stderr, done)
if sanitizer == "none":
    must_find("heap", ["Invalid write"], valgrind)
    must_find("uninitialised", ["uninitialised value"], valgrind)
if "address" in sanitizer:
    must_find("heap", ["heap-buffer-overflow", "insufficient space"])
    must_find("stack", ["stack-buffer-overflow", "out of bounds"])
if "undefined" in sanitizer:
    must_find("integer", ["signed integer overflow"])
if "thread" in sanitizer:
    must_find("race", ["data race"])
sys.exit(failed > 0)

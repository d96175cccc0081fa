#!/usr/bin/env python3
"""dlopen.py - f93: another language's runtime loads the library, runs a loop, unloads it, and nothing is left.

usage: dlopen.py LIBRARY"""
import ctypes
import os
import sys
import time

import _ctypes

# So that the interpreter's own memory grows nowhere but in [heap].
QUIET = {"PYTHONMALLOC": "malloc", "MALLOC_MMAP_MAX_": "0", "MALLOC_ARENA_MAX": "1"}
BODY = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p)


def held():
    """Descriptors, threads, children and mappings of this process; [heap] may grow."""
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the directory's own
    threads = sorted(os.listdir("/proc/self/task"))
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        children = file.read().split()
    with open("/proc/self/maps", encoding="utf-8") as file:
        lines = [line.split(maxsplit=5) for line in file]
    mappings = [(line[0], line[1], line[5].strip() if len(line) > 5 else "") for line in lines]
    return {"descriptors": descriptors, "threads": threads, "children": children,
            "mappings": [line for line in mappings if line[2] not in ("[heap]", "[stack]")]}


def use(path, body, calls):
    """Loads the library, runs a loop with a task in Python, unloads it."""
    library = ctypes.CDLL(path)
    library.ouro_version.restype = ctypes.c_char_p
    library.ouro_run.argtypes = (BODY, ctypes.c_void_p)
    library.ouro_run.restype = ctypes.c_ssize_t
    library.ouro_sleep.argtypes = (ctypes.c_int64,)
    calls["sleep"] = library.ouro_sleep
    version = library.ouro_version().decode()
    result = library.ouro_run(body, 7)
    calls.clear()
    _ctypes.dlclose(library._handle)
    return version, result


def loaded(path):
    with open("/proc/self/maps", encoding="utf-8") as file:
        return os.path.realpath(path) in file.read()


def left(before):
    """What is there now and was not before. The kernel's own threads of a ring end a moment after it."""
    for _ in range(200):
        now = held()
        if now == before:
            return ""
        time.sleep(0.01)
    return "\n".join(f"{kind}: before {before[kind]}, now {now[kind]}" for kind in now if now[kind] != before[kind])


def main(path):
    calls = {}
    body = BODY(lambda arg: calls["sleep"](1000) or arg * 6)
    held()  # what the looking itself loads
    before = held()
    problems = []
    for _ in range(3):
        version, result = use(path, body, calls)
        if version.count(".") != 2 or result != 42:
            problems.append(f"version {version}, result {result}")
    if loaded(path):
        problems.append("it is still loaded")
    if rest := left(before):
        problems.append(rest)
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in QUIET.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], dict(os.environ, **QUIET))
    sys.exit(main(sys.argv[1]))

#!/usr/bin/env python3
"""dlopen_tls.py - f93: a runtime loads both libraries, opens and closes a context, unloads them; OpenSSL stays, for
it says so, and nothing of ours does: no memory mapped, no descriptor, no thread, and nothing runs at exit.

usage: dlopen_tls.py LIBRARY TLS_LIBRARY"""
import ctypes
import os
import sys

import _ctypes

import dlopen


def use(path, tls_path):
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    tls = ctypes.CDLL(tls_path)
    context = ctypes.c_void_p()
    tls.ouro_tls_context_open.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    tls.ouro_tls_context_close.argtypes = (ctypes.c_void_p,)
    results = tls.ouro_tls_context_open(None, ctypes.byref(context)), tls.ouro_tls_context_close(context)
    _ctypes.dlclose(tls._handle)
    _ctypes.dlclose(library._handle)
    return results


def main(path, tls_path):
    problems = []
    dlopen.held()
    use(path, tls_path)  # OpenSSL is loaded now, and stays
    before = dlopen.held()
    for _ in range(3):
        if (results := use(path, tls_path)) != (0, 0):
            problems.append(f"results {results}")
    problems += [f"{name} is still loaded" for name in (path, tls_path) if dlopen.loaded(name)]
    if rest := dlopen.left(before):
        problems.append(rest)
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in dlopen.QUIET.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], dict(os.environ, **dlopen.QUIET))
    sys.exit(main(sys.argv[1], sys.argv[2]))

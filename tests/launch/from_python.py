#!/usr/bin/env python3
"""from_python.py - jobs that are functions of a library that Python has loaded.

usage: from_python.py LIBRARY HELPER START"""
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
library.add_in.restype = ctypes.c_ssize_t
library.add_in.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
library.ouro_executor_close.argtypes = (ctypes.c_void_p,)
pool = ctypes.c_void_p()
opened = library.open_pool(int(sys.argv[3]), sys.argv[2].encode(), ctypes.byref(pool))
print("opened", opened)
if opened == 0:
    numbers = (ctypes.c_int * 3)(1, 2, 3)
    print("job", library.add_in(pool, numbers, 3))
    print("closed", library.ouro_executor_close(pool))

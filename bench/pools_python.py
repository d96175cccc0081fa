#!/usr/bin/env python3
"""pools_python.py - empty jobs through Python's own pools of two workers, printed as the other programs do.

A job costs Python a thousand times more, so there are fewer of them.
"""
import argparse
import concurrent.futures
import time

WORKERS = 2
CHUNK = 1000


def empty(_=None):
    return 0


def show(name, jobs, run):
    start = time.monotonic_ns()
    run(jobs)
    print(f"{name} ns={(time.monotonic_ns() - start) / jobs:.1f} jobs={jobs}", flush=True)


def measure(kind, pool, there_and_back, bulk):
    def one_at_a_time(jobs):
        for _ in range(jobs):
            pool.submit(empty).result()

    def all_at_once(jobs):
        for future in [pool.submit(empty) for _ in range(jobs)]:
            future.result()

    def in_chunks(jobs):
        for _ in pool.map(empty, range(jobs), chunksize=CHUNK):
            pass

    all_at_once(100)  # starts the workers
    show(f"python_{kind}_there_and_back", there_and_back, one_at_a_time)
    show(f"python_{kind}_bulk", bulk, all_at_once)
    if kind == "processes":
        show(f"python_{kind}_chunks", bulk * 40, in_chunks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=5000, help="jobs in bulk")
    options = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        measure("threads", pool, 2000, options.count * 4)
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        measure("processes", pool, 1000, options.count)


if __name__ == "__main__":
    main()

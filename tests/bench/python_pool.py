# SPDX-License-Identifier: MIT
"""A Python program with a pool of two workers: multiprocessing.Pool, ProcessPoolExecutor or procpool.Pool.

Usage: python_pool.py multiprocessing|futures|procpool

Reads commands from standard input and answers each with a line of JSON:

    apply COUNT     round trips, one after the other
    flight COUNT    so many calls, then all results collected
    chunks COUNT    one map over a list of so many integers, chunksize=1
    map COUNT       the same, with the chunksize that the pool has by default
    len COUNT       so many round trips with 64 MiB of bytes as argument
"""

import json
import statistics
import sys
import time

WORKERS = 2
LARGE_BYTES = 64 << 20


def inc(x):
    return x + 1


class Futures:
    """A ProcessPoolExecutor with the calls of a Pool that are measured."""

    def __init__(self, workers):
        from concurrent.futures import ProcessPoolExecutor

        self.executor = ProcessPoolExecutor(workers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.executor.shutdown()

    def apply(self, function, args):
        return self.executor.submit(function, *args).result()

    def apply_async(self, function, args):
        future = self.executor.submit(function, *args)
        future.get = future.result
        return future

    def map(self, function, items, chunksize=1):
        return list(self.executor.map(function, items, chunksize=chunksize))


def make_pool(kind):
    if kind == "multiprocessing":
        from multiprocessing import Pool
    elif kind == "procpool":
        from procpool import Pool
    else:
        Pool = Futures
    return Pool(WORKERS)


def check(results, count):
    if results != list(range(1, count + 1)):
        raise SystemExit("wrong results")


def throughput(count, call):
    start = time.perf_counter()
    results = call()
    seconds = time.perf_counter() - start
    check(results, count)
    return {"seconds": seconds, "per_second": count / seconds}


def measure_apply(pool, count):
    times = []
    for i in range(count):
        start = time.perf_counter()
        result = pool.apply(inc, (i,))
        times.append((time.perf_counter() - start) * 1e6)
        if result != i + 1:
            raise SystemExit("wrong result")
    return {"median_us": statistics.median(times), "p99_us": sorted(times)[int(count * 0.99)]}


def measure_flight(pool, count):
    def call():
        pending = [pool.apply_async(inc, (i,)) for i in range(count)]
        return [each.get() for each in pending]

    return throughput(count, call)


def measure_chunks(pool, count):
    items = list(range(count))
    return throughput(count, lambda: pool.map(inc, items, chunksize=1))


def measure_map(pool, count):
    items = list(range(count))
    return throughput(count, lambda: pool.map(inc, items))


def measure_len(pool, count):
    argument, times = bytes(LARGE_BYTES), []
    for _ in range(count):
        start = time.perf_counter()
        if pool.apply(len, (argument,)) != LARGE_BYTES:
            raise SystemExit("wrong result")
        times.append((time.perf_counter() - start) * 1e6)
    return {"median_us": statistics.median(times)}


MEASURES = {"apply": measure_apply, "flight": measure_flight, "chunks": measure_chunks, "map": measure_map,
            "len": measure_len}


def main():
    with make_pool(sys.argv[1]) as pool:
        pool.map(inc, range(1000))
        for line in sys.stdin:
            measure, count = line.split()[:2]
            print(json.dumps(MEASURES[measure](pool, int(count))), flush=True)


if __name__ == "__main__":
    main()

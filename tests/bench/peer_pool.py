# SPDX-License-Identifier: MIT
"""multiprocessing.Pool(2), doing what the benchmark's client does with procpool.

Reads commands from standard input and answers each with a line of JSON:

    apply COUNT     round trips of Pool.apply, one after the other
    flight COUNT    COUNT calls of Pool.apply_async, then all results collected
    map COUNT       one Pool.map over a list of COUNT integers, default chunksize
"""
import json
import multiprocessing
import statistics
import sys
import time


def inc(x):
    return x + 1


def check(results, count):
    if results != list(range(1, count + 1)):
        raise SystemExit("wrong results")


def measure_apply(pool, count):
    times = []
    for i in range(count):
        start = time.perf_counter()
        pool.apply(inc, (i,))
        times.append((time.perf_counter() - start) * 1e6)
    return {"median_us": statistics.median(times),
            "p99_us": sorted(times)[int(count * 0.99)]}


def measure_flight(pool, count):
    start = time.perf_counter()
    pending = [pool.apply_async(inc, (i,)) for i in range(count)]
    results = [call.get() for call in pending]
    seconds = time.perf_counter() - start
    check(results, count)
    return {"seconds": seconds, "per_second": count / seconds}


def measure_map(pool, count):
    items = list(range(count))
    start = time.perf_counter()
    results = pool.map(inc, items)
    seconds = time.perf_counter() - start
    check(results, count)
    return {"seconds": seconds, "per_second": count / seconds}


MEASURES = {"apply": measure_apply, "flight": measure_flight, "map": measure_map}


def main():
    with multiprocessing.Pool(2) as pool:
        pool.map(inc, range(1000))
        for line in sys.stdin:
            measure, count = line.split()[:2]
            print(json.dumps(MEASURES[measure](pool, int(count))), flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""A Python program that wants one result of a function whose module is slow to import, from two workers.

Usage: python_first.py multiprocessing|procpool

With procpool, the function is called by its name in the pool "slow", which is there before the program is.
"""

import sys


def multiprocessing_result():
    from multiprocessing import Pool

    import slow_module

    with Pool(2) as pool:
        return pool.apply(slow_module.inc, (41,))


def procpool_result():
    from procpool import Pool

    with Pool(name="slow") as pool:
        return pool.apply("slow_module:inc", (41,))


if __name__ == "__main__":
    print(multiprocessing_result() if sys.argv[1] == "multiprocessing" else procpool_result(), flush=True)

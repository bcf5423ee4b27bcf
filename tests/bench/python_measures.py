# SPDX-License-Identifier: MIT
"""What a Python program gains: the same program with multiprocessing.Pool, ProcessPoolExecutor and procpool.Pool.

Two workers each, in one interleaved run. A ratio is to the better of the two others.
"""

import os
import subprocess
import time

from measures import HERE, Row, interleave, median_of

PYTHON = "/usr/bin/python3"
KINDS = ("multiprocessing", "futures", "procpool")
SLOW_MODULE = HERE / "slow_module.py"
PACKAGE = HERE.parent.parent / "client" / "python"


def environment(bench, daemon):
    """In which the package is found, with its extension, and the daemon."""
    path = [str(PACKAGE), str(HERE), str(bench.build / "daemon" / "runtime" / "python")]
    return {"PROCPOOL_SOCKET": str(daemon.path), "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


class Programs:
    """python_pool.py once for each kind."""

    def __init__(self, bench):
        env = environment(bench, bench.daemon)
        self.programs = [bench.start([PYTHON, HERE / "python_pool.py", kind], env) for kind in KINDS]
        for each in self.programs:
            each.ask("apply", 100)

    def ask(self, repeats, *words):
        """What each kind answered, so many times, in the order of KINDS."""
        return interleave(repeats, *(lambda each=each: each.ask(*words) for each in self.programs))

    def close(self):
        for each in self.programs:
            each.close()


def python_pools(bench):
    programs, choose = Programs(bench), bench.choose
    found = programs.ask(choose(9, 5), "apply", choose(2000, 500))
    yield times("Python: apply, round trip", "<= 0.8", found)
    found = programs.ask(choose(7, 3), "flight", 10000)
    yield rates("Python: apply_async of 10,000, collected", ">= 2", found)
    found = programs.ask(choose(7, 3), "chunks", 10000)
    yield rates("Python: map of 10,000, chunksize=1", ">= 2", found)
    found = programs.ask(choose(5, 3), "len", 5)
    yield speedup("Python: 64 MiB of bytes as an argument", ">= 3", found)
    programs.programs.pop(KINDS.index("futures")).close()  # a million of its chunks of one take two minutes
    found = programs.ask(choose(7, 3), "map", 1000000)
    yield rates("Python: map of 1,000,000 ints", ">= 1", found, ("multiprocessing", "procpool"))
    programs.close()


def told(values, unit, kinds):
    """The medians of all kinds, for the report."""
    return ", ".join(f"{kind} {value:,.{0 if value >= 100 else 1}f}" for kind, value in zip(kinds, values)) + " " + unit


def row(name, target, found, key, scale, unit, ratio, kinds=KINDS):
    """ratio: of the median of ours and those of the others, which are made of `key` by scale."""
    medians = [median_of(results, key) * scale for results in found]
    return Row(name, ratio(medians[-1], medians[:-1]), target, told(medians, unit, kinds), dict(zip(kinds, found)))


def times(name, target, found):
    return row(name, target, found, "median_us", 1, "us", lambda ours, theirs: ours / min(theirs))


def speedup(name, target, found):
    return row(name, target, found, "median_us", 1e-3, "ms", lambda ours, theirs: min(theirs) / ours)


def rates(name, target, found, kinds=KINDS):
    return row(name, target, found, "per_second", 1, "/s", lambda ours, theirs: ours / max(theirs), kinds)


def python_first_result(bench):
    pools = {"slow": {"interpreter": PYTHON, "modules": [str(SLOW_MODULE)], "workers": 2}}
    package = {"PYTHONPATH": environment(bench, bench.daemon)["PYTHONPATH"]}
    env = environment(bench, bench.start_daemon(pools=pools, env=package))

    def first_result(kind):
        start = time.perf_counter()
        program = subprocess.run([PYTHON, HERE / "python_first.py", kind], env={**os.environ, **env},
                                 stdout=subprocess.PIPE, check=True)
        if program.stdout != b"42\n":
            raise RuntimeError(f"{kind}: {program.stdout!r}")
        return {"median_us": (time.perf_counter() - start) * 1e6}

    kinds = ("multiprocessing", "procpool")
    found = interleave(bench.choose(3, 1), *(lambda kind=kind: first_result(kind) for kind in kinds))
    yield row("Python: a program's first result, its module 2 s of import", "<= 0.1", found, "median_us", 1e-3, "ms",
              lambda ours, theirs: ours / theirs[0], kinds)


ALL = [python_pools, python_first_result]

# SPDX-License-Identifier: MIT
"""Functions that show as what their process runs, for the plain runtime."""

import os
import resource


def initialize(*args):
    global given
    given = args


def initargs():
    return list(given)


def fail(reason):
    raise ValueError(reason)


def settings():
    umask = os.umask(0)
    os.umask(umask)
    limits = {name: list(resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))) for name in ("cpu", "nofile", "core")}
    return {"pid": os.getpid(), "cwd": os.getcwd(), "umask": umask, "nice": os.nice(0), "cpus": sorted(os.sched_getaffinity(0)),
            "limits": limits}  # fmt: skip


def variable(name):
    return os.environ.get(name)

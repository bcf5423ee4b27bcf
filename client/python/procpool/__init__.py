# SPDX-License-Identifier: MIT
"""Warm worker processes for Python, with the calls of multiprocessing.Pool.

    from procpool import Pool

    if __name__ == "__main__":
        with Pool() as pool:
            print(pool.map(function, items))

Pool        multiprocessing.Pool, in workers that cannot hang the program
Executor    a concurrent.futures.Executor on such a pool
Client      a plain client of the daemon, for functions of any language
Error       what a call raises beside the function's own exceptions; a class for each kind of it

In functions that run in workers: current_job, attempt, progress, stopped, Stopped, worker_index.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

from ._version import VERSION as __version__
from .context import Stopped, attempt, call, current_job, progress, stopped, worker_index

if TYPE_CHECKING:
    from .client import Client
    from .errors import (
        Ambiguous,
        BadRequest,
        Busy,
        Cancelled,
        ConnectionLost,
        Denied,
        Error,
        Expired,
        FunctionFailed,
        InitializerFailed,
        NoSuchJob,
        NoSuchPool,
        NotReady,
        OutOfMemory,
        PoolClosed,
        RemoteTraceback,
        ShuttingDown,
        Timeout,
        TooLarge,
        UnknownFunction,
        UnknownMethod,
        WorkerLost,
        WouldDeadlock,
    )
    from .executor import Executor
    from .pool import Pool
    from .result import AsyncResult, MapResult

# What takes time to import is imported when it is first asked for: a worker needs little of it.
_MODULES = {
    "client": ["Client"],
    "executor": ["Executor"],
    "pool": ["Pool"],
    "result": ["AsyncResult", "MapResult"],
    "errors": [
        "Ambiguous", "BadRequest", "Busy", "Cancelled", "ConnectionLost", "Denied", "Error", "Expired",
        "FunctionFailed", "InitializerFailed", "NoSuchJob", "NoSuchPool", "NotReady", "OutOfMemory", "PoolClosed",
        "RemoteTraceback", "ShuttingDown", "Timeout", "TooLarge", "UnknownFunction", "UnknownMethod", "WorkerLost",
        "WouldDeadlock",
    ],
}  # fmt: skip
_LATER = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Ambiguous", "AsyncResult", "BadRequest", "Busy", "Cancelled", "Client", "ConnectionLost", "Denied", "Error",
    "Executor", "Expired", "FunctionFailed", "InitializerFailed", "MapResult", "NoSuchJob", "NoSuchPool", "NotReady",
    "OutOfMemory", "Pool", "PoolClosed", "RemoteTraceback", "ShuttingDown", "Stopped", "Timeout", "TooLarge",
    "UnknownFunction", "UnknownMethod", "WorkerLost", "WouldDeadlock", "__version__", "attempt", "call",
    "current_job", "progress", "stopped", "worker_index",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})

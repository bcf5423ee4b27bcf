# SPDX-License-Identifier: MIT
"""What a Pool and its calls may be told, checked here; and what `open` needs so that workers look like this process."""

from __future__ import annotations

import math
import operator
import os
import re
import resource
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional

from . import preparation
from .codec import PICKLE, Packed, array_header, concat_all, map_header, pack_scalar
from .connection import message, pack

Seconds = Optional[float]


def check_processes(processes: Optional[int]) -> int:
    """How many workers are meant: as many as there are processors that this process may use, if not told.

    ValueError and TypeError as multiprocessing.Pool raises them.
    """
    if processes is None:
        return len(os.sched_getaffinity(0))
    if processes < 1:
        raise ValueError("Number of processes must be at least 1")
    return _integer(processes)


def check_initializer(initializer: object, maxtasksperchild: object) -> None:
    """Raises what multiprocessing.Pool would."""
    if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
        raise ValueError("maxtasksperchild must be a positive int or None")
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be a callable")


def check_chunksize(chunksize: int) -> int:
    if chunksize < 1:
        raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
    return _integer(chunksize)


def call_options(timeout: Seconds = None, expires: Seconds = None, priority: Optional[int] = None,
                 retries: Optional[int] = None) -> Dict[str, Any]:  # fmt: skip
    """The options of a call that were given, checked. TypeError, ValueError."""
    options: Dict[str, Any] = {}
    if timeout is expires is priority is retries is None:
        return options
    if timeout is not None:
        options["timeout"] = _seconds("timeout", timeout)
        if timeout == 0:
            raise ValueError("timeout must be more than 0 seconds")
    if expires is not None:
        options["expires"] = _seconds("expires", expires)
    if priority is not None:
        options["priority"] = _integer(priority)
        if not -2 <= priority <= 2:
            raise ValueError(f"priority must be from -2 to 2, not {priority}")
    if retries is not None:
        options["retries"] = _integer(retries)
        if retries < 0:
            raise ValueError(f"retries must be 0 or more, not {retries}")
    return options


def pool_settings(**settings: Any) -> Dict[str, Any]:
    """Settings of `open` that were given (not None), checked as far as this side can. TypeError, ValueError."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        if name.endswith("_seconds"):
            given[name] = _seconds(name, value)
        elif name != "preload":
            given[name] = _integer(value)
    return given


def open_message(initializer: Optional[Callable[..., Any]], initargs: Iterable[Any], settings: Dict[str, Any],
                 options: Dict[str, Any]) -> Packed:  # fmt: skip
    """The request `open` for a pool whose workers have this process's interpreter, environment, limits and so on.

    `options` are those of preparation.describe(). Raises what pickling the initializer or its arguments raises.
    """
    keys: Dict[str, Any] = {
        "runtime": _runtime(),
        "pickle": True,
        "options": options,
        "cwd": _cwd(),
        "env_clear": True,
        "env": dict(os.environ),
        "umask": _umask(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "rlimits": _rlimits(),
        **settings,
    }
    parts: List[Packed] = []
    if initializer is not None:
        keys["initializer"] = "procpool:call"
        parts = [pack_scalar("initargs"), PICKLE.pack_array((initializer, *initargs))]
    head = [map_header(len(keys) + len(parts) // 2)]
    for name, value in keys.items():
        head += [pack_scalar(name), pack(value)]
    return message("open", concat_all([*head, *parts]))


def _integer(value: Any) -> int:
    """TypeError for what is none; True is 1, as multiprocessing has it."""
    return int(operator.index(value))


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number of seconds that is finite and not negative, not {value}")
    return float(value)


def _runtime() -> List[str]:
    flags: Callable[[], List[str]] = vars(_subprocess())["_args_from_interpreter_flags"]
    return [sys.executable, *flags(), os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker", "__main__.py")]


def _subprocess() -> Any:
    import subprocess  # 8 ms, so not with this package

    return subprocess


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed, and is still there for those who are in it
        return f"/proc/{os.getpid()}/cwd"


def _umask() -> int:
    """os.umask() can only tell it by changing it, for all threads."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        found = re.search(r"^Umask:\s*([0-7]+)", file.read(), re.MULTILINE)
    return int(found.group(1), 8) if found else 0o22


def _rlimits() -> Dict[str, List[Optional[int]]]:
    limits = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_") and name not in ("RLIMIT_OFILE", "RLIMIT_RSS"):
            both = resource.getrlimit(getattr(resource, name))
            limits[name[len("RLIMIT_"):].lower()] = [None if each == resource.RLIM_INFINITY else each for each in both]
    return limits


def describe_program() -> Dict[str, Any]:
    """`options` of open_message. RuntimeError where this process is a worker that loads its client's main module."""
    preparation.check_not_loading()
    options = preparation.describe()
    process = sys.modules.get("multiprocessing.process")
    if process is not None:  # else there is nothing that could be shared by its means
        options["authkey"] = bytes(process.current_process().authkey)
    return options

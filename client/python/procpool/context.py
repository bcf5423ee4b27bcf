# SPDX-License-Identifier: MIT
"""What a function can ask of the worker that runs it: its number, its job, whether it is to stop.

Outside of a worker all of this works too, and says so: no number, no job, never asked to stop. The loop that runs tasks
(worker/loop.py, or the extension _procpool) sets `running`; nothing here is set by anyone else.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Callable, Optional, Protocol, TypeVar

PROGRESS_BYTES = 4096  #: of a packed value that tells progress, as PROTOCOL.md has it
STOP_SIGNAL = int(signal.SIGRTMAX) - 2  #: asks a worker to stop what it runs; nobody else is likely to use it

Result = TypeVar("Result")


class Stopped(BaseException):
    """Raised in a function whose job was cancelled or that ran past its timeout.

    A function that lets it pass, or returns soon, keeps its worker warm; one that goes on all the same is killed with
    its worker after the pool's stop_seconds. It is no Exception, so that `except Exception` does not swallow it.
    """


Stopped.__module__ = "procpool"


class Running(Protocol):
    """What a loop tells of the element that it runs. All of it is called in the main thread or in others."""

    def job(self) -> int:
        """The job's id; 0 while no element runs."""

    def attempt(self) -> int:
        """Which attempt this is, from 1."""

    def stopped(self) -> bool:
        """Whether the element that runs was asked to stop; false while none runs."""

    def interrupt(self) -> bool:
        """Whether the signal that has come means what runs now: then it is to be raised in it.

        Only while code of the task runs (its arguments' unpickling, the function, its result's pickling), and once an
        element at most; in the loop's own code never.
        """

    def progress(self, value: bytes) -> None:
        """Tells progress, a packed value of at most PROGRESS_BYTES: 20 at once, 20 a second, and the last if it can."""


_running: Optional[Running] = None
_index: Optional[int] = None


def enter(index: int) -> None:
    """This process is the worker of that number, from 0; from now on a stop signal does it no harm."""
    global _index
    _index = index
    signal.signal(STOP_SIGNAL, _on_stop)


def attach(running: Running) -> None:
    """The loop of this worker, before its first task."""
    global _running
    _running = running


class _Forked:
    """In a process that a function has forked: whose it is, and no more; it has no part in the task."""

    def __init__(self, job: int, attempt: int) -> None:
        self._job = job
        self._attempt = attempt

    def job(self) -> int:
        return self._job

    def attempt(self) -> int:
        return self._attempt

    def stopped(self) -> bool:
        return False

    def interrupt(self) -> bool:
        return False

    def progress(self, value: bytes) -> None:
        pass


_forked: Optional[_Forked] = None


def before_fork() -> None:
    """In a worker."""
    global _forked
    _forked = _Forked(_running.job(), _running.attempt()) if _running is not None else None


def after_fork() -> None:
    """In its child."""
    global _running
    _running = _forked


def _on_stop(number: int, frame: Optional[FrameType]) -> None:
    if _running is not None and _running.interrupt():
        raise Stopped("asked to stop")


def call(function: Callable[..., Result], *args: Any, **kwds: Any) -> Result:
    """function(*args, **kwds): for callables that travel as arguments, as a pool's initializer does."""
    return function(*args, **kwds)


def worker_index() -> Optional[int]:
    """Which worker of its pool this process is, from 0; None outside of workers.

    While old workers end, numbers may be as large as or larger than the pool's number of workers.
    """
    return _index


def current_job() -> Optional[int]:
    """The id of the job whose function runs in this process; None outside of functions."""
    return (_running.job() or None) if _running is not None else None


def attempt() -> int:
    """Which attempt at its task this is, from 1; more than 1 only where the caller allowed retries."""
    return _running.attempt() if _running is not None else 1


def stopped() -> bool:
    """Whether the function that runs was asked to stop: for loops that cannot be interrupted by procpool.Stopped."""
    return _running is not None and _running.stopped()


def progress(value: Any) -> None:
    """Tells those who watch the job how far it has come: any plain value of at most 4096 bytes, packed.

    What comes faster than 20 a second is left out. Nothing happens outside of workers.
    Raises TypeError for what MessagePack cannot hold, ValueError for what is too large.
    """
    import msgpack  # most programs that import this package tell no progress

    packed: bytes = msgpack.packb(value)
    if len(packed) > PROGRESS_BYTES:
        raise ValueError(f"a value that tells progress has at most {PROGRESS_BYTES} bytes, this one has {len(packed)}")
    if _running is not None:
        _running.progress(packed)

# SPDX-License-Identifier: MIT
"""What a forked process does to be a worker, and what ends it."""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from typing import List, NoReturn, Optional

from .messages import CHANNEL_FD

JOINED_SECONDS = 0.05

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_IGNORED = {int(signal.SIGPIPE), int(signal.SIGXFSZ)}  # by Python: writing raises instead


class Descriptors:
    """What came with a fork: the worker's channel, its page, and its standard output and error."""

    def __init__(self, fds: List[int], page: bool) -> None:
        self._fds = list(fds)
        fds = list(fds)
        self.channel = fds.pop(0)
        self.page: Optional[int] = fds.pop(0) if page else None
        self.output, self.error = fds[:2] if len(fds) >= 2 else (None, None)

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def take(self) -> Optional[int]:
        """Puts them where a worker has them, and closes the rest: the descriptor of the page is returned."""
        os.dup2(self.channel, CHANNEL_FD, inheritable=False)
        if self.output is not None and self.error is not None:
            os.dup2(self.output, 1)
            os.dup2(self.error, 2)
        for fd in self._fds:
            if fd != self.page:
                os.close(fd)
        return self.page


def become_worker(parent: int) -> None:
    """A session and signals of its own, and an end with its parent, a process id."""
    os.setsid()
    try:
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        prctl(_PR_SET_NAME, b"procpool-worker", 0, 0, 0)
    except (OSError, AttributeError):
        pass  # then it ends when its channel does
    if os.getppid() != parent:
        os._exit(1)
    reset_signals()


def reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        try:
            # None: by other than Python's means, as faulthandler does, which is to stay.
            if signal.getsignal(number) is not None:
                signal.signal(number, signal.SIG_IGN if number in _IGNORED else signal.SIG_DFL)
        except (OSError, ValueError):
            pass  # SIGKILL and SIGSTOP, and those that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reseed() -> None:
    """Random numbers that differ from those of other workers, where modules keep a state of them."""
    for name in ("random", "numpy.random"):
        seed = getattr(sys.modules.get(name), "seed", None)
        if callable(seed):  # it may be a program's own module of that name
            seed()


def forget_exit_handlers() -> None:
    """What was registered to run at exit while modules were loaded is the spawner's, which runs it once: a directory
    that a module has made for all workers must not go with the first of them."""
    atexit._clear()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()


def name_process(number: int) -> None:
    """What multiprocessing.current_process() tells, where it is loaded: many look there for a worker's number, and
    logging does for %(processName)s."""
    module = sys.modules.get("multiprocessing.process")
    if module is not None:
        current = module.current_process()
        current._name = f"PoolWorker-{number}"
        current._identity = (number,)


def tell_crashes() -> None:
    """Has a fatal signal print where it hit the code: the end of standard error is told with the lost call."""
    if not faulthandler.is_enabled():
        faulthandler.enable(2)


def close_to_children(fd: int) -> None:
    """What this process forks is no worker: it must neither answer in its place nor keep its channel open."""
    open_here = True

    def replace() -> None:
        nonlocal open_here  # children of a child have nothing there, or what they have opened
        if open_here:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, fd, inheritable=False)
            os.close(null)
        open_here = False

    os.register_at_fork(after_in_child=replace)


def close_from(first: int) -> None:
    """Closes all descriptors from this one on."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) >= first:
            try:
                os.close(int(name))
            except OSError:
                pass  # that of the listing itself


def threads() -> int:
    """Of this process, Python's and others."""
    return len(os.listdir("/proc/self/task"))


def has_more_threads(before: int) -> bool:
    """Whether there are more than `before`, and stay: one that was joined is still listed for a moment."""
    deadline = time.monotonic() + JOINED_SECONDS
    while threads() > before:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.001)
    return False


def finish(status: int) -> NoReturn:
    """The end of a forked process: what it has registered to run at exit does, what others of it would not."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util._exit_function()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                pass
        os._exit(status)

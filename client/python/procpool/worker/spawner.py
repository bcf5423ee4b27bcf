# SPDX-License-Identifier: MIT
"""The pool's first process: loads its code once, forks workers from it, and tells how they end.

Where loading leaves threads behind, which a fork does not copy, it executes itself anew and loads nothing: each worker
does then. It watches no files for changes (the message stale): that needs inotify, which Python does not have.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource  # noqa: F401, which os.wait4() imports else, when a program's module of that name may be found first
import signal
import sys
from selectors import EVENT_READ, DefaultSelector  # here: modules may patch it later (gevent does)
from typing import Any, Dict, List, NoReturn, Optional, Tuple

import msgpack

from .._version import PROTOCOL, VERSION
from ..context import STOP_SIGNAL
from . import failure, loading, process
from .channel import Channel
from .functions import Functions
from .messages import CHANNEL_FD, EXITED, FAILED, FORK, FORKED, HELLO, KILL, LOG, READY, ProtocolError
from .native import has_page
from .output import Output
from .start import Start
from .worker import failed, run_worker

FORK_FAILED_STATUS = 127
RESUME = "--resume"  #: argument of a spawner that its predecessor has executed, with a descriptor of what it knew


class Spawner:
    """Lives in one process; a worker forked from it leaves by os._exit()."""

    def __init__(self) -> None:
        self._output = Output()
        self._channel = Channel(CHANNEL_FD)
        self._children: Dict[int, int] = {}  # worker's number -> pid
        self._functions: Optional[Functions] = None  # None: workers load
        self._page = has_page()

    def run(self, resume: Optional[int]) -> int:
        """To the end of the channel: the process's exit status."""
        try:
            self._start, ready = self._resume(resume) if resume is not None else self._begin()
            self._wake, self._wakeup = self._watch_children()
            self._channel.send(ready)
            self._serve()
        except (BrokenPipeError, ConnectionResetError):
            pass  # as the end of the channel
        except SystemExit as e:
            return e.code if isinstance(e.code, int) else 1
        finally:
            self._end_children()
            self._channel.detach()  # it ends with the process, whose exit handlers run before
        return 0

    def _begin(self) -> Tuple[Start, bytes]:
        """From hello to what `ready` is to say. SystemExit where loading failed and was said so, or at an early end."""
        self._channel.send_message(HELLO, {
            "protocol": PROTOCOL, "runtime": "python", "version": VERSION, "fork": True, "output": True,
            "page": self._page, "stop_signal": STOP_SIGNAL})
        start = Start(self._next_frame())
        functions = Functions(any_name=start.options is not None)
        try:
            threaded = loading.load(start, functions)
        except BaseException as e:
            self._output.flush()
            self._channel.send(failed(e, start))
            sys.exit(1)
        self._output.flush()
        ready: bytes = msgpack.packb([READY, functions.listed()])
        if threaded is not None:
            self._log("warning", f"module {threaded} starts threads while it is loaded, which a fork does not copy: "
                                 "every worker loads the pool's modules anew")
            restart(start, ready)
        self._functions = functions
        start.frame = b""  # it may be large, and every worker would have it
        return start, ready

    def _next_frame(self) -> bytes:
        while True:
            for frame in self._channel.messages():
                return frame
            if not self._channel.fill():
                sys.exit(0)

    def _resume(self, fd: int) -> Tuple[Start, bytes]:
        with open(fd, "rb") as file:
            file.seek(0)
            start, ready = msgpack.unpackb(file.read())
        process.close_from(CHANNEL_FD + 1)  # what the modules had opened, and may be inherited
        return Start(start), ready

    def _watch_children(self) -> Tuple[int, int]:
        """A pipe that can be read after a SIGCHLD. After loading, which may have changed what happens then."""
        wake, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
        return wake, wakeup

    def _serve(self) -> None:
        gc.collect()
        gc.freeze()  # what is loaded stays, and a worker's collections need not write to its pages
        with DefaultSelector() as selector:
            self._selector = selector
            selector.register(self._channel, EVENT_READ)
            selector.register(self._wake, EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    self._drain()
                    self._reap()
                if self._channel in ready:
                    if not self._channel.fill():
                        return
                    for frame in self._channel.messages():
                        self._handle(msgpack.unpackb(frame))

    def _drain(self) -> None:
        try:
            while len(os.read(self._wake, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def _handle(self, message: List[Any]) -> None:
        number, worker = message[:2]
        if number == FORK:
            self._fork(worker, process.Descriptors(self._channel.take_fds(), self._page))
        elif number == KILL:
            pid = self._children.get(worker)  # not reaped yet, so the pid is still its own
            if pid is not None:
                os.kill(pid, message[2])
        else:
            raise ProtocolError(f"message {number!r}")

    def _fork(self, worker: int, descriptors: process.Descriptors) -> None:
        self._output.flush()  # else every worker would print it once more
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as e:
            descriptors.close()
            self._log("error", f"cannot fork worker {worker}: {e.strerror}")
            self._channel.send_message(EXITED, worker, {
                "exit_status": FORK_FAILED_STATUS, "user_us": 0, "system_us": 0, "max_rss_kib": 0})
            return
        if pid == 0:
            self._be_worker(worker, parent, descriptors)
        descriptors.close()
        self._children[worker] = pid
        self._channel.send_message(FORKED, worker, pid)

    def _be_worker(self, worker: int, parent: int, descriptors: process.Descriptors) -> NoReturn:
        try:
            process.become_worker(parent)
            # Closed as the objects that they are, so that none closes a descriptor of another some day. What modules
            # have opened while they were loaded they may rely on.
            self._selector.close()
            os.close(self._wake)
            os.close(self._wakeup)
            page = descriptors.take()
            self._children.clear()
            self._channel.detach()
            run_worker(self._start, worker, self._functions, self._output, page)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _reap(self) -> None:
        """Only workers: what modules have started while they were loaded is theirs to wait for."""
        for worker, pid in list(self._children.items()):
            try:
                reaped, status, usage = os.wait4(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            if reaped == 0:
                continue
            del self._children[worker]
            how = {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else {
                "exit_status": os.WEXITSTATUS(status)}
            self._channel.send_message(EXITED, worker, {
                **how, "user_us": int(usage.ru_utime * 1e6), "system_us": int(usage.ru_stime * 1e6),
                "max_rss_kib": usage.ru_maxrss})

    def _end_children(self) -> None:
        """They die with this process anyway; this way they are gone before it is."""
        for pid in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._children.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _log(self, level: str, text: str) -> None:
        self._channel.send_message(LOG, level, failure.bounded(text, 1000).replace("\n", " "))


def restart(start: Start, ready: bytes) -> NoReturn:
    """Executes this program anew, without threads and without what was loaded; the channel and what is known stay."""
    fd = os.memfd_create("procpool", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(msgpack.packb([start.frame, ready]))
    os.set_inheritable(CHANNEL_FD, True)
    with open("/proc/self/cmdline", "rb") as file:
        arguments = file.read().split(b"\0")[1:-1]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable.encode(), *arguments, RESUME.encode(), str(fd).encode()])

# SPDX-License-Identifier: MIT
"""A daemon for this process alone, for where there is none that it could use.

procpoold --private watches the pidfd of this process, so nothing need be done at the end: however this process ends, the
daemon and all that it has started end too, and nothing ends before (procpoold(8), "Private daemons").

There is at most one for each process, which all pools of it share. A child after os.fork() gets its own, since its
parent's ends with the parent.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Iterator, List, Optional

PROGRAM = "procpoold"
START_SECONDS = 30.0  #: that it may take until it listens; usually it takes some milliseconds

_FIRST_FREE = 10  # descriptors from here on are in nobody's way while those below are arranged
_CREATOR = 3  # the pidfd, in the daemon

_lock = threading.Lock()
_path: Optional[str] = None  # of the socket of this process's daemon, guarded by _lock


def daemon() -> str:
    """The path of the socket of this process's private daemon, which is started where it does not run yet.

    May be called by several threads. One that has died is noticed, and another started.

    Raises FileNotFoundError where there is no procpoold, RuntimeError where it does not start; what it has to say
    about that is on standard error.
    """
    global _path
    with _lock:
        if _path is not None and not _is_alive(_path):
            _remove(_path)
            _path = None
        if _path is None:
            _path = _start(find())
        return _path


def find() -> str:
    """The program: $PROCPOOL_DAEMON, else the first of that name beside this interpreter, in $PATH, or in the system's
    directories for daemons. FileNotFoundError where there is none."""
    told = os.environ.get("PROCPOOL_DAEMON")
    if told:
        if _is_program(told):
            return told
        raise FileNotFoundError(f"PROCPOOL_DAEMON is {told!r}, and that is no program: it must be the path of procpoold")
    for directory in _directories():
        path = os.path.join(directory, PROGRAM)
        if _is_program(path):
            return path
    raise FileNotFoundError(
        "a pool needs procpoold, the daemon that keeps its workers, and there is none: neither does one of this user's "
        f"run, nor is the program in {sys.prefix}/bin, $PATH, /usr/local/sbin or /usr/sbin. Install procpool (this "
        "Python package is only its client), or set PROCPOOL_DAEMON to the path of procpoold"
    )


def _directories() -> Iterator[str]:
    for name in ("bin", "sbin"):
        yield os.path.join(sys.prefix, name)
    for directory in os.get_exec_path():
        if directory:  # not the current one, by mistake
            yield directory
    yield from ("/usr/local/sbin", "/usr/sbin")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError):
            return False  # PermissionError: this process has become another user's
    return True


def _remove(path: str) -> None:
    """What a daemon that was killed could not remove itself."""
    for name in (path, path + ".lock"):
        with contextlib.suppress(OSError):
            os.unlink(name)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


@atexit.register
def _clean_up() -> None:
    """At the end: one that lives cleans up itself, but one that was killed cannot."""
    with contextlib.suppress(OSError):
        if _path is not None and not _is_alive(_path):
            _remove(_path)


def _move(fd: int) -> int:
    """The descriptor under a number at which it is in nobody's way."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(fd)


def _start(program: str) -> str:
    """Starts it, and returns the path that it prints."""
    deadline = time.monotonic() + START_SECONDS
    with contextlib.ExitStack() as opened:

        def keep(fd: int) -> int:
            opened.callback(os.close, fd)
            return fd

        creator = keep(_move(os.pidfd_open(os.getpid())))
        reads, writes = os.pipe()
        keep(reads)
        writes = _move(writes)
        try:
            # Neither fork(), which would copy a process of any size and run others' handlers, nor subprocess, which is
            # slow to import. The session is its own from the first moment on, so that no Ctrl-C comes between.
            launcher = os.posix_spawn(
                program,
                [program, "--private", "--creator", str(_CREATOR)],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writes, 1),
                    (os.POSIX_SPAWN_DUP2, creator, _CREATOR),
                ],
                setsid=True,
            )
        finally:
            os.close(writes)
        try:
            line = _read_line(reads, deadline)
        except BaseException:  # KeyboardInterrupt, too: then nobody is there to be told, and the daemon ends by itself
            os.kill(launcher, signal.SIGKILL)
            _reap(launcher)
            raise
    status = _reap(launcher)  # it has gone to the background
    if not line:
        raise RuntimeError(f"{program} --private ended with status {status}: it may have told why on standard error")
    return os.fsdecode(line)


def _reap(pid: int) -> Optional[int]:
    """What it ended with; None where somebody in this process who waits for all children was quicker."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None


def _read_line(fd: int, deadline: float) -> bytes:
    """A line without its end, or b"" where the other end was closed before there was one."""
    parts: List[bytes] = []
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise RuntimeError(f"procpoold --private did not listen within {START_SECONDS:g} seconds")
        part = os.read(fd, 4096)
        parts.append(part)
        if not part:
            return b""
        if part.endswith(b"\n"):
            return b"".join(parts)[:-1]


def _begin_anew() -> None:
    """In a child: its parent's daemon is not its own, and the lock may have been a thread's that is not here."""
    global _lock, _path
    _lock = threading.Lock()
    _path = None


os.register_at_fork(after_in_child=_begin_anew)

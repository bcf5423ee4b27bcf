# SPDX-License-Identifier: MIT
"""The thread that reads for a connection while nobody waits, and sends what was left unsent.

It is in one of four states:

asleep    nothing is wanted, or somebody reads who waits for what takes longer: until it is woken
ticking   looks after TICK seconds whether others have read; if not, reads what has come
dozing    the same after longer naps, for each look takes the interpreter's lock from those who read
watching  waits for the socket: nobody reads, and little is under way
"""

from __future__ import annotations

import select
import socket
import threading
from typing import Callable, Optional, Protocol

from . import threads

TICK = 0.002  # seconds
DOZE = 0.05
FEW = 16  #: calls under way that are read for one by one


class Attended(Protocol):
    """What it looks after."""

    leading: bool  # somebody reads
    sends: int  # grows with what is submitted
    reads: int  # and with what is read

    def wanted(self) -> bool:
        """Whether something may come though nobody waits for it, or is to be sent."""

    def under_way(self) -> int:
        """How many calls are."""

    def send_rest(self) -> None:
        """Sends what was left unsent."""

    def read_now(self) -> bool:
        """Reads what has come, and hands it on; False where another thread reads."""


class Attendant:
    """Of one connection; the thread is started when it is first woken.

    started         it was woken some time
    asleep, dozing  it will not look soon, unless it is woken
    watching        it will not look for what is to be sent, which must be sent at once
    """

    def __init__(self, attended: Attended, sock: socket.socket) -> None:
        self.watching = False
        self.asleep = False
        self.started = False
        self.dozing = False
        self._attended = attended
        self._sock = sock
        self._lock = threading.Lock()
        self._nap = threading.Lock()  # it sleeps on this
        self._nap.acquire()
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def wake(self) -> None:
        """It looks soon from now on."""
        if not self.started:
            with self._lock:
                if self._thread is None and not self._closed:
                    self._thread = threads.thread(self._run, "procpool-attendant")
                    self.started = True
                    threads.start(self._thread)
        self.asleep = False
        threads.release(self._nap)

    def close(self) -> None:
        """Lets it end; the socket has been shut down."""
        self._closed = True
        self.asleep = False
        threads.release(self._nap)

    def join(self, timeout: float) -> bool:
        """Waits until it has ended after close(), at most so many seconds; whether it has. True in its own thread."""
        thread = self._thread
        if thread is None or not thread.ident or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self) -> None:
        attended, nap = self._attended, TICK
        while not self._closed:
            if not attended.wanted():
                self._sleep(attended.wanted)
                continue
            sends, reads, leading = attended.sends, attended.reads, attended.leading
            self.dozing = nap > TICK
            self._nap.acquire(timeout=nap)
            self.dozing = False
            attended.send_rest()
            nap = min(nap * 2, DOZE) if reads != attended.reads and sends == attended.sends else TICK
            if attended.leading:
                if leading and reads == attended.reads:
                    self._sleep(lambda: not attended.leading)
            elif reads == attended.reads and not self._closed:
                attended.read_now()
                if self._is_little() or reads == attended.reads and sends == attended.sends:
                    self._watch()

    def _sleep(self, unless: Callable[[], bool]) -> None:
        self.asleep = True
        if not unless() and not self._closed:
            self._nap.acquire()
        self.asleep = False

    def _is_little(self) -> bool:
        """Whether so little is under way that what comes is better read at once, for somebody may wait for it."""
        return self._attended.under_way() <= FEW

    def _watch(self) -> None:
        attended = self._attended
        self.watching = True
        try:
            while attended.wanted() and not self._closed:
                attended.send_rest()
                await_input(self._sock, None)
                if attended.leading or not attended.read_now():
                    return
                if not self._is_little():
                    return  # what comes is to be read in larger parts
        finally:
            self.watching = False


def await_input(sock: socket.socket, timeout_ms: Optional[float]) -> None:
    """Waits until there is something to read, or the end."""
    if sock.fileno() >= 0:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.poll(timeout_ms)

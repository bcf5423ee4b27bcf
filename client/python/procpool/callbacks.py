# SPDX-License-Identifier: MIT
"""The thread in which a connection's callbacks run, one after the other."""

from __future__ import annotations

import queue
import threading
from typing import Callable, Optional

from . import threads
from .pending import Call


class Callbacks:
    """Runs `done` of calls in the order in which they were put. The thread is started when it is first needed."""

    def __init__(self, before: Callable[[], None], after: Callable[[Call], None]) -> None:
        """`before` is called before each, `after` with the call when it has ended."""
        self._before = before
        self._after = after
        self._queue: queue.SimpleQueue[Optional[Call]] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def here(self) -> bool:
        """Whether this is the thread in which they run."""
        return threading.current_thread() is self._thread

    def prepare(self) -> None:
        """Starts the thread, if it does not run."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threads.thread(self._run, "procpool-callbacks")
                    threads.start(self._thread)

    def put(self, call: Call) -> None:
        """Lets its `done` be called; once, however often it is put."""
        self._queue.put(call)
        self.prepare()

    def close(self) -> None:
        """Lets the thread end when it has nothing to do. What is put later is called all the same."""
        self._closed = True
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            try:
                call = self._queue.get(block=not self._closed)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            if call is None or call.ended:
                continue
            self._before()
            try:
                assert call.done is not None
                call.done(call)
            except BaseException as e:  # SystemExit of a callback ends nothing but that
                call.failure = e
            call.done = None
            call.ended = True
            self._after(call)
            del call

# SPDX-License-Identifier: MIT
"""Elements on their way through a pool: segments of the input that are sent as maps, and what comes of them.

A map and an imap are each a Stream. It sends as much ahead as its window allows, and notes what arrives as it
arrives, in `arrived`, where whoever wants it takes it. In a streamed map every element has an outcome: its value, its
own error, or that of the job it was in (cancelled, connection lost); so nothing is missing at the end.

Who works: the thread that makes a stream sends what the window takes; if input remains, or may block, a thread of the
stream's own goes on (the feeder). The thread that receives notes what comes, and sends what the feeder has gathered.
It never runs code of the user's: values stay as they came.

The input's own code may wait for ever. So whatever ends a stream does not wait for the feeder: from then on the input
counts as ended, and what it yields yet is dropped.

Input that may block is taken element by element, and each is sent at once as long as workers may be idle; only when
enough is under way are elements gathered into larger maps. So a result never waits for the next input.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import Any, Callable, Deque, Iterable, List, Optional, Set, Tuple

from .codec import Packed, array_header, concat_all, size
from .pending import Subject
from .connection import Connection, Job
from .errors import Cancelled
from .segments import ELEMENTS_MAX, Failure, Segment, Segments

Run = Tuple[int, List[Any], bool]  # first, outcomes, whether these are bare values, else pairs [error, value]
Submit = Callable[[Packed, Callable[..., Any], Callable[..., Any]], Job]  # items, on_run, on_end

UNDER_WAY_BYTES = 16 << 20  # of input, sent or gathered and not answered
UNDER_WAY_ELEMENTS = 16 * ELEMENTS_MAX
GATHER_MAX = 256  # elements gathered from input that may block
WINDOW_MAX = 4096  # elements of a bounded stream that are under way, or have arrived and were not taken
WINDOW_BYTES = 64 << 20  # the same in bytes of results, guessed from those that have come


def wait(connection: Connection, subject: Subject, ready: Callable[[], bool], timeout: Optional[float]) -> bool:
    """Waits until ready(), which is asked whenever the subject has changed; whether it is so within these seconds."""
    deadline = None if timeout is None else monotonic() + max(timeout, 0.0)
    while True:
        seen = subject.version
        if ready():
            return True
        if not connection.wait_change(subject, seen, deadline):
            return ready()


class Stream(Subject):
    """See the module's text. Any thread may call any method, and wait for it to change (Connection.wait_change).

    arrived  deque of runs, appended to in the order in which they come
    total    number of elements, known once `fed`
    fed      all input has been taken
    error    then: the exception with which the input ended, or None
    ended    fed, and every element has its outcome in `arrived`
    """

    def __init__(self, connection: Connection, submit: Submit, segments: Segments, *, bulk: bool, bounded: bool,
                 workers: int, chunksize: int = 1, on_feed: Optional[Callable[[Stream], object]] = None,
                 on_fed: Optional[Callable[[Stream], object]] = None,
                 on_end: Optional[Callable[[Stream], object]] = None) -> None:  # fmt: skip
        """Sends what it may.

        submit   sends a packed array of elements as a map, streamed as values and collecting errors
        bulk     whether the input cannot block, so that many elements may be taken at once
        bounded  whether what has arrived counts until it is `consumed()`
        on_feed  called before a feeder begins
        on_fed   called when all input has been sent, or will not be; perhaps twice
        on_end   called with the stream when it has ended, perhaps more than once; in any thread, also in the one that
                 makes the stream, before it has been made
        """
        super().__init__(connection)
        self.arrived: Deque[Run] = deque()
        self.fed = False
        self.ended = False
        self.error: Optional[BaseException] = None
        self._submit = submit
        self._segments = segments
        self._bulk = bulk
        self._bounded = bounded
        self._on_fed = on_fed
        self._on_end = on_end
        self._chunksize = chunksize
        self._enough = max(2 * workers, 2) * chunksize  # elements under way with which no worker is idle
        # Of all below; held for moments, never while calling out. Its owner may come again: the garbage that is
        # collected meanwhile may be the iterator of this very stream.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)  # the feeder waits for it
        self._parts: Set[_Part] = set()
        self._gathered: List[Packed] = []
        self._gathered_first = 0
        self._under_way = 0  # elements
        self._bytes = 0  # of them
        self._consumed = 0
        self._answered = 0
        self._answered_bytes = 0
        self._window = max(4 * workers, 16) * chunksize
        self._stopped = False
        self._abandoned = False
        self._feeder: Optional[threading.Thread] = None
        try:
            while bulk and not self.fed and self._has_room():
                self._feed_bulk()
            if not self.ended:
                connection.streams[self] = None
            if connection.reason is not None:  # perhaps before it was noted
                self.stop(connection.reason)
            if self.ended:
                connection.streams.pop(self, None)
            if not self.fed:
                if on_feed is not None:
                    on_feed(self)
                self._feeder = threading.Thread(target=self._feed, name="procpool-feeder", daemon=True)
                self._feeder.start()
        except BaseException:  # Ctrl-C: nobody will know of what was sent
            self.cancel()
            raise

    @property
    def total(self) -> int:
        return self._segments.taken

    # What others do with it

    def consumed(self, elements: int) -> None:
        """So many of those that arrived were taken: there is room again."""
        self._consumed += elements
        if not self.fed:
            with self._lock:
                self._window = min(max(self._window, 2 * self._consumed), max(WINDOW_MAX, self._window))
                self._room.notify()

    def unbound(self) -> None:
        """From now on what has arrived does not count: all input is taken, as join() needs it."""
        with self._lock:
            self._bounded = False
            self._room.notify()

    def abandon(self, stop: bool) -> None:
        """Nobody takes what arrives any more: it is dropped. `stop` does what stop() does; else all input is taken."""
        with self._lock:
            self._abandoned = True
            self._bounded = False
            self._room.notify()
        if stop:
            self.stop()
        self.arrived.clear()

    def stop(self, why: Optional[Exception] = None) -> None:
        """No more input is taken; `why` is raised in its place. What has been sent goes on."""
        with self._lock:
            self._stopped = True
            self._room.notify()
            if self.fed:
                return
            why = why or Cancelled("it was cancelled before all of its input was taken")
            self._drop_gathered(why)
            self.error = self._segments.error or why
            self.fed = True
            self._check_end()
        self._report_end()
        if self._on_fed is not None:
            self._on_fed(self)
        self._connection.changed(self)

    def fed_here(self) -> bool:
        """Whether it is the calling thread that feeds it: it must not wait for the end of what it does itself."""
        return self._feeder is threading.current_thread()

    def forked(self, why: Exception) -> None:
        """In a child of fork(): nothing comes there, and its locks may be held by threads that are not."""
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._stopped = self.fed = self.ended = self.came = True
        self.error = why
        self.waiters = None
        if self._on_end is not None:
            self._on_end(self)

    def cancel(self) -> bool:
        """Ends all that has not ended, and the input; whether there was anything."""
        cancelled = not self.fed
        self.stop()
        with self._lock:
            parts = [part.job for part in self._parts]
        for job in parts:
            if job is not None and not job.ended:
                job.cancel()
                cancelled = True
        return cancelled

    # Feeding

    def _has_room(self) -> bool:
        if self._under_way and (self._bytes >= UNDER_WAY_BYTES or self._under_way >= UNDER_WAY_ELEMENTS):
            return False
        return not self._bounded or self._segments.taken - self._consumed < self._limit()

    def _limit(self) -> int:
        """Elements that a bounded stream may have taken and not given out."""
        if not self._answered_bytes:
            return self._window
        fitting = WINDOW_BYTES * self._answered // self._answered_bytes
        return min(self._window, max(fitting, self._enough))

    def _feed(self) -> None:
        """The feeder's thread."""
        try:
            while not self.fed:
                with self._lock:
                    while not (self._has_room() or self._stopped):
                        self._room.wait()
                    stopped = self._stopped
                if stopped:
                    return
                if self._bulk:
                    self._feed_bulk()
                else:
                    self._feed_one()
        except BaseException as error:  # SystemExit of the input, too, must not leave anybody waiting
            self._segments.error = error
            self._finish_feeding()
        if self._on_fed is not None:
            self._on_fed(self)

    def _feed_bulk(self) -> None:
        most = ELEMENTS_MAX if not self._bounded else max(self._limit() // 4, self._chunksize)
        piece = self._segments.cut(most)
        if isinstance(piece, Segment):
            part = _Part(self, piece.first, piece.length, piece.bytes)
            with self._lock:
                if self.fed:
                    return
                self._note(part)
            self._send(part, piece.items)
        elif piece is not None:
            self._fail(piece)
        if self._segments.ended:
            self._finish_feeding()

    def _feed_one(self) -> None:
        packed = self._segments.one()
        if isinstance(packed, Failure):
            self._send_gathered(always=True)  # indices in a part follow one another
            self._fail(packed)
        elif packed is not None:
            with self._lock:
                if self.fed:
                    return
                if not self._gathered:
                    self._gathered_first = self._segments.taken - 1
                self._gathered.append(packed)
            self._send_gathered()
        else:
            self._finish_feeding()

    def _finish_feeding(self) -> None:
        self._send_gathered(always=True)
        with self._lock:
            if self.fed:
                return
            self.error = self._segments.error
            self.fed = True
            self._check_end()
        self._report_end()
        self._connection.changed(self)

    def _fail(self, failure: Failure) -> None:
        with self._lock:
            if self._abandoned or self.fed:
                return
            self.arrived.append((failure.place, [(failure.error, None)], False))
        self._connection.changed(self)

    def _send_gathered(self, always: bool = False) -> None:
        with self._lock:
            count = len(self._gathered)
            if not count or not always and (count % self._chunksize or (
                    self._under_way >= self._enough and count < GATHER_MAX)):  # fmt: skip
                return
            parts, self._gathered = self._gathered, []
            part = _Part(self, self._gathered_first, count, sum(map(size, parts)))
            self._note(part)  # at once: else it would look as if there were nothing left of the stream
        self._send(part, concat_all([array_header(count), *parts]))

    def _drop_gathered(self, why: Exception) -> None:
        """What will not be sent ends so. With the lock held."""
        if self._gathered and not self._abandoned:
            self.arrived.append((self._gathered_first, [(why, None)] * len(self._gathered), False))
        self._gathered = []

    def _note(self, part: _Part) -> None:
        """It is about to be sent. With the lock held."""
        self._parts.add(part)
        self._under_way += part.length
        self._bytes += part.bytes

    def _send(self, part: _Part, items: Packed) -> None:
        try:
            part.job = self._submit(items, part.on_run, part.on_end)
        except Exception as error:  # the connection has ended, or will not take it
            self._ended(part, error)
            if self._connection.closed:
                self.stop(error)
            return
        if self._stopped and not part.job.ended:
            part.job.cancel()

    # What comes, in the thread that receives

    def _came(self, first: int, outcomes: List[Any], bare: bool) -> None:
        if not self._abandoned:
            self.arrived.append((first, outcomes, bare))
        with self._lock:
            self._under_way -= len(outcomes)
            self._answered += len(outcomes)
            if self._bounded:
                self._answered_bytes += _weigh(outcomes)
            self._room.notify()
            idle = self._gathered and self._under_way < self._enough
        if idle:
            self._send_gathered()
        self._connection.changed(self)

    def _ended(self, part: _Part, error: Any) -> None:
        if part in self._parts:  # else it is told again, for that was interrupted
            for first, length in part.missing():
                self._came(part.first + first, [(error, None)] * length, False)
            with self._lock:
                self._parts.discard(part)
                self._bytes -= part.bytes
                self._room.notify()
                self._check_end()
        self._report_end()
        self._connection.changed(self)

    def _check_end(self) -> None:
        if self.fed and not self._parts and not self._gathered:
            self.ended = self.came = True

    def _report_end(self) -> None:
        if not self.ended:
            return
        self._connection.streams.pop(self, None)
        if self._on_end is not None:
            self._on_end(self)


class _Part:
    """What is sent of a stream as one map."""

    __slots__ = ("stream", "first", "length", "bytes", "spans", "job")

    def __init__(self, stream: Stream, first: int, length: int, bytes_: int) -> None:
        self.stream = stream
        self.first = first
        self.length = length
        self.bytes = bytes_
        self.spans: List[Tuple[int, int]] = []  # (first, length) of what has come of it
        self.job: Optional[Job] = None

    def on_run(self, job: Job, first: int, outcomes: List[Any], bare: bool) -> None:
        if (first, len(outcomes)) in self.spans[-1:]:  # told again
            return
        self.spans.append((first, len(outcomes)))
        self.stream._came(self.first + first, outcomes, bare)

    def on_end(self, job: Job) -> None:
        self.stream._ended(self, job.error or "function-failed: the daemon has told no outcome of this element")

    def missing(self) -> Iterable[Tuple[int, int]]:
        """The spans that have not come."""
        end = 0
        for first, length in sorted(self.spans):
            if first > end:
                yield end, first - end
            end = max(end, first + length)
        if end < self.length:
            yield end, self.length - end


def _weigh(outcomes: List[Any]) -> int:
    """About the bytes that these outcomes keep."""
    return sum(len(getattr(each, "data", each)) if hasattr(each, "data") or isinstance(each, (str, bytes)) else 16
               for each in outcomes)  # fmt: skip

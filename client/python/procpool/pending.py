# SPDX-License-Identifier: MIT
"""What stands for a request under way, see connection.py: Call, Job, Listener, and the Lane that holds them back."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Tuple

from .codec import Buffer
from .errors import Error, NoSuchJob, NotReady, from_wire

if TYPE_CHECKING:
    from .connection import Connection

WINDOW = 2048  #: requests of a lane that are under way at most; fewer where the daemon's limits are low
WINDOW_BYTES = 32 << 20  #: the same in bytes; one larger request goes alone

Loads = Callable[[Any], Any]
Run = Tuple[int, List[Any], bool]


class Lane:
    """Requests that are held back together; see Call. Of one connection, made by Connection.lane().

    window, window_bytes  so many are under way at most
    """

    __slots__ = ("window", "window_bytes", "begun", "begun_bytes", "finished", "finished_bytes", "held")

    def __init__(self, limits: Dict[str, Any]) -> None:
        """limits  the daemon's, of which it takes half at most"""
        self.window = _share(WINDOW, limits, ("jobs_session", "jobs_user"))
        self.window_bytes = _share(WINDOW_BYTES, limits, ("queued_bytes_session", "queued_bytes_user"))
        # Each number is written by one side only, so they need no lock: begun by who submits, finished by the reader.
        self.begun = self.begun_bytes = 0
        self.finished = self.finished_bytes = 0
        self.held: Deque[Call] = deque()

    def has_room(self, size: int) -> bool:
        count = self.begun - self.finished
        waiting = self.begun_bytes - self.finished_bytes
        return count < self.window and (count == 0 or waiting + size <= self.window_bytes)


def _share(most: int, limits: Dict[str, Any], names: Tuple[str, ...]) -> int:
    told = [limits[name] // 2 for name in names if type(limits.get(name)) is int]
    return int(max(1, min(most, *told))) if told else most


class Subject:
    """Something that threads wait for. (Base of the others.)

    version  grows with whatever happens to it
    came     nothing more is to be read for it
    waiters  locks of the threads that sleep until version grows
    """

    __slots__ = ("_connection", "version", "came", "waiters")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.version = 0
        self.came = False
        self.waiters: Optional[List[Any]] = None


class Call(Subject):
    """A request under way. Any thread may wait for it.

    ended    bool: the answer has come, and `done` has run
    error    what came as the error: None, a map (see errors.from_wire), or an Exception of the connection's own
    value    what came as the result; pickles in it are Pickled
    failure  the exception that `done` raised, or None
    tag      the caller's own
    """

    __slots__ = ("msgid", "ended", "error", "value", "failure", "tag", "done", "lane", "size", "frame", "__weakref__")

    def __init__(self, connection: Connection, lane: Optional[Lane], done: Optional[Callable[[Any], object]]) -> None:
        self._connection = connection
        self.version = 0
        self.came = False
        self.waiters = None
        self.ended = False
        self.error: Any = None
        self.value: Any = None
        self.done = done
        self.lane = lane
        self.msgid = 0
        self.failure: Optional[BaseException] = None
        self.tag: Any = None
        self.size = 0  # bytes, where it has a lane
        self.frame: Tuple[Buffer, ...] = ()  # while it is held back

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.msgid}, {'ended' if self.ended else 'under way'}>"

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until it has ended, at most so many seconds; whether it has. With 0 only looks, and costs little."""
        return self._connection.wait_for(self, timeout)

    def result(self, loads: Optional[Loads] = None) -> Any:
        """Waits for the end and returns `value`, or raises errors.from_wire(error, loads), a new object each time."""
        self.wait()
        if self.error is not None:
            raise self.exception(loads)
        return self.value

    def exception(self, loads: Optional[Loads] = None) -> Exception:
        """The exception for `error`, a new object each time. Only where it is not None."""
        return as_exception(self.error, loads)

    def forget(self) -> None:
        """`value` is needed no longer."""
        self.value = None

    def cancel(self) -> Dict[str, Any]:
        """Cancels it: what the method `cancel` answers; {"cancelled": False} where it had ended.

        One that was held back ends at once, without the daemon. Only `apply` and `map` can be cancelled.
        """
        connection = self._connection
        if connection.drop(self):
            return {"job": None, "cancelled": True, "state": "cancelled", "begun": 0, "running": 0}
        return self._ask_to_cancel({"request": self.msgid})

    def _ask_to_cancel(self, what: Any) -> Dict[str, Any]:
        if self.came:
            return {"cancelled": False}
        try:
            answer: Dict[str, Any] = self._connection.request("cancel", what)
        except NoSuchJob:
            return {"cancelled": False}
        return answer


class Job(Call):
    """A request answered with a job id, and ended by the push `result`.

    job   the job's id, None until it has come
    meta  map {pool, function, waited, ran} of the push, or None
    runs  deque of (first, outcomes, bare) that came and were not taken yet: outcomes are those of the elements first,
          first + 1, …: values where bare is true (push `values`), else pairs [error, value] (push `items`)
    """

    __slots__ = ("job", "meta", "runs", "on_run", "on_end")

    def __init__(self, connection: Connection, lane: Optional[Lane], done: Optional[Callable[[Any], object]]) -> None:
        super().__init__(connection, lane, done)
        self.job: Optional[int] = None
        self.meta: Optional[Dict[str, Any]] = None
        self.runs: Deque[Run] = deque()
        self.on_run: Optional[Callable[[Job, int, List[Any], bool], object]] = None
        self.on_end: Optional[Callable[[Job], object]] = None

    def id(self, timeout: Optional[float] = None) -> int:
        """The job's id; waits for the answer. Raises its error, or NotReady after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = self.version
            if self.job is not None:
                return self.job
            if self.came:
                raise self.exception()
            if not self._connection.wait_change(self, seen, deadline):
                raise NotReady(f"no answer within {timeout} s")

    def next_run(self, timeout: Optional[float] = None) -> Optional[Run]:
        """The next of `runs`; None when all have been taken and the job has ended. NotReady after so many seconds."""
        runs = self.runs
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = self.version
            try:
                run = runs.popleft()
            except IndexError:
                if self.came and not runs:
                    return None
            else:
                self._connection.print_outputs()
                return run
            if not self._connection.wait_change(self, seen, deadline):
                raise NotReady(f"no element within {timeout} s")

    def cancel(self) -> Dict[str, Any]:
        """See Call.cancel. Waits for the job's id, if that has not come yet."""
        if self._connection.drop(self):
            return {"job": None, "cancelled": True, "state": "cancelled", "begun": 0, "running": 0}
        try:
            return self._ask_to_cancel(self.id())
        except Error:
            if self.came:
                return {"cancelled": False}
            raise


class Listener(Subject):
    """Pushes for those who subscribed: `event`, and `result`, also of this connection's own jobs."""

    __slots__ = ("pushes", "last")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.pushes: Deque[Tuple[str, List[Any]]] = deque()
        self.last: Any = None

    def next(self, timeout: Optional[float] = None) -> Optional[Tuple[str, List[Any]]]:
        """(name, params) of the next push; None when it or the connection is closed. NotReady after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = self.version
            try:
                return self.pushes.popleft()
            except IndexError:
                if self.came:
                    return None
            if not self._connection.wait_change(self, seen, deadline):
                raise NotReady(f"nothing within {timeout} s")

    def close(self) -> None:
        """No more of them; who waits in next() gets None."""
        self._connection.forget(self)


def as_exception(error: Any, loads: Optional[Loads] = None) -> Exception:
    """What to raise for a Call's error; each time another object, so that no two threads raise the same."""
    if isinstance(error, Error):
        return type(error)(error.message, **error.fields)
    return error if isinstance(error, Exception) else from_wire(error, loads)

# SPDX-License-Identifier: MIT
"""What apply_async and map_async return: multiprocessing's AsyncResult and MapResult, which can be cancelled too.

What has arrived is unpickled by the first who looks, in that thread, and kept. Callbacks run in the one callback
thread of the connection, before the result is ready.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Generic, List, NoReturn, Optional, Protocol, Tuple, TypeVar

from .pending import Subject, as_exception
from .codec import Codec
from .connection import Connection, Job
from .errors import Error, NoSuchJob, from_wire
from .stream import Run, Stream, wait

T = TypeVar("T")
Callback = Optional[Callable[[Any], object]]

_settling = threading.Lock()
_MISSING = object()


def raise_timeout() -> NoReturn:
    """multiprocessing's own TimeoutError, which is not the builtin one."""
    from multiprocessing.context import TimeoutError as Late  # not with this package, for it takes long to import

    raise Late


def restore(codec: Codec, error: Any, value: Any, index: Optional[int] = None) -> Tuple[bool, Any]:
    """(True, value) or (False, exception) of what has arrived; `index` is the element's, of a map."""
    if error is None:
        try:
            return True, codec.restore(value)
        except Exception as raised:  # whatever unpickling it raises
            return False, raised
    if isinstance(error, Error):  # the connection's own, told to all that was under way: to each its own
        return False, as_exception(error)
    if isinstance(error, BaseException):
        return False, error
    failure = from_wire(error, codec.restore if codec.pickles else None)
    if index is not None and isinstance(failure, Error):  # told as that of the element in its segment
        failure.index = failure.fields["index"] = index
    return False, failure


class Awaited(Protocol):
    """What a result waits for: a Call, or what stands for several."""

    @property
    def ended(self) -> bool: ...

    def wait(self, timeout: Optional[float] = None) -> bool: ...

    def cancel(self) -> Any: ...

    def forget(self) -> None:
        """What has come of it is needed no longer."""


class ApplyResult(Generic[T]):
    """The result of apply_async, and of a job that was submitted elsewhere (Pool.job).

    Any thread may use it. It keeps its pool alive until it is ready and somebody has looked.
    """

    __slots__ = ("_call", "_codec", "_keeps", "_job", "_settled", "_success", "_value", "_callback", "_error_callback",
                 "__weakref__")  # fmt: skip

    def __init__(self, codec: Codec, keeps: object, callback: Callback = None, error_callback: Callback = None) -> None:
        """For Pool, which then calls begin()."""
        self._codec = codec
        self._keeps: object = keeps
        self._job: Optional[int] = None
        self._settled = False
        self._success = False
        self._value: Any = None
        self._callback = callback
        self._error_callback = error_callback
        self._call: Any = None  # an Awaited

    def begin(self, submit: Callable[..., Awaited], first: Any, second: Any) -> None:
        """Submits the call, by submit(first, second, what is to be done at its end)."""
        self._call = submit(first, second, self._on_done if self._callback or self._error_callback else None)

    def of_job(self, job: int) -> None:
        """It is the result of this job, which was submitted elsewhere."""
        self._job = job

    def fail(self, connection: Connection, error: Exception) -> None:
        """It could not be sent."""
        self.begin(Unsent, connection, error)

    def ready(self) -> bool:
        """Whether it has ended, in one way or another, and its callback has run."""
        return bool(self._call.ended)

    def successful(self) -> bool:
        """Whether a value came. ValueError while it is not ready."""
        if not self._call.ended:
            raise ValueError(f"{self!r} not ready")
        self._settle()
        return self._success

    def wait(self, timeout: Optional[float] = None) -> None:
        """Waits until it is ready, at most so many seconds."""
        self._call.wait(timeout if timeout is None else max(timeout, 0.0))

    def get(self, timeout: Optional[float] = None) -> T:
        """The value; raises what the function raised, or another error of the call (procpool.Error).

        multiprocessing.TimeoutError where it is not ready within so many seconds: then it goes on, see cancel().
        """
        if not self._call.ended and not self._call.wait(timeout if timeout is None else max(timeout, 0.0)):
            raise_timeout()
        if not self._settled:
            self._settle()
        if self._success:
            return self._value  # type: ignore[no-any-return]
        raise self._value

    def cancel(self) -> bool:
        """Ends it, also where it runs: then the function is asked to stop, and killed with its worker if it does not.

        Whether this call has ended it: then get() raises procpool.Cancelled.
        """
        if self._call.ended:
            return False
        try:
            answer = self._call.cancel()
        except NoSuchJob:  # it has just ended
            return False
        return bool(answer["cancelled"] if isinstance(answer, dict) else answer)

    @property
    def job(self) -> Optional[int]:
        """The job's id, by which other processes of the user get the result too; only of calls with `detach`."""
        return self._call.id() if isinstance(self._call, Job) else self._job

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("results cannot be passed between processes or pickled; the id of a job that was "
                                  "detached can (see `job`)")

    # How it comes to its end

    def _outcome(self) -> Tuple[bool, Any]:
        """(success, value or exception) of what has arrived."""
        return restore(self._codec, self._call.error, self._call.value)

    def _settle(self) -> None:
        if self._settled:
            return
        outcome = self._outcome()
        with _settling:  # two threads may have looked: both are to see the same object
            if self._settled:
                return
            self._success, self._value = outcome
            self._settled = True
        self._keeps = None
        self._call.forget()

    def _on_done(self, call: Awaited) -> None:
        """In the callback thread."""
        self._call = call  # it may end before submit() has returned
        self._settle()
        callback = self._callback if self._success else self._error_callback
        self._callback = self._error_callback = None
        if callback is None:
            return
        try:
            callback(self._value)
        except BaseException as error:  # it becomes this result's, and harms nobody else
            self._success, self._value = False, error


AsyncResult = ApplyResult


class MapResult(ApplyResult[List[T]]):
    """The result of map_async and starmap_async: a list, in the order of the input.

    It is ready when every element has ended. Then get() raises the failure that came first, if there was one; with
    return_exceptions it is in the list, in its place.
    """

    __slots__ = ("_return_exceptions",)

    def __init__(self, codec: Codec, keeps: object, callback: Callback, error_callback: Callback,
                 return_exceptions: bool) -> None:  # fmt: skip
        super().__init__(codec, keeps, callback, error_callback)
        self._return_exceptions = return_exceptions

    def _outcome(self) -> Tuple[bool, Any]:
        if isinstance(self._call, Together):
            return self._of_stream(self._call.stream)
        if self._call.error is not None or not isinstance(self._call.value, list):
            return super()._outcome()
        value, collected = self._call.value, self._return_exceptions
        return self._assemble(len(value), [(0, value, not collected)])

    def _of_stream(self, stream: Stream) -> Tuple[bool, Any]:
        if stream.error is not None:
            return False, stream.error
        return self._assemble(stream.total, list(stream.arrived))

    def _assemble(self, total: int, runs: List[Run]) -> Tuple[bool, Any]:
        values: List[Any] = [_MISSING] * total
        failure: Optional[BaseException] = None
        last: Tuple[Any, Any] = None, None  # an error, and the exception that was made of it
        for first, outcomes, bare in runs:
            if bare:
                try:
                    values[first:first + len(outcomes)] = self._codec.restore_all(outcomes)
                    continue
                except Exception:  # one of them cannot be unpickled
                    outcomes = [(None, value) for value in outcomes]
            for index, (error, value) in enumerate(outcomes, first):
                if error is not None and (failure is not None or error is last[0]):
                    values[index] = last[1]  # perhaps a million times: the job's own end
                    continue
                success, values[index] = restore(self._codec, error, value, index)
                if not success:
                    last = error, values[index]
                    if failure is None and not self._return_exceptions:
                        failure = values[index]
        return (True, values) if failure is None else (False, failure)


class Together(Subject):
    """A stream that a MapResult waits for: ended when all of it is, and the callbacks have run."""

    __slots__ = ("ended", "stream", "_done")

    def __init__(self, connection: Connection, start: Callable[[Callable[[Stream], object]], Stream],
                 done: Optional[Callable[[Any], object]]) -> None:  # fmt: skip
        """`start` makes the stream, with what it is to call at its end."""
        super().__init__(connection)
        self.ended = False
        self._done = done
        self.stream = start(self._on_end)

    def wait(self, timeout: Optional[float] = None) -> bool:
        return self.ended or wait(self._connection, self, self._is_over, timeout)

    def _is_over(self) -> bool:
        return self.ended or self.came and self._connection.in_callback()

    def cancel(self) -> bool:
        return self.stream.cancel()

    def forget(self) -> None:
        self.stream.arrived.clear()

    def _on_end(self, stream: Stream) -> None:
        """May be called again: callbacks run once all the same, see ApplyResult._on_done."""
        self.stream = stream  # it may end before start() has returned it
        if self._done is None or self._connection.copied:
            self.ended = True
        else:
            self._connection.post(self._finish)
        self.came = True
        self._connection.changed(self)

    def _finish(self) -> None:
        """In the callback thread."""
        assert self._done is not None
        self._done(self)
        self.ended = True
        self._connection.changed(self)


class Unsent(Subject):
    """In place of a Call: one that could not be sent."""

    __slots__ = ("error", "value", "ended", "_done")

    def __init__(self, connection: Connection, error: Exception, done: Optional[Callable[[Any], object]]) -> None:
        super().__init__(connection)
        self.came = True
        self.error = error
        self.value = None
        self.ended = done is None
        self._done = done
        if done is not None:
            connection.post(self._finish)

    def _finish(self) -> None:
        """In the callback thread."""
        assert self._done is not None
        self._done(self)
        self.ended = True
        self._connection.changed(self)

    def forget(self) -> None:
        pass

    def wait(self, timeout: Optional[float] = None) -> bool:
        return self.ended or wait(self._connection, self, self._is_over, timeout)

    def _is_over(self) -> bool:
        return self.ended or self.came and self._connection.in_callback()

    def cancel(self) -> bool:
        return False

# SPDX-License-Identifier: MIT
"""procpool.Executor: a concurrent.futures.Executor on a pool of procpoold.

What differs from ProcessPoolExecutor is on purpose: a worker that dies fails its own future and breaks nothing else;
map takes input as results are taken, so that it may be endless; and Future.cancel() ends what runs, too: the function
is asked to stop, and killed with its worker if it does not.
"""

from __future__ import annotations

import concurrent.futures
import threading
from multiprocessing.context import TimeoutError as Late
from time import monotonic
from typing import Any, Callable, Dict, Iterable, Iterator, Optional

from .calls import Function
from .errors import Cancelled
from .functions import advise
from .imap import IMapIterator
from .pending import Call
from .pool import Pool
from .result import restore
from .settings import Seconds, call_options, check_initializer


class Future(concurrent.futures.Future):  # type: ignore[type-arg]
    """One call. running() is false until it has ended: when it begins is known to the daemon alone."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self._executor = executor
        self._call: Optional[Call] = None

    def cancel(self) -> bool:
        """Ends the call, also where it runs. False where it had ended already, in whatever way but this."""
        if self._call is not None and not self.done() and self._call.cancel().get("cancelled"):
            super().cancel()
        return self.cancelled()

    def settle(self, call: Call) -> None:
        """In the callback thread: the call has ended."""
        self._executor.forget(self)
        success, outcome = restore(self._executor.codec, call.error, call.value)
        if not success and isinstance(outcome, Cancelled):
            super().cancel()
        if not self.set_running_or_notify_cancel():
            return
        if success:
            self.set_result(outcome)
        else:
            self.set_exception(outcome)


class Executor(concurrent.futures.Executor):
    """See the module's text.

    max_workers, initializer, initargs, max_tasks_per_child
               as in ProcessPoolExecutor; `mp_context` is taken and not needed
    timeout, expires, priority, retries
               hold for every call: see procpool.Pool
    settings   name, address, trust, memory and so on, as procpool.Pool takes them by name
    """

    def __init__(self, max_workers: Optional[int] = None, mp_context: object = None,
                 initializer: Optional[Callable[..., Any]] = None, initargs: Iterable[Any] = (), *,
                 max_tasks_per_child: Optional[int] = None, timeout: Seconds = None, expires: Seconds = None,
                 priority: Optional[int] = None, retries: Optional[int] = None, **settings: Any) -> None:  # fmt: skip
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        check_initializer(initializer, max_tasks_per_child)
        self._options = call_options(timeout, expires, priority, retries)
        self._lock = threading.Lock()
        self._pending: Dict[Future, None] = {}  # in the order in which they were submitted
        self._down = False
        self._pool = Pool(max_workers, initializer, initargs, max_tasks_per_child, **settings)
        self._handle = self._pool.handle
        self.codec = self._handle.codec

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Future:
        """A future of fn(*args, **kwargs). PicklingError at once where no worker can get at the function."""
        handle = self._handle
        prepared = handle.calls.prepare(fn, self._options)
        future = Future(self)
        try:
            request = prepared.apply(args, kwargs)
        except Exception as error:
            self._check_running()
            future.set_exception(advise(error))
            return future
        with self._lock:
            self._check_running()
            self._pending[future] = None
        future._call = handle.connection.submit(request, handle.lane, future.settle)
        return future

    def map(self, fn: Function, *iterables: Iterable[Any], timeout: Seconds = None,
            chunksize: int = 1) -> Iterator[Any]:  # fmt: skip
        """An iterator over fn(*elements), in order. It raises what a call raised, and ends there.

        timeout    seconds from now on within which each of its elements must have come: else TimeoutError
        chunksize  elements handed to a worker at a time

        When it ends before its input, what was begun of the rest is cancelled.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        self._check_running()
        end = None if timeout is None else monotonic() + timeout
        return _until(self._pool.istarmap(fn, iterables, chunksize, self._options), end)

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Optional[bool]:
        """Waits for all calls; after Ctrl-C, which ends those of a ProcessPoolExecutor too, it ends them."""
        if exc_type is not None and issubclass(exc_type, KeyboardInterrupt):
            self._down = True
            self._pool.terminate()
        return super().__exit__(exc_type, exc_val, exc_tb)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls.

        wait            until all have ended and no worker is left; else they go on
        cancel_futures  ends what waits: all calls but the first ones under way, as many as there are workers
        """
        with self._lock:
            self._down = True
            waiting = list(self._pending)[self._handle.workers:] if cancel_futures else []
        for future in reversed(waiting):
            future.cancel()
        self._pool.close()
        if wait:
            self._pool.join()

    def forget(self, future: Future) -> None:
        """A future has ended."""
        with self._lock:
            self._pending.pop(future, None)

    def _check_running(self) -> None:
        if self._down:
            raise RuntimeError("cannot schedule new futures after shutdown")


def _until(results: IMapIterator[Any], end: Optional[float]) -> Iterator[Any]:
    try:
        while True:
            try:
                value = results.next(None if end is None else end - monotonic())
            except StopIteration:
                return
            except Late:
                raise concurrent.futures.TimeoutError from None
            yield value
    finally:
        results.cancel()

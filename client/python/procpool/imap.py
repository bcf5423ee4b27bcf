# SPDX-License-Identifier: MIT
"""What imap and imap_unordered return: iterators over a stream, which is taken no further ahead than its window allows.

They go on after an element that failed. Whoever gives one up in the midst of it (`break`) ends its input with it;
where nothing was ever taken from it, its input is worked on to its end all the same, as multiprocessing does for
those who call for the effect alone.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import Any, Deque, Dict, Generic, NoReturn, Optional, Tuple, TypeVar

from .codec import Codec
from .connection import Connection
from .result import raise_timeout, restore
from .stream import Run, Stream, wait

T = TypeVar("T")


class IMapIterator(Generic[T]):
    """The values in the order of the input. Threads may share it."""

    def __init__(self, connection: Connection, codec: Codec, stream: Stream, keeps: object,
                 return_exceptions: bool) -> None:  # fmt: skip
        """For Pool; `keeps` is kept as long as there may be more."""
        self._connection = connection
        self._codec = codec
        self._stream = stream
        self._keeps: Optional[object] = keeps
        self._return_exceptions = return_exceptions
        self._lock = threading.Lock()
        self._ready: Deque[Tuple[int, Any, Any]] = deque()  # (index, error, value) that may be given out
        self._next = 0  # which element is to be given out next
        self._later: Dict[int, Run] = {}  # runs that came before their turn, by their first index
        self._given = 0
        self._input_told = False

    def __iter__(self) -> IMapIterator[T]:
        return self

    def __next__(self) -> T:
        return self.next()

    def next(self, timeout: Optional[float] = None) -> T:
        """The next value, or raises what its call raised; StopIteration at the end.

        multiprocessing.TimeoutError where it is not there within so many seconds: then it may be asked for again.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                if self._ready or self._collect():
                    index, error, value = self._ready.popleft()
                    self._given += 1
                    break
                ended = self._stream.ended and not self._stream.arrived
            if ended:
                self._finish()
            left = None if deadline is None else deadline - monotonic()
            if not wait(self._connection, self._stream, self._may_go_on, left):
                raise_timeout()
        self._stream.consumed(1)
        success, outcome = restore(self._codec, error, value, index)
        if success or self._return_exceptions:
            return outcome  # type: ignore[no-any-return]
        raise outcome

    def cancel(self) -> bool:
        """Ends all that has not ended: what follows raises procpool.Cancelled. Whether there was anything to end."""
        return self._stream.cancel()

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None:
            stream.abandon(self._given > 0)

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("iterators over results cannot be passed between processes or pickled")

    def _may_go_on(self) -> bool:
        return bool(self._stream.arrived) or self._stream.ended

    def _collect(self) -> bool:
        """Moves what has arrived to _ready; whether something is there now. With the lock held."""
        arrived = self._stream.arrived
        while arrived and not self._ready:
            self._sort(arrived.popleft())
        return bool(self._ready)

    def _sort(self, run: Run) -> None:
        """Gives out the run, and those that waited for it, or keeps it until it is its turn."""
        self._later[run[0]] = run
        while self._next in self._later:
            found = self._later.pop(self._next)
            self._next += len(found[1])
            self._give(found)

    def _give(self, run: Run) -> None:
        """These elements may be given out now."""
        first, outcomes, bare = run
        if bare:
            self._ready.extend((index, None, value) for index, value in enumerate(outcomes, first))
        else:
            self._ready.extend((index, error, value) for index, (error, value) in enumerate(outcomes, first))

    def _finish(self) -> NoReturn:
        self._keeps = None
        if self._stream.error is not None and not self._input_told:
            self._input_told = True
            raise self._stream.error
        raise StopIteration


class IMapUnorderedIterator(IMapIterator[T]):
    """The values in the order in which they come, otherwise the same."""

    def _sort(self, run: Run) -> None:
        self._give(run)

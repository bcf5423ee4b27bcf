# SPDX-License-Identifier: MIT
"""The input of map and imap, cut into what is sent at a time.

A map of a million elements would meet the daemon's limits as one message, and its last element would be packed before
the first is worked on. So it goes as several maps, each a segment of at most ELEMENTS_MAX elements and about
BYTES_MAX bytes (one element may be larger). An element that cannot be packed is no part of a segment, and fails
alone.

Not here: when a segment is sent (stream.py).
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Iterator, List, NamedTuple, Optional, Union

from . import functions
from .codec import Codec, Packed, PickleCodec, array_header, concat_all, pack_run, packed_pickle, size

ELEMENTS_MAX = 1 << 16
BYTES_MAX = 1 << 20


class Segment(NamedTuple):
    """`length` elements from the index `first` on: the packed array of them, and its bytes."""

    first: int
    length: int
    items: Packed
    bytes: int


class Failure(NamedTuple):
    """The element `place` cannot be sent."""

    place: int
    error: Exception


class Segments:
    """Cuts an input. Used by one thread at a time, and in it the input's own code runs.

    taken  elements that have been cut, failures too
    ended  whether the input has; only then
    error  is the exception that it raised, or None

    star       whether each element is an iterable of arguments
    chunksize  segments are multiples of it where they can be
    """

    def __init__(self, codec: Codec, elements: Iterator[Any], star: bool = False, chunksize: int = 1) -> None:
        self.taken = 0
        self.ended = False
        self.error: Optional[BaseException] = None
        self._codec = codec
        self._dumps = codec.dumps if isinstance(codec, PickleCodec) else None
        self._elements = elements
        self._star = star
        self._chunksize = chunksize
        self._rest: List[Any] = []  # taken from the input and not cut yet
        self._packed: Optional[Union[Packed, Exception]] = None  # the first of them, where it was packed already
        self._exhausted = False

    def cut(self, most: int = ELEMENTS_MAX) -> Optional[Union[Segment, Failure]]:
        """The next segment of at most `most` elements, or what failed in its place; None at the end."""
        if not self._rest:
            self._take(most)
        found = self._cut(min(most, len(self._rest))) if self._rest else None
        self.ended = self._exhausted and not self._rest
        return found

    def one(self) -> Optional[Union[Packed, Failure]]:
        """The next element alone, packed; for input that must not be asked for the next before this one is sent."""
        try:
            element = next(self._elements)
        except StopIteration:
            self.ended = True
            return None
        except Exception as error:
            self.error = error
            self.ended = True
            return None
        packed = self._pack(element)
        self.taken += 1
        return Failure(self.taken - 1, packed) if isinstance(packed, Exception) else packed

    def _take(self, most: int) -> None:
        if self._exhausted:
            return
        if most > self._chunksize:
            most -= most % self._chunksize
        try:
            self._rest.extend(islice(self._elements, most))  # keeps what it got when the input raises
        except Exception as error:  # whatever the input raises; what it yielded before is still worked on
            self.error = error
            self._exhausted = True
        if len(self._rest) < most:
            self._exhausted = True

    def _cut(self, last: int) -> Union[Segment, Failure]:
        """From the first `last` elements of the rest."""
        parts: List[Packed] = []
        length = total = 0
        while True:
            packed, self._packed = self._packed, None
            if isinstance(packed, Exception):
                if length == 0:
                    del self._rest[0]
                    self.taken += 1
                    return Failure(self.taken - 1, packed)
                self._packed = packed
                break
            if packed is not None:
                total += size(packed)
                if length and total > BYTES_MAX:
                    self._packed = packed
                    break
                parts.append(packed)
                length += 1
            run, count, pickled = pack_run(self._rest, length, last, BYTES_MAX - total, self._dumps, self._star)
            if count:
                parts.append(run)
                length += count
                total += len(run)
            if length == last:
                break
            self._packed = packed_pickle(pickled) if pickled is not None else self._pack(self._rest[length])
        del self._rest[:length]
        return self._segment(length, concat_all([array_header(length), *parts]))

    def _pack(self, element: Any) -> Union[Packed, Exception]:
        try:
            return self._codec.pack_array(tuple(element)) if self._star else self._codec.pack(element)
        except Exception as error:
            return functions.advise(error)

    def _segment(self, length: int, items: Packed) -> Segment:
        first = self.taken
        self.taken += length
        return Segment(first, length, items, size(items))

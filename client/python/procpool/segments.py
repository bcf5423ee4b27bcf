# SPDX-License-Identifier: MIT
"""The input of map and imap, cut into what is sent at a time.

A map of a million elements would meet the daemon's limits as one message, and its last element would be packed before the
first is worked on. So it goes as several maps, each a segment of at most ELEMENTS_MAX elements and about BYTES_MAX bytes
(one element may be larger). An element that cannot be packed is no part of a segment, and fails alone.

Not here: when a segment is sent (feeder.py).
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Iterator, List, NamedTuple, Optional, Union

from . import functions
from .codec import Codec, Packed, array_header, concat_all, pack_scalars, size

ELEMENTS_MAX = 1 << 16
BYTES_MAX = 1 << 20


class Segment(NamedTuple):
    """`length` elements from the index `first` on: the packed array of them, and its bytes."""

    first: int
    length: int
    items: Packed
    bytes: int


class Failure(NamedTuple):
    """The element `place` cannot be sent, or the input ended there by an exception."""

    place: int
    error: Exception


class Segments:
    """Cuts an input. Used by one thread at a time, and in it the input's own code runs.

    star       whether each element is an iterable of arguments
    chunksize  segments are multiples of it where they can be
    """

    def __init__(self, codec: Codec, elements: Iterator[Any], star: bool = False, chunksize: int = 1) -> None:
        self.taken = 0  #: elements that have been cut, failures too
        self.ended = False  #: whether the input has
        self._codec = codec
        self._elements = elements
        self._star = star
        self._chunksize = chunksize
        self._rest: List[Any] = []  # taken from the input and not cut yet
        self._packed: Optional[Union[Packed, Exception]] = None  # the first of them, where it was packed already
        self._error: Optional[Exception] = None  # of the input

    def cut(self, most: int = ELEMENTS_MAX) -> Optional[Union[Segment, Failure]]:
        """The next segment of at most `most` elements, or what failed in its place; None at the end."""
        if not self._rest:
            self._take(most)
        if not self._rest:
            error, self._error = self._error, None
            self.ended = error is None or self.ended
            return None if error is None else self._failure(error)
        return self._whole(most) or self._one_by_one(most)

    def _take(self, most: int) -> None:
        if self.ended:
            return
        if most > self._chunksize:
            most -= most % self._chunksize
        try:
            self._rest.extend(islice(self._elements, most))  # keeps what it got when the input raises
        except Exception as error:  # whatever the input raises; what it yielded before is still worked on
            self._error = error
            self.ended = True
        if len(self._rest) < most:
            self.ended = True

    def _whole(self, most: int) -> Optional[Segment]:
        """All that was taken at once, where that is surely small."""
        rest = self._rest
        if self._star or self._packed is not None or len(rest) > most:
            return None
        items = pack_scalars(rest, BYTES_MAX)
        if items is None:
            return None
        self._rest = []
        return self._segment(len(rest), items)

    def _one_by_one(self, most: int) -> Union[Segment, Failure]:
        parts: List[Packed] = []
        total = 0
        for element in self._rest[:most]:
            packed, self._packed = self._packed, None
            if packed is None:
                packed = self._pack(element)
            if isinstance(packed, Exception):
                if not parts:
                    del self._rest[0]
                    return self._failure(packed)
                self._packed = packed
                break
            total += size(packed)
            if parts and total > BYTES_MAX:
                self._packed = packed
                break
            parts.append(packed)
        del self._rest[: len(parts)]
        return self._segment(len(parts), concat_all([array_header(len(parts)), *parts]))

    def _pack(self, element: Any) -> Union[Packed, Exception]:
        try:
            return self._codec.pack_array(tuple(element)) if self._star else self._codec.pack(element)
        except Exception as error:
            return functions.advise(error)

    def _segment(self, count: int, items: Packed) -> Segment:
        first = self.taken
        self.taken += count
        return Segment(first, count, items, size(items))

    def _failure(self, error: Exception) -> Failure:
        self.taken += 1
        return Failure(self.taken - 1, error)

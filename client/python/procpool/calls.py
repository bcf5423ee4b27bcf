# SPDX-License-Identifier: MIT
"""Calls of one pool as messages: what they have in common is packed once."""

from __future__ import annotations

import types
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, Optional, Union

from . import functions
from .codec import Codec, Packed, array_header, concat_all, map_header, pack_scalar
from .connection import message, pack
from .context import current_job, worker_index

Function = Union[str, Callable[..., Any]]

_KEPT_MAX = 1000  # functions whose calls are kept packed
_NAMED = frozenset({str, types.FunctionType})  # may be kept: what they are sent as cannot change
_PARENT = pack_scalar("parent")
_KWARGS = pack_scalar("kwargs")


class Prepared:
    """A function with options, ready for arguments."""

    __slots__ = ("_codec", "_name", "_head", "_fields", "_count", "_options", "_nested")

    def __init__(self, codec: Codec, name: str, options: Mapping[str, Any]) -> None:
        self._codec = codec
        self._name = pack(name)
        self._head = pack("apply") + array_header(3) + self._name
        self._fields = b"".join(pack_scalar(key) + pack(value) for key, value in options.items())
        self._count = len(options)
        self._options = map_header(self._count) + self._fields
        self._nested = worker_index() is not None

    def apply(self, args: Iterable[Any], kwds: Mapping[str, Any], method: str = "apply") -> Packed:
        """One call. Raises what packing an argument raises."""
        packed = self._codec.pack_array(args if type(args) is tuple else tuple(args))
        if not kwds and not self._nested:
            if type(packed) is bytes and method == "apply":  # in no time
                return self._head + packed + self._options
            return message(method, self._name, packed, self._options)
        more: List[Packed] = [_KWARGS, self._codec.pack_map(_named(kwds))] if kwds else []
        return message(method, self._name, packed, self._with(more))

    def map(self, items: Packed, method: str = "map_async") -> Packed:
        """A map of an array that is packed already."""
        return message(method, self._name, items, self._with([]) if self._nested else self._options)

    def _with(self, more: List[Packed]) -> Packed:
        """The options, `more` ones, and the job that calls: in a worker it is not always the same."""
        job = current_job() if self._nested else None
        if job is not None:
            more = [*more, _PARENT, pack(job)]
        return concat_all([map_header(self._count + len(more) // 2), self._fields, *more])


class Calls:
    """Prepares the calls of one pool.

    codec  how it takes arguments and gives values
    pool   its name
    main   whether its workers have loaded the main module of this process
    names  of the functions that it offers; None where it looks up all. Others go as pickles, where it takes those.
    """

    def __init__(self, codec: Codec, pool: str, main: bool, names: Optional[Collection[str]] = None) -> None:
        self.codec = codec
        self.pool = pool
        self._main = main
        self._names = names
        self._kept: Dict[Function, Prepared] = {}

    def prepare(self, function: Function, options: Mapping[str, Any]) -> Prepared:
        """TypeError, PicklingError where the function cannot be called there, see functions.py."""
        if options or type(function) not in _NAMED:
            return self._prepare(function, options)[0]
        found = self._kept.get(function)
        if found is None:
            found, named = self._prepare(function, options)
            if named and len(self._kept) < _KEPT_MAX:
                self._kept[function] = found
        return found

    def _prepare(self, function: Function, options: Mapping[str, Any]) -> "tuple[Prepared, bool]":
        described = functions.describe(function, self._main)
        if self._names is not None and described.name not in self._names and self.codec.pickles:
            described = functions.pickled(function, described)
        own: Dict[str, Any] = {"pool": self.pool}
        if self.codec.pickles:
            own["pickle"] = True if described.pickled is None else described.pickled
        elif described.pickled is not None:
            raise functions.unpicklable_for(self.pool, described.name)
        return Prepared(self.codec, described.name, {**own, **options}), described.pickled is None


def _named(kwds: Mapping[str, Any]) -> Mapping[str, Any]:
    """TypeError for what a call could not take either."""
    for name in kwds:
        if not isinstance(name, str):
            raise TypeError("keywords must be strings")
    return kwds

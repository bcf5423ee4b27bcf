# SPDX-License-Identifier: MIT
"""Python values to bytes and back, for arguments, elements, results and exceptions; both ends use it.

Two codecs, `PICKLE` and `PLAIN`, of the same shape.

PICKLE, where both ends are Python and trust each other: each value on its own. What MessagePack keeps exactly travels
as MessagePack: None, bool, int of 64 bits, float, str, bytes, where that is the very type. Everything else (tuples,
lists, dicts, bytearray, subclasses, one's own classes) is a pickle of protocol 5 in MessagePack's ext type 80. So types
and identities within a value survive as under multiprocessing, and a million ints cost nothing.

PLAIN, for functions of any language: recursively MessagePack. Tuples become arrays, bytearray and memoryview become
bin; for what MessagePack cannot hold there is a TypeError that says so. An ext 80 that arrives is not unpickled.

Packing gives `Packed`, which is bytes, or a list of buffers where a large one would have to be copied: they
follow one another in the stream (`size()`, `joined()`).

Unpacking is lazy: `unpackb` and the Unpacker of `unpacker()` leave a pickle as it came, a `Pickled`, and
whoever wants the value calls `restore` or `restore_all` in its own thread. So a pickle that fails, or does evil, does
it to its own call, never to the code that receives for all. An error of the daemon's passes through errors.from_wire.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import msgpack

EXT_PICKLE = 80  #: ext type of a pickle
LARGE_BYTES = 1 << 16  #: buffers from this size on are not copied
MAX_ELEMENTS = 1 << 25  #: of one array or map that comes: a list is made for as many as are declared

Buffer = Union[bytes, bytearray, memoryview]
Values = Union[List[Any], Tuple[Any, ...]]
Packed = Union[bytes, List[Buffer]]

SCALARS = frozenset({type(None), bool, int, float, str, bytes})  #: types that MessagePack keeps exactly
_SIZED = frozenset({str, bytes})  # the scalars that may be large
_UNFIT = (OverflowError, UnicodeEncodeError)  # an int beyond 64 bits, a str with surrogates


class Pickled:
    """What came as ext 80 and has not been unpickled; `data` are its bytes (any buffer)."""

    __slots__ = ("data",)

    def __init__(self, data: Buffer) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"<Pickled, {len(self.data)} bytes>"


def ext_hook(code: int, data: bytes) -> Any:
    """What an ext value is unpacked to."""
    return Pickled(data) if code == EXT_PICKLE else msgpack.ExtType(code, data)


def _map_hook(pairs: List[Tuple[Any, Any]]) -> Dict[Any, Any]:
    try:
        return dict(pairs)
    except TypeError:  # keys that Python cannot hash, as other languages may have them: arrays and maps
        return {_hashable(key): value for key, value in pairs}


def _hashable(key: Any) -> Any:
    if isinstance(key, (list, tuple)):
        return tuple(map(_hashable, key))
    if isinstance(key, dict):
        return tuple((_hashable(k), _hashable(v)) for k, v in key.items())
    return key


#: How every message is unpacked. Strings that are no UTF-8 have surrogates, as file names have them.
UNPACKING: Dict[str, Any] = {
    "raw": False,
    "strict_map_key": False,
    "unicode_errors": "surrogateescape",
    "ext_hook": ext_hook,
    "object_pairs_hook": _map_hook,
}


def unpacker(max_bytes: int, hook: Callable[[int, bytes], Any] = ext_hook) -> Any:
    """A msgpack.Unpacker for a stream of messages of at most so many bytes each."""
    elements = min(max_bytes, MAX_ELEMENTS)
    return msgpack.Unpacker(max_buffer_size=max_bytes, max_array_len=elements, max_map_len=elements,
                            **{**UNPACKING, "ext_hook": hook})  # fmt: skip


def unpackb(data: Buffer) -> Any:
    """One value from its bytes; pickles in it stay Pickled. ValueError where the bytes are no MessagePack."""
    return msgpack.unpackb(data, **UNPACKING)


def size(packed: Packed) -> int:
    """Bytes."""
    return len(packed) if isinstance(packed, bytes) else sum(memoryview(each).nbytes for each in packed)


def joined(packed: Packed) -> bytes:
    """All in one piece (a copy, where there are several)."""
    return packed if isinstance(packed, bytes) else b"".join(packed)


def concat(*parts: Packed) -> Packed:
    """One after the other; large buffers are not copied."""
    return concat_all(parts)


def concat_all(parts: Sequence[Packed]) -> Packed:
    """The same of a sequence: small neighbours become one, large buffers stay as they are."""
    if set(map(type, parts)) <= {bytes} and max(map(len, parts), default=0) < LARGE_BYTES:
        return b"".join(parts)  # type: ignore[arg-type]
    return merged(piece for part in parts for piece in ([part] if isinstance(part, bytes) else part))


def merged(buffers: Iterable[Buffer]) -> List[Buffer]:
    """The same bytes in fewer buffers: small neighbours become one, which is a copy, large ones stay as they are."""
    found: List[Buffer] = []
    small: List[Buffer] = []
    for buffer in buffers:
        if len(buffer) < LARGE_BYTES:
            small.append(buffer)
            continue
        if small:
            found.append(b"".join(small))
            small = []
        found.append(buffer)
    if small:
        found.append(b"".join(small))
    return found


# One Packer for all threads, kept because making one costs more than packing. It is used only for values
# for which packing runs no Python code, so that with the GIL one pack() is one step.
_exact = msgpack.Packer(use_bin_type=True)
pack_scalar: Callable[[Any], bytes] = _exact.pack  #: for exact scalars only; OverflowError, UnicodeEncodeError
array_header: Callable[[int], bytes] = _exact.pack_array_header
map_header: Callable[[int], bytes] = _exact.pack_map_header


def _pack_scalars(values: Values, most: int = sys.maxsize) -> Optional[bytes]:
    """An array of exact scalars, none of them large; None where one is not, or it has more than `most` bytes."""
    kinds = set(map(type, values))
    if not kinds <= SCALARS or not kinds.isdisjoint(_SIZED) and _weight(values) > most:
        return None
    try:
        packed: bytes = _exact.pack(values)
    except _UNFIT:
        return None
    return packed if len(packed) <= most else None


def _weight(values: Values) -> int:
    """The length of all strings, or more than all where one is large."""
    lengths = [len(each) for each in values if type(each) in _SIZED]
    return sys.maxsize + 1 if max(lengths) >= LARGE_BYTES else sum(lengths)


def _pack_run(values: List[Any], first: int, last: int, most: int, dumps: Optional[Callable[[Any], bytes]],
              star: bool) -> Tuple[bytes, int, Optional[bytes]]:
    """Elements of a list, packed one after the other as far as that is quick: their bytes, how many they are, and of
    the next one its pickle, if one was made.

    It ends before what is large, cannot be pickled, or makes more than `most` bytes. `dumps`: None where there are no
    pickles. `star`: the elements are arguments, for which it ends where not all are scalars. Here, all are packed or
    none.
    """
    packed = None if star or first else _pack_scalars(values[:last], most)
    if packed is None:
        return b"", 0, None
    return packed[len(array_header(min(last, len(values)))):], min(last, len(values)), None


def _has_type(values: List[Any], kind: type) -> bool:
    """Whether one is of that very type."""
    return kind in set(map(type, values))


try:
    import _procpool
except ImportError:
    _procpool = None

# The extension has the same, some times as fast.
_fast = None if os.environ.get("PROCPOOL_PURE") else _procpool
pack_scalars: Callable[..., Optional[bytes]] = getattr(_fast, "pack_array", _pack_scalars)
pack_run: Callable[..., Tuple[bytes, int, Optional[bytes]]] = getattr(_fast, "pack_run", _pack_run)
has_type: Callable[[List[Any], type], bool] = getattr(_fast, "has_type", _has_type)


def bin_header(length: int) -> bytes:
    """The head of a MessagePack bin of so many bytes."""
    if length < 1 << 8:
        return b"\xc4" + length.to_bytes(1, "big")
    if length < 1 << 16:
        return b"\xc5" + length.to_bytes(2, "big")
    return b"\xc6" + length.to_bytes(4, "big")


def ext_header(length: int) -> bytes:
    """The head of an ext 80 of so many bytes."""
    if length < 1 << 8:
        return b"\xc7" + length.to_bytes(1, "big") + b"P"
    if length < 1 << 16:
        return b"\xc8" + length.to_bytes(2, "big") + b"P"
    return b"\xc9" + length.to_bytes(4, "big") + b"P"


def _checked(length: int) -> int:
    if length >= 1 << 32:
        raise ValueError(f"a value of {length} bytes cannot be sent: MessagePack ends at 4 GiB")
    return length


def packed_pickle(data: bytes) -> Packed:
    """The value that this is the pickle of."""
    header = ext_header(_checked(len(data)))
    return header + data if len(data) < LARGE_BYTES else [header, data]


class Codec:
    """How values travel; see the module's text. `pickles`: whether it writes and reads pickles."""

    pickles = False

    def pack(self, value: Any) -> Packed:
        """One value."""
        raise NotImplementedError

    def pack_array(self, values: Values) -> Packed:
        """An array of values, each on its own: positional arguments, elements of a map."""
        packed = pack_scalars(values)
        return concat_all([array_header(len(values)), *map(self.pack, values)]) if packed is None else packed

    def pack_map(self, values: Mapping[str, Any]) -> Packed:
        """A map of strings to values, each on its own: named arguments."""
        parts: List[Packed] = [map_header(len(values))]
        for name, value in values.items():
            parts += [pack_scalar(name), self.pack(value)]
        return concat_all(parts)

    def pack_arrays(self, items: Iterable[Iterable[Any]]) -> Packed:
        """An array of arrays: the elements of a starmap. TypeError where an item cannot be iterated."""
        arrays = [self.pack_array(tuple(item)) for item in items]
        return concat_all([array_header(len(arrays)), *arrays])

    def restore(self, value: Any) -> Any:
        """What was unpacked, with the pickle that it may be unpickled. Raises what unpickling raises."""
        raise NotImplementedError

    def restore_all(self, values: List[Any]) -> List[Any]:
        """The same for each of a list; the list itself where there is nothing to do."""
        if has_type(values, Pickled):
            return [self.restore(value) if type(value) is Pickled else value for value in values]
        return values


class PickleCodec(Codec):
    """See PICKLE."""

    pickles = True

    def dumps(self, value: Any) -> bytes:
        """The pickle of a value. Raises what pickling raises: PicklingError, TypeError, AttributeError, …"""
        return pickle.dumps(value, 5)

    def loads(self, data: Buffer) -> Any:
        return pickle.loads(data)

    def pack(self, value: Any) -> Packed:
        kind = type(value)
        if kind in SCALARS:
            if kind is bytes and len(value) >= LARGE_BYTES:
                return [bin_header(_checked(len(value))), value]
            try:
                return pack_scalar(value)
            except _UNFIT:
                pass
        return packed_pickle(self.dumps(value))

    def restore(self, value: Any) -> Any:
        return self.loads(value.data) if type(value) is Pickled else value


def _refuse(value: Any) -> Any:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if kind is int:
        raise TypeError("an int beyond 64 bits cannot be sent as plain MessagePack")
    raise TypeError(
        f"a value of type {name} cannot be sent as plain MessagePack: convert it to None, bool, int, float, str, "
        "bytes, list or dict, or call a pool that takes pickles (pickle = yes in its configuration)"
    )


class PlainCodec(Codec):
    """See PLAIN."""

    def pack(self, value: Any) -> Packed:
        if type(value) in (bytes, bytearray, memoryview) and len(value) >= LARGE_BYTES:
            view = memoryview(value)
            if view.contiguous:
                return [bin_header(_checked(view.nbytes)), view.cast("B") if view.nbytes else b""]
        # Not the kept Packer: subclasses and `default` run Python code within pack().
        return bytes(msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape", default=_refuse))

    def restore(self, value: Any) -> Any:
        if type(value) is Pickled:
            raise TypeError(
                "the value is a pickle, and this pool's pickles are not trusted: trust=True unpickles them, which lets "
                "the pool run any code here"
            )
        return value


PICKLE = PickleCodec()
PLAIN = PlainCodec()

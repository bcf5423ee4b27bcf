# SPDX-License-Identifier: MIT
"""What both loops, worker/loop.py and the extension _procpool, ask of the runtime while they run tasks.

A loop reads messages, keeps their order, packs the values that MessagePack keeps exactly (None, bool, int within 64
bits, float, str without surrogates, bytes: types compared by identity), and answers. All else is asked here: which
function a name means, what a pickle holds, what an exception looks like on the wire. A loop calls, for each task:

    function = hooks.function(name), or hooks.callable(pickled) where the option `pickle` is a bin
    hooks.loads(data) for each argument, element or named argument that is ext 80
    hooks.unpack(data) for one that is neither, nor a scalar (the extension; the loop in Python unpacks them all)
    function(...)
    hooks.dumps(value) where the task's option `pickle` is there, else hooks.plain(value), if value is no exact scalar
    hooks.failure(exception, pickle) where any of these raised anything, BaseException included
    hooks.flush() if hooks.dirty[0], after each element and before its answer leaves
"""

from __future__ import annotations

from typing import Any, Callable, NoReturn

from .. import codec, context
from . import failure
from .functions import Functions
from .output import Output


class Hooks:
    """Attributes for loops: `message_bytes`, `value_depth` (limits of answers), `dirty`."""

    def __init__(self, functions: Functions, output: Output, message_bytes: int, value_depth: int,
                 pickles: bool) -> None:
        self.message_bytes = message_bytes
        self.value_depth = value_depth
        self.pickles = pickles
        self.dirty = output.dirty  #: one byte, a bytearray: not 0 while something printed is not yet written
        self.flush: Callable[[], None] = output.flush  #: writes it; never raises
        self.function: Callable[[str], Callable[..., Any]] = functions.function
        self._functions = functions
        #: what an ext 80 holds. Runs code of whoever sent it, so only where the pool takes pickles
        self.loads: Callable[[Any], Any] = codec.PICKLE.loads if pickles else _refuse_pickle

    def attach(self, running: context.Running) -> None:
        """Once, before the first task: what the functions of procpool.context ask."""
        context.attach(running)

    def callable(self, pickled: bytes) -> Callable[..., Any]:
        """The callable that is called instead of a function by name. Once for each task message."""
        if not self.pickles:
            raise failure.Refusal("bad-request", failure.NO_PICKLES)
        return self._functions.callable(pickled)

    def unpack(self, data: bytes) -> Any:
        """One MessagePack value: what the extension has no code of its own for."""
        try:
            return codec.unpackb(data)
        except Exception as e:
            raise failure.Refusal("bad-request", f"an argument cannot be unpacked: {e}") from None

    def dumps(self, value: object) -> bytes:
        """The data of an ext 80."""
        try:
            return codec.PICKLE.dumps(value)
        except (context.Stopped, MemoryError):
            raise
        except BaseException as e:
            raise failure.Unsendable(e, value) from e

    def plain(self, value: object) -> bytes:
        """A whole MessagePack value. TypeError, naming the type, for what MessagePack cannot hold."""
        return codec.joined(self._pack_plain(value))

    def pack(self, value: object, pickle: bool) -> codec.Packed:
        """A whole MessagePack value of whatever a function has returned: what the extension has code of its own for."""
        if not pickle:
            return self._pack_plain(value)
        try:
            return codec.PICKLE.pack(value)
        except (context.Stopped, MemoryError):
            raise
        except BaseException as e:
            raise failure.Unsendable(e, value) from e

    def _pack_plain(self, value: object) -> codec.Packed:
        if _is_deeper(value, self.value_depth):
            raise failure.Refusal("too-large", f"a result nests deeper than {self.value_depth} containers")
        return codec.PLAIN.pack(value)

    def failure(self, exception: BaseException, pickle: bool) -> bytes:
        """The packed map of an error message. Never raises, but for what a stop signal raises in it."""
        return failure.describe(exception, pickle and self.pickles, self.message_bytes)


def _refuse_pickle(data: object) -> NoReturn:
    raise failure.Refusal("bad-request", failure.NO_PICKLES)


def _is_deeper(value: object, depth: int) -> bool:
    """Whether there are more than `depth` containers in one another, itself included."""
    if isinstance(value, dict):
        return depth == 0 or _is_deeper(list(value.values()), depth) or _is_deeper(list(value), depth)
    if not isinstance(value, (list, tuple)):
        return False
    if depth == 0:
        return True
    # Most are flat, and a set of types is found at the speed of C.
    if not any(issubclass(kind, (list, tuple, dict)) for kind in set(map(type, value))):
        return False
    return any(_is_deeper(each, depth - 1) for each in value)

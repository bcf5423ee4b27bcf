# SPDX-License-Identifier: MIT
"""Runs tasks, in pure Python: level 1 of WORKER.md, plain messages and no page.

For interpreters without the extension _procpool, whose loop does the same on the page. Each element is answered as soon
as it has ended, so nothing finished waits for what runs long, and no thread is needed for it.

Code of the task runs in three places, its arguments' unpickling, the function, and its result's pickling, and in the
description of what these raised. All of that is below _element() and _failure(), with `_interruptible` set; a stop
signal that comes elsewhere is dropped.
"""

from __future__ import annotations

import sys
import time
from _thread import get_ident
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import msgpack

from .. import codec
from ..context import Stopped
from . import failure
from .channel import Channel
from .hooks import Hooks
from .messages import ERROR, PROGRESS, RESULT, TASK, ProtocolError
from .throttle import Throttle

MESSAGE_BYTES = 64  #: that a message has beside its value, at most

Task = Callable[..., Any]


class _Unpackable:
    """In place of an item that cannot be unpacked."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class Loop:
    """The one element that runs, and what there is to say of it: a context.Running."""

    def __init__(self, channel: Channel, hooks: Hooks) -> None:
        self._channel = channel
        self._hooks = hooks
        self._seq = self._index = self._job = 0
        self._attempt = 1
        self._interruptible = False
        self._stopped = False
        self._late = False  # a stop signal came while progress was told
        self._thread = get_ident()
        self._throttle = Throttle()

    def job(self) -> int:
        return self._job

    def attempt(self) -> int:
        return self._attempt

    def stopped(self) -> bool:
        return self._stopped

    def interrupt(self) -> bool:
        meant, self._interruptible = self._interruptible, False
        self._stopped = meant or self._stopped
        self._late = not meant
        return meant

    def progress(self, value: bytes) -> None:
        if get_ident() != self._thread:
            self._take_progress(value)
            return
        # In the middle of a message nothing may be raised.
        self._late = False
        interruptible, self._interruptible = self._interruptible, False
        self._take_progress(value)
        self._interruptible = interruptible
        if self._late and interruptible and self.interrupt():
            raise Stopped("asked to stop")

    def _take_progress(self, value: bytes) -> None:
        if self._job and self._throttle.take(value):
            self._tell(value)

    def serve(self) -> None:
        """Until the channel ends. OSError where it breaks."""
        self._hooks.attach(self)
        while True:
            for frame in self._channel.messages():
                self._task(frame)
            try:
                if not self._channel.fill():
                    return
            except Exception as e:
                # TimeoutError too is of a signal's handler, for nothing here has a time limit.
                if isinstance(e, OSError) and not isinstance(e, TimeoutError):
                    raise
                sys.excepthook(type(e), e, e.__traceback__)

    def _task(self, frame: bytes) -> None:
        try:
            message: List[Any] = codec.unpackb(frame)
        except Exception:  # something in it is no value that Python has; the rest is
            message = _unpack_apart(frame)
        number, self._seq, job, name, star = message[:5]
        name = name.decode() if isinstance(name, bytes) else name
        if number != TASK:
            raise ProtocolError(f"message {number!r}")
        options: Dict[str, Any] = message[6] if len(message) > 6 else {}
        self._attempt = options.get("attempt", 1)
        function: Optional[Task] = None
        pickle = options.get("pickle", False)
        for index, item in enumerate(message[5]):
            self._index, self._job, self._stopped = index, job, False
            begin = time.monotonic_ns()
            kind, packed, function = self._element(name, function, star, item, options.get("kwargs"), pickle)
            self._end(kind, (time.monotonic_ns() - begin) // 1000, packed)

    def _element(self, name: str, function: Optional[Task], star: bool, item: Any,
                 kwargs: Optional[Dict[str, Any]], pickle: Union[bool, bytes],
                 ) -> Tuple[int, codec.Packed, Optional[Task]]:
        """RESULT or ERROR with its value or error map; and the function, for the next element."""
        packed: Optional[codec.Packed] = None
        try:
            try:
                self._interruptible = True
                if function is None:
                    function = self._hooks.callable(pickle) if isinstance(pickle, bytes) else self._hooks.function(name)
                value = self._call(function, star, item, kwargs)
                if type(value) not in codec.SCALARS:
                    packed = self._hooks.pack(value, bool(pickle))
            finally:
                self._interruptible = False
            if packed is None:  # by a packer that all share, and that nothing may interrupt
                packed = self._hooks.pack(value, bool(pickle))
            if codec.size(packed) + MESSAGE_BYTES > self._hooks.message_bytes:
                raise failure.Refusal("too-large", failure.too_large(codec.size(packed)))
            return RESULT, packed, function
        except BaseException as e:
            return ERROR, self._failure(e, bool(pickle)), function

    def _call(self, function: Task, star: bool, item: Any, kwargs: Optional[Dict[str, Any]]) -> Any:
        if type(item) is _Unpackable:
            raise failure.Refusal("bad-request", f"an argument cannot be unpacked: {item.reason}")
        if not star:
            args = [self._load(item)]
        elif type(item) is list:
            args = [self._load(value) if type(value) is codec.Pickled else value for value in item]
        else:
            raise failure.Refusal("bad-request", "with star, an item is an array of arguments")
        if kwargs:
            return function(*args, **{key: self._load(value) for key, value in kwargs.items()})
        return function(*args)

    def _load(self, value: Any) -> Any:
        if type(value) is codec.Pickled:
            return self._hooks.loads(value.data)
        return value

    def _failure(self, exception: BaseException, pickle: bool) -> bytes:
        try:
            try:
                self._interruptible = not self._stopped
                return self._hooks.failure(exception, pickle)
            finally:
                self._interruptible = False
        except BaseException as e:
            return self._hooks.failure(e, False)

    def _end(self, kind: int, microseconds: int, packed: codec.Packed) -> None:
        last = self._throttle.last()
        if last is not None:
            self._tell(last)
        if self._hooks.dirty[0]:
            self._hooks.flush()
        self._job = 0
        head = b"\x95" + bytes([kind]) + b"".join(map(msgpack.packb, (self._seq, self._index, microseconds)))
        self._channel.send(codec.concat(head + (b"\x91" if kind == RESULT else b""), packed))

    def _tell(self, value: bytes) -> None:
        self._channel.send(b"\x94" + bytes([PROGRESS]) + msgpack.packb(self._seq) + msgpack.packb(self._index) + value)


def _unpack_apart(frame: bytes) -> List[Any]:
    """A task message of which something cannot be unpacked: an item becomes _Unpackable, or all for an option."""
    unpacker = codec.unpacker(len(frame) + 1)
    unpacker.feed(frame)
    size = unpacker.read_array_header()
    message: List[Any] = [unpacker.unpack() for _ in range(5)]
    begin = unpacker.tell()

    def apart() -> Any:
        nonlocal begin
        unpacker.skip()
        value, begin = frame[begin:unpacker.tell()], unpacker.tell()
        try:
            return codec.unpackb(value)
        except Exception as e:
            return _Unpackable(e)

    count = unpacker.read_array_header()
    begin = unpacker.tell()
    items = [apart() for _ in range(count)]
    options = apart() if size > 6 else {}
    if type(options) is _Unpackable:
        items, options = [options] * count, {}
    return [*message, items, options]

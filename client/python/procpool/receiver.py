# SPDX-License-Identifier: MIT
"""Bytes from the daemon to messages. Used by one thread at a time: whoever has the role of the reader.

An exception may strike between any two steps of Python code (Ctrl-C, any signal handler that raises), and nothing that
the socket gave may be lost then. So each step that takes something is one call into C which also keeps what it took,
`list.extend(map(recv, …))`, what belongs together is stored without a call in between, and receive() goes on where
an interrupted one stopped. Only the unpacker's hooks, which are in Python, may be interrupted within such a call.

A value that cannot be unpacked (such as an ext value of a worker's with the type of timestamps and not their form) must
not end the connection: its message is found again in `_recent`, and given with an error in place of the value.

Large values do not go through the Unpacker, which would copy them several times: once the head of one has come, its
bytes are received where they stay, and the Unpacker is given a token that stands for them.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple

import msgpack

from . import codec
from .blank import blank
from .codec import Pickled

READ_BYTES = 1 << 16
LARGE_BYTES = 1 << 18  #: values from this size on are received where they stay
_RECENT_BYTES = 1 << 20  # so much of a message begun is kept
_READ = (READ_BYTES,)
_ALL = (socket.MSG_WAITALL,)
_ZERO = (0,)
_TOKEN = 81  # ext type of tokens; which are known by their random bytes
_BIN_32, _STR_32, _EXT_32 = 0xC6, 0xDB, 0xC9


class Violation(Exception):
    """The daemon sent what is no message."""


class Ended(Exception):
    """The daemon closed the connection."""


class _Large:
    """A value on its way.

    prefix  what of its message came before it
    view    the part of data that is still to come
    """

    def __init__(self, prefix: bytes, kind: int, extra: bytes, size: int, have: memoryview) -> None:
        """have  what of it has come already"""
        self.prefix = prefix
        self.kind = kind
        self.extra = extra
        self.data, view = blank(size)
        view[: len(have)] = have
        self.view = view[len(have) :]
        self.token = os.urandom(16)
        self.got: List[int] = []

    def value(self) -> Any:
        if self.kind == _BIN_32:
            return bytes(self.data)  # the same, where it is bytes
        if self.kind == _STR_32:
            return self.data.decode("utf-8", "surrogateescape")
        if self.extra == b"P":
            return Pickled(self.data)
        return msgpack.ExtType(self.extra[0] - (self.extra[0] >> 7 << 8), bytes(self.data))


class Receiver:
    """Reads messages from a socket.

    inbox      deque of (message, any), oldest first, to be emptied by `del inbox[0]` before more is received
    max_bytes  of a message, at most
    """

    def __init__(self, sock: socket.socket, max_bytes: int) -> None:
        self.inbox: Deque[Tuple[Any, int]] = deque()
        self.max_bytes = max_bytes
        self._recv = sock.recv
        self._recv_into = sock.recv_into
        self._chunk: List[bytes] = []  # what was read last, until it is accounted for
        self._marks: List[None] = []  # not empty: the unpacker has it
        self._suspect = False  # the unpacker was interrupted in the middle
        self._recent: Optional[List[bytes]] = []  # of a message begun, all that came; None: too much
        self._large: Optional[_Large] = None  # what is being received
        self._larges: Dict[bytes, Any] = {}  # token to value, of the message begun
        self._renew()

    def set_limit(self, max_bytes: int) -> None:
        """Another max_bytes. Only between two messages."""
        self.max_bytes = max_bytes
        if self._fed == self._end:
            self._renew()

    def discard(self) -> None:
        """Forgets what has come of a message, which may have declared to be huge: nothing will be received any more."""
        self._chunk, self._recent, self._large, self._larges = [b""], None, None, {}
        self._suspect = False
        self._renew()

    def _renew(self) -> None:
        """An unpacker that has read nothing."""
        self._unpacker = codec.unpacker(self.max_bytes + READ_BYTES, self._ext_hook)
        self._tells: Iterator[int] = iter(self._unpacker.tell, -1)
        self._fed = 0  # bytes that it was given and are accounted for
        self._end = 0  # where in these the last whole message ended

    def _ext_hook(self, code: int, data: bytes) -> Any:
        if code == _TOKEN and data in self._larges:
            return self._larges[data]
        return codec.ext_hook(code, data)

    @property
    def pending(self) -> bool:
        """Whether an interrupted receive() is to be called again, which will not wait."""
        return bool(self._chunk)

    def receive(self, flags: Tuple[int, ...] = ()) -> None:
        """Reads once, and puts what has become whole in the inbox.

        flags  (MSG_DONTWAIT,): BlockingIOError where nothing has come

        Raises Ended, Violation, OSError.
        """
        if self._large is not None and not self._receive_large(self._large, flags):
            return
        chunk, marks, inbox = self._chunk, self._marks, self.inbox
        if not chunk:
            chunk.extend(map(self._recv, _READ, flags) if flags else map(self._recv, _READ))
        if not chunk[0]:
            raise Ended
        if self._suspect:
            self._recover(None)
            return
        try:
            if not marks:
                marks.extend(map(self._unpacker.feed, chunk))
            inbox.extend(zip(self._unpacker, self._tells))
        except Exception as e:
            self._recover(e)
            return
        except BaseException as e:
            # One of the hooks was interrupted, for those are in Python, and the unpacker with it.
            self._suspect = e.__traceback__ is not None and e.__traceback__.tb_next is not None
            raise
        if not chunk:  # a signal handler called us in between
            return
        fed = self._fed + len(chunk[0])
        end = inbox[-1][1] if inbox else self._end
        if end != fed:
            self._keep(end, fed)
            return
        self._fed = self._end = fed
        if self._recent != [] or self._larges:
            self._recent, self._larges = [], {}
        del chunk[:], marks[:]

    def _keep(self, end: int, fed: int) -> None:
        """The chunk ended within a message: keeps the bytes of that."""
        chunk = self._chunk
        recent: Optional[List[bytes]]
        larges = self._larges
        if end > self._fed:
            recent = [chunk[0][end - self._fed :]]
            larges = {}  # of a message that is whole
        else:
            recent = [*self._recent, chunk[0]] if self._recent is not None else None
        large = None
        if recent is not None:
            waiting = fed - self._unpacker.tell()  # bytes of a value that is not whole
            if waiting > 1 << 16:
                large = self._find_large(b"".join(recent), waiting)
            if fed - end > _RECENT_BYTES:
                recent = None
        self._recent, self._fed, self._end, self._large, self._larges = recent, fed, end, large, larges
        del chunk[:], self._marks[:]

    def _find_large(self, raw: bytes, waiting: int) -> Optional[_Large]:
        """The large value that so many bytes are waiting for, at the end of what has come of its message."""
        # More than 2^16 bytes can only wait for a value whose length has 32 bits and stands before them.
        at = len(raw) - waiting
        if at < 5:
            return None
        kind, size = raw[at - 5], int.from_bytes(raw[at - 4 : at], "big")
        if kind not in (_BIN_32, _STR_32, _EXT_32) or not LARGE_BYTES <= size <= self.max_bytes:
            return None
        prefix, extra = raw[: at - 5], b""
        if kind == _EXT_32:
            at, extra = at + 1, raw[at : at + 1]
        return _Large(prefix, kind, extra, size, memoryview(raw)[at:])

    def _receive_large(self, large: _Large, flags: Tuple[int, ...]) -> bool:
        """More of it. True when it is whole, and its message is as if it had just been read."""
        if large.view:
            if not large.got:
                large.got.extend(map(self._recv_into, (large.view,), _ZERO, flags or _ALL))
            if not large.got[0]:
                raise Ended
            large.view = large.view[large.got[0] :]
            del large.got[:]
            if large.view:
                return False
        self._larges[large.token] = large.value()
        self._renew()
        chunk = [large.prefix + b"\xd8" + bytes((_TOKEN,)) + large.token]
        self._chunk, self._marks, self._recent, self._large = chunk, [], [], None
        return True

    # What cannot be unpacked

    def _recover(self, failure: Optional[Exception]) -> None:
        """Unpacks the messages of the chunk one by one. `failure` is raised again if that is possible after all."""
        if self._recent is None:
            raise Violation(f"what it sent cannot be unpacked: {failure}")
        raw = b"".join([*self._recent, *self._chunk])
        start = (self.inbox[-1][1] if self.inbox else self._end) - self._end
        spoiled = False
        messages = []
        for size in _sizes(raw[start:]):
            data = raw[start : start + size]
            start += size
            message, why = self._try(data)
            if why is not None:
                message, why = self._try(data)  # it may have been a signal handler's
            if why is not None:
                spoiled = True
                message = _spoiled(data, why)
            if message is not None:
                messages.append((message, 0))
        rest = raw[start:]
        unpacker = codec.unpacker(self.max_bytes + READ_BYTES, self._ext_hook)
        try:
            unpacker.feed(rest)
            stray = list(unpacker)
        except Exception as e:
            raise Violation(f"what it sent cannot be unpacked: {e}") from None
        if stray:
            raise Violation("what it sent cannot be unpacked")
        tells, fed, recent = iter(unpacker.tell, -1), len(rest), [rest] if rest else []
        # No call from here to the end: nothing can come between.
        self.inbox += messages
        self._unpacker, self._tells, self._fed, self._end, self._recent = unpacker, tells, fed, 0, recent
        self._suspect = False
        del self._chunk[:], self._marks[:]
        if failure is not None and not spoiled:
            raise failure  # it came from elsewhere

    def _try(self, data: bytes) -> Tuple[Any, Optional[Exception]]:
        try:
            return msgpack.unpackb(data, **{**codec.UNPACKING, "ext_hook": self._ext_hook}), None
        except Exception as e:
            return None, e


def _sizes(raw: bytes) -> List[int]:
    """The bytes of each of the whole messages."""
    framer = msgpack.Unpacker(max_buffer_size=len(raw) + 1)
    framer.feed(raw)
    sizes: List[int] = []
    end = 0
    try:
        while True:
            framer.skip()
            sizes.append(framer.tell() - end)
            end = framer.tell()
    except msgpack.OutOfData:
        return sizes
    except Exception as e:
        raise Violation(f"what it sent is no MessagePack: {e}") from None


def _spoiled(data: bytes, why: Exception) -> Optional[List[Any]]:
    """A message with an error in place of the value that cannot be unpacked; None where nobody waits for it."""
    error = {"code": "function-failed", "type": type(why).__name__,
             "message": f"what it returned cannot be unpacked: {why}"}  # fmt: skip
    unpacker = codec.unpacker(len(data) + 1)
    unpacker.feed(data)
    try:
        unpacker.read_array_header()
        if unpacker.unpack() == 1:
            return [1, unpacker.unpack(), error, None]
        if unpacker.unpack() in ("result", "items", "values"):
            unpacker.read_array_header()
            return [2, "result", [unpacker.unpack(), error, None, None]]
    except Exception:
        pass
    return None

# SPDX-License-Identifier: MIT
"""The runtime's end of a channel: MessagePack values that follow each other, with descriptors.

Messages come out as bytes, not unpacked: one that holds something which Python cannot build (a map with a list as key)
must not take the others with it.
"""

from __future__ import annotations

import array
import socket
from _thread import allocate_lock
from collections import deque
from socket import socket as Socket  # here, and not where it is used: modules may patch sockets (gevent does)
from typing import Any, Deque, Iterator, List

import msgpack

from .. import codec

READ_BYTES = 1 << 16
READ_BYTES_MAX = 1 << 22
FDS_MAX = 16  #: with one message


class Channel:
    """Owns the descriptor. Descriptors that come are close-on-exec, and owned by whoever takes them."""

    def __init__(self, fd: int) -> None:
        self._socket = Socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
        self._socket.setblocking(True)
        self._socket.set_inheritable(False)
        self._read_bytes = READ_BYTES
        self._sending = allocate_lock()
        self.sent = 0  #: bytes
        self._buffer = bytearray()
        self._skipped = 0  # of the stream, at the buffer's beginning
        self._scanner = msgpack.Unpacker(max_buffer_size=(1 << 31) - 1)
        self._fds: Deque[List[int]] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def detach(self) -> None:
        """Leaves the descriptor to others."""
        self._socket.detach()

    def fill(self) -> bool:
        """Reads once, waiting if need be. False at the end of the stream, also where the daemon has reset it."""
        space = socket.CMSG_SPACE(FDS_MAX * array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(self._read_bytes, space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return False
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
                self._fds.append(list(fds))
        # What is large should come in few pieces, and what is small cost no memory.
        full = len(data) == self._read_bytes
        self._read_bytes = min(self._read_bytes * 2, READ_BYTES_MAX) if full else READ_BYTES
        self._buffer += data
        self._scanner.feed(data)
        return bool(data)

    def messages(self) -> Iterator[bytes]:
        """Those that are complete."""
        while self._buffer:
            try:
                self._scanner.skip()
            except msgpack.OutOfData:
                return
            size = self._scanner.tell() - self._skipped
            frame = bytes(memoryview(self._buffer)[:size])
            self._skipped += size
            del self._buffer[:size]
            yield frame

    def take_fds(self) -> List[int]:
        """Those of the message that came first with any and was not asked for yet."""
        return self._fds.popleft() if self._fds else []

    def send(self, data: codec.Packed) -> None:
        """All of it. OSError where the daemon does not read any more."""
        with self._sending:
            for part in [data] if isinstance(data, bytes) else data:
                self._socket.sendall(part)
            self.sent += codec.size(data)

    def send_message(self, *message: Any) -> None:
        self.send(msgpack.packb(message))

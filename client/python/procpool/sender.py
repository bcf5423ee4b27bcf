# SPDX-License-Identifier: MIT
"""Frames to the daemon, in the order in which they were put, by whichever thread comes first.

Putting is one step and needs no lock; sending is one thread's at a time, the others' frames go along. As in
receiver.py an exception may strike anywhere: what the kernel took is noted in the same step (`_sent`), so that whoever
sends next goes on behind it, and no frame is ever torn.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Any, Callable, List, Sequence

from .codec import LARGE_BYTES, Buffer, merged

_FLAGS = (socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL,)
_NO_ANCILLARY = ((),)
_NOTHING: List[Buffer] = []  # never changed
_BUFFERS = 256  # of one sendmsg
_PATIENCE_MS = 50  # until it is looked again whether anybody reads


class Sender:
    """Writes to a socket.

    frames  list of buffers, what is to be sent: put with `frames += (buffer,)`, those of one frame in one step
    broken  the daemon reads no more: what is put is dropped, the reader will find the reason
    """

    def __init__(self, sock: socket.socket, read: Callable[[], bool]) -> None:
        """read  reads what has come; False where another thread does that"""
        self.frames: List[Buffer] = []
        self.broken = False
        self._sock = sock
        self._send = sock.send
        self._read = read
        self._role: Any = threading.RLock()
        self._batch: List[Buffer] = _NOTHING  # what is being sent
        self._sent: List[int] = []  # what the kernel took of it, until accounted for

    @property
    def pending(self) -> bool:
        return bool(self.frames or self._batch)

    def flush(self, wait: bool = True) -> None:
        """Sends all there is, unless another thread is sending: then that does.

        wait  False: what the daemon does not take at once remains

        While it waits for the daemon to take more, it reads, for the daemon may wait for that.
        """
        role = self._role
        if role._is_owned():  # we are called by our own reading
            return
        while self.frames or self._batch:
            try:
                try:
                    if not role.acquire(False):
                        return
                    if not self._send_all(wait):
                        return
                finally:
                    if role._is_owned():
                        role.release()
            except BaseException:
                if role._is_owned():
                    role.release()
                raise

    def _send_all(self, wait: bool) -> bool:
        frames, sent = self.frames, self._sent
        while True:
            batch = self._batch
            if sent:
                if len(batch) == 1 and sent[0] == len(batch[0]):  # all of it, as nearly always
                    self._batch = batch = _NOTHING
                    del sent[:]
                else:
                    self._account()
                    batch = self._batch
            if not batch:
                count = len(frames)
                if not count:
                    return True
                taken = _batched(frames[:count])
                self._batch = batch = taken  # no call from here to the end of the deletion
                del frames[:count]
            try:
                if len(batch) == 1:
                    sent.extend(map(self._send, batch, _FLAGS))
                else:
                    sent.extend(map(self._sock.sendmsg, (batch[:_BUFFERS],), _NO_ANCILLARY, _FLAGS))
            except BlockingIOError:
                if not wait:
                    return False
                self._wait()
            except OSError as e:
                if e.errno is None:  # none of the socket's: a signal handler's
                    raise
                self.broken = True
                self._batch = _NOTHING
                del frames[:]
                with contextlib.suppress(OSError):  # so that the connection ends, whatever it was
                    self._sock.shutdown(socket.SHUT_WR)
                return True

    def _account(self) -> None:
        """Takes away what the kernel has taken."""
        batch, count = self._batch, self._sent[0]
        i = 0
        while i < len(batch) and count >= len(batch[i]):
            count -= len(batch[i])
            i += 1
        rest = batch[i:]
        if count:
            rest[0] = memoryview(rest[0])[count:]
        self._batch = rest
        del self._sent[:]

    def _wait(self) -> None:
        """Until the daemon takes more, or something has been read."""
        wanted = select.POLLOUT | (select.POLLIN if self._read() else 0)
        if self._sock.fileno() >= 0:
            poll = select.poll()
            poll.register(self._sock, wanted)
            poll.poll(_PATIENCE_MS)  # who reads else may have stopped to


def _batched(frames: Sequence[Buffer]) -> List[Buffer]:
    """Small ones in one piece, large ones as they are."""
    if len(frames) == 1:
        return [*frames]
    if max(map(len, frames)) < LARGE_BYTES:
        return [b"".join(frames)]
    return merged(frames)

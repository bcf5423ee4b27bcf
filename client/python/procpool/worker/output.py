# SPDX-License-Identifier: MIT
"""What tasks print: sys.stdout and sys.stderr that know whether something is still to be written.

A line leaves as soon as it ends. What has no end yet must leave before the answer of the task that printed it, and
looking for that must cost nothing where nobody prints: so the buffers set a flag, one byte, that loops look at. The
streams are made before any code is loaded, since that keeps references to them, and outlive forks: a worker's pipes
take the place of descriptors 1 and 2 below them. A pipe without a reader, or a descriptor that a function has closed,
loses what is printed.
"""

from __future__ import annotations

import ctypes
import io
import sys
from typing import Any


class _Buffer(io.BufferedWriter):
    """Marks that something may be pending."""

    def __init__(self, raw: io.RawIOBase, dirty: bytearray) -> None:
        super().__init__(raw)
        self._dirty = dirty

    def write(self, data: Any) -> int:
        self._dirty[0] = 1
        return super().write(data)

    def flush_all(self) -> None:
        """Never raises."""
        try:
            self.flush()
        except (OSError, ValueError, RuntimeError):
            pass  # a function has closed it; or a signal's handler has come in the middle of writing


class _Descriptor(io.FileIO):
    """A descriptor whose end, a broken pipe, is nobody's error."""

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class Output:
    """`dirty`: a byte that is not 0 while flush() may have something to do."""

    def __init__(self) -> None:
        self.dirty = bytearray(1)
        # Text is never kept back above the buffers; and these are there still if a function detaches or replaces it.
        self._buffers = [_Buffer(_Descriptor(fd, "w", closefd=False), self.dirty) for fd in (1, 2)]
        sys.stdout = sys.__stdout__ = self._text(0, sys.stdout, "strict")
        sys.stderr = sys.__stderr__ = self._text(1, sys.stderr, "backslashreplace")
        unbuffer_stdio()

    def _text(self, buffer: int, stream: Any, errors: str) -> io.TextIOWrapper:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        return io.TextIOWrapper(self._buffers[buffer], encoding, errors, line_buffering=True, write_through=True)

    def flush(self) -> None:
        """Writes what is pending; never raises."""
        self.dirty[0] = 0
        for buffer in self._buffers:
            buffer.flush_all()


def unbuffer_stdio() -> None:
    """What extensions print by the C library leaves at once: asking it before each answer would cost more."""
    try:
        library = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(library, "stdout")
        library.setvbuf(stdout, None, 2, ctypes.c_size_t(0))  # _IONBF
    except (OSError, ValueError, AttributeError):
        pass  # no such library: what extensions print is then written when their buffer is full

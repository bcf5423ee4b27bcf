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
        sys.stdout = self._stdout = self._stream(1, "strict")
        sys.stderr = self._stderr = self._stream(2, "backslashreplace")
        sys.__stdout__, sys.__stderr__ = self._stdout, self._stderr
        unbuffer_stdio()

    def _stream(self, fd: int, errors: str) -> io.TextIOWrapper:
        encoding = getattr(sys.stdout if fd == 1 else sys.stderr, "encoding", None) or "utf-8"
        buffer = _Buffer(_Descriptor(fd, "w", closefd=False), self.dirty)
        return io.TextIOWrapper(buffer, encoding, errors, line_buffering=True, write_through=True)

    def flush(self) -> None:
        """Writes what is pending; never raises."""
        self.dirty[0] = 0
        for stream in (self._stdout, self._stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # ValueError: a function has closed it
                pass


def unbuffer_stdio() -> None:
    """What extensions print by the C library leaves at once: asking it before each answer would cost more."""
    try:
        library = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(library, "stdout")
        library.setvbuf(stdout, None, 2, ctypes.c_size_t(0))  # _IONBF
    except (OSError, ValueError, AttributeError):
        pass  # no such library: what extensions print is then written when their buffer is full

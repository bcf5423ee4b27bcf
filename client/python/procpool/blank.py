# SPDX-License-Identifier: MIT
"""Memory for a large value that is about to come, to be filled where it stays.

A bytes object can be made without its contents and be filled before anybody else sees it: CPython's own functions do
so, and ctypes calls them. Of the time that 64 MiB take, most is the first touch of fresh memory, page by page: to fill
a bytearray and make bytes of it does that twice, and huge pages make it cheap (proto/large.h).
"""

from __future__ import annotations

import sys
from typing import Any, Tuple, Union

_HUGE_PAGE = 1 << 21
_HUGE_FROM = 1 << 22  # bytes: smaller ones may share their pages with others
_MADV_HUGEPAGE = 14
_PYBUF_WRITE = 0x200


def blank(size: int) -> Tuple[Union[bytes, bytearray], memoryview]:
    """An object of so many bytes, and a writable view of it, which does not keep it.

    It is bytes where that can be, else a bytearray. Nothing may be written once others see it.
    """
    if sys.implementation.name == "cpython":
        try:
            return _blank_bytes(size)
        except (ImportError, AttributeError, OSError):  # without ctypes
            pass
    data = bytearray(size)
    return data, memoryview(data)


def _blank_bytes(size: int) -> Tuple[bytes, memoryview]:
    import ctypes  # takes some milliseconds, so only where something large comes

    make: Any = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
        ("PyBytes_FromStringAndSize", ctypes.pythonapi))  # fmt: skip
    find: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))
    look: Any = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
        ("PyMemoryView_FromMemory", ctypes.pythonapi))  # fmt: skip
    data: bytes = make(None, size)
    address: int = find(data)
    if size >= _HUGE_FROM:
        first = -(-address // _HUGE_PAGE) * _HUGE_PAGE
        length = (address + size - first) // _HUGE_PAGE * _HUGE_PAGE
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _MADV_HUGEPAGE)
    view: memoryview = look(address, size, _PYBUF_WRITE)
    return data, view

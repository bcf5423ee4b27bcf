# SPDX-License-Identifier: MIT
"""Mounts that a process of the tests' and its children see, and nobody else. Needs root, and a system that allows it."""

import ctypes
import os

import pytest

_NEWNS, _BIND, _REC, _PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def begin():
    """From here on this process has its own."""
    _check(_libc.unshare(_NEWNS))
    _check(_libc.mount(b"none", b"/", None, _REC | _PRIVATE, None))


def cover(target, by):
    """With another file or directory."""
    _check(_libc.mount(os.fsencode(by), os.fsencode(target), None, _BIND, None))


def cover_with_nothing(target):
    """A directory, with an empty one."""
    _check(_libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", 0, None))


def are_possible():
    pid = os.fork()
    if pid == 0:
        try:
            begin()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


# For modules and tests: pytestmark = mounts.needed
needed = pytest.mark.skipif(not are_possible(), reason="needs root and mount namespaces")

# SPDX-License-Identifier: MIT
"""Memory that is filled before it is seen."""

import sys

import pytest
from procpool import blank


@pytest.mark.parametrize("size", [0, 1, 5000, (4 << 20) + 12345])
def test_it_has_what_was_written(size):
    data, view = blank.blank(size)
    pattern = bytes(range(256)) * (size // 256 + 1)
    view[:] = pattern[:size]
    assert type(data) is bytes and data == pattern[:size] and hash(data) == hash(pattern[:size])


def test_it_is_no_bytes_object_that_others_have():
    data, view = blank.blank(3)
    view[:] = b"abc"
    other, view = blank.blank(3)
    view[:] = b"xyz"
    assert data == b"abc" and other == b"xyz"


def test_it_goes_without_ctypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctypes", None)
    data, view = blank.blank(5)
    view[:] = b"abcde"
    assert type(data) is bytearray and data == b"abcde"

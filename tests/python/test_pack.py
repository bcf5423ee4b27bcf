# SPDX-License-Identifier: MIT
"""codec.pack_scalars, in Python and as the extension has it: the same bytes as msgpack's, or nothing."""

import enum

import msgpack
import pytest
from procpool import codec

try:
    from _procpool import pack_array
except ImportError:
    pack_array = None


class Int(int):
    pass


class Flag(enum.IntFlag):
    A = 1


class Text(str):
    pass


@pytest.fixture(params=["python", "extension"])
def pack(request):
    if request.param == "python":
        return codec._pack_scalars
    if pack_array is None:
        pytest.skip("_procpool is not built")
    return pack_array


KEPT = [None, True, False, 0, -1, 127, 128, -32, -33, 255, 256, 65536, 2**32, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1.5,
        float("inf"), "", "é", "€" * 100, "\x00", b"", b"\xff" * 300, "a" * 65535, b"b" * 65535]  # fmt: skip
REFUSED = [2**64, -(2**63) - 1, "\ud800", [], (), {}, bytearray(), Int(1), Flag.A, Text(), object(), 1j, "a" * 65536,
           "é" * 70000, b"b" * 65536]  # fmt: skip


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("values", [[], KEPT, [*range(-70000, 70000)]], ids=["none", "of every kind", "many"])
def test_scalars_are_packed_as_msgpack_packs_them(pack, kind, values):
    assert pack(kind(values)) == msgpack.packb(values)


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: f"{type(value).__name__} {str(value)[:3]!a}")
def test_what_is_no_small_scalar_is_refused_wherever_it_is(pack, value):
    assert pack([value]) is None
    assert pack([1] * 1000 + [value]) is None


@pytest.mark.parametrize("values", [[], [1], [1] * 70000, ["x" * 100] * 100, [b"x" * 65535] * 3])
def test_no_more_is_packed_than_was_asked_for(pack, values):
    packed = msgpack.packb(values)
    assert pack(values, len(packed)) == packed
    assert pack(values, len(packed) - 1) is None
    assert pack(values, 0) is pack(values, -1) is None


@pytest.fixture(params=["python", "extension"])
def has_type(request):
    return codec._has_type if request.param == "python" else pytest.importorskip("_procpool").has_type


def test_a_type_is_found_among_others_wherever_it_is(has_type):
    many = [*range(1000)]
    for values in ([Int()], [*many, Int()], [Int(), *many], [*many, Int(), *many]):
        assert has_type(values, Int) is True
        assert has_type(values, float) is False
    assert has_type([], int) is has_type([True], int) is False


@pytest.mark.parametrize("values", [None, 5, "text", {1}, iter([1]), range(3)])
@pytest.mark.skipif(pack_array is None, reason="_procpool is not built")
def test_the_extension_takes_only_lists_and_tuples(values):
    with pytest.raises(TypeError):
        pack_array(values)

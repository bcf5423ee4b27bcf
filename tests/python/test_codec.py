# SPDX-License-Identifier: MIT
"""Values to bytes and back."""

import collections
import enum
import pickle

import msgpack
import pytest
from procpool import codec
from procpool.codec import PICKLE, PLAIN, Pickled

SCALARS = [None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 1.5, float("inf"), "", "grüße", b"", b"\xff"]


class Number(enum.IntEnum):
    ONE = 1


class Word(str):
    pass


Point = collections.namedtuple("Point", "x y")


def carried(value, through=PICKLE):
    return through.restore(codec.unpackb(codec.joined(through.pack(value))))


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_a_scalar_travels_as_messagepack_has_it(value):
    for through in PICKLE, PLAIN:
        assert msgpack.unpackb(codec.joined(through.pack(value))) == value
        assert carried(value, through) == value and type(carried(value, through)) is type(value)


@pytest.mark.parametrize("value", [
    (1, (2,)), [1, "a"], {1: (2,)}, {"a"}, bytearray(b"x"), Number.ONE, Word("w"), Point(1, 2), 2**64, -(2**63) - 1,
    "\ud800", 1j, ValueError, range(3)], ids=repr)  # fmt: skip
def test_everything_else_keeps_its_type_as_a_pickle(value):
    assert carried(value) == value and type(carried(value)) is type(value)
    assert type(codec.unpackb(codec.joined(PICKLE.pack(value)))) is Pickled


def test_identities_within_a_value_survive():
    inner = [1]
    first, second = carried((inner, inner))
    assert first is second


@pytest.mark.parametrize("length", [0, 1, 200, 255, 256, 65535, 65536, 70000])
def test_pickles_of_any_length_have_the_right_head(length):
    value = bytearray(length)
    assert carried(value) == value


@pytest.mark.parametrize("values", [[], [1, 2], [1, "a", None], [(1,), 2], [2**70, 1], ["\ud800"], [b"x" * 70000, 1]],
                         ids=lambda values: repr(values)[:8])  # fmt: skip
def test_an_array_of_values_is_one_of_each_on_its_own(values):
    packed = codec.joined(PICKLE.pack_array(values))
    assert packed == codec.array_header(len(values)) + b"".join(codec.joined(PICKLE.pack(each)) for each in values)
    assert PICKLE.restore_all(codec.unpackb(packed)) == values


def test_arrays_of_arguments_and_named_ones():
    star = codec.joined(PICKLE.pack_arrays([(1, (2,)), [3]]))
    assert [PICKLE.restore_all(each) for each in codec.unpackb(star)] == [[1, (2,)], [3]]
    named = codec.unpackb(codec.joined(PICKLE.pack_map({"a": 1, "b": (2,)})))
    assert {name: PICKLE.restore(value) for name, value in named.items()} == {"a": 1, "b": (2,)}


@pytest.mark.parametrize("through", [PICKLE, PLAIN])
def test_large_bytes_are_not_copied(through):
    data = bytes(codec.LARGE_BYTES)
    packed = through.pack_array([1, data, 2])
    assert any(memoryview(each).obj is data for each in packed)
    assert codec.unpackb(codec.joined(packed)) == [1, data, 2]
    assert codec.size(packed) == len(codec.joined(packed))


def test_unpacking_does_not_unpickle():
    class Evil:
        def __reduce__(self):
            return exec, ("raise RuntimeError('unpickled')",)

    value = codec.unpackb(codec.joined(PICKLE.pack([Evil()])))
    assert type(value) is Pickled
    with pytest.raises(RuntimeError, match="unpickled"):
        PICKLE.restore(value)


def test_a_list_without_pickles_is_passed_on_as_it_is():
    values = [1, "a"]
    assert PICKLE.restore_all(values) is values


def test_what_cannot_be_pickled_says_why():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        PICKLE.pack(lambda: 0)


@pytest.mark.parametrize("value, came", [
    ((1, (2, [3])), [1, [2, [3]]]), (bytearray(b"x"), b"x"), (memoryview(b"xy"), b"xy"), ({1: (2,)}, {1: [2]}),
    (Number.ONE, 1), (Point(1, 2), [1, 2]), ("\udcff", "\udcff"), (memoryview(bytes(70000)), bytes(70000)),
    (bytearray(70000), bytes(70000))], ids=lambda value: repr(value)[:8])  # fmt: skip
def test_plain_values_become_what_messagepack_has(value, came):
    assert carried(value, PLAIN) == came and type(carried(value, PLAIN)) is type(came)


@pytest.mark.parametrize("value, name", [({1}, "set"), ([1j], "complex"), (Pickled(b""), "procpool.codec.Pickled")],
                         ids=lambda value: repr(value)[:8])  # fmt: skip
def test_what_messagepack_cannot_hold_is_refused_with_advice(value, name):
    with pytest.raises(TypeError, match=f"type {name} cannot be sent.*pickle = yes"):
        PLAIN.pack(value)


def test_a_large_int_is_refused_where_plain():
    with pytest.raises(TypeError, match="64 bits"):
        PLAIN.pack_array([2**64])


def test_a_pickle_is_not_unpickled_where_plain():
    value = codec.unpackb(codec.joined(PICKLE.pack((1,))))
    with pytest.raises(TypeError, match="trust"):
        PLAIN.restore(value)
    with pytest.raises(TypeError, match="trust"):
        PLAIN.restore_all([1, value])


@pytest.mark.parametrize("data, value", [
    (b"\x81\x91\x01\x02", {(1,): 2}), (b"\x81\x81\x01\x02\x03", {((1, 2),): 3}),
    (b"\xd4\x05\x61", msgpack.ExtType(5, b"a")), (b"\xa2\xff\xfe", "\udcff\udcfe"), (b"\x82\x01\x02\x01\x03", {1: 3})],
    ids=lambda value: repr(value)[:8])  # fmt: skip
def test_what_other_languages_send_can_be_unpacked(data, value):
    assert codec.unpackb(data) == value

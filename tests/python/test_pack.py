# SPDX-License-Identifier: MIT
"""codec.pack_scalars and codec.pack_run, in Python and as the extension has them: the bytes of msgpack, or nothing."""

import enum

import msgpack
import pytest
from procpool import codec

try:
    from _procpool import pack_array, pack_run
except ImportError:
    pack_array = pack_run = None


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


# pack_run


def unpacking(function):
    """pack_run() that gives what was packed, unpacked; and of the next one its pickle, if one was made."""
    def run(values, first=0, last=None, most=1 << 20, dumps=codec.PICKLE.dumps, star=False):
        packed, count, pickle = function(values, first, len(values) if last is None else last, most, dumps, star)
        got = codec.unpackb(codec.array_header(count) + packed)
        return [codec.PICKLE.restore(each) for each in got], pickle
    return run


@pytest.fixture
def native():
    """As the extension has it; Python leaves more to be packed one by one."""
    if pack_run is None:
        pytest.skip("_procpool is not built")
    return unpacking(pack_run)


@pytest.mark.parametrize("values", [[], [1], [*range(1000)], KEPT])
def test_a_run_of_scalars_is_packed(native, values):
    assert native(values) == unpacking(codec._pack_run)(values) == (values, None)


def test_a_run_begins_and_ends_where_it_was_told(native):
    assert native([*range(10)], last=4) == unpacking(codec._pack_run)([*range(10)], last=4) == ([0, 1, 2, 3], None)
    assert native([*range(10)], first=3, last=8) == ([3, 4, 5, 6, 7], None)
    assert native([*range(10)], first=8, last=100) == ([8, 9], None)


def raising(error):
    def dumps(value):
        raise error
    return dumps


def test_other_objects_are_pickled(native):
    values = [1, (2, "x"), [3], 2**64, Int(5), "\ud800", {"a": {1}}, None]
    assert native(values) == (values, None)
    assert type(native(values)[0][4]) is Int


def test_without_pickles_it_ends_before_them(native):
    assert native([1, 2, (3,), 4], dumps=None) == ([1, 2], None)


@pytest.mark.parametrize("large", [b"x" * 65536, "x" * 65536, "é" * 40000])
def test_it_ends_before_what_is_large(native, large):
    assert native([1, large, 2], dumps=raising(AssertionError)) == ([1], None)


def test_a_pickle_without_room_is_given(native):
    value = [b"x" * 70000]
    packed, pickle = native([(1,), value, 2])
    assert packed == [(1,)] and codec.PICKLE.loads(pickle) == value
    packed, pickle = native([(1,), (2,)], most=codec.size(codec.PICKLE.pack((1,))) + 3)
    assert packed == [(1,)] and codec.PICKLE.loads(pickle) == (2,)


def test_it_ends_where_there_is_no_room(native):
    assert native([*range(100)], most=10) == ([*range(10)], None)
    assert native(["abc"], most=0) == ([], None)
    assert native([(1, 2), (3, 4)], most=4, star=True) == ([[1, 2]], None)


def test_it_ends_before_what_cannot_be_pickled(native):
    assert native([1, (2,)], dumps=raising(ValueError())) == ([1], None)
    assert native([1, (2,)], dumps=lambda value: "no bytes") == ([1], None)


def test_what_is_no_exception_of_a_pickle_goes_on(native):
    with pytest.raises(KeyboardInterrupt):
        native([1, (2,)], dumps=raising(KeyboardInterrupt()))


def test_a_list_may_shrink_meanwhile(native):
    values = [(1,), (2,), (3,)]
    assert native(values, dumps=lambda value: values.clear() or codec.PICKLE.dumps(value)) == ([(1,)], None)


def test_arguments_are_packed_where_all_are_scalars(native):
    assert native([(1, "a"), [2, None], ()], star=True) == ([[1, "a"], [2, None], []], None)
    assert native([(1,), (2, (3,)), (4,)], star=True) == ([[1]], None)
    assert native([(1,), {2}, "text"], star=True) == ([[1]], None)

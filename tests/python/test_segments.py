# SPDX-License-Identifier: MIT
"""Input is cut into segments that are small enough, in order, with nothing lost."""

import itertools

import msgpack
import pytest

import pool_functions as work
from procpool import segments
from procpool.codec import PICKLE, joined, unpackb
from procpool.segments import Failure, Segment, Segments


def cut_all(elements, most=segments.ELEMENTS_MAX, **options):
    cutter = Segments(PICKLE, iter(elements), **options)
    found = list(iter(lambda: cutter.cut(most), None))
    assert cutter.ended and cutter.cut(most) is None
    return found


def elements_of(found):
    """What the segments hold, with the errors between."""
    for each in found:
        if isinstance(each, Failure):
            yield each.error
        else:
            assert each.bytes == len(joined(each.items))
            values = unpackb(joined(each.items))
            assert len(values) == each.length
            yield from PICKLE.restore_all(values)


INPUTS = [
    range(1000), ["x"] * 500, [b"y" * 1000] * 500, [(i, None) for i in range(300)], [None, True, 1.5, 2**63, 2**70],
    [1, "two", (3,)], [b"z" * 200_000] * 30, [], [0, b"w" * 3_000_000, 1], ["\udc80"],
]  # fmt: skip


@pytest.mark.parametrize("elements", INPUTS, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("most", [1, 7, segments.ELEMENTS_MAX])
def test_nothing_is_lost_and_all_is_in_order(elements, most):
    found = cut_all(elements, most)
    assert list(elements_of(found)) == list(elements)
    assert [each.first for each in found] == list(itertools.accumulate([0] + [each.length for each in found]))[:-1]
    assert all(each.length <= most for each in found)


@pytest.mark.parametrize("elements", INPUTS, ids=lambda value: repr(value)[:30])
def test_segments_are_small_unless_one_element_is_large(elements):
    assert all(each.bytes <= segments.BYTES_MAX + 10 or each.length == 1 for each in cut_all(elements))


def test_input_is_taken_as_it_is_needed():
    numbers = itertools.count()
    assert Segments(PICKLE, numbers).cut(10).length == 10
    assert next(numbers) == 10


def test_segments_are_multiples_of_chunks():
    assert [each.length for each in cut_all(range(25), most=10, chunksize=4)] == [8, 8, 8, 1]
    assert [each.length for each in cut_all(range(25), most=10, chunksize=20)] == [10, 10, 5]


def test_elements_that_cannot_be_packed_fail_alone():
    bad = work.Unpicklable()
    found = cut_all([1, bad, bad, 4, bad])
    assert [type(each) for each in found] == [Segment, Failure, Failure, Segment, Failure]
    assert [each.place for each in found if isinstance(each, Failure)] == [1, 2, 4]
    assert all("not picklable" in str(each.error) for each in found if isinstance(each, Failure))


@pytest.mark.parametrize("good", [0, 3])
def test_input_that_ends_by_an_error_says_so_after_what_it_gave(good):
    cutter = Segments(PICKLE, iter(work.Sized(10, good)))
    found = list(iter(cutter.cut, None))
    assert [each.length for each in found] == [good] * (good > 0)
    assert cutter.ended and cutter.taken == good and isinstance(cutter.error, OSError)


def test_elements_can_be_had_one_by_one():
    cutter = Segments(PICKLE, iter([1, work.Unpicklable(), (2,)]))
    first, second, third = cutter.one(), cutter.one(), cutter.one()
    assert unpackb(first) == 1 and second.place == 1 and PICKLE.restore(unpackb(third)) == (2,)
    assert cutter.one() is None and cutter.ended and cutter.error is None


def test_arguments_are_unpacked_for_a_starmap():
    found = cut_all([(1, "x"), [2], "ab", iter(()), 5], star=True)
    values = msgpack.unpackb(joined(found[0].items))
    assert values == [[1, "x"], [2], ["a", "b"], []]
    assert isinstance(found[1].error, TypeError)

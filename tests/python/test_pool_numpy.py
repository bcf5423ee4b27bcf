# SPDX-License-Identifier: MIT
"""numpy's arrays and functions, as arguments, results and callables."""

import operator

import pytest

import pool_functions as work
import procpool

numpy = pytest.importorskip("numpy")

ARRAYS = {
    "of floats": lambda: numpy.arange(1e6),
    "of bytes": lambda: numpy.frombuffer(b"abc", dtype="u1"),
    "empty": lambda: numpy.empty((0, 3)),
    "of no dimension": lambda: numpy.array(5.5),
    "Fortran order": lambda: numpy.asfortranarray(numpy.arange(12).reshape(3, 4)),
    "a view": lambda: numpy.arange(100).reshape(10, 10)[::2, 1::3],
    "structured": lambda: numpy.array([(1, "a"), (2, "b")], dtype=[("n", "i4"), ("s", "U1")]),
    "of objects": lambda: numpy.array([1, "two", (3,)], dtype=object),
    "of times": lambda: numpy.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    "masked": lambda: numpy.ma.masked_less(numpy.arange(4), 2),
}


@pytest.fixture(scope="module")
def pool(daemon_of_mine):
    with procpool.Pool(2) as pool:
        yield pool


@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
def test_arrays_come_back_as_what_they_are(pool, make):
    array = make()
    back = pool.apply(work.same, (array,))
    assert type(back) is type(array) and back.dtype == array.dtype and back.shape == array.shape
    numpy.testing.assert_array_equal(back, array)


def test_scalars_keep_their_types(pool):
    for value in (numpy.float32(1.5), numpy.int8(-3), numpy.float64(2), numpy.bool_(True)):
        assert type(pool.apply(work.same, (value,))) is type(value)


def test_a_result_can_be_written_to(pool):
    back = pool.apply(work.same, (numpy.zeros(1_000_000),))
    back[:] = 1
    assert back.sum() == 1_000_000


def test_its_functions_can_be_called(pool):
    numpy.testing.assert_allclose(pool.map(numpy.linalg.norm, [[3, 4], [5, 12]]), [5, 13])
    numpy.testing.assert_allclose(pool.apply(numpy.sqrt, ([4.0, 9.0],)), [2, 3])  # a ufunc has no name of its own
    numpy.testing.assert_array_equal(pool.apply(numpy.arange(3).reshape, ((3, 1),)), [[0], [1], [2]])


def test_rows_of_a_matrix_are_mapped(pool):
    matrix = numpy.arange(1000.0).reshape(100, 10)
    assert pool.map(numpy.sum, matrix) == list(matrix.sum(axis=1))
    assert list(pool.imap(operator.itemgetter(3), matrix)) == list(matrix[:, 3])


def test_its_errors_come_back(pool):
    with pytest.raises(numpy.linalg.LinAlgError, match="Singular"):
        pool.apply(numpy.linalg.inv, (numpy.zeros((2, 2)),))

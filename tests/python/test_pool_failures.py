# SPDX-License-Identifier: MIT
"""What goes wrong in a worker costs one call: it raises something readable, and 1,000 others return."""

import os
import signal
import time
from multiprocessing.pool import MaybeEncodingError

import pytest

import pool_functions as work
import procpool

SECONDS = work.SECONDS
OTHERS = 1000
PAGE = pytest.mark.skipif(bool(os.environ.get("PROCPOOL_PURE")), reason="without a page, the rest of a chunk is lost")


@pytest.fixture(scope="module")
def pool(daemon_of_mine):
    with procpool.Pool(2) as pool:
        yield pool


def call_among_others(pool, function, *args):
    """What the call raises, within a second, while others are in flight before and after it."""
    before = [pool.apply_async(work.inc, (i,)) for i in range(OTHERS // 2)]
    start = time.monotonic()
    result = pool.apply_async(function, args)
    after = [pool.apply_async(work.inc, (i,)) for i in range(OTHERS // 2)]
    with pytest.raises(Exception) as raised:
        result.get(SECONDS)
    took = time.monotonic() - start
    assert [each.get(SECONDS) for each in before + after] == 2 * list(range(1, OTHERS // 2 + 1))
    assert took < 1 * float(os.environ.get("PROCPOOL_TEST_DEADLINE", "20")) / 20
    return raised.value


def test_os_exit_loses_only_its_call(pool):
    error = call_among_others(pool, work.end_by_os_exit, 7)
    assert isinstance(error, procpool.WorkerLost)
    assert error.exit_status == 7 and "7" in str(error)


def test_sys_exit_fails_only_its_call(pool):
    error = call_among_others(pool, work.end_by_sys_exit, 7)
    assert isinstance(error, procpool.FunctionFailed)
    assert error.type == "SystemExit" and "7" in str(error)
    assert "sys.exit(status)" in str(error.__cause__)


def test_keyboard_interrupt_fails_only_its_call(pool):
    error = call_among_others(pool, work.interrupt_oneself)
    assert isinstance(error, procpool.FunctionFailed) and error.type == "KeyboardInterrupt"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT], ids=lambda n: n.name)
def test_a_killed_worker_loses_only_its_call(pool, number):
    error = call_among_others(pool, work.end_by_signal, number)
    assert isinstance(error, procpool.WorkerLost)
    assert error.signal == number and f"signal {number:d}" in str(error)


def test_a_crash_loses_only_its_call(pool):
    error = call_among_others(pool, work.end_by_segfault)
    assert isinstance(error, procpool.WorkerLost) and error.signal == signal.SIGSEGV


def test_the_end_of_what_it_wrote_comes_along(pool):
    def ends(error):
        return isinstance(error, procpool.WorkerLost) and "last words" in error.stderr

    assert ends(call_among_others(pool, work.end_with_last_words))


def test_an_exception_that_cannot_be_pickled_is_told(pool):
    error = call_among_others(pool, work.raise_what_cannot_be_pickled)
    assert isinstance(error, procpool.FunctionFailed)
    assert error.type == "pool_functions.NotPicklable" and "stays here" in str(error)
    assert "raise NotPicklable" in str(error.__cause__)


def test_an_exception_that_cannot_be_unpickled_is_told(pool):
    error = call_among_others(pool, work.raise_what_cannot_be_unpickled)
    assert isinstance(error, procpool.FunctionFailed)
    assert error.type == "pool_functions.NotUnpicklable" and "this and that" in str(error)


def test_an_exception_of_a_local_class_is_told(pool):
    error = call_among_others(pool, work.raise_a_local_class)
    assert isinstance(error, procpool.FunctionFailed) and "nobody can import" in str(error)


def test_a_result_that_cannot_be_pickled_is_told(pool):
    error = call_among_others(pool, work.unpicklable)
    assert isinstance(error, MaybeEncodingError) and "lambda" in str(error)


def test_a_result_that_cannot_be_unpickled_is_told(pool):
    error = call_among_others(pool, work.return_what_cannot_be_unpickled)
    assert "a value that explodes" in str(error)


@pytest.mark.parametrize("chunksize", [None, pytest.param(10, marks=PAGE)])
def test_elements_that_fail_cost_only_themselves(pool, chunksize):
    """The values of a map in whose midst a worker was lost."""
    values = pool.map(work.end_on_three, range(100), chunksize, return_exceptions=True)
    assert isinstance(values[3], procpool.WorkerLost) and values[3].index == 3
    assert values[:3] + values[4:] == [0, 1, 2, *range(4, 100)]


def test_a_map_that_lost_a_worker_raises(pool):
    with pytest.raises(procpool.WorkerLost):
        pool.map(work.end_on_three, range(10))
    assert pool.map(work.inc, range(10)) == list(range(1, 11))


def test_an_iterator_goes_on_after_a_lost_worker(pool):
    results, outcomes = pool.imap(work.end_on_three, range(6)), []
    for _ in range(6):
        try:
            outcomes.append(results.next(SECONDS))
        except procpool.WorkerLost:
            outcomes.append("lost")
    assert outcomes == [0, 1, 2, "lost", 4, 5]

# SPDX-License-Identifier: MIT
"""procpool.Pool is a multiprocessing.Pool: most tests run with both, and hold for both.

Where ours is better on purpose a test says so (`ours`); it runs with procpool alone.
"""

import collections
import functools
import gc
import itertools
import math
import multiprocessing
import operator
import os
import pickle
import threading
import time
import traceback
import tracemalloc
import warnings
import weakref

import pytest

import pool_functions as work
import procpool
from procpool.handle import Handle

SECONDS = work.SECONDS
IMPLEMENTATIONS = {"multiprocessing": multiprocessing.Pool, "procpool": procpool.Pool}
ours = pytest.mark.parametrize("shared", ["procpool"], indirect=True)


@pytest.fixture(scope="module")
def shared_pools(daemon_of_mine):
    pools = {}

    def find(name):
        if name not in pools:
            pools[name] = IMPLEMENTATIONS[name](2)
        return pools[name]

    yield find
    for each in pools.values():
        each.terminate()
        each.join()


@pytest.fixture(params=list(IMPLEMENTATIONS))
def shared(request, shared_pools):
    """The implementation that a test is run with."""
    return request.param


@pytest.fixture
def pool(shared, shared_pools):
    """A pool of two workers that many tests use: they leave it as it was."""
    return shared_pools(shared)


@pytest.fixture
def make(shared, shared_pools):
    """Makes pools of a test's own."""
    made = []

    def construct(*args, **kwds):
        made.append(IMPLEMENTATIONS[shared](*args, **kwds))
        return made[-1]

    yield construct
    for each in made:
        each.terminate()
        each.join()


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


# Construction

@pytest.mark.parametrize("processes, error", [(0, ValueError), (-1, ValueError), ("2", TypeError), (2.5, TypeError)])
def test_the_number_of_processes_must_be_a_positive_integer(make, processes, error):
    with pytest.raises(error):
        make(processes)


@pytest.mark.parametrize("maxtasks", [0, -1, "1", 0.5])
def test_maxtasksperchild_must_be_a_positive_integer(make, maxtasks):
    with pytest.raises(ValueError, match="maxtasksperchild must be a positive int or None"):
        make(1, maxtasksperchild=maxtasks)


def test_an_initializer_must_be_callable(make):
    with pytest.raises(TypeError, match="initializer must be a callable"):
        make(1, initializer=5)


@ours
def test_there_are_as_many_workers_as_processors_that_may_be_used(make):
    assert make()._processes == len(os.sched_getaffinity(0))


def test_each_worker_is_initialized(make):
    pool = make(2, work.mark, ({"model": (1, 2)},))
    assert pool.map(work.what_is_marked, range(20), chunksize=1) == [{"model": (1, 2)}] * 20


def test_workers_are_replaced_after_so_many_tasks(make):
    """In multiprocessing exactly then; ours has the next one ready before the last one goes."""
    pool, pids = make(1, maxtasksperchild=2), set()
    wait_until(lambda: pids.add(pool.apply(work.pid)) or len(pids) == 3)


@ours
def test_an_initializer_that_fails_is_told_at_once(make):
    with pytest.raises(procpool.InitializerFailed, match="no such model") as raised:
        make(1, work.initializer_that_fails)
    assert "initializer_that_fails" in str(raised.value.__cause__)


def test_true_is_one_process(make):
    assert make(True)._processes == 1


# apply

def test_apply_calls_with_arguments_and_named_arguments(pool):
    assert pool.apply(work.pack, (1, "two"), {"three": 3}) == ((1, "two"), {"three": 3})
    assert pool.apply(func=work.pack, args=[1], kwds={"x": None}) == ((1,), {"x": None})


def test_apply_calls_without_arguments(pool):
    assert pool.apply(work.pack) == ((), {})


def test_args_may_be_any_iterable(pool):
    assert pool.apply(work.pack, range(3)) == ((0, 1, 2), {})
    assert pool.apply(work.pack, "ab") == (("a", "b"), {})


def test_calls_run_in_other_processes(pool):
    assert pool.apply(work.pid) != os.getpid()


VALUES = [
    None, True, 0, -1, 2**63, -2**63, 2**64 - 1, 2**200, 1.5, math.inf, "", "ä\U0001f600", "\udc80", b"", b"bytes",
    bytearray(b"x"), (), (1, (2, 3)), [], [1, [2]], {}, {1: 2, (3, 4): None}, {1, 2}, frozenset({3}), 1 + 2j, range(5),
    ..., int, work.Model(3), OSError(2, "no such file", "x"), "x" * 100_000, b"y" * 100_000, [None] * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_come_back_as_what_they_are(pool, value):
    back = pool.apply(work.same, (value,))
    assert type(back) is type(value)
    assert repr(back) == repr(value) if isinstance(value, OSError) else back == value


def test_what_an_argument_shares_it_shares_in_the_worker(pool):
    part = [1]
    back = pool.apply(work.same, ([part, part],))
    assert back[0] is back[1]


def test_an_exception_is_raised_as_what_it_is(pool):
    with pytest.raises(KeyError) as raised:
        pool.apply(work.fail, ("lost",))
    assert raised.value.args == ("lost",)


def test_the_workers_traceback_is_the_cause(pool):
    with pytest.raises(KeyError) as raised:
        pool.apply(work.fail)
    cause = raised.value.__cause__
    assert type(cause).__name__ == "RemoteTraceback"
    assert "raise KeyError(message)" in cause.tb
    assert cause.tb in str(cause)
    text = "".join(traceback.format_exception(type(raised.value), raised.value, raised.value.__traceback__))
    assert "raise KeyError(message)" in text


# apply_async

def test_a_result_can_be_got_again(pool):
    result = pool.apply_async(work.inc, (1,))
    assert [result.get(), result.get(SECONDS)] == [2, 2]


def test_a_failed_result_raises_the_same_object_again(pool):
    result = pool.apply_async(work.fail)
    with pytest.raises(KeyError) as first:
        result.get(SECONDS)
    with pytest.raises(KeyError) as second:
        result.get(SECONDS)
    assert first.value is second.value


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_get_raises_multiprocessings_timeout(pool, tmp_path, seconds):
    result = pool.apply_async(work.hold, (tmp_path / "go",))
    with pytest.raises(multiprocessing.TimeoutError) as raised:
        result.get(seconds)
    assert not isinstance(raised.value, TimeoutError)
    work.touch(tmp_path / "go")
    assert result.get(timeout=SECONDS) == tmp_path / "go"


def test_get_of_what_is_ready_needs_no_time(pool):
    result = pool.apply_async(work.inc, (1,))
    result.wait(SECONDS)
    assert result.get(0) == 2


def test_wait_returns_none_whether_ready_or_not(pool, tmp_path):
    result = pool.apply_async(work.hold, (tmp_path / "go",))
    assert result.wait(0) is None and not result.ready()
    work.touch(tmp_path / "go")
    assert result.wait(SECONDS) is None and result.ready()


def test_successful_is_an_error_until_ready(pool, tmp_path):
    result = pool.apply_async(work.hold, (tmp_path / "go",))
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    work.touch(tmp_path / "go")
    result.wait(SECONDS)
    assert result.successful()
    failed = pool.apply_async(work.fail)
    failed.wait(SECONDS)
    assert failed.ready() and not failed.successful()


def test_a_result_can_be_got_in_other_threads(pool, tmp_path):
    result = pool.apply_async(work.hold, (tmp_path / "go",))
    got = []
    threads = [threading.Thread(target=lambda: got.append(result.get(SECONDS))) for _ in range(5)]
    for each in threads:
        each.start()
    work.touch(tmp_path / "go")
    for each in threads:
        each.join(SECONDS)
    assert got == [tmp_path / "go"] * 5


def test_many_threads_submit_to_one_pool(pool):
    got = {}

    def submit(k):
        got[k] = [pool.apply_async(work.inc, (k * 100 + i,)) for i in range(50)], pool.apply(work.inc, (k,))

    threads = [threading.Thread(target=submit, args=(k,)) for k in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS)
    assert {k: ([r.get(SECONDS) for r in many], one) for k, (many, one) in got.items()} == {
        k: ([k * 100 + i + 1 for i in range(50)], k + 1) for k in range(8)
    }


def test_an_unpicklable_argument_is_raised_by_get(pool):
    result = pool.apply_async(work.same, (work.Unpicklable(),))
    with pytest.raises(RuntimeError, match="not picklable"):
        result.get(SECONDS)
    assert pool.apply(work.inc, (1,)) == 2


def test_an_unpicklable_result_is_a_maybe_encoding_error(pool):
    from multiprocessing.pool import MaybeEncodingError

    with pytest.raises(MaybeEncodingError, match="Error sending result: .*lambda"):
        pool.apply_async(work.unpicklable).get(SECONDS)


def test_results_know_their_types():
    from multiprocessing.pool import AsyncResult, MapResult

    assert procpool.AsyncResult[int] and AsyncResult[int]
    assert issubclass(procpool.MapResult, procpool.AsyncResult) and issubclass(MapResult, AsyncResult)


def test_async_calls_have_results_of_their_kind(pool):
    kinds = [type(pool.apply_async(work.inc, (1,))), type(pool.map_async(work.inc, [1])),
             type(pool.starmap_async(work.add, [(1, 2)]))]  # fmt: skip
    assert [each.__name__ for each in kinds] == ["ApplyResult", "MapResult", "MapResult"]


def test_arguments_are_let_go(pool):
    """bpo-29861: what was sent is not kept until the next call."""
    objects = [work.Model(i) for i in range(5)]
    references = [weakref.ref(each) for each in objects]
    pool.map(work.same, objects)
    del objects
    wait_until(lambda: (gc.collect(), all(each() is None for each in references))[1])


# map

@pytest.mark.parametrize("chunksize", [None, 1, 3, 1000])
def test_map_keeps_the_order(pool, chunksize):
    assert pool.map(work.inc, range(100), chunksize) == list(range(1, 101))


@pytest.mark.parametrize("empty", [[], (), {}, range(0), iter(())], ids=lambda value: type(value).__name__)
def test_map_of_nothing_is_an_empty_list(pool, empty):
    assert pool.map(work.inc, empty) == []


KINDS = [list, tuple, dict.fromkeys, iter, lambda x: (i for i in x), bytes, bytearray, collections.deque, set]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_map_takes_any_iterable(pool, kind):
    assert pool.map(work.inc, kind([1, 2])) == [2, 3]
    assert list(pool.imap(work.inc, kind([1, 2]))) == [2, 3]


def test_an_unsized_iterable_fails_at_the_call(pool):
    def numbers():
        yield 1
        raise OSError("no more input")

    with pytest.raises(OSError, match="no more input"):
        pool.map_async(work.inc, numbers())


def test_a_sized_iterable_fails_in_get(pool):
    result = pool.map_async(work.inc, work.Sized(1, 0))
    with pytest.raises(OSError, match="no more input"):
        result.get(SECONDS)


@ours
@pytest.mark.parametrize("good", [0, 1, 20])
def test_a_sized_iterable_that_ends_early_fails_in_get(pool, good):
    """In multiprocessing, get() hangs where other chunks are missing."""
    result = pool.map_async(work.inc, work.Sized(30, good), 1)
    with pytest.raises(OSError, match="no more input"):
        result.get(SECONDS)


def test_what_is_not_iterable_is_a_type_error(pool):
    with pytest.raises(TypeError):
        pool.map_async(work.inc, 5)


def test_starmap_unpacks_each_element(pool):
    assert pool.starmap(work.add, [(1, 2), [3, 4], "56"]) == [3, 7, "56"]
    assert pool.starmap_async(work.pack, [(), (1,), iter((1, 2))][:2]).get(SECONDS) == [((), {}), ((1,), {})]


def test_starmap_of_what_cannot_be_unpacked_fails(pool):
    with pytest.raises(TypeError):
        pool.starmap(work.add, [1, 2])


def test_the_first_failure_to_arrive_is_raised(pool):
    with pytest.raises(ValueError, match="3 is bad"):
        pool.map(work.fail_on_three, range(10))


def test_map_is_ready_when_all_has_ended(pool, tmp_path):
    calls = [(i, tmp_path / "count") for i in range(20)]
    with pytest.raises(ValueError, match="at once"):
        pool.starmap(work.fail_at_once_or_count_slowly, calls, chunksize=1)
    assert (tmp_path / "count").stat().st_size == 19


def test_an_unpicklable_element_is_raised_by_get(pool):
    with pytest.raises(RuntimeError, match="not picklable"):
        pool.map(work.same, [work.Unpicklable()] * 10)
    assert pool.map(work.inc, range(3)) == [1, 2, 3]


def test_several_maps_run_at_once(pool):
    results = [pool.map_async(work.inc, range(i, i + 50)) for i in range(10)]
    assert [each.get(SECONDS) for each in results] == [list(range(i + 1, i + 51)) for i in range(10)]


@ours
def test_a_chunksize_of_nothing_is_an_error(pool):
    """multiprocessing returns a list of None."""
    with pytest.raises(ValueError, match="Chunksize must be 1"):
        pool.map(work.inc, [1, 2], chunksize=0)


@ours
def test_a_huge_range_is_not_made_a_list_of(pool):
    result = pool.map_async(work.inc, range(10**12))
    result.cancel()
    with pytest.raises(procpool.Cancelled):
        result.get(SECONDS)


# imap

@pytest.mark.parametrize("chunksize", [1, 7])
def test_imap_keeps_the_order(pool, chunksize):
    assert list(pool.imap(work.inc, range(100), chunksize)) == list(range(1, 101))


@pytest.mark.parametrize("chunksize", [1, 7])
def test_imap_unordered_yields_everything_once(pool, chunksize):
    assert sorted(pool.imap_unordered(work.inc, range(100), chunksize)) == list(range(1, 101))


def test_imap_unordered_yields_what_is_ready(pool, tmp_path):
    results = pool.imap_unordered(work.hold, [tmp_path / "late", tmp_path / "early"])
    work.touch(tmp_path / "early")
    assert results.next(SECONDS) == tmp_path / "early"
    work.touch(tmp_path / "late")
    assert results.next(SECONDS) == tmp_path / "late"


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_next_takes_a_timeout(pool, tmp_path, method):
    results = getattr(pool, method)(work.hold, [tmp_path / "go"])
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(timeout=0.01)
    work.touch(tmp_path / "go")
    assert results.next(SECONDS) == tmp_path / "go"
    for _ in range(2):
        with pytest.raises(StopIteration):
            results.next(SECONDS)


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_an_iterator_goes_on_after_a_failure(pool, method):
    results = getattr(pool, method)(work.fail_on_three, range(6))
    outcomes = []
    while True:
        try:
            outcomes.append(results.next(SECONDS))
        except StopIteration:
            break
        except ValueError as error:
            outcomes.append(str(error))
    if method == "imap":
        assert outcomes == [0, 1, 2, "3 is bad", 4, 5]
    assert set(outcomes) == {0, 1, 2, "3 is bad", 4, 5}


@pytest.mark.parametrize("good", [0, 1, 10])
def test_input_that_fails_is_raised_in_its_place(pool, good):
    results = pool.imap(work.inc, work.Sized(30, good))
    assert [results.next(SECONDS) for _ in range(good)] == list(range(1, good + 1))
    with pytest.raises(OSError, match="no more input"):
        results.next(SECONDS)
    with pytest.raises(StopIteration):
        results.next(SECONDS)


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_chunk_has_at_least_one_element(pool, method):
    with pytest.raises(ValueError, match=r"Chunksize must be 1\+, not 0"):
        getattr(pool, method)(work.inc, [1], 0)


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_iterators_of_nothing_end_at_once(pool, method):
    assert list(getattr(pool, method)(work.inc, [])) == []


def test_an_unpicklable_element_fails_in_its_place(pool):
    results = pool.imap(work.same, [1, work.Unpicklable(), 3])
    assert results.next(SECONDS) == 1
    with pytest.raises(RuntimeError, match="not picklable"):
        results.next(SECONDS)
    assert results.next(SECONDS) == 3


def test_one_iterator_may_feed_another(pool):
    assert list(pool.imap(work.inc, pool.imap(work.inc, range(50)))) == list(range(2, 52))


def test_input_may_come_slowly(pool):
    """A result is there before the next input is."""
    arrived = threading.Semaphore(1)

    def numbers():
        for i in range(5):
            assert arrived.acquire(timeout=SECONDS)
            yield i

    seen = []
    for value in pool.imap(work.inc, numbers()):
        seen.append(value)
        arrived.release()
    assert seen == [1, 2, 3, 4, 5]


@ours
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_input_may_be_endless(pool, method):
    taken = itertools.count()
    results = getattr(pool, method)(work.inc, taken)
    assert len(set(itertools.islice(results, 1000))) == 1000
    assert next(taken) < 10_000


@ours
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_input_that_ends_the_thread_leaves_nobody_waiting(pool, error):
    def numbers():
        yield 1
        raise error

    results = pool.imap(work.inc, numbers())
    assert results.next(SECONDS) == 2
    with pytest.raises(error):
        results.next(SECONDS)
    with pytest.raises(error):
        pool.map(work.inc, work.SizedBy(numbers()))


@ours
def test_chunks_have_a_timeout_of_next_too(pool, tmp_path):
    """multiprocessing returns a plain generator there."""
    results = pool.imap(work.hold, [tmp_path / "go"], chunksize=2)
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(timeout=0.01)
    work.touch(tmp_path / "go")
    assert results.next(SECONDS) == tmp_path / "go"


@ours
def test_endless_input_ends_with_its_iterator(pool):
    before = threading.active_count()
    results = pool.imap(work.inc, itertools.count())
    assert next(results) == 1
    del results
    wait_until(lambda: (gc.collect(), threading.active_count() <= before + 1)[1])
    assert pool.apply(work.inc, (1,)) == 2


# Callbacks

def test_a_callback_gets_the_value_before_it_is_ready(pool, tmp_path):
    seen = []
    result = pool.apply_async(work.hold, (tmp_path / "go",), {}, lambda value: seen.append((value, result.ready())))
    work.touch(tmp_path / "go")
    assert result.get(SECONDS) == tmp_path / "go"
    assert seen == [(tmp_path / "go", False)]


def test_an_error_callback_gets_the_error(pool):
    seen, values = [], []
    result = pool.apply_async(work.fail, (), {}, values.append, seen.append)
    with pytest.raises(KeyError) as raised:
        result.get(SECONDS)
    assert seen == [raised.value] and values == []


def test_a_maps_callback_gets_the_list_once(pool):
    seen = []
    result = pool.map_async(work.inc, range(20), 3, callback=seen.append)
    assert result.get(SECONDS) == list(range(1, 21))
    assert seen == [list(range(1, 21))]
    failed = []
    result = pool.starmap_async(work.fail_on, [(3, i) for i in range(9)], 1, seen.append, failed.append)
    with pytest.raises(ValueError):
        result.get(SECONDS)
    assert len(seen) == 1 and [str(each) for each in failed] == ["3 is bad"]


@ours
def test_a_map_may_end_before_its_result_is_made(pool, monkeypatch):
    make_stream, seen = Handle.stream, []

    def make_and_wait(*args, **kwds):
        stream = make_stream(*args, **kwds)
        wait_until(lambda: stream.ended)
        return stream

    monkeypatch.setattr(Handle, "stream", make_and_wait)
    for i in range(20):
        assert pool.map_async(work.inc, [i], callback=seen.append).get(SECONDS) == [i + 1]
    assert seen == [[i] for i in range(1, 21)]


def test_callbacks_run_in_one_thread_in_the_order_of_completion(make):
    pool = make(1)
    seen = []
    for i in range(50):
        pool.apply_async(work.inc, (i,), callback=lambda value: seen.append((value, threading.get_ident())))
    pool.close()
    pool.join()
    assert [value for value, _ in seen] == list(range(1, 51))
    assert len({thread for _, thread in seen}) == 1 and seen[0][1] != threading.get_ident()


def test_callbacks_have_run_when_join_returns(make):
    pool, seen = make(2), []
    for i in range(100):
        pool.apply_async(work.inc, (i,), callback=seen.append)
    pool.close()
    pool.join()
    assert sorted(seen) == list(range(1, 101))


def test_a_callback_may_submit(pool):
    results = []
    first = pool.apply_async(work.inc, (1,), callback=lambda v: results.append(pool.apply_async(work.inc, (v,))))
    first.wait(SECONDS)
    assert results[0].get(SECONDS) == 3


@ours
def test_a_callback_that_raises_fails_its_result_alone(pool):
    """In multiprocessing, it ends the thread that handles results, and the pool hangs."""
    other = pool.apply_async(work.inc, (1,))
    result = pool.apply_async(work.inc, (1,), callback=lambda value: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.get(SECONDS)
    assert not result.successful()
    result = pool.apply_async(work.fail, (), error_callback=lambda error: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.get(SECONDS)
    assert other.get(SECONDS) == 2 and pool.apply(work.inc, (2,)) == 3


@ours
def test_a_callback_may_call_and_wait(pool):
    """In multiprocessing, it would wait for itself."""
    seen = []
    pool.apply_async(work.inc, (1,), callback=lambda value: seen.append(pool.apply(work.inc, (value,)))).wait(SECONDS)
    assert seen == [3]


# Lifecycle

SUBMISSIONS = {
    "apply": lambda pool: pool.apply(work.inc, (1,)),
    "apply_async": lambda pool: pool.apply_async(work.inc, (1,)),
    "map": lambda pool: pool.map(work.inc, [1]),
    "map_async": lambda pool: pool.map_async(work.inc, [1]),
    "starmap": lambda pool: pool.starmap(work.add, [(1, 2)]),
    "starmap_async": lambda pool: pool.starmap_async(work.add, [(1, 2)]),
    "imap": lambda pool: pool.imap(work.inc, [1]),
    "imap_unordered": lambda pool: pool.imap_unordered(work.inc, [1]),
    "enter": lambda pool: pool.__enter__(),
}


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_a_pool_that_was_ended_takes_nothing(make, end):
    pool = make(1)
    getattr(pool, end)()
    for submit in SUBMISSIONS.values():
        with pytest.raises(ValueError, match="Pool not running"):
            submit(pool)


def test_join_comes_after_close(make):
    pool = make(1)
    with pytest.raises(ValueError, match="Pool is still running"):
        pool.join()


def test_close_finishes_what_was_submitted(make):
    pool = make(2)
    results = [pool.apply_async(work.inc, (i,)) for i in range(100)]
    mapped, lazy = pool.map_async(work.inc, range(100)), pool.imap(work.inc, range(100))
    pool.close()
    pool.join()
    assert all(each.ready() for each in results)
    assert [each.get(0) for each in results] == mapped.get(0) == list(lazy) == list(range(1, 101))


def test_close_terminate_and_join_may_be_repeated(make):
    pool = make(1)
    pool.close()
    pool.close()
    pool.join()
    pool.join()
    pool.terminate()
    pool.terminate()
    pool.join()


def test_terminate_does_not_wait_for_what_runs(make):
    pool = make(2)
    pool.map_async(work.nap, [SECONDS] * 10, chunksize=1)
    before = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - before < SECONDS / 2


def test_with_terminates(make):
    with make(2) as pool:
        worker = pool.apply(work.pid)
        assert pool.map(work.inc, [1]) == [2]
        with pool as again:
            assert again is pool
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map(work.inc, [1])
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"))


def test_join_leaves_no_worker(make):
    pool = make(2)
    pids = set(pool.map(work.pid, range(20), chunksize=1))
    pool.close()
    pool.join()
    assert not any(os.path.exists(f"/proc/{each}") for each in pids)


@ours
def test_terminate_fails_what_was_pending(make, tmp_path):
    """In multiprocessing, get() hangs then."""
    pool = make(1)
    single = pool.apply_async(work.hold, (tmp_path / "never",))
    mapped = pool.map_async(work.hold, [tmp_path / "never"] * 3)
    lazy = pool.imap(work.hold, [tmp_path / "never"] * 3)
    pool.terminate()
    for wait in (single.get, mapped.get, lazy.next):
        with pytest.raises(procpool.Cancelled):
            wait(SECONDS)


@ours
def test_pending_callbacks_hear_of_terminate(make, tmp_path):
    pool, seen = make(1), []
    pool.apply_async(work.hold, (tmp_path / "never",), error_callback=seen.append)
    pool.terminate()
    pool.join()
    assert [type(each) for each in seen] == [procpool.Cancelled]


def test_pools_and_results_cannot_be_pickled(pool):
    with pytest.raises(NotImplementedError, match="pool objects cannot be passed between processes or pickled"):
        pickle.dumps(pool)
    with pytest.raises((NotImplementedError, TypeError)):
        pickle.dumps(pool.apply_async(work.inc, (1,)))


def test_a_pool_collected_while_running_warns(make, shared):
    pool = IMPLEMENTATIONS[shared](1)
    worker = pool.apply(work.pid)
    with pytest.warns(ResourceWarning, match="unclosed running .*pool") as warned:
        pool = None
        wait_until(lambda: (gc.collect(), len(warned))[1])
    warned.clear()  # each warning has its pool
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"))


def test_a_pool_that_was_closed_does_not_warn(shared, shared_pools):
    pool = IMPLEMENTATIONS[shared](1)
    pool.close()
    pool.join()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool = None
        gc.collect()


@ours
def test_a_pool_that_was_closed_ends_though_nobody_joins_it(shared, shared_pools):
    pool, before = IMPLEMENTATIONS[shared](1), threading.active_count()
    worker = pool.apply(work.pid)
    pool.close()
    pool = None
    gc.collect()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}") and threading.active_count() < before)


def test_a_pool_shows_its_state(make):
    pool = make(2)
    assert "state=RUN pool_size=2>" in repr(pool)
    pool.close()
    assert "state=CLOSE" in repr(pool)
    pool.terminate()
    assert "state=TERMINATE" in repr(pool)


def test_several_pools_live_side_by_side(make):
    first, second = make(1), make(1)
    assert first.apply(work.pid) != second.apply(work.pid)
    first.terminate()
    assert second.apply(work.inc, (1,)) == 2


# Functions

FUNCTIONS = {
    "of the standard library": (math.sqrt, 9, 3.0),
    "builtin": (len, "abc", 3),
    "method of a builtin type": (str.upper, "abc", "ABC"),
    "class method of a builtin type": (dict.fromkeys, "a", {"a": None}),
    "bound builtin method": ("a-b".split, "-", ["a", "b"]),
    "class": (work.Model, 3, work.Model(3)),
    "builtin class": (int, "7", 7),
    "class method": (work.Model.load, 3, work.Model(3)),
    "inherited class method": (work.Derived.double, 3, 6),
    "static method": (work.Model.double, 3, 6),
    "bound method": (work.Model(5).predict, 3, 15),
    "instance": (work.Model(5), 3, 8),
    "partial": (functools.partial(work.add, 4), 3, 7),
    "partial of a partial": (functools.partial(functools.partial(work.pack, 1), x=2), 3, ((1, 3), {"x": 2})),
    "itemgetter": (operator.itemgetter(1), "abc", "b"),
    "methodcaller": (operator.methodcaller("upper"), "abc", "ABC"),
}


@pytest.mark.parametrize("function, argument, value", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_of_many_kinds_can_be_called(pool, function, argument, value):
    assert pool.apply(function, (argument,)) == value
    assert pool.map(function, [argument, argument]) == [value, value]
    assert list(pool.imap(function, [argument])) == [value]


def test_a_method_of_an_inherited_class_makes_the_class_that_was_asked(pool):
    assert type(pool.apply(work.Derived.load, (1,))) is work.Derived


def test_the_state_of_an_object_is_that_at_the_call(pool):
    model = work.Model(1)
    first = pool.apply(model.predict, (10,))
    model.weight = 2
    assert (first, pool.apply(model.predict, (10,))) == (10, 20)


def test_more_than_a_megabyte_goes_both_ways(pool):
    data = os.urandom(3 << 20)
    assert pool.apply(work.same, (data,)) == data
    assert pool.map(work.same, [data] * 4) == [data] * 4


@ours
def test_large_values_are_not_kept(pool, shared):
    """Once the caller has let them go."""
    size = 1 << 20
    pool.apply(work.same, (b"x" * size,))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            assert len(pool.apply(work.same, (b"x" * size,))) == size
        assert tracemalloc.get_traced_memory()[0] - before < 5 * size
    finally:
        tracemalloc.stop()

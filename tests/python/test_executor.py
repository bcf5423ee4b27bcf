# SPDX-License-Identifier: MIT
"""procpool.Executor is a concurrent.futures.Executor."""

import asyncio
import concurrent.futures
import itertools
import threading
import time

import pytest

import pool_functions as work
import procpool
from procpool import attendant

SECONDS = work.SECONDS
pytestmark = pytest.mark.usefixtures("daemon_of_mine")


@pytest.fixture(scope="module")
def executor(daemon_of_mine):
    with procpool.Executor(2) as executor:
        yield executor


@pytest.fixture
def single():
    with procpool.Executor(1) as executor:
        yield executor


def test_it_is_an_executor(executor):
    assert isinstance(executor, concurrent.futures.Executor)


@pytest.mark.parametrize("workers, error", [(0, ValueError), (-1, ValueError), ("2", TypeError)])
def test_max_workers_must_be_a_positive_integer(workers, error):
    with pytest.raises(error):
        procpool.Executor(workers)


def test_an_initializer_must_be_callable():
    with pytest.raises(TypeError, match="initializer must be a callable"):
        procpool.Executor(1, initializer=3)


def test_workers_are_initialized():
    with procpool.Executor(2, initializer=work.mark, initargs=((1, 2),)) as executor:
        assert set(executor.map(work.what_is_marked, range(10))) == {(1, 2)}


def test_submit_gives_a_future(executor):
    future = executor.submit(work.pack, 1, (2,), x=3)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(SECONDS) == ((1, (2,)), {"x": 3})
    assert future.done() and not future.cancelled() and future.exception() is None


def test_a_future_raises_what_the_function_raised(executor):
    future = executor.submit(work.fail, "lost")
    with pytest.raises(KeyError) as raised:
        future.result(SECONDS)
    assert raised.value.args == ("lost",)
    assert "raise KeyError(message)" in str(raised.value.__cause__)
    assert future.exception() is raised.value


def test_a_lost_worker_breaks_only_its_future(executor):
    lost, other = executor.submit(work.end_by_os_exit), executor.submit(work.inc, 1)
    with pytest.raises(procpool.WorkerLost):
        lost.result(SECONDS)
    assert other.result(SECONDS) == 2 and executor.submit(work.inc, 2).result(SECONDS) == 3


def test_an_unpicklable_argument_fails_the_future(executor):
    future = executor.submit(work.same, work.Unpicklable())
    with pytest.raises(RuntimeError, match="not picklable"):
        future.result(SECONDS)


def test_a_result_that_takes_too_long_is_the_timeout_of_futures(executor, tmp_path):
    future = executor.submit(work.hold, tmp_path / "go")
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(0.01)
    work.touch(tmp_path / "go")
    assert future.result(SECONDS) == tmp_path / "go"


def test_futures_are_waited_for(executor, tmp_path):
    futures = [executor.submit(work.hold, tmp_path / "go"), executor.submit(work.inc, 1)]
    done, waiting = concurrent.futures.wait(futures, SECONDS, concurrent.futures.FIRST_COMPLETED)
    assert done == {futures[1]} and waiting == {futures[0]}
    work.touch(tmp_path / "go")
    assert set(concurrent.futures.as_completed(futures, SECONDS)) == set(futures)


def test_callbacks_of_futures_are_called(executor):
    called = threading.Event()
    executor.submit(work.inc, 1).add_done_callback(lambda future: called.set())
    assert called.wait(SECONDS)


def test_what_one_waits_for_by_other_means_is_read_at_once(monkeypatch):
    """Nobody waits in the connection itself: its attendant must not look at the socket now and then only."""
    monkeypatch.setattr(attendant, "TICK", 0.5)
    with procpool.Executor(1) as executor:
        begun = time.monotonic()
        assert [executor.submit(work.inc, i).result(SECONDS) for i in range(40)] == list(range(1, 41))
        assert time.monotonic() - begun < 10


def test_it_serves_an_event_loop(executor):
    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, work.inc, i) for i in range(10)))

    assert asyncio.run(main()) == list(range(1, 11))


def test_a_cancelled_task_of_an_event_loop_ends_what_runs(single, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(single, work.touch_and_hold, tmp_path / "running", tmp_path / "never")
        while not (tmp_path / "running").exists():
            await asyncio.sleep(0.002)
        call.cancel()
        return await loop.run_in_executor(single, work.inc, 1)

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_keeps_the_order(executor, chunksize):
    assert list(executor.map(work.add, range(20), range(20), chunksize=chunksize)) == list(range(0, 40, 2))


def test_map_ends_with_the_shortest_iterable(executor):
    assert list(executor.map(work.add, [1, 2, 3], [1, 2])) == [2, 4]


def test_map_raises_when_it_comes_to_a_failure(executor):
    results = executor.map(work.fail_on_three, range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3 is bad"):
        next(results)


def test_map_has_a_timeout_for_all_of_it(executor, tmp_path):
    results = executor.map(work.hold, [tmp_path / "go"], timeout=0.05)
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    work.touch(tmp_path / "go")


def test_map_takes_endless_input(executor):
    """concurrent.futures collects all of it first."""
    assert list(itertools.islice(executor.map(work.inc, itertools.count()), 100)) == list(range(1, 101))


def test_a_chunk_has_at_least_one_element(executor):
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(work.inc, [1], chunksize=0)


def test_a_waiting_future_can_be_cancelled(single, tmp_path):
    holding = single.submit(work.touch_and_hold, tmp_path / "running", tmp_path / "go")
    work.hold(tmp_path / "running")
    future = single.submit(work.touch, tmp_path / "ran")
    assert future.cancel() and future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(SECONDS)
    work.touch(tmp_path / "go")
    holding.result(SECONDS)
    single.submit(work.inc, 1).result(SECONDS)
    assert not (tmp_path / "ran").exists()


def test_a_future_that_has_ended_cannot_be_cancelled(executor):
    future = executor.submit(work.inc, 1)
    assert future.result(SECONDS) == 2 and not future.cancel()


def test_after_shutdown_nothing_is_submitted(tmp_path):
    executor = procpool.Executor(1)
    future = executor.submit(work.inc, 1)
    executor.shutdown()
    assert future.result(0) == 2
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(work.inc, 1)
    executor.shutdown()


def test_shutdown_need_not_wait(tmp_path):
    executor = procpool.Executor(1)
    future = executor.submit(work.hold, tmp_path / "go")
    executor.shutdown(wait=False)
    assert not future.done()
    work.touch(tmp_path / "go")
    assert future.result(SECONDS) == tmp_path / "go"


def test_shutdown_can_cancel_what_waits(tmp_path):
    executor = procpool.Executor(1)
    holding = executor.submit(work.touch_and_hold, tmp_path / "running", tmp_path / "go")
    work.hold(tmp_path / "running")
    waiting = [executor.submit(work.inc, i) for i in range(5)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(each.cancelled() for each in waiting)
    work.touch(tmp_path / "go")
    assert holding.result(SECONDS) == tmp_path / "go"


def test_with_waits_for_what_was_submitted():
    with procpool.Executor(2) as executor:
        futures = [executor.submit(work.inc, i) for i in range(100)]
    assert all(each.done() for each in futures)


def test_options_hold_for_all_that_is_submitted():
    """Executor.submit passes all named arguments on to the function: options are the executor's."""
    with procpool.Executor(1, timeout=0.1, stop_seconds=0.2) as executor:
        before = time.monotonic()
        with pytest.raises(procpool.Timeout):
            executor.submit(work.nap, SECONDS).result(SECONDS)
        assert time.monotonic() - before < SECONDS / 2

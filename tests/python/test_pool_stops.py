# SPDX-License-Identifier: MIT
"""What waits for a pool whose input, connection, process or callback thread is no longer what it was."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import pool_functions as work
import procpool
import procpoold

SECONDS = work.SECONDS


@pytest.fixture
def daemon():
    """One of a test's own, that it may kill."""
    daemon = procpoold.Daemon(workers=1).await_ready()
    yield daemon
    daemon.kill(signal.SIGKILL)
    daemon.await_exit()
    daemon.destroy()


@pytest.fixture
def pool(daemon_of_mine):
    with procpool.Pool(1) as pool:
        yield pool


@pytest.fixture
def never():
    """An event that nothing sets until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def blocking(event, before=1):
    """An input that yields, and then waits until the test is over."""
    yield from range(before)
    event.wait(4 * SECONDS)
    yield before


def begin(function):
    """(thread that calls it, list with what it returned or raised)."""
    found = []

    def run():
        try:
            found.append(function())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, found


def outcome(function):
    """What it returns or raises, within SECONDS."""
    thread, found = begin(function)
    thread.join(SECONDS)
    assert found, "it hangs"
    return found[0]


# Input that waits for ever


def test_terminate_ends_who_waits_for_input_that_does_not_come(pool, never):
    results = pool.imap(work.inc, blocking(never))
    assert results.next(SECONDS) == 1
    waits, found = begin(results.next)
    assert outcome(pool.terminate) is None
    waits.join(SECONDS)
    assert isinstance(found[0], procpool.Cancelled)


def test_a_pool_is_joined_though_input_that_was_given_up_waits_for_ever(pool, never):
    for value in pool.imap(work.inc, blocking(never)):
        break
    pool.close()
    assert outcome(pool.join) is None


def test_a_cancelled_iterator_ends_though_its_input_waits_for_ever(pool, never):
    results = pool.imap(work.inc, blocking(never))
    assert results.next(SECONDS) == 1
    assert results.cancel()
    assert isinstance(outcome(results.next), procpool.Cancelled)
    assert isinstance(outcome(results.next), StopIteration)


def test_input_that_terminates_its_own_pool_ends(pool):
    def terminating():
        yield 1
        pool.terminate()
        yield 2

    results = pool.imap(work.inc, terminating())
    found = [outcome(results.next) for _ in range(4)]
    assert isinstance(found[-1], StopIteration)
    assert any(isinstance(each, procpool.Error) for each in found)


def test_input_that_joins_its_own_pool_is_told_so(pool):
    told = []

    def joining():
        yield 1
        pool.close()
        try:
            pool.join()
        except RuntimeError as error:
            told.append(str(error))
        yield 2

    results = pool.imap(work.inc, joining())
    assert [results.next(SECONDS) for _ in range(2)] == [2, 3]
    assert told == ["the input of a map cannot join its own pool"]


# A daemon that dies


def test_who_waits_for_input_is_told_that_the_daemon_has_died_and_does_not_spin(daemon, never):
    pool = procpool.Pool(1, address=str(daemon.path))
    results = pool.imap(work.inc, blocking(never))
    assert results.next(SECONDS) == 1
    thread, found = begin(results.next)
    daemon.kill(signal.SIGKILL)
    thread.join(SECONDS)
    assert isinstance(found[0], procpool.ConnectionLost)


def test_a_pool_with_endless_input_is_joined_after_its_daemon_has_died(daemon):
    pool = procpool.Pool(1, address=str(daemon.path))
    results = pool.imap(work.inc, iter(int, 1))
    assert results.next(SECONDS) == 1
    daemon.kill(signal.SIGKILL)
    pool.close()
    assert isinstance(outcome(pool.join), procpool.ConnectionLost)


def test_callbacks_run_also_after_the_daemon_has_died(daemon):
    pool = procpool.Pool(1, address=str(daemon.path))
    told = []
    ends = pool.map_async(work.nap, [4 * SECONDS], error_callback=told.append)
    daemon.kill(signal.SIGKILL)
    with pytest.raises(procpool.ConnectionLost):
        ends.get(SECONDS)
    assert isinstance(told[0], procpool.ConnectionLost)
    unsent = pool.map_async(work.inc, [1], error_callback=told.append)
    with pytest.raises(procpool.ConnectionLost):
        unsent.get(SECONDS)
    assert isinstance(told[1], procpool.ConnectionLost)
    unpicklable = pool.map_async(work.inc, [threading.Lock()], error_callback=told.append)
    with pytest.raises((TypeError, procpool.ConnectionLost)):
        unpicklable.get(SECONDS)
    assert len(told) == 3


# Callbacks that wait


def test_a_callback_gets_the_list_of_a_map_that_has_a_callback_too(pool):
    found = []

    def begin_another(value):
        found.append(pool.map_async(work.inc, range(value), callback=found.append).get(SECONDS))

    pool.apply_async(work.inc, (2,), callback=begin_another).get(SECONDS)
    assert found[0] == [1, 2, 3]


def test_the_callback_of_a_map_gets_its_own_result(pool):
    known, found, result = threading.Event(), [], []

    def look(value):
        assert known.wait(SECONDS)
        found.append(result[0].get(SECONDS))

    result.append(pool.map_async(work.inc, range(3), callback=look))
    known.set()
    assert result[0].get(SECONDS) == [1, 2, 3]
    assert found == [[1, 2, 3]]


# A child of fork()


def test_the_child_of_a_fork_is_told_that_the_results_are_its_parents(daemon_of_mine):
    program = """if 1:
        import os, signal, sys
        import pool_functions as work
        import procpool
        pool = procpool.Pool(1)
        results = [pool.map_async(work.nap, [30]), pool.map_async(work.nap, [30], callback=print)]
        iterators = [pool.imap(work.nap, [30]), pool.imap(work.nap, iter(int, 30))]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            for wait in [*(each.get for each in results), *(each.next for each in iterators)]:
                try:
                    wait()
                except procpool.ConnectionLost:
                    print("told")
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        pool.terminate()
        """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(work.__file__), os.environ["PYTHONPATH"]])}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=2 * SECONDS)
    assert (done.returncode, done.stdout) == (0, "told\n" * 4), done.stderr

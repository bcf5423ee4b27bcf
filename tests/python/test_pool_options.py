# SPDX-License-Identifier: MIT
"""What procpool.Pool can do and a library's pool cannot: limits of time, retries, cancelling, detaching, names."""

import itertools
import math
import operator
import os
import subprocess
import sys
import threading

import pytest

import pool_functions as work
import procpool
import procpoold

SECONDS = work.SECONDS
pytestmark = pytest.mark.usefixtures("daemon_of_mine")


@pytest.fixture(scope="module")
def pool(daemon_of_mine):
    with procpool.Pool(2, stop_seconds=0.5) as pool:
        yield pool


@pytest.fixture
def single():
    """A pool of one worker."""
    with procpool.Pool(1) as pool:
        yield pool


# Limits of time

def test_a_call_past_its_timeout_raises(pool):
    with pytest.raises(procpool.Timeout):
        pool.apply(work.nap, (SECONDS,), timeout=0.1)
    assert pool.apply(work.inc, (1,)) == 2


def test_an_element_past_its_timeout_costs_only_itself(pool):
    values = pool.map(work.nap, [0, SECONDS, 0], timeout=0.2, chunksize=1, return_exceptions=True)
    assert [values[0], values[2]] == [0, 0] and isinstance(values[1], procpool.Timeout)


@pytest.mark.skipif(bool(os.environ.get("PROCPOOL_PURE")), reason="without a page, nobody can be asked to stop")
def test_a_function_can_clean_up_when_it_is_stopped(single, tmp_path):
    pid = single.apply(work.pid)
    with pytest.raises(procpool.Timeout):
        single.apply(work.hold_and_clean_up, (tmp_path / "cleaned",), timeout=0.1)
    assert (tmp_path / "cleaned").exists()
    assert single.apply(work.pid) == pid


def test_what_does_not_begin_in_time_expires(single, tmp_path):
    holding = single.apply_async(work.hold, (tmp_path / "go",))
    with pytest.raises(procpool.Expired):
        single.apply(work.inc, (1,), expires=0.05)
    work.touch(tmp_path / "go")
    holding.get(SECONDS)


@pytest.mark.parametrize("options, error", [
    ({"timeout": -1}, ValueError), ({"timeout": 0}, ValueError), ({"timeout": "1"}, TypeError),
    ({"expires": -1}, ValueError), ({"expires": float("nan")}, ValueError), ({"priority": 3}, ValueError),
    ({"priority": 0.5}, TypeError), ({"retries": -1}, ValueError), ({"retries": "x"}, TypeError),
    ({"unknown": 1}, TypeError),
])  # fmt: skip
def test_options_are_checked_at_the_call(pool, options, error):
    for submit in (pool.apply_async, pool.map_async, pool.imap):
        with pytest.raises(error):
            submit(work.inc, (1,), **options)


# Order and attempts

def test_what_has_priority_begins_first(single, tmp_path):
    order = tmp_path / "order"
    holding = single.apply_async(work.hold, (tmp_path / "go",))
    results = [single.apply_async(work.note, (order, p), priority=p) for p in (0, -1, 2, 1)]
    work.touch(tmp_path / "go")
    for each in [holding, *results]:
        each.get(SECONDS)
    assert order.read_text().split() == ["2", "1", "0", "-1"]


def test_a_call_is_tried_again(pool, tmp_path):
    assert pool.apply(work.fail_once, (tmp_path / "failed",), retries=2) == 2
    with pytest.raises(KeyError):
        pool.apply(work.fail, retries=1)


# return_exceptions

def test_map_returns_exceptions(pool):
    values = pool.map(work.fail_on_three, range(6), return_exceptions=True)
    assert values[:3] + values[4:] == [0, 1, 2, 4, 5]
    assert isinstance(values[3], ValueError) and "raise ValueError" in str(values[3].__cause__)


def test_map_async_with_exceptions_is_a_success(pool):
    seen = []
    result = pool.map_async(work.fail_on_three, range(6), callback=seen.append, return_exceptions=True)
    assert len(result.get(SECONDS)) == 6
    assert result.successful() and seen == [result.get()]


def test_starmap_returns_exceptions(pool):
    values = pool.starmap(work.fail_on, [(1, 2), (1, 1)], return_exceptions=True)
    assert values[0] == 2 and isinstance(values[1], ValueError)


def test_what_could_not_be_sent_is_returned_too(pool):
    values = pool.map(work.same, [1, work.Unpicklable(), 3], return_exceptions=True)
    assert [values[0], values[2]] == [1, 3] and isinstance(values[1], RuntimeError)


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_iterators_yield_exceptions(pool, method):
    values = list(getattr(pool, method)(work.fail_on_three, range(6), return_exceptions=True))
    assert sorted(v for v in values if isinstance(v, int)) == [0, 1, 2, 4, 5]
    assert [str(v) for v in values if not isinstance(v, int)] == ["3 is bad"]


# cancel

def test_a_waiting_call_can_be_cancelled(single, tmp_path):
    holding = single.apply_async(work.hold, (tmp_path / "go",))
    result = single.apply_async(work.touch, (tmp_path / "ran",))
    assert result.cancel()
    with pytest.raises(procpool.Cancelled):
        result.get(SECONDS)
    assert result.ready() and not result.successful()
    work.touch(tmp_path / "go")
    holding.get(SECONDS)
    single.apply(work.inc, (1,))
    assert not (tmp_path / "ran").exists()


def test_a_running_call_can_be_cancelled(single, tmp_path):
    result = single.apply_async(work.touch_and_hold, (tmp_path / "running", tmp_path / "never"))
    work.hold(tmp_path / "running")
    assert result.cancel()
    with pytest.raises(procpool.Cancelled):
        result.get(SECONDS)
    assert single.apply(work.inc, (1,)) == 2


def test_a_map_can_be_cancelled(pool, tmp_path):
    result = pool.map_async(work.hold, [tmp_path / "never"] * 1000)
    assert result.cancel()
    with pytest.raises(procpool.Cancelled):
        result.get(SECONDS)
    assert pool.apply(work.inc, (1,)) == 2


def test_what_is_ready_cannot_be_cancelled(pool):
    result = pool.apply_async(work.inc, (1,))
    assert result.get(SECONDS) == 2
    assert not result.cancel()
    assert result.get() == 2


def test_an_iterator_can_be_cancelled(pool, tmp_path):
    results = pool.imap(work.hold, [tmp_path / "never"] * 5)
    assert results.cancel()
    with pytest.raises(procpool.Cancelled):
        results.next(SECONDS)


# detach

DETACHES = """
import sys
import procpool
sys.path.insert(0, {directory!r})
import pool_functions as work
pool = procpool.Pool(name="work")
results = [pool.apply_async("pool_functions:inc", (41,), detach=True),
           pool.map_async("pool_functions:inc", range(3), detach=True)]
print(*(each.job for each in results))
"""


@pytest.fixture
def named(monkeypatch):
    """Starts a daemon with a pool `work`, of the module pool_functions, that takes pickles; other settings as given."""
    started = []

    def start(**settings):
        settings = {"interpreter": sys.executable, "modules": [work.__file__], "workers": 2, "pickle": "yes",
                    **settings}
        server = procpoold.Daemon(workers=None, pools={"work": {k: v for k, v in settings.items() if v is not None}},
                                  env={"PYTHONPATH": os.environ["PYTHONPATH"]})
        started.append(server)
        monkeypatch.setenv("PROCPOOL_SOCKET", str(server.path))
        return server.await_ready()

    yield start
    for each in started:
        each.finish()


def test_a_detached_result_is_picked_up_by_another_process(named):
    named()
    program = DETACHES.format(directory=os.path.dirname(work.__file__))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    jobs = [int(each) for each in done.stdout.split()]
    pool = procpool.Pool(name="work")
    results = [pool.job(each) for each in jobs]
    assert [each.get(SECONDS) for each in results] == [42, [1, 2, 3]]
    assert [each.job for each in results] == jobs


def test_a_detached_call_has_a_result_here_too(pool):
    seen = []
    result = pool.apply_async(work.inc, (1,), detach=True, callback=seen.append)
    assert isinstance(result.job, int)
    assert result.get(SECONDS) == 2 and seen == [2]
    failed = pool.map_async(work.fail_on_three, range(5), detach=True)
    with pytest.raises(ValueError, match="3 is bad"):
        failed.get(SECONDS)


def test_a_job_that_nobody_knows_is_told(pool):
    with pytest.raises(procpool.NoSuchJob):
        pool.job(1).get(SECONDS)


# Named pools

def test_a_named_pool_is_called(named):
    named()
    pool = procpool.Pool(name="work")
    assert pool.apply(work.pack, ((1, 2),), {"x": {3}}) == (((1, 2),), {"x": {3}})
    assert pool.map("pool_functions:inc", range(5)) == [1, 2, 3, 4, 5]


def test_a_client_need_not_import_what_it_calls(named):
    named()
    assert procpool.Pool(name="work").apply("pool_functions:inc", (1,)) == 2


def test_the_end_of_a_named_pools_object_ends_only_that(named):
    named()
    first, second = procpool.Pool(name="work"), procpool.Pool(name="work")
    assert first.apply(work.inc, (1,)) == 2
    first.terminate()
    first.join()
    with pytest.raises(ValueError, match="Pool not running"):
        first.apply(work.inc, (1,))
    assert second.apply(work.inc, (1,)) == 2
    second.close()
    second.join()
    assert procpool.Pool(name="work").apply(work.inc, (1,)) == 2


def test_terminate_cancels_what_one_has_called_of_a_named_pool(named, tmp_path):
    named(workers=1)
    mine, other = procpool.Pool(name="work"), procpool.Pool(name="work")
    result = mine.apply_async(work.touch_and_hold, (str(tmp_path / "running"), str(tmp_path / "never")))
    work.hold(tmp_path / "running")
    waiting = other.apply_async(work.inc, (1,))
    mine.terminate()
    with pytest.raises(procpool.Cancelled):
        result.get(SECONDS)
    assert waiting.get(SECONDS) == 2


def test_a_pool_that_does_not_exist_is_told(named):
    named()
    with pytest.raises(procpool.NoSuchPool):
        procpool.Pool(name="no such")


def test_a_named_pool_has_its_own_settings(named):
    named()
    for settings in ({"processes": 2}, {"initializer": print}, {"maxtasksperchild": 1}, {"memory": 1 << 30}):
        with pytest.raises(ValueError, match="belongs to pools of one's own"):
            procpool.Pool(name="work", **settings)


def test_a_pool_without_pickles_is_called_plainly(named):
    named(pickle=None)
    pool = procpool.Pool(name="work")
    assert pool.apply(work.pack, (1, [2]), {"x": "y"}) == [[1, [2]], {"x": "y"}]
    assert pool.map(work.inc, range(3)) == [1, 2, 3]
    with pytest.raises(TypeError, match="set"):
        pool.apply(work.same, ({1},))
    with pytest.raises(procpool.FunctionFailed) as raised:
        pool.apply(work.fail, ("lost",))
    assert raised.value.type == "KeyError" and "raise KeyError" in str(raised.value.__cause__)


def test_only_functions_of_its_modules_are_called(named):
    named(pickle=None)
    with pytest.raises(procpool.UnknownFunction):
        procpool.Pool(name="work").apply(os.getpid)


def test_a_pool_that_takes_pickles_calls_what_it_does_not_offer(named):
    named()
    pool = procpool.Pool(name="work")
    assert pool.apply(math.sqrt, (9,)) == 3
    assert pool.map(operator.itemgetter(1), ["ab", "cd"]) == ["b", "d"]
    with pytest.raises(procpool.UnknownFunction):
        pool.apply("math:sqrt", (9,))


def test_an_executor_calls_a_named_pool(named):
    named()
    with procpool.Executor(name="work") as executor:
        assert executor.submit("pool_functions:pack", 1, x=(2,)).result(SECONDS) == ((1,), {"x": (2,)})
    assert procpool.Pool(name="work").apply(work.inc, (1,)) == 2


def test_join_of_a_named_pool_waits_for_what_threads_have_called(named, tmp_path):
    named()
    pool, values = procpool.Pool(name="work"), []
    thread = threading.Thread(target=lambda: values.append(
        pool.apply(work.touch_and_hold, (str(tmp_path / "running"), str(tmp_path / "go")))))  # fmt: skip
    thread.start()
    work.hold(tmp_path / "running")
    pool.close()
    joins = threading.Thread(target=pool.join)
    joins.start()
    work.touch(tmp_path / "go")
    for each in (joins, thread):
        each.join(SECONDS)
    assert values == [str(tmp_path / "go")]


# Pools of one's own

def test_a_daemon_of_another_user_is_not_trusted(daemon_of_mine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(procpool.Denied, match="has the user id .* trust=True allows that"):
        procpool.Pool(1, address=str(daemon_of_mine.path))
    with procpool.Pool(1, address=str(daemon_of_mine.path), trust=True) as pool:
        assert pool.apply(work.inc, (1,)) == 2


def test_a_named_pool_of_another_user_is_called_plainly(named, monkeypatch):
    named()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert procpool.Pool(name="work").apply(work.same, ((1, 2),)) == [1, 2]
    assert procpool.Pool(name="work", trust=True).apply(work.same, ((1, 2),)) == (1, 2)


def test_large_results_are_not_taken_far_ahead():
    taken = itertools.count()
    with procpool.Pool(2) as pool:
        results = pool.imap(work.make_bytes, (8 << 20 for _ in taken))
        for _ in range(6):
            assert len(next(results)) == 8 << 20
        assert next(taken) < 40


def test_workers_have_their_limit_of_memory():
    with procpool.Pool(1, memory=256 << 20) as pool:
        with pytest.raises((procpool.OutOfMemory, MemoryError)):
            pool.apply(work.eat, (1 << 30,))
        assert pool.apply(work.inc, (1,)) == 2


def test_workers_may_come_and_go():
    with procpool.Pool(workers_min=1, workers_max=3, idle_seconds=60) as pool:
        assert pool.map(work.inc, range(20)) == list(range(1, 21))


@pytest.mark.parametrize("settings, error", [({"memory": "much"}, TypeError), ({"stop_seconds": -1}, ValueError),
                                             ({"no_such_setting": 1}, TypeError)])  # fmt: skip
def test_settings_are_checked(settings, error):
    with pytest.raises(error):
        procpool.Pool(1, **settings)


def test_a_call_out_of_a_worker_into_its_own_pool_is_no_deadlock(named):
    named(workers=1)
    with pytest.raises(procpool.WouldDeadlock):
        procpool.Pool(name="work").apply(work.call_named_pool, ("work", 1))


def test_a_worker_may_make_a_pool():
    with procpool.Pool(1) as pool:
        assert pool.apply(work.sum_in_a_pool, (10,)) == sum(range(1, 11))

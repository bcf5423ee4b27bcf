# SPDX-License-Identifier: MIT
"""Functions that are asked to stop while they run, and the time at which elements begin."""

import time

import pytest
from driver import Spawner, wait_until

LONG = {"demo.sleep": 30, "demo.spin": 30000}


@pytest.fixture
def worker():
    spawner = Spawner()
    spawner.ready()
    yield spawner.fork().ready()
    spawner.close()


def await_begun(worker, seq, count=1):
    wait_until(lambda: worker.page.begun(seq) == count)


@pytest.mark.parametrize("function", LONG)
def test_a_function_that_is_asked_to_stop_ends_and_keeps_its_worker(worker, function):
    seq = worker.task(function, [LONG[function]])
    await_begun(worker, seq)
    worker.page.ask_to_stop(seq)
    [(kind, error)] = worker.answers(seq, 1)
    assert (kind, error["code"], error["type"]) == ("error", "function-failed", "Stopped")
    assert worker.apply("demo.pid") == worker.pid


def test_a_function_asked_before_it_begins_ends_at_once(worker):
    worker.page.ask_to_stop(1)
    assert worker.map("demo.sleep", [30])[0][1]["type"] == "Stopped"


@pytest.mark.parametrize("function", LONG)
def test_only_the_element_that_is_meant_stops(worker, function):
    seq = worker.task(function, [LONG[function], 0.01, 0.02])
    await_begun(worker, seq)
    for other in [(seq, 1), (seq + 1, 0), (seq - 1, 0), (seq, 0)]:
        worker.page.ask_to_stop(*other)
    assert [kind for kind, _ in worker.answers(seq, 3)] == ["error", "ok", "ok"]
    assert worker.map(function, [0.01]) == [("ok", None)]


def test_a_worker_without_a_page_sleeps_undisturbed():
    spawner = Spawner()
    spawner.ready()
    assert spawner.fork(page=False).ready().map("demo.sleep", [0.01]) == [("ok", None)]
    spawner.close()


def test_the_time_of_each_beginning_is_told_where_there_is_a_timeout(worker):
    worker.map("demo.sleep", [0])
    assert worker.page.began() == 0
    before = time.monotonic_ns() // 1000
    worker.map("demo.sleep", [0.02, 0], timeout=10.0)
    assert before + 20000 <= worker.page.began() <= time.monotonic_ns() // 1000

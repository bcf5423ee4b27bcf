# SPDX-License-Identifier: MIT
"""What functions tell of their progress."""

import os
import time

import pytest
from driver import PROGRESS, RESULT, TEST_MODULES, Spawner


@pytest.fixture
def worker():
    spawner = Spawner([os.path.join(TEST_MODULES, "lifecycle.so"), "demo"])
    spawner.ready()
    yield spawner.fork().ready()
    spawner.close()


def run(worker, function, items, **options):
    """What was told before the last answer, and how often what was answered before it."""
    seq, told, answered = worker.task(function, items, **options), [], 0
    while answered < len(items):
        number, answers_to, index, *content = worker.receive()
        assert answers_to == seq and number in (PROGRESS, RESULT)
        if number == RESULT:
            answered += len(content[1])
        else:
            assert index == answered, "told before all that ran before was answered"
            told.append((index, content[0]))
    return told


def test_progress_is_told_before_the_result_and_after_those_before(worker):
    items = [["a"], ["b", {"x": 1}], [], [None]]
    told = run(worker, "lifecycle.report", items, star=True)
    assert told == [(0, "a"), (1, "b"), (1, {"x": 1}), (3, None)]


def test_a_flood_is_thinned_and_its_end_is_told(worker):
    began = time.monotonic()
    told = [value for _, value in run(worker, "lifecycle.flood", [100000])]
    most = 20 + 20 * (time.monotonic() - began) + 1
    assert 20 <= len(told) <= most
    assert told == sorted(told, key=lambda value: value["done"])
    assert told[:20] == [{"done": done, "total": 100000} for done in range(1, 21)]


def test_the_end_of_a_flood_is_told_when_time_has_passed(worker):
    run(worker, "lifecycle.flood", [20])
    worker.apply("demo.sleep", 0.2)
    assert run(worker, "lifecycle.flood", [1000])[-1][1]["done"] < 1000
    worker.apply("demo.sleep", 0.2)
    assert run(worker, "lifecycle.report", [["last"]], star=True) == [(0, "last")]


def test_what_cannot_be_sent_is_refused_and_fails_nothing(worker):
    deep = []
    for _ in range(24):
        deep = [deep]
    seq = worker.task("lifecycle.report", [[b"x" * 4093, b"x" * 4094, deep, 1]], star=True)
    assert worker.expect(PROGRESS)[1:] == [seq, 0, b"x" * 4093]
    assert worker.expect(PROGRESS)[1:] == [seq, 0, 1]
    assert worker.answers(seq, 1) == [("ok", [True, False, False, True])]

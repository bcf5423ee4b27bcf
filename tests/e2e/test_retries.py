# SPDX-License-Identifier: MIT
"""retries: tasks that failed run again, as often as their caller allowed."""

from procpoold import eventually


def test_task_that_fails_runs_until_it_succeeds(probe, marks):
    client = probe(workers=1).connect()
    assert client.call("apply", "probe.persist", [marks.path, "a", 3, False], {"retries": 5}) == 3
    assert marks.read() == ["a-1", "a-2", "a-3"]


def test_task_that_crashes_its_worker_runs_again_in_another(probe, marks):
    client = probe(workers=1).connect()
    assert client.call("apply", "probe.persist", [marks.path, "a", 3, True], {"retries": 2}) == 3
    assert marks.read() == ["a-1", "a-2", "a-3"]


def test_without_retries_a_task_runs_once(probe, marks):
    client = probe(workers=1).connect()
    error = client.error("apply", "probe.persist", [marks.path, "a", 2, False])
    assert error["code"] == "function-failed"
    assert "attempts" not in error
    assert client.error("apply", "probe.persist", [marks.path, "b", 2, True])["code"] == "worker-lost"
    assert marks.read() == ["a-1", "b-1"]


def test_error_of_the_last_attempt_tells_their_number(probe, marks):
    client = probe(workers=1).connect()
    error = client.error("apply", "probe.persist", [marks.path, "a", 9, True], {"retries": 1})
    assert (error["code"], error["attempts"], error["signal"]) == ("worker-lost", 2, 9)
    error = client.error("map", "probe.persist", [[marks.path, "b", 1, False], [marks.path, "c", 9, False]],
                         {"star": True, "retries": 1})
    assert (error["code"], error["attempts"], error["index"]) == ("function-failed", 2, 1)


def test_crash_in_a_chunk_repeats_only_its_element(probe, marks):
    client = probe(workers=1).connect()
    items = [[marks.path, f"item{i}", 3 if i == 4 else 1, True] for i in range(8)]
    assert client.call("map", "probe.persist", items, {"star": True, "chunksize": 8, "retries": 2}) == [
        1, 1, 1, 1, 3, 1, 1, 1]
    assert sorted(marks.read()) == sorted([f"item{i}-1" for i in range(8)] + ["item4-2", "item4-3"])


def test_elements_are_retried_each_on_its_own(probe, marks):
    client = probe(workers=2).connect()
    items = [[marks.path, f"item{i}", 1 + i % 3, i % 2 == 1] for i in range(30)]
    assert client.call("map", "probe.persist", items, {"star": True, "retries": 2}) == [1 + i % 3 for i in range(30)]
    assert sorted(marks.read()) == sorted(f"item{i}-{n + 1}" for i in range(30) for n in range(1 + i % 3))


def test_job_tells_its_attempt_and_waits_between(probe, gate, marks):
    client = probe(workers=1).connect()
    job = client.call("apply_async", "probe.persist", [marks.path, "a", 9, False], {"retries": 100})
    assert eventually(lambda: client.call("job", job)["attempt"] >= 2)
    assert eventually(lambda: client.call("job", job)["state"] == "waiting")
    assert client.call("pools")[0]["waiting"] == 1
    assert client.call("cancel", job)["cancelled"]
    assert client.push("result")[1]["code"] == "cancelled"
    assert client.call("pools")[0]["waiting"] == 0


def test_pause_holds_up_nobody(probe, marks):
    client = probe(workers=1).connect()
    failing = client.request("apply", "probe.persist", [marks.path, "a", 3, False], {"retries": 2})
    eventually(marks.read)
    assert client.call("apply", "demo.inc", [1]) == 2
    assert client.response(failing) == 3

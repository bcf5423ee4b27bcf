# SPDX-License-Identifier: MIT
"""The option timeout: a task that runs too long ends, and no other is harmed."""

import time

import pytest
from procpoold import eventually


def check_error(error, timeout, kind="Stopped"):
    assert (error["code"], error["timeout"], error.get("type")) == ("timeout", timeout, kind)
    assert timeout <= error["ran"] < timeout + 15
    assert f"its timeout was {timeout:g} s" in error["message"]


@pytest.mark.memcheck
def test_an_apply_past_its_timeout_fails_and_its_worker_stays(daemon):
    server = daemon(workers=1)
    client = server.connect()
    pid = client.call("apply", "demo.pid", [])
    for function, argument in ("demo.sleep", 60), ("demo.spin", 60000):
        error = client.error("apply", function, [argument], {"timeout": 0.1})
        check_error(error, 0.1)
        assert "ended when it was asked to" in error["message"] and "pid" not in error
    assert client.call("apply", "demo.pid", []) == pid


def test_a_task_that_ends_within_its_timeout_returns_its_value(client):
    assert client.call("apply", "demo.sleep", [0.01], {"timeout": 30}) is None
    assert client.call("map", "demo.inc", list(range(1000)), {"timeout": 30}) == list(range(1, 1001))


def test_the_job_of_apply_async_fails_with_its_timeout(client):
    job = client.call("apply_async", "demo.sleep", [60], {"timeout": 0.1})
    pushed, error, value, meta = client.push("result")
    assert pushed == error["job"] == job and value is None and meta["ran"] >= 0.1
    check_error(error, 0.1)
    check_error(client.error("result", job), 0.1)
    assert client.call("job", job)["state"] == "failed"


def test_a_value_that_comes_after_the_timeout_is_dropped(probe):
    client = probe(workers=1).connect()
    check_error(client.error("apply", "probe.until_stopped", [], {"timeout": 0.05}), 0.05, None)
    assert client.call("pools")[0]["restarts"] == 0


def test_a_function_that_ignores_the_stop_is_killed_and_only_its_task_pays(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    [pid] = server.worker_pids()
    items = [1, 2, held.path, 4, 5]
    pairs = client.call("map", "probe.hold", items, {"errors": "collect", "chunksize": 5, "timeout": 0.1})
    assert [value for _, value in pairs] == [1, 2, None, 4, 5]
    error = pairs[2][0]
    check_error(error, 0.1, None)
    assert (error["index"], error["pid"]) == (2, pid) and error["ran"] >= 1.1
    assert "did not stop when it was asked to" in error["message"]
    assert pid not in server.await_workers(1)


def test_a_pool_may_kill_at_once(daemon, gate):
    pools = {"p": {"modules": ["demo"], "workers": 1, "stop_seconds": 0}}
    server = daemon(workers=None, pools=pools)
    client = server.connect()
    [pid] = server.worker_pids()
    error = client.error("apply", "demo.sleep", [60], {"timeout": 0.1})
    check_error(error, 0.1, None)
    assert error["pid"] == pid and pid not in server.await_workers(1)


def test_a_pool_may_give_more_time_to_stop(daemon, gate):
    pools = {"p": {"modules": ["demo"], "workers": 1, "stop_seconds": 0.25}}
    client = daemon(workers=None, pools=pools).connect()
    check_error(client.error("apply", "demo.sleep", [60], {"timeout": 0.1}), 0.1)


@pytest.mark.parametrize("errors", ["raise", "collect"])
def test_an_element_past_its_timeout_fails_like_any_other(client, errors):
    params = ["map", "demo.sleep", [0.01, 60, 0.02], {"errors": errors, "timeout": 0.3}]
    if errors == "raise":
        error = client.error(*params)
    else:
        first, second, third = client.call(*params)
        assert first == third == [None, None] and second[1] is None
        error = second[0]
    check_error(error, 0.3)
    assert error["index"] == 1


def test_an_element_past_its_timeout_is_told_in_the_stream(client):
    items = [0.01, 60, 0.02]
    job = client.call("map_async", "demo.sleep", items, {"stream": True, "errors": "collect", "timeout": 0.3})
    outcomes = {}
    while len(outcomes) < 3:
        pushed, first, pairs = client.push("items")
        assert pushed == job
        outcomes.update(enumerate(pairs, first))
    assert outcomes[0] == outcomes[2] == [None, None]
    check_error(outcomes[1][0], 0.3)
    assert client.push("result")[:3] == [job, None, 3]


def test_each_element_of_a_long_map_has_the_whole_time(daemon):
    client = daemon(workers=1).connect()
    begin = time.monotonic()
    values = client.call("map", "demo.sleep", [0.05] * 20, {"timeout": 0.5, "chunksize": 20})
    assert values == [None] * 20 and time.monotonic() - begin > 0.5


def test_time_spent_waiting_does_not_count(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    msgid = client.request("apply", "demo.sleep", [0.01], {"timeout": 0.1})
    job = client.call("apply_async", "demo.inc", [1])
    assert client.error("wait", job, 0.2)["code"] == "not-ready"
    held.release()
    assert client.response(msgid) is None


def test_what_waits_behind_a_task_past_its_timeout_runs(daemon):
    client = daemon(workers=1).connect()
    client.call("map", "demo.spin", [0.001] * 50)  # known to be short, so more is sent ahead
    slow = client.request("apply", "demo.spin", [60000], {"timeout": 0.1})
    others = [client.request("apply", "demo.spin", [0.001]) for _ in range(50)]
    assert [client.response(msgid) for msgid in others] == [None] * 50
    assert client.take(lambda m: m[0] == 1 and m[1] == slow)[2]["code"] == "timeout"


def test_timeouts_shorter_than_anything_harm_nothing_else(daemon):
    client = daemon(workers=2).connect()
    pairs = client.call("map", "demo.spin", [0.01, 30, 0.01] * 40, {"errors": "collect", "timeout": 0.001})
    assert {error["code"] for error, _ in pairs if error} == {"timeout"}
    assert all(pairs[i][0] for i in range(1, 120, 3))
    assert client.call("map", "demo.inc", [1, 2, 3]) == [2, 3, 4]
    assert client.call("pools")[0]["restarts"] == 0


def test_many_tasks_run_past_their_timeouts_side_by_side(daemon):
    client = daemon(workers=3).connect()
    msgids = [client.request("apply", "demo.sleep", [60], {"timeout": 0.05}) for _ in range(30)]
    for msgid in msgids:
        assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "timeout"
    eventually(lambda: {w["state"] for w in client.call("workers")} == {"idle"})
    assert client.call("pools")[0]["restarts"] == 0

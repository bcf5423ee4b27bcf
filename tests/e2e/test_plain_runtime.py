# SPDX-License-Identifier: MIT
"""A pool of a second runtime, a hundred lines of Python written from WORKER.md: the text suffices."""

import os
import pathlib
import signal

import pytest
from procpoold import PYTHON, await_end, children

HERE = pathlib.Path(__file__).parent
F = "plain_functions:"


@pytest.fixture
def plain(daemon):
    """Starts daemons with a pool on the plain runtime."""

    def make(limits=None, **settings):
        runtime = [PYTHON, str(HERE / "plain_runtime.py")]
        pool = {"runtime": runtime, "modules": [str(HERE / "plain_functions.py")], "workers": 2, **settings}
        return daemon(workers=None, pools={"plain": pool}, limits=limits)

    return make


def test_apply_returns_the_value(plain):
    assert plain().connect().call("apply", F + "inc", [41]) == 42


def test_each_worker_is_a_process_that_the_daemon_started(plain):
    server = plain(workers=3)
    assert server.await_workers(3) == children(server.pid)


def test_map_keeps_its_order(plain):
    client = plain().connect()
    assert client.call("map", F + "inc", list(range(2000))) == list(range(1, 2001))
    assert client.call("map", F + "subtract", [[5, 3], [2, 2]], {"star": True}) == [2, 0]


def test_functions_are_listed_with_what_they_do(plain):
    rows = {row["name"]: row["doc"] for row in plain().connect().call("functions")}
    assert rows[F + "inc"] == "One more than x." and F + "_state" not in rows


def test_named_arguments_reach_the_function(plain):
    client = plain().connect()
    assert client.call("apply", F + "subtract", [10], {"kwargs": {"b": 4}}) == 6
    assert client.error("apply", F + "subtract", [10], {"kwargs": {"c": 4}})["code"] == "bad-request"


def test_values_of_every_type_pass(plain):
    value = [None, True, -(2**63), 2**64 - 1, 1.5, "ü", b"\x00\xff", [[]], {"a": {1: 2}}]
    assert plain().connect().call("apply", F + "echo", [value]) == value


def test_a_large_value_passes(plain):
    assert plain().connect().call("apply", F + "echo", [b"x" * (8 << 20)]) == b"x" * (8 << 20)


def test_a_failure_carries_type_message_and_traceback(plain):
    error = plain().connect().error("apply", F + "fail", ["no luck"])
    assert (error["code"], error["type"], error["message"]) == ("function-failed", "LookupError", "no luck")
    assert "in fail" in error["traceback"]


def test_a_failed_element_is_told_with_its_index(plain):
    client = plain().connect()
    assert client.error("map", F + "inc", [1, "x", 3])["index"] == 1
    pairs = client.call("map", F + "inc", [1, "x", 3], {"errors": "collect"})
    assert [value for _, value in pairs] == [2, None, 4] and pairs[1][0]["type"] == "TypeError"


def test_a_value_that_cannot_be_packed_is_a_failure(plain):
    client = plain().connect()
    assert client.error("apply", F + "unpackable", [])["code"] == "function-failed"
    assert client.call("apply", F + "inc", [1]) == 2


@pytest.mark.parametrize("function, argument", [("fill", 200000), ("nest", 25)])
def test_a_value_over_the_limits_is_too_large(plain, function, argument):
    client = plain(limits={"message_bytes": 100000}).connect()
    assert client.error("apply", F + function, [argument])["code"] == "too-large"


def test_a_killed_worker_fails_only_its_task(plain, gate):
    server, held = plain(), gate()
    client = server.connect()
    killed = client.request("apply", F + "hold", [held.path])
    held.await_held()
    others = [client.request("apply", F + "inc", [i]) for i in range(100)]
    [pid] = [w["pid"] for w in client.call("workers") if w["function"] == F + "hold"]
    os.kill(pid, signal.SIGKILL)
    error = client.take(lambda m: m[0] == 1 and m[1] == killed)[2]
    assert (error["code"], error["signal"], error["pid"]) == ("worker-lost", 9, pid)
    assert [client.response(msgid) for msgid in others] == list(range(1, 101))
    assert pid not in server.await_workers(2)


def test_a_worker_that_exits_is_told_with_its_status(plain):
    error = plain().connect().error("apply", F + "leave", [7])
    assert (error["code"], error["exit_status"]) == ("worker-lost", 7)


def test_a_crash_in_a_chunk_costs_what_it_must(plain):
    """Without a page nobody knows what had begun: what was answered is kept, no other element runs twice."""
    items = [-1 if i == 25 else i for i in range(50)]
    pairs = plain().connect().call("map", F + "die", items, {"errors": "collect", "chunksize": 10})
    lost = [i for i, (error, _) in enumerate(pairs) if error]
    assert 25 in lost and set(lost) <= set(range(20, 30))
    assert all(error["code"] == "worker-lost" for error, _ in pairs if error)
    assert all(value == i for i, (error, value) in enumerate(pairs) if not error)


def test_a_function_that_is_stopped_by_a_signal_keeps_its_worker(plain):
    server = plain(workers=1)
    client = server.connect()
    before = server.worker_pids()
    for _ in range(3):
        error = client.error("apply", F + "nap", [60], {"timeout": 0.1})
        assert (error["code"], error["type"], error["timeout"]) == ("timeout", "Stopped", 0.1)
        assert "in nap" in error["traceback"]
    assert client.call("apply", F + "nap", [0.01], {"timeout": 30}) is None
    assert server.worker_pids() == before


def test_a_function_that_ignores_the_signal_is_killed(plain):
    server = plain(workers=1)
    [pid] = server.worker_pids()
    error = server.connect().error("apply", F + "nap", [60, True], {"timeout": 0.1})
    assert (error["code"], error["pid"]) == ("timeout", pid)
    assert pid not in server.await_workers(1)


def test_a_timeout_costs_the_rest_of_its_message(plain):
    """Without a page, what follows cannot be taken back, and must not be hit by the signal."""
    items = [0.01, 60, 0.01, 0.01]
    options = {"errors": "collect", "chunksize": 4, "timeout": 0.3}
    pairs = plain().connect().call("map", F + "nap", items, options)
    assert [error and error["code"] for error, _ in pairs] == [None, "timeout", "worker-lost", "worker-lost"]
    assert "a task that it ran did not stop" in pairs[2][0]["message"]


def test_the_initializer_runs_in_each_worker(plain):
    client = plain(initializer=F + "setup", initargs=["a", "b"], workers=3).connect()
    assert client.call("map", F + "state", [[]] * 30, {"star": True}) == [["a", "b"]] * 30


def test_an_initializer_that_fails_is_told_to_who_calls(start):
    pool = {"runtime": [PYTHON, str(HERE / "plain_runtime.py")], "modules": [str(HERE / "plain_functions.py")],
            "workers": 1, "initializer": F + "setup", "initargs": ["fail"]}  # fmt: skip
    client = start(workers=None, pools={"plain": pool}).connect()
    client.call("subscribe", {})
    event = client.event("pool", state="failing")
    assert event["error"]["code"] == "initializer-failed" and "told to fail" in event["error"]["message"]
    assert event["error"]["type"] == "ValueError" and "setup" in event["error"]["traceback"]


def test_both_runtimes_serve_side_by_side(daemon):
    runtime = [PYTHON, str(HERE / "plain_runtime.py")]
    pools = {
        "plain": {"runtime": runtime, "modules": [str(HERE / "plain_functions.py")], "workers": 1},
        "native": {"modules": ["demo"], "workers": 1},
    }
    client = daemon(workers=None, pools=pools).connect()
    pids = [client.call("apply", F + "pid", []), client.call("apply", "demo.pid", [])]
    assert len(set(pids)) == 2


def test_workers_end_with_a_daemon_that_was_killed(plain):
    server = plain(workers=3)
    family = server.await_workers(3)
    server.expected_status = -signal.SIGKILL
    server.kill(signal.SIGKILL)
    server.await_exit()
    await_end(family)


def test_the_runtime_is_about_a_hundred_lines():
    lines = (HERE / "plain_runtime.py").read_text().splitlines()
    assert len(lines) < 140

# SPDX-License-Identifier: MIT
"""Runtimes that break their protocol or stand still: what they do is told as it was, and costs nobody else."""

import os
import pathlib
import re
import signal
import time

import pytest
from procpoold import PYTHON, children, descendants, eventually, parents
from rpc import RpcError

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def evil(daemon):
    """Starts daemons with a pool of a runtime that does one thing wrong, and a good pool."""

    def make(misdeed, workers=1):
        runtime = [PYTHON, str(HERE / "evil_runtime.py"), misdeed]
        pools = {"evil": {"runtime": runtime, "workers": workers}, "good": {"modules": ["demo"], "workers": 1}}
        return daemon(workers=None, pools=pools)

    return make


def failure(client):
    """Why the pool `evil` cannot start workers."""
    def failing():
        [row] = [row for row in client.call("pools") if row["name"] == "evil"]
        return row["state"] == "failing" and row["error"]

    return eventually(failing)


@pytest.mark.parametrize(
    "misdeed, told",
    [
        ("exits_before_hello", f"its runtime {PYTHON} exited with status 7 before it said hello"),
        ("closes_before_hello", f"its runtime {PYTHON} closed its channel and did not exit before it said hello"),
        ("names_a_signal_that_is_none", "its runtime wants to be stopped by what is no signal"),
        ("speaks_another_protocol", "(evil 1) speaks version 9 of the worker protocol, and this daemon version 1"),
        ("speaks_no_protocol", "names no version of the worker protocol"),
        ("says_hello_again_and_again", "its runtime said hello twice"),
        ("sends_no_functions", "sent a malformed list of functions"),
        ("announces_others_each_time", "sent a malformed list of functions"),
        ("fails_and_stays", "told to fail"),
        ("fails_without_a_reason", "sent a malformed failure"),
        ("dies_of_fork", "its runtime exited with status 5 before any of its workers was ready"),
    ],
)
def test_a_runtime_that_cannot_serve_is_told_with_its_reason(evil, misdeed, told):
    server = evil(misdeed)
    client = server.connect()
    error = failure(client)
    assert error["code"] == "initializer-failed" and told in error["message"]
    assert re.sub("^its runtime |/.*python3 | before it said hello", "", told) in server.stderr()
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_pool_whose_workers_end_as_soon_as_they_are_ready_fails_and_backs_off(evil):
    server = evil("is_ready_and_exits")
    client = server.connect()
    error = failure(client)
    assert error["code"] == "initializer-failed" and "exited with status 3 as soon as it was ready" in error["message"]
    with pytest.raises(TimeoutError):
        client.receive(timeout=1)
    assert max(row["restarts"] for row in client.call("pools")) < 20
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_pool_whose_workers_exit_at_once_keeps_nobody_waiting(evil):
    assert evil("first_exits_and_second_loads_for_ever", workers=2).connect().call("apply", "demo.inc", [1]) == 2


def test_a_worker_that_exits_in_a_task_is_told_with_its_status(evil):
    """Python closes its sockets before it exits: the end of the channel comes first."""
    error = evil("exits_in_a_task").connect().error("apply", "evil.f", [])
    assert (error["code"], error["exit_status"]) == ("worker-lost", 7)


def test_a_worker_that_closes_its_channel_is_killed_and_replaced(evil):
    client = evil("closes_in_a_task").connect()
    for _ in range(2):
        error = client.error("apply", "evil.f", [])
        assert (error["code"], error["signal"]) == ("worker-lost", signal.SIGKILL)
        assert "closed its channel and did not exit" in error["message"]


@pytest.mark.parametrize(
    "misdeed",
    [
        "writes_nonsense_in_a_task",
        "answers_another_task",
        "answers_twice",
        "tells_too_much_progress",
        "tells_progress_of_no_element",
        "tells_no_progress",
    ],
)
def test_a_worker_that_writes_nonsense_is_killed_and_replaced(evil, misdeed):
    client = evil(misdeed).connect()
    for _ in range(2):
        error = client.error("apply", "evil.f", [])
        assert (error["code"], error["signal"]) == ("worker-lost", signal.SIGKILL)
        assert "sent " in error["message"]
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_worker_that_floods_the_log_by_its_channel_is_limited(evil):
    server = evil("logs_a_flood")
    client = server.connect()
    assert client.call("apply", "evil.f", []) is None
    eventually(lambda: re.search(r"pool evil: worker 1 \(pid \d+, all that it says\): dropped 4900 lines", server.stderr()))
    assert server.stderr().count(": flood ") == 100
    assert client.call("apply", "demo.inc", [1]) == 2



def test_a_grandchild_with_its_workers_descriptors_delays_nothing(probe, gate):
    """The channel does not end with the worker: its end is what its spawner tells."""
    server, held, orphaned = probe(workers=1), gate(), gate()
    client = server.connect()
    client.call("apply", "probe.leave_child", [orphaned.path])
    orphaned.await_held()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    [pid] = server.worker_pids()
    begin = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "worker-lost"
    assert client.call("apply", "demo.inc", [1]) == 2
    assert time.monotonic() - begin < 2
    orphaned.release()


@pytest.mark.parametrize(
    "misdeed, count",
    [("lies_about_its_beginning", 1), ("begins_on_and_on", 20), ("claims_what_was_never_sent", 20)],
)
def test_a_worker_that_writes_nonsense_to_its_page_does_not_escape_a_timeout(evil, misdeed, count):
    client = evil(misdeed).connect()
    options = {"timeout": 0.2, "errors": "collect", "chunksize": count}
    for _ in range(2):
        pairs = client.call("map", "evil.f", list(range(count)), options)
        codes = [error["code"] for error, _ in pairs]
        assert codes[0] == "timeout" and set(codes) <= {"timeout", "worker-lost"}
    assert client.call("apply", "demo.inc", [1]) == 2


def test_progress_of_what_does_not_run_is_ignored(evil):
    client = evil("tells_progress_of_what_does_not_run").connect()
    client.call("subscribe", {})
    for _ in range(3):
        assert client.call("apply", "evil.f", []) is None
    told = [m[2][0]["value"] for m in client.quiet() if m[1] == "event" and m[2][0]["event"] == "progress"]
    assert told == ["right"] * 3


def test_a_flood_of_progress_is_thinned(evil):
    client = evil("floods_with_progress").connect()
    client.call("subscribe", {})
    begin = time.monotonic()
    assert client.call("apply", "evil.f", []) is None
    told = [m[2][0]["value"] for m in client.quiet() if m[1] == "event" and m[2][0]["event"] == "progress"]
    assert told[:100] == list(range(100)) and len(told) <= 101 + 100 * (time.monotonic() - begin)


def test_a_worker_that_dies_while_its_spawner_stands_still_is_told_and_replaced(probe, gate):
    server, held = probe(workers=2), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    [spawner] = children(server.pid)
    [pid] = [w["pid"] for w in client.call("workers") if w["function"] == "probe.hold"]
    before = descendants(server.pid)
    os.kill(spawner, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "worker-lost"
    assert client.call("apply", "demo.inc", [1]) == 2
    assert not server.await_workers(2) & before


@pytest.mark.parametrize("attempt", range(3))
def test_what_outlasts_the_grace_period_is_gone_before_the_daemon(probe, gate, attempt):
    server = probe(workers=4, config="grace_seconds = 0\n")
    client = server.connect()
    for held in [gate() for _ in range(4)]:
        client.request("apply", "probe.hold", [held.path])
        held.await_held()
    family = descendants(server.pid)
    server.kill()
    server.await_exit()
    assert not family & set(parents())


def test_a_module_that_ignores_its_children_hides_no_end_of_a_worker(probe):
    server = probe(workers=2, env={"PROBE_IGNORES_CHILDREN": "1"})
    client = server.connect()
    spawners = children(server.pid)
    assert client.error("apply", "demo.crash", [9])["signal"] == 9
    server.await_workers(2)
    assert children(server.pid) == spawners


def test_a_runtime_that_does_not_exist_is_told_in_the_log(daemon):
    server = daemon(workers=None, pools={"evil": {"runtime": ["/nonexistent/runtime"], "modules": ["m"]}})
    told = "cannot start /nonexistent/runtime: No such file or directory"
    assert told in server.stderr()
    assert told in failure(server.connect())["message"]


@pytest.mark.parametrize("said", [[], ["ready"]])
def test_a_runtime_whose_end_is_noticed_before_its_hello_costs_only_its_pool(daemon, gate, said):
    server, held = daemon(workers=1), gate()
    client = server.connect()
    runtime = [PYTHON, str(HERE / "evil_runtime.py"), "says_all_at_once_and_exits", held.path, *said]
    msgid = client.request("open", {"runtime": runtime, "workers": 1})
    held.await_held()
    [pid] = [pid for pid in children(server.pid) if b"evil_runtime" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    # Both lie there when the daemon looks again.
    server.kill(signal.SIGSTOP)
    held.release()
    eventually(lambda: ") Z" in pathlib.Path(f"/proc/{pid}/stat").read_text())
    server.kill(signal.SIGCONT)
    if said:
        assert client.response(msgid)["workers"] == 1  # it was, for a moment
    else:
        with pytest.raises(RpcError) as failed:
            client.response(msgid)
        assert "exited with status 7 before it was ready" in failed.value.error["message"]
    assert client.call("apply", "demo.inc", [1]) == 2

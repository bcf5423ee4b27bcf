# SPDX-License-Identifier: MIT
"""apply: the value, or what went wrong. Refusals of its params are conformance cases."""

import os
import signal

import pytest
from procpoold import eventually


@pytest.mark.memcheck
def test_apply_runs_in_a_worker_and_not_in_the_daemon(daemon):
    server = daemon()
    pid = server.connect().call("apply", "demo.pid", [])
    assert pid in server.worker_pids() and pid != server.pid


def test_ten_thousand_applies_one_after_the_other_are_all_right(client):
    for i in range(10000):
        assert client.call("apply", "demo.inc", [i]) == i + 1


def test_many_applies_in_flight_are_each_answered(client):
    msgids = {client.request("apply", "demo.inc", [i]): i + 1 for i in range(5000)}
    assert all(client.response(msgid) == value for msgid, value in msgids.items())


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 4095, 61440, 65535, 65536, 1 << 20, 20 << 20])
def test_bytes_of_any_size_pass_there_and_back(client, size):
    data = os.urandom(min(size, 1 << 16)) * (size >> 16 or 1)
    assert client.call("apply", "demo.echo", [data]) == data


def test_large_arguments_of_many_calls_pass_at_once(client):
    data = [bytes([i]) * (3 << 20) for i in range(8)]
    msgids = [client.request("apply", "demo.echo", [d]) for d in data]
    assert [client.response(msgid) for msgid in msgids] == data


def test_an_unknown_function_is_answered_with_similar_names(client):
    error = client.error("apply", "demo.incc", [1])
    assert error["code"] == "unknown-function" and "demo.inc" in error["suggestions"]
    assert len(error["suggestions"]) <= 3


def test_a_failure_carries_type_message_and_data(probe):
    error = probe().connect().error("apply", "probe.fail", ["KeyError", "no such key", {"key": [1, None]}])
    assert error["code"] == "function-failed"
    assert (error["type"], error["message"], error["data"]) == ("KeyError", "no such key", {"key": [1, None]})


def test_a_failure_costs_no_worker(daemon):
    server = daemon()
    client, before = server.connect(), server.worker_pids()
    for _ in range(10):
        client.error("apply", "demo.fail", ["no luck"])
    assert server.worker_pids() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGBUS])
def test_a_crash_is_told_with_signal_and_pid(daemon, number):
    server = daemon()
    client, before = server.connect(), server.worker_pids()
    error = client.error("apply", "demo.crash", [int(number)])
    assert error["code"] == "worker-lost" and error["signal"] == number and error["pid"] in before


@pytest.mark.parametrize("status", [0, 3, 255])
def test_a_worker_that_exits_is_told_with_its_status(probe, status):
    error = probe().connect().error("apply", "probe.exit", [status])
    assert error["code"] == "worker-lost" and error["exit_status"] == status and error["pid"] > 0


def test_the_call_behind_a_crash_is_served(client):
    crash = client.request("apply", "demo.crash", [9])
    msgids = [client.request("apply", "demo.inc", [i]) for i in range(50)]
    assert [client.response(msgid) for msgid in msgids] == list(range(1, 51))
    assert client.take(lambda m: m[1] == crash)[2]["code"] == "worker-lost"


def test_a_result_larger_than_a_message_is_too_large(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    assert client.error("apply", "probe.fill", [200000])["code"] == "too-large"
    assert len(client.call("apply", "probe.fill", [50000])) == 50000


def test_a_result_that_nests_too_deep_is_too_large(probe):
    client = probe().connect()
    assert client.error("apply", "probe.nest", [25])["code"] == "too-large"
    value = client.call("apply", "probe.nest", [24])
    for _ in range(23):
        [value] = value
    assert value == []


def test_a_result_that_nests_without_end_is_too_large(probe):
    client = probe().connect()
    assert client.error("apply", "probe.nest", [100000])["code"] == "too-large"
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_request_larger_than_a_message_is_skipped_and_told(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    big = client.request("apply", "demo.len", [b"x" * 1000000])
    assert client.call("apply", "demo.inc", [1]) == 2
    assert client.take(lambda m: m[1] == big)[2]["code"] == "too-large"


def test_an_argument_of_nearly_a_whole_message_is_served(daemon):
    client = daemon(limits={"message_bytes": 100000}).connect()
    assert client.call("apply", "demo.len", [b"x" * 99900]) == 99900


def test_an_apply_is_gone_when_it_was_answered(client):
    client.call("apply", "demo.inc", [1])
    assert client.call("jobs") == []


def test_memory_that_there_is_not_is_told_as_such(client):
    assert client.error("apply", "demo.alloc", [2**46])["code"] == "out-of-memory"
    client.call("apply", "demo.alloc", [1 << 20])


def test_a_worker_serves_while_the_other_one_is_held(probe, gate):
    server = probe(workers=2)
    client, held = server.connect(), gate()
    slow = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    assert [client.call("apply", "demo.inc", [i]) for i in range(100)] == list(range(1, 101))
    held.release()
    assert client.response(slow) is None


def test_all_workers_run_at_once(probe, gate):
    client = probe(workers=4).connect()
    gates = [gate() for _ in range(4)]
    msgids = [client.request("apply", "probe.hold", [g.path]) for g in gates]
    for each in gates:
        each.await_held()
    assert sorted(w["state"] for w in client.call("workers")) == ["busy"] * 4
    for each in gates:
        each.release()
    assert [client.response(msgid) for msgid in msgids] == [None] * 4
    eventually(lambda: [w["state"] for w in client.call("workers")] == ["idle"] * 4)


def test_a_job_sent_ahead_behind_a_long_one_runs_on_an_idle_worker(probe, gate):
    """Promise 7: no task waits behind a running one while another worker of its pool idles."""
    client = probe(workers=2).connect()
    for i in range(2000):  # so that tasks are known to be short, and workers are filled ahead
        client.request("apply", "demo.inc", [i])
    held = gate()
    slow = client.request("apply", "probe.hold", [held.path])
    msgids = [client.request("apply", "demo.inc", [i]) for i in range(2000)]
    assert [client.response(msgid) for msgid in msgids] == list(range(1, 2001))
    held.release()
    assert client.response(slow) is None

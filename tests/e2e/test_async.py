# SPDX-License-Identifier: MIT
"""apply_async, wait and result."""

import time

import pytest


@pytest.mark.memcheck
def test_the_job_id_comes_before_the_push_of_its_result(client):
    for _ in range(300):
        msgid = client.request("apply_async", "demo.inc", [1])
        first, second = client.receive(), client.receive()
        assert first[:3] == [1, msgid, None] and second[:2] == [2, "result"] and second[2][0] == first[3]


def test_the_push_has_job_error_value_and_meta(client):
    job = client.call("apply_async", "demo.inc", [41])
    pushed, error, value, meta = client.push("result")
    assert (pushed, error, value) == (job, None, 42)
    assert meta["pool"] == "default" and meta["function"] == "demo.inc"
    assert isinstance(meta["waited"], float) and isinstance(meta["ran"], float)
    assert 0 <= meta["waited"] < 60 and 0 <= meta["ran"] < 60


def test_a_function_knows_the_job_that_it_is_called_in(probe):
    client = probe().connect()
    job = client.call("apply_async", "probe.task", [])
    assert client.push("result")[:3] == [job, None, [job, 1]]
    job = client.call("map_async", "probe.task", [1, 2, 3])
    assert client.push("result")[:3] == [job, None, [[job, 1]] * 3]


def test_the_push_of_a_failed_job_has_its_error_with_the_job(client):
    job = client.call("apply_async", "demo.fail", ["no luck"])
    _, error, value, _ = client.push("result", lambda p: p[0] == job)
    assert error["code"] == "function-failed" and error["job"] == job and value is None


def test_a_result_is_pushed_once(client):
    job = client.call("apply_async", "demo.inc", [1])
    client.call("wait", job)
    pushed = [m for m in client.quiet() if m[:2] == [2, "result"]]
    assert [m[2][0] for m in pushed] == [job]


def test_the_push_tells_how_long_the_function_ran(client):
    client.call("apply_async", "demo.spin", [50])
    assert client.push("result")[3]["ran"] >= 0.045


def test_ten_thousand_results_are_all_pushed(client):
    msgids = {client.request("apply_async", "demo.inc", [i]): i for i in range(10000)}
    jobs = {client.response(msgid): i for msgid, i in msgids.items()}
    assert len(jobs) == 10000
    for _ in range(10000):
        job, error, value, _ = client.push("result")
        assert error is None and value == jobs.pop(job) + 1


def test_a_job_id_is_never_used_again_and_fits_a_double(client):
    jobs = [client.call("apply_async", "demo.inc", [i]) for i in range(100)]
    assert len(set(jobs)) == 100 and all(type(job) is int and 1 <= job < 2**53 for job in jobs)


def test_job_ids_of_two_daemons_start_at_different_places(daemon):
    ids = [daemon().connect().call("apply_async", "demo.inc", [1]) for _ in range(2)]
    assert abs(ids[0] - ids[1]) > 1000


@pytest.mark.memcheck
def test_wait_returns_the_value_any_number_of_times(client):
    job = client.call("apply_async", "demo.inc", [41])
    assert [client.call("wait", job) for _ in range(3)] == [42, 42, 42]
    assert client.call("result", job) == 42


def test_wait_fails_with_the_error_of_the_job(client):
    job = client.call("apply_async", "demo.fail", ["no luck"])
    for _ in range(2):
        error = client.error("wait", job)
        assert (error["code"], error["message"], error["job"]) == ("function-failed", "no luck", job)


def test_wait_without_seconds_waits_until_the_job_has_ended(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    waits = [client.request("wait", job), client.request("wait", job, None), client.request("wait", job, 1000)]
    held.await_held()
    assert not [m for m in client.quiet() if m[0] == 1 and m[1] in waits]
    held.release()
    assert [client.response(msgid) for msgid in waits] == [None] * 3


@pytest.mark.parametrize("method, seconds", [("wait", [0]), ("wait", [0.0]), ("result", [])])
def test_a_job_that_runs_is_not_ready(probe, gate, method, seconds):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    error = client.error(method, job, *seconds)
    assert (error["code"], error["state"], error["job"]) == ("not-ready", "running", job)
    held.release()


def test_a_job_that_waits_is_not_ready(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    job = client.call("apply_async", "demo.inc", [1])
    assert client.error("result", job)["state"] == "waiting"
    held.release()
    assert client.call("wait", job) == 2


def test_wait_ends_after_its_seconds(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    begin = time.monotonic()
    assert client.error("wait", job, 0.2)["code"] == "not-ready"
    assert 0.19 <= time.monotonic() - begin < 5
    held.release()
    assert client.call("wait", job) is None


def test_waits_end_in_the_order_of_their_seconds(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    msgids = [client.request("wait", job, seconds) for seconds in (0.3, 0.1, 0.2)]
    answered = [client.take(lambda m: m[0] == 1 and m[1] in msgids)[1] for _ in msgids]
    assert answered == [msgids[1], msgids[2], msgids[0]]
    held.release()


def test_another_connection_may_wait(probe, gate):
    server, held = probe(), gate()
    client, other = server.connect(), server.connect()
    job = client.call("apply_async", "probe.hold", [held.path])
    wait = other.request("wait", job)
    other.call("ping")
    held.release()
    assert other.response(wait) is None and other.call("result", job) is None


def test_only_the_submitter_is_pushed_the_result(daemon):
    server = daemon()
    client, other = server.connect(), server.connect()
    job = client.call("apply_async", "demo.inc", [1])
    other.call("wait", job)
    assert other.quiet() == []


def test_who_waits_may_vanish(probe, gate):
    server, held = probe(), gate()
    client, other = server.connect(), server.connect()
    job = client.call("apply_async", "probe.hold", [held.path])
    other.request("wait", job)
    other.call("ping")
    other.close()
    held.release()
    assert client.call("wait", job) is None


def test_an_apply_has_no_result_to_fetch(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    [job] = client.call("jobs")
    held.release()
    client.response(msgid)
    assert client.error("result", job["job"])["code"] == "no-such-job"


def test_the_result_of_a_large_value_is_kept_and_fetched(client):
    data = b"x" * (5 << 20)
    job = client.call("apply_async", "demo.echo", [data])
    assert client.push("result")[2] == data and client.call("wait", job) == data

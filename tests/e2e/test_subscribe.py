# SPDX-License-Identifier: MIT
"""subscribe, unsubscribe and the pushes that subscribers get."""

import os
import signal

import pytest


@pytest.fixture
def pair(daemon):
    """A daemon and two connections to it."""
    server = daemon()
    return server, server.connect(), server.connect()


@pytest.mark.memcheck
def test_a_subscriber_to_everything_gets_results_of_other_sessions(pair):
    _, client, other = pair
    other.call("subscribe", {})
    job = client.call("apply_async", "demo.inc", [41])
    pushed, error, value, meta = other.push("result")
    assert (pushed, error, value, meta["function"]) == (job, None, 42, "demo.inc")


def test_a_subscriber_gets_results_of_apply_and_map_too(pair):
    _, client, other = pair
    other.call("subscribe", {})
    client.call("apply", "demo.inc", [1])
    assert other.push("result")[2] == 2
    client.call("map", "demo.inc", [1, 2])
    assert other.push("result")[2] == [2, 3]


def test_a_subscriber_to_everything_gets_the_states_of_jobs(pair):
    _, client, other = pair
    other.call("subscribe", {})
    job = client.call("apply_async", "demo.inc", [41])
    states = []
    while "done" not in states:
        event = other.event("job", job=job)
        assert (event["pool"], event["function"]) == ("default", "demo.inc")
        states.append(event["state"])
    assert states in (["waiting", "running", "done"], ["running", "done"])


def test_a_subscriber_to_everything_gets_the_end_and_the_start_of_workers(pair):
    server, client, _ = pair
    client.call("subscribe", {})
    pid = min(server.worker_pids())
    os.kill(pid, signal.SIGKILL)
    exited = client.event("worker", state="exited")
    assert (exited["pid"], exited["signal"], exited["pool"]) == (pid, 9, "default")
    ready = client.event("worker", state="ready")
    assert ready["pid"] in server.worker_pids() and ready["worker"] == exited["worker"]


def test_a_subscriber_to_a_job_gets_its_result_alone(probe, gate):
    server, held = probe(), gate()
    client, other = server.connect(), server.connect()
    job = client.call("apply_async", "probe.hold", [held.path])
    other.call("subscribe", {"job": job})
    client.call("apply", "demo.inc", [1])
    assert not [m for m in other.quiet() if m[1] == "result"]
    held.release()
    assert other.push("result")[0] == job


def test_subscribing_to_a_job_that_has_ended_pushes_its_result_after_the_response(pair):
    _, client, other = pair
    job = client.call("apply_async", "demo.inc", [41])
    client.call("wait", job)
    msgid = other.request("subscribe", {"job": job})
    first, second = other.receive(), other.receive()
    assert first == [1, msgid, None, None]
    assert second[:2] == [2, "result"] and second[2][:3] == [job, None, 42]


def test_subscribing_to_a_job_that_failed_pushes_its_error(pair):
    _, client, other = pair
    job = client.call("apply_async", "demo.fail", ["no luck"])
    client.push("result")
    other.call("subscribe", {"job": job})
    assert other.push("result")[1]["message"] == "no luck"


def test_a_subscriber_to_a_pool_gets_that_pools_results_alone(daemon):
    server = daemon(workers=None, pools={n: {"modules": ["demo"], "workers": 1} for n in ("a", "b")})
    client, other = server.connect(), server.connect()
    other.call("subscribe", {"pool": "b"})
    for name in ("a", "b", "a", "b"):
        client.call("apply", "demo.inc", [1], {"pool": name})
    pushed = [m[2] for m in other.quiet() if m[1] == "result"]
    assert [meta["pool"] for *_, meta in pushed] == ["b", "b"]


def test_a_push_for_several_reasons_is_sent_once(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    client.call("subscribe", {})
    client.call("subscribe", {"pool": "default"})
    job = client.call("apply_async", "probe.hold", [held.path])
    client.call("subscribe", {"job": job})
    held.release()
    client.call("wait", job)
    assert len([m for m in client.quiet() if m[1] == "result"]) == 1


def test_a_subscription_may_be_repeated(pair):
    _, client, other = pair
    for _ in range(3):
        other.call("subscribe", {})
    client.call("apply", "demo.inc", [1])
    assert len([m for m in other.quiet() if m[1] == "result"]) == 1


def test_unsubscribe_ends_the_pushes(pair):
    _, client, other = pair
    other.call("subscribe", {})
    assert other.call("unsubscribe", {}) is True
    client.call("apply", "demo.inc", [1])
    assert other.quiet() == []
    assert other.call("unsubscribe", {}) is False


def test_unsubscribe_leaves_the_other_subscriptions(pair):
    _, client, other = pair
    other.call("subscribe", {})
    other.call("subscribe", {"pool": "default"})
    assert other.call("unsubscribe", {}) is True
    client.call("apply", "demo.inc", [1])
    assert other.push("result")[2] == 2
    assert other.call("unsubscribe", {"pool": "default"}) is True


def test_unsubscribe_does_not_touch_what_a_submitter_is_pushed(pair):
    _, client, _ = pair
    client.call("subscribe", {})
    client.call("unsubscribe", {})
    job = client.call("apply_async", "demo.inc", [1])
    assert client.push("result")[0] == job


def test_a_subscriber_that_reads_too_slowly_is_told_how_much_it_lost(daemon):
    server = daemon(limits={"output_bytes_session": 100000})
    client, slow = server.connect(), server.connect()
    slow.call("subscribe", {})
    for _ in range(200):
        client.call("apply", "demo.echo", [b"x" * 10000])
    slow.send(b"")
    results, lost = 0, 0
    slow.call("ping")
    client.call("apply", "demo.inc", [1])
    slow.push("result", lambda p: p[2] == 2)
    results = len([m for m in slow.inbox if m[:2] == [2, "result"]])
    lost = [m[2][0]["lost"] for m in slow.inbox if m[:2] == [2, "event"] and m[2][0]["event"] == "lost"]
    assert 0 < results < 200 and lost and all(n > 0 for n in lost)
    assert client.call("stats")["lost"] == sum(lost)


def test_the_submitters_own_results_are_never_dropped(daemon):
    client = daemon(limits={"output_bytes_session": 100000}).connect()
    client.call("subscribe", {})
    msgids = [client.request("apply_async", "demo.echo", [b"x" * 10000]) for _ in range(200)]
    jobs = {client.response(msgid) for msgid in msgids}
    for _ in range(200):
        jobs.remove(client.push("result", lambda p: p[0] in jobs)[0])
    assert not jobs

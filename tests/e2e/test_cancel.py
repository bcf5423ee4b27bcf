# SPDX-License-Identifier: MIT
"""cancel of what has not begun."""

import pytest


@pytest.fixture
def one_held(probe, gate):
    """A daemon with one worker, a connection, and a gate at which a job holds that worker."""
    server = probe(workers=1)
    client, held = server.connect(), gate()
    client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    return server, client, held


@pytest.mark.memcheck
def test_a_job_that_waits_is_cancelled_and_never_runs(one_held, marks):
    _, client, held = one_held
    job = client.call("apply_async", "probe.mark", [marks.path, "x"])
    assert client.call("cancel", job) == {"job": job, "cancelled": True, "state": "cancelled", "begun": 0}
    held.release()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert marks.read() == []


def test_the_submitter_is_pushed_that_a_job_was_cancelled(one_held):
    _, client, held = one_held
    job = client.call("apply_async", "demo.inc", [1])
    client.call("cancel", job)
    _, error, value, _ = client.push("result", lambda p: p[0] == job)
    assert (error["code"], error["job"], value) == ("cancelled", job, None)
    held.release()


def test_who_waits_is_told_that_the_job_was_cancelled(one_held):
    server, client, held = one_held
    job = client.call("apply_async", "demo.inc", [1])
    other = server.connect()
    wait = other.request("wait", job)
    other.call("ping")
    client.call("cancel", job)
    assert other.take(lambda m: m[1] == wait)[2]["code"] == "cancelled"
    assert client.error("wait", job)["code"] == "cancelled"
    held.release()


def test_a_cancelled_job_is_listed_as_such(one_held):
    _, client, held = one_held
    job = client.call("apply_async", "demo.inc", [1])
    client.call("cancel", job)
    row = client.call("job", job)
    assert row["state"] == "cancelled" and row["error"]["code"] == "cancelled"
    held.release()


def test_a_function_that_has_begun_is_not_cancelled(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    assert client.call("cancel", job) == {"job": job, "cancelled": False, "state": "running", "begun": 1}
    held.release()
    assert client.call("wait", job) is None


def test_a_job_that_has_ended_is_not_cancelled(client):
    job = client.call("apply_async", "demo.inc", [1])
    client.call("wait", job)
    assert client.call("cancel", job) == {"job": job, "cancelled": False, "state": "done", "begun": 1}
    assert client.call("wait", job) == 2


def test_a_job_that_failed_is_not_cancelled(client):
    job = client.call("apply_async", "demo.fail", ["no luck"])
    client.push("result")
    assert client.call("cancel", job)["state"] == "failed"


def test_a_cancelled_job_is_not_cancelled_again(one_held):
    _, client, held = one_held
    job = client.call("apply_async", "demo.inc", [1])
    assert [client.call("cancel", job)["cancelled"] for _ in range(2)] == [True, False]
    held.release()


def test_elements_of_a_cancelled_map_that_have_not_begun_never_do(probe, gate, marks):
    client, held = probe(workers=1).connect(), gate()
    items = [[held.path]] + [[marks.path, str(i)] for i in range(500)]
    job = client.call("map_async", "probe.hold_or_mark", items, {"star": True, "chunksize": 10})
    held.await_held()
    answer = client.call("cancel", job)
    assert (answer["cancelled"], answer["state"], answer["begun"]) == (True, "cancelled", 1)
    assert client.push("result")[1]["code"] == "cancelled"
    held.release()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert marks.read() == []


def test_the_values_of_a_cancelled_map_are_dropped(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    job = client.call("map_async", "probe.hold", [held.path, 1, 2], {"stream": True, "chunksize": 1})
    held.await_held()
    client.call("cancel", job)
    held.release()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert [m[1] for m in client.quiet()] == ["result"]


def test_a_cancelled_map_frees_its_worker_for_others(probe, gate):
    server, held = probe(workers=1), gate()
    client, other = server.connect(), server.connect()
    job = client.call("map_async", "probe.hold", [held.path, *range(100000)])
    held.await_held()
    msgid = other.request("apply", "demo.inc", [1])
    client.call("cancel", job)
    held.release()
    assert other.response(msgid) == 2


def test_an_apply_is_cancelled_by_its_msgid(one_held, marks):
    _, client, held = one_held
    msgid = client.request("apply", "probe.mark", [marks.path, "x"])
    answer = client.call("cancel", {"request": msgid})
    assert answer["cancelled"] is True and answer["begun"] == 0 and type(answer["job"]) is int
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "cancelled"
    held.release()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert marks.read() == []


def test_a_map_is_cancelled_by_its_msgid(one_held):
    _, client, held = one_held
    msgid = client.request("map", "demo.inc", [1, 2, 3])
    assert client.call("cancel", {"request": msgid})["cancelled"] is True
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "cancelled"
    held.release()


def test_the_newest_request_of_a_msgid_is_cancelled(one_held):
    _, client, held = one_held
    for value in (1, 2):
        client.request("apply", "demo.inc", [value], msgid=77)
    assert client.call("cancel", {"request": 77})["cancelled"] is True
    held.release()
    answers = [client.take(lambda m: m[0] == 1 and m[1] == 77) for _ in range(2)]
    assert answers[0][2]["code"] == "cancelled" and answers[1][3] == 2


def test_a_request_of_another_connection_is_not_cancelled(one_held):
    server, client, held = one_held
    client.request("apply", "demo.inc", [1], msgid=77)
    client.call("ping")
    assert server.connect().error("cancel", {"request": 77})["code"] == "no-such-job"
    held.release()
    assert client.response(77) == 2


def test_a_request_that_was_answered_is_not_cancelled(client):
    msgid = client.request("apply", "demo.inc", [1])
    client.response(msgid)
    assert client.error("cancel", {"request": msgid})["code"] == "no-such-job"


def test_apply_async_is_not_cancelled_by_its_msgid(one_held):
    _, client, held = one_held
    msgid = client.request("apply_async", "demo.inc", [1])
    client.response(msgid)
    assert client.error("cancel", {"request": msgid})["code"] == "no-such-job"
    held.release()


def test_many_waiting_jobs_are_cancelled_and_the_rest_runs(one_held):
    _, client, held = one_held
    jobs = [client.call("apply_async", "demo.inc", [i]) for i in range(300)]
    for job in jobs[::2]:
        assert client.call("cancel", job)["cancelled"] is True
    held.release()
    for i, job in enumerate(jobs):
        if i % 2:
            assert client.call("wait", job) == i + 1
        else:
            assert client.error("wait", job)["code"] == "cancelled"

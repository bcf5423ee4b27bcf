# SPDX-License-Identifier: MIT
"""cancel of what waits, and of what runs."""

import pytest
from procpoold import eventually
from rpc import RpcError


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
    assert client.call("cancel", job) == {"job": job, "cancelled": True, "state": "cancelled", "begun": 0, "running": 0}
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


def await_begun(marks, count=1):
    eventually(lambda: len(marks.read()) == count)


def await_idle(client):
    eventually(lambda: {w["state"] for w in client.call("workers")} == {"idle"})
    assert client.call("pools")[0]["restarts"] == 0


@pytest.mark.memcheck
def test_a_function_that_runs_is_cancelled_at_once_and_its_worker_stays(probe, marks):
    client = probe(workers=1).connect()
    job = client.call("apply_async", "probe.until_stopped", [marks.path, "x"])
    await_begun(marks)
    running = {"job": job, "cancelled": True, "state": "cancelled", "begun": 1, "running": 1}
    assert client.call("cancel", job) == running
    assert client.error("wait", job)["code"] == "cancelled"
    await_idle(client)


def test_an_apply_that_runs_is_cancelled_by_its_msgid(probe, marks):
    client = probe().connect()
    msgid = client.request("apply", "probe.until_stopped", [marks.path, "x"])
    await_begun(marks)
    answer = client.call("cancel", {"request": msgid})
    assert (answer["cancelled"], answer["begun"], answer["running"]) == (True, 1, 1)
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "cancelled"
    assert client.error("cancel", {"request": msgid})["code"] == "no-such-job"


def test_a_cancelled_function_that_does_not_stop_is_killed(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    [pid] = server.worker_pids()
    assert client.call("cancel", job)["running"] == 1
    assert client.call("workers")[0]["state"] == "halting"
    assert client.call("apply", "demo.pid", []) != pid
    assert client.call("job", job)["state"] == "cancelled"


def test_what_runs_of_a_cancelled_map_stops_in_every_worker(probe, marks):
    client = probe(workers=3).connect()
    items = [[marks.path, "x"]] * 6
    job = client.call("map_async", "probe.until_stopped", items, {"star": True, "chunksize": 1})
    await_begun(marks, 3)
    answer = client.call("cancel", job)
    assert (answer["begun"], answer["running"]) == (3, 3)
    assert client.call("map", "demo.inc", [1, 2, 3]) == [2, 3, 4]
    await_idle(client)


def test_what_runs_of_a_map_stops_when_an_element_has_failed(client):
    msgid = client.request("map", "demo.sleep", [60, "x"], {"chunksize": 1})
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["index"] == 1
    await_idle(client)


def test_what_runs_for_a_session_stops_with_it(probe, marks):
    server = probe()
    client = server.connect()
    client.request("apply", "probe.until_stopped", [marks.path, "x"])
    await_begun(marks)
    client.close()
    await_idle(server.connect())


def test_a_job_that_ends_while_it_is_cancelled_has_one_outcome(client):
    """Whichever comes first: the answer of cancel says it, and the job's outcome agrees."""
    said = set()
    for i in range(300):
        msgid = client.request("apply", "demo.spin", [i % 7 / 50])
        cancel = client.request("cancel", {"request": msgid})
        error = client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]
        try:
            cancelled = client.response(cancel)["cancelled"]
        except RpcError as e:
            assert e.code == "no-such-job"
            cancelled = False
        assert (error["code"] == "cancelled") if cancelled else error is None
        said.add(cancelled)
    assert client.quiet() == [] and True in said
    assert client.call("map", "demo.inc", list(range(100))) == list(range(1, 101))


def test_a_job_that_has_ended_is_not_cancelled(client):
    job = client.call("apply_async", "demo.inc", [1])
    client.call("wait", job)
    assert client.call("cancel", job) == {"job": job, "cancelled": False, "state": "done", "begun": 1, "running": 0}
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
    assert (answer["cancelled"], answer["state"], answer["begun"], answer["running"]) == (True, "cancelled", 1, 1)
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

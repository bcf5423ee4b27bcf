# SPDX-License-Identifier: MIT
"""What a running task tells of its progress, and to whom."""

import pytest
from procpoold import eventually


@pytest.mark.memcheck
def test_progress_reaches_the_subscribers_of_the_job_before_its_result(probe, gate):
    client, held = probe().connect(), gate()
    client.call("subscribe", {})
    job = client.call("apply_async", "probe.report", [held.path, 1, {"done": 2, "total": 3}])
    for value in 1, {"done": 2, "total": 3}:
        row = {"event": "progress", "job": job, "pool": "default", "function": "probe.report", "value": value}
        assert client.event("progress") == row
    held.release()
    client.push("result")
    assert not [m for m in client.quiet() if m[1] == "event" and m[2][0]["event"] == "progress"]


def test_who_has_not_subscribed_is_told_nothing(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.report", [held.path, 1])
    held.release()
    assert client.push("result")[0] == job
    assert client.quiet() == []


def test_progress_of_an_element_has_its_index(probe, gate):
    client, first, second = probe(workers=1).connect(), gate(), gate()
    items = [[first.path], [second.path, "x"]]
    job = client.call("map_async", "probe.report", items, {"star": True, "chunksize": 2})
    client.call("subscribe", {"job": job})
    first.release()
    event = client.event("progress")
    assert (event["job"], event["index"], event["value"]) == (job, 1, "x")
    second.release()


def test_the_row_of_a_running_job_has_its_progress(probe, gate):
    client, held = probe().connect(), gate()
    job = client.call("apply_async", "probe.report", [held.path, [1], [2]])
    held.await_held()
    eventually(lambda: client.call("job", job)["progress"] == [2])
    assert [row["progress"] for row in client.call("jobs")] == [[2]]
    held.release()
    client.push("result")
    assert client.call("job", job)["progress"] is None
    other = client.call("apply_async", "demo.inc", [1])
    assert client.call("job", other)["progress"] is None


def test_progress_is_not_told_to_other_users(probe, gate, as_root):
    server, held = probe(mode=0o666), gate()
    client, stranger = server.connect(1234), server.connect(1235)
    stranger.call("subscribe", {})
    client.call("apply_async", "probe.report", [held.path, "secret"])
    held.release()
    client.push("result")
    assert stranger.quiet() == []


def test_progress_of_a_cancelled_job_is_told_to_nobody(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    job = client.call("apply_async", "probe.hold_and_report", [held.path, "x"])
    held.await_held()
    client.call("cancel", job)
    client.call("subscribe", {})
    held.release()
    eventually(lambda: client.call("workers")[0]["state"] == "idle")
    assert not [m for m in client.quiet() if m[1] == "event" and m[2][0]["event"] == "progress"]

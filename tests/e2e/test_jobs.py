# SPDX-License-Identifier: MIT
"""job, jobs, detach and how long a finished job is kept."""

import os
import socket
import time

import pytest
from procpoold import eventually

KEYS = {"job", "pool", "function", "kind", "state", "uid", "client", "since", "submitted", "attempt", "worker",
        "tasks", "finished", "detached"}  # fmt: skip


@pytest.mark.memcheck
def test_a_running_job_is_shown_with_its_worker(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    row = client.call("job", job)
    assert KEYS <= row.keys() and "error" not in row
    assert (row["job"], row["pool"], row["function"], row["kind"]) == (job, "default", "probe.hold", "apply")
    assert (row["state"], row["uid"], row["attempt"]) == ("running", os.getuid(), 1)
    assert row["worker"] in server.worker_pids()
    assert (row["tasks"], row["finished"], row["detached"]) == (1, 0, False)
    # Both are reckoned from a steady clock, each at its own moment.
    assert time.time() - 60 < row["submitted"] < row["since"] + 0.1 < time.time() + 1
    held.release()


def test_a_waiting_job_is_shown_without_a_worker(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    row = client.call("job", client.call("apply_async", "demo.inc", [1]))
    assert (row["state"], row["worker"], row["finished"]) == ("waiting", None, 0)
    held.release()


def test_a_finished_job_is_shown_until_it_is_forgotten(client):
    job = client.call("apply_async", "demo.inc", [1])
    client.call("wait", job)
    row = client.call("job", job)
    assert (row["state"], row["worker"], row["tasks"], row["finished"]) == ("done", None, 1, 1)
    assert row["since"] > row["submitted"] - 0.001


def test_a_failed_job_is_shown_with_its_error(client):
    job = client.call("apply_async", "demo.fail", ["no luck"])
    client.push("result")
    row = client.call("job", job)
    assert row["state"] == "failed"
    assert (row["error"]["code"], row["error"]["message"]) == ("function-failed", "no luck")


def test_a_map_is_shown_with_its_tasks(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    job = client.call("map_async", "probe.hold", [0, 1, held.path, 3], {"chunksize": 1, "detach": True})
    held.await_held()
    row = eventually(lambda: (r := client.call("job", job))["finished"] == 2 and r)
    assert (row["kind"], row["state"], row["tasks"], row["detached"]) == ("map", "running", 4, True)
    held.release()
    client.call("wait", job)
    assert client.call("job", job)["finished"] == 4


def test_a_running_apply_is_listed_and_gone_when_answered(probe, gate):
    client, held = probe().connect(), gate()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    [row] = client.call("jobs")
    assert row["function"] == "probe.hold" and row["state"] == "running"
    held.release()
    client.response(msgid)
    assert client.call("jobs") == []


def test_jobs_are_listed_in_ascending_order_and_paged(client):
    jobs = sorted(client.call("apply_async", "demo.inc", [i]) for i in range(25))
    for job in jobs:
        client.call("wait", job)
    seen, after = [], 0
    while page := client.call("jobs", {"limit": 10, "after": after}):
        assert len(page) <= 10
        seen += [row["job"] for row in page]
        after = seen[-1]
    assert seen == jobs


def test_a_page_of_jobs_is_a_hundred_unless_said(client):
    client.call("wait", [client.call("apply_async", "demo.inc", [i]) for i in range(120)][-1])
    assert len(client.call("jobs")) == 100 and len(client.call("jobs", {"limit": 1000})) == 120


def test_jobs_are_filtered_by_state(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    done, failed, running, waiting = (
        client.call("apply_async", function, args)
        for function, args in (("demo.inc", [1]), ("demo.fail", ["x"]), ("probe.hold", [held.path]), ("demo.inc", [2]))
    )
    held.await_held()
    cancelled = client.call("apply_async", "demo.inc", [3])
    client.call("cancel", cancelled)
    states = {"done": done, "failed": failed, "running": running, "waiting": waiting, "cancelled": cancelled}
    for state, job in states.items():
        assert [row["job"] for row in client.call("jobs", {"state": state})] == [job], state
    held.release()


def test_jobs_are_filtered_by_pool(daemon):
    client = daemon(workers=None, pools={n: {"modules": ["demo"], "workers": 1} for n in ("a", "b")}).connect()
    jobs = {n: client.call("apply_async", "demo.inc", [1], {"pool": n}) for n in ("a", "b")}
    for name, job in jobs.items():
        assert [row["job"] for row in client.call("jobs", {"pool": name})] == [job]


# The end of a session


def test_what_a_session_left_waiting_is_cancelled(probe, gate, marks):
    server, held = probe(workers=1), gate()
    client, other = server.connect(), server.connect()
    other.request("apply", "probe.hold", [held.path])
    held.await_held()
    job = client.call("apply_async", "probe.mark", [marks.path, "x"])
    client.request("map", "probe.mark", [[marks.path, "y"]] * 10, {"star": True})
    client.call("ping")
    client.close()
    eventually(lambda: not other.call("jobs", {"state": "waiting"}))
    assert other.error("result", job)["code"] in ("cancelled", "no-such-job")
    held.release()
    assert other.call("apply", "demo.inc", [1]) == 2
    assert marks.read() == []


def test_a_half_close_ends_the_session_as_well(probe, gate, marks):
    server, held = probe(workers=1), gate()
    client, other = server.connect(), server.connect()
    other.request("apply", "probe.hold", [held.path])
    held.await_held()
    client.call("apply_async", "probe.mark", [marks.path, "x"])
    client.sock.shutdown(socket.SHUT_WR)
    client.closed()
    eventually(lambda: not other.call("jobs", {"state": "waiting"}))
    held.release()
    assert other.call("apply", "demo.inc", [1]) == 2
    assert marks.read() == []


def test_a_worker_is_free_again_when_its_vanished_clients_task_ends(probe, gate):
    server, held = probe(workers=1), gate()
    client, other = server.connect(), server.connect()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    client.close()
    msgid = other.request("apply", "demo.inc", [1])
    held.release()
    assert other.response(msgid) == 2


@pytest.mark.memcheck
def test_a_detached_job_outlives_its_session(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    job = client.call("apply_async", "probe.hold", [held.path], {"detach": True})
    held.await_held()
    client.close()
    other = server.connect()
    eventually(lambda: other.call("stats")["sessions"] == 1)
    assert other.call("job", job)["detached"] is True
    held.release()
    assert other.call("wait", job) is None


def test_a_detached_job_that_waits_outlives_its_session(probe, gate):
    server, held = probe(workers=1), gate()
    client, other = server.connect(), server.connect()
    other.request("apply", "probe.hold", [held.path])
    held.await_held()
    job = client.call("map_async", "demo.inc", [1, 2, 3], {"detach": True})
    client.close()
    eventually(lambda: other.call("stats")["sessions"] == 1)
    held.release()
    assert other.call("wait", job) == [2, 3, 4]


def test_a_finished_job_can_be_fetched_on_another_connection(daemon):
    server = daemon()
    client = server.connect()
    job = client.call("apply_async", "demo.inc", [41])
    client.push("result")
    client.close()
    assert server.connect().call("result", job) == 42


# Retention


def test_a_finished_job_is_forgotten_after_its_time(daemon):
    client = daemon(limits={"retained_seconds": 1}).connect()
    job = client.call("apply_async", "demo.inc", [1])
    client.push("result")
    begin = time.monotonic()
    assert client.call("result", job) == 2
    eventually(lambda: client.call("jobs") == [])
    assert time.monotonic() - begin > 0.9
    assert client.error("result", job)["code"] == "no-such-job"
    assert client.error("job", job)["code"] == "no-such-job"
    assert client.call("stats")["jobs"]["retained"] == 0


@pytest.mark.parametrize("whose", ["session", "user"])
def test_the_oldest_finished_jobs_are_forgotten_where_bytes_run_out(daemon, whose):
    client = daemon(limits={f"retained_bytes_{whose}": 100000}).connect()
    jobs = []
    for i in range(8):
        jobs.append(client.call("apply_async", "demo.echo", [bytes([i]) * 30000]))
        client.push("result")
    kept = [row["job"] for row in client.call("jobs")]
    assert kept == jobs[-len(kept) :] and 1 <= len(kept) <= 3
    assert client.call("result", jobs[-1]) == bytes([7]) * 30000
    assert client.error("result", jobs[0])["code"] == "no-such-job"


def test_bytes_kept_for_a_session_are_not_anothers(daemon):
    server = daemon(limits={"retained_bytes_session": 100000})
    first, second = server.connect(), server.connect()
    jobs = [c.call("apply_async", "demo.echo", [b"x" * 80000]) for c in (first, second)]
    assert [first.call("wait", job) for job in jobs] == [b"x" * 80000] * 2


def test_a_result_larger_than_what_may_be_kept_is_pushed_all_the_same(daemon):
    client = daemon(limits={"retained_bytes_session": 1000}).connect()
    job = client.call("apply_async", "demo.echo", [b"x" * 80000])
    assert client.push("result")[2] == b"x" * 80000
    assert client.error("result", job)["code"] == "no-such-job"

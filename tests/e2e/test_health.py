# SPDX-License-Identifier: MIT
"""Workers that are there and do nothing: they are found, and cost what ran in them and nothing else."""

import os
import pathlib
import signal

import pytest
from procpoold import await_end, eventually


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state_of(pid) == "T")


def holder(client):
    """The worker that stands at a gate."""
    [pid] = [row["pid"] for row in client.call("workers") if row["function"] == "probe.hold"]
    return pid


@pytest.mark.parametrize("workers", [1, 3])
def test_what_an_idle_worker_gets_that_is_stopped_runs_elsewhere(probe, marks, workers):
    server = probe(workers=workers)
    client = server.connect()
    client.call("apply", "probe.mark", [marks.path, "first"])
    [pid] = [row["pid"] for row in client.call("workers") if row["tasks"] == 1]
    stop(pid)
    msgids = [client.request("apply", "probe.mark", [marks.path, str(i)]) for i in range(100)]
    assert [client.response(msgid) for msgid in msgids] == [None] * 100
    assert sorted(marks.read()[1:], key=int) == [str(i) for i in range(100)]
    await_end([pid])
    assert pid not in server.await_workers(workers)


def test_a_worker_that_is_stopped_in_a_task_costs_only_that(probe, gate, marks):
    server, held = probe(workers=1), gate()
    client = server.connect()
    for i in range(100):
        client.call("apply", "probe.mark", [marks.path, "before"])
    lost = client.request("apply", "probe.hold", [held.path])
    msgids = [client.request("apply", "probe.mark", [marks.path, str(i)]) for i in range(100)]
    held.await_held()
    pid = holder(client)
    stop(pid)
    error = client.take(lambda m: m[0] == 1 and m[1] == lost)[2]
    assert (error["code"], error["signal"], error["pid"]) == ("worker-lost", signal.SIGKILL, pid)
    assert "it was stopped by a signal" in error["message"]
    assert [client.response(msgid) for msgid in msgids] == [None] * 100
    assert sorted(marks.read()[100:], key=int) == [str(i) for i in range(100)]
    assert f"(pid {pid}) was killed: it was stopped by a signal" in server.stderr()
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_worker_that_only_takes_long_is_left_alone(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    pid = holder(client)
    with pytest.raises(TimeoutError):
        client.receive(timeout=1.5)
    held.release()
    assert client.response(msgid) is None
    assert server.worker_pids() == {pid}


def test_a_stopped_worker_that_goes_on_in_time_is_left_alone(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    pid = holder(client)
    stop(pid)
    os.kill(pid, signal.SIGCONT)
    held.release()
    assert client.response(msgid) is None
    assert server.worker_pids() == {pid}

# SPDX-License-Identifier: MIT
"""A limit of memory for each worker: who is over it costs its task and nothing else, and is told so."""

import os
import signal

import pytest
from procpoold import PROBE, await_end

LIMIT = 400 << 20


@pytest.fixture
def limited(daemon):
    pool = {"modules": ["demo", PROBE], "workers": 2, "memory": LIMIT}
    return daemon(workers=None, pools={"p": pool})


def runs(client, function):
    return [row["pid"] for row in client.call("workers") if row["function"] == function]


def test_a_task_over_the_limit_of_memory_ends_with_how_much_it_was(limited, gate):
    client, held, other = limited.connect(), gate(), gate()
    kept = client.request("apply", "probe.hold", [other.path])
    other.await_held()
    before = limited.worker_pids()
    error = client.error("apply", "probe.hog", [LIMIT + (64 << 20), held.path])
    assert (error["code"], error["limit"]) == ("out-of-memory", LIMIT)
    assert error["rss"] > LIMIT and error["pid"] in before
    assert "and may use 400.0 MiB" in error["message"]
    await_end([error["pid"]])
    other.release()
    assert client.response(kept) is None
    assert client.call("map", "demo.inc", [1, 2, 3]) == [2, 3, 4]


def test_a_task_within_the_limit_of_memory_is_left_alone(limited, gate):
    client, held = limited.connect(), gate()
    msgid = client.request("apply", "probe.hog", [64 << 20, held.path])
    held.await_held()
    with pytest.raises(TimeoutError):
        client.receive(timeout=0.5)
    held.release()
    assert client.response(msgid) is None


def test_a_worker_killed_by_somebody_else_is_not_told_as_want_of_memory(limited, gate):
    client, held = limited.connect(), gate()
    msgid = client.request("apply", "probe.hog", [64 << 20, held.path])
    held.await_held()
    [pid] = runs(client, "probe.hog")
    os.kill(pid, signal.SIGKILL)
    error = client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]
    assert (error["code"], error["signal"]) == ("worker-lost", signal.SIGKILL)

# SPDX-License-Identifier: MIT
"""How many workers a pool has as load comes and goes, and their replacement while they serve."""

import pytest
from procpoold import PROBE, await_end, eventually


@pytest.fixture
def pool(daemon):
    """Starts a daemon with one pool of these settings: pool(workers_max=3)."""
    return lambda **settings: daemon(workers=None, pools={"p": {"modules": ["demo", PROBE], **settings}})


def row_of(client):
    [row] = client.call("pools")
    return row


def test_a_pool_grows_with_what_waits_and_shrinks_when_idle(pool, gate):
    server = pool(workers_min=1, workers_max=3, idle_seconds=0.2)
    client = server.connect()
    assert (row_of(client)["workers"], row_of(client)["target"]) == (1, 1)
    gates = [gate() for _ in range(4)]
    msgids = [client.request("apply", "probe.hold", [each.path]) for each in gates]
    for each in gates[:3]:
        each.await_held()
    row = row_of(client)
    assert (row["workers"], row["target"], row["running"], row["waiting"]) == (3, 3, 3, 1)
    before = server.worker_pids()
    for each in gates:
        each.release()
    assert [client.response(msgid) for msgid in msgids] == [None] * 4
    left = server.await_workers(1)
    await_end(before - left)
    assert row_of(client)["restarts"] == 0
    assert client.call("apply", "demo.inc", [1]) == 2


def test_workers_are_replaced_after_their_tasks_without_a_gap(pool):
    server = pool(workers=2, max_tasks=50)
    client = server.connect()
    before = server.worker_pids()
    client.call("subscribe", {"pool": "p"})
    for i in range(1000):
        assert client.call("apply", "demo.inc", [i]) == i + 1
    assert row_of(client)["workers"] == 2
    await_end(before)
    assert not server.worker_pids() & before
    assert row_of(client)["restarts"] == 0
    ended = client.event("worker", state="exited")
    assert ended["exit_status"] == 0


def test_a_worker_that_has_grown_large_is_replaced_and_finishes_its_task(pool, gate):
    server, held = pool(workers=1, max_rss=300 << 20), gate()
    client = server.connect()
    [pid] = server.worker_pids()
    msgid = client.request("apply", "probe.hog", [320 << 20, held.path])
    held.await_held()
    eventually(lambda: server.worker_pids() - {pid})
    assert client.call("apply", "demo.inc", [1]) == 2
    held.release()
    assert client.response(msgid) is None
    await_end([pid])
    assert row_of(client)["restarts"] == 0

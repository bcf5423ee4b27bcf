# SPDX-License-Identifier: MIT
"""What one user may see and use of another's. The kernel says who connects, so these need root."""

import contextlib
import os
import signal

import pytest
from rpc import DEADLINE, pack

pytestmark = pytest.mark.usefixtures("as_root")
ALICE, BOB = 64001, 64002


@pytest.fixture
def shared(probe):
    """A daemon on a socket that everyone may connect to."""
    return lambda **options: probe(mode=0o666, **options)


def test_jobs_of_another_user_are_not_visible(shared, gate):
    server, held = shared(), gate()
    alice, bob = server.connect(uid=ALICE), server.connect(uid=BOB)
    job = alice.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    assert bob.call("jobs") == []
    for method in ("job", "result", "wait", "cancel"):
        assert bob.error(method, job)["code"] == "no-such-job"
    assert bob.error("subscribe", {"job": job})["code"] == "no-such-job"
    held.release()
    assert alice.call("wait", job) is None


def test_jobs_of_another_connection_of_the_same_user_are_visible(shared):
    server = shared()
    alice, again = server.connect(uid=ALICE), server.connect(uid=ALICE)
    job = alice.call("apply_async", "demo.inc", [1])
    assert again.call("wait", job) == 2 and again.call("job", job)["uid"] == ALICE


def test_root_sees_the_jobs_of_all(shared):
    server = shared()
    alice, root = server.connect(uid=ALICE), server.connect()
    job = alice.call("apply_async", "demo.inc", [1])
    assert root.call("wait", job) == 2 and [row["job"] for row in root.call("jobs")] == [job]


def test_results_and_events_of_another_users_jobs_are_not_pushed(shared):
    server = shared()
    alice, bob, root = server.connect(uid=ALICE), server.connect(uid=BOB), server.connect()
    for each in (bob, root):
        each.call("subscribe", {})
        each.call("subscribe", {"pool": "default"})
    job = alice.call("apply_async", "demo.inc", [1])
    alice.call("wait", job)
    root.push("result", lambda p: p[0] == job)
    assert not [m for m in bob.quiet() if m[1] == "result" or m[2][0]["event"] == "job"]


def test_jobs_of_a_user_are_limited_for_that_user_alone(shared, gate):
    server, held = shared(workers=1, limits={"jobs_user": 2}), gate()
    alice, bob = server.connect(uid=ALICE), server.connect(uid=BOB)
    alice.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    alice.call("apply_async", "demo.inc", [1])
    error = alice.error("apply_async", "demo.inc", [1])
    assert (error["code"], error["limit"]) == ("busy", "jobs_user")
    msgid = bob.request("apply", "demo.inc", [1])
    held.release()
    assert bob.response(msgid) == 2


def test_connections_of_a_user_are_limited_for_that_user_alone(shared):
    server = shared(limits={"connections_user": 1})
    alice = server.connect(uid=ALICE)
    alice.call("ping")
    [[_, name, [error]]] = server.connect(uid=ALICE).closed()
    assert name == "error" and error["limit"] == "connections_user"
    assert server.connect(uid=BOB).call("ping") == "pong"


def test_the_share_goes_by_user_first(shared, gate, marks):
    """A user with eight connections gets no more of the pool than a user with one."""
    server, held = shared(workers=1), gate()
    alices = [server.connect(uid=ALICE) for _ in range(8)]
    bob = server.connect(uid=BOB)
    alices[0].request("apply", "probe.hold", [held.path])
    held.await_held()
    opts = {"star": True, "chunksize": 1}
    msgids = [alice.request("map", "probe.mark", [[marks.path, "a"]] * 1000, opts) for alice in alices]
    for alice in alices:
        alice.call("ping")
    msgid = bob.request("map", "probe.mark", [[marks.path, "b"]] * 1000, opts)
    bob.call("ping")
    held.release()
    bob.response(msgid)
    for alice, m in zip(alices, msgids):
        alice.response(m)
    order = marks.read()
    until_done = len(order) - order[::-1].index("b")
    assert until_done < 4500, f"bob was done after {until_done} of {len(order)} tasks"


def test_a_user_with_many_connections_gets_no_more_time_than_another(shared):
    """Requests that cost much, sent at once by many connections, delay another user's by a user's turn, not by theirs."""
    server = shared()
    flood, bob = [server.connect(uid=ALICE) for _ in range(200)], server.connect(uid=BOB)
    for each in (*flood, bob):
        each.call("ping")
    os.kill(server.pid, signal.SIGSTOP)
    for each in flood:
        each.sock.setblocking(True)
        each.sock.sendall(pack([0, 1, "functions", []]) * 400)
    msgid = bob.request("apply", "demo.inc", [1])
    os.kill(server.pid, signal.SIGCONT)
    assert bob.response(msgid) == 2
    served = 0
    for each in flood:
        each.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            served += len(each.sock.recv(1))
    assert served < len(flood) / 2
    # And all of them have their turn.
    for each in flood:
        each.sock.setblocking(True)
        each.sock.settimeout(DEADLINE)
        assert each.sock.recv(1)

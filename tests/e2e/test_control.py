# SPDX-License-Identifier: MIT
"""What an administrator does to pools and workers: scale, pause, resume, drain, kill."""

import os
import signal
import time

import pytest
from ppctl import Ppctl
from procpoold import await_end

METHODS = {"scale": ["default", 2], "pause": ["default"], "resume": ["default"], "drain": ["default"], "kill": [1]}
STRANGER = 64101


def row_of(client):
    [row] = client.call("pools")
    return row


def hold(client, gate):
    """A task that stands at a gate: its msgid and the gate."""
    held = gate()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    return msgid, held


def lost(client, msgid):
    return client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]


def test_scale_up_and_down(probe):
    server = probe(workers=2)
    client = server.connect()
    assert (row_of(client)["min"], row_of(client)["max"]) == (2, 2)
    assert client.call("scale", "default", 4) == {"pool": "default", "min": 4, "max": 4}
    many = server.await_workers(4)
    assert client.call("scale", "default", 1) == {"pool": "default", "min": 1, "max": 1}
    few = server.await_workers(1)
    await_end(many - few)
    row = row_of(client)
    assert (row["target"], row["min"], row["max"], row["restarts"]) == (1, 1, 1, 0)


def test_scaling_down_costs_no_task(probe, gate):
    server = probe(workers=3)
    client = server.connect()
    held = [hold(client, gate) for _ in range(3)]
    msgids = [client.request("apply", "demo.inc", [i]) for i in range(100)]
    client.call("scale", "default", 1)
    assert row_of(client)["workers"] == 1
    for _, each in held:
        each.release()
    assert [client.response(msgid) for msgid, _ in held] == [None] * 3
    assert [client.response(msgid) for msgid in msgids] == list(range(1, 101))
    server.await_workers(1)


def test_scale_makes_a_pool_dynamic(probe, gate):
    server = probe(workers=1)
    client = server.connect()
    assert client.call("scale", "default", {"max": 3}) == {"pool": "default", "min": 1, "max": 3}
    held = [hold(client, gate) for _ in range(3)]
    assert row_of(client)["workers"] == 3
    for msgid, each in held:
        each.release()
        client.response(msgid)
    assert client.call("scale", "default", {"min": 2, "max": 3}) == {"pool": "default", "min": 2, "max": 3}


def test_a_paused_pool_takes_jobs_and_begins_none_until_it_is_resumed(probe, gate):
    server = probe(workers=1)
    client, admin = server.connect(), server.connect()
    admin.call("subscribe", {"pool": "default"})
    running, held = hold(client, gate)
    assert admin.call("pause", "default") is None
    admin.event("pool", state="paused")
    msgids = [client.request("apply", "demo.inc", [i]) for i in range(10)]
    held.release()
    assert client.response(running) is None
    row = row_of(admin)
    assert (row["state"], row["waiting"], row["running"]) == ("paused", 10, 0)
    admin.call("resume", "default")
    assert [client.response(msgid) for msgid in msgids] == list(range(1, 11))
    assert row_of(admin)["state"] == "ready"


def test_a_drained_pool_refuses_jobs_until_it_is_resumed(probe, gate):
    server = probe(workers=1)
    client, admin = server.connect(), server.connect()
    running, held = hold(client, gate)
    waiting = client.request("apply", "demo.inc", [1])
    client.call("ping")
    error = admin.error("drain", "default", 0)
    assert error["code"] == "not-ready" and "1 tasks wait, 1 run" in error["message"]
    drain = admin.request("drain", "default")
    assert row_of(server.connect())["state"] == "draining"
    for options in ({}, {"pool": "default"}):
        error = client.error("apply", "demo.inc", [1], options)
        assert error["code"] == "pool-closed" and "until it is resumed" in error["message"]
    held.release()
    assert (client.response(running), client.response(waiting)) == (None, 2)
    assert admin.response(drain) is None
    assert admin.call("drain", "default", 0) is None
    assert client.error("apply", "demo.inc", [1])["code"] == "pool-closed"
    admin.call("resume", "default")
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_drain_tells_after_its_seconds_that_it_is_not_done(probe, gate):
    server = probe(workers=1)
    client, admin = server.connect(), server.connect()
    running, held = hold(client, gate)
    begin = time.monotonic()
    assert admin.error("drain", "default", 0.1)["code"] == "not-ready"
    assert time.monotonic() - begin > 0.09
    held.release()
    assert client.response(running) is None
    assert admin.call("drain", "default", 10) is None


def test_drains_go_with_their_session(probe, gate):
    server = probe(workers=1)
    client = server.connect()
    running, held = hold(client, gate)
    with server.connect() as gone:
        gone.request("drain", "default")
        gone.call("ping")
    held.release()
    assert client.response(running) is None
    assert row_of(client)["state"] == "draining"


def test_a_killed_worker_costs_what_it_ran_and_is_replaced(probe, gate):
    server = probe(workers=2)
    client, admin = server.connect(), server.connect()
    running, _ = hold(client, gate)
    [row] = [row for row in admin.call("workers") if row["function"] == "probe.hold"]
    assert admin.call("kill", row["pid"]) == {"pool": "default", "worker": row["worker"], "pid": row["pid"]}
    error = lost(client, running)
    assert (error["code"], error["signal"], error["pid"]) == ("worker-lost", signal.SIGKILL, row["pid"])
    assert "an administrator had it killed" in error["message"]
    assert row["pid"] not in server.await_workers(2)
    error = admin.error("kill", row["pid"])
    assert error["code"] == "bad-request" and str(row["pid"]) in error["message"]


@pytest.mark.parametrize("count", [0, -1, 4097, 2**64 - 1, 1.5, "3", None, True, [], [1], {"min": 3, "max": 2}, {"min": 0},
                                   {"max": 0}, {"max": 4097}, {"min": "1"}, {"most": 3}, {"min": 5000, "max": 5000}])
def test_scale_refuses_what_is_no_number_of_workers(client, count):
    before = row_of(client)
    assert client.error("scale", "default", count)["code"] == "bad-request"
    assert row_of(client) == before


def test_the_end_of_the_daemon_ends_what_was_paused_and_drained(probe, gate):
    server = probe(workers=1, config="grace_seconds = 1\n")
    client = server.connect()
    hold(client, gate)
    client.call("pause", "default")
    client.request("apply", "demo.inc", [1])
    client.request("drain", "default")
    client.call("ping")
    server.kill()
    assert server.await_exit() == 0


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("method", METHODS)
def test_only_the_administrator_may(daemon, method):
    server = daemon(mode=0o666)
    stranger = server.connect(uid=STRANGER)
    error = stranger.error(method, *METHODS[method])
    assert error["code"] == "denied" and method in error["message"]
    row = row_of(stranger)
    assert (row["state"], row["target"]) == ("ready", 2)


def test_ppctl_scales_pauses_drains_and_kills(probe):
    server = probe(workers=2)
    ppctl, client = Ppctl(server), server.connect()
    assert ppctl.output("scale", "default", 3) == ""
    assert row_of(client)["max"] == 3
    assert ppctl.output("scale", "default", "1-4") == ""
    assert (row_of(client)["min"], row_of(client)["max"]) == (1, 4)
    assert ppctl.json("scale", "default", 2) == {"pool": "default", "min": 2, "max": 2}
    assert ppctl.output("pause", "default") == ""
    assert row_of(client)["state"] == "paused"
    job = client.call("apply_async", "demo.inc", [1])
    status, told = ppctl.failure("drain", "-t", "0.1", "default")
    assert status == 4 and "1 tasks wait, 0 run" in told and "ppctl wait" not in told
    ppctl.output("resume", "default")
    assert client.call("wait", job) == 2
    assert ppctl.output("drain", "default") == ""
    assert row_of(client)["state"] == "draining"
    ppctl.output("resume", "default")
    pid = min(server.await_workers(2))
    assert ppctl.output("kill", pid) == ""
    await_end([pid])
    assert pid not in server.await_workers(2)


@pytest.mark.parametrize("args", [("scale", "default", "x"), ("scale", "default", "3-"), ("scale", "default", "-3"),
                                  ("scale", "default", "1-2-3"), ("scale", "default", ""), ("scale", "default"),
                                  ("scale", "default", "0"), ("scale", "default", "3-2"), ("kill", "me"), ("kill", "0"),
                                  ("kill", "1x"), ("kill", str(os.getpid())), ("pause", "nowhere"), ("drain",)])
def test_ppctl_says_what_is_wrong(daemon, args):
    status, told = Ppctl(daemon()).failure(*args)
    assert status == 2 and told.startswith("ppctl: ")

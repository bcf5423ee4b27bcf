# SPDX-License-Identifier: MIT
"""Workers: their number, their deaths, what they inherit, and that no task begins twice."""

import os
import pathlib
import signal

import pytest
from procpoold import await_end, children, descendants, eventually


def spawner_of(server):
    """The native runtime's first process: the daemon's child whose children are the workers."""
    [pid] = children(server.pid)
    return pid


@pytest.mark.memcheck
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_pool_has_as_many_workers_as_asked_for(daemon, count):
    server = daemon(workers=count)
    assert len(server.await_workers(count)) == count
    assert children(spawner_of(server)) == server.worker_pids()


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_pool_has_one_worker_more_than_the_daemon_has_processors(daemon, cpus):
    usable = sorted(os.sched_getaffinity(0))[:cpus]
    if len(usable) < cpus:
        pytest.skip(f"needs {cpus} processors")
    server = daemon(workers=None, setup=lambda: os.sched_setaffinity(0, usable))
    assert server.connect().call("pools")[0]["target"] == cpus + 1
    server.await_workers(cpus + 1)


@pytest.mark.memcheck
def test_a_killed_worker_fails_only_its_task(probe, gate):
    server, held = probe(workers=2), gate()
    client = server.connect()
    before = server.worker_pids()
    killed = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    others = [client.request("apply", "demo.inc", [i]) for i in range(200)]
    [pid] = [w["pid"] for w in client.call("workers") if w["function"] == "probe.hold"]
    os.kill(pid, signal.SIGKILL)
    error = client.take(lambda m: m[0] == 1 and m[1] == killed)[2]
    assert (error["code"], error["signal"], error["pid"]) == ("worker-lost", 9, pid)
    assert [client.response(msgid) for msgid in others] == list(range(1, 201))
    after = server.await_workers(2)
    assert pid not in after and len(after & before) == 1


def test_tasks_sent_ahead_to_a_killed_worker_run_elsewhere(probe, gate, marks):
    """One worker, held, with a queue behind it: killing it costs the held task and nothing else, once each."""
    server, held = probe(workers=1), gate()
    client = server.connect()
    for i in range(2000):
        client.request("apply", "demo.inc", [i])
    killed = client.request("apply", "probe.hold", [held.path])
    msgids = [client.request("apply", "probe.mark", [marks.path, str(i)]) for i in range(300)]
    held.await_held()
    [row] = client.call("workers")
    os.kill(row["pid"], signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == killed)[2]["code"] == "worker-lost"
    assert [client.response(msgid) for msgid in msgids] == [None] * 300
    assert sorted(marks.read(), key=int) == [str(i) for i in range(300)]


def test_an_idle_worker_that_is_killed_is_replaced(daemon):
    server = daemon(workers=2)
    client = server.connect()
    client.call("subscribe", {})
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    for _ in range(2):
        client.event("worker", state="ready")
    server.await_workers(2)
    assert client.call("map", "demo.inc", list(range(100))) == list(range(1, 101))


def test_workers_that_die_again_and_again_are_replaced_again_and_again(daemon):
    server = daemon(workers=2)
    client = server.connect()
    for _ in range(50):
        assert client.error("apply", "demo.crash", [9])["code"] == "worker-lost"
    server.await_workers(2)
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_killed_spawner_is_replaced(probe, gate):
    server, held = probe(workers=2), gate()
    client = server.connect()
    old, spawner = server.worker_pids(), spawner_of(server)
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    os.kill(spawner, signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "worker-lost"
    assert client.call("apply", "demo.inc", [1]) == 2
    await_end(old)
    assert not server.await_workers(2) & old


def test_waiting_jobs_outlive_the_death_of_the_whole_pool(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    msgids = [client.request("apply", "demo.inc", [i]) for i in range(100)]
    client.call("ping")
    for pid in descendants(server.pid):
        os.kill(pid, signal.SIGKILL)
    assert [client.response(msgid) for msgid in msgids] == list(range(1, 101))


def test_a_worker_inherits_no_descriptor_that_it_does_not_need(probe):
    """Standard input is /dev/null; its channel, its page, and nothing of the daemon's or of who started it."""
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        server = probe(workers=2)
    finally:
        os.close(inherited)
    server.connect().call("ping")
    for pid in server.worker_pids() | {spawner_of(server)}:
        links = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert links["0"] == "/dev/null"
        assert "/etc/passwd" not in links.values()
        channels = [fd for fd, link in links.items() if link.startswith("socket:")]
        assert len(channels) == 1, links
        assert not [link for link in links.values() if "eventpoll" in link or "pidfd" in link], links


def test_a_worker_lives_in_a_session_of_its_own(daemon):
    server = daemon()
    for pid in server.worker_pids():
        assert os.getsid(pid) == pid


def test_a_worker_does_not_see_the_sockets_handed_to_the_daemon(probe):
    client = probe().connect()
    for name in ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"):
        assert client.call("apply", "probe.environment", [name]) is None


def test_what_a_function_prints_goes_to_the_log_and_harms_nothing(probe):
    server = probe()
    client = server.connect()
    client.call("apply", "probe.print", ["hello from a worker"])
    eventually(lambda: "hello from a worker" in server.stderr())
    assert client.call("apply", "demo.inc", [1]) == 2


def test_workers_end_with_a_daemon_that_was_killed(daemon):
    server = daemon(workers=4)
    server.connect().call("ping")
    family = descendants(server.pid)
    assert len(family) == 5
    server.expected_status = -signal.SIGKILL
    server.kill(signal.SIGKILL)
    server.await_exit()
    await_end(family)


def test_a_worker_that_runs_ends_with_a_daemon_that_was_killed(probe, gate):
    server, held = probe(workers=1), gate()
    server.connect().request("apply", "probe.hold", [held.path])
    held.await_held()
    server.connect().request("apply", "demo.spin", [3600000])
    family = descendants(server.pid)
    server.expected_status = -signal.SIGKILL
    server.kill(signal.SIGKILL)
    server.await_exit()
    await_end(family)


def test_the_daemon_never_loads_user_code(probe):
    server = probe()
    maps = pathlib.Path(f"/proc/{server.pid}/maps").read_text()
    assert "demo.so" not in maps and "probe.so" not in maps
    assert "probe.so" in pathlib.Path(f"/proc/{min(server.worker_pids())}/maps").read_text()

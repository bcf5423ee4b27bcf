# SPDX-License-Identifier: MIT
"""Descriptors and processes run out. The daemon goes on with what it has, and takes up the rest when it can."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest
from procpoold import children, eventually
from rpc import Client, Closed

SOMEBODY = 64100  # a user without processes of its own, whom RLIMIT_NPROC binds
NAMES = {"nofile": "Max open files", "nproc": "Max processes"}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def workers_of(client):
    return {row["pid"] for row in client.call("workers")}


def user_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])


@contextlib.contextmanager
def limit(pid, what, soft):
    """Lowers a limit of a process for a while, as its user: not even root may always do that to another's."""
    user = user_of(pid)

    def set_to(value):
        command = ["prlimit", f"--pid={pid}", f"--{what}={value}:"]
        subprocess.run(command, user=user, group=user, check=value == soft, stderr=subprocess.PIPE)

    with open(f"/proc/{pid}/limits") as limits:
        [line] = [line for line in limits if line.startswith(NAMES[what])]
    before = line[len(NAMES[what]) :].split()[0]
    set_to(soft)
    try:
        yield
    finally:
        set_to(before)


def test_clients_are_served_although_descriptors_ran_out(daemon):
    server = daemon()
    client = server.connect()
    client.call("ping")
    with limit(server.pid, "nofile", descriptors(server.pid) + 3):
        crowd = [server.connect() for _ in range(20)]
        assert [client.call("apply", "demo.inc", [i]) for i in range(100)] == list(range(1, 101))
    assert client.call("ping") == "pong"
    for each in crowd:
        each.close()
    assert server.connect().call("ping") == "pong"


def is_served(client):
    try:
        return client.call("ping") == "pong"
    except (Closed, OSError):
        return False


def test_connections_without_a_descriptor_are_refused_at_once_and_later_ones_served(daemon):
    server = daemon()
    client = server.connect()
    client.call("ping")
    with limit(server.pid, "nofile", descriptors(server.pid) + 3):
        crowd = [server.connect() for _ in range(12)]
        served = [each for each in crowd if is_served(each)]
        assert 0 < len(served) < 12
        served.pop().close()
        eventually(lambda: client.call("stats")["sessions"] == 1 + len(served))
        assert is_served(server.connect()) and not is_served(server.connect())


def test_a_daemon_out_of_descriptors_does_not_spin(daemon):
    server = daemon()
    client = server.connect()
    client.call("ping")
    with limit(server.pid, "nofile", descriptors(server.pid)):
        server.connect()
        before = cpu_seconds(server.pid)
        with pytest.raises(TimeoutError):
            client.receive(timeout=1)
        assert cpu_seconds(server.pid) - before < 0.5


def test_a_worker_that_died_without_descriptors_left_is_replaced_when_there_are_some(daemon):
    server = daemon(workers=2)
    client = server.connect()
    client.call("ping")
    with limit(server.pid, "nofile", 3):
        os.kill(min(workers_of(client)), signal.SIGKILL)
        assert [client.call("apply", "demo.inc", [i]) for i in range(50)] == list(range(1, 51))
    eventually(lambda: len([w for w in client.call("workers") if w["state"] == "idle"]) == 2)


@pytest.fixture
def somebody(daemon, as_root):
    """A daemon of a user whom RLIMIT_NPROC binds, as it does not bind root."""
    return daemon(workers=2, user=SOMEBODY)


def test_a_pool_that_cannot_fork_serves_with_what_is_left_and_recovers(somebody):
    with Client(somebody.path) as client:
        [spawner] = children(somebody.pid)
        with limit(spawner, "nproc", 1):
            os.kill(min(workers_of(client)), signal.SIGKILL)
            assert [client.call("apply", "demo.inc", [i]) for i in range(50)] == list(range(1, 51))
            eventually(lambda: len(workers_of(client)) >= 1 and client.call("pools")[0]["workers"] == 1)
            before, begin = cpu_seconds(somebody.pid) + cpu_seconds(spawner), time.monotonic()
            with pytest.raises(TimeoutError):
                client.receive(timeout=1)
            if spawner in children(somebody.pid):
                spent = cpu_seconds(somebody.pid) + cpu_seconds(spawner) - before
                assert spent < 0.5 * (time.monotonic() - begin), "it forks without a pause"
        eventually(lambda: client.call("pools")[0]["workers"] == 2)
        assert client.call("map", "demo.inc", list(range(100))) == list(range(1, 101))


def test_a_pool_that_cannot_fork_at_all_takes_jobs_and_runs_them_later(somebody):
    with Client(somebody.path) as client:
        [spawner] = children(somebody.pid)
        with limit(spawner, "nproc", 1):
            for pid in workers_of(client):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: client.call("pools")[0]["workers"] == 0)
            msgid = client.request("apply", "demo.inc", [41])
            assert client.call("ping") == "pong"
        assert client.response(msgid) == 42

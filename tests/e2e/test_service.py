# SPDX-License-Identifier: MIT
"""What a service manager is told, and what it passes. tests/systemd holds the same against a real one."""

import os
import pathlib
import signal
import time

import pytest
from procpoold import BUILD, PROBE, eventually
from service_manager import Service


@pytest.fixture
def service():
    """Starts services, without waiting for them: service(watchdog_seconds=1, workers=1)."""
    started = []

    def make(**options):
        started.append(Service(**options))
        return started[-1]

    yield make
    for each in started:
        each.finish()


# Readiness and the line


@pytest.mark.memcheck
def test_it_is_ready_when_its_pools_are_and_tells_how_it_is(service):
    server = service(workers=2)
    ready = server.hear("READY")
    assert server.told[ready][1] == {"READY": "1", "STATUS": "1 pool, 2 workers ready, 0 running, 0 waiting"}
    assert len(server.worker_pids()) == 2


def test_a_manager_without_a_file_is_told_too(service):
    service(abstract=True).hear("READY")


def test_a_pool_that_fails_does_not_keep_it_from_being_ready(service):
    server = service(pools={"good": {"modules": ["demo"]}, "fonts": {"modules": ["no_such_module"]}})
    ready = server.hear("READY")
    assert server.told[ready][1]["STATUS"].startswith("2 pools, 2 workers ready, 0 running, 0 waiting; pool fonts fails: ")
    assert "no_such_module" in server.line()


def test_while_a_pool_loads_it_asks_for_time_and_says_for_which(service, gate):
    held = gate()
    runtime = ["/bin/sh", "-c", f"read line < {held.path}; exit 1"]
    server = service(pools={"good": {"modules": ["demo"]}, "slow": {"runtime": runtime}})
    held.await_held()
    second = server.hear("EXTEND_TIMEOUT_USEC", after=1 + server.hear("EXTEND_TIMEOUT_USEC"))
    assert 2e6 <= int(server.told[second][1]["EXTEND_TIMEOUT_USEC"]) <= 60e6
    assert server.line() == "Starting: 1 of 2 pools ready, pool slow loads"
    assert not server.all("READY")
    # Nor does it keep others waiting for ever.
    client = server.connect()
    assert client.call("apply", "demo.inc", [1]) == 2
    error = client.error("apply", "fonts.measure", ["a"])
    assert error["code"] == "not-ready" and "pool slow is still loading" in error["message"]
    assert not server.all("READY")
    held.release()
    server.hear("READY")
    assert server.hears_nothing_of("EXTEND_TIMEOUT_USEC", 1.5)


def test_the_line_follows_what_runs_at_most_once_a_second(service):
    server = service(workers=1)
    server.hear("READY")
    begun, client = time.monotonic(), server.connect()
    msgid = client.request("apply", "demo.sleep", [1.2])
    server.hear("STATUS", lambda line: line == "1 pool, 1 worker ready, 1 running, 0 waiting")
    client.request("apply", "demo.inc", [1])
    client.response(msgid)
    for _ in range(200):
        client.call("apply", "demo.inc", [1])
    server.hear("STATUS", lambda line: "0 running" in line, after=len(server.told) - 1)
    # The first comes with READY.
    assert len(server.all("STATUS")) <= 2 + time.monotonic() - begun, server.told


@pytest.mark.plain
def test_short_calls_are_not_told_and_cost_one_wakeup_at_most(service):
    server = service(workers=1)
    server.hear("READY")
    client = server.connect()
    client.call("apply", "demo.inc", [1])
    assert server.hears_nothing_of("STATUS", 1.5)


def test_the_line_tells_of_a_pool_that_was_paused(service):
    server = service()
    server.hear("READY")
    server.connect().call("pause", "default")
    server.hear("STATUS", lambda line: line.endswith("; pool default is paused"))


def test_a_manager_that_does_not_read_delays_nobody(service):
    server = service(deaf=True)
    client = server.connect()
    assert client.call("apply", "demo.inc", [1]) == 2
    # As soon as there is room, it learns what it must.
    server.read()
    server.hear("READY")


def test_a_reload_asks_for_time_while_a_pool_loads(service, gate):
    held, good = gate(), {"good": {"modules": ["demo"]}}
    server = service(pools=good)
    ready = server.hear("READY")
    server.configure(good | {"slow": {"runtime": ["/bin/sh", "-c", f"read line < {held.path}; exit 1"]}})
    server.kill(signal.SIGHUP)
    reloading = server.hear("RELOADING", after=ready + 1)
    assert set(server.told[reloading][1]) == {"RELOADING", "MONOTONIC_USEC", "STATUS"}
    held.await_held()
    server.hear("EXTEND_TIMEOUT_USEC", after=reloading)
    assert server.line() == "Reloading the configuration" and len(server.all("READY")) == 1
    held.release()
    again = server.hear("READY", after=reloading)
    assert "pool slow fails" in server.told[again][1]["STATUS"]


# The end


@pytest.mark.memcheck
def test_while_it_drains_it_asks_for_time_and_tells_how_much(service, gate):
    server, held = service(workers=1, modules=[PROBE], config="grace_seconds = 3\n"), gate()
    server.hear("READY")
    server.connect().request("apply", "probe.hold", [held.path])
    held.await_held()
    server.kill()
    stopping = server.hear("STOPPING")
    assert set(server.told[stopping][1]) == {"STOPPING", "EXTEND_TIMEOUT_USEC", "STATUS"}
    assert server.line() == "Ending: 1 running, which may take 3 s"
    server.hear("STATUS", lambda line: line in ("Ending: 1 running, which may take 2 s", "Ending: 1 running, which may take 1 s"))
    assert len(server.all("EXTEND_TIMEOUT_USEC")) >= 2
    assert server.await_exit() == 0


def test_it_asks_for_no_more_time_when_the_grace_is_over(service):
    runtime = ["/usr/bin/python3", "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    server = service(pools={"stubborn": {"runtime": runtime}}, config="grace_seconds = 1\n")
    server.hear("EXTEND_TIMEOUT_USEC")
    server.kill()
    server.hear("STOPPING")
    server.await_exit()
    begun = server.all("STOPPING")[0][0]
    assert all(moment - begun < 2.5 for moment, _ in server.all("EXTEND_TIMEOUT_USEC")), server.told


# The watchdog


def test_the_watchdog_is_fed_twice_as_often_as_it_must_be(service):
    server = service(watchdog_seconds=1)
    place = 0
    for _ in range(5):
        place = server.hear("WATCHDOG", timeout=5, after=place) + 1
    moments = [moment for moment, _ in server.all("WATCHDOG")]
    assert 0.4 < (moments[-1] - moments[0]) / (len(moments) - 1) < 0.8, moments


def test_a_busy_daemon_feeds_it_as_often(service):
    server = service(watchdog_seconds=1)
    client = server.connect()
    while len(server.all("WATCHDOG")) < 5:
        assert client.call("apply", "demo.inc", [1]) == 2
    moments = [moment for moment, _ in server.all("WATCHDOG")]
    assert (moments[-1] - moments[0]) / (len(moments) - 1) < 0.8, moments


def test_a_sign_of_life_that_finds_no_room_follows_as_soon_as_there_is_some(service):
    daemon = service(deaf=True, watchdog_seconds=1)
    client = daemon.connect()
    eventually(lambda: client.call("stats")["uptime"] > 0.75)  # it was due at 0.5, and will be at 1
    told = daemon.hear("READY")
    assert "WATCHDOG" in daemon.told[told][1]


def test_another_process_is_left_to_feed_its_own_watchdog(service):
    server = service(watchdog_seconds=0.2, watchdog_pid=1)
    server.hear("READY")
    assert server.hears_nothing_of("WATCHDOG", 0.5)


def test_a_stopped_daemon_does_not_feed_the_watchdog(service):
    server = service(watchdog_seconds=0.4)
    server.hear("READY")
    server.hear("WATCHDOG")
    server.kill(signal.SIGSTOP)
    # The last, where one was under way when it stopped.
    server.hears_nothing_of("WATCHDOG", 0.3)
    try:
        assert server.hears_nothing_of("WATCHDOG", 1)
    finally:
        server.kill(signal.SIGCONT)
    server.hear("WATCHDOG", after=len(server.told))


@pytest.mark.plain
def test_a_callback_that_does_not_return_starves_the_watchdog(service, tmp_path):
    stuck = tmp_path / "stuck"
    env = {"LD_PRELOAD": f"{BUILD}/tests/e2e/stuck_shim.so", "PROCPOOL_TEST_STUCK": str(stuck)}
    server = service(watchdog_seconds=0.4, env=env)
    server.hear("READY")
    server.hear("WATCHDOG")
    stuck.touch()
    client = server.connect()
    # The last, where one was under way when it got stuck.
    server.hears_nothing_of("WATCHDOG", 0.3)
    assert server.hears_nothing_of("WATCHDOG", 1)
    stuck.unlink()
    assert client.call("ping") == "pong"
    server.hear("WATCHDOG", after=len(server.told))


# Sockets


@pytest.mark.parametrize("name", ["procpoold", "procpoold.socket", "unknown"])
def test_a_socket_is_taken_by_its_name(service, name):
    server = service(names=name)
    server.hear("READY")
    assert server.connect().call("ping") == "pong"


def test_a_socket_of_another_name_is_refused_with_what_to_do(service):
    server = service(names="web")
    server.expected_status = 1
    assert server.await_exit() == 1
    assert "descriptor web" in server.stderr() and "FileDescriptorName=procpoold" in server.stderr()


def test_workers_are_told_nothing_of_the_service_manager(service):
    server = service(modules=["demo"], watchdog_seconds=5)
    server.hear("READY")
    for pid in server.worker_pids():
        names = {entry.partition(b"=")[0] for entry in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        assert not names & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID", b"LISTEN_FDS", b"LISTEN_FDNAMES"}
        assert not [fd for fd in os.listdir(f"/proc/{pid}/fd") if "notify" in os.readlink(f"/proc/{pid}/fd/{fd}")]

# SPDX-License-Identifier: MIT
"""The daemon's life: its socket, its start, its end, its command line."""

import contextlib
import os
import pathlib
import signal
import stat
import subprocess

import pytest
from procpoold import children, descendants, devenv, eventually, find
from rpc import DEADLINE, Closed


def run(*args):
    """Runs procpoold for what ends at once."""
    return subprocess.run([find("procpoold"), *args], env=devenv(), capture_output=True, text=True, timeout=DEADLINE)


# The socket


# Root's daemon tells everybody whom to ask.
OWN_MODE = 0o666 if os.getuid() == 0 else 0o600


@pytest.mark.memcheck
def test_the_daemon_makes_its_socket_and_removes_it(daemon):
    server = daemon(listen=False)
    assert stat.S_IMODE(server.path.stat().st_mode) == OWN_MODE and stat.S_ISSOCK(server.path.stat().st_mode)
    assert server.connect().call("ping") == "pong"
    server.kill()
    assert server.await_exit() == 0 and not server.path.exists()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_users_socket_is_for_that_user_alone_whatever_the_umask(daemon, as_root, umask):
    server = daemon(listen=False, user=64200, setup=lambda: os.umask(umask))
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    with pytest.raises(PermissionError):
        server.connect(uid=64201)


@pytest.mark.parametrize("where", ["in general", "in a pool"])
def test_a_users_socket_is_for_others_where_they_have_rights(daemon, as_root, where):
    access = {"access": {"call": ["64201"]}}
    options = access if where == "in general" else {"access": {}, "pools": {"demo": {"modules": ["demo"], **access}}}
    server = daemon(listen=False, user=64200, setup=lambda: os.umask(0o077), **options)
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o666
    assert server.connect(uid=64201).call("apply", "demo.inc", [1]) == 2


def test_a_socket_that_was_handed_over_is_left_where_it_is(daemon):
    server = daemon()
    server.kill()
    assert server.await_exit() == 0 and server.path.exists()


def test_a_second_daemon_refuses_a_live_socket_and_says_so(daemon, start):
    server = daemon(listen=False)
    second = run("--socket", str(server.path))
    assert second.returncode != 0 and str(server.path) in second.stderr
    assert server.connect().call("ping") == "pong"


def test_a_second_daemon_refuses_the_live_socket_of_one_that_was_handed_over(daemon):
    server = daemon()
    assert run("--socket", str(server.path)).returncode != 0
    assert server.connect().call("ping") == "pong"


def test_a_stale_socket_file_is_replaced(start):
    server = start(listen=False, stale=True).await_ready()
    assert server.connect().call("ping") == "pong"


def test_the_socket_of_a_daemon_that_was_killed_is_replaced(daemon):
    first = daemon(listen=False)
    first.expected_status = -signal.SIGKILL
    first.kill(signal.SIGKILL)
    first.await_exit()
    assert first.path.exists()
    second = subprocess.Popen([find("procpoold"), "--socket", str(first.path)], env=devenv(), stderr=subprocess.DEVNULL)
    try:
        def answers():
            with contextlib.suppress(OSError), first.connect() as client:
                return client.call("ping") == "pong"
        eventually(answers)
    finally:
        second.terminate()
        assert second.wait(DEADLINE) == 0
    assert not first.path.exists()


def test_a_file_that_is_no_socket_is_never_replaced(tmp_path):
    file = tmp_path / "precious"
    file.write_text("precious")
    assert run("--socket", str(file)).returncode != 0
    assert file.read_text() == "precious"


def test_a_directory_that_is_not_there_is_a_clear_error():
    ended = run("--socket", "/no/such/directory/socket")
    assert ended.returncode != 0 and "/no/such/directory" in ended.stderr


def test_a_path_longer_than_a_socket_can_have_is_a_clear_error(tmp_path):
    assert run("--socket", str(tmp_path / ("x" * 120))).returncode not in (0, -signal.SIGABRT)


def test_clients_that_came_before_the_daemon_was_ready_are_served(start):
    server = start()
    client = server.connect()
    assert client.call("apply", "demo.inc", [1]) == 2


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_ends_at_once_with_success(daemon, number):
    server = daemon()
    server.connect().call("ping")
    server.kill(number)
    assert server.await_exit(timeout=DEADLINE / 2) == 0


@pytest.mark.memcheck
def test_what_runs_is_finished_before_the_end(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    server.kill()
    server.await_notification("STOPPING=1")
    held.release()
    assert client.response(msgid) is None
    assert server.await_exit() == 0


def test_what_waits_at_the_end_is_told_so(probe, gate, marks):
    server, held = probe(workers=1), gate()
    client = server.connect()
    running = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    waiting = client.request("apply", "probe.mark", [marks.path, "x"])
    job = client.call("apply_async", "probe.mark", [marks.path, "y"])
    server.kill()
    server.await_notification("STOPPING=1")
    assert client.take(lambda m: m[0] == 1 and m[1] == waiting)[2]["code"] == "shutting-down"
    assert client.push("result", lambda p: p[0] == job)[1]["code"] == "shutting-down"
    held.release()
    assert client.response(running) is None
    assert server.await_exit() == 0 and marks.read() == []


def test_nothing_new_is_taken_at_the_end(probe, gate):
    server, held = probe(), gate()
    client = server.connect()
    running = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    server.kill()
    server.await_notification("STOPPING=1")
    for method, args in (("apply", [1]), ("apply_async", [1]), ("map", [1]), ("map_async", [1])):
        assert client.error(method, "demo.inc", args)["code"] == "shutting-down"
    held.release()
    assert client.response(running) is None


def test_a_function_that_does_not_end_is_killed_after_the_grace_period(probe, gate):
    server, held = probe(config="grace_seconds = 1\n"), gate()
    client = server.connect()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    server.kill()
    try:
        error = client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]
    except Closed:
        error = None
    assert error is None or error["code"] in ("worker-lost", "shutting-down")
    assert server.await_exit() == 0


def test_a_daemon_without_jobs_ends_in_spite_of_its_connections(daemon):
    server = daemon()
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.call("ping")
        client.send(b"\x94\x00")
    server.kill()
    assert server.await_exit() == 0


def test_a_daemon_ends_while_its_pool_cannot_start(start):
    server = start(workers=1, modules=["no_such_module"])
    client = server.connect()
    eventually(lambda: client.call("pools")[0]["state"] == "failing")
    server.kill()
    assert server.await_exit() == 0


def test_a_daemon_ends_while_its_workers_are_killed(daemon):
    server = daemon(workers=4)
    family = descendants(server.pid)
    server.kill()
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert server.await_exit() == 0


def test_hangup_and_broken_pipes_do_not_end_the_daemon(daemon):
    server = daemon()
    server.kill(signal.SIGPIPE)
    client = server.connect()
    client.send(b"".join(b"\x94\x00\x01\xa7workers\x90" for _ in range(2000)))
    client.close()
    assert server.connect().call("ping") == "pong"


# Idle


@pytest.mark.plain
def test_an_idle_daemon_does_not_wake_up(daemon):
    server = daemon()
    client = server.connect()
    client.call("apply", "demo.inc", [1])

    def wakeups():
        status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("voluntary_ctxt")).split()[1])

    def asleep_for_a_second():
        before = wakeups()
        with pytest.raises(TimeoutError):
            client.receive(timeout=1)
        return wakeups() == before

    eventually(asleep_for_a_second, timeout=8)


def private_kib(server):
    rollup = pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))


@pytest.mark.plain
def test_an_idle_daemon_takes_at_most_four_mebibytes(daemon):
    server = daemon()
    server.connect().call("map", "demo.inc", list(range(1000)))
    private = private_kib(server)
    assert private <= 4096, f"{private} KiB"


@pytest.mark.plain
def test_the_memory_of_results_that_are_forgotten_is_given_back(daemon):
    server = daemon(limits={"retained_seconds": 3})
    client = server.connect()
    for _ in range(5000):
        client.request("apply_async", "demo.echo", [b"x" * 3000])
    eventually(lambda: client.call("stats")["jobs"]["done"] == 5000)
    # Nobody says anything meanwhile.
    eventually(lambda: private_kib(server) <= 4096)


# The command line and the configuration


@pytest.mark.parametrize("args", [["--nonsense"], ["--workers", "0"], ["--workers", "x"], ["--workers", "-1"],
                                  ["--workers"], ["--log-level", "loud"], ["surplus"]])  # fmt: skip
def test_a_wrong_command_line_is_refused_with_usage(args):
    ended = run(*args)
    assert ended.returncode == 2 and ended.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_are_told(option):
    ended = run(option)
    assert ended.returncode == 0 and "procpoold" in ended.stdout


@pytest.mark.parametrize("text, named", [
    ("nonsense = 1\n", "nonsense"),
    ("workers = many\n", "workers"),
    ("workers = 0\n", "workers"),
    ("limits { depth = 33 }\n", "depth"),
    ("limits { depth = -1 }\n", "depth"),
    ('pool "a" { modules = {"demo"} }\npool "a" { modules = {"demo"} }\n', "a"),
    ('pool "a" {\n', ""),
    ('log_level = "loud"\n', "log_level"),
])  # fmt: skip
def test_a_wrong_configuration_is_refused_with_file_and_line(tmp_path, text, named):
    file = tmp_path / "procpoold.conf"
    file.write_text("\n" + text)
    ended = run("--socket", str(tmp_path / "socket"), "--config", str(file))
    assert ended.returncode not in (0, -signal.SIGTERM)
    assert str(file) in ended.stderr and named in ended.stderr


def test_a_configuration_that_is_not_there_is_refused(tmp_path):
    ended = run("--socket", str(tmp_path / "socket"), "--config", str(tmp_path / "none"))
    assert ended.returncode != 0 and str(tmp_path / "none") in ended.stderr


def test_the_command_line_outranks_the_configuration(daemon):
    assert daemon(workers=1, config="workers = 3\n").connect().call("pools")[0]["target"] == 1


def test_the_configuration_sets_what_the_command_line_leaves_out(daemon):
    assert daemon(workers=None, config="workers = 3\n").connect().call("pools")[0]["target"] == 3


def test_the_configuration_names_the_socket(start):
    server = start(listen=False, address="config").await_ready()
    assert server.connect().call("ping") == "pong"


def test_without_an_address_a_users_socket_lies_in_the_runtime_directory(start, as_root):
    server = start(listen=False, address="default", user=64200).await_ready()
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert server.connect().call("ping") == "pong"


def test_the_log_level_decides_what_is_logged(daemon):
    quiet = daemon(log_level="error")
    quiet.connect().call("ping")
    assert quiet.stderr() == ""


def test_the_daemon_is_the_parent_of_one_spawner_and_nothing_else(daemon):
    server = daemon(workers=3)
    assert len(children(server.pid)) == 1 and len(descendants(server.pid)) == 4

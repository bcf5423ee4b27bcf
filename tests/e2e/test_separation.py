# SPDX-License-Identifier: MIT
"""A daemon under procpool-launcher: its workers are other users', and can do nothing to it. Needs root."""

import os
import pathlib
import signal

import mounts
import pytest
import separation
from procpoold import BUILD, PROBE, await_end, descendants, eventually, parents
from separation import DAEMON, HOME, IMAGES, WORKER, rights_of

pytestmark = [pytest.mark.usefixtures("as_root"), mounts.needed]
PYTHON_POOL = {"interpreter": "/usr/bin/python3", "modules": ["separated_functions"], "workers": 1}
HERE = pathlib.Path(__file__).parent
NO_RIGHTS = set()


@pytest.fixture
def separated(start, tmp_path, tmp_path_factory):
    """Starts daemons as a system's service is, with the users that there are."""
    pytests = tmp_path_factory.getbasetemp().parents
    for directory in (tmp_path, *tmp_path.parents):  # gates and marks are for other users
        if directory.name.startswith(("pytest-", "popen-")) or directory not in pytests:
            directory.chmod(0o755)

    def make(pools, env=None, ready=True, **options):
        users = separation.Users(tmp_path)
        env = separation.ENVIRONMENT | {"PYTHONPATH": separation.PACKAGE_PATH} | (env or {})
        server = start(workers=None, pools=pools, setup=users, env=env, mode=0o666,
                       wrapper=[*options.pop("wrapper", []), separation.launcher()], **options)  # fmt: skip
        return server.await_ready() if ready else server

    return make


def launcher_of(server):
    """The launcher's process."""
    return next(pid for pid, parent in parents().items() if parent == server.pid)


def rows(server, method):
    with server.connect() as client:
        return client.call(method)


def failure(server):
    """Why its pool does not start workers."""
    return eventually(lambda: rows(server, "pools")[0]["error"])["message"]


def test_daemon_launcher_and_workers_have_what_they_need_and_no_more(separated):
    server = separated({"p": {"modules": ["demo", PROBE], "workers": 2}})
    launcher = launcher_of(server)
    family = descendants(server.pid) - {launcher}
    assert len(family) == 3
    for pid in family:
        assert rights_of(pid) == ({WORKER}, {WORKER}, NO_RIGHTS, True)
        assert int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text()) >= 500
    assert rights_of(server.pid) == ({DAEMON}, {DAEMON}, NO_RIGHTS, True)
    assert rights_of(launcher) == ({DAEMON}, {DAEMON}, {"CapPrm", "CapEff"}, True)
    # CAP_KILL, CAP_SETGID, CAP_SETUID.
    assert separation.status_of(launcher)["CapPrm"] == f"{0b11100000:016x}"
    # Nothing of the daemon's or the launcher's is open in them, and nothing of the daemon's in the launcher.
    for pid in family:
        fds = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        assert fds <= {0, 1, 2, 3, 4, 5} and {0, 1, 2, 3} <= fds
        targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in fds - {0, 1, 2, 3}]
        assert all(target.startswith("anon_inode:") for target in targets), targets
    assert {int(name) for name in os.listdir(f"/proc/{launcher}/fd")} == {0, 1, 2, 3, 4, 5, 6}
    with server.connect() as client:
        assert client.call("map", "demo.inc", [1, 2, 3]) == [2, 3, 4]
        assert client.call("pools")[0]["uid"] == WORKER


def test_a_worker_can_do_nothing_to_daemon_and_launcher(separated):
    server = separated({"p": PYTHON_POOL})
    launcher = launcher_of(server)
    client = server.connect()
    for pid in (server.pid, launcher):
        done = client.call("apply", "separated_functions:attack", [pid])
        assert {name: error for name, error in done.items() if error not in ("EPERM", "EACCES")} == {}
    assert set(client.call("apply", "separated_functions:rise", []).values()) <= {"EPERM", "EACCES"}
    [answers] = client.call("apply", "separated_functions:administer", [str(server.path)])
    assert b"denied" in answers or answers == b"EACCES", answers
    assert client.call("ping") == "pong" and rows(server, "pools")[0]["workers"] == 1


def test_a_worker_is_its_user_in_all_that_it_knows_of_itself(separated):
    env = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/zsh", "MAIL": "/var/mail/root",
           "DBUS_SESSION_BUS_ADDRESS": "x", "INVOCATION_ID": "x", "JOURNAL_STREAM": "1:2", "KEPT": "kept"}  # fmt: skip
    server = separated({
        "p": {**PYTHON_POOL, "user": "images", "group": "pictures", "cwd": "/usr", "umask": "027", "nice": 3, "open_files": 300},
        "q": {**PYTHON_POOL, "environment": ["HOME=/q", "OWN=1"]},
    }, env=env)  # fmt: skip
    client = server.connect()
    uids, gids, groups, leads, cwd = client.call("apply", "separated_functions:identity", [], {"pool": "p"})
    assert (uids, gids, groups) == ([IMAGES] * 3, [64120] * 3, [WORKER, IMAGES, 64120])
    assert leads and cwd == "/usr"
    [pid] = server.worker_pids("p")
    assert separation.status_of(pid)["Umask"] == "0027"
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, server.pid) + 3
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    assert next(line.split()[3:5] for line in limits if line.startswith("Max open files")) == ["300", "300"]
    found = client.call("apply", "separated_functions:environment", [], {"pool": "p"})
    expected = {"HOME": HOME.format("images"), "USER": "images", "LOGNAME": "images", "SHELL": "/bin/sh", "KEPT": "kept",
                "PROCPOOL_SOCKET": str(server.path)}  # fmt: skip
    assert expected.items() <= found.items()
    unwanted = {"MAIL", "DBUS_SESSION_BUS_ADDRESS", "INVOCATION_ID", "JOURNAL_STREAM", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET",
                "XDG_CONFIG_HOME", "LISTEN_FDS", "LISTEN_PID", "PROCPOOL_LAUNCHER"}  # fmt: skip
    assert not unwanted & found.keys()
    found = client.call("apply", "separated_functions:environment", [], {"pool": "q"})
    assert found["HOME"] == "/q" and found["USER"] == "procpool-worker" and found["OWN"] == "1"
    assert {row["name"]: row["uid"] for row in client.call("pools")} == {"p": IMAGES, "q": WORKER}


@pytest.mark.parametrize("workers, access, failure", [
    (2, [WORKER], None),
    (1, [WORKER], "would-deadlock"),
    (2, [IMAGES], "denied"),
])  # fmt: skip
def test_function_calls_others_as_the_user_of_its_pool(separated, workers, access, failure):
    """With a job of somebody else as parent, in which it runs."""
    access = {"call": list(map(str, access))}
    server = separated({"p": {"modules": ["demo", f"{BUILD}/tests/e2e/nested.so"], "workers": workers}}, access=access)
    call = ["nested.apply", [str(server.path), "p", "demo.inc", [1]]]
    if failure:
        assert server.connect().error("apply", *call)["type"] == failure
    else:
        assert server.connect().call("apply", *call) == 2


def test_what_a_worker_prints_by_the_files_of_its_streams_is_captured(separated):
    server = separated({"p": PYTHON_POOL})
    client = server.connect()
    for stream in ("stdout", "stderr"):
        client.call("apply", "separated_functions:reopen", [stream, f"by the file of {stream}\n"])
        eventually(lambda: f"by the file of {stream}" in server.stderr())


def test_workers_and_spawners_that_are_killed_are_replaced(separated, gate):
    server = separated({"p": {"modules": ["demo", PROBE], "workers": 2}})
    client, held = server.connect(), gate()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    [busy] = [row["pid"] for row in rows(server, "workers") if row["state"] == "busy"]
    os.kill(busy, signal.SIGKILL)
    error = client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]
    assert (error["code"], error["signal"], error["pid"]) == ("worker-lost", signal.SIGKILL, busy)
    before = server.await_workers(2)
    spawner = next(pid for pid, parent in parents().items() if parent == launcher_of(server))
    os.kill(spawner, signal.SIGKILL)
    await_end(before)
    assert not server.await_workers(2) & before
    assert client.call("apply", "demo.inc", [1]) == 2


def test_what_runs_too_long_or_uses_too_much_is_ended(separated):
    server = separated({"p": {**PYTHON_POOL, "memory": 300 << 20, "stop_seconds": 0.1}})
    client = server.connect()
    assert client.error("apply", "separated_functions:sleep", [], {"timeout": 0.1})["code"] == "timeout"
    error = client.error("apply", "separated_functions:hog", [400 << 20])
    assert (error["code"], error["limit"]) == ("out-of-memory", 300 << 20)
    assert client.error("apply", "separated_functions:die", [signal.SIGSEGV])["signal"] == signal.SIGSEGV
    [before] = server.await_workers(1)
    client.call("recycle", "p")
    [after] = server.await_workers(1)
    assert after != before and rights_of(after)[0] == {WORKER}


def test_a_runtime_of_one_process_a_worker_is_started_and_ended_by_the_launcher(separated):
    runtime = ["/usr/bin/python3", str(HERE / "plain_runtime.py")]
    server = separated({"p": {"runtime": runtime, "modules": [str(HERE / "plain_functions.py")], "workers": 3}})
    client = server.connect()
    workers = server.await_workers(3)
    launcher = launcher_of(server)
    assert workers == {pid for pid, parent in parents().items() if parent == launcher}
    [first, *_] = workers
    client.call("kill", first)
    await_end([first])
    assert first not in server.await_workers(3)


def test_nothing_outlives_a_daemon_that_is_killed(separated):
    server = separated({"p": {"modules": ["demo"], "workers": 2}, "q": PYTHON_POOL})
    server.expected_status = -signal.SIGKILL
    family = descendants(server.pid)
    assert len(family) == 1 + 3 + 2
    server.kill(signal.SIGKILL)
    await_end(family)


def test_the_daemon_ends_with_its_launcher(separated, gate):
    server = separated({"p": {"modules": ["demo", PROBE], "workers": 2}})
    server.expected_status = 1
    client, held = server.connect(), gate()
    msgid = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    family = descendants(server.pid)
    os.kill(launcher_of(server), signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] in ("worker-lost", "shutting-down")
    assert server.await_exit() == 1
    await_end(family)
    [line] = [line for line in server.stderr().splitlines() if "the launcher" in line]
    assert "the launcher was ended by signal 9 (Killed)" in line


def test_a_user_that_the_launcher_refuses_is_explained_with_what_to_do(separated):
    server = separated({"p": {**PYTHON_POOL, "user": "caller"}, "q": PYTHON_POOL})
    assert "name another user, or gpasswd --delete caller procpool" in failure(server)
    with server.connect() as client:
        assert {row["name"]: row["state"] for row in client.call("pools")} == {"p": "failing", "q": "ready"}
        assert client.call("apply", "separated_functions:identity", [], {"pool": "q"})[0] == [WORKER] * 3
    assert "gpasswd --delete caller procpool" in server.stderr()


def test_a_program_that_cannot_be_started_is_explained_as_ever(separated):
    server = separated({"p": {"runtime": ["/nonexistent/runtime"], "modules": ["m"]}})
    assert "cannot start /nonexistent/runtime: No such file or directory" in failure(server)
    server = separated({"p": {"modules": ["demo"], "cwd": "/nonexistent/place"}})
    assert "cannot change to directory /nonexistent/place: No such file or directory" in failure(server)

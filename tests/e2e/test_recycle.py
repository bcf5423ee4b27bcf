# SPDX-License-Identifier: MIT
"""recycle: fresh code for a pool while it serves, and what becomes of the old."""

import os
import pathlib
import shutil
import signal

import pytest
from ppctl import Ppctl
from procpoold import BUILD, PYTHON, await_end, children, eventually

HERE = pathlib.Path(__file__).parent


class Module:
    """A module that is installed anew, as package managers do it: another file is renamed over it."""

    def __init__(self, directory):
        self.path = directory / "version.so"

    def install(self, version):
        source = f"{BUILD}/tests/e2e/version{version}.so" if isinstance(version, int) else version
        new = self.path.with_suffix(".new")
        shutil.copy(source, new)
        os.rename(new, self.path)


@pytest.fixture
def module(tmp_path):
    tmp_path.chmod(0o755)
    made = Module(tmp_path)
    made.install(1)
    return made


@pytest.fixture
def versioned(daemon, module):
    """Starts daemons whose pool `p` has the module."""
    return lambda workers=2, **options: daemon(
        workers=None, pools={"p": {"modules": [str(module.path)], "workers": workers}}, **options
    )


def pool_row(client):
    [row] = client.call("pools")
    return row


def test_recycle_brings_the_new_code(versioned, module):
    client = versioned().connect()
    assert client.call("apply", "version.number", []) == 1
    assert pool_row(client)["generation"] == 1
    module.install(2)
    assert client.call("recycle", "p") == {"pool": "p", "generation": 2}
    assert client.call("map", "version.number", [[]] * 100, {"star": True}) == [2] * 100
    row = pool_row(client)
    assert (row["generation"], row["state"], row["restarts"], row["workers"]) == (2, "ready", 0, 2)


def test_old_processes_are_gone_after_a_recycle(versioned):
    server = versioned(workers=3)
    client, before = server.connect(), children(server.pid)
    old = server.worker_pids() | before
    client.call("recycle", "p")
    await_end(old)
    assert len(server.await_workers(3)) == 3 and len(children(server.pid)) == 1
    assert " error: " not in server.stderr()


def test_functions_that_are_gone_are_unknown_and_new_ones_known(versioned, module):
    client = versioned().connect()
    assert client.call("apply", "version.old", []) == 1
    assert client.error("apply", "version.new", [])["code"] == "unknown-function"
    module.install(2)
    client.call("recycle", "p")
    assert client.call("apply", "version.new", []) == 2
    assert client.error("apply", "version.old", [])["code"] == "unknown-function"
    assert [row["name"] for row in client.call("functions")] == ["version.hold", "version.new", "version.number"]


def test_a_task_that_runs_is_finished_by_the_old_code(versioned, module, gate):
    server, held = versioned(workers=1), gate()
    client = server.connect()
    msgid = client.request("apply", "version.hold", [held.path])
    waiting = [client.request("apply", "version.number", []) for _ in range(50)]
    held.await_held()
    module.install(2)
    assert client.call("recycle", "p")["generation"] == 2
    assert [client.response(each) for each in waiting] == [2] * 50
    rows = {row["generation"]: row for row in client.call("workers")}
    assert rows[1]["state"] == "stopping" and rows[1]["function"] == "version.hold"
    held.release()
    assert client.response(msgid) == 1
    await_end({rows[1]["pid"]})


def test_no_call_is_lost_and_never_is_a_worker_missing(versioned, module):
    """Calls come all the time while the pool is recycled again and again; each is answered, by one version or the other."""
    server = versioned(workers=2)
    client, admin = server.connect(), server.connect()
    msgids, answers = [], []
    for generation in range(2, 8):
        module.install(1 + generation % 2)
        recycle = admin.request("recycle", "p")
        done = False
        while not done:
            msgids += [client.request("apply", "version.number", []) for _ in range(20)]
            answers += [client.response(msgid) for msgid in msgids[len(answers):]]
            assert pool_row(client)["workers"] >= 2
            admin.call("ping")
            done = any(m[0] == 1 and m[1] == recycle for m in admin.inbox)
        assert admin.response(recycle) == {"pool": "p", "generation": generation}
    assert len(answers) == len(msgids) and set(answers) == {1, 2}
    assert pool_row(client)["restarts"] == 0


@pytest.mark.parametrize("version, reason", [(3, "version 3 is broken"), ("/etc/passwd", "cannot load a module")])
def test_a_broken_version_leaves_the_old_one_serving_and_says_why(versioned, module, version, reason):
    server = versioned()
    client, before = server.connect(), server.worker_pids()
    module.install(version)
    error = client.error("recycle", "p")
    assert error["code"] == "initializer-failed" and reason in error["message"]
    assert client.call("map", "version.number", [[]] * 20, {"star": True}) == [1] * 20
    row = pool_row(client)
    assert (row["state"], row["generation"], row["error"]) == ("ready", 1, None)
    assert server.await_workers(2) == before
    eventually(lambda: len(children(server.pid)) == 1)
    module.install(2)
    client.call("recycle", "p")
    assert client.call("apply", "version.number", []) == 2


def test_two_recycles_at_once_share_their_outcome(versioned, module):
    server = versioned()
    one, two = server.connect(), server.connect()
    module.install(2)
    msgids = [(client, client.request("recycle", "p")) for client in (one, two, one)]
    assert [client.response(msgid)["generation"] for client, msgid in msgids] == [2] * 3
    module.install("/etc/passwd")
    msgids = [(client, client.request("recycle", "p")) for client in (one, two)]
    for client, msgid in msgids:
        assert client.take(lambda m, msgid=msgid: m[0] == 1 and m[1] == msgid)[2]["code"] == "initializer-failed"


def test_a_recycle_goes_on_without_who_asked(versioned, module):
    server = versioned()
    module.install(2)
    with server.connect() as gone:
        gone.request("recycle", "p")
    client = server.connect()
    eventually(lambda: pool_row(client)["generation"] == 2)
    assert client.call("apply", "version.number", []) == 2


def test_recycle_of_a_failing_pool_tries_at_once(start, module):
    module.install(3)
    server = start(workers=None, pools={"p": {"modules": [str(module.path)], "workers": 2}})
    client = server.connect()
    assert client.error("apply", "version.number", [])["code"] == "initializer-failed"
    assert "version 3 is broken" in client.error("recycle", "p")["message"]
    module.install(2)
    assert client.call("recycle", "p")["pool"] == "p"
    assert client.call("apply", "version.number", []) == 2
    assert pool_row(client)["state"] == "ready"


def test_a_runtime_that_does_not_fork_is_recycled_too(daemon, tmp_path):
    functions = tmp_path / "functions.py"
    functions.write_text("def number():\n    return 1\n\ndef old():\n    return 1\n")
    runtime = [PYTHON, str(HERE / "plain_runtime.py")]
    server = daemon(workers=None, env={"PYTHONDONTWRITEBYTECODE": "1"},
                    pools={"p": {"runtime": runtime, "modules": [str(functions)], "workers": 2}})
    client, before = server.connect(), server.await_workers(2)
    assert client.call("apply", "functions:number", []) == 1
    functions.write_text("def number():\n    return 22\n")
    assert client.call("recycle", "p") == {"pool": "p", "generation": 2}
    assert client.call("map", "functions:number", [[]] * 10, {"star": True}) == [22] * 10
    assert client.error("apply", "functions:old", [])["code"] == "unknown-function"
    await_end(before)
    functions.write_text("raise RuntimeError('broken')\n")
    assert "broken" in client.error("recycle", "p")["message"]
    assert client.call("apply", "functions:number", []) == 22


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_spawner_that_is_killed_meanwhile_costs_only_what_ran(versioned, module, gate, which):
    server, held = versioned(workers=1), gate()
    client, [old] = server.connect(), children(server.pid)
    msgid = client.request("apply", "version.hold", [held.path])
    waiting = [client.request("apply", "version.number", []) for _ in range(20)]
    held.await_held()
    module.install(2)
    recycle = client.request("recycle", "p")
    [new] = eventually(lambda: children(server.pid) - {old})
    os.kill(old if which == "old" else new, signal.SIGKILL)
    error, result = client.take(lambda m: m[0] == 1 and m[1] == recycle)[2:]
    if which == "old":
        assert error is None and result["generation"] == 2
        assert client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]["code"] == "worker-lost"
    else:
        # It may have had the time to take over.
        assert result or "signal 9" in error["message"]
        held.release()
        assert client.response(msgid) == 1
    assert {client.response(each) for each in waiting} <= {1, 2}


def test_the_end_of_the_daemon_ends_a_recycle(versioned, gate):
    server, held = versioned(workers=1, config="grace_seconds = 1\n"), gate()
    client = server.connect()
    client.request("apply", "version.hold", [held.path])
    held.await_held()
    client.call("recycle", "p")
    client.request("recycle", "p")
    server.kill()
    assert server.await_exit() == 0


@pytest.mark.usefixtures("as_root")
def test_only_the_administrator_may_recycle(versioned):
    server = versioned(mode=0o666)
    error = server.connect(uid=64001).error("recycle", "p")
    assert error["code"] == "denied" and "administrator" in error["message"]
    assert server.connect().call("recycle", "p")["generation"] == 2


@pytest.fixture
def watched(versioned):
    """A daemon that watches the module's file, and a client that is told of events."""
    client = versioned().connect()
    client.call("subscribe", {})
    assert pool_row(client)["stale"] is False
    return client


@pytest.mark.parametrize("how", ["rename", "write"])
def test_a_module_that_is_installed_anew_marks_its_pool_stale(watched, module, how):
    if how == "rename":
        module.install(2)
    else:
        # What is mapped must not be written to: the old file goes first.
        os.unlink(module.path)
        shutil.copy(f"{BUILD}/tests/e2e/version2.so", module.path)
    event = watched.event("pool", stale=True)
    assert (event["pool"], event["state"], event["generation"]) == ("p", "ready", 1)
    assert pool_row(watched)["stale"] is True
    assert watched.call("apply", "version.number", []) == 1
    watched.call("recycle", "p")
    assert "stale" not in watched.event("pool", generation=2)
    assert pool_row(watched)["stale"] is False
    module.install(1)
    watched.event("pool", stale=True, generation=2)


def test_the_log_tells_once_how_to_load_a_stale_pool_anew(versioned, module):
    server = versioned()
    client = server.connect()
    for version in (2, 1, 2):
        module.install(version)
        eventually(lambda: pool_row(client)["stale"])
    assert server.stderr().count(f"{module.path} has changed since it was loaded; 'ppctl recycle p' loads it anew") == 1


def test_a_file_that_is_read_or_that_is_another_marks_nothing(watched, module):
    module.path.read_bytes()
    shutil.copy(module.path, module.path.with_name("other.so"))
    watched.call("apply", "version.number", [])
    assert not [m for m in watched.quiet() if m[1] == "event" and m[2][0]["event"] == "pool"]
    assert pool_row(watched)["stale"] is False


def test_ppctl_recycles_and_prints_the_generation(versioned, module):
    ppctl = Ppctl(versioned())
    module.install(2)
    assert ppctl.output("recycle", "p") == "2\n"
    assert ppctl.json("recycle", "p") == {"pool": "p", "generation": 3}
    module.install(3)
    status, text = ppctl.failure("recycle", "p")
    assert status == 4 and "version 3 is broken" in text
    assert ppctl.failure("recycle", "nowhere")[0] == 2
    assert ppctl.failure("recycle")[0] == 2

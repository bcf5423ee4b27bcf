# SPDX-License-Identifier: MIT
"""reload: another configuration for a daemon that serves."""

import fcntl
import os
import pathlib
import pty
import re
import signal
import termios

import pytest
from ppctl import Ppctl
from procpoold import BUILD, PROBE, await_end, children, eventually, parents
from rpc import RpcError
from service_manager import Service

RUNTIME = f"{BUILD}/daemon/runtime/procpool-runtime"
NOTHING = {"changed": [], "added": [], "removed": [], "restart": []}
PROBED = {"modules": [PROBE], "workers": 2}


def variable(value):
    """A pool whose processes are others for each value."""
    return PROBED | {"environment": [f"VERSION={value}"]}


def version(client, pool):
    return client.call("apply", "probe.environment", ["VERSION"], {"pool": pool})


@pytest.fixture
def pools(daemon):
    """Starts daemons with these pools."""
    return lambda pools, **options: daemon(workers=None, pools=pools, **options)


def error_of(client, msgid):
    with pytest.raises(RpcError) as failed:
        client.response(msgid)
    return failed.value.error


def row(client, name="p"):
    [found] = [each for each in client.call("pools") if each["name"] == name]
    return found


# What changes


@pytest.mark.memcheck
def test_only_pools_whose_settings_differ_get_other_processes(pools):
    server = pools({"p": variable(1), "q": variable(1)})
    client = server.connect()
    assert client.call("reload") == NOTHING
    p, q = server.worker_pids("p"), server.worker_pids("q")
    server.configure({"q": variable(1), "p": variable(2)}, config="# another comment\n")
    assert version(client, "p") == "1"
    assert client.call("reload") == NOTHING | {"changed": ["p"]}
    assert (version(client, "p"), version(client, "q")) == ("2", "1")
    assert server.worker_pids("q") == q and not server.await_workers(2, "p") & p
    await_end(p)
    eventually(lambda: len(children(server.pid)) == 2)
    assert row(client)["generation"] == 2


def test_policies_change_with_the_same_processes(pools):
    server = pools({"p": PROBED})
    client = server.connect()
    before = server.worker_pids()
    server.configure({"p": PROBED | {"workers": 3, "max_tasks": 100}})
    assert client.call("reload") == NOTHING | {"changed": ["p"]}
    more = server.await_workers(3)
    assert more > before
    server.configure({"p": PROBED | {"workers": 1, "stop_seconds": 5}})
    client.call("reload")
    assert server.await_workers(1) < more
    assert row(client)["generation"] == 1


def test_all_other_settings_are_in_force_at_once_or_named(pools):
    server = pools({"p": PROBED}, log_level=None, config='log_level = "error"\n', limits={"jobs_page": 10})
    client = server.connect()
    server.configure({"p": PROBED}, {"jobs_page": 7, "waits_session": 1, "message_bytes": 2**20},
                     f'socket = "{server.dir}/other"\nlog_level = "debug"\nworkers = 3\n')  # fmt: skip
    assert client.call("reload") == NOTHING | {"restart": ["socket", "message_bytes"]}
    limits = client.call("hello", {})["limits"]
    assert (limits["jobs_page"], limits["waits_session"], limits["message_bytes"]) == (7, 1, 96 * 2**20)
    assert client.error("jobs", {"limit": 8})["code"] == "bad-request"
    assert "the configuration was read again, as uid" in server.stderr()
    # It is compared with what is in force, not with what was read last.
    assert client.call("reload")["restart"] == ["socket", "message_bytes"]
    server.configure({"p": PROBED})
    assert client.call("reload") == NOTHING
    assert client.call("hello", {})["limits"]["jobs_page"] == 1000


def test_numbers_of_workers_that_follow_from_the_daemons_follow_them(pools):
    server = pools({"p": {"modules": ["demo"]}}, config="workers = 1\n")
    client = server.connect()
    server.configure({"p": {"modules": ["demo"]}}, config="workers = 2\n")
    assert client.call("reload")["changed"] == ["p"]
    server.await_workers(2)


def test_added_pools_serve_and_removed_ones_finish_what_they_have(pools, gate):
    held = gate()
    server = pools({"p": PROBED, "old": PROBED | {"workers": 1}})
    client, follower = server.connect(), server.connect()
    follower.call("subscribe", {"pool": "old"})
    hold = client.request("apply", "probe.hold", [held.path], {"pool": "old"})
    waiting = [client.request("apply", "probe.pid", [], {"pool": "old"}) for _ in range(5)]
    held.await_held()
    server.configure({"p": PROBED, "new": variable(1)})
    assert client.call("reload") == NOTHING | {"added": ["new"], "removed": ["old"]}
    assert version(client, "new") == "1"
    assert client.error("apply", "probe.pid", [], {"pool": "old"})["code"] == "pool-closed"
    assert row(client, "old")["state"] == "closed"
    # Meanwhile another has its name, and is what the name means.
    server.configure({"p": PROBED, "old": variable(2)})
    assert client.call("reload") == NOTHING | {"added": ["old"], "removed": ["new"]}
    assert version(client, "old") == "2"
    names = [each["name"] for each in client.call("pools")]
    assert names.count("old") == 2
    held.release()
    client.response(hold)
    assert len({client.response(each) for each in waiting}) == 1
    eventually(lambda: [each["name"] for each in client.call("pools")] == ["p", "old"])
    # Whoever follows the name saw what became of both, and follows the one there is.
    for _ in range(5 + 2):
        follower.push("result")
    version(client, "old")
    follower.push("result")
    assert follower.call("unsubscribe", {"pool": "old"}) is True


def test_pools_of_sessions_stay(pools):
    server = pools({"p": PROBED})
    client = server.connect()
    own = client.call("open", {"modules": [PROBE], "workers": 1})["pool"]
    server.configure({"q": PROBED})
    assert client.call("reload") == NOTHING | {"added": ["q"], "removed": ["p"]}
    assert client.call("apply", "probe.environment", ["VERSION"], {"pool": own}) is None


def test_functions_that_only_the_new_code_has_can_be_called_once_it_is_answered(pools):
    server = pools({"p": {"modules": [f"{BUILD}/tests/e2e/version1.so"]}})
    client = server.connect()
    assert client.error("apply", "version.new", [])["code"] == "unknown-function"
    server.configure({"p": {"modules": [f"{BUILD}/tests/e2e/version2.so"]}})
    reload = client.request("reload")
    while not client.inbox:
        assert client.error("apply", "version.none", [])["code"] == "unknown-function"
    client.response(reload)
    assert client.call("apply", "version.new", []) == 2
    assert client.error("apply", "version.old", [])["code"] == "unknown-function"


# What is refused, and what fails


@pytest.mark.memcheck
def test_a_configuration_that_is_wrong_changes_nothing(pools):
    server = pools({"p": PROBED})
    client, before = server.connect(), server.worker_pids()
    server.configure({"q": PROBED}, config="grace_seconds = 3\nwrokers = 3\n")
    error = client.error("reload")
    assert error["code"] == "bad-request"
    assert f"the configuration is refused: {server.conf}:2: " in error["message"] and "wrokers" in error["message"]
    assert server.worker_pids() == before and row(client)["state"] == "ready"
    [line] = [line for line in server.stderr().splitlines() if "refused" in line]
    assert " error: " in line and f"as uid {os.getuid()} asked: {server.conf}:2: " in line
    server.conf.unlink()
    assert "procpoold.conf" in client.error("reload")["message"]
    assert server.worker_pids() == before


def test_what_cannot_be_read_twice_is_not_read_again(daemon):
    """An empty configuration has other pools."""
    server = daemon(workers=1, args=["--config", "/dev/null"])
    assert "read again" in server.connect().error("reload")["message"]
    assert server.worker_pids()


def test_files_that_have_all_gone_change_nothing(daemon, tmp_path):
    """As while somebody moves them about."""
    conf = tmp_path / "procpoold.conf"
    conf.write_text('pool "p" { modules = {"demo"} workers = 1 }\n')
    server = daemon(workers=None, args=["--no-demo", "--config", str(tmp_path)])
    client, before = server.connect(), server.worker_pids()
    conf.unlink()
    assert f"{conf} has gone" in client.error("reload")["message"]
    assert server.worker_pids() == before
    conf.write_text("")
    assert client.call("reload")["removed"] == ["p"]


def test_code_that_does_not_load_leaves_the_old_serving(pools):
    server = pools({"p": variable(1), "q": variable(1)})
    client = server.connect()
    server.configure({"p": PROBED | {"modules": ["no_such_module"]}, "q": variable(2)})
    error = client.error("reload")
    assert error["code"] == "initializer-failed"
    assert error["message"].startswith("pool p keeps its old code: ") and "no_such_module" in error["message"]
    assert (error["changed"], [each["pool"] for each in error["failed"]]) == (["p", "q"], ["p"])
    assert (version(client, "p"), version(client, "q")) == ("1", "2")
    shown = row(client)
    assert (shown["state"], shown["stale"], shown["modules"]) == ("ready", True, [PROBE])
    assert "no_such_module" in shown["error"]["message"]
    assert "after the reload: pool p keeps its old code" in server.stderr()
    # Its workers and its spawner are replaced by such of the same code.
    worker = min(server.worker_pids("p"))
    spawner = parents()[worker]
    for pid in (worker, spawner):
        os.kill(pid, signal.SIGKILL)
    await_end({spawner})
    server.await_workers(2, "p")
    assert version(client, "p") == "1"
    server.configure({"p": variable(1), "q": variable(2)})
    assert client.call("reload") == NOTHING | {"changed": ["p"]}
    assert (row(client)["stale"], row(client)["error"]) == (False, None)


def test_ppctl_waits_and_tells_what_came_of_it(pools):
    server = pools({"p": variable(1), "old": PROBED})
    ppctl = Ppctl(server)
    server.configure({"p": variable(2), "new": variable(1)}, config=f'socket = "{server.dir}/other"\n')
    assert ppctl.output("reload") == "changed: p\nadded: new\nremoved: old\nchanged by a restart only: socket\n"
    server.configure({"p": variable(2), "new": variable(1)})
    assert ppctl.output("reload") == "no pool has changed\n"
    assert ppctl.json("reload") == NOTHING
    server.configure({"p": variable(2)}, config="workers = none\n")
    status, text = ppctl.failure("reload")
    assert status == 2 and f"refused: {server.conf}:1: " in text
    server.configure({"p": PROBED | {"modules": ["no_such_module"]}})
    done = ppctl.run("reload")
    assert (done.returncode, done.stdout) == (4, b"changed: p\nremoved: new\n")
    assert b"ppctl: pool p keeps its old code: " in done.stderr
    server.configure({"p": PROBED | {"modules": ["no_such_module"]}, "q": PROBED | {"modules": ["nor_this_one"]}})
    first, second = [line for line in ppctl.run("reload").stderr.decode().splitlines() if line.startswith("ppctl: ")]
    assert "pool p keeps" in first and "q: " in second and "nor_this_one" in second


def test_only_who_administers_the_daemon_reloads_it(as_root, daemon):
    server = daemon(mode=0o666, user=1)
    assert server.connect(uid=2).error("reload")["code"] == "denied"
    assert server.connect(uid=1).call("reload") == NOTHING


# Many at a time, and in the middle of it


def test_a_hundred_at_a_time_are_all_answered_by_one_change(pools):
    server = pools({"p": variable(1)})
    clients = [server.connect() for _ in range(10)]
    server.configure({"p": variable(2)})
    asked = [(client, client.request("reload")) for client in clients for _ in range(10)]
    for client, msgid in asked:
        assert client.response(msgid) in (NOTHING, NOTHING | {"changed": ["p"]})
    assert row(clients[0])["generation"] == 2
    assert version(clients[0], "p") == "2"


def slow(path, value):
    """A pool whose spawner waits at the gate before it loads."""
    return variable(value) | {"runtime": ["/bin/sh", "-c", f"read line < {path}; exec {RUNTIME}"]}


@pytest.fixture
def loading(pools, gate):
    """A daemon whose pool `p` is loading other code, as asked for by a client; what is asked; and the gate."""
    held = gate()
    server = pools({"p": variable(1)})
    client = server.connect()
    server.configure({"p": slow(held.path, 2)})
    msgid = client.request("reload")
    held.await_held()
    return server, client, msgid, held


def test_what_is_read_while_code_loads_replaces_it(loading):
    server, client, msgid, held = loading
    stuck = children(server.pid)
    server.configure({"p": variable(3)})
    other = server.connect()
    assert other.call("reload") == NOTHING | {"changed": ["p"]}
    assert client.response(msgid) == NOTHING | {"changed": ["p"]}
    assert version(client, "p") == "3"
    await_end(stuck - children(server.pid))


def test_garbage_that_is_read_while_code_loads_changes_nothing_of_that(loading):
    server, client, msgid, held = loading
    server.conf.write_bytes(bytes(range(256)) * 50)
    assert server.connect().error("reload")["code"] == "bad-request"
    server.configure({"p": slow(held.path, 2)})
    again = client.request("reload")
    held.release()
    assert client.response(msgid) == client.response(again) == NOTHING | {"changed": ["p"]}
    assert version(client, "p") == "2"


def test_it_goes_on_without_who_asked(loading):
    server, client, msgid, held = loading
    client.close()
    held.release()
    other = server.connect()
    eventually(lambda: row(other)["generation"] == 2)
    assert version(other, "p") == "2"


def test_a_spawner_that_is_killed_while_it_loads_leaves_the_old_code(loading):
    server, client, msgid, held = loading
    [spawner] = [pid for pid in children(server.pid) if b"read line" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(spawner, signal.SIGKILL)
    assert error_of(client, msgid)["code"] == "initializer-failed"
    assert version(client, "p") == "1"


def test_a_daemon_that_is_told_to_end_meanwhile_ends(loading):
    server, client, msgid, held = loading
    server.kill()
    assert error_of(client, msgid)["code"] == "shutting-down"
    assert server.await_exit() == 0


# Signals and the service manager


def test_a_service_manager_hears_of_it(daemon):
    server = Service(workers=None, pools={"p": variable(1)})
    try:
        ready = server.hear("READY")
        server.configure({"p": variable(2)})
        server.connect().call("reload")
        reloading = server.hear("RELOADING", after=ready + 1)
        assert int(server.told[reloading][1]["MONOTONIC_USEC"]) > 0
        again = server.hear("READY", after=reloading)
        assert again > reloading
        # One that is refused is none.
        server.configure(config="x = y\n")
        server.kill(signal.SIGHUP)
        eventually(lambda: "refused, and nothing has changed, at SIGHUP" in server.stderr())
        assert len(server.all("RELOADING")) == 1
    finally:
        server.finish()


def test_sighup_reloads_a_service(pools):
    server = pools({"p": variable(1)})
    server.configure({"p": variable(2)})
    server.kill(signal.SIGHUP)
    client = server.connect()
    eventually(lambda: version(client, "p") == "2")
    assert "the configuration was read again, at SIGHUP: changed p" in server.stderr()


@pytest.mark.parametrize("nohup", [False, True])
def test_sighup_ends_what_a_person_started_in_a_terminal(start, nohup):
    """Unless he said that it should not."""
    master, terminal = pty.openpty()

    def take_terminal():
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)

    server = start(setup=take_terminal).await_ready()
    os.close(terminal)
    os.close(master)  # which hangs up
    if nohup:
        eventually(lambda: "at SIGHUP" in server.stderr())
        assert server.worker_pids()
    else:
        assert server.await_exit() == 0
        assert re.search("Hangup: ending", server.stderr())

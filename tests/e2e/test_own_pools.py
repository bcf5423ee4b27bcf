# SPDX-License-Identifier: MIT
"""Pools that sessions open for themselves: what they are made of, who may use them, and how they end."""

import os
import pathlib
import resource
import signal
import subprocess
import sys

import pytest
from procpoold import BUILD, PROBE, PYTHON, Daemon, await_end, descendants, eventually
from rpc import RpcError

HERE = pathlib.Path(__file__).parent
PLAIN = [PYTHON, str(HERE / "plain_runtime.py")]
SETTINGS = str(HERE / "settings_functions.py")
ALICE = 64001


@pytest.fixture
def server(daemon):
    """A daemon whose own pool has nothing but `demo`."""
    return daemon(workers=1)


@pytest.fixture
def client(server):
    return server.connect()


def open_pool(client, **options):
    options.setdefault("modules", [PROBE])
    options.setdefault("workers", 2)
    return client.call("open", options)["pool"]


def open_plain(client, **options):
    return open_pool(client, runtime=PLAIN, modules=[SETTINGS], **options)


def pools(client):
    return {row["name"]: row for row in client.call("pools")}


def nothing_left(server, client, before):
    """Nothing remains of the pools that were opened: no row, no process, no descriptor."""
    assert set(pools(client)) == {"default"}
    assert {row["pool"] for row in client.call("workers")} == {"default"}
    assert {row["pool"] for row in client.call("functions")} == {"default"}
    eventually(lambda: descendants(server.pid) == before)


# What it is made of


@pytest.mark.memcheck
def test_a_pool_is_opened_used_closed_and_joined(server, client):
    before = descendants(server.pid)
    opened = client.call("open", {"modules": [PROBE], "workers": 3, "initargs": ["fast"]})
    session = client.call("hello")["session"]
    assert opened == {"pool": f"session-{session}.1", "workers": 3}
    pool, number, workers, initargs = client.call("apply", "probe.who", [], {"pool": opened["pool"]})
    assert (pool, workers, initargs) == (opened["pool"], 3, ["fast"]) and number in (1, 2, 3)
    row = pools(client)[opened["pool"]]
    assert (row["target"], row["session"], row["modules"]) == (3, session, [PROBE])
    assert pools(client)["default"]["session"] is None
    # Without its name: no other pool has the function.
    assert client.call("map", "probe.die_on_negative", list(range(50))) == list(range(50))
    assert client.call("close", opened["pool"]) is None
    assert client.call("join", opened["pool"]) is None
    nothing_left(server, client, before)


def test_the_initializer_runs_in_each_worker_with_its_arguments(client):
    initargs = [1, 2.5, "three", b"four", None, {"five": [6]}]
    pool = open_plain(client, workers=3, initializer="settings_functions:initialize", initargs=initargs)
    for _ in range(3):
        assert client.call("map", "settings_functions:initargs", [[]] * 6, {"star": True, "pool": pool}) == [initargs] * 6


def test_processes_are_as_was_asked(client, tmp_path):
    cpu = min(os.sched_getaffinity(0))
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    open_plain(client, cwd=str(tmp_path), umask=0o27, nice=3, affinity=[cpu],
               rlimits={"cpu": 100, "nofile": [64, 128], "core": [0, None if hard < 0 else hard]})  # fmt: skip
    found = client.call("apply", "settings_functions:settings", [])
    assert found["cwd"] == str(tmp_path) and found["umask"] == 0o27 and found["cpus"] == [cpu]
    assert found["nice"] == os.nice(0) + 3
    assert found["limits"] == {"cpu": [100, 101], "nofile": [64, 128], "core": [0, hard]}


def test_variables_are_set_and_removed(daemon):
    client = daemon(env={"PROCPOOL_KEPT": "kept", "PROCPOOL_GONE": "gone", "PROCPOOL_SET": "old"}).connect()
    open_plain(client, env={"PROCPOOL_SET": "new", "PROCPOOL_GONE": None, "PROCPOOL_EMPTY": ""})
    values = [client.call("apply", "settings_functions:variable", [f"PROCPOOL_{name}"])
              for name in ("KEPT", "SET", "GONE", "EMPTY")]  # fmt: skip
    assert values == ["kept", "new", None, ""]


def test_a_main_script_is_handed_to_the_runtime(client, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def double(x):\n    return 2 * x\n")
    client.call("open", {"runtime": PLAIN, "main": str(script), "workers": 1})
    assert client.call("map", "script:double", [1, 2, 3]) == [2, 4, 6]


def test_a_pool_grows_where_it_may(client, gate):
    options = {"modules": [PROBE], "workers_min": 1, "workers_max": 3, "idle_seconds": 30}
    pool = client.call("open", options)["pool"]
    gates = [gate() for _ in range(3)]
    for each in gates:
        client.call("apply_async", "probe.hold", [each.path])
    for each in gates:
        each.await_held()
    assert pools(client)[pool]["workers"] == 3
    for each in gates:
        each.release()


# What goes wrong


def test_a_pool_that_cannot_load_says_why_and_leaves_nothing(server, client):
    before = descendants(server.pid)
    error = client.error("open", {"modules": ["/nonexistent/module.so"]})
    assert error["code"] == "initializer-failed" and "/nonexistent/module.so" in error["message"]
    nothing_left(server, client, before)
    error = client.error("open", {"runtime": ["/nonexistent/runtime"]})
    assert error["code"] == "initializer-failed" and "cannot start /nonexistent/runtime" in error["message"]
    error = client.error("open", {"runtime": [PYTHON, "-c", "raise SystemExit(7)"]})
    assert error["code"] == "initializer-failed" and "status 7" in error["message"]
    nothing_left(server, client, before)


@pytest.mark.parametrize("settings, reason", [
    ({"cwd": "/nonexistent/place"}, "cannot change to directory /nonexistent/place: No such file or directory"),
    ({"rlimits": {"nofile": 2**30}}, "cannot set the limit of open files: Operation not permitted"),
    ({"affinity": [1023]}, "to its processors: Invalid argument"),
])
def test_what_the_system_does_not_grant_is_denied(server, client, settings, reason):
    before = set(descendants(server.pid))
    error = client.error("open", {"modules": ["demo"], "workers": 1, **settings})
    assert error["code"] == "denied" and reason in error["message"]
    nothing_left(server, client, before)


def test_a_pool_whose_initializer_fails_says_why_and_leaves_nothing(server, client):
    before = descendants(server.pid)
    options = {"runtime": PLAIN, "modules": [SETTINGS], "workers": 2}
    error = client.error("open", {**options, "initializer": "settings_functions:fail", "initargs": ["no luck"]})
    assert (error["code"], error["message"], error["type"]) == ("initializer-failed", "no luck", "ValueError")
    assert "in fail" in error["traceback"]
    nothing_left(server, client, before)


@pytest.mark.parametrize(
    "options, reason",
    [
        ({}, "nothing to serve"),
        ({"modules": "demo"}, "'modules' must be an array"),
        ({"modules": [""]}, "'modules'"),
        ({"modules": ["a\0b"]}, "'modules'"),
        ({"modules": [7]}, "'modules'"),
        ({"modules": ["demo"] * 1001}, "'modules' must be an array of at most 1000"),
        ({"runtime": []}, "'runtime' is empty"),
        ({"runtime": ["x" * 5000]}, "'runtime'"),
        ({"modules": ["demo"], "main": "/x.py"}, "'main' is for runtimes"),
        ({"modules": ["demo"], "pickle": True}, "'pickle' is for runtimes of other languages"),
        ({"modules": ["demo"], "options": {}}, "'options' is for runtimes of other languages"),
        ({"runtime": PLAIN, "options": []}, "'options' must be a map"),
        ({"runtime": PLAIN, "options": None}, "'options' must be a map"),
        ({"runtime": PLAIN, "pickle": 1}, "'pickle' must be a bool"),
        ({"runtime": PLAIN, "env_clear": None}, "'env_clear' must be a bool"),
        ({"modules": ["demo"], "initializer": ""}, "'initializer'"),
        ({"modules": ["demo"], "initargs": {}}, "'initargs' must be an array"),
        ({"modules": ["demo"], "preload": "never"}, "'preload'"),
        ({"modules": ["demo"], "workers": 0}, "'workers'"),
        ({"modules": ["demo"], "workers": 4097}, "'workers' must be an integer from 1 to 4096"),
        ({"modules": ["demo"], "workers": 2**64 - 1}, "'workers'"),
        ({"modules": ["demo"], "workers": 1, "workers_max": 2}, "'workers' cannot go with"),
        ({"modules": ["demo"], "workers_min": 3, "workers_max": 2}, "'workers_min' (3) must not be larger"),
        ({"modules": ["demo"], "idle_seconds": 1}, "'idle_seconds' is for"),
        ({"modules": ["demo"], "extra_workers": -1}, "'extra_workers'"),
        ({"modules": ["demo"], "max_tasks": 0}, "'max_tasks'"),
        ({"modules": ["demo"], "max_rss": 5}, "'max_rss'"),
        ({"modules": ["demo"], "memory": 5}, "'memory' must be an integer from 1048576"),
        ({"modules": ["demo"], "stop_seconds": -1}, "'stop_seconds'"),
        ({"modules": ["demo"], "stop_seconds": 1e10}, "'stop_seconds'"),
        ({"modules": ["demo"], "cwd": "relative"}, "'cwd' must be an absolute path"),
        ({"modules": ["demo"], "cwd": 7}, "'cwd'"),
        ({"modules": ["demo"], "cwd": "/a\0b"}, "'cwd'"),
        ({"modules": ["demo"], "env": ["A=1"]}, "'env' must be a map"),
        ({"modules": ["demo"], "env": {"A=B": "1"}}, "'env'"),
        ({"modules": ["demo"], "env": {"": "1"}}, "'env'"),
        ({"modules": ["demo"], "env": {7: "1"}}, "'env'"),
        ({"modules": ["demo"], "env": {"A": 1}}, "'env' has a value of A"),
        ({"modules": ["demo"], "env": {"A": "1\0"}}, "'env' has a value of A"),
        ({"modules": ["demo"], "env": {"A": "x" * 200000}}, "'env' has a variable of more"),
        ({"modules": ["demo"], "env": {f"A{i}": "" for i in range(1001)}}, "'env' has more than 1000"),
        ({"modules": ["demo"], "env": {"A": "1", b"A": "2"}}, "'env' has A twice"),
        ({"modules": ["demo"], "umask": 512}, "'umask' must be an integer from 0 to 511"),
        ({"modules": ["demo"], "nice": 20}, "'nice'"),
        ({"modules": ["demo"], "affinity": []}, "'affinity' is empty"),
        ({"modules": ["demo"], "affinity": [1024]}, "'affinity'"),
        ({"modules": ["demo"], "rlimits": {"cpus": 1}}, "'rlimits' has no limit 'cpus'"),
        ({"modules": ["demo"], "rlimits": {7: 1}}, "'rlimits' has no limit"),
        ({"modules": ["demo"], "rlimits": {"cpu": -1}}, "'rlimits' has for 'cpu'"),
        ({"modules": ["demo"], "rlimits": {"cpu": [1]}}, "'rlimits' has for 'cpu'"),
        ({"modules": ["demo"], "rlimits": {"cpu": [2, 1]}}, "'rlimits' has for 'cpu'"),
        ({"modules": ["demo"], "rlimits": {"cpu": [None, 1]}}, "'rlimits' has for 'cpu'"),
        ({"modules": ["demo"], "worker": 2}, "unknown key 'worker'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_by_name(wrong, options, reason):
    error = wrong.error("open", options)
    assert error["code"] == "bad-request" and reason in error["message"], error
    assert set(pools(wrong)) == {"default"}


@pytest.fixture(scope="module")
def wrong():
    """One connection to one daemon for all these requests."""
    server = Daemon(workers=1).await_ready()
    yield server.connect()
    server.finish()


# Who may


@pytest.mark.usefixtures("as_root")
def test_other_users_may_not_open_pools(daemon):
    client = daemon(mode=0o666).connect(uid=ALICE)
    error = client.error("open", {"modules": [PROBE]})
    assert error["code"] == "denied" and "administrator" in error["message"]


@pytest.mark.usefixtures("as_root")
def test_other_users_see_nothing_of_a_pool(daemon):
    server = daemon(mode=0o666)
    owner, alice = server.connect(), server.connect(uid=ALICE)
    pool = open_pool(owner)
    assert set(pools(alice)) == {"default"}
    assert {row["pool"] for row in alice.call("functions")} == {"default"}
    for method, *params in (["apply", "probe.pid", [], {"pool": pool}], ["subscribe", {"pool": pool}],
                            ["functions", {"pool": pool}]):  # fmt: skip
        assert alice.error(method, *params)["code"] == "no-such-pool"
    for method in ("close", "join", "terminate"):
        assert alice.error(method, pool) == alice.error(method, "no-such-pool")
    assert alice.error("apply", "probe.pid", [])["code"] == "unknown-function"


def test_another_session_of_the_same_user_can_name_it(server, client):
    pool, other = open_pool(client), server.connect()
    assert other.error("apply", "probe.pid", [])["code"] == "unknown-function"
    assert other.call("apply", "probe.pid", [], {"pool": pool}) in server.worker_pids(pool)


def test_pools_and_workers_of_a_session_are_limited(daemon):
    server = daemon(workers=1, limits={"pools_session": 2, "workers_session": 5})
    client, other = server.connect(), server.connect()
    first = open_pool(client, workers=3)
    assert client.error("open", {"modules": [PROBE], "workers": 3})["limit"] == "workers_session"
    open_pool(client, workers=1)
    assert client.error("open", {"modules": [PROBE], "workers": 1})["limit"] == "pools_session"
    open_pool(other, workers=5)
    client.call("terminate", first)
    client.call("join", first)
    assert open_pool(client, workers=4) == f"session-{client.call('hello')['session']}.3"


# How it ends


def test_a_closed_pool_takes_nothing_and_finishes_all(client, gate):
    pool, held = open_pool(client, workers=1), gate()
    running = client.request("apply", "probe.hold", [held.path], {"pool": pool})
    waiting = client.call("apply_async", "probe.pid", [], {"pool": pool})
    held.await_held()
    assert client.call("close", pool) is None and client.call("close", pool) is None
    assert client.error("apply", "probe.pid", [], {"pool": pool})["code"] == "pool-closed"
    assert client.error("apply", "probe.pid", [])["code"] == "pool-closed"
    assert client.error("join", pool, 0)["code"] == "not-ready"
    assert pools(client)[pool]["state"] == "closed"
    joined = client.request("join", pool)
    held.release()
    assert client.response(running) is None
    client.push("result", lambda p: p[0] == waiting)
    assert client.response(joined) is None
    assert client.error("apply", "probe.pid", [], {"pool": pool})["code"] == "pool-closed"
    # Its results are still there.
    assert client.call("wait", waiting) > 0 and client.call("job", waiting)["pool"] == pool


def test_a_pool_is_joined_after_close_and_as_often_as_one_likes(client):
    pool = open_pool(client)
    error = client.error("join", pool)
    assert error["code"] == "bad-request" and "close" in error["message"]
    client.call("close", pool)
    for _ in range(2):
        assert client.call("join", pool, 10) is None
        assert client.call("close", pool) is None
        assert client.call("terminate", pool) is None


def test_a_join_waits_no_longer_than_it_may(client, gate):
    pool, held = open_pool(client, workers=1), gate()
    client.call("apply_async", "probe.hold", [held.path], {"pool": pool})
    held.await_held()
    client.call("close", pool)
    assert client.error("join", pool, 0.05)["code"] == "not-ready"
    held.release()
    assert client.call("join", pool) is None


def test_terminating_cancels_what_runs_and_what_waits(server, client, gate):
    before = descendants(server.pid)
    pool, held = open_pool(client, workers=1), gate()
    running = client.request("apply", "probe.hold", [held.path], {"pool": pool})
    held.await_held()
    waiting = client.request("map", "probe.pid", [1, 2, 3], {"pool": pool})
    kept = client.call("apply_async", "probe.pid", [], {"pool": pool, "detach": True})
    assert client.call("terminate", pool) is None and client.call("terminate", pool) is None
    for msgid in (running, waiting):
        with pytest.raises(RpcError) as failed:
            client.response(msgid)
        error = failed.value.error
        assert error["code"] == "cancelled" and pool in error["message"] and "terminated" in error["message"]
    assert client.error("wait", kept)["code"] == "cancelled"
    assert client.call("join", pool) is None
    nothing_left(server, client, before)


def test_a_configured_pool_is_not_to_be_closed(client):
    for method in ("close", "join", "terminate"):
        error = client.error(method, "default")
        assert error["code"] == "denied" and "drain" in error["message"]
        assert client.error(method, "session-999.1")["code"] == "no-such-pool"
    assert client.call("apply", "demo.inc", [1]) == 2


@pytest.mark.memcheck
def test_a_pool_goes_with_its_connection(server, client, gate):
    before = descendants(server.pid)
    owner, held = server.connect(), gate()
    pool = open_pool(owner)
    owner.call("apply_async", "probe.hold", [held.path], {"pool": pool, "detach": True})
    held.await_held()
    job = client.call("apply_async", "probe.hold", [held.path], {"pool": pool})
    pids = descendants(server.pid) - before
    owner.close()
    await_end(pids)
    eventually(lambda: set(pools(client)) == {"default"})
    assert client.error("wait", job)["code"] == "cancelled"
    nothing_left(server, client, before)


def test_a_pool_goes_when_its_program_is_killed(server, client):
    before = descendants(server.pid)
    script = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import rpc; c = rpc.Client({str(server.path)!r})\n"
        f"print(c.call('open', {{'modules': [{PROBE!r}], 'workers': 2}})['pool'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        pool = program.stdout.readline().decode().strip()
        assert pool in pools(client)
        pids = descendants(server.pid) - before
        program.send_signal(signal.SIGKILL)
    await_end(pids)
    eventually(lambda: pool not in pools(client))
    nothing_left(server, client, before)


def test_a_session_may_end_while_its_pool_opens(server, client, tmp_path, gate):
    before = descendants(server.pid)
    held = gate()
    slow = tmp_path / "slow.py"
    slow.write_text(f"open({held.path!r}).read()\n")
    owner = server.connect()
    owner.request("open", {"runtime": PLAIN, "modules": [str(slow)], "workers": 1})
    held.await_held()
    pids = descendants(server.pid) - before
    owner.close()
    await_end(pids)
    eventually(lambda: set(pools(client)) == {"default"})
    nothing_left(server, client, before)


def test_sixteen_pools_live_side_by_side(server, client):
    before = descendants(server.pid)
    names = [open_pool(client, workers=1) for _ in range(16)]
    assert client.error("open", {"modules": [PROBE], "workers": 1})["limit"] == "pools_session"
    assert client.error("apply", "probe.pid", [])["code"] == "ambiguous"
    assert len({client.call("apply", "probe.pid", [], {"pool": name}) for name in names}) == 16
    for name in names:
        client.call("close", name)
    for name in names:
        client.call("join", name)
    nothing_left(server, client, before)


def test_pools_come_and_go_many_times(server, client):
    client.call("ping")
    fds = len(os.listdir(f"/proc/{server.pid}/fd"))
    for i in range(30):
        pool = open_pool(client, workers=1)
        client.call("apply_async", "probe.pid", [], {"pool": pool})
        client.call(("close", "terminate")[i % 2], pool)
        assert client.call("join", pool) is None
    eventually(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) == fds)


def test_the_daemon_ends_with_pools_of_sessions_open(server, client, gate):
    pool, held = open_pool(client, workers=1), gate()
    client.call("apply_async", "probe.hold", [held.path], {"pool": pool})
    held.await_held()
    client.call("close", pool)
    client.request("join", pool)
    server.kill()
    held.release()
    assert server.await_exit() == 0


def test_events_of_a_pool_tell_its_life(server, client):
    client.call("subscribe", {})
    pool = open_pool(client, workers=1)
    client.event("pool", pool=pool, state="ready")
    client.call("close", pool)
    client.event("pool", pool=pool, state="closed")
    client.event("pool", pool=pool, state="ended")


def test_the_example_runs(server):
    """client/examples/own_pool.c"""
    env = os.environ | {"PROCPOOL_SOCKET": str(server.path)}
    out = subprocess.run([f"{BUILD}/client/examples/example-own-pool"], env=env, check=True, capture_output=True, text=True)
    assert out.stdout.endswith(": the numbers from 2 to 101 are 5150 together\n")

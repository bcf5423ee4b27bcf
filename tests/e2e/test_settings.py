# SPDX-License-Identifier: MIT
"""What the configuration says of a pool's processes, as their system sees them."""

import os
import pathlib

import pytest
from procpoold import PROBE, children

THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"]


@pytest.fixture
def pool(start):
    """Starts a daemon with one pool of these settings."""

    def make(env=None, setup=None, **settings):
        settings = {"modules": ["demo", PROBE], "workers": 2} | settings
        return start(workers=None, pools={"p": settings}, env=env, setup=setup)

    return make


def processes(server):
    return server.worker_pids() | children(server.pid)


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def limits_of(pid):
    rows = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {row[:26].strip(): row[26:].split()[:2] for row in rows}


def priority_of(pid):
    return os.getpriority(os.PRIO_PROCESS, pid)


def variables(client, names):
    return {name: client.call("apply", "probe.environment", [name]) for name in names}


def test_processes_are_as_their_pool_says(pool, tmp_path):
    tmp_path.chmod(0o755)
    cpu = min(os.sched_getaffinity(0))
    server = pool(cwd=str(tmp_path), umask="027", nice=3, affinity=[cpu], cpu_seconds=1000, open_files=300,
                  core_bytes="1M").await_ready()  # fmt: skip
    for pid in processes(server):
        limits = limits_of(pid)
        assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)
        assert status_of(pid)["Umask"] == "0027"
        assert priority_of(pid) == priority_of(server.pid) + 3
        assert os.sched_getaffinity(pid) == {cpu}
        assert limits["Max cpu time"] == ["1000", "1001"]
        assert limits["Max open files"] == ["300", "300"]
        # Sanitizers set the soft limit themselves.
        assert limits["Max core file size"][1] == "1048576"
    assert status_of(server.pid)["Umask"] != "0027"


def test_processes_gain_no_privileges_and_are_killed_before_the_daemon(pool):
    server = pool().await_ready()
    own = int(pathlib.Path(f"/proc/{server.pid}/oom_score_adj").read_text())
    for pid in processes(server):
        assert status_of(pid)["NoNewPrivs"] == "1"
        assert int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text()) == max(own, 500)


def test_the_environment_is_the_daemons_and_the_pools(pool):
    env = {"PROBE_KEPT": "kept", "PROBE_REPLACED": "old"}
    client = pool(env=env, environment=["PROBE_REPLACED=new", "PROBE_ADDED=a=b"]).await_ready().connect()
    assert variables(client, ["PROBE_KEPT", "PROBE_REPLACED", "PROBE_ADDED", "PROBE_NONE"]) == {
        "PROBE_KEPT": "kept", "PROBE_REPLACED": "new", "PROBE_ADDED": "a=b", "PROBE_NONE": None}  # fmt: skip


def test_libraries_are_told_their_share_of_the_processors(pool):
    client = pool(env={"MKL_NUM_THREADS": "7"}, workers=64, environment=["OMP_NUM_THREADS=5"]).await_ready().connect()
    assert variables(client, THREADS) == {
        "OMP_NUM_THREADS": "5", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "7",
        "NUMEXPR_NUM_THREADS": "1"}  # fmt: skip
    client = pool(workers=1, affinity=[min(os.sched_getaffinity(0))]).await_ready().connect()
    assert set(variables(client, THREADS).values()) == {"1"}


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"cwd": "/nonexistent/place"}, "cannot change to directory /nonexistent/place: No such file or directory"),
        ({"open_files": 2**30}, "cannot set the limit of open files: Operation not permitted"),
        ({"affinity": [1023]}, "to its processors: Invalid argument"),
    ],
)
def test_a_setting_that_is_impossible_is_told(pool, settings, told):
    server = pool(**settings)
    error = server.connect().error("apply", "demo.inc", [1])
    assert error["code"] == "initializer-failed" and told in error["message"]
    assert told in server.stderr()


def test_a_worker_that_has_used_up_its_processor_time_is_told_by_the_signal(pool):
    client = pool(workers=1, cpu_seconds=1).await_ready().connect()
    error = client.error("apply", "demo.spin", [60000])
    assert error["code"] == "worker-lost" and "CPU time limit exceeded" in error["message"]
    assert client.call("apply", "demo.inc", [1]) == 2


@pytest.mark.parametrize("listen", [True, False])
def test_functions_find_the_daemon_that_runs_them(daemon, listen):
    server = daemon(listen=listen, modules=[PROBE], env={"PROCPOOL_SOCKET": "/nowhere/else"})
    client = server.connect()
    assert variables(client, ["PROCPOOL_SOCKET"]) == {"PROCPOOL_SOCKET": str(server.path)}
    own = client.call("open", {"modules": [PROBE], "workers": 1, "env": {"PROCPOOL_SOCKET": None}})["pool"]
    assert client.call("apply", "probe.environment", ["PROCPOOL_SOCKET"], {"pool": own}) == str(server.path)

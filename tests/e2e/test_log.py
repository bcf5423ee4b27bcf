# SPDX-License-Identifier: MIT
"""What an administrator finds in the log: one line for each worker that ended as it should not have, which says everything."""

import os
import pathlib
import re
import signal

import pytest
from procpoold import PROBE, PYTHON, children, eventually

PLAIN = [PYTHON, str(pathlib.Path(__file__).parent / "plain_runtime.py")]
USER = os.geteuid()


def grave(server):
    """What is logged as a warning or an error, without its time."""
    return re.findall(r"^\S+ \S+ procpoold: ((?:warning|error): .*)$", server.stderr(), re.M)


def one(server):
    """The only line of that kind, which comes."""
    [line] = eventually(lambda: grave(server))
    return line


@pytest.mark.memcheck
def test_a_crash_is_one_line_that_says_everything(probe):
    server = probe(workers=1)
    error = server.connect().error("apply", "probe.say_and_abort", ["no such table\nin the third"])
    assert re.fullmatch(
        rf"warning: pool default: worker 1 \(pid {error['pid']}\) was ended by signal 6 \(SIGABRT\); "
        rf"it ran probe.say_and_abort of job {error['job']} of user {USER}(, for \d+\.\d+ s)?: 1 task is lost; "
        r"it used \d+\.\d MiB at most; last on standard error: no such table \| in the third",
        one(server),
    )


def test_a_task_that_is_to_run_again_is_not_lost(probe):
    server = probe(workers=1)
    server.connect().error("apply", "probe.say_and_abort", ["x"], {"retries": 1})
    first, second = eventually(lambda: len(grave(server)) == 2 and grave(server))
    assert ", attempt 1 of 2: 1 task is to run again; " in first
    assert ", attempt 2 of 2: 1 task is lost; " in second


def test_an_element_of_a_map_is_told_by_its_place(probe):
    server = probe(workers=1)
    client = server.connect()
    client.call("map", "probe.say_and_abort", [5, 5, "x", 5], {"errors": "collect", "chunksize": 4})
    assert re.search(r"; it ran probe.say_and_abort, task 2 of job \d+ of user \d+.*: 1 task is lost; ", one(server))


def test_an_idle_worker_that_is_killed_is_one_line(probe):
    server = probe(workers=1)
    [pid] = server.await_workers(1)
    os.kill(pid, signal.SIGKILL)
    assert re.fullmatch(
        rf"warning: pool default: worker 1 \(pid {pid}\) was ended by signal 9 \(SIGKILL\); nothing ran in it; "
        r"it used \d+\.\d MiB at most",
        one(server),
    )


def test_a_worker_that_exits_is_one_line(daemon):
    """One that is a process of its own, and so the daemon's to wait for."""
    functions = pathlib.Path(__file__).parent / "plain_functions.py"
    server = daemon(pools={"plain": {"runtime": PLAIN, "modules": [str(functions)], "workers": 1}})
    error = server.connect().error("apply", "plain_functions:leave", [7])
    assert error["exit_status"] == 7
    assert re.fullmatch(
        rf"warning: pool plain: worker 1 \(pid {error['pid']}\) exited with status 7; it ran plain_functions:leave of "
        r"job \d+ of user \d+, for \d+\.\d+ s: 1 task is lost; it used \d+\.\d MiB at most",
        one(server),
    )


def test_a_task_that_is_past_its_time_and_does_not_stop_is_one_line(daemon):
    server = daemon(pools={"default": {"modules": ["demo", PROBE], "workers": 1, "stop_seconds": 0}})
    error = server.connect().error("apply", "demo.sleep", [100], {"timeout": 0.1})
    assert error["code"] == "timeout"
    assert re.fullmatch(
        rf"warning: pool default: worker 1 \(pid {error['pid']}\) was killed: a task that it ran did not stop; it ran "
        r"demo.sleep of job \d+ of user \d+, for 0\.[1-9]\d\d s: 1 task is lost; it used \d+\.\d MiB at most",
        one(server),
    )


def test_a_worker_that_is_killed_for_its_memory_is_one_line(daemon, gate):
    held = gate()
    server = daemon(pools={"default": {"modules": ["demo", PROBE], "workers": 1, "memory": 400 << 20}})
    error = server.connect().error("apply", "probe.hog", [464 << 20, held.path])
    assert error["code"] == "out-of-memory"
    assert re.match(
        rf"warning: pool default: worker 1 \(pid {error['pid']}\) was killed: it used \d+\.\d MiB of memory, and may use "
        r"400\.0 MiB; it ran probe.hog of job \d+ of user \d+, for \d+\.\d+ s: 1 task is lost; ",
        one(server),
    )


def test_what_somebody_wanted_is_no_warning(daemon, gate):
    server = daemon(pools={"default": {"modules": ["demo", PROBE], "workers": 1, "stop_seconds": 0}})
    client, held = server.connect(), gate()
    waiting = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    client.call("cancel", {"request": waiting})
    eventually(lambda: "info: pool default: worker 1" in server.stderr())
    [pid] = server.await_workers(1)
    client.call("kill", pid)
    eventually(lambda: "an administrator had it killed; nothing ran in it" in server.stderr())
    killed = r"info: .* was killed: a task that it ran did not stop; it ran probe.hold .*, which nobody waits for"
    assert re.search(killed, server.stderr())
    assert grave(server) == []


def test_a_spawners_end_is_one_line_and_one_for_each_task_lost_with_it(probe, gate):
    server = probe(workers=2)
    client, held = server.connect(), gate()
    [spawner] = children(server.pid)
    waiting = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    os.kill(spawner, signal.SIGKILL)
    assert client.take(lambda m: m[0] == 1 and m[1] == waiting)[2]["code"] == "worker-lost"
    runtime, worker = grave(server)
    assert runtime == (
        "warning: pool default: its runtime was ended by signal 9 (Killed); 2 workers have ended with it"
    )
    assert re.search(r"worker \d .*: the pool's spawner ended; it ran probe.hold .*: 1 task is lost", worker)


def test_a_worker_that_breaks_the_protocol_is_one_line(daemon):
    evil = str(pathlib.Path(__file__).parent / "evil_runtime.py")
    server = daemon(pools={"evil": {"runtime": [PYTHON, evil, "writes_nonsense_in_a_task"], "workers": 1}})
    server.connect().error("apply", "evil.f", [])
    assert re.search(r" was killed: sent what is not MessagePack; it ran evil.f of job .*: 1 task is lost", one(server))


def test_a_worker_that_does_not_start_is_an_error(daemon):
    server = daemon(pools={"broken": {"modules": ["demo", PROBE], "workers": 1, "initargs": ["abort"]}})
    eventually(lambda: grave(server))
    assert re.fullmatch(
        r"error: pool broken: worker 1 \(pid \d+\) was ended by signal 6 \(SIGABRT\) before it was ready; "
        r"it used \d+\.\d MiB at most; last on standard error: no such table",
        grave(server)[0],
    )


def test_a_slow_task_is_one_line_when_it_has_ended(daemon):
    server = daemon(pools={"default": {"modules": ["demo", PROBE], "workers": 1, "slow_seconds": 0.1}})
    client = server.connect()
    client.call("apply", "demo.sleep", [0.01])
    job = client.call("apply_async", "demo.sleep", [0.2])
    client.push("result")
    [pid] = server.worker_pids()
    assert re.fullmatch(
        rf"warning: pool default: demo.sleep of job {job} of user {USER} ran for 0\.2\d\d s: done, in worker 1 \(pid {pid}\)",
        one(server),
    )


def test_a_task_that_hangs_is_seen_while_it_does(daemon):
    """With what the daemon says of all pools."""
    server = daemon(config="slow_seconds = 0.5\n", pools={"default": {"modules": ["demo", PROBE], "workers": 1}})
    server.connect().request("map", "demo.sleep", [0, 100], {"chunksize": 2})
    assert re.fullmatch(
        rf"warning: pool default: demo.sleep, task 1 of job \d+ of user {USER} runs for [12]\.\d\d\d s already, "
        r"in worker 1 \(pid \d+\)",
        one(server),
    )


def test_sessions_and_jobs_are_followed_at_the_level_debug(probe):
    server = probe(workers=1, log_level="debug")
    client = server.connect()
    client.call("hello", {"client": "a\nclient"})
    job = client.call("map_async", "demo.inc", [1, 2, 3])
    client.push("result")
    client.error("apply", "probe.fail", ["ValueError", "the secret of a caller", None])
    client.close()
    eventually(lambda: re.search("debug: session [0-9]+ of user [0-9]+: ends", server.stderr()))
    told = re.findall(r"debug: (.*)$", server.stderr(), re.M)
    assert f"session 1 of user {USER}: begins" in told
    times = r"waited \d\.\d{6} s, ran \d\.\d{6} s"
    mapped = rf"pool default: job {job} of user {USER}, client a\\x0aclient: demo.inc of 3 tasks: done; {times}"
    assert [line for line in told if re.fullmatch(mapped, line)]
    failed = rf"pool default: job {job + 1} of user {USER}, client .*: probe.fail of 1 task: function-failed; {times}"
    assert [line for line in told if re.fullmatch(failed, line)]
    assert "secret" not in server.stderr() and "ValueError" not in server.stderr()


@pytest.mark.usefixtures("as_root")
def test_who_is_refused_is_told_with_his_user(daemon):
    access = {"call": [], "observe": ["64100"], "administer": []}
    pool = {"modules": ["demo"], "workers": 1, "access": access}
    server = daemon(mode=0o666, access={}, pools={"default": pool})
    assert server.connect(uid=64100).error("apply", "demo.inc", [1])["code"] == "denied"
    assert re.search(
        r"info: session \d+ of user 64100 is refused: apply needs the right to call$", server.stderr(), re.M
    )
    server.connect(uid=64101).receive()
    assert "info: refusing a connection of user 64101, who has no right here\n" in server.stderr()

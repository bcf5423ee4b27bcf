# SPDX-License-Identifier: MIT
"""What workers print: to the log, limited and harmless, and the end of it into the error of a lost task."""

import os
import pathlib
import re
import signal
import time

import pytest
from procpoold import PROBE, PYTHON, eventually

HERE = pathlib.Path(__file__).parent
PLAIN = [PYTHON, str(HERE / "plain_runtime.py")]


def lines(server, text):
    return [line for line in server.stderr().splitlines() if text in line]


def line(server, text):
    """The one line of the log with this text, without its time."""
    eventually(lambda: lines(server, text))
    [found] = lines(server, text)
    return found.partition(" procpoold: ")[2]


@pytest.mark.memcheck
def test_what_a_function_prints_is_logged_with_pool_worker_and_job(probe):
    server = probe(workers=1)
    client = server.connect()
    job = client.call("apply_async", "probe.say", ["stdout", "to one\n"])
    client.push("result")
    [pid] = server.worker_pids()
    assert line(server, "to one") == f"info: pool default: worker 1 (pid {pid}, job {job}, stdout): to one"
    job = client.call("apply_async", "probe.say", ["stderr", "to other\n"])
    client.push("result")
    assert line(server, "to other") == f"info: pool default: worker 1 (pid {pid}, job {job}, stderr): to other"


@pytest.mark.memcheck
def test_text_without_a_newline_is_logged_with_its_own_job(probe):
    server = probe(workers=1)
    client = server.connect()
    job = client.call("apply_async", "probe.say", ["stdout", "no end"])
    client.push("result")
    assert line(server, "no end").endswith(f"job {job}, stdout): no end")
    client.call("apply", "probe.say", ["stdout", "beginning"])
    client.call("apply", "probe.say", ["stdout", " and end\n"])
    eventually(lambda: lines(server, "and end"))


def test_what_loading_and_initializers_print_is_logged(daemon):
    """The first process of a runtime that does not fork, and the native spawner."""
    functions = str(HERE / "plain_functions.py")
    plain = {"runtime": PLAIN, "modules": [functions], "initializer": "plain_functions:say", "initargs": ["begun"]}
    native = {"modules": ["demo", PROBE], "initializer": "probe.print", "initargs": ["began"]}
    server = daemon(workers=1, env={"PROBE_LOADED": "loaded"}, pools={"plain": plain, "native": native})
    assert re.search(r"pool plain: worker 1 \(pid \d+, stdout\): begun", line(server, "begun"))
    eventually(lambda: len(lines(server, "began")) == 2)
    for stream in ("stdout", "stderr"):
        assert re.search(rf"pool native: worker 1 \((pid \d+, )?{stream}\): began", server.stderr())
    # Not once more by each worker that was forked with it.
    assert re.search(r"pool native: runtime \(pid \d+, stdout\): loaded", line(server, "loaded"))


def test_workers_of_a_spawner_that_takes_no_output_print_where_it_does(daemon):
    server = daemon(pools={"forking": {"runtime": [PYTHON, str(HERE / "forking_runtime.py")], "workers": 2}})
    client = server.connect()
    client.call("map", "forking.print", [["one"], ["two"]], {"star": True, "chunksize": 1})
    for text in ("one", "two"):
        assert re.search(rf"pool forking: runtime \(pid \d+, stdout\): {text}", line(server, text))


@pytest.mark.memcheck
def test_garbage_and_escape_sequences_are_harmless(probe):
    server = probe(workers=1)
    client = server.connect()
    garbage = bytes(range(256)) + b"\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\xe2\x82\r\x00\xe2\x80\xa9" + os.urandom(5000)
    client.call("apply", "probe.say", ["stdout", garbage])
    client.call("apply", "probe.say", ["stdout", b"\n2026-01-01 00:00:00.000 procpoold: error: forged\n<0>after\n"])
    eventually(lambda: lines(server, "after"))
    log = (server.dir / "stderr").read_bytes()
    assert re.search(rb"[^\n\x20-\x7e\xa0-\xff]", log.decode(errors="replace").encode("latin1", "replace")) is None
    assert all(re.match(r"\d{4}-\d\d-\d\d .* procpoold: (info|warning): ", each) for each in server.stderr().splitlines())
    assert "\\x1b[2J\\x1b]0;owned\\x07\\xc2\\x9b31m\\xe2\\x82\\x0d\\x00" in server.stderr()


def test_a_long_line_comes_in_pieces(probe):
    server = probe(workers=1)
    client = server.connect()
    client.call("apply", "probe.say", ["stdout", b"x" * 5000 + b"\n"])
    eventually(lambda: sum(each.count("x") for each in lines(server, "stdout): xx")) == 5000)
    assert len(lines(server, "stdout): xx")) == 5
    assert max(map(len, server.stderr().splitlines())) < 1200


def test_a_line_of_a_mebibyte_is_logged_in_part(probe):
    server = probe(workers=1)
    client = server.connect()
    client.call("apply", "probe.say", ["stdout", b"y" * (1 << 20) + b"\n"])
    eventually(lambda: lines(server, "dropped"))
    assert 32 << 10 < sum(each.count("y") for each in lines(server, "stdout): yy")) <= 64 << 10
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_flood_is_limited_and_says_so_and_delays_nobody(probe):
    server = probe(workers=2)
    flooding, client = server.connect(), server.connect()
    before = server.stderr().count("\n")
    flood = flooding.request("apply", "probe.say", ["stdout", b"flood\n", 500_000])
    worst = 0
    eventually(lambda: lines(server, "flood"))
    for i in range(200):
        begin = time.monotonic()
        assert client.call("apply", "demo.inc", [i]) == i + 1
        worst = max(worst, time.monotonic() - begin)
    assert worst < 1
    assert flooding.response(flood) == 500_000
    dropped = re.compile(r"worker \d \(pid \d+, all that it says\): dropped (\d+) lines: more than 100 lines")

    def told():
        return sum(map(int, dropped.findall(server.stderr())))

    eventually(lambda: told() + len(lines(server, "stdout): flood")) == 500_000)
    assert server.stderr().count("\n") - before < 100 * 20


def test_a_worker_that_prints_in_a_loop_can_be_killed_and_costs_little(probe):
    server = probe(workers=1)
    client = server.connect()
    endless = client.request("apply", "probe.say", ["stderr", b"again\n", 1 << 50])
    eventually(lambda: lines(server, "again"))
    [pid] = server.worker_pids()
    os.kill(pid, signal.SIGKILL)
    error = client.take(lambda m: m[0] == 1 and m[1] == endless)[2]
    assert error["code"] == "worker-lost"
    assert set(error["stderr"].strip().splitlines()[1:]) == {"again"} and len(error["stderr"]) <= 2048
    assert client.call("apply", "demo.inc", [1]) == 2


@pytest.mark.memcheck
def test_a_lost_task_says_what_was_last_on_standard_error(probe):
    client = probe(workers=1).connect()
    error = client.error("apply", "probe.say_and_abort", ["assertion failed: left != right"])
    assert (error["code"], error["signal"]) == ("worker-lost", signal.SIGABRT)
    assert error["stderr"] == "assertion failed: left != right\n"


def test_a_task_whose_worker_is_killed_past_its_timeout_says_it_too(daemon):
    pool = {"modules": ["demo", PROBE], "workers": 1, "stop_seconds": 0}
    client = daemon(pools={"default": pool}).connect()
    error = client.error("apply", "probe.say", ["stderr", "again\n", 1 << 50], {"timeout": 0.1})
    assert error["code"] == "timeout" and error["stderr"].endswith("again\nagain\n")


def test_a_lost_task_is_not_told_what_tasks_before_it_said(probe):
    client = probe(workers=1).connect()
    client.call("apply", "probe.say", ["stderr", "the secret of another\n"])
    client.call("ping")
    assert "stderr" not in client.error("apply", "demo.crash", [9])
    client.call("apply", "probe.say", ["stderr", "the secret of another\n"])
    assert client.error("apply", "probe.say_and_abort", ["mine"])["stderr"] == "mine\n"


def test_in_a_map_the_element_that_aborts_tells_its_message(probe):
    """However fast the elements before it were answered."""
    client = probe(workers=1).connect()
    for _ in range(20):
        results = client.call("map", "probe.say_and_abort", ["gone"] + [7] * 50, {"errors": "collect", "chunksize": 51})
        assert results[0][0]["stderr"].endswith("gone\n")
        assert [error["code"] for error, _ in results[1:]] == ["bad-request"] * 50


def test_the_tail_can_be_shown_and_is_limited(probe):
    client = probe(workers=1).connect()
    error = client.error("apply", "probe.say_and_abort", ["\x1b[31m" + "\u20ac" * 1000])
    assert error["stderr"] == "\u20ac" * 682 + "\n"
    assert client.error("apply", "probe.say_and_abort", ["\x1b[31mred"])["stderr"] == "\\x1b[31mred\n"


@pytest.mark.memcheck
def test_a_worker_that_dies_at_its_start_says_why(daemon):
    server = daemon(pools={"broken": {"modules": ["demo", PROBE], "workers": 1, "initargs": ["abort"]}})
    [pool] = eventually(lambda: [p for p in server.connect().call("pools") if p["error"]])
    assert pool["error"]["code"] == "initializer-failed"
    assert pool["error"]["stderr"] == "no such table\n"


def test_a_runtime_that_dies_at_its_start_says_why(daemon):
    server = daemon(pools={"broken": {"runtime": ["/bin/sh", "-c", "echo cannot go on >&2; exit 3"], "workers": 1}})
    [pool] = eventually(lambda: [p for p in server.connect().call("pools") if p["error"]])
    assert pool["error"]["stderr"] == "cannot go on\n"
    assert "runtime (pid" in line(server, "stderr): cannot go on") or len(lines(server, "stderr): cannot go on")) > 1


def test_a_process_that_a_task_left_prints_to_the_log(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    client.call("apply", "probe.leave_process", [held.path, "from a child"])
    assert not lines(server, "from a child")
    held.release()
    assert re.search(r"worker 1 \(pid \d+, stdout\): from a child", line(server, "from a child"))


@pytest.mark.memcheck
def test_a_process_that_holds_the_output_of_a_dead_worker_delays_nothing(probe, gate):
    server, held = probe(workers=1), gate()
    client = server.connect()
    client.call("apply", "probe.leave_process", [held.path, "too late"])
    held.await_held()
    begin = time.monotonic()
    assert client.error("apply", "probe.say_and_abort", ["mine"])["stderr"] == "mine\n"
    assert client.call("apply", "demo.inc", [1]) == 2
    assert time.monotonic() - begin < 10
    held.release()
    assert not lines(server, "too late")


def test_a_worker_has_pipes_of_its_own_and_leaves_no_descriptor_behind(probe):
    server = probe(workers=2)
    client = server.connect()

    def pipes(pid):
        return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (1, 2)}

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    first, second = (pipes(row["pid"]) for row in client.call("workers"))
    assert len(first) == len(second) == 2 and not first & second
    before = descriptors()
    for _ in range(10):
        client.error("apply", "demo.crash", [9])
    server.await_workers(2)
    eventually(lambda: descriptors() == before)


def test_the_log_level_keeps_what_workers_print_out(probe):
    server = probe(workers=1, log_level="warning")
    client = server.connect()
    client.call("apply", "probe.say", ["stderr", "unheard\n"])
    assert client.error("apply", "probe.say_and_abort", ["mine"])["stderr"] == "mine\n"
    assert "unheard" not in server.stderr()
    assert not lines(server, "stderr): mine")  # only as the end of what is told of the worker's

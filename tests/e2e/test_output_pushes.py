# SPDX-License-Identifier: MIT
"""What workers of a session's own pool print: all of it reaches the session, in order, before the results."""

import os
import pathlib
import select
import signal
import time

import pytest
from procpoold import PROBE, PYTHON, children, eventually, sanitized

HERE = pathlib.Path(__file__).parent
SMALL = {"output_bytes_session": 1 << 20, "output_bytes_user": 64 << 20}


@pytest.fixture
def opened(daemon):
    """Starts a daemon and opens a pool: the daemon, the connection that owns the pool, its name."""

    def make(limits=None, env=None, **settings):
        server = daemon(workers=1, limits=limits, env=env)
        client = server.connect()
        pool = client.call("open", {"modules": ["demo", PROBE], "workers": 1} | settings)["pool"]
        return server, client, pool

    return make


def say(client, pool, *args):
    return client.request("apply", "probe.say", list(args), {"pool": pool})


def outputs(messages, stream="stdout"):
    return b"".join(m[2][3] for m in messages if m[0] == 2 and m[1] == "output" and m[2][2] == stream)


def until(client, msgid):
    """All messages that came before the response to a request, its error and its result."""
    answer = client.take(lambda m: m[0] == 1 and m[1] == msgid)
    messages, client.inbox = client.inbox, []
    return messages, answer[2], answer[3]


def workers_of(client, pool):
    return [row["pid"] for row in client.call("workers") if row["pool"] == pool]


def is_stuck(pid):
    """Whether the process has written more than the owner may leave unread, and writes no more."""
    def written():
        lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))

    before = written()
    select.select([], [], [], 0.05)
    return written() == before > SMALL["output_bytes_session"]


def memory(server):
    """What it has, as far as that says something."""
    if sanitized():
        return 0
    return int(pathlib.Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.memcheck
def test_what_a_function_prints_reaches_the_session_before_its_result(opened):
    server, client, pool = opened()
    for i in range(100):
        text = b"%d \xff\x1b[2J" % i
        messages, error, _ = until(client, say(client, pool, "stdout", text))
        assert messages == [[2, "output", [pool, 1, "stdout", text]]] and error is None
    messages, _, _ = until(client, say(client, pool, "stderr", "complaint"))
    assert messages == [[2, "output", [pool, 1, "stderr", b"complaint"]]]
    assert "complaint" not in server.stderr()


def test_a_thousand_prints_come_in_order_and_each_before_its_result(opened):
    """Also where calls follow each other so fast that several are answered together."""
    _, client, pool = opened()
    msgids = [say(client, pool, "stdout", f"{i}\n") for i in range(1000)]
    text, done = b"", 0
    while done < len(msgids):
        message = client.receive()
        if message[0] == 1:
            assert message[1] == msgids[done] and message[2] is None
            done += 1
            assert len(text.splitlines()) >= done
        else:
            text += message[2][3]
    assert text == b"".join(b"%d\n" % i for i in range(1000))


def test_a_large_print_is_complete(opened):
    _, client, pool = opened()
    data = os.urandom(1 << 20)
    messages, error, _ = until(client, say(client, pool, "stdout", data, 5))
    assert error is None and outputs(messages) == data * 5
    assert all(len(m[2][3]) <= 1 << 16 for m in messages)


def test_several_workers_print_each_under_its_number(opened):
    _, client, pool = opened(workers=3)
    client.call("map", "probe.print", [str(i) for i in range(300)], {"pool": pool, "chunksize": 1})
    texts = {}
    for _, _, (name, worker, stream, data) in client.quiet():
        assert name == pool and stream in ("stdout", "stderr")
        texts[worker, stream] = texts.get((worker, stream), b"") + data
    assert {worker for worker, _ in texts} <= {1, 2, 3}
    for worker in {worker for worker, _ in texts}:
        assert texts[worker, "stdout"] == texts[worker, "stderr"]
    printed = b"".join(data for (_, stream), data in texts.items() if stream == "stdout")
    assert sorted(map(int, printed.split())) == list(range(300))


def test_what_a_killed_worker_has_printed_comes_before_the_error(opened):
    _, client, pool = opened()
    msgid = client.request("apply", "probe.say_and_abort", ["last words"], {"pool": pool})
    messages, error, _ = until(client, msgid)
    assert error["code"] == "worker-lost" and error["stderr"] == "last words\n"
    assert outputs(messages, "stderr") == b"last words\n"


def test_what_loading_and_initializers_print_comes_before_the_pool_is_open(daemon):
    client = daemon(workers=1, env={"PROBE_LOADED": "loaded\n"}).connect()
    settings = {"modules": ["demo", PROBE], "workers": 1, "initializer": "probe.print", "initargs": ["begun"]}
    messages, error, result = until(client, client.request("open", settings))
    assert error is None
    assert [m[2] for m in messages] == [
        [result["pool"], 0, "stdout", b"loaded\n"],
        [result["pool"], 1, "stdout", b"begun\n"],
        [result["pool"], 1, "stderr", b"begun\n"],
    ]


def test_a_pool_that_cannot_be_opened_says_what_it_printed(daemon):
    client = daemon(workers=1).connect()
    settings = {"runtime": ["/bin/sh", "-c", "echo no such table >&2; exit 3"], "workers": 1}
    messages, error, _ = until(client, client.request("open", settings))
    assert error["code"] == "initializer-failed" and error["stderr"] == "no such table\n"
    assert outputs(messages, "stderr").startswith(b"no such table\n")


def test_a_runtime_that_does_not_fork_prints_to_its_session_too(daemon):
    client = daemon(workers=1).connect()
    runtime = [PYTHON, str(HERE / "plain_runtime.py")]
    settings = {"runtime": runtime, "modules": [str(HERE / "plain_functions.py")], "workers": 1}
    pool = client.call("open", settings)["pool"]
    messages, _, _ = until(client, client.request("apply", "plain_functions:say", ["hello"], {"pool": pool}))
    assert messages == [[2, "output", [pool, 1, "stdout", b"hello\n"]]]


def test_others_are_not_told(opened):
    server, client, pool = opened()
    other = server.connect()
    other.call("subscribe", {})
    other.call("apply", "probe.say", ["stdout", "from another's call\n"], {"pool": pool})
    assert client.push("output") == [pool, 1, "stdout", b"from another's call\n"]
    assert not [m for m in other.quiet() if m[1] == "output"]


def test_an_owner_that_does_not_read_loses_nothing_and_blocks_nobody(opened):
    server, owner, pool = opened(limits=SMALL)
    other = server.connect()
    data, before = os.urandom(1 << 16), memory(server)
    [pid] = workers_of(other, pool)
    msgid = say(owner, pool, "stdout", data, 400)
    for i in range(100):
        begin = time.monotonic()
        assert other.call("apply", "demo.inc", [i], {"pool": "default"}) == i + 1
        assert time.monotonic() - begin < 1
    eventually(lambda: is_stuck(pid))
    assert memory(server) - before < 16 << 20
    messages, error, times = until(owner, msgid)
    assert error is None and times == 400 and outputs(messages) == data * 400


def test_results_of_printing_tasks_wait_while_the_owner_does_not_read(opened):
    """Else what they print would have to be kept, or to come after them."""
    server, owner, pool = opened(limits=SMALL)
    other = server.connect()
    data, before = "x" * 60000, memory(server)
    msgids = [say(owner, pool, "stdout", data) for _ in range(400)]
    for _ in range(50):
        assert other.call("ping") == "pong"
    assert memory(server) - before < 16 << 20
    total = done = 0
    while done < len(msgids):
        message = owner.receive()
        if message[0] == 2:
            total += len(message[2][3])
        else:
            done += 1
            assert message[2] is None and total >= done * len(data)
    assert total == 400 * len(data)


def test_a_runtime_cannot_fill_up_the_daemon_while_its_owner_does_not_read(daemon):
    server = daemon(workers=1, limits=SMALL)
    owner, other = server.connect(), server.connect()
    before, begin = memory(server), time.monotonic()
    runtime = [PYTHON, str(HERE / "evil_runtime.py"), "prints_and_logs_without_end"]
    owner.request("open", {"runtime": runtime, "workers": 1})
    while time.monotonic() - begin < 2:
        assert other.call("ping") == "pong"
        assert memory(server) - before < 32 << 20


def test_the_end_of_an_owner_that_did_not_read_is_the_end_of_its_workers(opened):
    server, owner, pool = opened(limits=SMALL)
    other = server.connect()
    [pid] = workers_of(other, pool)
    say(owner, pool, "stdout", "x" * 60000, 1 << 40)
    eventually(lambda: is_stuck(pid))
    owner.close()
    eventually(lambda: len(children(server.pid)) == 1)
    assert other.call("apply", "demo.inc", [1]) == 2


def test_a_printing_worker_that_is_killed_while_its_owner_does_not_read_is_replaced(opened):
    server, owner, pool = opened(limits=SMALL)
    other = server.connect()
    [pid] = workers_of(other, pool)
    msgid = say(owner, pool, "stdout", "x" * 60000, 1 << 40)
    eventually(lambda: is_stuck(pid))
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: workers_of(other, pool) not in ([pid], []))
    messages, error, _ = until(owner, msgid)
    assert error["code"] == "worker-lost"
    assert len(outputs(messages)) > SMALL["output_bytes_session"]
    assert owner.call("apply", "demo.inc", [1], {"pool": pool}) == 2

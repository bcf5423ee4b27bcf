# SPDX-License-Identifier: MIT
"""Every limit: reaching it is a clear error for that request alone, and what ends makes room again."""

import select

import pytest
from procpoold import eventually
from rpc import Closed, pack


@pytest.fixture
def limited(probe, gate):
    """Starts a daemon with these limits and one worker, which is held: (server, client, gate)."""

    def make(**limits):
        server = probe(workers=1, limits=limits)
        client, held = server.connect(), gate()
        client.call("apply_async", "probe.hold", [held.path])
        held.await_held()
        return server, client, held

    return make


def is_busy(error, limit):
    return (error["code"], error["limit"]) == ("busy", limit)


@pytest.mark.memcheck
@pytest.mark.parametrize("method", ["apply_async", "map_async"])
def test_jobs_of_a_session_are_limited(limited, method):
    _, client, held = limited(jobs_session=3)
    args = [1] if method == "apply_async" else [1, 2]
    jobs = [client.call(method, "demo.inc", args) for _ in range(2)]
    assert is_busy(client.error(method, "demo.inc", args), "jobs_session")
    assert is_busy(client.error("apply", "demo.inc", [1]), "jobs_session")
    held.release()
    for job in jobs:
        client.call("wait", job)
    assert client.call("apply", "demo.inc", [1]) == 2


def test_another_session_has_its_own_jobs(limited):
    server, client, held = limited(jobs_session=1)
    other = server.connect()
    job = other.call("apply_async", "demo.inc", [1])
    assert is_busy(client.error("apply_async", "demo.inc", [1]), "jobs_session")
    held.release()
    assert other.call("wait", job) == 2


def test_jobs_of_a_user_are_limited_over_all_sessions(limited):
    server, client, held = limited(jobs_user=2)
    other = server.connect()
    job = other.call("apply_async", "demo.inc", [1])
    for each in (client, other, server.connect()):
        assert is_busy(each.error("apply_async", "demo.inc", [1]), "jobs_user")
    held.release()
    assert other.call("wait", job) == 2
    assert client.call("apply", "demo.inc", [1]) == 2


def test_a_cancelled_job_makes_room(limited):
    _, client, held = limited(jobs_session=2)
    job = client.call("apply_async", "demo.inc", [1])
    client.call("cancel", job)
    assert type(client.call("apply_async", "demo.inc", [1])) is int
    held.release()


def test_a_session_that_ends_makes_room_for_its_user(limited):
    server, client, held = limited(jobs_user=2)
    other = server.connect()
    other.call("apply_async", "demo.inc", [1])
    other.close()
    eventually(lambda: client.call("stats")["sessions"] == 1)
    assert type(client.call("apply_async", "demo.inc", [1])) is int
    held.release()


@pytest.mark.parametrize("whose", ["session", "user"])
def test_bytes_of_arguments_are_limited(limited, whose):
    _, client, held = limited(**{f"queued_bytes_{whose}": 100000})
    job = client.call("apply_async", "demo.len", [b"x" * 60000])
    for method, params in (("apply", [b"x" * 60000]), ("map", [b"x" * 1000] * 60)):
        assert is_busy(client.error(method, "demo.len", params), f"queued_bytes_{whose}")
    small = client.call("apply_async", "demo.len", [b"x"])
    held.release()
    assert (client.call("wait", job), client.call("wait", small)) == (60000, 1)
    assert client.call("apply", "demo.len", [b"x" * 60000]) == 60000


def test_calls_of_wait_are_limited(limited):
    server, client, held = limited(waits_session=3)
    job = client.call("apply_async", "demo.inc", [1])
    waits = [client.request("wait", job) for _ in range(3)]
    assert is_busy(client.error("wait", job), "waits_session")
    assert client.error("wait", job, 0)["code"] == "not-ready"
    assert server.connect().error("wait", job, 0.01)["code"] == "not-ready"
    held.release()
    assert [client.response(msgid) for msgid in waits] == [2, 2, 2]
    assert client.call("wait", job) == 2


def test_subscriptions_are_limited(limited):
    server, client, held = limited(subscriptions_session=2)
    jobs = [client.call("apply_async", "demo.inc", [i]) for i in range(3)]
    for job in jobs[:2]:
        client.call("subscribe", {"job": job})
    assert is_busy(client.error("subscribe", {"job": jobs[2]}), "subscriptions_session")
    server.connect().call("subscribe", {})
    assert client.call("unsubscribe", {"job": jobs[0]}) is True
    client.call("subscribe", {"job": jobs[2]})
    held.release()


@pytest.mark.parametrize("limit", ["connections", "connections_user"])
def test_connections_are_limited(daemon, limit):
    server = daemon(limits={limit: 3})
    clients = [server.connect() for _ in range(3)]
    for each in clients:
        each.call("ping")
    [[kind, name, [error]]] = server.connect().closed()
    assert (kind, name) == (2, "error") and is_busy(error, limit)
    clients.pop().close()
    eventually(lambda: clients[0].call("stats")["sessions"] == 2)
    assert server.connect().call("ping") == "pong"


def test_a_name_longer_than_allowed_is_a_bad_request(daemon):
    client = daemon(limits={"name_bytes": 20}).connect()
    assert client.error("apply", "demo." + "x" * 16, [])["code"] == "bad-request"
    assert client.error("apply", "demo." + "x" * 15, [])["code"] == "unknown-function"


def test_a_page_of_jobs_is_limited(daemon):
    client = daemon(limits={"jobs_page": 5}).connect()
    for i in range(8):
        client.call("wait", client.call("apply_async", "demo.inc", [i]))
    assert len(client.call("jobs")) == 5 and len(client.call("jobs", {"limit": 5})) == 5
    assert client.error("jobs", {"limit": 6})["code"] == "bad-request"


def test_a_message_must_end_within_its_time(daemon):
    server = daemon(limits={"frame_seconds": 1})
    client, other = server.connect(), server.connect()
    message = pack([0, 1, "ping", []])
    client.send(message + message[:3])
    assert client.response(1) == "pong"
    [[kind, name, [error]]] = client.closed()
    assert (kind, name, error["code"]) == (2, "error", "bad-request")
    assert other.call("ping") == "pong"


def test_a_message_that_trickles_in_must_end_within_its_time_as_well(daemon):
    server = daemon(limits={"frame_seconds": 1})
    client = server.connect()
    client.send(pack([0, 1, "ping", ["x" * 100000]])[:50])

    closed = []
    while not closed:
        try:
            client.send(b"x")
            client.take(lambda m: False, timeout=0.05)
        except TimeoutError:
            continue
        except (Closed, OSError):
            closed = client.inbox
    assert closed[-1][:2] == [2, "error"]


def test_an_idle_connection_between_messages_stays(daemon):
    client = daemon(limits={"frame_seconds": 1}).connect()
    client.call("ping")
    with pytest.raises(TimeoutError):
        client.receive(timeout=1.5)
    assert client.call("ping") == "pong"


def write_until_full(client, data):
    """Writes the data again and again and reads nothing, until for a second the daemon reads nothing either."""
    view, sent = memoryview(data * 10), 0
    while sent < 64 << 20:
        if not select.select([], [client.sock], [], 1)[1]:
            return
        try:
            sent += client.sock.send(view[sent % len(data) :][:65536])
        except OSError:
            return  # closed already
    raise AssertionError("the daemon takes requests without end from a client that reads nothing")


@pytest.mark.parametrize("request_", [["ping", []], ["workers", []], ["apply", ["demo.echo", [b"x" * 3000]]]])
def test_a_client_that_never_reads_is_not_served_without_end(daemon, request_):
    server = daemon(limits={"output_bytes_session": 200000})
    client, other = server.connect(), server.connect()
    write_until_full(client, pack([0, 1, *request_]) * 100)
    assert other.call("apply", "demo.inc", [1]) == 2


def test_a_client_that_reads_again_is_served_again(daemon):
    client = daemon(limits={"output_bytes_session": 50000}).connect()
    msgids = [client.request("apply", "demo.echo", [b"x" * 5000]) for _ in range(500)]
    assert [len(client.response(msgid)) for msgid in msgids] == [5000] * 500


def test_a_client_that_makes_no_progress_is_closed(daemon):
    server = daemon(limits={"output_bytes_session": 50000, "stall_seconds": 1})
    client, other = server.connect(), server.connect()
    write_until_full(client, pack([0, 1, "apply", ["demo.echo", [b"x" * 5000]]]))
    eventually(lambda: other.call("stats")["sessions"] == 1)
    assert other.call("apply", "demo.inc", [1]) == 2


def test_a_client_that_is_slow_but_reads_is_not_closed(daemon):
    """It takes a little, again and again, over more than twice the time."""
    server = daemon(limits={"output_bytes_session": 20000, "stall_seconds": 1})
    client, other = server.connect(), server.connect()
    value = b"x" * (8 << 20)
    client.request("apply", "demo.echo", [value], msgid=1)
    for _ in range(8):
        with pytest.raises(TimeoutError):
            other.receive(timeout=0.3)
        client.unpacker.feed(client.sock.recv(400000))
    assert client.response(1) == value


def test_a_value_larger_than_the_output_of_a_session_is_delivered(daemon):
    client = daemon(limits={"output_bytes_session": 10000}).connect()
    assert client.call("apply", "demo.echo", [b"x" * 1000000]) == b"x" * 1000000


def test_a_message_begun_must_end_although_output_was_full(daemon):
    """The time of a message does not run while its connection is not read, but it does again afterwards."""
    client = daemon(limits={"output_bytes_session": 1000, "frame_seconds": 1}).connect()
    client.send(pack([0, 1, "apply", ["demo.echo", [b"x" * 2000]]]) + b"\x94\x00")
    assert len(client.response(1)) == 2000
    assert client.push("error")[0]["code"] == "bad-request"
    client.closed()


def test_output_of_a_user_is_limited_and_others_are_served(daemon):
    server = daemon(limits={"output_bytes_user": 500000, "output_bytes_session": 400000})
    greedy = [server.connect() for _ in range(5)]
    for client in greedy:
        client.sock.setblocking(True)
        for i in range(20):
            client.sock.sendall(pack([0, i, "apply", ["demo.echo", [b"x" * 4000]]]))
    for client in greedy:
        assert [len(client.response(i)) for i in range(20)] == [4000] * 20


def test_a_limit_that_is_none_is_refused_at_the_start(start):
    server = start(config="limits {\n\tcolours = 3\n}\n")
    server.expected_status = server.await_exit()
    assert server.status not in (0, 127) and "colours" in server.stderr()


def test_a_message_of_four_gigabytes_is_skipped_without_memory(daemon):
    server = daemon(limits={"message_bytes": 100000})
    client, other = server.connect(), server.connect()
    client.send(b"\x94\x00\x01\xa4ping\x91\xc6\xff\xff\xff\xff" + b"x" * 1000000)
    assert client.take(lambda m: m[0] == 1 and m[1] == 1)[2]["code"] == "too-large"
    assert other.call("ping") == "pong"


def test_declared_counts_cost_no_memory(daemon):
    """A kilobyte that promises four thousand million elements must not make the daemon reserve them."""
    server = daemon()
    before = resident(server.pid)
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(b"\x94\x00\x01\xa5apply\x92\xa8demo.inc\xdd\xff\xff\xff\xff" + b"\x01" * 1000)
        client.sock.send(b"\x01")
    other = server.connect()
    assert other.call("ping") == "pong"
    assert resident(server.pid) - before < 64 << 20


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))


def test_messages_that_have_begun_are_limited_as_jobs_are(daemon):
    server = daemon(limits={"queued_bytes_user": 1000000})
    begin, rest = b"\x94\x00\x05\xa5apply\x92\xa8demo.len\x91\xc6" + (900000).to_bytes(4, "big"), b"x" * 900000
    first, second = server.connect(), server.connect()
    for client in (first, second):
        client.send(begin + rest[:600000])
    error = second.take(lambda m: m[:2] == [1, 5])[2]
    assert is_busy(error, "queued_bytes_user")
    first.send(rest[600000:])
    assert first.response(5) == 900000
    # What is left of it is skipped, and the next is served.
    second.send(rest[600000:] + begin + rest)
    assert second.response(5) == 900000

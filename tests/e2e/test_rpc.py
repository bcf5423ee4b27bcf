# SPDX-License-Identifier: MIT
"""MessagePack-RPC itself: msgids, order, notifications, frames in pieces."""

import socket

import pytest
from procpoold import eventually
from rpc import RpcError, pack

REQUESTS = {
    "ping": [0, 9, "ping", []],
    "hello": [0, 9, "hello", [{"client": "cut", "version": "1", "errors": "map"}]],
    "apply": [0, 9, "apply", ["demo.inc", [41], {"pool": "default"}]],
    "apply of a long string": [0, 9, "apply", ["demo.len", ["x" * 300]]],
    "apply of bytes and floats": [0, 9, "apply", ["demo.echo", [[b"bytes", 1.5, None, True, -(2**40), 2**63]]]],
    "apply_async": [0, 9, "apply_async", ["demo.inc", [41], {"detach": True}]],
    "map": [0, 9, "map", ["demo.inc", list(range(20)), {"chunksize": 3, "errors": "collect"}]],
    "map_async": [0, 9, "map_async", ["demo.inc", [[1], [2]], {"star": True, "stream": True}]],
    "wait": [0, 9, "wait", [1, 0.5]],
    "result": [0, 9, "result", [1]],
    "cancel": [0, 9, "cancel", [{"request": 8}]],
    "job": [0, 9, "job", [2**53 - 1]],
    "jobs": [0, 9, "jobs", [{"limit": 1, "after": 0, "state": "done"}]],
    "subscribe": [0, 9, "subscribe", [{"pool": "default"}]],
    "unsubscribe": [0, 9, "unsubscribe", [{}]],
    "pools": [0, 9, "pools", []],
    "workers": [0, 9, "workers", []],
    "functions": [0, 9, "functions", [{"pool": "default"}]],
    "stats": [0, 9, "stats", []],
    "recycle": [0, 9, "recycle", ["nowhere"]],
    "reload": [0, 9, "reload", []],
    "scale": [0, 9, "scale", ["default", {"min": 1, "max": 2}]],
    "pause": [0, 9, "pause", ["nowhere"]],
    "resume": [0, 9, "resume", ["default"]],
    "drain": [0, 9, "drain", ["nowhere", 0.5]],
    "kill": [0, 9, "kill", [2**31 - 1]],
    "an unknown method": [0, 9, "frobnicate", [1, 2, 3]],
    "a notification": [2, "ping", []],
}


def outcome(client):
    """What answers msgid 9, without what differs from call to call."""
    try:
        result = client.response(9)
    except RpcError as e:
        return e.code
    return type(result) if isinstance(result, (int, dict, list)) else result


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_cut_at_any_byte_is_the_same_request(daemon, name):
    """The other connection's ping is answered after the daemon has read the first piece."""
    server = daemon()
    client, other = server.connect(), server.connect()
    message = pack(REQUESTS[name])
    tail = b"" if message[1] == 0 else pack([0, 9, "ping", []])  # a notification has no answer
    client.send(message + tail)
    whole = outcome(client)
    for cut in range(1, len(message)):
        client.send(message[:cut])
        other.call("ping")
        client.send(message[cut:] + tail)
        assert outcome(client) == whole, f"cut at {cut}"


@pytest.mark.parametrize("name", REQUESTS)
def test_a_client_may_vanish_in_the_middle_of_any_request(daemon, name):
    server = daemon()
    other = server.connect()
    message = pack(REQUESTS[name])
    for cut in range(1, len(message) + 1):
        with server.connect() as client:
            client.send(message[:cut])
        assert other.call("ping") == "pong"
    assert other.call("apply", "demo.inc", [1]) == 2


@pytest.mark.memcheck
def test_requests_may_arrive_byte_by_byte(client):
    for byte in pack([0, 1, "apply", ["demo.inc", [41]]]):
        client.send(bytes([byte]))
    assert client.response(1) == 42


def test_many_requests_may_arrive_in_one_piece(client):
    client.send(b"".join(pack([0, i, "apply", ["demo.inc", [i]]]) for i in range(2000)))
    assert [client.response(i) for i in range(2000)] == list(range(1, 2001))


@pytest.mark.parametrize("msgid", [0, 1, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1])
def test_any_msgid_is_echoed(client, msgid):
    client.request("ping", msgid=msgid)
    assert client.response(msgid) == "pong"


def test_a_msgid_may_be_used_again(client):
    for _ in range(3):
        client.request("apply", "demo.inc", [1], msgid=5)
    assert [client.response(5) for _ in range(3)] == [2, 2, 2]


def test_responses_overtake_a_call_that_takes_long(probe, gate):
    client = probe().connect()
    held = gate()
    slow = client.request("apply", "probe.hold", [held.path])
    held.await_held()
    assert client.call("apply", "demo.inc", [1]) == 2
    held.release()
    client.response(slow)


def test_notifications_run_nothing_and_are_counted(probe, marks):
    client = probe().connect()
    for params in (["probe.mark", [marks.path, "x"]], [], ["nonsense"]):
        client.send(pack([2, "apply", params]))
    client.send(pack([2, "frobnicate", [1]]))
    assert client.call("stats")["notifications"] == 4
    assert client.call("map", "demo.inc", list(range(4))) == [1, 2, 3, 4]
    assert marks.read() == []


def test_a_malformed_notification_ends_the_connection(client):
    client.send(pack([2, "ping"]))
    [[kind, name, [error]]] = client.closed()
    assert (kind, name, error["code"]) == (2, "error", "bad-request")


def test_what_was_asked_before_the_stream_broke_is_answered(client):
    client.send(pack([0, 1, "ping", []]) + b"\xc1")
    messages = client.closed()
    assert [1, 1, None, "pong"] in messages and messages[-1][:2] == [2, "error"]


def test_nothing_is_read_after_the_stream_broke(probe, marks):
    server = probe()
    client = server.connect()
    client.send(b"\xc1" + pack([0, 1, "apply", ["probe.mark", [marks.path, "x"]]]))
    client.closed()
    other = server.connect()
    other.call("map", "demo.inc", list(range(10)))
    assert marks.read() == []


def test_a_client_that_half_closes_ends_its_session(daemon):
    server = daemon()
    client = server.connect()
    client.call("ping")
    client.sock.shutdown(socket.SHUT_WR)
    client.closed()
    other = server.connect()
    eventually(lambda: other.call("stats")["sessions"] == 1)

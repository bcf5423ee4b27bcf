# SPDX-License-Identifier: MIT
"""Clients that mean ill or know no better: the daemon and every other client go on."""

import json
import os
import pathlib
import random
import socket

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from procpoold import Daemon
from rpc import Client, Closed, pack

METHODS = ["hello", "ping", "apply", "apply_async", "map", "map_async", "wait", "result", "cancel", "job", "jobs",
           "subscribe", "unsubscribe", "pools", "workers", "functions", "stats", "recycle", "reload", "scale",
           "pause", "resume", "drain", "kill"]  # fmt: skip

CODES = {"bad-request", "unknown-method", "unknown-function", "ambiguous", "no-such-pool", "no-such-job", "denied", "busy",
         "too-large", "function-failed", "worker-lost", "cancelled", "not-ready", "out-of-memory"}  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    """One daemon under all attacks: whatever the one leaves behind, the next one meets."""
    daemon = Daemon(workers=2, log_level="error")
    try:
        yield daemon.await_ready()
    finally:
        daemon.finish()


@pytest.fixture
def witness(shared):
    """A client that is served before and after."""
    with Client(shared.path) as client:
        assert client.call("apply", "demo.inc", [1]) == 2
        before = client.call("pools")[0]["restarts"]
        yield client
        assert client.call("apply", "demo.inc", [1]) == 2
        assert client.call("pools")[0]["restarts"] == before, "a worker died of it"


def attack(path, data, half_close=True):
    """Sends bytes, whatever comes back, until the daemon has dealt with all of them."""
    with Client(path) as client:
        try:
            client.send(data)
            if half_close:
                client.sock.shutdown(socket.SHUT_WR)
                client.closed()
        except (Closed, OSError):
            pass


@pytest.mark.parametrize("seed", range(10))
def test_random_bytes_harm_nobody(shared, witness, seed):
    dice = random.Random(seed)
    for _ in range(20):
        attack(shared.path, dice.randbytes(dice.randrange(1, 3000)))


@pytest.mark.parametrize("first", range(256))
def test_any_first_byte_harms_nobody(shared, first):
    attack(shared.path, bytes([first]) + b"\x00" * 40)
    with Client(shared.path) as client:
        assert client.call("ping") == "pong"


VECTORS = json.loads((pathlib.Path(__file__).parents[2] / "proto" / "vectors" / "hostile.json").read_text())


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if "message_bytes" not in v], ids=lambda vector: vector["name"]
)
def test_a_hostile_vector_has_its_outcome(shared, witness, vector):
    with Client(shared.path) as client:
        client.send(bytes.fromhex(vector["hex"]))
        if vector["outcome"] == "violation":
            messages = client.closed()
            assert messages[-1][:2] == [2, "error"] and messages[-1][2][0]["code"] == "bad-request"
        elif "msgid" in vector:
            error = client.take(lambda m: m[:2] == [1, vector["msgid"]])[2]
            if vector["outcome"] != "accepted":  # the function may still refuse what was accepted
                assert error["code"] == vector["outcome"]
        else:
            witness.call("ping")
            with pytest.raises(TimeoutError):
                client.receive(timeout=0)


HEADERS = ["c6", "c9", "db", "dd", "df", "c5", "da", "dc", "de", "c8"]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("place", ["message", "method", "params", "argument", "items", "options"])
def test_a_declared_size_that_never_comes_harms_nobody(shared, witness, header, place):
    huge = bytes.fromhex(header) + b"\xff\xff\xff\xff"
    apply, map_ = b"\x94\x00\x01\xa5apply", b"\x94\x00\x01\xa3map"
    before = {
        "message": b"",
        "method": b"\x94\x00\x01",
        "params": apply,
        "argument": apply + b"\x92\xa8demo.inc\x91",
        "items": map_ + b"\x92\xa8demo.inc",
        "options": apply + b"\x93\xa8demo.inc\x91\x01",
    }
    attack(shared.path, before[place] + huge + b"\x01" * 500)


@pytest.mark.parametrize("method", METHODS)
def test_any_type_in_any_place_harms_nobody(shared, witness, method):
    values = [None, True, 0, -1, 2**64 - 1, 1.5, float("nan"), float("inf"), "", "x" * 300, b"\xff", [], [[]], {}, {"a": 1},
              msgpack.ExtType(1, b""), msgpack.Timestamp(1)]  # fmt: skip
    with Client(shared.path) as client:
        count = 0
        for a in values:
            for params in ([a], ["demo.inc", a], ["demo.inc", [1], a], [a, a, a, a]):
                if method == "subscribe" and a == {}:
                    continue
                client.request(method, *params, msgid=count)
                count += 1
        for msgid in range(count):
            error = client.take(lambda m: m[0] == 1 and m[1] == msgid)[2]
            assert error is None or error["code"] and error["message"]


@pytest.mark.parametrize("seed", range(20))
def test_valid_requests_with_a_byte_changed_harm_nobody(shared, witness, seed):
    dice = random.Random(seed)
    messages = [
        pack([0, 1, "apply", ["demo.inc", [41], {"pool": "default", "kwargs": {}}]]),
        pack([0, 2, "map_async", ["demo.inc", list(range(10)), {"stream": True, "chunksize": 2}]]),
        pack([0, 2, "map_async", ["demo.inc", list(range(10)), {"stream": "values", "pickle": False}]]),
        pack([0, 2, "map", ["demo.echo", [1, 2], {"pickle": b"\x80\x05N.", "kwargs": {}, "pool": "default"}]]),
        pack([0, 3, "subscribe", [{"pool": "default"}]]),
        pack([0, 4, "wait", [1, 0.1]]),
        pack([0, 5, "jobs", [{"limit": 10, "state": "done"}]]),
    ]
    for _ in range(40):
        data = bytearray(b"".join(dice.sample(messages, 3)))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        attack(shared.path, bytes(data))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20)
    | st.binary(max_size=20) | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip
names = st.sampled_from(["demo.inc", "demo.echo", "demo.len", "demo.fail", "demo.pid", "demo.none"]) | st.text(max_size=20)
options = st.dictionaries(
    st.sampled_from(["pool", "kwargs", "detach", "chunksize", "star", "errors", "stream", "limit", "after", "state", "job",
                     "request", "client", "version", "pickle"]) | st.text(max_size=5),
    values | st.sampled_from(["default", "collect", "raise", "done", "values", True]), max_size=4)  # fmt: skip
params = st.lists(values, max_size=4) | st.tuples(names, st.lists(values, max_size=5), options).map(list) | st.tuples(
    names, st.lists(values, max_size=5)).map(list) | options.map(lambda o: [o])  # fmt: skip
requests = st.tuples(st.just(0), st.integers(0, 2**32 - 1), st.sampled_from(METHODS) | st.text(max_size=10), params).map(list)
messages = requests | st.tuples(st.just(2), st.text(max_size=10), params).map(list) | values


@settings(max_examples=150, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(messages, min_size=1, max_size=8), st.lists(st.integers(1, 400), max_size=3))
def test_any_structure_of_messagepack_harms_nobody(shared, witness, sent, cuts):
    """Whatever a client sends, in whatever pieces, another one is answered."""
    data = b"".join(pack(message) for message in sent)
    with Client(shared.path) as client:
        try:
            for cut in sorted(cuts):
                client.send(data[:cut])
                data = data[cut:]
                witness.call("ping")
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            client.closed()
        except (Closed, OSError):
            pass
    assert witness.call("ping") == "pong"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(requests)
def test_every_request_is_answered_with_a_value_or_an_error_of_the_closed_list(shared, request):
    if request[2] in ("wait",) and len(request[3]) < 2:
        return
    with Client(shared.path) as client:
        client.send(pack(request))
        answer = client.take(lambda m: m[0] == 1 or m[1] == "error")
        if answer[0] == 1:
            assert answer[1] == request[1]
            error = answer[2]
        else:
            error = answer[2][0]
        if isinstance(error, dict):
            assert error["code"] in CODES and isinstance(error["message"], str) and error["message"]
        else:
            assert error is None or error.split(":")[0] in CODES


# Clients that do not keep to the dialogue


def test_a_client_that_vanishes_with_answers_unread_harms_nobody(shared, witness):
    for _ in range(20):
        client = Client(shared.path)
        client.sock.setblocking(True)
        for i in range(200):
            client.sock.sendall(pack([0, i, "apply", ["demo.echo", [b"x" * 500]]]))
        client.close()


def test_a_client_that_vanishes_at_once_harms_nobody(shared, witness):
    for _ in range(300):
        Client(shared.path).close()


def test_a_client_that_resets_harms_nobody(shared, witness):
    for _ in range(50):
        client = Client(shared.path)
        client.request("map_async", "demo.inc", list(range(1000)), {"stream": True})
        client.sock.shutdown(socket.SHUT_RDWR)
        client.close()


def test_descriptors_sent_along_are_closed(shared, witness):
    before = len(os.listdir(f"/proc/{shared.pid}/fd"))
    with Client(shared.path) as client:
        for i in range(20):
            socket.send_fds(client.sock, [pack([0, i, "ping", []])], [0, 1, 2])
            assert client.response(i) == "pong"
        assert len(os.listdir(f"/proc/{shared.pid}/fd")) <= before + 1

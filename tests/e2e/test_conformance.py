# SPDX-License-Identifier: MIT
"""Runs tests/conformance/cases.json: what any client may send, and what must come back."""

import json
import pathlib
import select

import msgpack
import pytest
from procpoold import Daemon
from rpc import DEADLINE, RpcError

CASES = json.loads((pathlib.Path(__file__).parent.parent / "conformance" / "cases.json").read_text())
TYPES = {"int": int, "str": str, "map": dict, "array": list, "nil": type(None), "bool": bool, "float": float}


@pytest.fixture(scope="module")
def shared():
    """One daemon for all cases, as the cases demand."""
    daemon = Daemon(workers=2)
    try:
        yield daemon.await_ready()
    finally:
        daemon.finish()


def check_error(error, expected):
    assert isinstance(error["message"], str) and error["message"]
    assert error | expected == error, f"{error!r} is not {expected!r}"


def check_result(result, case):
    if "result" in case:
        assert result == case["result"] and type(result) is type(case["result"])
    if "type" in case:
        assert type(result) is TYPES[case["type"]]
    if "keys" in case:
        rows = result if isinstance(result, list) else [result]
        assert rows and all(set(case["keys"]) <= row.keys() for row in rows), result


def run_request(client, case):
    method, params = case["request"]
    try:
        result = client.call(method, *params)
    except RpcError as e:
        assert "error" in case, f"failed: {e.error!r}"
        check_error(e.error, case["error"])
    else:
        assert "error" not in case, f"did not fail, but returned {result!r}"
        check_result(result, case)


def read_message(client):
    """The bytes of the next message: only its extent is decoded."""
    received = b""
    while True:
        assert select.select([client.sock], [], [], DEADLINE)[0], "no answer"
        data = client.sock.recv(65536)
        assert data, f"the connection was closed after {received!r}"
        received += data
        unpacker = msgpack.Unpacker()
        unpacker.feed(received)
        try:
            unpacker.skip()
            return received[: unpacker.tell()]
        except msgpack.OutOfData:
            continue


def run_bytes(client, case):
    client.send(bytes.fromhex(case["send"]))
    if case.get("closed"):
        [[kind, name, [error]]] = client.closed()
        assert (kind, name) == (2, "error")
        check_error(error, case["error"])
    elif "result_hex" in case:
        assert read_message(client).hex() == "940107c0" + case["result_hex"]
    else:
        try:
            result = client.response(7)
        except RpcError as e:
            check_error(e.error, case["error"])
        else:
            assert "error" not in case
            check_result(result, case)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conforms(shared, case):
    with shared.connect() as client:
        (run_request if "request" in case else run_bytes)(client, case)
    with shared.connect() as client:
        assert client.call("ping") == "pong"


def test_cases_have_names_of_their_own():
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_a_case_that_does_not_hold_is_noticed(shared):
    with shared.connect() as client, pytest.raises(AssertionError):
        run_request(client, {"request": ["ping", []], "result": "pang"})
    with shared.connect() as client, pytest.raises(AssertionError):
        run_request(client, {"request": ["ping", []], "error": {"code": "busy"}})
    with shared.connect() as client, pytest.raises(AssertionError):
        run_bytes(client, {"send": "9400 07 a4 70696e67 90", "result_hex": "c0"})

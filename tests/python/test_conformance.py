# SPDX-License-Identifier: MIT
"""Runs tests/conformance/cases.json through procpool.Client."""

import json

import msgpack
import pytest
from conftest import TESTS
from procpool import codec, errors
from procpool.client import Client
from procpool.pending import Call
from procpoold import Daemon

CASES = json.loads((TESTS / "conformance" / "cases.json").read_text())
TYPES = {"int": int, "str": str, "map": dict, "array": list, "nil": type(None), "bool": bool, "float": float}


@pytest.fixture(scope="module")
def daemon():
    daemon = Daemon(workers=2)
    try:
        yield daemon.await_ready()
    finally:
        daemon.finish()


def check_error(error, expected):
    assert type(error) is errors.CLASSES[expected["code"]] and error.message
    told = {"code": error.code, "message": error.message, **error.fields}
    assert told | expected == told, f"{told!r} is not {expected!r}"
    for name, value in expected.items():
        assert getattr(error, name) == value


def repacked(value):
    return msgpack.packb(value, unicode_errors="surrogateescape",
                         default=lambda pickled: msgpack.ExtType(codec.EXT_PICKLE, bytes(pickled.data)))  # fmt: skip


def check_result(result, case):
    if "result" in case:
        assert result == case["result"] and type(result) is type(case["result"])
    if "result_hex" in case:
        assert repacked(result) == repacked(codec.unpackb(bytes.fromhex(case["result_hex"])))
    if "type" in case:
        assert type(result) is TYPES[case["type"]]
    if "keys" in case:
        rows = result if isinstance(result, list) else [result]
        assert rows and all(set(case["keys"]) <= row.keys() for row in rows), result


def send(client, data):
    """Bytes with the msgid 7 as they are; what is answered to that."""
    connection = client._shared.connection
    call = Call(connection, None, None)
    call.msgid = 7
    connection._calls[7] = call
    connection._frames += (data,)
    return call.result()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conforms(daemon, case):
    with Client(str(daemon.path)) as client:
        try:
            if "request" in case:
                method, params = case["request"]
                result = client.request(method, *params)
            else:
                result = send(client, bytes.fromhex(case["send"]))
        except errors.Error as e:
            assert "error" in case, f"failed: {e!r}"
            check_error(e, case["error"])
        else:
            assert "error" not in case, f"did not fail, but returned {result!r}"
            check_result(result, case)
        assert client.closed or not case.get("closed")
    with Client(str(daemon.path)) as client:
        assert client.ping() == "pong"

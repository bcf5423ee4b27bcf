# SPDX-License-Identifier: MIT
"""The golden vectors of proto/vectors, read and written by another implementation of MessagePack."""

import json
import math
import pathlib
import re

import msgpack
import pytest

VECTORS = pathlib.Path(__file__).parents[2] / "proto" / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


class Pairs(list):
    """A map as the list of its pairs, so that keys of any type and their order are kept."""


def unpack(data):
    return msgpack.unpackb(data, object_pairs_hook=Pairs, strict_map_key=False)


def plain(value):
    """A vector's JSON as unpack() gives it."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key == "$bin":
            return bytes.fromhex(inner)
        if key == "$ext":
            return msgpack.ExtType(inner[0], bytes.fromhex(inner[1]))
        if key == "$float":
            return float(inner)
        if key == "$uint":
            return int(inner)
        if key == "$map":
            return Pairs((plain(k), plain(v)) for k, v in inner)
    return Pairs((k, plain(v)) for k, v in value.items())


def pack(value, packer):
    """Writes what unpack() gives; maps, whose keys may be lists, by hand."""
    if isinstance(value, Pairs):
        return packer.pack_map_header(len(value)) + b"".join(
            pack(k, packer) + pack(v, packer) for k, v in value
        )
    if isinstance(value, list):
        return packer.pack_array_header(len(value)) + b"".join(pack(v, packer) for v in value)
    return packer.pack(value)


def same(one, other):
    """Equality that tells 1 from 1.0 and True, and knows that nan is nan."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, tuple) and not isinstance(one, msgpack.ExtType):
        return all(map(same, one, other))
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or one != one and other != other)
    return one == other


def check(data, expected, decode_only=False):
    assert same(unpack(data), expected)
    packed = pack(expected, msgpack.Packer())
    assert (packed == data) != decode_only


@pytest.mark.parametrize("vector", load("values.json"), ids=lambda vector: vector["name"])
def test_value(vector):
    check(bytes.fromhex(vector["hex"]), plain(vector["value"]), vector.get("decode_only", False))


@pytest.mark.parametrize("file", ["client.json", "worker.json"])
def test_messages(file):
    for vector in load(file):
        for message in vector["messages"]:
            check(bytes.fromhex(message["hex"]), plain(message["message"]))


def method_table(title):
    """The methods that PROTOCOL.md gives a signature in one of its sections."""
    text = (VECTORS.parent / "PROTOCOL.md").read_text()
    section = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`(\w+) \[", section)) | set(re.findall(r"^\| `(\w+) \[", section, re.MULTILINE))


def test_every_method_and_push_has_a_vector():
    sent = [(m["from"], m["message"]) for vector in load("client.json") for m in vector["messages"]]
    called = {message[2] for who, message in sent if who == "client" and message[0] == 0}
    pushed = {message[1] for who, message in sent if who == "daemon" and message[0] == 2}
    assert called == method_table("Methods") and len(called) > 16
    assert pushed == {"result", "items", "values", "event", "output", "error"}


def test_every_worker_message_has_a_vector():
    numbers = {m["message"][0] for vector in load("worker.json") for m in vector["messages"]}
    assert numbers == {1, 2, 3, 4, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}


@pytest.mark.parametrize("vector", load("hostile.json"), ids=lambda vector: vector["name"])
def test_hostile(vector):
    """What msgpack itself says of the bytes, and the shape of the vector."""
    assert vector["outcome"] in {"accepted", "bad-request", "too-large", "ignored", "violation", "incomplete"}
    assert ("msgid" in vector) == (vector["outcome"] in {"accepted", "bad-request", "too-large"})
    data = bytes.fromhex(vector["hex"])
    if vector["outcome"] not in {"accepted", "bad-request"}:
        return
    message = msgpack.unpackb(data, strict_map_key=False)
    assert message[0] == 0 and message[1] == vector["msgid"]
    if vector["outcome"] == "accepted":
        assert len(message) == 4 and isinstance(message[3], list)

# SPDX-License-Identifier: MIT
"""MessagePack to JSON and back, against Python's own json and msgpack. Needs JSON_FILTER, the path of json_filter."""

import base64
import json
import math
import os
import struct
import subprocess

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def convert():
    process = subprocess.Popen([os.environ["JSON_FILTER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(letter, data):
        process.stdin.write(letter + struct.pack("=I", len(data)) + data)
        process.stdin.flush()
        answer, size = struct.unpack("=cI", process.stdout.read(5))
        return answer, process.stdout.read(size)

    yield ask
    process.stdin.close()
    assert process.wait() == 0


def write(convert, packed):
    letter, text = convert(b"w", packed)
    assert letter == b"o"
    return text


def read(convert, text):
    letter, packed = convert(b"r", text)
    assert letter == b"o", packed
    return packed


def nested(leaves, keys):
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
    )


# No key that is one of the forms' names, which start with a dollar.
plain_text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0$"))
plain = nested(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    plain_text,
)

dollars = st.sampled_from(["$bytes", "$string", "$float", "$int", "$ext", "$map", "$other"])
anything = nested(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.just(math.nan)
    | st.binary()
    | st.text(st.characters(blacklist_categories=["Cs"]))
    | st.binary().map(lambda b: b.decode(errors="surrogateescape"))
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    plain_text | dollars | st.integers(-100, 100) | st.binary(max_size=8) | st.just("a\0b"),
)


def pack(value):
    return msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")


@settings(max_examples=500, deadline=None)
@given(plain)
def test_what_json_can_say_is_plain_json(convert, value):
    text = write(convert, pack(value))
    assert b"\n" not in text
    assert json.loads(text) == value


@settings(max_examples=500, deadline=None)
@given(anything)
def test_every_value_comes_back_as_it_was(convert, value):
    packed = pack(value)
    text = write(convert, packed)
    json.loads(text)
    assert read(convert, text) == packed


@settings(max_examples=300, deadline=None)
@given(plain, st.sampled_from([None, 2]))
def test_json_is_read_as_python_reads_it(convert, value, indent):
    packed = read(convert, json.dumps(value, indent=indent).encode())
    assert msgpack.unpackb(packed, raw=False, strict_map_key=False) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.text(alphabet='[]{}",:0123456789.-eE\\unl ', max_size=30).map(str.encode))
def test_any_text_is_read_or_refused(convert, text):
    letter, answer = convert(b"r", text)
    if letter == b"n":
        try:
            value = json.loads(text)
        except ValueError:
            return
        # Python also takes NaN, a byte order mark, UTF-16 and halves of surrogate pairs.
        assert any(word in text for word in (b"NaN", b"Infinity", b"\xef\xbb\xbf", b"\0", b"\\u")), value


def test_the_forms(convert):
    def form(value):
        return json.loads(write(convert, pack(value)))

    assert form(b"hi") == {"$bytes": base64.b64encode(b"hi").decode()}
    assert form("\udcff") == {"$string": "/w=="}
    assert form(math.nan) == {"$float": "nan"}
    assert form(math.inf) == {"$float": "inf"}
    assert form(-math.inf) == {"$float": "-inf"}
    assert form(msgpack.ExtType(5, b"hi")) == {"$ext": [5, "aGk="]}
    assert form({1: 2}) == {"$map": [[1, 2]]}
    assert form({"$bytes": "x"}) == {"$map": [["$bytes", "x"]]}
    assert form({"$ref": "x"}) == {"$ref": "x"}
    assert form({"$bytes": "x", "a": 1}) == {"$bytes": "x", "a": 1}
    assert write(convert, pack(2**64 - 1)) == b"18446744073709551615"
    assert write(convert, pack(1.0)) == b"1.0"
    assert write(convert, pack(1e300)) == b"1e+300"
    # A key twice.
    assert json.loads(write(convert, b"\x82\xa1a\x01\xa1a\x02")) == {"$map": [["a", 1], ["a", 2]]}


def test_big_integers(convert):
    assert read(convert, b"18446744073709551615") == pack(2**64 - 1)
    assert read(convert, b'{"$int": "18446744073709551615"}') == pack(2**64 - 1)
    assert read(convert, b'["18446744073709551616\\"", 9223372036854775808, 1e3]') == pack(
        ['18446744073709551616"', 2**63, 1000.0]
    )
    for text in (b"18446744073709551616", b"-9223372036854775809", b'{"$int": "1x"}', b'{"$int": ""}', b"1e999"):
        assert convert(b"r", text)[0] == b"x"
    assert convert(b"r", b"[01234567890123456789012, 18446744073709551615]")[0] == b"n"


def test_forms_that_are_wrong_are_refused(convert):
    for text in ('{"$bytes": 1}', '{"$bytes": "a"}', '{"$bytes": "a==="}', '{"$string": "=aaa"}', '{"$float": "x"}',
                 '{"$ext": [200, ""]}', '{"$ext": [1]}', '{"$map": {}}', '{"$map": [[1]]}', '{"a\\u0000": 1}'):
        assert convert(b"r", text.encode())[0] == b"x", text


def test_depth(convert):
    assert convert(b"r", b"[" * 28 + b"]" * 28)[0] == b"o"
    assert convert(b"r", b"[" * 27 + b'[{"$bytes": ""}]' + b"]" * 27)[0] == b"o"
    assert convert(b"r", b"[" * 29 + b"]" * 29)[0] == b"x"
    assert convert(b"r", b"[" * 5000 + b"]" * 5000)[0] == b"x"

# SPDX-License-Identifier: MIT
"""What hello says and changes. Its refusals are conformance cases."""

import pathlib
import re

import pytest

PROTOCOL = pathlib.Path(__file__).parents[2] / "proto" / "PROTOCOL.md"


@pytest.mark.memcheck
def test_hello_tells_who_serves(client):
    hello = client.call("hello", {"client": "test", "version": "1"})
    assert hello["server"] == "procpoold" and hello["protocol"] == 1
    assert isinstance(hello["version"], str) and isinstance(hello["session"], int)


def test_hello_tells_the_limits_of_the_documented_table(client):
    table = re.findall(r"^\| `(\w+)` \| (\d+) \|", PROTOCOL.read_text(), re.MULTILINE)
    assert client.call("hello")["limits"] == {name: int(value) for name, value in table}


def test_hello_tells_the_limits_in_force(daemon):
    limits = daemon(limits={"jobs_session": 7, "retained_seconds": 3}).connect().call("hello")["limits"]
    assert (limits["jobs_session"], limits["retained_seconds"], limits["depth"]) == (7, 3, 32)


def test_each_connection_is_a_session_of_its_own(daemon):
    server = daemon()
    sessions = [server.connect().call("hello")["session"] for _ in range(3)]
    assert len(set(sessions)) == 3


def test_hello_may_be_repeated_and_keeps_the_session(client):
    assert client.call("hello")["session"] == client.call("hello")["session"]


def test_errors_are_text_for_a_client_that_wants_text(client):
    client.call("hello", {"errors": "text"})
    assert client.error("apply", "demo.fail", ["no luck"]) == "function-failed: no luck"
    assert client.error("frobnicate").startswith("unknown-method: ")


def test_errors_are_maps_again_when_hello_says_so(client):
    client.call("hello", {"errors": "text"})
    client.call("hello", {"errors": "map"})
    assert client.error("frobnicate")["code"] == "unknown-method"


def test_errors_in_pushes_are_text_as_well(client):
    client.call("hello", {"errors": "text"})
    job = client.call("apply_async", "demo.fail", ["no luck"])
    assert client.push("result", lambda p: p[0] == job)[1] == "function-failed: no luck"


def test_text_errors_are_this_connections_alone(daemon):
    server = daemon()
    text, other = server.connect(), server.connect()
    text.call("hello", {"errors": "text"})
    assert isinstance(other.error("frobnicate"), dict)


def test_a_refused_hello_changes_nothing(client):
    client.error("hello", {"errors": "text", "colour": "red"})
    assert isinstance(client.error("frobnicate"), dict)


def test_jobs_show_what_the_client_called_itself(client):
    client.call("hello", {"client": "the tests"})
    job = client.call("apply_async", "demo.inc", [1])
    assert client.call("job", job)["client"] == "the tests"


def test_a_job_of_a_client_without_hello_shows_nil(client):
    assert client.call("job", client.call("apply_async", "demo.inc", [1]))["client"] is None

# SPDX-License-Identifier: MIT
"""map_async with stream: "values": what did not fail comes in runs of bare values."""

import signal

import msgpack
import pytest

MILLION = 1_000_000


def stream(client, job):
    """All that is pushed of the job: values by index, errors by index, the push result, how many pushes came."""
    values, errors, count = {}, {}, 0
    while True:
        kind, name, params = client.take(lambda m: m[0] == 2)
        assert params[0] == job
        if name == "result":
            return values, errors, params, count
        count += 1
        _, first, elements = params
        assert elements, "a push of nothing"
        for index, element in enumerate(elements, first):
            assert index not in values and index not in errors, "an element was pushed twice"
            if name == "values":
                values[index] = element
            else:
                assert name == "items" and element[0]["index"] == index and element[1] is None
                errors[index] = element[0]


def submit(client, function, items, **options):
    return client.call("map_async", function, items, {"stream": "values", **options})


@pytest.mark.memcheck
@pytest.mark.parametrize("count", [1, 2, 1000, 20000])
def test_each_value_comes_once_and_then_the_result(client, count):
    job = submit(client, "demo.inc", list(range(count)))
    values, errors, (_, error, value, _), _ = stream(client, job)
    assert values == {i: i + 1 for i in range(count)} and not errors
    assert error is None and value == count
    assert client.call("wait", job) == count


@pytest.mark.plain
def test_a_million_values_come_in_runs(client):
    job = submit(client, "demo.inc", list(range(MILLION)))
    values, errors, (_, error, value, _), count = stream(client, job)
    assert error is None and value == MILLION and not errors
    assert sum(values.values()) == MILLION * (MILLION + 1) // 2
    assert count < MILLION / 100


def test_nothing_has_only_the_result(client):
    values, errors, (_, error, value, _), _ = stream(client, submit(client, "demo.inc", []))
    assert (values, errors, error, value) == ({}, {}, None, 0)


def test_values_are_what_the_function_returned_byte_for_byte(client):
    items = [None, True, -1, 2**64 - 1, 0.5, "a", b"\xff", [[], {}], {"a": [1]}, msgpack.ExtType(80, b"N.")]
    values, _, _, _ = stream(client, submit(client, "demo.echo", items))
    assert [values[i] for i in range(len(items))] == items


def test_what_failed_comes_as_items(client):
    job = submit(client, "demo.inc", [1, "x", 3, "y"], errors="collect")
    values, errors, (_, error, value, _), _ = stream(client, job)
    assert error is None and value == 4
    assert values == {0: 2, 2: 4}
    assert {index: each["code"] for index, each in errors.items()} == {1: "bad-request", 3: "bad-request"}


def test_an_element_that_ends_the_map_is_only_in_the_result(client):
    job = submit(client, "demo.inc", [1, 2, "x"], chunksize=1)
    values, errors, (_, error, value, _), _ = stream(client, job)
    assert error["code"] == "bad-request" and error["index"] == 2 and value is None
    assert not errors and all(values[i] == i + 2 for i in values if i < 2)


def test_values_come_while_elements_still_run(probe, gate):
    client, held = probe(workers=2).connect(), gate()
    submit(client, "probe.hold", [held.path, *range(50)], chunksize=1)
    seen = set()
    while len(seen) < 50:
        _, first, values = client.push("values")
        seen |= set(range(first, first + len(values)))
    assert seen == set(range(1, 51))
    held.release()
    assert client.push("values")[1] == 0
    assert client.push("result")[2] == 51


def test_together_they_may_be_larger_than_a_message(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    values, _, (_, error, value, _), _ = stream(client, submit(client, "probe.fill", [20000] * 50))
    assert error is None and value == 50 and all(len(v) == 20000 for v in values.values())


def test_a_large_value_is_passed_on_whole(client):
    big = b"x" * (20 << 20)
    values, _, (_, error, value, _), _ = stream(client, submit(client, "demo.echo", [big, 1, big]))
    assert error is None and values == {0: big, 1: 1, 2: big}


def test_values_before_a_crash_are_not_lost(probe):
    client = probe(workers=1).connect()
    items = [*range(100), -1, *range(100)]
    job = submit(client, "probe.die_on_negative", items, errors="collect")
    values, errors, (_, error, value, _), _ = stream(client, job)
    assert error is None and value == 201
    assert errors.keys() == {100} and errors[100]["code"] == "worker-lost"
    assert errors[100]["signal"] in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
    assert all(values[i] == items[i] for i in values) and len(values) == 200


def test_a_retried_element_comes_once(client):
    job = submit(client, "demo.inc", [1, "x", 3], errors="collect", retries=1)
    values, errors, (_, error, value, _), _ = stream(client, job)
    assert values == {0: 2, 2: 4} and errors.keys() == {1} and value == 3


def test_values_are_the_submitters_alone(daemon):
    server = daemon()
    client, other = server.connect(), server.connect()
    other.call("subscribe", {})
    job = submit(client, "demo.inc", [1, 2])
    client.push("result")
    assert other.push("result", lambda p: p[0] == job)[2] == 2
    assert not [m for m in other.inbox if m[1] in ("items", "values")]


def test_a_submitter_that_does_not_read_loses_nothing_and_holds_up_nobody(daemon):
    server = daemon(limits={"output_bytes_session": 100000})
    slow, other = server.connect(), server.connect()
    msgid = slow.request("map_async", "demo.echo", [b"x" * 1000] * 2000, {"stream": "values"})
    for i in range(200):
        assert other.call("apply", "demo.inc", [i]) == i + 1
    values, _, (_, error, value, _), _ = stream(slow, slow.response(msgid))
    assert error is None and value == 2000 and len(values) == 2000


def test_it_does_not_go_with_detach(client):
    error = client.error("map_async", "demo.inc", [1], {"stream": "values", "detach": True})
    assert error["code"] == "bad-request" and "detach" in error["message"]


def test_a_session_that_ends_takes_its_stream_along(probe, gate):
    server, held = probe(workers=1), gate()
    with server.connect() as client:
        submit(client, "probe.hold", [held.path, 1, 2], chunksize=1)
        held.await_held()
    held.release()
    with server.connect() as client:
        assert client.call("apply", "demo.inc", [1]) == 2
        assert client.call("stats")["jobs"]["running"] == 0

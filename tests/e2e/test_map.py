# SPDX-License-Identifier: MIT
"""map and map_async: order, chunks, errors, streams."""

import pytest


@pytest.mark.parametrize("chunksize", [None, 1, 2, 7, 99, 100, 101, 2**31])
def test_a_map_keeps_its_order_whatever_the_chunks(client, chunksize):
    opts = {} if chunksize is None else {"chunksize": chunksize}
    assert client.call("map", "demo.inc", list(range(100)), opts) == list(range(1, 101))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_map_keeps_its_order_however_many_workers(daemon, workers):
    assert daemon(workers=workers).connect().call("map", "demo.inc", list(range(5000))) == list(range(1, 5001))


@pytest.mark.memcheck
def test_a_map_keeps_its_order_although_its_first_element_ends_last(probe, gate):
    client, held = probe().connect(), gate()
    msgid = client.request("map", "probe.hold", [held.path, *range(1, 30)], {"chunksize": 1})
    held.await_held()
    client.call("map", "demo.inc", [1])
    held.release()
    assert client.response(msgid) == [None, *range(1, 30)]


def test_a_map_of_a_hundred_thousand_is_right(client):
    assert client.call("map", "demo.inc", list(range(100000))) == list(range(1, 100001))


def test_a_map_of_large_items_is_right(client):
    items = [bytes([i]) * 300000 for i in range(60)]
    assert client.call("map", "demo.echo", items) == items


def test_a_map_of_nothing_is_answered_although_all_workers_are_held(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    assert client.call("map", "demo.inc", []) == []
    held.release()


def test_a_map_uses_all_workers(probe, gate):
    client = probe(workers=3).connect()
    gates = [gate() for _ in range(3)]
    msgid = client.request("map", "probe.hold", [g.path for g in gates], {"chunksize": 1})
    for each in gates:
        each.await_held()
    for each in gates:
        each.release()
    assert client.response(msgid) == [None] * 3


def test_a_chunk_runs_in_one_worker(probe):
    client = probe(workers=3).connect()
    maps = [client.call("map", "probe.pid", list(range(12)), {"chunksize": 12}) for _ in range(20)]
    # Where the machine is slow, what has not begun after a millisecond goes to a worker that idles.
    assert sum(len(set(pids)) == 1 for pids in maps) > 10


def test_a_failed_element_fails_the_map_with_its_index(client):
    error = client.error("map", "demo.inc", [0, 1, 2, "three", 4], {"chunksize": 2})
    assert error["code"] == "bad-request" and error["index"] == 3


def test_a_crashed_element_fails_the_map_with_its_index(probe):
    server = probe()
    error = server.connect().error("map", "probe.die_on_negative", [0, 1, -1, 3], {"chunksize": 1})
    assert (error["code"], error["index"], error["signal"]) == ("worker-lost", 2, 9)


def test_collect_gives_each_element_its_error_or_value(client):
    pairs = client.call("map", "demo.inc", [1, "x", 3], {"errors": "collect"})
    assert pairs[0] == [None, 2] and pairs[2] == [None, 4]
    error, value = pairs[1]
    assert error["code"] == "bad-request" and error["index"] == 1 and value is None


@pytest.mark.parametrize("chunksize", [1, 3, 50, 100])
def test_a_crash_costs_only_the_element_that_ran(probe, chunksize):
    """Finished elements keep their results, those that had not begun run elsewhere, whatever the chunks."""
    items = [-1 if i in (10, 50, 51, 99) else i for i in range(100)]
    pairs = probe().connect().call("map", "probe.die_on_negative", items, {"errors": "collect", "chunksize": chunksize})
    for i, (error, value) in enumerate(pairs):
        if items[i] < 0:
            assert (error["code"], error["signal"], error["index"]) == ("worker-lost", 9, i)
        else:
            assert error is None and value == i


def test_an_element_begins_at_most_once_although_workers_crash(probe, marks):
    items = [[marks.path, str(i), i % 10 == 7] for i in range(100)]
    probe().connect().call("map", "probe.mark_and_die", items, {"star": True, "errors": "collect", "chunksize": 10})
    assert sorted(marks.read(), key=int) == [str(i) for i in range(100)]


def test_star_makes_the_elements_of_an_item_the_arguments(probe, marks):
    items = [[marks.path, str(i)] for i in range(10)]
    probe().connect().call("map", "probe.mark", items, {"star": True})
    assert sorted(marks.read()) == [str(i) for i in range(10)]


def test_star_with_an_item_that_is_no_array_is_a_bad_request(client):
    assert client.error("map", "demo.inc", [[1], 2], {"star": True})["code"] == "bad-request"


def test_a_map_whose_result_is_larger_than_a_message_is_too_large(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    assert client.error("map", "probe.fill", [20000] * 6)["code"] == "too-large"
    assert len(client.call("map", "probe.fill", [20000] * 4)) == 4


def test_a_map_of_too_large_elements_collects_them(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    pairs = client.call("map", "probe.fill", [1, 200000, 2], {"errors": "collect"})
    assert [error and error["code"] for error, _ in pairs] == [None, "too-large", None]


def test_map_async_pushes_the_values(client):
    job = client.call("map_async", "demo.inc", [1, 2, 3])
    pushed, error, value, meta = client.push("result")
    assert (pushed, error, value) == (job, None, [2, 3, 4]) and meta["function"] == "demo.inc"
    assert client.call("wait", job) == [2, 3, 4]


def test_map_async_of_nothing_pushes_an_empty_array_after_the_job_id(client):
    msgid = client.request("map_async", "demo.inc", [])
    first, second = client.receive(), client.receive()
    assert first[:2] == [1, msgid] and second[2][:3] == [first[3], None, []]
    assert client.call("wait", first[3]) == []


def test_map_async_fails_with_the_index(client):
    job = client.call("map_async", "demo.inc", [1, "x"])
    _, error, value, _ = client.push("result")
    assert (error["index"], error["job"], value) == (1, job, None)
    assert client.error("wait", job)["index"] == 1


def test_map_async_collects(client):
    job = client.call("map_async", "demo.inc", [1, "x"], {"errors": "collect"})
    value = client.call("wait", job)
    assert value[0] == [None, 2] and value[1][0]["code"] == "bad-request"
    assert client.push("result")[2] == value


# Streams


def stream(client, job):
    """All that is pushed of a streamed job: the outcome of each element, and the push result."""
    outcomes = {}
    while True:
        kind, name, params = client.take(lambda m: m[0] == 2)
        assert params[0] == job
        if name == "result":
            return outcomes, params
        assert name == "items"
        for i, outcome in enumerate(params[2]):
            assert params[1] + i not in outcomes, "an element was pushed twice"
            outcomes[params[1] + i] = outcome


@pytest.mark.memcheck
@pytest.mark.parametrize("count", [1, 2, 1000, 20000])
def test_a_stream_has_each_element_once_and_then_the_result(client, count):
    job = client.call("map_async", "demo.inc", list(range(count)), {"stream": True})
    outcomes, (_, error, value, _) = stream(client, job)
    assert outcomes == {i: [None, i + 1] for i in range(count)}
    assert error is None and value == count
    assert client.call("wait", job) == count


def test_a_stream_of_nothing_has_only_the_result(client):
    job = client.call("map_async", "demo.inc", [], {"stream": True})
    outcomes, (_, error, value, _) = stream(client, job)
    assert (outcomes, error, value) == ({}, None, 0)


def test_a_stream_comes_while_elements_still_run(probe, gate):
    client, held = probe(workers=2).connect(), gate()
    items = [held.path, *range(50)]
    client.call("map_async", "probe.hold", items, {"stream": True, "chunksize": 1})
    seen = set()
    while len(seen) < 50:
        _, first, outcomes = client.push("items")
        seen |= set(range(first, first + len(outcomes)))
    assert seen == set(range(1, 51))
    held.release()
    assert client.push("items")[1] == 0
    assert client.push("result")[2] == 51


def test_a_stream_collects_errors_beside_values(client):
    job = client.call("map_async", "demo.inc", [1, "x", 3], {"stream": True, "errors": "collect"})
    outcomes, (_, error, value, _) = stream(client, job)
    assert error is None and value == 3
    assert outcomes[0] == [None, 2] and outcomes[2] == [None, 4]
    assert outcomes[1][0]["code"] == "bad-request" and outcomes[1][0]["index"] == 1 and outcomes[1][1] is None


def test_a_stream_that_raises_ends_with_the_error(client):
    job = client.call("map_async", "demo.inc", [1, 2, "x"], {"stream": True, "chunksize": 1})
    outcomes, (_, error, value, _) = stream(client, job)
    assert error["code"] == "bad-request" and error["index"] == 2 and value is None
    assert all(outcomes[i] == [None, i + 2] for i in outcomes if i < 2)


def test_a_stream_may_be_larger_than_a_message(probe):
    client = probe(limits={"message_bytes": 100000}).connect()
    job = client.call("map_async", "probe.fill", [20000] * 50, {"stream": True})
    outcomes, (_, error, value, _) = stream(client, job)
    assert error is None and value == 50 and all(len(v) == 20000 for _, v in outcomes.values())


def test_elements_of_a_stream_are_the_submitters_alone(daemon):
    server = daemon()
    client, other = server.connect(), server.connect()
    other.call("subscribe", {})
    job = client.call("map_async", "demo.inc", [1, 2], {"stream": True})
    client.push("result")
    other.push("result", lambda p: p[0] == job)
    assert not [m for m in other.inbox if m[1] == "items"]

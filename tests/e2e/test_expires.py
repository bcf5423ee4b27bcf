# SPDX-License-Identifier: MIT
"""expires: what has not begun in time fails."""

from rpc import pack


def test_call_that_waits_too_long_expires(probe, gate, marks):
    client = probe(workers=1).connect()
    held = client.request("apply", "probe.hold", [(door := gate()).path])
    door.await_held()
    error = client.error("apply", "probe.mark", [marks.path, "late"], {"expires": 0.05})
    assert error["code"] == "expired"
    assert error["expires"] == 0.05
    assert error["waited"] >= 0.05
    door.release()
    client.response(held)
    assert client.call("apply", "demo.inc", [1], {"expires": 60}) == 2
    assert marks.read() == []


def test_what_cannot_begin_at_once_expires_with_zero(probe, gate):
    client = probe(workers=1).connect()
    assert client.call("apply", "demo.inc", [1], {"expires": 0}) == 2
    held = client.request("apply", "probe.hold", [(door := gate()).path])
    door.await_held()
    assert client.error("apply", "demo.inc", [1], {"expires": 0})["code"] == "expired"
    door.release()
    client.response(held)


def test_call_sent_ahead_behind_a_long_task_expires(probe, gate, marks):
    client = probe(workers=1).connect()
    # Known to be short, so that more is sent ahead of it.
    assert client.call("map", "probe.hold", list(range(1000))) == list(range(1000))
    assert client.call("map", "probe.mark", [[marks.path, "known"]] * 1000, {"star": True, "chunksize": 100})
    door = gate()
    held, *late = (apply("probe.hold", door.path), *[apply("probe.mark", marks.path, "late", expires=0.1)] * 3)
    client.send(b"".join(pack([0, 1001 + i, *call]) for i, call in enumerate([held, *late])))
    door.await_held()
    for msgid in (1002, 1003, 1004):
        assert client.take(lambda m, msgid=msgid: m[0] == 1 and m[1] == msgid)[2]["code"] == "expired"
    door.release()
    client.response(1001)
    client.call("apply", "demo.inc", [1])
    assert "late" not in marks.read()


def apply(function, *args, **options):
    return "apply", [function, args, options]


def test_map_expires_where_it_has_come_to(probe, gate):
    client = probe(workers=1).connect()
    door = gate()
    whole = client.request("map", "probe.hold", [1, 2, door.path, 3, 4], {"chunksize": 1, "expires": 0.2})
    door.await_held()
    message = client.take(lambda m: m[0] == 1 and m[1] == whole)
    assert (message[2]["code"], message[2]["index"]) == ("expired", 3)
    door.release()


def test_collecting_map_keeps_what_has_begun(probe, gate):
    client = probe(workers=1).connect()
    door = gate()
    items = [1, 2, door.path, 3, 4]
    whole = client.request("map", "probe.hold", items, {"chunksize": 5, "expires": 0.2, "errors": "collect"})
    door.await_held()
    # Its time is over when that of a later one is.
    assert client.error("apply", "demo.inc", [1], {"expires": 0.3})["code"] == "expired"
    door.release()
    pairs = client.response(whole)
    assert [value for _, value in pairs[:3]] == [1, 2, None]
    assert [error and error["code"] for error, _ in pairs] == [None, None, None, "expired", "expired"]
    assert [error["index"] for error, _ in pairs[3:]] == [3, 4]


def test_streamed_map_pushes_what_has_expired(probe, gate):
    client = probe(workers=1).connect()
    door = gate()
    job = client.call("map_async", "probe.hold", [door.path, 1, 2],
                      {"expires": 0.1, "errors": "collect", "stream": True})
    door.await_held()
    pushed = client.push("items")
    assert pushed[:2] == [job, 1]
    door.release()
    assert client.push("result")[:3] == [job, None, 3]

# SPDX-License-Identifier: MIT
"""priority: the order in which the jobs of a session begin."""


def test_higher_priorities_begin_first(probe, gate, marks):
    client = probe(workers=1).connect()
    held = client.request("apply", "probe.hold", [(door := gate()).path])
    door.await_held()
    requests = [client.request("apply", "probe.mark", [marks.path, f"{priority}{turn}"], {"priority": priority})
                for turn in "ab" for priority in (-2, 0, 2, -1, 1)]
    client.call("ping")
    door.release()
    for msgid in [held, *requests]:
        client.response(msgid)
    assert marks.read() == ["2a", "2b", "1a", "1b", "0a", "0b", "-1a", "-1b", "-2a", "-2b"]


def test_urgent_call_overtakes_a_map_that_has_begun(probe, gate, marks):
    client = probe(workers=1).connect()
    door = gate()
    items = [[door.path], *([marks.path, "map"] for _ in range(20))]
    whole = client.request("map", "probe.hold_or_mark", items, {"star": True, "chunksize": 1})
    door.await_held()
    urgent = client.request("apply", "probe.mark", [marks.path, "urgent"], {"priority": 1})
    client.call("ping")
    door.release()
    client.response(urgent)
    client.response(whole)
    assert marks.read().index("urgent") == 0


def test_priority_gives_no_share_of_others(probe, gate, marks):
    daemon = probe(workers=1)
    one, other = daemon.connect(), daemon.connect()
    held = one.request("apply", "probe.hold", [(door := gate()).path])
    door.await_held()
    urgent = [one.request("apply", "probe.mark", [marks.path, "one"], {"priority": 2}) for _ in range(200)]
    one.call("ping")
    last = other.request("apply", "probe.mark", [marks.path, "other"], {"priority": -2})
    other.call("ping")
    door.release()
    other.response(last)
    for msgid in [held, *urgent]:
        one.response(msgid)
    assert marks.read()[-1] == "one"

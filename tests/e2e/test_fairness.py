# SPDX-License-Identifier: MIT
"""Fair share between sessions, told by the order in which tasks leave their marks: no clock decides."""

import pytest
from procpoold import eventually
from rpc import pack


@pytest.fixture
def queue(probe, gate):
    """A daemon with one worker, held; n connections."""

    def make(n):
        server, held = probe(workers=1), gate()
        clients = [server.connect() for _ in range(n)]
        # On a session of its own, because what it takes is charged.
        held.client = server.connect()
        held.client.request("apply", "probe.hold", [held.path])
        held.await_held()
        return held, clients

    return make


@pytest.mark.parametrize("chunksize", [1, 10, None])
def test_a_large_map_delays_another_sessions_apply_by_about_a_chunk(queue, marks, chunksize):
    held, (first, second) = queue(2)
    opts = {"star": True} if chunksize is None else {"star": True, "chunksize": chunksize}
    map_ = first.request("map", "probe.mark", [[marks.path, "a"]] * 20000, opts)
    first.call("ping")
    apply = second.request("apply", "probe.mark", [marks.path, "b"])
    second.call("ping")
    held.release()
    second.response(apply)
    first.response(map_)
    assert marks.read().index("b") < 2000


def test_a_map_that_runs_already_delays_another_sessions_apply_by_about_a_chunk(probe, marks):
    server = probe(workers=1)
    first, second = server.connect(), server.connect()
    first.call("subscribe", {})
    map_ = first.request("map", "probe.mark", [[marks.path, "a"]] * 20000, {"star": True, "chunksize": 10})
    first.event("job", state="running")
    second.call("apply", "probe.mark", [marks.path, "b"])
    after = len(marks.read())
    first.response(map_)
    assert after < 20001, "the apply waited for the whole map"


def test_two_maps_of_two_sessions_share_the_pool(queue, marks):
    held, (first, second) = queue(2)
    msgids = []
    for client, mark in ((first, "a"), (second, "b")):
        items = [[marks.path, mark]] * 20000
        msgids.append(client.request("map", "probe.mark", items, {"star": True, "chunksize": 1}))
        client.call("ping")
    held.release()
    first.response(msgids[0])
    second.response(msgids[1])
    half = marks.read()[:20000]
    assert 6000 < half.count("b") < 14000


def test_many_small_jobs_do_not_starve_another_session(queue, marks):
    held, (first, second) = queue(2)
    many = [first.request("apply", "probe.mark", [marks.path, "a"]) for _ in range(3000)]
    first.call("ping")
    one = second.request("apply", "probe.mark", [marks.path, "b"])
    second.call("ping")
    held.release()
    second.response(one)
    for msgid in many:
        first.response(msgid)
    assert marks.read().index("b") < 600


def test_jobs_of_one_session_begin_in_their_order(queue, marks):
    held, (client,) = queue(1)
    msgids = [client.request("apply", "probe.mark", [marks.path, str(i)]) for i in range(500)]
    client.call("ping")
    held.release()
    for msgid in msgids:
        client.response(msgid)
    assert marks.read() == [str(i) for i in range(500)]


def test_a_session_that_sends_large_arguments_does_not_starve_another(queue, marks):
    held, (first, second) = queue(2)
    large = [first.request("apply", "demo.len", [b"x" * (1 << 20)]) for _ in range(20)]
    first.call("ping")
    small = [second.request("apply", "demo.inc", [i]) for i in range(200)]
    second.call("ping")
    held.release()
    assert [second.response(msgid) for msgid in small] == list(range(1, 201))
    assert [first.response(msgid) for msgid in large] == [1 << 20] * 20


def test_requests_that_cost_much_are_handled_in_turns(daemon):
    """Searches through thousands of jobs, sent at once, do not make another session wait for the last."""
    server, searches = daemon(), 3000
    first, second = server.connect(), server.connect()
    ids = [first.request("apply_async", "demo.inc", [1]) for _ in range(3000)]
    for msgid in ids:
        first.response(msgid)
    second.call("wait", first.call("apply_async", "demo.inc", [1]))
    eventually(lambda: second.call("stats")["jobs"]["retained"] == 3001)
    first.quiet()
    first.sock.setblocking(True)
    first.sock.sendall(pack([0, 1, "jobs", [{"state": "waiting"}]]) * searches)
    second.call("ping")
    answered = len(first.sock.recv(1 << 20)) // len(pack([1, 1, None, []]))
    assert answered < searches

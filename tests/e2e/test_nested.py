# SPDX-License-Identifier: MIT
"""parent: functions in workers that call functions."""

import time

import pytest
from procpoold import BUILD, eventually
from rpc import pack

NESTED = f"{BUILD}/tests/e2e/nested.so"


@pytest.fixture
def nest(daemon):
    """Starts daemons whose pools have the module `nested`: nest(one=2, two=1), by number of workers."""
    def start(extra_workers=0, **workers):
        pools = {name: {"modules": ["demo", NESTED], "workers": count, "extra_workers": extra_workers}
                 for name, count in workers.items()}
        return daemon(workers=None, pools=pools)
    return start


def within(server, pool, function, *args, method="apply"):
    """The arguments with which nested.apply() calls this function in this pool."""
    return [str(server.path), pool, function, list(args)]


def test_function_calls_into_its_own_pool(nest):
    server = nest(one=2)
    client = server.connect()
    assert client.call("apply", "nested.apply", within(server, "one", "demo.inc", 1)) == 2
    assert client.call("apply", "nested.apply_async", within(server, "one", "demo.inc", 1)) == 2


@pytest.mark.parametrize("method", ["apply", "apply_async"])
def test_call_that_no_worker_is_left_for_fails(nest, method):
    server = nest(one=1)
    client = server.connect()
    error = client.error("apply", f"nested.{method}", within(server, "one", "demo.inc", 1))
    assert (error["code"], error["type"]) == ("function-failed", "would-deadlock")
    assert client.call("apply", "demo.inc", [1]) == 2


def test_depth_is_bounded_by_the_workers(nest):
    server = nest(one=3)
    client = server.connect()
    call = within(server, "one", "demo.inc", 1)
    for _ in range(2):
        assert client.call("apply", "nested.apply", call) == 2
        call = within(server, "one", "nested.apply", *call)
    error = client.error("apply", "nested.apply", call)
    assert error["type"] == "would-deadlock"


def test_circle_through_two_pools_fails(nest):
    server = nest(one=1, two=1)
    client = server.connect()
    assert client.call("apply", "nested.apply", within(server, "two", "demo.inc", 1), {"pool": "one"}) == 2
    back = within(server, "two", "nested.apply", *within(server, "one", "demo.inc", 1))
    error = client.error("apply", "nested.apply", back, {"pool": "one"})
    assert error["type"] == "would-deadlock"


def test_extra_worker_comes_where_the_pool_allows_it(nest):
    server = nest(one=1, extra_workers=2)
    client = server.connect()
    twice = within(server, "one", "nested.apply", *within(server, "one", "demo.inc", 1))
    assert client.call("apply", "nested.apply", twice) == 2
    thrice = within(server, "one", "nested.apply", *twice)
    assert client.error("apply", "nested.apply", thrice)["type"] == "would-deadlock"


def test_many_nested_calls_all_end(nest):
    """However they meet: each is answered, with its value or with would-deadlock."""
    server = nest(one=3)
    client = server.connect()
    requests = [client.request("apply", "nested.apply", within(server, "one", "demo.inc", i)) for i in range(60)]
    for i, msgid in enumerate(requests):
        _, _, error, value = client.take(lambda m, msgid=msgid: m[0] == 1 and m[1] == msgid)
        assert value == i + 1 or error["type"] == "would-deadlock"
    assert client.call("apply", "nested.apply", within(server, "one", "demo.inc", 1)) == 2


def test_job_names_its_parent(nest, gate):
    server = nest(one=2)
    client = server.connect()
    parent = client.call("apply_async", "nested.apply", within(server, "one", "demo.sleep", 60))
    child = eventually(lambda: [job for job in client.call("jobs") if job["job"] != parent])[0]
    assert child["parent"] == parent
    assert "parent" not in client.call("job", parent)
    assert client.call("cancel", child["job"])["cancelled"]
    assert client.push("result")[1]["type"] == "cancelled"


def test_calls_of_a_killed_worker_end_with_it(nest):
    server = nest(one=2)
    client = server.connect()
    parent = client.call("apply_async", "nested.apply", within(server, "one", "demo.sleep", 60))
    eventually(lambda: len(client.call("jobs")) == 2)
    assert client.call("cancel", parent)["cancelled"]
    eventually(lambda: [job["state"] for job in client.call("jobs")] == ["cancelled"])


@pytest.mark.plain
def test_calls_of_many_functions_do_not_slow_each_other(probe):
    client = (server := probe(workers=2)).connect()
    parent, _ = (client.call("apply_async", "probe.until_stopped", []) for _ in range(2))
    callers = [server.connect() for _ in range(100)]
    for caller in callers:
        caller.send(b"".join(pack([0, i, "apply", ["demo.inc", [1], {"parent": parent}]]) for i in range(100)))
        caller.call("ping")
    begun = time.monotonic()
    for i in range(20000):
        callers[0].request("apply", "demo.inc", [1], {"parent": parent})
    callers[0].call("ping")
    assert time.monotonic() - begun < 3

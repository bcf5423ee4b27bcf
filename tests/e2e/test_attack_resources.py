# SPDX-License-Identifier: MIT
"""A daemon that is given no more memory or descriptors: it says so to whom it concerns."""

import resource

import pytest
from rpc import Client, Closed, pack

AVAILABLE = 64 << 20


def limit_memory():
    resource.setrlimit(resource.RLIMIT_DATA, (AVAILABLE, resource.RLIM_INFINITY))


@pytest.mark.plain
def test_a_message_without_memory_for_it_is_refused_and_the_daemon_serves_on(daemon):
    server = daemon(workers=1, setup=limit_memory)
    witness = server.connect()
    for _ in range(3):
        with Client(server.path) as client:
            try:
                client.request("apply", "demo.len", [b"x" * (90 << 20)])
                client.closed()
            except (Closed, OSError):
                pass
            [[error]] = [m[2] for m in [*client.inbox, *client.unpacker] if m[:2] == [2, "error"]]
            assert error["code"] == "out-of-memory" and "send less" in error["message"]
        assert witness.call("apply", "demo.inc", [1]) == 2
    assert "the daemon has no memory for a message" in server.stderr()
    with Client(server.path) as client:
        client.send(pack([0, 1, "apply", ["demo.len", [b"x" * (1 << 20)]]]))
        assert client.response(1) == 1 << 20


def test_a_daemon_without_descriptors_for_its_loop_says_so(start):
    server = start(setup=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5)))
    server.expected_status = 1
    assert server.await_exit() == 1
    assert "procpoold: Too many open files" in server.stderr()

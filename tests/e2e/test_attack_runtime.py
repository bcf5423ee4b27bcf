# SPDX-License-Identifier: MIT
"""Runtimes that break their protocol or stand still: what they do is told as it was, and costs nobody else."""

from procpoold import children


def test_a_module_that_ignores_its_children_hides_no_end_of_a_worker(probe):
    server = probe(workers=2, env={"PROBE_IGNORES_CHILDREN": "1"})
    client = server.connect()
    spawners = children(server.pid)
    assert client.error("apply", "demo.crash", [9])["signal"] == 9
    server.await_workers(2)
    assert children(server.pid) == spawners

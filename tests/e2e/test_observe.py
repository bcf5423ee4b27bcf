# SPDX-License-Identifier: MIT
"""pools, workers, functions and stats say what is the case. Their shapes are conformance cases."""

import pytest
from procpoold import eventually


@pytest.mark.memcheck
def test_functions_are_listed_by_name_with_what_they_do(client):
    rows = client.call("functions")
    names = [row["name"] for row in rows]
    demo = {"inc", "echo", "sleep", "spin", "pid", "fail", "crash", "alloc", "len"}
    assert names == sorted(names) and {f"demo.{name}" for name in demo} <= set(names)
    assert all(row["pool"] == "default" and row["doc"] for row in rows)


def test_functions_of_one_pool_are_listed_alone(daemon):
    pools = {"a": {"modules": ["demo"], "workers": 1}, "b": {"modules": ["digest"], "workers": 1}}
    client = daemon(workers=None, pools=pools).connect()
    assert {row["pool"] for row in client.call("functions")} == {"a", "b"}
    assert {row["name"] for row in client.call("functions", {"pool": "b"})} == {"digest.sha256", "digest.sha256_bytes"}


def test_pools_count_what_waits_and_what_runs(probe, gate):
    client = probe(workers=2).connect()
    gates = [gate(), gate()]
    for each in gates:
        client.request("apply", "probe.hold", [each.path])
    for each in gates:
        each.await_held()
    for i in range(5):
        client.request("apply", "demo.inc", [i])
    [row] = client.call("pools")
    assert (row["name"], row["workers"], row["target"], row["state"]) == ("default", 2, 2, "ready")
    assert (row["waiting"], row["running"], row["restarts"], row["error"]) == (5, 2, 0, None)
    for each in gates:
        each.release()
    eventually(lambda: [(r["waiting"], r["running"]) for r in client.call("pools")] == [(0, 0)])


def test_pools_name_their_runtime_and_modules(probe):
    [row] = probe().connect().call("pools")
    assert row["runtime"] and isinstance(row["modules"], list) and "demo" in row["modules"]


def test_pools_count_the_deaths_of_workers(client):
    for _ in range(3):
        client.error("apply", "demo.crash", [9])
    eventually(lambda: client.call("pools")[0]["restarts"] == 3)


def test_workers_show_what_they_run(probe, gate):
    client, held = probe(workers=2).connect(), gate()
    job = client.call("apply_async", "probe.hold", [held.path])
    held.await_held()
    rows = client.call("workers")
    assert sorted(row["worker"] for row in rows) == [1, 2]
    [busy] = [row for row in rows if row["state"] == "busy"]
    [idle] = [row for row in rows if row["state"] == "idle"]
    assert (busy["job"], busy["function"], busy["pool"]) == (job, "probe.hold", "default")
    assert (idle["job"], idle["function"]) == (None, None)
    held.release()
    client.call("wait", job)
    eventually(lambda: all(row["state"] == "idle" for row in client.call("workers")))


def test_workers_count_the_tasks_that_they_ended(daemon):
    client = daemon(workers=1).connect()
    client.call("map", "demo.inc", list(range(100)))
    assert [row["tasks"] for row in client.call("workers")] == [100]


@pytest.mark.memcheck
def test_stats_count_jobs_and_tasks(client):
    client.call("map", "demo.inc", list(range(10)))
    client.call("apply", "demo.inc", [1])
    client.error("apply", "demo.fail", ["no luck"])
    job = client.call("apply_async", "demo.inc", [1])
    client.call("wait", job)
    stats = client.call("stats")
    jobs = stats["jobs"]
    assert (jobs["accepted"], jobs["done"], jobs["failed"], jobs["cancelled"]) == (4, 3, 1, 0)
    assert (jobs["waiting"], jobs["running"], jobs["retained"]) == (0, 0, 1)
    assert stats["tasks"] == {"begun": 13, "finished": 13}
    assert stats["sessions"] == 1 and stats["uptime"] > 0 and stats["lost"] == 0


def test_stats_count_cancelled_jobs(probe, gate):
    client, held = probe(workers=1).connect(), gate()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    client.call("cancel", client.call("apply_async", "demo.inc", [1]))
    held.release()
    assert client.call("stats")["jobs"]["cancelled"] == 1


@pytest.mark.parametrize("name", ["waiting_seconds", "running_seconds"])
def test_histograms_have_a_count_for_each_bound_and_one_beyond(client, name):
    client.call("map", "demo.inc", list(range(10)))
    histogram = client.call("stats")[name]
    assert len(histogram["counts"]) == len(histogram["le"]) + 1
    assert histogram["le"] == sorted(histogram["le"])
    assert sum(histogram["counts"]) == histogram["count"] == 10
    assert histogram["sum"] >= 0


def test_the_histogram_of_running_times_tells_long_from_short(client):
    client.call("apply", "demo.spin", [60])
    histogram = client.call("stats")["running_seconds"]
    [i] = [i for i, n in enumerate(histogram["counts"]) if n]
    assert i == 0 or histogram["le"][i - 1] < histogram["sum"]
    assert i == len(histogram["le"]) or histogram["sum"] <= histogram["le"][i]
    assert histogram["sum"] >= 0.055


def test_stats_count_sessions_as_they_come_and_go(daemon):
    server = daemon()
    clients = [server.connect() for _ in range(5)]
    for each in clients:
        each.call("ping")
    assert clients[0].call("stats")["sessions"] == 5
    for each in clients[1:]:
        each.close()
    eventually(lambda: clients[0].call("stats")["sessions"] == 1)

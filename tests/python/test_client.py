# SPDX-License-Identifier: MIT
"""procpool.Client against the daemon and its native functions."""

import os
import pickle
import signal
import socket
import threading
import time

import pytest
from fake import DEADLINE, in_thread
from procpool import errors
from procpool.client import Client
from procpoold import PROBE, Daemon, Gate


@pytest.fixture(scope="module")
def daemon():
    daemon = Daemon(workers=2, modules=["demo", PROBE])
    try:
        daemon.await_ready().await_workers(2)
        yield daemon
    finally:
        daemon.finish()


@pytest.fixture
def client(daemon):
    with Client(str(daemon.path), name="test") as client:
        yield client


@pytest.fixture
def gate(tmp_path):
    gate = Gate(tmp_path)
    yield gate
    gate.abandon()


def test_it_says_who_it_is_and_who_answers(daemon, client):
    assert client.ping() == "pong" and client.address == str(daemon.path)
    assert client.limits["depth"] == 32 and client.session > 0 and client.server_version
    assert client.rights == ["call", "observe", "administer"] == client.pools()[0]["rights"]
    assert repr(client) == f"<procpool.Client at {daemon.path}, session {client.session}>"
    job = client.options(detach=True).apply_async("demo.inc", 1)
    assert job.get() == 2 and client.job(job.id)["client"] == "test"


def test_it_finds_the_daemon_by_the_environment(daemon, monkeypatch):
    monkeypatch.setenv("PROCPOOL_SOCKET", str(daemon.path))
    with Client() as client:
        assert client.ping() == "pong"


def test_nobody_who_listens_is_told_with_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="no procpoold listens.*nowhere"):
        Client(str(tmp_path / "nowhere"))


def test_a_socket_that_is_not_for_this_user_says_whom_to_ask(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        user = os.geteuid()
        os.seteuid(user or 65534)  # root may connect to everything
        try:
            with pytest.raises(PermissionError, match="ask its owner for access"):
                Client(str(path))
        finally:
            os.seteuid(user)


def test_apply_returns_the_value_and_raises_the_error(client):
    assert client.apply("demo.inc", 41) == 42 and client.apply("demo.echo", (1, [b"2"])) == [1, [b"2"]]
    with pytest.raises(errors.FunctionFailed, match="no luck") as caught:
        client.apply("demo.fail", "no luck")
    assert caught.value.job
    with pytest.raises(errors.UnknownFunction) as caught:
        client.apply("demo.imc", 1)
    assert caught.value.suggestions[0] == "demo.inc"
    with pytest.raises(TypeError, match="set"):
        client.apply("demo.echo", {1})


def test_options_are_for_the_calls_of_a_view(client):
    view = client.options(pool="default", chunksize=1).options(timeout=0.05)
    assert view.apply("demo.inc", 1) == 2 and view.map("demo.inc", [1]) == [2]
    assert repr(view).endswith(", pool='default', chunksize=1, timeout=0.05>")
    with pytest.raises(errors.Timeout) as caught:
        view.apply("demo.sleep", 60)
    assert caught.value.timeout == 0.05
    with pytest.raises(errors.NoSuchPool):
        client.options(pool="nowhere").apply("demo.inc", 1)
    with pytest.raises(TypeError, match="speed"):
        client.options(speed=9)
    view.close()
    assert client.apply("demo.inc", 1) == 2


def test_named_arguments_go_along(client):
    with pytest.raises(errors.BadRequest, match="named"):  # which native functions do not take
        client.options(timeout=5).apply("demo.inc", x=1)
    with pytest.raises(errors.BadRequest, match="named"):
        client.map("demo.inc", [1], x=1)


def test_apply_async_gives_a_job(client, gate):
    job = client.apply_async("probe.hold", gate.path)
    gate.await_held()
    assert not job.ready() and not job.wait(0.01) and client.job(job.id)["state"] == "running"
    with pytest.raises(TimeoutError):
        job.get(0.01)
    assert "under way" in repr(job)
    gate.release()
    job.get(DEADLINE)
    assert job.ready() and job.meta["function"] == "probe.hold" and "done" in repr(job)


def test_a_job_can_be_cancelled(client, gate):
    job = client.apply_async("probe.hold", gate.path)
    gate.await_held()
    assert job.cancel()["cancelled"]
    with pytest.raises(errors.Cancelled):
        job.get(DEADLINE)
    assert not job.cancel()["cancelled"]


def test_a_detached_job_is_picked_up_by_another_client(daemon):
    with Client(str(daemon.path)) as first:
        number = first.options(detach=True).apply_async("demo.inc", 1).id
    with Client(str(daemon.path)) as second:
        assert second.wait(number, DEADLINE) == 2 and second.result(number) == 2
        assert not second.cancel(number)["cancelled"]
        with pytest.raises(errors.NoSuchJob):
            second.wait(1)


def test_maps(client):
    assert client.map("demo.inc", range(1000)) == list(range(1, 1001))
    assert client.map("demo.inc", iter([])) == []
    assert client.options(star=True).map("demo.inc", [(1,), [2]]) == [2, 3]
    assert client.map_async("demo.inc", [1, 2]).get(DEADLINE) == [2, 3]
    with pytest.raises(errors.BadRequest) as caught:
        client.map("demo.inc", [1, "x"])
    assert caught.value.index == 1


def test_a_map_may_collect_what_failed(client):
    collecting = client.options(errors="collect")
    for values in (collecting.map("demo.inc", [1, "x"]), collecting.map_async("demo.inc", [1, "x"]).get(DEADLINE),
                   list(collecting.imap("demo.inc", [1, "x"]))):  # fmt: skip
        assert values[0] == 2 and type(values[1]) is errors.BadRequest


def test_a_streamed_map_comes_in_order_or_as_it_ends(client):
    assert list(client.imap("demo.inc", range(500))) == list(range(1, 501))
    assert sorted(client.imap_unordered("demo.inc", range(500))) == list(range(1, 501))
    with pytest.raises(errors.BadRequest):
        list(client.imap("demo.inc", ["x"]))


def test_a_streamed_map_that_is_left_is_cancelled(client, gate, tmp_path):
    values = client.options(chunksize=1).imap_unordered("demo.sleep", [0, 60, 60])
    assert next(values) is None
    values.close()
    deadline = time.monotonic() + DEADLINE
    while any(worker["state"] in ("busy", "halting") for worker in client.workers()):
        assert time.monotonic() < deadline


def test_jobs_are_listed_page_by_page(client, monkeypatch):
    import procpool.client

    monkeypatch.setattr(procpool.client, "_JOBS_PAGE", 2)
    numbers = [client.options(detach=True).apply_async("demo.inc", n).id for n in range(5)]
    for number in numbers:
        client.wait(number)
    rows = list(client.jobs(after=numbers[0] - 1, state="done", pool="default"))
    assert [row["job"] for row in rows] == numbers


def test_a_subscription_to_a_job_tells_of_it_until_its_end(client, gate):
    job = client.apply_async("probe.hold", gate.path)
    gate.await_held()
    with client.subscribe(job=job.id) as events:
        with pytest.raises(TimeoutError):
            events.next(0.01)
        gate.release()
        seen = list(events)
    assert seen[-1]["event"] == "job" and seen[-1]["state"] == "done" or seen[-1]["event"] == "result"
    assert any(event["event"] == "result" and event["error"] is None for event in seen)


def test_a_subscription_to_a_pool_tells_of_that_only(client):
    pool = client.open_pool(modules=["demo"], workers=1)["pool"]
    with client.subscribe(pool=pool) as events, client.subscribe() as everything:
        client.options(pool="default").apply("demo.inc", 1)
        number = client.options(pool=pool, detach=True).apply_async("demo.inc", 1).id
        while events.next(DEADLINE).get("job") != number:
            pass
        while everything.next(DEADLINE).get("job") == number:
            pass
    client.terminate_pool(pool)
    with pytest.raises(errors.NoSuchPool):
        client.subscribe(pool="nowhere")


def test_pools_of_ones_own(client):
    pool = client.open_pool(modules=["demo"], workers=1)["pool"]
    assert client.options(pool=pool).apply("demo.inc", 1) == 2
    with pytest.raises(errors.BadRequest):
        client.join_pool(pool)
    client.close_pool(pool)
    client.join_pool(pool, DEADLINE)
    with pytest.raises(errors.PoolClosed):
        client.options(pool=pool).apply("demo.inc", 1)


def test_what_is_observed(client):
    assert [pool["name"] for pool in client.pools()] == ["default"]
    assert len(client.workers()) == 2
    assert "demo.inc" in [function["name"] for function in client.functions("default")]
    assert client.stats()["jobs"]["accepted"] > 0


def test_what_is_administered(client):
    assert client.scale("default", 3) == (3, 3) and client.scale("default", min=2, max=2) == (2, 2)
    with pytest.raises(TypeError):
        client.scale("default")
    client.pause("default")
    client.resume("default")
    client.drain("default", DEADLINE)
    client.resume("default")
    assert client.recycle("default") >= 2
    assert client.reload() == {"changed": [], "added": [], "removed": [], "restart": []}
    with pytest.raises(errors.BadRequest):
        client.kill(1)


def test_many_more_calls_than_may_be_under_way(client):
    jobs = [client.apply_async("demo.inc", n) for n in range(5000)]
    assert [job.get(DEADLINE) for job in jobs] == list(range(1, 5001))


def test_the_daemons_limits_are_not_met():
    daemon = Daemon(workers=1, limits={"jobs_session": 10, "queued_bytes_session": 100_000})
    try:
        with Client(str(daemon.await_ready().path)) as client:
            jobs = [client.apply_async("demo.len", bytes(n)) for n in range(500)]
            assert [job.get(DEADLINE) for job in jobs] == list(range(500))
            jobs = [client.apply_async("demo.len", bytes(40_000)) for n in range(20)]
            assert [job.get(DEADLINE) for job in jobs] == [40_000] * 20
    finally:
        daemon.finish()


def test_many_threads_share_a_client(client):
    threads = [in_thread(lambda n=n: [client.apply("demo.inc", n) for _ in range(100)]) for n in range(8)]
    for n, join in enumerate(threads):
        assert join() == [n + 1] * 100


def test_an_interrupted_call_is_cancelled_and_harms_no_other(client, gate):
    other = client.apply_async("demo.sleep", 0.2)

    def interrupt():
        gate.await_held()
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.main_thread().ident
    join = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.apply("probe.hold", gate.path)
    join()
    assert client.apply("demo.inc", 1) == 2 and other.wait(DEADLINE) and other.get() is None
    deadline = time.monotonic() + DEADLINE
    while any(worker["function"] == "probe.hold" and worker["state"] == "busy" for worker in client.workers()):
        assert time.monotonic() < deadline, "it still runs"


def test_the_end_of_the_daemon_is_told(tmp_path):
    daemon = Daemon(workers=1)
    try:
        client = Client(str(daemon.await_ready().path))
        job = client.apply_async("demo.sleep", 60)
        job.id  # noqa: B018 - it has been accepted
        daemon.expected_status = -signal.SIGKILL
        daemon.kill(signal.SIGKILL)
        with pytest.raises(errors.ConnectionLost, match="unknown"):
            job.get(DEADLINE)
        with pytest.raises(errors.ConnectionLost):
            client.ping()
        assert client.closed and "closed" in repr(client)
        client.close()
    finally:
        daemon.finish()


def test_it_cannot_be_sent_away(client):
    with pytest.raises(NotImplementedError):
        pickle.dumps(client)


def test_a_client_that_is_dropped_hangs_up(daemon, client):
    before = client.stats()["sessions"]
    other = Client(str(daemon.path))
    other.apply_async("demo.inc", 1).get()
    assert client.stats()["sessions"] == before + 1
    del other
    deadline = time.monotonic() + DEADLINE
    while client.stats()["sessions"] != before:
        assert time.monotonic() < deadline



# SPDX-License-Identifier: MIT
"""Pools of the configuration: modules, initializers, several pools, and pools that cannot start."""

import hashlib

import pytest
from procpoold import PROBE, eventually


def pools(**settings):
    """The options of daemon() for a pool `p` with the module probe and one worker."""
    return {"workers": None, "pools": {"p": {"modules": [PROBE], "workers": 1, **settings}}}


@pytest.mark.memcheck
def test_a_newcomer_has_the_module_demo(start):
    client = start(workers=1).await_ready().connect()
    assert client.call("apply", "demo.inc", [41]) == 42


def test_modules_are_named_on_the_command_line(daemon):
    client = daemon(modules=["digest"]).connect()
    assert {row["name"].split(".")[0] for row in client.call("functions")} == {"digest"}


def test_a_digest_of_bytes_and_of_a_file_is_the_real_one(daemon, tmp_path):
    client = daemon(modules=["digest"]).connect()
    data = b"some data" * 10000
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert client.call("apply", "digest.sha256", [str(tmp_path / "file")]) == expected
    assert client.call("apply", "digest.sha256_bytes", [data]) == expected


def test_a_file_that_cannot_be_read_fails_alone(daemon, tmp_path):
    client = daemon(modules=["digest"]).connect()
    (tmp_path / "file").write_bytes(b"")
    paths = [str(tmp_path / "none"), str(tmp_path / "file"), "relative/none"]
    pairs = client.call("map", "digest.sha256", paths, {"errors": "collect"})
    assert pairs[0][0]["code"] == "function-failed" and pairs[1][0] is None
    assert "/" in pairs[2][0]["message"].replace("relative/none", "")


def test_a_pool_is_taken_by_the_function_that_it_alone_exports(daemon):
    settings = {"a": {"modules": ["demo"], "workers": 1}, "b": {"modules": ["digest"], "workers": 2}}
    client = daemon(workers=None, pools=settings).connect()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert len(client.call("apply", "digest.sha256_bytes", [b""])) == 64
    assert {(row["name"], row["target"]) for row in client.call("pools")} == {("a", 1), ("b", 2)}


def test_a_function_of_several_pools_is_ambiguous_without_the_pool(daemon):
    client = daemon(workers=None, pools={n: {"modules": ["demo"], "workers": 1} for n in ("a", "b")}).connect()
    for method, args in (("apply", [1]), ("apply_async", [1]), ("map", [1]), ("map_async", [1])):
        error = client.error(method, "demo.inc", args)
        assert error["code"] == "ambiguous" and sorted(error["pools"]) == ["a", "b"]
    assert client.call("apply", "demo.inc", [1], {"pool": "b"}) == 2


def test_a_function_of_another_pool_is_unknown_in_the_named_one(daemon):
    settings = {"a": {"modules": ["demo"], "workers": 1}, "b": {"modules": ["digest"], "workers": 1}}
    client = daemon(workers=None, pools=settings).connect()
    assert client.error("apply", "demo.inc", [1], {"pool": "b"})["code"] == "unknown-function"


def test_a_crash_in_one_pool_costs_the_other_nothing(daemon):
    client = daemon(workers=None, pools={n: {"modules": ["demo"], "workers": 1} for n in ("a", "b")}).connect()
    client.error("apply", "demo.crash", [9], {"pool": "a"})
    restarts = eventually(lambda: (r := {row["name"]: row["restarts"] for row in client.call("pools")})["a"] and r)
    assert restarts == {"a": 1, "b": 0}


def test_the_initializer_gets_its_arguments_in_each_worker(daemon):
    client = daemon(**pools(initargs=["x", "y"], workers=3)).connect()
    pool, worker, workers, initargs = client.call("apply", "probe.who", [])
    assert (pool, workers, initargs) == ("p", 3, ["x", "y"]) and 1 <= worker <= 3


def test_the_initializer_runs_once_in_each_worker_before_its_first_task(daemon, marks):
    server = daemon(**pools(initargs=[marks.path], workers=3))
    server.await_workers(3)
    server.connect().call("map", "probe.pid", list(range(100)))
    assert marks.read() == ["initialized"] * 3


def test_the_initializer_runs_again_in_a_replaced_worker(daemon, marks):
    server = daemon(**pools(initargs=[marks.path]))
    client = server.connect()
    client.error("apply", "probe.exit", [0])
    client.call("apply", "probe.pid", [])
    assert marks.read() == ["initialized"] * 2


def test_the_finalizer_runs_when_a_worker_ends_in_order(daemon, marks):
    server = daemon(env={"PROBE_FINALIZED": marks.path}, **pools(workers=2))
    server.await_workers(2)
    server.kill()
    server.await_exit()
    assert marks.read() == ["finalized"] * 2


def test_an_initializer_that_fails_is_told_to_who_calls(start):
    server = start(**pools(initargs=["fail"]))
    client = server.connect()
    error = client.error("apply", "probe.pid", [])
    assert error["code"] == "initializer-failed" and "told to fail" in error["message"]
    assert error["type"] == "ProbeError"
    [row] = client.call("pools")
    assert row["state"] == "failing" and row["error"]["code"] == "initializer-failed"
    assert client.call("ping") == "pong"


def test_a_pool_whose_initializer_fails_backs_off(start):
    client = start(**pools(initargs=["fail"])).connect()
    client.error("apply", "probe.pid", [])
    with pytest.raises(TimeoutError):
        client.receive(timeout=1)
    assert client.call("pools")[0]["restarts"] < 20


def test_an_initializer_that_crashes_is_told_to_who_calls_and_backs_off(start):
    client = start(**pools(initargs=["crash"])).connect()
    assert client.error("apply", "probe.pid", [])["code"] == "initializer-failed"
    with pytest.raises(TimeoutError):
        client.receive(timeout=1)
    assert client.call("pools")[0]["restarts"] < 20


def test_a_failing_pool_costs_the_others_nothing(start):
    options = pools(initargs=["fail"])
    options["pools"]["good"] = {"modules": ["demo"], "workers": 1}
    client = start(**options).connect()
    assert client.call("apply", "demo.inc", [1]) == 2
    assert client.error("apply", "probe.pid", [], {"pool": "p"})["code"] == "initializer-failed"


def test_the_state_of_a_pool_is_an_event(start):
    client = start(**pools(initargs=["fail"])).connect()
    client.call("subscribe", {})
    client.error("apply", "probe.pid", [])
    event = client.event("pool", state="failing")
    assert event["pool"] == "p" and event["error"]["code"] == "initializer-failed"


@pytest.mark.parametrize("module", ["no_such_module", "/no/such/file.so", "/etc/passwd"])
def test_a_module_that_cannot_be_loaded_is_named(start, module):
    server = start(workers=1, modules=[module])
    client = server.connect()
    row = eventually(lambda: (r := client.call("pools")[0])["state"] == "failing" and r)
    assert module in row["error"]["message"]


def test_a_runtime_that_cannot_be_executed_is_named(start):
    server = start(workers=None, pools={"p": {"runtime": ["/no/such/runtime"], "workers": 1}})
    client = server.connect()
    row = eventually(lambda: (r := client.call("pools")[0])["state"] == "failing" and r)
    assert "/no/such/runtime" in row["error"]["message"]


@pytest.mark.parametrize("runtime", [["/bin/true"], ["/bin/false"], ["/bin/sh", "-c", "kill -9 $$"],
                                     ["/bin/sh", "-c", "echo nonsense >&3"], ["/bin/sh", "-c", "printf '\\301' >&3; cat"]])  # fmt: skip
def test_a_runtime_that_does_not_speak_the_protocol_fails_its_pool_alone(start, runtime):
    settings = {"bad": {"runtime": runtime, "workers": 1}, "good": {"modules": ["demo"], "workers": 1}}
    client = start(workers=None, pools=settings).connect()
    assert client.call("apply", "demo.inc", [1]) == 2
    eventually(lambda: {row["name"]: row["state"] for row in client.call("pools")}["bad"] == "failing")
    assert client.call("apply", "demo.inc", [1]) == 2

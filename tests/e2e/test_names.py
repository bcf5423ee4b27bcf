# SPDX-License-Identifier: MIT
"""Pools whose runtime looks names up by itself, and what goes through the daemon to runtimes as it came: pickles,
named arguments, options."""

import pathlib

import msgpack
import pytest
from procpoold import PYTHON, eventually

HERE = pathlib.Path(__file__).parent
NAMING = [PYTHON, str(HERE / "naming_runtime.py")]
PLAIN = [PYTHON, str(HERE / "plain_runtime.py")]
ALICE, BOB = 64001, 64002
MIB = 1 << 20


def open_pool(client, **options):
    return client.call("open", {"runtime": NAMING, "workers": 2, **options})["pool"]


@pytest.fixture
def client(daemon):
    return daemon(workers=1).connect()


def test_any_name_will_do_where_the_call_names_the_pool(client):
    pool = {"pool": open_pool(client)}
    assert client.call("apply", "math:sqrt", [4], pool)["name"] == "math:sqrt"
    assert client.call("apply", "package.module:Class.methöd", [], pool)["name"] == "package.module:Class.methöd"
    assert [each["item"] for each in client.call("map", "m:f", [1, 2, 3], pool)] == [1, 2, 3]
    job = client.call("apply_async", "m:g", [1], pool)
    error, value, meta = client.push("result")[1:]
    assert (error, value["name"], meta["function"]) == (None, "m:g", "m:g")
    assert client.call("job", job)["function"] == "m:g"


def test_what_the_runtime_does_not_find_is_unknown(client):
    pool = {"pool": open_pool(client)}
    error = client.error("apply", "nothing:here", [], pool)
    assert (error["code"], error["message"]) == ("unknown-function", "cannot find nothing:here")


def test_names_are_not_looked_up_without_the_pool(client):
    open_pool(client)
    assert client.error("apply", "math:sqrt", [4])["code"] == "unknown-function"
    assert client.call("apply", "work:inc", [41]) == 42


def test_only_what_is_listed_is_listed(client):
    pool = open_pool(client)
    client.call("apply", "m:f", [], {"pool": pool})
    rows = client.call("functions", {"pool": pool})
    assert [(row["name"], row["doc"]) for row in rows] == [("*", "whatever it is"), ("work:inc", "x + 1")]
    error = client.error("apply", "work:ink", [1])
    assert error["suggestions"] == ["work:inc"]
    error = client.error("apply", "m", [1])
    assert error["code"] == "unknown-function" and error["suggestions"] == []


def test_star_is_no_function(client):
    pool = open_pool(client)
    assert client.error("apply", "*", [])["code"] == "unknown-function"
    assert client.error("apply", "*", [], {"pool": pool})["code"] == "unknown-function"
    assert client.error("map", "*", [1], {"pool": pool})["code"] == "unknown-function"


@pytest.mark.parametrize("name", [b"", b"a\0b", b"a\nb", b"\x1b[2J", b"\xff", b"\xc3", b"\xed\xa0\x80", b"x" * 300])
def test_what_could_not_be_shown_is_no_name(client, name):
    pool = open_pool(client)
    error = client.error("apply", name, [], {"pool": pool})
    assert error["code"] == ("bad-request" if len(name) > 256 else "unknown-function")
    assert client.call("apply", "x" * 256, [], {"pool": pool})["name"] == "x" * 256


def test_a_pool_with_names_is_recycled(client):
    pool = open_pool(client)
    assert client.call("apply", "m:f", [1], {"pool": pool})["item"] == [1]
    assert client.call("recycle", pool)["generation"] == 2
    assert client.call("apply", "m:f", [2], {"pool": pool})["item"] == [2]
    assert client.call("apply", "m:g", [3], {"pool": pool})["item"] == [3]


# Pickles


def test_pickles_are_refused_where_the_pool_takes_none(daemon):
    client = daemon(modules=["demo"], pools={"any": {"runtime": NAMING, "modules": ["x"]}}).connect()
    own = open_pool(client)
    advice = {"default": "pickle = yes", "any": "pickle = yes", own: "pickle: true"}
    for pool in advice:
        function = "demo.inc" if pool == "default" else "work:inc"
        for pickle in (True, b"\x80\x05N."):
            for method in ("apply", "apply_async", "map", "map_async"):
                error = client.error(method, function, [1], {"pool": pool, "pickle": pickle})
                assert error["code"] == "denied" and pool in error["message"] and advice[pool] in error["message"]
    assert client.error("apply", "demo.inc", [1], {"pickle": True})["code"] == "denied"
    assert {row["name"]: row["pickle"] for row in client.call("pools")} == {"default": False, "any": False, own: False}


def test_pickles_are_passed_on_where_the_pool_takes_them(daemon):
    client = daemon(pools={"any": {"runtime": NAMING, "modules": ["x"], "pickle": "yes"}}).connect()
    own = open_pool(client, pickle=True)
    value = msgpack.ExtType(80, b"\x80\x05K\x02.")
    for pool in ("any", own):
        told = client.call("apply", "m:f", [value], {"pool": pool, "pickle": True})
        assert told == {"name": "m:f", "item": [value], "attempt": 1, "pickle": True}
        told = client.call("apply", "m:f", [1], {"pool": pool, "pickle": b"\x80\x05N.", "kwargs": {"a": value}})
        assert told == {"name": "m:f", "item": [1], "attempt": 1, "pickle": b"\x80\x05N.", "kwargs": {"a": value}}
        assert "pickle" not in client.call("apply", "m:f", [1], {"pool": pool, "pickle": False})
        assert client.call("apply", "settings", [], {"pool": pool})["pickle"] is True
        assert next(row["pickle"] for row in client.call("pools") if row["name"] == pool)


def test_a_pickled_function_may_have_any_name_where_the_call_names_the_pool(client, tmp_path):
    module = tmp_path / "work.py"
    module.write_text("def inc(x):\n    return x + 1\n")
    pool = open_pool(client, runtime=PLAIN, modules=[str(module)], pickle=True)
    # This runtime looks only for the name, and says so: it was asked.
    error = client.error("apply", "__main__:Model.predict", [1], {"pool": pool, "pickle": b"\x80\x05N."})
    assert (error["code"], error["message"]) == ("unknown-function", "no function __main__:Model.predict")
    for pickle in (True, False):
        error = client.error("apply", "__main__:Model.predict", [1], {"pool": pool, "pickle": pickle})
        assert error["code"] == "unknown-function" and "suggestions" in error
    assert "suggestions" in client.error("apply", "__main__:Model.predict", [1], {"pickle": b"\x80\x05N."})
    assert client.call("apply", "work:inc", [1], {"pool": pool, "pickle": b"\x80\x05N."}) == 2
    assert [row["name"] for row in client.call("functions", {"pool": pool})] == ["work:inc"]


@pytest.mark.parametrize("size", [10, 5000, MIB])
def test_each_chunk_and_attempt_has_the_pickle_and_the_named_arguments(client, size):
    pool = open_pool(client, pickle=True)
    pickle = b"\x80" * size
    options = {"pool": pool, "pickle": pickle, "kwargs": {"a": "b" * size}, "chunksize": 2, "retries": 1}
    for function, attempt in ("m:f", 1), ("fail", 2):
        told = client.call("map", function, list(range(5)), options)
        assert [each["item"] for each in told] == list(range(5))
        assert all(each["pickle"] == pickle and each["kwargs"] == {"a": "b" * size} for each in told)
        assert {each["attempt"] for each in told} == {attempt}


def test_a_pickle_is_charged_as_arguments_are(daemon):
    client = daemon(limits={"queued_bytes_session": 2 * MIB}).connect()
    pool = open_pool(client, pickle=True)
    big = b"\x80" * (3 * MIB // 2)
    assert client.call("apply", "m:f", [], {"pool": pool, "pickle": big})["pickle"] == big
    client.call("pause", pool)
    client.call("apply_async", "m:f", [], {"pool": pool, "pickle": big})
    error = client.error("apply_async", "m:f", [], {"pool": pool, "pickle": big})
    assert (error["code"], error["limit"]) == ("busy", "queued_bytes_session")
    client.call("resume", pool)
    assert client.push("result")[2]["pickle"] == big


# Named arguments of maps


def test_each_element_of_a_map_has_the_named_arguments(client, tmp_path):
    module = tmp_path / "scale.py"
    module.write_text("def scale(x, by=1, plus=0):\n    return x * by + plus\n")
    client.call("open", {"runtime": PLAIN, "modules": [str(module)], "workers": 2})
    assert client.call("map", "scale:scale", [1, 2, 3], {"kwargs": {"by": 10}}) == [10, 20, 30]
    items = [[1, 2], [3, 4]]
    assert client.call("map", "scale:scale", items, {"star": True, "kwargs": {"plus": 5}}) == [7, 17]
    client.call("map_async", "scale:scale", [1, 2], {"kwargs": {"by": 2}, "detach": True})
    assert client.push("result")[2] == [2, 4]
    error = client.error("map", "scale:scale", [1, 2], {"kwargs": {"times": 2}})
    assert (error["code"], error["index"]) == ("bad-request", 0)


# What a session's own pool is given


def test_options_reach_the_runtime_as_they_are(client):
    options = {"path": ["/a", None], "main": {"code": b"\xff"}, "nested": {"x": [1.5, msgpack.ExtType(80, b"N.")]}, 7: {}}
    pool = open_pool(client, options=options)
    for each in client.call("map", "settings", [0] * 4, {"pool": pool}):
        assert each["options"] == options
    assert "options" not in client.call("apply", "settings", [], {"pool": open_pool(client)})


def test_the_environment_is_only_what_was_given(daemon):
    client = daemon(env={"PROCPOOL_KEPT": "kept"}).connect()
    kept = client.call("apply", "settings", [], {"pool": open_pool(client, env={"A": "1"})})["environment"]
    assert kept["PROCPOOL_KEPT"] == "kept" and kept["A"] == "1" and "PATH" in kept
    cleared = open_pool(client, env={"A": "1", "B": None, "OMP_NUM_THREADS": "3"}, env_clear=True)
    found = client.call("apply", "settings", [], {"pool": cleared})["environment"]
    assert found["A"] == "1" and found["OMP_NUM_THREADS"] == "3"
    assert not {"PROCPOOL_KEPT", "PATH", "B"} & found.keys()


def test_pools_tell_whose_their_workers_are(daemon, as_root):
    assert daemon(workers=1).connect().call("pools")[0]["uid"] == 0
    assert daemon(workers=1, user=ALICE, mode=0o666).connect(uid=ALICE).call("pools")[0]["uid"] == ALICE


# Clients that mean no good


def test_huge_options_are_charged_and_go_with_the_pool(daemon):
    server = daemon(workers=1, limits={"queued_bytes_session": 24 * MIB})
    client = server.connect()
    pool = open_pool(client, workers=4, options={"code": b"x" * (10 * MIB)})
    told = client.call("apply", "settings", [], {"pool": pool})
    assert len(told["options"]["code"]) == 10 * MIB
    open_pool(client, options={"code": b"x" * (10 * MIB)})
    error = client.error("open", {"runtime": NAMING, "options": {"code": b"x" * (10 * MIB)}})
    assert (error["code"], error["limit"]) == ("busy", "queued_bytes_session")
    client.call("terminate", pool)
    client.call("join", pool)
    open_pool(client, options={"code": b"x" * (10 * MIB)})


@pytest.mark.plain
def test_large_options_are_not_copied_for_each_worker(daemon):
    server = daemon(workers=1)
    client = server.connect()
    before = resident(server)
    # None of them reads its start message.
    deaf = [PYTHON, "-c", "import msgpack, socket; s = socket.socket(fileno=3); s.sendall(msgpack.packb([16, "
                          "{'protocol': 1, 'runtime': 'deaf', 'version': '1'}])); s.recv(1); "
                          "s.sendall(msgpack.packb([17, []])); input()"]  # fmt: skip
    client.request("open", {"runtime": deaf, "workers": 16, "options": {"code": b"x" * (32 * MIB)}})
    eventually(lambda: len([row for row in client.call("workers") if row["pool"] != "default"]) == 16)
    assert resident(server) - before < 150 * MIB


def test_other_users_cannot_use_names_and_pickles_of_own_pools(daemon, as_root):
    server = daemon(workers=1, user=ALICE, mode=0o666)
    owner, other = server.connect(uid=ALICE), server.connect(uid=BOB)
    pool = open_pool(owner, pickle=True)
    options = {"pool": pool, "pickle": b"\x80\x05N."}
    assert owner.call("apply", "m:f", [1], options)["pickle"] == b"\x80\x05N."
    assert other.error("apply", "m:f", [1], options)["code"] == "no-such-pool"
    assert other.error("map", "m:f", [1], {"pool": pool})["code"] == "no-such-pool"
    assert other.error("apply", "m:f", [1])["code"] == "unknown-function"
    assert other.error("functions", {"pool": pool})["code"] == "no-such-pool"
    assert {row["name"] for row in other.call("pools")} == {"default"}
    assert other.error("open", {"runtime": NAMING, "pickle": True, "options": {}})["code"] == "denied"


def resident(server):
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.mark.plain
def test_a_hundred_thousand_names_take_bounded_memory(daemon):
    """Waiting jobs of as many names, again and again: what they took is used again when they have gone."""
    server = daemon(limits={"retained_bytes_user": 4 * MIB}, pools={"any": {"runtime": NAMING, "modules": ["x"]}})
    with server.connect() as client:
        client.call("pause", "any")

    def flood(first, count):
        with server.connect() as client:
            for i in range(first, first + count):
                client.request("apply_async", f"m:{i}:" + "x" * 240, [], {"pool": "any"})
            answers = client.quiet()
            assert len(answers) == count and not any(error for _, _, error, _ in answers)
            assert client.call("stats")["jobs"]["waiting"] == count
        with server.connect() as client:
            eventually(lambda: client.call("stats")["jobs"]["waiting"] == 0)

    flood(0, 20000)
    before = resident(server)
    for i in range(1, 6):
        flood(20000 * i, 20000)
    assert resident(server) - before < 8 * MIB
    with server.connect() as client:
        client.call("resume", "any")
        assert client.call("apply", "m:0", [], {"pool": "any"})["name"] == "m:0"


def test_names_are_charged_with_their_jobs(daemon):
    """Short calls of long names: more of the user's bytes than their arguments are, and given back."""
    server = daemon(limits={"queued_bytes_session": MIB}, pools={"any": {"runtime": NAMING, "modules": ["x"]}})
    client = server.connect()
    client.call("pause", "any")
    for i in range(4000):
        client.request("apply_async", f"m:{i}:" + "x" * 240, [], {"pool": "any"})
    answers = client.quiet()
    errors = [error for _, _, error, _ in answers if error]
    assert len(answers) == 4000 and 0 < len(errors) < 4000
    assert {(error["code"], error["limit"]) for error in errors} == {("busy", "queued_bytes_session")}
    client.call("resume", "any")
    for _ in range(4000 - len(errors)):
        client.push("result")
    assert client.call("apply", "m:0", [], {"pool": "any"})["name"] == "m:0"


def test_who_may_hand_pickles_to_a_configured_pool_is_the_pools_to_say(daemon, as_root):
    settings = {"runtime": NAMING, "modules": ["x"]}
    server = daemon(user=ALICE, mode=0o666, pools={"open": {**settings, "pickle": "yes"}, "shut": settings})
    with server.connect(uid=BOB) as other:
        rows = {row["name"]: (row["pickle"], row["uid"]) for row in other.call("pools")}
        assert rows == {"open": (True, ALICE), "shut": (False, ALICE)}  # as it must know to trust a value
        assert other.call("apply", "m:f", [1], {"pool": "open", "pickle": True})["pickle"] is True
        for pickle in (True, b"N."):
            assert other.error("apply", "m:f", [1], {"pool": "shut", "pickle": pickle})["code"] == "denied"
            assert other.error("map", "work:inc", [1], {"pool": "shut", "pickle": pickle})["code"] == "denied"
        assert other.call("apply", "m:f", [1], {"pool": "shut"})["item"] == [1]


def test_names_of_one_user_take_nothing_from_another(daemon, as_root):
    pools = {"any": {"runtime": NAMING, "modules": ["x"]}}
    server = daemon(user=ALICE, mode=0o666, limits={"queued_bytes_user": MIB, "jobs_user": 100000}, pools=pools)
    with server.connect(uid=ALICE) as owner, server.connect(uid=BOB) as other:
        owner.call("pause", "any")
        for i in range(5000):
            other.request("apply_async", f"m:{i}:" + "x" * 240, [], {"pool": "any"})
        errors = [error for _, _, error, _ in other.quiet() if error]
        assert errors and {error["limit"] for error in errors} == {"queued_bytes_user"}
        job = owner.call("apply_async", "m:owner", [1], {"pool": "any"})
        assert other.error("job", job)["code"] == "no-such-job"
        owner.call("resume", "any")
        assert owner.push("result")[2]["name"] == "m:owner"
        assert {row["name"] for row in other.call("functions")} == {"*", "work:inc"}


def test_huge_and_deep_options_are_refused_for_themselves_alone(daemon):
    server = daemon(workers=1, limits={"message_bytes": MIB})
    client = server.connect()
    error = client.error("open", {"runtime": NAMING, "options": {"x": b"x" * MIB}})
    assert error["code"] == "too-large"
    deep = value = {}
    for _ in range(28):  # with what is around it, 32 containers
        value["x"] = value = {}
    assert client.call("apply", "work:inc", [1], {"pool": open_pool(client, options=deep)}) == 2
    value["x"] = {}
    with server.connect() as other:
        other.request("open", {"runtime": NAMING, "options": deep})
        [[kind, name, [error]]] = other.closed()
        assert (kind, name, error["code"]) == (2, "error", "bad-request")
    assert client.call("ping") == "pong"


def test_a_runtime_that_cannot_take_its_options_fails_only_its_pool(daemon):
    """It reads none of them, and ends."""
    client = daemon(workers=1).connect()
    dies = [PYTHON, "-c", "import msgpack, socket; socket.socket(fileno=3).sendall(msgpack.packb([16, "
                          "{'protocol': 1, 'runtime': 'dies', 'version': '1'}]))"]  # fmt: skip
    error = client.error("open", {"runtime": dies, "options": {"x": b"x" * (16 * MIB)}})
    assert error["code"] == "initializer-failed" and "exited with status 0" in error["message"]
    assert client.call("apply", "demo.inc", [1]) == 2

# SPDX-License-Identifier: MIT
"""Who may do what: every method with every right, and that what one may not know of is as if it were not.

The kernel says who connects, so all of this needs root.
"""

import contextlib
import os
import pathlib
import re
import socket
import time
import traceback

import pytest
from procpoold import PROBE, eventually
from rpc import DEADLINE, Client, Closed, RpcError, pack

pytestmark = pytest.mark.usefixtures("as_root")

PROTOCOL = pathlib.Path(__file__).parents[2] / "proto" / "PROTOCOL.md"
NOBODY, CALLER, OBSERVER, ADMINISTRATOR, OWNER, ALICE, OTHER = range(64100, 64107)
ROOT = 0
NAMES = {CALLER: "call", OBSERVER: "observe", ADMINISTRATOR: "administer", OWNER: "the own user", ROOT: "root"}
EVERYBODY = set(NAMES)
OWNERS = {OWNER, ROOT}
CALLERS = {CALLER} | OWNERS
ADMINISTRATORS = {ADMINISTRATOR} | OWNERS
OBSERVERS = {OBSERVER} | ADMINISTRATORS


def granting(call=(), observe=(), administer=()):
    """The section `access`, of numbers of users."""
    lists = {"call": call, "observe": observe, "administer": administer}
    return {name: [str(each) for each in ids] for name, ids in lists.items()}


def connect_as(server, uid, gid, groups):
    """A connection of whoever has this user and these groups: they count as they are at connect()."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(str(server.path))
                socket.send_fds(theirs, [b"x"], [sock.fileno()])
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    theirs.close()
    with ours:
        ours.settimeout(DEADLINE)
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    client = Client.of_socket(socket.socket(fileno=fds[0]))
    server.clients.append(client)
    return client


def rights(client):
    return client.call("hello")["rights"]


# Every method

class Scene:
    """A pool that NAMES have their right in, another that is ALICE's alone, and jobs of hers in both."""

    def __init__(self, daemon, gate):
        mine = {"modules": ["demo", PROBE], "workers": 3,
                "access": granting([CALLER, ALICE], [OBSERVER], [ADMINISTRATOR])}  # fmt: skip
        hers = {**mine, "access": granting([ALICE], [ALICE], [ALICE])}
        self.server = daemon(user=OWNER, mode=0o666, access={}, pools={"shared": mine, "hidden": hers})
        self.gates = [gate(), gate()]
        self.alice = self.connect(ALICE)
        self.jobs = {}
        for pool, each in zip(("shared", "hidden"), self.gates):
            self.jobs[pool] = self.alice.call("apply_async", "probe.hold", [each.path], {"pool": pool})
            each.await_held()
        self.root = self.connect(ROOT)

    def connect(self, uid):
        return self.server.connect(uid=uid)

    def pid(self, pool="shared", state="busy"):
        wanted = {"pool": pool, "state": state}
        return eventually(lambda: [w["pid"] for w in self.root.call("workers") if wanted.items() <= w.items()])[0]

    def finish(self):
        for each in self.gates:
            each.release()


@pytest.fixture
def scene(daemon, gate):
    made = Scene(daemon, gate)
    yield made
    made.finish()


HERS = {"pool": "shared"}
# Of each method: what is called, who may, and what whoever is not among them nor denied is told. An error that
# comes after rights were looked at is as good as a result.
METHODS = {
    "hello": [(lambda s: [], EVERYBODY, {})],
    "ping": [(lambda s: [], EVERYBODY, {})],
    "pools": [(lambda s: [], EVERYBODY, {})],
    "functions": [(lambda s: [], EVERYBODY, {}), (lambda s: [HERS], EVERYBODY, {})],
    "apply": [(lambda s: ["demo.inc", [1], HERS], CALLERS, {}),
              (lambda s: ["demo.inc", [1]], {CALLER}, {OWNER: "ambiguous", ROOT: "ambiguous"})],
    "apply_async": [(lambda s: ["demo.inc", [1], HERS], CALLERS, {})],
    "map": [(lambda s: ["demo.inc", [1], HERS], CALLERS, {})],
    "map_async": [(lambda s: ["demo.inc", [1], HERS], CALLERS, {})],
    "wait": [(lambda s: [s.jobs["shared"], 0], ADMINISTRATORS, {CALLER: "no-such-job"})],
    "result": [(lambda s: [s.jobs["shared"]], ADMINISTRATORS, {CALLER: "no-such-job"})],
    "job": [(lambda s: [s.jobs["shared"]], OBSERVERS, {CALLER: "no-such-job"})],
    "jobs": [(lambda s: [], EVERYBODY, {}), (lambda s: [{"pool": "shared"}], EVERYBODY, {})],
    "subscribe": [(lambda s: [{}], EVERYBODY, {}), (lambda s: [HERS], EVERYBODY, {}),
                  (lambda s: [{"job": s.jobs["shared"]}], OBSERVERS, {CALLER: "no-such-job"})],
    "unsubscribe": [(lambda s: [{}], EVERYBODY, {}), (lambda s: [HERS], EVERYBODY, {}),
                    (lambda s: [{"job": s.jobs["shared"]}], OBSERVERS, {CALLER: "no-such-job"})],
    "workers": [(lambda s: [], OBSERVERS, {})],
    "stats": [(lambda s: [], OBSERVERS, {})],
    "kill": [(lambda s: [s.pid()], ADMINISTRATORS, {}),
             (lambda s: [s.pid("hidden", "idle")], OWNERS, {ADMINISTRATOR: "bad-request"})],
    "scale": [(lambda s: ["shared", 2], ADMINISTRATORS, {})],
    "pause": [(lambda s: ["shared"], ADMINISTRATORS, {})],
    "resume": [(lambda s: ["shared"], ADMINISTRATORS, {})],
    "recycle": [(lambda s: ["shared"], ADMINISTRATORS, {})],
    "drain": [(lambda s: ["shared", 0], ADMINISTRATORS, {}),
              (lambda s: ["hidden", 0], OWNERS, {ADMINISTRATOR: "no-such-pool"})],
    "cancel": [(lambda s: [s.jobs["hidden"]], OWNERS, {CALLER: "no-such-job", ADMINISTRATOR: "no-such-job"}),
               (lambda s: [s.jobs["shared"]], ADMINISTRATORS, {CALLER: "no-such-job"})],
    "reload": [(lambda s: [], OWNERS, {})],
    "open": [(lambda s: [{"modules": [PROBE]}], OWNERS, {})],
    "close": [(lambda s: ["session-1.1"], OWNERS, {})],
    "join": [(lambda s: ["session-1.1"], OWNERS, {})],
    "terminate": [(lambda s: ["session-1.1"], OWNERS, {})],
}  # fmt: skip
LATE = {"no-such-pool", "no-such-job", "not-ready", "worker-lost", "bad-request"}


def documented_methods():
    section = re.search(r"^## Rights\n(.*?)^## ", PROTOCOL.read_text(), re.MULTILINE | re.DOTALL)[1]
    table = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [method for cell in table for method in re.findall(r"`(\w+)`", cell)]


def test_every_documented_method_is_tried():
    assert len(documented_methods()) > 20 and sorted(documented_methods()) == sorted(METHODS)


def outcome(client, method, params):
    try:
        client.call(method, *params)
    except RpcError as e:
        return e.error
    return {"code": "done"}


@pytest.mark.parametrize("uid", NAMES, ids=NAMES.get)
def test_every_method_needs_its_right(scene, uid):
    """In the order of the table: what comes late changes the scene."""
    client = scene.connect(uid)
    for method, cases in METHODS.items():
        for params, allowed, otherwise in cases:
            error = outcome(client, method, params(scene))
            if uid in allowed:
                assert error["code"] == "done" or error["code"] in LATE, (method, error)
            else:
                assert error["code"] == otherwise.get(uid, "denied"), (method, error)
            if error["code"] == "denied":
                assert "ask" in error["message"] and re.search(r"access \{ \w+ \}|root", error["message"])
            if method in ("pause", "drain"):
                scene.root.call("resume", "shared")
                scene.root.call("resume", "hidden")


def test_who_has_no_right_is_told_and_not_served(scene):
    begin = time.monotonic()
    stranger = scene.connect(NOBODY)
    for method in METHODS:
        with contextlib.suppress(OSError, Closed):
            stranger.request(method)
    [[_, name, [error]]] = stranger.closed()
    assert name == "error" and error["code"] == "denied" and "group" in error["message"]
    log = scene.server.stderr()
    assert f"user {NOBODY}, who has no right" in log
    for _ in range(20):
        scene.connect(NOBODY).closed()
    assert scene.server.stderr().count("who has no right") <= time.monotonic() - begin + 1


# What one may not know of

def exchange(client, *requests):
    """The bytes of all answers to requests, none of which is answered late."""
    client.sock.setblocking(True)
    client.sock.settimeout(DEADLINE)
    end = pack([1, 4711, None, "pong"])
    client.sock.sendall(b"".join(map(pack, requests)) + pack([0, 4711, "ping", []]))
    data = b""
    while not data.endswith(end):
        more = client.sock.recv(65536)
        assert more, data
        data += more
    return data[: -len(end)]


def mentions(pool, job, pid, function):
    """Requests that name a pool, a job, a worker or a function in every way there is."""
    return [
        *([0, 1, method, [func, [1], {"pool": pool}]] for method in ("apply", "apply_async", "map", "map_async")
          for func in ("demo.inc", "demo.none", "*")),
        [0, 1, "apply", [function, []]],
        [0, 1, "apply", ["demo.inc", [1], {"pool": "shared", "parent": job}]],
        [0, 1, "functions", [{"pool": pool}]],
        *([0, 1, method, [{"pool": pool}]] for method in ("subscribe", "unsubscribe", "jobs")),
        *([0, 1, method, [{"job": job}]] for method in ("subscribe", "unsubscribe")),
        *([0, 1, method, [job]] for method in ("wait", "result", "cancel", "job")),
        [0, 1, "wait", [job, 0]],
        *([0, 1, method, [pool]] for method in ("pause", "resume", "recycle", "drain", "close", "join", "terminate")),
        [0, 1, "scale", [pool, 3]],
        [0, 1, "kill", [pid]],
        [0, 1, "pools", []],
        [0, 1, "workers", []],
        [0, 1, "functions", []],
    ]  # fmt: skip


def steady(data, pid):
    """Without what differs from answer to answer, and without the pid, which may be longer than another."""
    data = re.sub(rb"since\xcb.{8}", b"since", data, flags=re.DOTALL)
    return re.sub(rb"(\xd9.|[\xa0-\xbf])no worker has the pid %d;" % pid, b"no worker has the pid;", data, flags=re.DOTALL)


@pytest.mark.parametrize("uid", [CALLER, OBSERVER, ADMINISTRATOR], ids=NAMES.get)
def test_what_one_may_not_know_of_answers_byte_for_byte_as_what_is_not(scene, uid):
    client = scene.connect(uid)
    job, pid = scene.jobs["hidden"], scene.pid("hidden")
    absent_job, absent_pid = job + 1000, 2**31 - 1
    there = exchange(client, *mentions("hidden", job, pid, "probe.hide"))
    nowhere = exchange(client, *mentions("absent", absent_job, absent_pid, "probe.hide"))
    assert b"hidden" in there and str(job).encode() in there
    for mine, other in ((b"hidden", b"absent"), (str(job).encode(), str(absent_job).encode())):
        there = there.replace(mine, other)
    assert steady(there, pid) == steady(nowhere, absent_pid)


def test_nothing_of_a_pool_is_pushed_to_who_may_not_know_of_it(scene):
    everyone = {uid: scene.connect(uid) for uid in (CALLER, OBSERVER, ADMINISTRATOR)}
    for client in everyone.values():
        client.call("subscribe", {})
    job = scene.alice.call("apply_async", "demo.inc", [1], {"pool": "hidden"})
    assert scene.alice.call("wait", job) == 2
    scene.root.call("kill", scene.pid("hidden", "idle"))
    scene.root.call("recycle", "hidden")
    for client in everyone.values():
        assert client.quiet() == []


def test_job_of_another_shows_an_observer_no_more_than_that_it_is_there(scene, gate):
    held = gate()
    scene.alice.call("hello", {"client": "secret-client"})
    scene.alice.call("subscribe", {})
    job = scene.alice.call("apply_async", "probe.report", [held.path, {"secret": 1}], {"pool": "shared"})
    held.await_held()
    eventually(lambda: scene.alice.call("job", job)["progress"])
    failed = scene.alice.call("apply_async", "demo.fail", ["secret words"], {"pool": "shared"})
    with pytest.raises(RpcError):
        scene.alice.call("wait", failed)
    observer, administrator = scene.connect(OBSERVER), scene.connect(ADMINISTRATOR)
    row = observer.call("job", job)
    assert (row["client"], row["progress"], row["uid"], row["state"]) == (None, None, ALICE, "running")
    error = observer.call("job", failed)["error"]
    assert error["code"] == "function-failed" and set(error) == {"code", "message"}
    assert "secret" not in repr(observer.call("jobs"))
    observer.call("subscribe", {"job": failed})
    assert observer.event("job", job=failed)["state"] == "failed" and observer.quiet() == []
    row = administrator.call("job", job)
    assert (row["client"], row["progress"]) == ("secret-client", {"secret": 1})
    assert administrator.error("wait", failed)["message"] == "secret words"
    held.release()


def test_rights_are_those_of_each_pool(daemon):
    """One user with another right in each pool."""
    pools = {
        "calls": {"access": granting([ALICE], [], [])},
        "watches": {"access": granting([OTHER], [ALICE], [])},
        "runs": {"access": granting([OTHER], [], [ALICE])},
        "others": {"access": granting([OTHER], [OTHER], [OTHER])},
    }
    server = daemon(mode=0o666, pools={name: {"modules": ["demo"], "workers": 1, **pool} for name, pool in pools.items()})
    alice, other = server.connect(uid=ALICE), server.connect(uid=OTHER)
    assert rights(alice) == ["call", "observe", "administer"] == rights(other)
    assert {row["name"]: row["rights"] for row in alice.call("pools")} == {
        "calls": ["call"], "watches": ["observe"], "runs": ["observe", "administer"]}  # fmt: skip
    assert {row["pool"] for row in alice.call("workers")} == {"watches", "runs"}
    assert {row["pool"] for row in alice.call("functions")} == {"calls", "watches", "runs"}
    assert alice.call("apply", "demo.inc", [1]) == 2
    assert set(other.error("apply", "demo.inc", [1])["pools"]) == {"watches", "runs", "others"}
    for pool in ("watches", "runs"):
        error = alice.error("apply", "demo.inc", [1], {"pool": pool})
        assert error["code"] == "denied" and f"call in pool {pool}" in error["message"]
    for pool in ("calls", "watches"):
        error = alice.error("pause", pool)
        assert error["code"] == "denied" and "access { administer }" in error["message"]
    assert alice.error("pause", "others")["code"] == "no-such-pool"
    pids = {row["pool"]: row["pid"] for row in other.call("workers") + alice.call("workers")}
    assert alice.error("kill", pids["watches"])["code"] == "denied"
    assert "no worker has" in alice.error("kill", pids["others"])["message"]
    assert alice.call("kill", pids["runs"])["pool"] == "runs"


def test_reload_gives_rights_and_takes_them(daemon):
    """Also of who is connected and has subscribed."""
    lists = {"call": [str(ALICE)], "observe": [str(OTHER)]}
    server = daemon(mode=0o666, access={}, pools={"p": {"modules": ["demo", PROBE], "workers": 1, "access": lists}})
    root, alice, other = server.connect(), server.connect(uid=ALICE), server.connect(uid=OTHER)
    other.call("subscribe", {})
    job = alice.call("apply_async", "demo.inc", [1])
    assert alice.call("wait", job) == 2
    assert other.event("job", job=job, state="done") and other.call("job", job)["state"] == "done"
    other.quiet()
    conf = server.dir / "procpoold.conf"
    conf.write_text(conf.read_text().replace(f'observe = {{"{OTHER}"}}', f'administer = {{"{ALICE}"}}'))
    assert root.call("reload")["changed"] == ["p"]
    assert {"call", "administer"} <= set(rights(alice))
    job = alice.call("apply_async", "demo.inc", [1])
    assert alice.call("wait", job) == 2 and alice.call("scale", "p", 1)["max"] == 1
    for method, *params in (["ping"], ["hello"], ["pools"], ["job", job], ["subscribe", {}]):
        assert other.error(method, *params)["code"] == "denied"
    assert other.inbox == []
    assert server.connect(uid=OTHER).closed()[0][2][0]["code"] == "denied"
    conf.write_text(conf.read_text().replace(f'administer = {{"{ALICE}"}}', f'observe = {{"{OTHER}"}}'))
    root.call("reload")
    job = alice.call("apply_async", "demo.inc", [1])
    assert other.event("job", job=job, state="done")


def test_reload_says_that_a_socket_is_for_its_user_alone(daemon):
    server = daemon(listen=False, user=OWNER, access={}, modules=["demo"])
    conf = server.dir / "procpoold.conf"
    conf.write_text('access { call = {"*"} }\n')
    server.connect().call("reload")
    assert "cannot reach it before it is restarted" in server.stderr()


# Who one is

def daemon_for(daemon, **lists):
    access = {name: [str(each) for each in ids] for name, ids in lists.items()}
    return daemon(mode=0o666, modules=["demo"], access=access)


def test_rights_are_those_of_any_of_many_groups(daemon):
    """As many as the kernel allows, of which the last counts."""
    server = daemon_for(daemon, call=["@165535"])
    client = connect_as(server, ALICE, ALICE, range(100000, 165536))
    assert rights(client) == ["call"] and client.call("apply", "demo.inc", [1]) == 2
    assert connect_as(server, ALICE, ALICE, range(99999, 165535)).closed()[0][2][0]["code"] == "denied"


def test_primary_group_counts_as_others_do(daemon):
    server = daemon_for(daemon, observe=[f"@{OTHER}"])
    assert rights(connect_as(server, ALICE, OTHER, [])) == ["observe"]
    assert rights(connect_as(server, ALICE, ALICE, [ALICE, OTHER])) == ["observe"]


def test_number_of_a_user_is_none_of_a_group(daemon):
    server = daemon_for(daemon, call=[ALICE], observe=[f"@{OTHER}"])
    assert rights(connect_as(server, ALICE, ALICE, [])) == ["call"]
    for uid, gid, groups in ((NOBODY, ALICE, [ALICE]), (OTHER, NOBODY, [ALICE, 0])):
        assert connect_as(server, uid, gid, groups).closed()[0][2][0]["code"] == "denied"
    # Nor is the group of root's anything.
    assert connect_as(server, NOBODY, 0, [0]).closed()[0][2][0]["code"] == "denied"


def test_without_lists_only_root_and_the_own_user_are_served(daemon):
    server = daemon(user=OWNER, mode=0o666, access={}, modules=["demo"])
    assert rights(server.connect()) == rights(server.connect(uid=OWNER)) == ["call", "observe", "administer"]
    assert server.connect(uid=ALICE).closed()[0][2][0]["code"] == "denied"


def test_everybody_is_everybody(daemon):
    server = daemon_for(daemon, observe=["*"])
    assert rights(server.connect(uid=NOBODY)) == ["observe"]
    assert server.connect(uid=NOBODY).error("apply", "demo.inc", [1])["code"] == "denied"

# SPDX-License-Identifier: MIT
"""ppctl doctor: what it finds, and that it finds nothing where nothing is wrong."""

import contextlib
import glob
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import threading
import time

import msgpack
import pytest

import procpoold
from ppctl import Ppctl
from procpoold import eventually
from rpc import DEADLINE


@pytest.fixture
def ppctl(daemon):
    return Ppctl(daemon())


def examine(ppctl, *args):
    """The exit status, the facts, and what is wrong by its code."""
    done = ppctl.run("doctor", "--json", *args)
    facts = json.loads(done.stdout)
    assert done.stderr == b"" and facts["ok"] == (done.returncode == 0) == (not facts["findings"])
    return done.returncode, facts, {each["code"]: each for each in facts["findings"]}


def text(ppctl, *args):
    return ppctl.run("doctor", *args).stdout.decode()


@pytest.mark.memcheck
def test_all_is_well_where_all_is_well(ppctl):
    status, facts, _ = examine(ppctl)
    assert status == 0
    [place] = facts["socket"]["places"]
    assert facts["socket"]["path"] == place["path"] == str(ppctl.daemon.path)
    assert (place["source"], place["state"], place["mode"]) == ("PROCPOOL_SOCKET", "taken", "0600")
    assert (place["pid"], place["uid"]) == (os.getpid(), os.getuid()), "who listens is who called listen()"
    assert facts["user"]["uid"] == os.getuid() and set(os.getgroups()) <= set(facts["user"]["groups"])
    versions = facts["versions"]
    assert versions["ppctl"] == versions["library"] == versions["daemon"] and versions["protocol"] == 1
    assert os.path.samefile(versions["library_path"], f"{procpoold.BUILD}/client/lib/libprocpool.so.0")
    assert all(limit["value"] == limit["default"] for limit in facts["limits"])
    assert [pool["name"] for pool in facts["pools"]] == ["default"]
    shown = text(ppctl)
    assert "All is well." in shown and "problem" not in shown and str(ppctl.daemon.path) in shown


def test_what_is_wrong_with_pools_and_limits_is_told(daemon, tmp_path):
    module = tmp_path / "version.so"
    shutil.copy(f"{procpoold.BUILD}/tests/e2e/version1.so", module)
    pools = {"good": {"modules": ["demo"]}, "bad": {"modules": ["/nonexistent.so"]}, "fresh": {"modules": [str(module)]}}
    ppctl = Ppctl(daemon(workers=1, pools=pools, limits={"jobs_session": 7}))
    client = ppctl.daemon.connect()
    status, facts, found = examine(ppctl)
    assert status == 1 and set(found) == {"pool-failing"} and "/nonexistent.so" in found["pool-failing"]["message"]
    assert {"name": "jobs_session", "value": 7, "default": 200000} in facts["limits"]
    assert "jobs_session is 7, by default 200000" in text(ppctl)
    client.call("pause", "good")
    shutil.copy(f"{procpoold.BUILD}/tests/e2e/version2.so", tmp_path / "new")
    os.rename(tmp_path / "new", module)
    eventually(lambda: any(pool["stale"] for pool in client.call("pools")))
    _, _, found = examine(ppctl)
    assert set(found) == {"pool-failing", "pool-paused", "pool-stale"}
    assert found["pool-paused"]["advice"].endswith("ppctl resume good") and "fresh" in found["pool-stale"]["message"]
    client.call("resume", "good")
    client.call("drain", "good")
    assert "pool-draining" in examine(ppctl)[2]
    for _ in range(3):
        [pid] = ppctl.daemon.await_workers(1, "fresh")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: ppctl.daemon.worker_pids("fresh") != {pid})
    assert "fresh" in examine(ppctl)[2]["pool-restarts"]["message"]


def test_where_nobody_listens_each_place_is_told(ppctl, tmp_path):
    status, facts, found = examine(ppctl, "--socket", tmp_path / "none")
    assert status == 1 and set(found) == {"no-daemon"} and facts["socket"]["path"] is None
    assert facts["socket"]["places"][0]["state"] == "missing"
    assert facts["rights"] is facts["limits"] is facts["pools"] is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "stale"))
    assert set(examine(ppctl, "--socket", tmp_path / "stale")[2]) == {"no-daemon", "stale-socket"}
    assert set(examine(ppctl, "--socket", "/dev/null")[2]) == {"no-daemon", "no-socket"}
    # A place without a daemon is passed over, but for the one that was named.
    del ppctl.env["PROCPOOL_SOCKET"]
    ppctl.env["XDG_RUNTIME_DIR"] = str(tmp_path)
    (tmp_path / "procpool").mkdir()
    os.symlink(ppctl.daemon.path, tmp_path / "procpool" / "procpoold.sock")
    status, facts, _ = examine(ppctl)
    assert status == 0 and [place["source"] for place in facts["socket"]["places"]] == ["XDG_RUNTIME_DIR", "system"]
    assert facts["socket"]["places"][1]["state"] == "not-looked-at"


def test_a_daemon_that_hangs_costs_a_limited_time(ppctl):
    ppctl.daemon.kill(signal.SIGSTOP)
    try:
        began = time.monotonic()
        status, facts, found = examine(ppctl, "--timeout", 0.2)
        assert status == 1 and set(found) == {"hung"} and facts["socket"]["path"] == str(ppctl.daemon.path)
        assert time.monotonic() - began < DEADLINE / 2
    finally:
        ppctl.daemon.kill(signal.SIGCONT)


@contextlib.contextmanager
def fake(path, *answers):
    """A daemon that gives these answers (error, result), one each connection, and then hangs up; nil: no answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            for answer in answers:
                with contextlib.suppress(OSError), listener.accept()[0] as peer:
                    hello = peer.recv(65536)
                    while not hello and answer:  # the look at who listens says nothing
                        peer.close()
                        peer = listener.accept()[0]
                        hello = peer.recv(65536)
                    if answer[0] == "push":
                        peer.sendall(msgpack.packb([2, "error", [answer[1]]]))
                    else:
                        peer.sendall(msgpack.packb([1, msgpack.unpackb(hello)[1], None, answer[1]]))
                        peer.recv(65536)
                    peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(DEADLINE)


def test_a_daemon_of_another_version_or_that_refuses_or_hangs_up_is_told(ppctl, tmp_path):
    hello = {"server": "procpoold", "version": "9.9", "protocol": 1, "session": 1, "rights": ["observe"], "limits": {}}
    denied = {"code": "denied", "message": "ask the administrator"}
    with fake(tmp_path / "fake", ("answer", hello), ("push", denied), ("answer", hello | {"protocol": 2})):
        status, facts, found = examine(ppctl, "--socket", tmp_path / "fake")
        assert status == 1 and {"daemon-version", "no-right-to-call", "lost"} == set(found)
        assert facts["versions"]["daemon"] == "9.9" and facts["rights"] == ["observe"]
        assert "access { call }" in found["no-right-to-call"]["advice"]
        _, _, found = examine(ppctl, "--socket", tmp_path / "fake")
        assert set(found) == {"denied"} and "ask the administrator" in found["denied"]["advice"]
        _, _, found = examine(ppctl, "--socket", tmp_path / "fake")
        assert set(found) == {"no-answer"} and "protocol" in found["no-answer"]["message"]


@pytest.fixture
def as_user(as_root, daemon):
    """Runs doctor as another user, against a daemon with that configuration: the facts."""
    def run(uid, **options):
        ppctl = Ppctl(daemon(**options))
        public = ppctl.daemon.dir  # the build directory may be root's own
        for file in (ppctl.program, *glob.glob(f"{procpoold.BUILD}/client/lib/libprocpool.so.?")):
            shutil.copy(file, public)
        command, env = [public / "ppctl", "doctor", "--json"], ppctl.env | {"LD_LIBRARY_PATH": str(public)}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, user=uid, extra_groups=[], cwd="/")
        run.log = ppctl.daemon.stderr()
        return json.loads(done.stdout)
    return run


def test_a_socket_of_another_users_is_told_with_its_owner(as_user):
    facts = as_user(65534)
    assert [each["code"] for each in facts["findings"]] == ["socket-denied"]
    assert "mode 0600, of user root (0)" in facts["findings"][0]["message"]
    assert facts["user"]["uid"] == 65534 and "libprocpool" in facts["versions"]["library_path"]


def test_the_rights_of_a_user_are_told_with_whom_to_ask(as_user):
    config = 'pool "open" { modules = {demo} access { call = {"64001"} } }\n' \
             'pool "closed" { modules = {demo} access { call = {} observe = {"64001"} } }\n' \
             'pool "hidden" { modules = {demo} access { call = {} } }\n'
    options = {"mode": 0o666, "access": {"call": []}, "config": config}
    facts = as_user(64001, **options)
    assert facts["ok"] and set(facts["rights"]) == {"call", "observe"}
    assert {pool["name"]: pool["rights"] for pool in facts["pools"]} == {"open": ["call"], "closed": ["observe"]}
    facts = as_user(64002, **options)
    assert [each["code"] for each in facts["findings"]] == ["denied"] and facts["pools"] is None
    assert "ask the administrator" in facts["findings"][0]["advice"]


def test_only_what_one_may_know_is_asked_for(as_user):
    config = 'pool "open" { modules = {demo} access { call = {"64001"} } }\n'
    facts = as_user(64001, mode=0o666, access={"call": []}, config=config)
    assert facts["ok"] and facts["rights"] == ["call"] and [pool["name"] for pool in facts["pools"]] == ["open"]
    assert "is refused" not in as_user.log


def test_where_no_pool_is_configured_it_says_so(daemon):
    shown = text(Ppctl(daemon(args=["--no-demo"])))
    assert "none is configured" in shown and "All is well." in shown


def on_terminal(ppctl, **env):
    """What it writes to a terminal."""
    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as screen:
        process = subprocess.Popen([ppctl.program, "doctor"], env=ppctl.env | env, stdout=slave)
        os.close(slave)
        output = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while data := screen.read(65536):
                output += data
        assert process.wait(DEADLINE) == 0
    return output.decode()


def test_marks_and_colours_are_for_terminals_that_have_them(ppctl):
    assert "\033[32m✓\033[m" in on_terminal(ppctl, TERM="xterm")
    plain = on_terminal(ppctl, TERM="xterm", NO_COLOR="1")
    assert "✓" in plain and "\033" not in plain
    assert "\033" not in on_terminal(ppctl, TERM="dumb")
    assert "✓" not in on_terminal(ppctl, TERM="xterm", LC_ALL="C")
    assert "\033" not in text(ppctl) and "✓" not in text(ppctl)


def test_a_library_of_another_version_is_told_with_its_file(ppctl):
    ppctl.env |= {"LD_PRELOAD": f"{procpoold.BUILD}/tests/e2e/version_shim.so", "LD_LIBRARY_PATH": "/opt/old",
                  "ASAN_OPTIONS": "verify_asan_link_order=0"}  # fmt: skip
    status, facts, found = examine(ppctl)
    assert status == 1 and set(found) == {"library-version"} and facts["versions"]["library"] == "9.9"
    assert "version_shim.so" in found["library-version"]["message"]
    assert "LD_LIBRARY_PATH" in found["library-version"]["advice"]


def test_it_looks_at_no_private_daemon(ppctl):
    status, why = ppctl.failure("--private", "doctor")
    assert status == 2 and "--private" in why

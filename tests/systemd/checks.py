# SPDX-License-Identifier: MIT
"""Checks of the installed service, made by root in a system that `boot` has booted for them alone.

They run in their order, each in what the ones before left behind: the service as installed, configured as CONFIG says.
The results go to results.json beside this file, where test_boot.py makes a test of each.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).parent
SOCKET = "/run/procpool/procpoold.sock"
SERVICE = "procpoold.service"
DROP_INS = pathlib.Path("/usr/share/procpool/drop-ins")
ETC_DROP_INS = pathlib.Path("/etc/systemd/system/procpoold.service.d")
RUN_DROP_INS = pathlib.Path("/run/systemd/system/procpoold.service.d")
SECONDS = 20

CONFIG = pathlib.Path("/etc/procpool/procpoold.conf")
PROBE = 'interpreter = "/usr/bin/python3"\n modules = {"/opt/test/probe.py"}\n workers = 1'
POOLS = f"""
workers = 2
pool "main" {{ modules = {{"demo"}} }}
pool "probe" {{ {PROBE} }}
"""

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Skip(Exception):
    """It cannot be checked here."""


# ---- helpers ----


def run(*command, user=None, ok=True, env=(), timeout=60):
    """Runs a command, as a user with all groups; returns what it printed."""
    if user:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", "PATH=/usr/bin:/bin",
                   *env, *command]  # fmt: skip
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    if ok:
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}"
    return ended.stdout


def status_of(*command, **options):
    """Exit status and what was printed."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **options)
    return ended.returncode, ended.stdout


def systemctl(*words):
    return run("systemctl", *words)


def show(name, unit=SERVICE):
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def main_pid():
    return int(show("MainPID"))


def eventually(condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"still not: {condition}\n{run('systemctl', 'status', SERVICE, ok=False)}"
        select.select([], [], [], 0.02)


def connect(path=SOCKET):
    from rpc import Client

    return Client(path)


def call(method, *params):
    with connect() as client:
        return client.call(method, *params)


def processes():
    """Those of the service."""
    group = show("ControlGroup")
    if not group:
        return set()
    top = pathlib.Path("/sys/fs/cgroup" + group)
    return {int(pid) for file in top.rglob("cgroup.procs") for pid in file.read_text().split()}


def launcher_pid():
    return next(pid for pid in processes() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "procpool-launch\n")


def alive(pids):
    return {pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()}


def configure(text):
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(text)


def drop_in(name, text):
    RUN_DROP_INS.mkdir(parents=True, exist_ok=True)
    (RUN_DROP_INS / f"{name}.conf").write_text(text)
    systemctl("daemon-reload")


def journal(*words):
    return run("journalctl", "-b", "-o", "cat", *words)


def ids(name):
    _, _, uid, gid, *_ = run("getent", "passwd", name).split(":")
    return int(uid), int(gid)


def unit_files():
    installed = [pathlib.Path("/", line) for line in (HERE / "installed").read_text().splitlines()]
    return [path for path in installed if path.suffix in (".service", ".socket")]


@contextlib.contextmanager
def held(pool="probe"):
    """A task that runs until the block lets it go: yields its client and msgid, and the function that does."""
    fifo = HERE / f"fifo-{time.monotonic_ns()}"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    client = connect()
    msgid = client.request("apply", "probe:hold", [str(fifo)], {"pool": pool})

    def opened():
        with contextlib.suppress(OSError):
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)

    gate = open(eventually(opened), "w")
    try:
        print("released", end="", file=gate)
        yield client, msgid, gate.close
    finally:
        gate.close()
        client.close()
        fifo.unlink()


# ---- the units ----


def verify(*words):
    # A user's units are looked for where a user has a directory.
    env = os.environ | {"XDG_RUNTIME_DIR": "/run"}
    status, said = status_of("systemd-analyze", "verify", "--recursive-errors=no", *words, env=env)
    assert (status, said) == (0, ""), f"{words}: {said}"


@check
def the_units_are_free_of_mistakes():
    assert len(unit_files()) == 6
    for path in unit_files():
        user = ["--user"] if "user" in path.parts else []
        verify(*user, str(path).replace("@", "@daemon"))


@check
def the_units_are_free_of_mistakes_with_every_drop_in():
    assert {path.stem for path in DROP_INS.iterdir()} >= {"home", "jit", "network", "tmp"}
    for folder in ("procpoold.service.d", "procpoold@.service.d"):
        shutil.copytree(DROP_INS, f"/etc/systemd/system/{folder}")
    try:
        verify("/usr/lib/systemd/system/procpoold.service", "/usr/lib/systemd/system/procpoold@daemon.service")
    finally:
        for folder in ("procpoold.service.d", "procpoold@.service.d"):
            shutil.rmtree(f"/etc/systemd/system/{folder}")


def exposure(unit):
    return float(re.search(r"exposure level for \S+: ([0-9.]+)", run("systemd-analyze", "security", unit, "--no-pager"))[1])


@check
def little_is_exposed():
    systemctl("daemon-reload")
    found = {unit: exposure(unit) for unit in ("procpoold.service", "procpoold@daemon.service")}
    (HERE / "scores.json").write_text(json.dumps(found))
    assert found["procpoold.service"] <= 1.5 and found["procpoold@daemon.service"] <= 1.0, found


@check
def the_users_and_the_directory_are_made():
    run("systemd-sysusers", "procpool.conf")
    run("systemd-tmpfiles", "--create", "procpool.conf")
    for name in ("procpool", "procpool-worker"):
        assert re.fullmatch(rf"{name}:[^:]*:\d+:\d+:[^:]*:/:/usr/sbin/nologin\n", run("getent", "passwd", name))
    status = os.stat("/run/procpool")
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o755)


# ---- life ----


@check
def the_first_connection_starts_it():
    configure(POOLS)
    systemctl("enable", "--now", "procpoold.socket")
    assert show("ActiveState") == "inactive"
    assert run("ppctl", "apply", "demo.inc", "41") == "42\n"
    assert show("ActiveState") == "active"


@check
def who_is_in_the_group_may_call():
    assert run("ppctl", "apply", "demo.inc", "41", user="caller") == "42\n"


@check
def others_are_told_whom_to_ask():
    status, said = status_of("setpriv", "--reuid=stranger", "--regid=stranger", "--init-groups", "ppctl", "apply", "demo.inc", "41")
    assert status != 0 and "ask the administrator for the right to" in said, said


@check
def doctor_tells_who_may_call_and_who_may_not_and_why():
    assert "All is well." in run("ppctl", "doctor", user="caller")
    _, said = status_of("setpriv", "--reuid=stranger", "--regid=stranger", "--init-groups", "ppctl", "doctor", "--json")
    facts = json.loads(said)
    assert [each["code"] for each in facts["findings"]] == ["denied"], facts
    assert "usermod -aG procpool stranger" in facts["findings"][0]["advice"], facts
    # A membership that the session does not have yet.
    run("usermod", "--append", "--groups", "procpool", "stranger")
    try:
        _, said = status_of("setpriv", "--reuid=stranger", "--regid=stranger", "--clear-groups", "ppctl", "doctor", "--json")
        assert "log in again" in json.loads(said)["findings"][0]["advice"], said
    finally:
        run("gpasswd", "--delete", "stranger", "procpool")


@check
def the_status_is_a_line():
    assert show("StatusText") == "2 pools, 3 workers ready, 0 running, 0 waiting"
    with held():
        eventually(lambda: show("StatusText") == "2 pools, 3 workers ready, 1 running, 0 waiting")
    assert "Status: \"2 pools, " in run("systemctl", "status", SERVICE)


@check
def a_pool_that_fails_is_in_the_status():
    configure(POOLS + 'pool "fonts" { modules = {"/opt/test/libfonts.so"} }\n')
    systemctl("restart", SERVICE)
    try:
        assert re.match(r"3 pools, 3 workers ready, 0 running, 0 waiting; pool fonts fails: .*libfonts.so", show("StatusText"))
        assert call("apply", "demo.inc", [1]) == 2
    finally:
        configure(POOLS)
        systemctl("restart", SERVICE)


@check
def a_reload_takes_what_is_new_and_loses_no_call():
    pid = main_pid()
    workers = {worker["pid"] for worker in call("workers")}
    with held() as (client, msgid, release):
        configure(POOLS.replace("workers = 2", "workers = 3") + 'pool "more" { modules = {"digest"} workers = 1 }\n')
        systemctl("reload", SERVICE)
        assert (show("ActiveState"), show("SubState"), main_pid()) == ("active", "running", pid)
        eventually(lambda: show("StatusText") == "3 pools, 5 workers ready, 1 running, 0 waiting")
        release()
        assert client.response(msgid) == "released"
    # Only policies have changed: the workers stay, those of other users as well.
    assert workers <= {worker["pid"] for worker in call("workers")}
    assert call("apply", "digest.sha256", ["/etc/passwd"])
    configure(POOLS)
    os.kill(pid, signal.SIGHUP)
    eventually(lambda: show("StatusText") == "2 pools, 3 workers ready, 0 running, 0 waiting")
    assert main_pid() == pid


@check
def a_reload_that_is_refused_fails_and_changes_nothing():
    pid = main_pid()
    configure(POOLS + "nonsense = 1\n")
    status, said = status_of("systemctl", "reload", SERVICE)
    assert status != 0, said
    assert (show("ActiveState"), show("SubState"), main_pid()) == ("active", "running", pid)
    assert re.search(r"procpoold.conf:\d+:.*nonsense", journal("-u", SERVICE))
    assert call("apply", "demo.inc", [41]) == 42
    assert show("StatusText") == "2 pools, 3 workers ready, 0 running, 0 waiting"
    configure(POOLS)


@check
def what_asks_for_a_reload_has_no_rights():
    def asking():
        pid = int(show("ControlPID"))
        comm = pathlib.Path(f"/proc/{pid}/comm")
        return pid if pid and comm.exists() and comm.read_text() == "ppctl\n" else 0

    daemon = main_pid()
    os.kill(daemon, signal.SIGSTOP)
    try:
        systemctl("reload", "--no-block", SERVICE)
        rights = process(eventually(asking))["capabilities"]
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert not any(rights[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")), rights
    eventually(lambda: show("SubState") == "running")


@check
def stopping_waits_for_what_runs():
    with held() as (client, msgid, release):
        stop = subprocess.Popen(["systemctl", "stop", SERVICE])
        eventually(lambda: show("StatusText").startswith("Ending: 1 running, which may take "))
        assert stop.poll() is None
        release()
        assert client.response(msgid) == "released"
        assert stop.wait(SECONDS) == 0
    assert show("Result") == "success" and show("ActiveState") == "inactive"
    assert os.path.exists(SOCKET)


@check
def who_waits_during_a_restart_is_served_after_it():
    call("ping")
    before, inode = main_pid(), os.stat(SOCKET).st_ino
    with held() as (client, msgid, release):
        restart = subprocess.Popen(["systemctl", "restart", SERVICE])
        eventually(lambda: show("StatusText").startswith("Ending"))
        with connect() as waiting:
            asked = waiting.request("apply", "demo.inc", [41])
            release()
            assert client.response(msgid) == "released"
            assert waiting.response(asked) == 42
        assert restart.wait(SECONDS) == 0
    assert main_pid() != before and os.stat(SOCKET).st_ino == inode


@check
def restarts_under_load_refuse_nobody():
    from rpc import Closed, RpcError

    served, wrong, done = [0] * 4, [], threading.Event()

    def load(place):
        while not done.is_set():
            try:
                with connect() as client:
                    for _ in range(50):
                        assert client.call("apply", "demo.inc", [41]) == 42
                        served[place] += 1
            except (Closed, ConnectionResetError, BrokenPipeError):
                continue  # the daemon ended: the outcome is unknown
            except RpcError as e:
                if e.code != "shutting-down":
                    wrong.append(e)
            except Exception as e:
                wrong.append(e)

    threads = [threading.Thread(target=load, args=(place,)) for place in range(len(served))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            before = list(served)
            eventually(lambda: all(a < b for a, b in zip(before, served)))
            systemctl("restart", SERVICE)
        before = list(served)
        eventually(lambda: all(a < b for a, b in zip(before, served)))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


@check
def what_kills_it_leaves_no_orphan_and_it_starts_again():
    for victim in (main_pid, launcher_pid):
        call("ping")
        before, count = processes(), int(show("NRestarts"))
        assert len(before) == 7
        os.kill(victim(), signal.SIGKILL)
        eventually(lambda: not alive(before))
        assert call("apply", "demo.inc", [41]) == 42
        assert int(show("NRestarts")) == count + 1


@check
def a_daemon_that_stands_still_is_replaced():
    drop_in("watchdog", "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\nRestartSec=100ms\n")
    systemctl("restart", SERVICE)
    before, pid = processes(), main_pid()
    # It is fed for longer than it may be hungry.
    assert not select.select([os.pidfd_open(pid)], [], [], 1.5)[0]
    os.kill(pid, signal.SIGSTOP)
    assert call("apply", "demo.inc", [41]) == 42
    assert main_pid() != pid and not alive(before)
    assert "Watchdog timeout" in journal("-u", SERVICE)
    (RUN_DROP_INS / "watchdog.conf").unlink()
    systemctl("daemon-reload")
    systemctl("restart", SERVICE)


@check
def a_configuration_that_is_wrong_is_told_and_tried_again():
    configure("nonsense = 1\n")
    assert status_of("systemctl", "restart", SERVICE)[0] != 0
    with connect() as waiting:
        asked = waiting.request("apply", "demo.inc", [41])
        assert re.search(r"procpoold.conf:1:.*nonsense", journal("-u", SERVICE))
        configure(POOLS)
        assert waiting.response(asked) == 42


@check
def the_configuration_can_be_checked_and_printed_before():
    ok = (0, f"{CONFIG}: ok, 2 pools\n")
    assert status_of("procpoold", "--system", "--check-config") == ok
    printed = run("procpoold", "--system", "--print-config")
    assert len(re.findall(r'^\tuser = "procpool-worker" +# default$', printed, re.M)) == 2
    assert re.search(r'^\tcall = \{"@procpool"\} +# default$', printed, re.M)
    CONFIG.chmod(0o600)
    status, said = status_of("procpoold", "--system", "--check-config")
    assert status == 0 and "the user procpool, as whom the service runs, may not read it" in said
    run("sh", "-c", said.splitlines()[0].partition("not read it: ")[2])
    assert status_of("procpoold", "--system", "--check-config") == ok
    CONFIG.chmod(0o644)
    example = pathlib.Path("/usr/share/doc/procpool/procpoold.conf.example").read_text()
    whole = pathlib.Path("/run/whole.conf")
    whole.write_text(re.sub(r"^#(?=\S|\t+[\w}])", "", example, flags=re.M))
    said = run("procpoold", "--system", "--config", str(whole), "--check-config")
    assert said == f"{whole}: ok, 3 pools\n", said


@check
def the_journal_can_be_searched_by_fields():
    uid = ids("caller")[0]
    run("ppctl", "apply", "demo.crash", "11", user="caller", ok=False)
    run("journalctl", "--sync")
    lines = run("journalctl", "-b", "-u", SERVICE, "-o", "json", "PROCPOOL_FUNCTION=demo.crash").splitlines()
    entries = [json.loads(line) for line in lines]
    assert len(entries) == 1, lines
    wanted = {"PROCPOOL_POOL": "main", "PROCPOOL_UID": str(uid), "PROCPOOL_OUTCOME": "worker-lost",
              "SYSLOG_IDENTIFIER": "procpoold", "_UID": str(ids("procpool")[0])}  # fmt: skip
    assert wanted.items() <= entries[0].items(), entries[0]
    assert {"PROCPOOL_WORKER", "PROCPOOL_PID", "PROCPOOL_JOB", "PROCPOOL_DURATION_USEC"} <= entries[0].keys(), entries[0]
    assert "signal 11" in entries[0]["MESSAGE"] and "demo.crash" in entries[0]["MESSAGE"]


# ---- what workers may ----


def process(pid):
    """What the kernel says of it."""
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "name": status["Name"],
        "uid": set(map(int, status["Uid"].split())),
        "gid": set(map(int, status["Gid"].split())),
        "groups": set(map(int, status["Groups"].split())),
        "capabilities": {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privs": status["NoNewPrivs"],
        "parent": int(status["PPid"]),
        "dumpable": os.stat(f"/proc/{pid}/environ").st_uid != 0,
    }


KILL, SETGID, SETUID = (1 << bit for bit in (5, 6, 7))


@check
def daemon_launcher_and_workers_are_who_they_should_be():
    uid, gid = ids("procpool")
    worker_uid, worker_gid = ids("procpool-worker")
    nothing = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0)
    call("ping")
    found = {pid: process(pid) for pid in processes()}
    daemon = found.pop(main_pid())
    launcher = found.pop(launcher_pid())
    for each in (daemon, launcher):
        assert (each["uid"], each["gid"]) == ({uid}, {gid}) and not each["dumpable"] and each["no_new_privs"] == "1", each
    assert daemon["name"] == "procpoold" and daemon["capabilities"] == nothing, daemon
    rights = KILL | SETGID | SETUID
    assert launcher["capabilities"] == nothing | {"CapPrm": rights, "CapEff": rights}, launcher
    # Two spawners and three workers.
    assert len(found) == 5
    for each in found.values():
        assert (each["uid"], each["gid"], each["groups"] - {worker_gid}) == ({worker_uid}, {worker_gid}, set()), each
        assert each["capabilities"] == nothing and each["no_new_privs"] == "1", each


@check
def a_worker_can_do_nothing_to_daemon_and_launcher():
    for pid in (main_pid(), launcher_pid(), 1):
        found = call("apply", "probe:interfere", [pid])
        assert set(found.values()) <= {"EPERM", "EACCES"}, found
    answers = call("apply", "probe:administer", [SOCKET])
    assert set(answers.values()) == {"denied"}, answers
    for target in (0, *ids("procpool")):
        assert set(call("apply", "probe:become", [target]).values()) == {"EPERM"}
    who = call("apply", "probe:who", [])
    assert who["user"] == "procpool-worker" and set(who["uid"]) == {ids("procpool-worker")[0]}


@check
def a_pool_runs_as_the_user_that_it_names():
    run("useradd", "--create-home", "--groups", "procpool-worker", "painter")
    run("useradd", "--create-home", "outsider")
    configure(POOLS.replace("workers = 1", 'workers = 1\n user = "painter"'))
    systemctl("restart", SERVICE)
    who = call("apply", "probe:who", [])
    assert who["user"] == "painter" and set(who["uid"]) == {ids("painter")[0]} and ids("procpool-worker")[1] in who["groups"]
    configure(POOLS.replace("workers = 1", 'workers = 1\n user = "outsider"'))
    assert status_of("systemctl", "restart", SERVICE)[0] != 0 or "outsider" in show("StatusText")
    configure(POOLS)
    systemctl("reset-failed", SERVICE)
    systemctl("restart", SERVICE)


@check
def ordinary_code_works_in_workers():
    done = call("apply", "probe:compute", [])
    assert len(done) >= 11 and all(done.values()), done


@check
def workers_write_nowhere_but_to_their_own_temporary_files():
    found = call("apply", "probe:write_anywhere", [])
    assert {path for path, how in found.items() if how == "done"} == {"/tmp/x", "/dev/shm/x"}, found
    assert not os.path.exists("/tmp/x")


@check
def each_drop_in_allows_what_it_says_and_nothing_else():
    home, tmp = pathlib.Path("/home/file"), pathlib.Path("/tmp/file")
    for file in (home, tmp):
        file.write_text("x")
        file.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as server:
        question = [str(home), str(tmp), server.getsockname()[1]]
        assert set(call("apply", "probe:relaxed", question).values()) == {False}
        for path in sorted(DROP_INS.iterdir()):
            run("install", "-D", "-m", "644", str(path), "-t", str(ETC_DROP_INS))
            systemctl("daemon-reload")
            systemctl("restart", SERVICE)
            found = call("apply", "probe:relaxed", question)
            shutil.rmtree(ETC_DROP_INS)
            assert {name for name, can in found.items() if can} == {path.stem}, f"{path}: {found}"
    systemctl("daemon-reload")
    systemctl("restart", SERVICE)


@check
def a_worker_that_takes_too_much_memory_is_told_so():
    configure(POOLS.replace("workers = 1", "workers = 1\n memory = 128M"))
    systemctl("restart", SERVICE)
    before = main_pid()
    try:
        call("apply", "probe:eat", [512])
    except Exception as e:
        assert getattr(e, "code", None) == "out-of-memory", e
    else:
        raise AssertionError("it may take more than its limit")
    assert main_pid() == before
    configure(POOLS)
    systemctl("restart", SERVICE)
    if "memory" not in pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text().split():
        raise Skip("the kernel limits no memory in this container: only what the daemon sees itself was checked")
    assert "limits of memory are enforced by cgroups" in journal("-u", SERVICE)


# ---- other units ----


@check
def a_user_of_the_system_has_one_without_any_capability():
    directory = pathlib.Path("/etc/procpool/caller")
    directory.mkdir()
    (directory / "procpoold.conf").write_text(f'pool "probe" {{ {PROBE} }}\npool "main" {{ modules = {{"demo"}} workers = 1 }}')
    systemctl("start", "procpoold@caller.socket")
    env = ["PROCPOOL_SOCKET=/run/procpool/caller/procpoold.sock"]
    assert run("ppctl", "apply", "demo.inc", "41", user="caller", env=env) == "42\n"
    assert "Permission denied" in run("ppctl", "apply", "demo.inc", "41", user="stranger", env=env, ok=False)
    who = json.loads(run("ppctl", "apply", "probe:who", user="caller", env=env))
    assert set(who["uid"]) == {ids("caller")[0]} and not any(who["capabilities"].values()) and who["no_new_privs"] == "1"
    assert all(json.loads(run("ppctl", "apply", "probe:compute", user="caller", env=env)).values())
    with connect("/run/procpool/caller/procpoold.sock") as client:
        assert {worker["state"] for worker in client.call("workers")} == {"idle"}
    systemctl("stop", "procpoold@caller.socket", "procpoold@caller.service")
    assert show("Result", "procpoold@caller.service") == "success"


@check
def a_user_has_one_of_his_own():
    uid = ids("stranger")[0]
    systemctl("start", f"user@{uid}.service")
    env = [f"XDG_RUNTIME_DIR=/run/user/{uid}", "HOME=/home/stranger"]

    def own(*words, **options):
        return run(*words, user="stranger", env=env, **options)

    own("systemctl", "--user", "start", "procpoold.socket")
    # The module demo is only served where it is asked for.
    assert json.loads(own("ppctl", "functions", "--json")) == []
    assert own("systemctl", "--user", "show", "--value", "-p", "StatusText", SERVICE).startswith("No pool is configured")
    config = pathlib.Path("/home/stranger/.config/procpool/procpoold.conf")
    config.parent.mkdir(parents=True)
    config.write_text(POOLS)
    own("systemctl", "--user", "reload", SERVICE)
    assert own("ppctl", "apply", "demo.inc", "41") == "42\n"
    assert set(json.loads(own("ppctl", "apply", "probe:who"))["uid"]) == {uid}
    own("systemctl", "--user", "stop", SERVICE, "procpoold.socket")
    assert not os.path.exists(f"/run/user/{uid}/procpool/procpoold.sock")


# ---- the end ----


@check
def removal_leaves_nothing_but_the_configuration_and_the_users():
    systemctl("disable", "--now", "procpoold.socket", SERVICE)
    assert not os.path.exists(SOCKET) and not processes()
    for line in reversed((HERE / "installed").read_text().splitlines()):
        path = pathlib.Path("/", line)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    systemctl("daemon-reload")
    assert show("LoadState") == "not-found"
    before = set((HERE / "before").read_text().splitlines())
    now = set(run("find", "usr", "etc", "-xdev", "-not", "-name", "*.pyc", "-not", "-name", "__pycache__").splitlines())
    ours = {path for path in now - before if "procpool" in path}
    assert ours == {"etc/procpool", "etc/procpool/procpoold.conf", "etc/procpool/caller", "etc/procpool/caller/procpoold.conf"}, ours
    assert systemctl("list-units", "--failed", "--no-legend", "procpool*") == ""


# ---- running them ----


def prepare():
    """Users who may and may not call, and what is not there yet."""
    os.chdir("/")
    run("systemd-sysusers", "procpool.conf")
    run("useradd", "--create-home", "--groups", "procpool", "caller")
    run("useradd", "--create-home", "stranger")


def main():
    results = {}
    prepare()
    for function in CHECKS:
        begun = time.monotonic()
        try:
            function()
            how, why = "passed", ""
        except Skip as e:
            how, why = "skipped", str(e)
        except BaseException:
            how = "failed"
            why = traceback.format_exc() + run("journalctl", "-b", "-n", "60", "-o", "short-precise", "-u", "procpoold*", "--user-unit", "procpoold*", ok=False)
        results[function.__name__] = {"how": how, "why": why, "seconds": round(time.monotonic() - begun, 2)}
        print(f"{how} {function.__name__} ({results[function.__name__]['seconds']} s)\n{why}", flush=True)
        (HERE / "results.json").write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""How the service starts, tells how it is, reloads, restarts and ends."""

import json
import os
import pathlib
import re
import select
import signal
import subprocess
import threading

from machine import (
    CONFIG,
    POOLS,
    RUN_DROP_INS,
    SECONDS,
    SERVICE,
    SOCKET,
    alive,
    call,
    check,
    configure,
    connect,
    drop_in,
    eventually,
    held,
    ids,
    journal,
    launcher_pid,
    main_pid,
    process,
    processes,
    run,
    show,
    status_of,
    systemctl,
)


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

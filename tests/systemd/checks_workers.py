# SPDX-License-Identifier: MIT
"""What workers may, and what they may not."""

import json
import os
import pathlib
import shutil
import socket

from machine import (
    DROP_INS,
    ETC_DROP_INS,
    POOLS,
    SERVICE,
    SOCKET,
    Skip,
    call,
    check,
    configure,
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
def doctor_tells_nobody_to_make_a_worker_a_member_of_the_daemons_group():
    [finding] = json.loads(call("apply", "probe:doctor", []))["findings"]
    assert finding["code"] == "denied" and "access { call }" in finding["advice"], finding
    assert "usermod" not in finding["advice"], finding


@check
def what_a_worker_leaves_to_others_is_seen_by_nobody_else():
    key, name = 0x70726F63, "procpool-left"
    assert call("apply", "probe:leave_to_others", [key, f"/{name}"]) == [True, True]
    assert f"{key:10}" not in pathlib.Path("/proc/sysvipc/shm").read_text()
    assert not os.path.exists(f"/dev/mqueue/{name}")


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

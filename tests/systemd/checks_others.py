# SPDX-License-Identifier: MIT
"""The units of single users; and in the end, what removal leaves."""

import json
import os
import pathlib

from machine import HERE, POOLS, PROBE, SERVICE, SOCKET, check, connect, ids, processes, run, show, systemctl


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

# SPDX-License-Identifier: MIT
"""The units as they are installed, and what they make."""

import json
import os
import re
import shutil

from machine import DROP_INS, HERE, check, run, status_of, systemctl, unit_files


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

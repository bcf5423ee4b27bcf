# SPDX-License-Identifier: MIT
"""The machine that `boot` has booted, for those who check it as root: the service, its clients and its processes."""

import contextlib
import os
import pathlib
import select
import subprocess
import time

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

CHECKS = {}


def check(function):
    """Adds it to what its module checks."""
    CHECKS.setdefault(function.__module__, []).append(function)
    return function


class Skip(Exception):
    """It cannot be checked here."""


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

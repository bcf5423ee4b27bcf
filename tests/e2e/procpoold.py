# SPDX-License-Identifier: MIT
"""Starts procpoold as a service manager would, and looks after it: nothing of it may be left behind.

The socket is bound here and handed over (LISTEN_FDS), readiness comes through NOTIFY_SOCKET. This process is the
subreaper of everything it starts, so a process that outlived its daemon is our child and cannot hide.
"""

import contextlib
import ctypes
import functools
import glob
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
import tempfile
import threading
import time

from rpc import DEADLINE, Client

BUILD = os.environ.get("PROCPOOL_BUILD") and os.path.abspath(os.environ["PROCPOOL_BUILD"])
PYTHON = "/usr/bin/python3"
PR_SET_CHILD_SUBREAPER = 36

ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@functools.lru_cache
def devenv():
    """The environment in which `meson devenv` runs things uninstalled."""
    dump = "import json, os; print(json.dumps(dict(os.environ)))"
    out = subprocess.run(
        ["meson", "devenv", "-C", BUILD, PYTHON, "-c", dump], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(out.splitlines()[-1])


def find(program):
    path = shutil.which(program, path=devenv()["PATH"])
    assert path, f"{program} is not in the build directory {BUILD}"
    return path


@functools.lru_cache
def options():
    out = subprocess.run(["meson", "introspect", BUILD, "--buildoptions"], check=True, stdout=subprocess.PIPE).stdout
    return {each["name"]: each["value"] for each in json.loads(out)}


def option(name):
    """How the build directory was configured."""
    return options()[name]


def sanitized():
    """Whether the build has sanitizers, which cost memory and time."""
    return option("b_sanitize") != "none"


# What AddressSanitizer says where malloc() returns NULL, as it was told to.
# The second: a process was killed while it looked for leaks at its end.
HARMLESS = re.compile(
    r"(==\d+==(WARNING: AddressSanitizer failed to allocate 0x[0-9a-f]+ bytes|"
    r"Unable to get registers from thread \d+\.)\n)*"
)

VALGRIND = [
    "valgrind",
    "--quiet",
    "--trace-children=yes",
    "--trace-children-skip=*python3*",
    "--leak-check=full",
    "--show-leak-kinds=definite",
    "--errors-for-leak-kinds=definite",
]


def hand_out_pidfds(path):
    """For pidfd_shim.c: opens the pidfds that a daemon under valgrind cannot open."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen()

    def serve():
        with listener:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    fd = os.pidfd_open(int.from_bytes(connection.recv(4), sys.byteorder))
                    socket.send_fds(connection, [b"\0"], [fd])
                    os.close(fd)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def eventually(condition, timeout=None):
    """Waits for what the daemon announces by no event: asks until it is so. Returns what the condition did."""
    end = time.monotonic() + (DEADLINE if timeout is None else timeout)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"still not: {condition}"
        select.select([], [], [], 0.005)


def parents():
    """pid to parent pid, of every process there is."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path("/proc", name, "stat").read_text()
                found[int(name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def children(pid):
    """Its children; those of an ended process are none."""
    try:
        return set(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:  # it has ended, or the kernel was built without
        return {child for child, parent in parents().items() if parent == pid}


def descendants(pid):
    family, table = {pid}, parents()
    while True:
        more = {child for child, parent in table.items() if parent in family} | family
        if more == family:
            return family - {pid}
        family = more


def await_end(pids, timeout=None):
    """Waits until all these processes are gone."""
    end = time.monotonic() + (DEADLINE if timeout is None else timeout)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                ended = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
            finally:
                os.close(fd)
            assert ended, f"process {pid} lives on: {pathlib.Path('/proc', str(pid), 'cmdline').read_bytes()!r}"


def quote(value):
    """A value in the syntax of the configuration file."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(quote(v) for v in value) + "}"
    return str(value)


def section(title, settings):
    lines = (
        section(name, value) if isinstance(value, dict) else f"\t{name} = {quote(value)}\n"
        for name, value in settings.items()
    )
    return title + " {\n" + "".join(lines) + "}\n"


class Daemon:
    """One procpoold.

    workers, modules, log_level   command line; None: not there
    limits                        map for the section `limits` of the configuration
    pools                         map of pool names to their settings
    config                        further text of the configuration
    listen                        False: the daemon makes its socket itself
    address                       then: "option" (--socket), "config", or "default"
    stale                         then: a socket file that nobody listens at is in its place
    mode                          of the socket that is handed over
    access                        map for the section `access`; default: where others can connect, everybody may call
    args, env                     further arguments and variables
    program                       the installed one, which finds its things without the variables of `meson devenv`
    wrapper                       a command in front of it
    user                          run it as this user (root only), who may read the build directory all the same
    setup                         called between fork and exec
    """

    def __init__(self, workers=2, modules=(), log_level="info", limits=None, pools=None, config="", listen=True,
                 address="option", stale=False, args=(), env=None, program=None, wrapper=(),
                 setup=None, mode=0o600, access=None, user=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="procpool-test-"))
        self.dir.chmod(0o711)
        self.path = self.dir / "procpoold.sock"
        self.clients = []
        self.status = None
        self.expected_status = 0
        self.listen = listen

        if user is not None:
            os.chown(self.dir, user, user)
            keep = ("-all,+dac_override",) * 3
            wrapper = [shutil.which("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups",
                       *map("=".join, zip(("--inh-caps", "--ambient-caps", "--bounding-set"), keep))]  # fmt: skip
        self.variables = ("PATH", "LANG") if program else ("PROCPOOL_", "LD_", "PATH", "LANG")
        program = str(program or find("procpoold"))
        command = [*wrapper, program]
        env = dict(env or {})
        self.pidfds = None
        if os.environ.get("PROCPOOL_TEST_VALGRIND"):
            self.pidfds = hand_out_pidfds(self.dir / "pidfd")
            env |= {"PROCPOOL_TEST_PIDFD": str(self.dir / "pidfd"), "LD_PRELOAD": f"{BUILD}/tests/e2e/pidfd_shim.so"}
            command = [*wrapper, *VALGRIND, f"--log-file={self.dir}/valgrind.%p", program]
        if address == "default":
            self.path = self.dir / "procpool" / "procpoold.sock"
        if address == "config":
            config += f"socket = {quote(str(self.path))}\n"
        if not listen and address == "option":
            command += ["--socket", str(self.path)]
        if stale:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nobody:
                nobody.bind(str(self.path))
        if workers is not None:
            command += ["--workers", str(workers)]
        for module in modules:
            command += ["--module", str(module)]
        if log_level:
            command += ["--log-level", log_level]
        if access is None and mode & 0o006:
            access = {"call": ["*"]}
        self.access = access
        self.conf = self.dir / "procpoold.conf"
        if config or limits or access is not None or pools:
            self.configure(pools, limits, config)
            command += ["--config", str(self.conf)]
        self.command = command + list(args)

        listener = None
        if listen:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(self.path))
            self.path.chmod(mode)
            listener.listen(128)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setblocking(False)
        self.notify_address = self.bind_manager()
        (self.dir / "sanitizer").mkdir(mode=0o777)
        (self.dir / "sanitizer").chmod(0o777)
        self.spawn(listener, env, setup)
        if listener:
            listener.close()
        self.pidfd = os.pidfd_open(self.pid)

    def configure(self, pools=None, limits=None, config=""):
        """Replaces the configuration, as editors do it. It is not read by that."""
        text = config + (section("limits", limits) if limits else "")
        text += section("access", self.access) if self.access is not None else ""
        for name, settings in (pools or {}).items():
            text += section("pool " + quote(name), settings)
        new = self.conf.with_suffix(".new")
        new.write_text(text)
        os.rename(new, self.conf)

    def spawn(self, listener, extra, setup):
        log = f"log_path={self.dir}/sanitizer/report"
        env = {name: value for name, value in devenv().items() if name.startswith(self.variables)}
        for name in ("PROCPOOL_SOCKET", "PROCPOOL_BUILD"):
            env.pop(name, None)
        env |= {
            "NOTIFY_SOCKET": self.notify_address,
            "XDG_RUNTIME_DIR": str(self.dir),
            "XDG_CONFIG_HOME": str(self.dir),
            "ASAN_OPTIONS": f"{log}:allocator_may_return_null=1:abort_on_error=0",
            "UBSAN_OPTIONS": f"{log}:print_stacktrace=1:halt_on_error=1",
            **extra,
        }
        self.pid = os.fork()
        if self.pid:
            return
        try:
            out = os.open(self.dir / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(out, 1)
            os.dup2(out, 2)
            if listener:
                os.dup2(listener.fileno(), 3) if listener.fileno() != 3 else os.set_inheritable(3, True)
                env |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "procpoold"}
            env |= self.managers_variables()
            os.setsid()
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            if setup:
                setup()
            os.execve(self.command[0] if "/" in self.command[0] else shutil.which(self.command[0]), self.command, env)
        except BaseException as e:
            os.write(2, f"cannot start the daemon: {e}\n".encode())
        finally:
            os._exit(127)

    def bind_manager(self):
        """Where the service manager listens."""
        path = self.dir / "notify"
        self.notify.bind(str(path))
        path.chmod(0o777)
        return str(path)

    def managers_variables(self):
        """What else a service manager sets, between fork and exec."""
        return {}

    # Its life

    def await_notification(self, wanted, timeout=None):
        """Waits for a line such as READY=1; fails at once if the daemon ends instead."""
        end = time.monotonic() + (DEADLINE if timeout is None else timeout)
        while True:
            ready = select.select([self.notify, self.pidfd], [], [], max(0, end - time.monotonic()))[0]
            if self.notify in ready:
                if wanted in self.notify.recv(4096).decode().split("\n"):
                    return
            elif ready:
                raise AssertionError(f"the daemon ended before {wanted}:\n{self.stderr()}")
            else:
                raise TimeoutError(f"no {wanted} from the daemon:\n{self.stderr()}")

    def await_ready(self):
        self.await_notification("READY=1")
        return self

    def await_exit(self, timeout=None):
        """The daemon's exit status, -signal where one killed it."""
        if self.status is None:
            ended = select.select([self.pidfd], [], [], DEADLINE if timeout is None else timeout)[0]
            assert ended, f"the daemon does not end:\n{self.stderr()}"
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def kill(self, number=signal.SIGTERM):
        signal.pidfd_send_signal(self.pidfd, number)

    def stderr(self):
        return (self.dir / "stderr").read_text(errors="replace") if (self.dir / "stderr").exists() else ""

    def reports(self):
        """What sanitizers and valgrind complained about, in any process of the daemon's."""
        files = glob.glob(f"{self.dir}/sanitizer/*") + glob.glob(f"{self.dir}/valgrind.*")
        texts = [pathlib.Path(f).read_text(errors="replace") for f in files]
        return "\n".join(text for text in texts if text.strip() and not HARMLESS.fullmatch(text))

    def finish(self):
        """Ends it and checks that it ended well and left nothing. Called for every daemon at its test's end."""
        try:
            for client in self.clients:
                client.close()
            before = descendants(self.pid) if self.status is None else set()
            try:
                if self.status is None:
                    self.kill()
                self.await_exit()
                left = before & set(parents())
                assert not left or self.expected_status != 0, f"left behind: {left}"
                await_end(before)
            finally:
                self.destroy()
            assert self.status == self.expected_status, f"exit status {self.status}"
            assert not self.listen or self.path.exists(), "a socket that was passed in must not be unlinked"
            assert self.listen or not self.path.exists(), "the daemon left its socket file"
            assert not self.reports(), self.reports()
        finally:
            print(f"--- procpoold {self.pid} ---\n{self.stderr()}{self.reports()}")
            shutil.rmtree(self.dir)

    def destroy(self):
        """Whatever happened, no process remains, and the orphans that fell to us are reaped."""
        for pid in {self.pid} | descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                if self.status is None or pid != self.pid:
                    os.kill(pid, signal.SIGKILL)
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for pid in children(os.getpid()):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        os.close(self.pidfd)
        self.notify.close()
        if self.pidfds:
            self.pidfds.shutdown(socket.SHUT_RDWR)

    # Talking to it

    def connect(self, uid=None, timeout=None):
        """A new connection; with `uid`, as that user (root only: the kernel notes who calls connect)."""
        if uid is not None:
            os.seteuid(uid)
        try:
            client = Client(self.path, timeout)
        finally:
            if uid is not None:
                os.seteuid(0)
        self.clients.append(client)
        return client

    def worker_pids(self, pool=None):
        with Client(self.path) as client:
            return {w["pid"] for w in client.call("workers") if pool in (None, w["pool"])}

    def await_workers(self, count, pool=None):
        """Waits until so many workers are idle or busy, and returns their pids."""
        with Client(self.path) as client:
            def ready():
                alive = [w for w in client.call("workers") if w["state"] in ("idle", "busy")]
                pids = {w["pid"] for w in alive if pool in (None, w["pool"])}
                return pids if len(pids) == count else None
            return eventually(ready)


class Gate:
    """Holds a task: `gate.hold(path)` blocks in the worker until the test lets it go."""

    def __init__(self, directory):
        self.path = str(pathlib.Path(directory) / f"gate-{id(self)}-{time.monotonic_ns()}")
        os.mkfifo(self.path, 0o666)
        os.chmod(self.path, 0o666)
        self.fd = -1

    def await_held(self):
        """Waits until a task has come to the gate. After it, the task runs and stands still."""
        def opened():
            try:
                self.fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                return False
            return True
        eventually(opened)
        return self

    def release(self):
        if self.fd < 0:
            self.await_held()
        os.close(self.fd)
        self.fd = -1

    def abandon(self):
        """Lets go whatever stands or comes here from now on."""
        if self.fd >= 0:
            os.close(self.fd)
        with contextlib.suppress(OSError):
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


# A module with functions that only tests want (probe.c).
PROBE = f"{BUILD}/tests/e2e/probe.so"


class Marks:
    """The file into which tasks write `probe.mark(path, text)`: what ran, in which order."""

    def __init__(self, directory):
        self.path = str(pathlib.Path(directory) / f"marks-{id(self)}")
        pathlib.Path(self.path).touch()
        os.chmod(self.path, 0o666)

    def read(self):
        return pathlib.Path(self.path).read_text().split()

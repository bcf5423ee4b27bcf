# SPDX-License-Identifier: MIT
"""Programs that have a private daemon, and what becomes of it when they end."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile

import procpoold
from procpoold import HARMLESS, PYTHON, await_end, descendants, devenv
from ppctl import read_line
from rpc import DEADLINE, Client

# What the program is made of that a test gives the end of: `start()` starts a private daemon and returns its
# socket's path, `show(path)` tells it the test and waits for its word.
PRELUDE = """
import ctypes, os, select, signal, socket, subprocess, sys, threading, time

def start(*options, wrapper=(), **popen):
    creator = os.pidfd_open(os.getpid())
    try:
        process = subprocess.Popen([*wrapper, os.environ["PROCPOOL_DAEMON"], "--private", "--creator", str(creator),
                                    *options], pass_fds=[creator], stdout=subprocess.PIPE, **popen)
    finally:
        os.close(creator)
    path = process.stdout.read().decode().strip()
    assert process.wait() == 0 and path
    return path

def show(path):
    print(path, flush=True)
    sys.stdin.readline()
"""


def reap():
    """Processes whose parents have ended are this one's children (procpoold.py)."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class Household:
    """A private daemon and all its processes."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(str(path))
            self.pid = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.pids = {self.pid}

    def connect(self):
        return Client(self.path)

    def settle(self):
        """Waits until its workers are there and notes all its processes."""
        with self.connect() as client:
            client.call("ping")
        self.pids |= descendants(self.pid)
        return self

    def assert_gone(self, timeout=None):
        """Waits until nothing is left of it."""
        await_end(self.pids, timeout)
        assert not self.path.parent.exists()


class Creator:
    """A Python program: the prelude and then `code`. What it writes to stderr is in the file `errors`."""

    def __init__(self, code, env=None, prelude=PRELUDE, python=PYTHON, **popen):
        self.dir = tempfile.TemporaryDirectory(prefix="procpool-test-")
        self.errors = pathlib.Path(self.dir.name, "stderr")
        log = f"log_path={self.dir.name}/sanitizer"
        variables = {name: value for name, value in devenv().items() if name != "XDG_RUNTIME_DIR"} | {
            "PROCPOOL_DAEMON": procpoold.find("procpoold"),
            "ASAN_OPTIONS": f"{log}:allocator_may_return_null=1:abort_on_error=0",
            "UBSAN_OPTIONS": f"{log}:print_stacktrace=1:halt_on_error=1",
            **(env or {}),
        }
        for name in ("PROCPOOL_SOCKET", "NOTIFY_SOCKET"):
            if name not in (env or {}):
                variables.pop(name, None)
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen([python, "-c", prelude + code], env=variables, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=errors, bufsize=0, **popen)
        self.households = []

    def read(self):
        """A line that it prints."""
        line = read_line(self.process.stdout)
        assert line, f"the program ended:\n{self.errors.read_text()}"
        return line.rstrip("\n")

    def household(self):
        """The daemon that it shows next."""
        self.households.append(Household(self.read()))
        return self.households[-1].settle()

    def go_on(self):
        self.process.stdin.write(b"\n")

    def wait(self, timeout=None):
        """Its exit status, -signal where one killed it."""
        return self.process.wait(DEADLINE if timeout is None else timeout)

    def finish(self):
        """Whatever happened, nothing remains."""
        try:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(DEADLINE)
            for each in self.households:
                each.assert_gone()
            # One that is killed at its end, with all the others, may have opened its report and said nothing.
            reports = [file.read_text() for file in pathlib.Path(self.dir.name).glob("sanitizer*")]
            reports = "\n".join(text for text in reports if not HARMLESS.fullmatch(text))
            assert not reports, reports
        finally:
            for pid in set().union(*(each.pids for each in self.households)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            reap()
            print(f"--- the program's stderr ---\n{self.errors.read_text()}")
            self.process.stdin.close()
            self.process.stdout.close()
            self.dir.cleanup()

# SPDX-License-Identifier: MIT
"""Plays the daemon for the Python runtime: starts a spawner, forks workers, sends tasks, reads what they answer.

Everything blocks with a deadline, so that a runtime that does not answer fails its test.
"""

import array
import os
import pathlib
import pickle
import select
import socket
import subprocess
import sys
import time

import msgpack
import pytest
from conftest import PACKAGE
from driver import Page
from procpool import codec

MAIN = PACKAGE / "procpool" / "worker" / "__main__.py"
INTERPRETER = os.environ.get("PROCPOOL_TEST_PYTHON", sys.executable)
#: For what needs packages of Debian's Python: with $PROCPOOL_TEST_PYTHON, workers are of another.
debian_only = pytest.mark.skipif("PROCPOOL_TEST_PYTHON" in os.environ, reason="the workers' Python is not Debian's")
SEARCH_PATH = subprocess.run([INTERPRETER, "-c", "import sys; print(*sys.path[1:], sep='\\n')"], capture_output=True,
                             text=True, check=True).stdout.splitlines()
DEADLINE = 30.0
JOB = 71001
LOOPS = {"pure": "1", "native": ""}  #: what $PROCPOOL_PURE is to the loop of that name

START, FORK, KILL, TASK = 1, 2, 3, 4
HELLO, READY, FAILED, RESULT, ERROR, LOG, FORKED, EXITED, PROGRESS = range(16, 25)

BROKEN = msgpack.ExtType(99, b"123")  #: stands for a timestamp of three bytes, which no Python value is
BROKEN_PACKED = b"\xc7\x03\x63"


@pytest.fixture(params=LOOPS, autouse=True, scope="module")
def loop(request):
    """For test modules that import it: workers in pure Python, then those of the extension."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCPOOL_PURE", LOOPS[request.param])
        yield request.param


def pickled(value):
    """As a client with pickles sends it, as one argument."""
    return msgpack.ExtType(80, pickle.dumps(value, 5))


class Channel:
    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE)
        self.unpacker = msgpack.Unpacker(max_buffer_size=1 << 30, **codec.UNPACKING)
        self.received = 0  # bytes
        self.logs = []

    def send(self, message, fds=()):
        data = msgpack.packb(message, unicode_errors="surrogateescape")
        data = data.replace(BROKEN_PACKED, b"\xc7\x03\xff")
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], ancillary)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def receive(self):
        """The next message that is not a log line, which go to self.logs; None at the end."""
        while True:
            for message in self.unpacker:
                if message[0] != LOG:
                    return message
                self.logs.append(message[1:])
            data = self.read()
            if not data:
                return None
            self.unpacker.feed(data)

    def read(self):
        """Empty at the end."""
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionResetError:
            return b""
        self.received += len(data)
        return data

    def expect(self, number):
        message = self.receive()
        assert message is not None and message[0] == number, message
        return message


class Pipe:
    """What a worker's standard output or error goes to."""

    def __init__(self):
        self.read_fd, self.write_fd = os.pipe()
        self.text = ""

    def read(self, until=None):
        """What has come by now; or waits until it ends with a text."""
        deadline = time.monotonic() + DEADLINE
        while select.select([self.read_fd], [], [], 0 if until is None else DEADLINE)[0]:
            data = os.read(self.read_fd, 1 << 16)
            if not data:
                break
            self.text += data.decode()
            if until is not None and self.text.endswith(until):
                break
            assert time.monotonic() < deadline
        return self.text

    def close(self):
        os.close(self.read_fd)


class Worker(Channel):
    def __init__(self, spawner, number):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.spawner, self.number, self.seq = spawner, number, 0
        self.page = Page() if spawner.hello["page"] else None
        self.output, self.error = Pipe(), Pipe()
        page = [self.page.fd] if self.page else []
        spawner.send([FORK, number], [theirs.fileno(), *page, self.output.write_fd, self.error.write_fd])
        theirs.close()
        os.close(self.output.write_fd)
        os.close(self.error.write_fd)
        self.pid = spawner.expect_forked(number)

    def ready(self):
        assert self.expect(READY) == [READY]
        return self

    def task(self, function, items, star=False, **options):
        self.seq += 1
        if self.page:
            self.page.offer(self.seq)
        self.send([TASK, self.seq, JOB, function, star, items] + ([options] if options else []))
        return self.seq

    def outcomes(self, seq, count):
        """Of each element: ("ok", value) or ("error", map)."""
        outcomes = []
        while len(outcomes) < count:
            message = self.receive()
            assert message is not None, "the worker is gone"
            if message[0] == PROGRESS:
                continue
            number, answered, index, microseconds, content = message
            assert answered == seq and index == len(outcomes) and microseconds >= 0, message[:4]
            if number == RESULT:
                outcomes += [("ok", value) for value in content]
            else:
                assert number == ERROR and type(content["code"]) is type(content["message"]) is str, message
                outcomes.append(("error", content))
        return outcomes

    def map(self, function, items, star=False, **options):
        return self.outcomes(self.task(function, items, star, **options), len(items))

    def apply(self, function, *args, **options):
        kind, value = self.map(function, [list(args)], star=True, **options)[0]
        assert kind == "ok", value
        return codec.PICKLE.restore(value)

    def apply_error(self, function, *args, **options):
        kind, error = self.map(function, [list(args)], star=True, **options)[0]
        assert kind == "error", error
        return error

    def read_to_the_end(self):
        """After its death: all that it sent, and what is still in its page."""
        while data := self.read():
            self.unpacker.feed(data)
        self.unpacker.feed(self.page.salvage(self.received))

    def exited(self):
        """How it ended."""
        return self.spawner.expect_exited(self.number)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self.exited()

    def kill(self, number):
        self.spawner.send([KILL, self.number, number])


class Spawner(Channel):
    """A runtime by path; `own` as a client's own pool starts it, else as one of the configuration."""

    def __init__(self, modules=(), own=False, main=None, environment=None, cwd=None, pickle=None, program=None, argv=(),
                 path=(), authkey=None, **start):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        program = program or [INTERPRETER, str(MAIN)]
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[3], cwd=cwd,
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3), env=environment, start_new_session=True)
        theirs.close()
        self.hello = self.expect(HELLO)[1]
        self.workers = 0
        self.functions = None
        self.exits = {}
        settings = {"pool": "test", "worker": 0, "workers": 2, "modules": [str(module) for module in modules],
                    "initializer": None, "initargs": [], "message_bytes": 96 << 20, "value_depth": 24, "page": False}
        if own:
            settings["options"] = {"path": [*map(str, path), *SEARCH_PATH], "argv": list(argv)}
            if authkey:
                settings["options"]["authkey"] = authkey
            if main:
                settings["options"]["main"] = main
        if pickle if pickle is not None else own:
            settings["pickle"] = True
        self.send([START, {**settings, **start}])

    def ready(self):
        """Its functions."""
        if self.functions is None:
            self.functions = dict(self.expect(READY)[1])
        return self.functions

    def failed(self):
        return self.expect(FAILED)[1]

    def fork(self):
        self.workers += 1
        return Worker(self, self.workers)

    def worker(self):
        """One that is ready, of a spawner that may not be yet."""
        self.ready()
        return self.fork().ready()

    def expect_forked(self, number):
        while True:
            message = self.receive()
            assert message is not None
            if message[0] == FORKED:
                assert message[1] == number
                return message[2]
            assert message[0] == EXITED, message
            self.exits[message[1]] = message[2]

    def expect_exited(self, number):
        while number not in self.exits:
            message = self.expect(EXITED)
            self.exits[message[1]] = message[2]
        return self.exits.pop(number)

    def close(self):
        """Its exit status, and what it printed."""
        self.sock.close()
        output, error = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, output.decode(), error.decode()


def module(directory, name, text):
    """A file of Python code; its path."""
    path = pathlib.Path(directory) / f"{name}.py"
    path.write_text(text)
    return path


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)

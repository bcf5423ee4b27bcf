# SPDX-License-Identifier: MIT
"""Plays the daemon for procpool-runtime: a spawner, its workers, and their pages.

Everything blocks with a deadline, so a runtime that does not answer fails the test.
"""

import array
import ctypes
import mmap
import os
import resource
import socket
import struct
import subprocess
import time

import msgpack

BUILD = os.environ["PROCPOOL_BUILD"]
RUNTIME = os.path.join(BUILD, "daemon/runtime/procpool-runtime")
TEST_MODULES = os.path.join(BUILD, "tests/modules")
DEADLINE = 30.0
JOB = 71001

START, FORK, KILL, TASK = 1, 2, 3, 4
HELLO, READY, FAILED, RESULT, ERROR, LOG, FORKED, EXITED, PROGRESS, STALE = range(16, 26)

PAGE_BYTES, PAGE_SLOTS, OUTBOX, OUTBOX_BYTES = 65536, 256, 4096, 61440


class PageLibrary:
    """proto/page.h, whose atomics Python does not have."""

    def __init__(self):
        library = ctypes.CDLL(os.path.join(BUILD, "tests/runtime/libtestpage.so"))
        self.offer = library.test_page_offer
        self.offer.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        self.offer.restype = None
        self.take_back = library.test_page_take_back
        self.take_back.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
        self.take_back.restype = ctypes.c_int64
        self.ask_to_stop = library.test_page_ask_to_stop
        self.ask_to_stop.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
        self.ask_to_stop.restype = None


class Page:
    library = None

    def __init__(self):
        Page.library = Page.library or PageLibrary()
        self.fd = os.memfd_create("page", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, PAGE_BYTES)
        self.map = mmap.mmap(self.fd, PAGE_BYTES)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def offer(self, seq):
        self.library.offer(self.address, seq)

    def take_back(self, seq, count):
        return self.library.take_back(self.address, seq, count)

    def ask_to_stop(self, seq, index=0):
        self.library.ask_to_stop(self.address, seq, index)

    def began(self):
        return self.word(24)

    def word(self, offset):
        return struct.unpack_from("=Q", self.map, offset)[0]

    def begun(self, seq):
        return self.word(2048 + 8 * (seq % PAGE_SLOTS)) & 0x7FFFFFFF

    def salvage(self, received):
        """What a worker that is dead had committed and not written; its count is filled in."""
        base, tail, opened = self.word(0), self.word(8), self.word(16)
        committed, values = tail & 0xFFFFFFFF, tail >> 32
        if committed == 0:
            return b""
        assert committed <= OUTBOX_BYTES
        assert base <= received <= base + committed
        data = bytearray(self.map[OUTBOX:OUTBOX + committed])
        if values:
            assert opened + 5 <= committed and data[opened] == 0xDD
            struct.pack_into(">I", data, opened + 1, values)
        return bytes(data[received - base:])


class Channel:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 30)
        self.received = 0
        self.logs = []

    def send(self, message, fds=()):
        data = msgpack.packb(message)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], ancillary)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def feed(self, data):
        self.unpacker.feed(data)

    def read(self):
        """False at the end of the stream."""
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        self.received += len(data)
        self.feed(data)
        return bool(data)

    def messages(self):
        """Those that have arrived, without waiting."""
        return list(self.unpacker)

    def receive(self):
        """The next message that is not a log line, which go to self.logs; None at the end."""
        while True:
            for message in self.unpacker:
                if message[0] != LOG:
                    return message
                self.logs.append(message[1:])
            if not self.read():
                return None

    def expect(self, number):
        message = self.receive()
        assert message is not None and message[0] == number, message
        return message


class Worker(Channel):
    """One forked worker."""

    def __init__(self, spawner, number, page=True, outputs=()):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.spawner, self.number, self.seq = spawner, number, 0
        self.page = Page() if page else None
        fds = [theirs.fileno()] + ([self.page.fd] if page else []) + list(outputs)
        spawner.send([FORK, number], fds)
        theirs.close()
        self.pid = spawner.expect_forked(number)

    def ready(self):
        assert self.expect(READY) == [READY]
        return self

    def task(self, function, items, star=False, **options):
        self.seq = (self.seq + 1) % 2**32
        if self.page:
            self.page.offer(self.seq)
        self.send([TASK, self.seq, JOB, function, star, items] + ([options] if options else []))
        return self.seq

    def answers(self, seq, count):
        """The outcome of every element: ("ok", value) or ("error", map)."""
        outcomes = []
        while len(outcomes) < count:
            self.collect(self.receive(), seq, outcomes)
        return outcomes

    @staticmethod
    def collect(message, seq, outcomes):
        assert message is not None, "the worker is gone"
        number, answered, index, microseconds, content = message
        assert answered == seq and index == len(outcomes), message[:4]
        assert isinstance(microseconds, int) and microseconds >= 0
        if number == RESULT:
            assert isinstance(content, list) and content
            outcomes += [("ok", value) for value in content]
        else:
            assert number == ERROR and "code" in content and "message" in content, message
            outcomes.append(("error", content))

    def map(self, function, items, star=False, **options):
        return self.answers(self.task(function, items, star, **options), len(items))

    def apply(self, function, *args):
        kind, value = self.map(function, [list(args)], star=True)[0]
        assert kind == "ok", value
        return value

    def apply_error(self, function, *args):
        kind, error = self.map(function, [list(args)], star=True)[0]
        assert kind == "error", error
        return error

    def exited(self):
        """How it ended, after everything that it sent was read."""
        self.sock.settimeout(DEADLINE)
        while self.read():
            pass
        return self.spawner.expect_exited(self.number)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self.exited()


class Spawner(Channel):
    def __init__(self, modules=("demo",), environment=None, cwd=None, user=None,
                 limits=(), **start):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        environment = dict(os.environ, **(environment or {}))

        def channel():
            os.dup2(theirs.fileno(), 3)
            for limit, values in limits:
                resource.setrlimit(limit, values)

        as_user = []
        if user is not None:  # who may read the build directory all the same
            keep = "=-all,+dac_override"
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                       "--inh-caps" + keep, "--ambient-caps" + keep, "--bounding-set" + keep]
        self.process = subprocess.Popen(
            [*as_user, RUNTIME], stdin=subprocess.DEVNULL, pass_fds=[3], preexec_fn=channel, env=environment,
            cwd=cwd, start_new_session=True)
        theirs.close()
        self.hello = self.expect(HELLO)[1]
        self.workers = 0
        self.exits = {}
        self.start = {"pool": "test", "worker": 0, "workers": 2, "modules": list(modules),
                      "initializer": None, "initargs": [], "message_bytes": 96 << 20,
                      "value_depth": 24, "page": False, **start}
        self.send([START, self.start])

    def ready(self):
        return dict(self.expect(READY)[1])

    def fork(self, page=True, outputs=()):
        self.workers += 1
        return Worker(self, self.workers, page, outputs)

    def expect_forked(self, number):
        while True:
            message = self.receive()
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
        self.sock.close()
        return self.process.wait(DEADLINE)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)

# SPDX-License-Identifier: MIT
"""A daemon played by the test: the other end of a connection, which sends what the test says."""

import contextlib
import select
import socket
import threading
import time

import msgpack

DEADLINE = 20.0


class Fake:
    """`connection` is the client's side, `sock` ours."""

    def __init__(self):
        from procpool.connection import Connection

        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 30)
        self.connection = Connection(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        self.connection.close()

    def receive(self, timeout=DEADLINE):
        """The next request: [0, msgid, method, params]; None at the end of the stream."""
        end = time.monotonic() + timeout
        while True:
            for request in self.unpacker:
                return request
            assert select.select([self.sock], [], [], max(0, end - time.monotonic()))[0], "no request came"
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            self.unpacker.feed(data)

    def send(self, *messages):
        self.sock.sendall(b"".join(msgpack.packb(each) for each in messages))

    def send_raw(self, data):
        self.sock.sendall(data)

    def answer(self, *requests, error=None):
        """Each with its params."""
        self.send(*([1, request[1], error, request[3]] for request in requests))

    def serve(self, handle=None):
        """In a thread: answers each request with its params, or as handle(request) does."""

        def run():
            with contextlib.suppress(OSError, ValueError):  # it is closed
                while True:
                    request = self.receive(timeout=60)
                    if request is None:
                        return
                    (handle or self.answer)(request)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


def in_thread(function, *args):
    """Runs it in a thread; a function that waits for its end and returns what it did, or raises what it raised."""
    outcome = []

    def run():
        try:
            outcome.append((function(*args), None))
        except BaseException as e:
            outcome.append((None, e))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(DEADLINE)
        assert outcome, "it does not end"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return join


def eventually(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "still not"
        select.select([], [], [], 0.002)

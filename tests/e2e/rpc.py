# SPDX-License-Identifier: MIT
"""A raw MessagePack-RPC client: what PROTOCOL.md says and nothing else, with a deadline on every receive."""

import os
import select
import socket
import time

import msgpack

# Seconds that anything the daemon should do at once may take; raised where everything is slow (valgrind).
DEADLINE = float(os.environ.get("PROCPOOL_TEST_DEADLINE", "20"))


class RpcError(Exception):
    """The error of a response: the map of PROTOCOL.md, or a string on a connection with errors: text."""

    def __init__(self, error):
        super().__init__(repr(error))
        self.error = error
        self.code = error["code"] if isinstance(error, dict) else error.split(":")[0]


class Closed(Exception):
    """The daemon closed the connection."""


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


class Client:
    def __init__(self, path, timeout=None):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.connect(str(path))
        self._begin(sock, timeout)

    @classmethod
    def of_socket(cls, sock, timeout=None):
        """On a connection that somebody else has made; taken over."""
        client = cls.__new__(cls)
        client._begin(sock, timeout)
        return client

    def _begin(self, sock, timeout):
        self.timeout = DEADLINE if timeout is None else timeout
        self.sock = sock
        self.sock.setblocking(False)
        self.unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=False, unicode_errors="surrogateescape", max_buffer_size=2**31 - 1
        )
        self.inbox = []  # messages that arrived and nobody has asked for yet, in their order
        self.last_msgid = 0

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def send(self, data):
        """Writes raw bytes, and reads meanwhile, as a client must."""
        data = memoryview(data)
        end = time.monotonic() + self.timeout
        while data:
            readable, writable, _ = select.select([self.sock], [self.sock], [], max(0, end - time.monotonic()))
            if not readable and not writable:
                raise TimeoutError("the daemon does not read")
            if readable:
                self._read()
            if writable:
                data = data[self.sock.send(data[: 1 << 20]) :]

    def request(self, method, *params, msgid=None):
        """Sends a request and returns its msgid."""
        if msgid is None:
            self.last_msgid += 1
            msgid = self.last_msgid
        self.send(pack([0, msgid, method, list(params)]))
        return msgid

    # Receiving

    def _read(self):
        data = self.sock.recv(1 << 20)
        if not data:
            raise Closed("the daemon closed the connection")
        self.unpacker.feed(data)
        self.inbox.extend(self.unpacker)

    def take(self, wanted, timeout=None):
        """The first message that `wanted` accepts; those before it stay for whoever asks for them."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        seen = 0
        while True:
            for i in range(seen, len(self.inbox)):
                if wanted(self.inbox[i]):
                    return self.inbox.pop(i)
            seen = len(self.inbox)
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no such message; unclaimed: {self.inbox[:5]!r}")
            self._read()

    def receive(self, timeout=None):
        """The next message, whatever it is."""
        return self.take(lambda message: True, timeout)

    def response(self, msgid):
        """The result of a request; raises its error."""
        _, _, error, result = self.take(lambda m: m[0] == 1 and m[1] == msgid)
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method, *params):
        return self.response(self.request(method, *params))

    def error(self, method, *params):
        """Calls what must fail, and returns the error's map."""
        try:
            result = self.call(method, *params)
        except RpcError as e:
            return e.error
        raise AssertionError(f"{method}{params!r} did not fail but returned {result!r}")

    def push(self, name, wanted=lambda params: True, timeout=None):
        """The params of the next push of that name (that `wanted` accepts)."""
        return self.take(lambda m: m[0] == 2 and m[1] == name and wanted(m[2]), timeout)[2]

    def event(self, kind, timeout=None, **keys):
        """The next event push of that kind with those keys and values."""
        return self.push(
            "event",
            lambda params: params[0]["event"] == kind and all(params[0].get(k) == v for k, v in keys.items()),
            timeout,
        )[0]

    def quiet(self):
        """What has been pushed so far: all that the daemon sent before it answers a ping."""
        self.call("ping")
        messages, self.inbox = self.inbox, []
        return messages

    def closed(self, timeout=None):
        """Waits until the daemon has closed the connection; returns the pushes and responses before that."""
        try:
            self.take(lambda message: False, timeout)
        except (Closed, ConnectionResetError):
            messages, self.inbox = self.inbox, []
            return messages

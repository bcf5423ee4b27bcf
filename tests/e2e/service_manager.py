# SPDX-License-Identifier: MIT
"""A service manager as procpoold sees one: it passes sockets by name, listens to what it is told, and wants to hear
that the daemon lives."""

import contextlib
import os
import select
import socket
import time

import procpoold
from rpc import DEADLINE


class Service(procpoold.Daemon):
    """A daemon with a service manager that keeps all it is told.

    names             of the sockets that are passed, as LISTEN_FDNAMES has them
    watchdog_seconds  how often the daemon has to tell that it lives; None: it need not
    watchdog_pid      who has to; None: the daemon
    abstract          the manager's socket has no file
    deaf              the manager has not read for long: there is no room for a message
    """

    def __init__(self, names=None, watchdog_seconds=None, watchdog_pid=None, abstract=False, deaf=False, **options):
        self.names = names
        self.watchdog_seconds = watchdog_seconds
        self.watchdog_pid = watchdog_pid
        self.abstract = abstract
        self.deaf = deaf
        self.told = []  # (moment, {name: value}) of each message
        super().__init__(**options)

    def managers_variables(self):
        variables = {}
        if self.names is not None:
            variables["LISTEN_FDNAMES"] = self.names
        if self.watchdog_seconds is not None:
            variables["WATCHDOG_USEC"] = str(int(self.watchdog_seconds * 1e6))
            variables["WATCHDOG_PID"] = str(self.watchdog_pid or os.getpid())
        return variables

    def bind_manager(self):
        if not self.abstract:
            address = super().bind_manager()
        else:
            address = f"@procpool-test-{os.getpid()}-{id(self)}"
            self.notify.bind("\0" + address[1:])
        if self.deaf:
            self.fill(address)
        return address

    def fill(self, address):
        """Leaves no room for a message."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler, contextlib.suppress(BlockingIOError):
            filler.setblocking(False)
            while True:
                filler.sendto(b"FILL=1", address)

    def _take(self):
        message = self.notify.recv(4096).decode()
        pairs = [line.partition("=") for line in message.split("\n") if line]
        told = {name: value for name, _, value in pairs}
        assert len(told) == len(pairs), f"something twice in {message!r}"
        self.told.append((time.monotonic(), told))

    def read(self):
        """Takes what was told so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take()
        return [told for _, told in self.told]

    def hear(self, name, wanted=lambda value: True, timeout=None, after=0):
        """Waits until a message has this name, with a value that is wanted: its place among those told."""
        end = time.monotonic() + (DEADLINE if timeout is None else timeout)
        place = after
        while True:
            for told in self.read()[place:]:
                if name in told and wanted(told[name]):
                    return place
                place += 1
            ready = select.select([self.notify, self.pidfd], [], [], max(0, end - time.monotonic()))[0]
            if self.pidfd in ready and self.notify not in ready:
                raise AssertionError(f"the daemon ended before {name}:\n{self.stderr()}")
            if not ready:
                raise TimeoutError(f"no such {name} among {self.told}")

    def all(self, name):
        """(moment, value) of all messages so far that have this name."""
        self.read()
        return [(moment, told[name]) for moment, told in self.told if name in told]

    def hears_nothing_of(self, name, seconds):
        """Whether no message has this name for so long."""
        count = len(self.all(name))
        with contextlib.suppress(TimeoutError):
            self.hear(name, timeout=seconds, after=len(self.told))
        return len(self.all(name)) == count

    def line(self):
        """The line as the manager would show it now."""
        return self.all("STATUS")[-1][1]

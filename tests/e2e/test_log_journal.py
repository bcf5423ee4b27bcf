# SPDX-License-Identifier: MIT
"""What the journal gets: a socket of ours is in its place, in a mount namespace of the daemon's own."""

import contextlib
import os
import socket

import mounts
import pytest
from procpoold import PROBE, eventually

USER = str(os.geteuid())
pytestmark = mounts.needed


class Journal:
    """What sits at /run/systemd/journal/socket, and the stream that is standard error under the service manager."""

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.directory = directory
        self.path = directory / "socket"
        self.socket.bind(str(self.path))
        self.ours, self.stream = socket.socketpair()
        for each in (self.socket, self.ours):
            each.setblocking(False)
        self.entries = []

    def variable(self):
        status = os.fstat(self.stream.fileno())
        return f"{status.st_dev}:{status.st_ino}"

    def settle_in(self):
        """In the child."""
        os.dup2(self.stream.fileno(), 2)
        mounts.begin()
        mounts.cover_with_nothing("/run")
        os.makedirs("/run/systemd/journal")
        mounts.cover("/run/systemd/journal", self.directory)

    def find(self, text):
        """The one entry whose message has this text; or None."""
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self.socket.recv(65536).decode().splitlines()
                entry = dict(line.split("=", 1) for line in lines)
                assert len(entry) == len(lines)
                self.entries.append(entry)
        found = [entry for entry in self.entries if text in entry["MESSAGE"]]
        assert len(found) < 2
        return dict(found[0]) if found else None

    def await_entry(self, text):
        return eventually(lambda: self.find(text))

    def close(self):
        for each in (self.socket, self.ours, self.stream):
            each.close()


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def serve(daemon, journal, **settings):
    pool = {"modules": ["demo", PROBE], "workers": 1, **settings}
    return daemon(pools={"images": pool}, env={"JOURNAL_STREAM": journal.variable()}, setup=journal.settle_in)


def test_a_crash_is_an_entry_with_all_fields(daemon, journal):
    server = serve(daemon, journal)
    ready = journal.await_entry("ready on")
    assert ready.keys() == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}
    assert (ready["PRIORITY"], ready["SYSLOG_IDENTIFIER"]) == ("6", "procpoold")
    error = server.connect().error("apply", "probe.say_and_abort", ["PRIORITY=0\nMESSAGE_ID=forged"])
    crash = journal.await_entry("was ended by signal 6 (SIGABRT)")
    assert float(crash.pop("PROCPOOL_DURATION_USEC", 1)) > 0
    assert crash.pop("MESSAGE").endswith("last on standard error: PRIORITY=0 | MESSAGE_ID=forged")
    assert crash == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "procpoold",
        "MESSAGE_ID": "1ede84ae31d6459987de51b2415cc260",
        "PROCPOOL_POOL": "images",
        "PROCPOOL_WORKER": "1",
        "PROCPOOL_PID": str(error["pid"]),
        "PROCPOOL_JOB": str(error["job"]),
        "PROCPOOL_FUNCTION": "probe.say_and_abort",
        "PROCPOOL_UID": USER,
        "PROCPOOL_OUTCOME": "worker-lost",
    }
    printed = journal.await_entry("stderr): MESSAGE_ID=forged")
    assert (printed["PROCPOOL_STREAM"], printed["PROCPOOL_WORKER"], printed["PROCPOOL_JOB"]) == (
        "stderr", "1", str(error["job"]),
    )  # fmt: skip
    assert server.stderr() == ""


def test_a_slow_task_and_what_an_administrator_did_are_found_by_fields(daemon, journal):
    server = serve(daemon, journal, slow_seconds=0.1)
    client = server.connect()
    client.call("apply", "demo.sleep", [0.2])
    slow = journal.await_entry("demo.sleep")
    assert slow["MESSAGE_ID"] == "4ce6fe05ace444d6a848c5b27e48ec45"
    assert 200_000 <= int(slow["PROCPOOL_DURATION_USEC"]) < 10_000_000
    assert (slow["PROCPOOL_FUNCTION"], slow["PROCPOOL_OUTCOME"]) == ("demo.sleep", "done")
    client.call("pause", "images")
    paused = journal.await_entry("paused")
    assert (paused["PROCPOOL_POOL"], paused["PROCPOOL_UID"]) == ("images", USER)


def test_a_journal_that_takes_nothing_delays_nobody(daemon, journal):
    """Not a line is read of what is printed."""
    server = serve(daemon, journal)
    client = server.connect()
    for _ in range(20):
        client.call("apply", "probe.say", ["stdout", "one\n", 50])
    assert client.call("apply", "demo.inc", [1]) == 2
    assert journal.await_entry("lines of the log were lost: the journal took nothing")["PRIORITY"] == "4"

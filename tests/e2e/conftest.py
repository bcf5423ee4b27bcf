# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests. They need PROCPOOL_BUILD, the build directory (tests/run sets it)."""

import contextlib
import os
import signal

import pytest

import procpoold
from rpc import DEADLINE

# A test that hangs in spite of the deadlines on everything it awaits ends here.
TEST_SECONDS = int(DEADLINE * 8)


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: measures, and means nothing with sanitizers or valgrind")
    config.addinivalue_line("markers", "memcheck: belongs to the subset that also runs under valgrind")
    if not procpoold.BUILD:
        raise pytest.UsageError("set PROCPOOL_BUILD to the build directory, or use tests/run")


def pytest_collection_modifyitems(items):
    slow = procpoold.sanitized() or os.environ.get("PROCPOOL_TEST_VALGRIND")
    for item in items:
        if slow and item.get_closest_marker("plain"):
            item.add_marker(pytest.mark.skip(reason="only for a build without sanitizers"))


@pytest.fixture(autouse=True)
def watchdog():
    def bark(*_):
        raise TimeoutError("the test hangs")

    previous = signal.signal(signal.SIGALRM, bark)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def start():
    """Starts daemons, with the options of procpoold.Daemon, without waiting for them."""
    started = []

    def make(**options):
        started.append(procpoold.Daemon(**options))
        return started[-1]

    yield make
    with contextlib.ExitStack() as stack:
        for each in started:
            stack.callback(each.finish)


@pytest.fixture
def daemon(start):
    """Starts daemons and waits until they are ready: daemon(workers=1, limits={"jobs_session": 2})."""
    return lambda **options: start(**options).await_ready()


@pytest.fixture
def client(daemon):
    """A connection to a daemon with two workers and the module `demo`."""
    return daemon().connect()


@pytest.fixture
def gate(tmp_path):
    """Makes gates at which a test holds tasks. What a test that failed left held is released."""
    gates = []

    def make():
        gates.append(procpoold.Gate(tmp_path))
        return gates[-1]

    yield make
    for each in gates:
        each.abandon()


@pytest.fixture
def as_root():
    if os.getuid() != 0:
        pytest.skip("needs root, to connect as several users")


@pytest.fixture
def marks(tmp_path):
    """Where tasks leave marks."""
    return procpoold.Marks(tmp_path)


@pytest.fixture
def probe(daemon):
    """Starts daemons with the modules `demo` and `probe`."""
    return lambda **options: daemon(modules=["demo", procpoold.PROBE], **options)

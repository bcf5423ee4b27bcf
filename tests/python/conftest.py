# SPDX-License-Identifier: MIT
"""What the tests of the Python package share: the package of the source tree, the daemon of $PROCPOOL_BUILD."""

import faulthandler
import os
import pathlib
import signal
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = TESTS.parent / "client" / "python"
BUILD = pathlib.Path(os.environ.get("PROCPOOL_BUILD", TESTS.parent / "build"))
TEST_SECONDS = int(4 * float(os.environ.get("PROCPOOL_TEST_DEADLINE", "20")))

EXTENSION = pathlib.Path(os.environ.get("PROCPOOL_TEST_EXTENSION", BUILD / "daemon" / "runtime" / "python"))

os.environ["PROCPOOL_BUILD"] = str(BUILD)
sys.path[:0] = [str(PACKAGE), str(EXTENSION), str(TESTS / "e2e"), str(TESTS / "runtime")]
# Programs that a test starts, and the workers of their pools, find the same.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(PACKAGE), str(EXTENSION), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([str(BUILD / "daemon"), str(BUILD / "client" / "ppctl"), os.environ["PATH"]])


@pytest.fixture(autouse=True)
def watchdog():
    """A test that hangs in spite of its own deadlines ends here, and tells where all threads were."""
    def bark(*_):
        faulthandler.dump_traceback()
        raise AssertionError("the test hangs")

    previous = signal.signal(signal.SIGALRM, bark)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="module")
def daemon_of_mine():
    """A daemon of this user's is running: pools are opened there."""
    import procpoold

    daemon = procpoold.Daemon(workers=1).await_ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCPOOL_SOCKET", str(daemon.path))
        yield daemon
    daemon.finish()

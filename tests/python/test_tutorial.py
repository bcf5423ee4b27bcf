# SPDX-License-Identifier: MIT
"""The four programs of the tutorial that the project grew from, their import line changed and nothing else, print on
procpool what they print on multiprocessing."""

import functools
import os
import pathlib
import re
import subprocess
import sys

import procpoold
import pytest

TUTORIAL = pathlib.Path(__file__).parent / "tutorial"
PROGRAMS = sorted(path.name for path in TUTORIAL.glob("*.py"))
IMPORT = "from procpool import Pool\n"
SECONDS = 60


def run(path, **environment):
    """What it prints on a terminal: a worker of multiprocessing shows nothing on a pipe before it ends."""
    ours, its = os.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        program = subprocess.Popen([sys.executable, str(path)], stdin=subprocess.DEVNULL, stdout=its, stderr=its,
                                   env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment})
        os.close(its)
        text = bytearray()
        try:
            while part := terminal.read(65536):
                text += part
        except OSError:  # how the end of a terminal's other side looks
            pass
        assert program.wait(SECONDS) == 0, text.decode()
    return text.decode().replace("\r\n", "\n").splitlines()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What a program prints on multiprocessing."""
    path = tmp_path_factory.mktemp("multiprocessing")

    @functools.lru_cache
    def find(name):
        program = (TUTORIAL / name).read_text()
        assert program.startswith(IMPORT) and program.count("procpool") == 1
        (path / name).write_text(program.replace(IMPORT, "from multiprocessing import Pool\n", 1))
        return comparable(name, run(path / name))

    return find


def comparable(name, lines):
    """Without seconds, and in an order of its own where workers or callbacks race.

    Workers of multiprocessing write over one another within a line, so that of what they print only the characters
    count.
    """
    if name in ("apply.py", "collect.py"):
        assert re.fullmatch(r"\d+\.\d+(e-\d+)?", lines[-1])
        return lines[:-1]
    if name == "map.py":
        return sorted("".join(lines))
    return sorted(lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_they_print_the_same_without_a_daemon(expected, name):
    lines = run(TUTORIAL / name, PROCPOOL_SOCKET="", XDG_RUNTIME_DIR="")
    assert comparable(name, lines) == expected(name)


def test_what_workers_print_is_whole():
    lines = run(TUTORIAL / "map.py", PROCPOOL_SOCKET="", XDG_RUNTIME_DIR="")
    assert sorted(map(int, lines[:-1])) == list(range(1, 101))
    assert lines[-1] == f"主进程中map的返回值 {list(range(1, 101))}"


@pytest.fixture(scope="module")
def daemon():
    daemon = procpoold.Daemon(workers=1)
    yield daemon.await_ready()
    daemon.finish()


@pytest.mark.parametrize("name", PROGRAMS)
def test_they_print_the_same_with_a_daemon(daemon, expected, name):
    lines = run(TUTORIAL / name, PROCPOOL_SOCKET=str(daemon.path))
    assert comparable(name, lines) == expected(name)
    assert "session-" in daemon.stderr()
    with daemon.connect() as client:
        procpoold.eventually(lambda: not [pool for pool in client.call("pools") if pool["session"]])


def test_there_are_four():
    assert PROGRAMS == ["apply.py", "apply_async.py", "collect.py", "map.py"]

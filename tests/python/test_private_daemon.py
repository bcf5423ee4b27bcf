# SPDX-License-Identifier: MIT
"""The private daemon of a program: one, on first need, and nothing left of it when the program has ended."""

import contextlib
import os
import signal
import stat
import sys

import pytest
from creator import Creator, Household
from procpoold import await_end, eventually
from rpc import DEADLINE

from procpool import private

AT_ONCE = DEADLINE / 4  # seconds within which nothing may be left

PRELUDE = """
import contextlib, ctypes, os, resource, signal, socket, sys, threading, time
from procpool import private

def show(text):
    print(text, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def program():
    """Runs programs: program(code, env={}). What is left of them is an error."""
    made = []

    def run(code, **options):
        made.append(Creator(code, prelude=PRELUDE, python=sys.executable, **options))
        return made[-1]

    yield run
    with contextlib.ExitStack() as stack:
        for each in made:
            stack.callback(each.finish)


def with_workers(house):
    """Has a pool opened in it; returns the connection."""
    client = house.connect()
    client.call("open", {"modules": ["demo"], "workers": 2})
    eventually(lambda: len(house.settle().pids) == 4)  # it is open when the first is ready
    return client


# One for each process


def test_it_is_started_once_for_all_threads(program):
    creator = program("""
found = []
threads = [threading.Thread(target=lambda: found.append(private.daemon())) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
assert len(found) == 8
show(*set(found))
assert private.daemon() == found[0]
show("still")
""")
    house = creator.household()
    creator.go_on()
    assert creator.read() == "still"
    house.settle()


def test_it_leaves_the_program_no_child_and_no_descriptor(program):
    creator = program("""
before = os.listdir("/proc/self/fd")
path = private.daemon()
assert os.listdir("/proc/self/fd") == before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    show(path)
""")
    creator.household()


def test_one_that_was_killed_is_noticed_and_its_files_are_removed(program):
    creator = program("show(private.daemon()); show(private.daemon())")
    first = creator.household()
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{first.pid}") or _is_zombie(first.pid))
    assert first.path.parent.exists()
    creator.go_on()
    second = creator.household()
    assert second.pid != first.pid
    first.assert_gone(AT_ONCE)


def _is_zombie(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_child_after_fork_gets_its_own(program):
    creator = program("""
mine = private.daemon()
reads, writes = os.pipe()
child = os.fork()
if child == 0:
    os.close(writes)
    print(private.daemon(), flush=True)
    os.read(reads, 1)
    os._exit(0)
show("the child's comes first")
os.close(writes)
os.waitpid(child, 0)
assert private.daemon() == mine
show(mine)
""")
    lines = [creator.read(), creator.read()]
    lines.remove("the child's comes first")
    its = Household(lines[0]).settle()
    creator.go_on()
    mine = creator.household()
    assert mine.pid != its.pid
    its.assert_gone(AT_ONCE)


def test_a_fork_while_a_thread_starts_one_does_not_block_the_child(program):
    creator = program("""
private._lock.acquire()
child = os.fork()
if child == 0:
    show(private.daemon())
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    house = creator.household()
    creator.go_on()
    assert creator.wait() == 0
    house.assert_gone(AT_ONCE)


def test_a_program_that_closed_its_standard_streams_has_one_all_the_same(program):
    creator = program("""
told = os.dup(1)
for fd in range(3): os.close(fd)
path = private.daemon()
os.write(told, path.encode() + b"\\n")
signal.pause()
""")
    house = creator.household()
    links = {os.readlink(f"/proc/{house.pid}/fd/{fd}") for fd in range(3)}
    assert links == {"/dev/null"}


def test_signals_of_the_programs_terminal_do_not_reach_it(program):
    creator = program("""
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
show(private.daemon())
show("x")
""", start_new_session=True)
    house = creator.household()
    os.killpg(creator.process.pid, signal.SIGINT)
    os.killpg(creator.process.pid, signal.SIGHUP)
    creator.wait()
    house.assert_gone(AT_ONCE)


def test_its_socket_is_for_its_user_alone(program):
    house = program("os.umask(0); show(private.daemon())").household()
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o700


# Finding it


def make_program(directory, name="procpoold", code="exit 3"):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n" + code + "\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_found_by_its_variable_beside_the_interpreter_and_in_the_path(monkeypatch, tmp_path):
    told, beside, in_path = (make_program(tmp_path / name) for name in ("told", "prefix/bin", "path"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("PATH", f"{tmp_path}/nothing::{tmp_path}/path")
    monkeypatch.setenv("PROCPOOL_DAEMON", told)
    assert private.find() == told
    monkeypatch.delenv("PROCPOOL_DAEMON")
    assert private.find() == beside
    os.chmod(beside, 0o644)
    assert private.find() == in_path


def test_without_the_program_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(private, "PROGRAM", "no-such-procpoold")
    monkeypatch.delenv("PROCPOOL_DAEMON", raising=False)
    with pytest.raises(FileNotFoundError, match="Install procpool .*PROCPOOL_DAEMON"):
        private.daemon()
    monkeypatch.setenv("PROCPOOL_DAEMON", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="PROCPOOL_DAEMON is '/.*must be the path of procpoold"):
        private.daemon()


def test_one_that_does_not_start_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PROCPOOL_DAEMON", make_program(tmp_path))
    with pytest.raises(RuntimeError, match="ended with status 3"):
        private.daemon()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_says_nothing_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PROCPOOL_DAEMON", make_program(tmp_path, code="exec sleep 1000"))
    monkeypatch.setattr(private, "START_SECONDS", 0.05)
    with pytest.raises(RuntimeError, match="did not listen within 0.05 seconds"):
        private.daemon()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_interrupt_while_it_starts_leaves_nothing(program, tmp_path):
    """A daemon that is not told of any more ends by itself (tests/e2e/test_private.py)."""
    marks = tmp_path / "marks"
    daemon = make_program(tmp_path, code=f"echo $$ >{marks}; exec sleep 1000")
    creator = program("""
private._read_line = lambda *_: (print("waits", flush=True), signal.pause())
private.daemon()
""", env={"PROCPOOL_DAEMON": daemon})
    assert creator.read() == "waits"
    launcher = int(eventually(lambda: marks.exists() and marks.read_text().strip()))
    creator.process.send_signal(signal.SIGINT)
    assert creator.wait(AT_ONCE) == -signal.SIGINT
    assert "KeyboardInterrupt" in creator.errors.read_text()
    await_end({launcher}, AT_ONCE)


# Nothing is left


ENDS = {
    "returns": ("", 0),
    "exits with a status": ("sys.exit(3)", 3),
    "exits at once": ("os._exit(4)", 4),
    "raises": ("raise ValueError", 1),
    "is interrupted": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    "is terminated": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "crashes": ("resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); ctypes.string_at(0)", -signal.SIGSEGV),
    "becomes another that ends": ("os.execv('/bin/true', ['true'])", 0),
}


@pytest.mark.parametrize("end, status", ENDS.values(), ids=ENDS)
def test_nothing_is_left_when_the_program(program, end, status):
    creator = program("show(private.daemon())\n" + end)
    house = creator.household()
    with with_workers(house):
        creator.go_on()
        assert creator.wait() == status
        house.assert_gone(AT_ONCE)


def test_it_lives_on_when_the_thread_that_started_it_has_ended(program):
    creator = program("""
found = []
thread = threading.Thread(target=lambda: found.append(private.daemon()))
thread.start()
thread.join()
show(found[0])
show("x")
""")
    house = creator.household()
    creator.go_on()
    assert creator.read() == "x"
    with with_workers(house) as client:
        assert client.call("apply", "demo.inc", [1]) == 2
        creator.process.kill()
        house.assert_gone(AT_ONCE)


def test_children_that_hold_its_socket_do_not_keep_it(program):
    creator = program("""
path = private.daemon()
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
child = os.fork()
if child == 0:
    signal.pause()
print(child, flush=True)
show(path)
""")
    child = int(creator.read())
    try:
        house = creator.household()
        with with_workers(house):
            creator.process.kill()
            house.assert_gone(AT_ONCE)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)



# SPDX-License-Identifier: MIT
"""Ctrl-C, and worse: the program ends at once, and nothing that it has started is left."""

import contextlib
import fcntl
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import termios

import pytest
from conftest import BUILD
from creator import Household, reap
from procpoold import Daemon, await_end, eventually
from rpc import DEADLINE

AT_ONCE = DEADLINE / 10  # seconds within which the program ends, and what it has started; usually some milliseconds

PROGRAM = """
import os, signal, sys, time
from procpool import Executor, Pool, private

def mark(what):
    with open(sys.argv[1], "a") as file:
        file.write(f"{{what}} {{os.getpid()}}\\n")

def rest(x):
    mark("rests")
    time.sleep(1000)

def spin(x):
    mark("spins")
    while True:
        pass

def insist(x):
    '''Does not want to be stopped.'''
    mark("insists")
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

def hold_on(x):
    '''Is in C all the time.'''
    mark("holds on")
    for number in signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(1000)

def inc(x):
    return x + 1

def use(pool):
    {use}

if __name__ == "__main__":
    {main}
"""

MAIN = """with Pool(2) as pool:
        mark(private._path)
        use(pool)
"""


class Program:
    """PROGRAM with a way to use the pool; `terminal`: on a pseudo-terminal, whose foreground it is."""

    def __init__(self, directory, socket, use, main=MAIN, terminal=False):
        self.marks = directory / "marks"
        self.marks.touch()
        self.errors = directory / "stderr"
        script = directory / "program.py"
        script.write_text(PROGRAM.format(use=use, main=main))
        env = os.environ | {"PROCPOOL_SOCKET": socket, "PROCPOOL_DAEMON": str(BUILD / "daemon" / "procpoold")}
        self.master, stdin = pty.openpty() if terminal else (None, subprocess.DEVNULL)

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        with self.errors.open("w") as errors:
            self.process = subprocess.Popen([sys.executable, str(script), str(self.marks)], env=env, stdin=stdin,
                                            stdout=errors, stderr=errors, start_new_session=True,
                                            preexec_fn=take_terminal if terminal else None)  # fmt: skip
        if terminal:
            os.close(stdin)
        self.household = None

    def await_workers(self, count=2):
        """Waits until so many of them run something; returns their pids."""

        def found():
            if self.process.poll() is not None:
                raise AssertionError(f"the program ended:\n{self.errors.read_text()}")
            lines = [line.rpartition(" ")[::2] for line in self.marks.read_text().splitlines()]
            pids = {int(pid) for what, pid in lines if not what.startswith(("/", "None"))}
            return pids if len(pids) >= count else None

        pids = eventually(found)
        path = self.marks.read_text().partition(" ")[0]
        if path.startswith("/"):
            self.household = Household(path).settle()
        return pids

    def interrupt(self):
        """As Ctrl-C does."""
        if self.master is not None:
            os.write(self.master, b"\x03")
        else:
            os.killpg(self.process.pid, signal.SIGINT)

    def await_end(self):
        return self.process.wait(AT_ONCE)

    def finish(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        if self.master is not None:
            os.close(self.master)
        if self.household:
            for pid in self.household.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        reap()
        print(self.errors.read_text())


@pytest.fixture(params=["private", "running"])
def server(request):
    """A daemon of this user, or None: programs then have private ones."""
    if request.param == "private":
        yield None
        return
    daemon = Daemon(listen=False).await_ready()
    yield daemon
    daemon.finish()


@pytest.fixture
def program(server, tmp_path):
    """Runs programs: program(use)."""
    made = []

    def run(use, **options):
        made.append(Program(tmp_path, str(server.path) if server else "/nonexistent", use, **options))
        return made[-1]

    yield run
    for each in made:
        each.finish()


def assert_nothing_left(server, program, workers):
    await_end(workers, AT_ONCE)
    if server is None:
        program.household.assert_gone(AT_ONCE)
        return

    def gone():
        with server.connect() as client:
            return [p["name"] for p in client.call("pools")] == ["default"]

    eventually(gone, AT_ONCE)


USES = {
    "map": "pool.map(rest, range(100))",
    "apply": "pool.apply_async(rest, (1,)); pool.apply(rest, (1,))",
    "get": "pool.map_async(rest, range(100)).get()",
    "get with a timeout": "pool.map_async(rest, range(100)).get(1000)",
    "wait": "pool.starmap_async(rest, [(1,), (2,)]).wait()",
    "imap": "list(pool.imap(rest, range(100)))",
    "imap_unordered": "list(pool.imap_unordered(rest, iter(range(100))))",
    "join": "pool.map_async(rest, range(100)); pool.close(); pool.join()",
    "a map of what spins": "pool.map(spin, range(100))",
    "a map of what insists": "pool.map(insist, range(100))",
    "a map of what ignores every signal": "pool.map(hold_on, range(100))",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_interrupt_ends_the_program_in(server, program, use):
    running = program(use)
    workers = running.await_workers()
    running.interrupt()
    assert running.await_end() == -signal.SIGINT
    assert "KeyboardInterrupt" in running.errors.read_text()
    assert_nothing_left(server, running, workers)


MAINS = {
    "of an executor's future": """with Executor(2) as executor:
        mark(private._path)
        executor.submit(rest, 1)
        executor.submit(rest, 2).result()
""",
    "of an executor's map": """with Executor(2) as executor:
        mark(private._path)
        list(executor.map(rest, range(100)))
""",
    "of an executor's end": """with Executor(2) as executor:
        mark(private._path)
        futures = [executor.submit(rest, x) for x in range(100)]
""",
    "of a pool that is not ended": """pool = Pool(2)
    mark(private._path)
    pool.map(rest, range(100))
""",
    "of a join": """pool = Pool(2)
    mark(private._path)
    results = [pool.apply_async(rest, (x,)) for x in range(100)]
    pool.close()
    pool.join()
""",
    "of what waits in another thread": """import threading
    pool = Pool(2)
    mark(private._path)
    threading.Thread(target=pool.map, args=(rest, range(100)), daemon=True).start()
    signal.pause()
""",
}


@pytest.mark.parametrize("main", MAINS.values(), ids=MAINS)
def test_an_interrupt_ends_the_program_in_the_midst(server, program, main):
    running = program("pass", main=main)
    workers = running.await_workers()
    running.interrupt()
    assert running.await_end() == -signal.SIGINT
    assert_nothing_left(server, running, workers)


def test_an_interrupt_ends_the_program_while_its_pool_is_set_up(server, program):
    """When it has no worker that is ready, and may never have one."""
    running = program("pass", main="pool = Pool(2, rest, (1,))")
    workers = running.await_workers()
    running.interrupt()
    assert running.await_end() == -signal.SIGINT
    await_end(workers, AT_ONCE)


def test_a_terminals_interrupt_ends_the_program(server, program):
    running = program(USES["map"], terminal=True)
    workers = running.await_workers()
    running.interrupt()
    assert running.await_end() == -signal.SIGINT
    assert_nothing_left(server, running, workers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("use", [USES["map"], USES["a map of what ignores every signal"]], ids=["rests", "ignores"])
def test_a_signal_that_ends_the_program_ends_all(server, program, number, use):
    running = program(use)
    workers = running.await_workers()
    os.kill(running.process.pid, number)
    assert running.await_end() == -number
    assert_nothing_left(server, running, workers)


ENDS = {
    "raises": "pool = Pool(2); mark(private._path); pool.map_async(rest, range(9)); wait(); raise ValueError",
    "exits": "pool = Pool(2); mark(private._path); pool.map_async(rest, range(9)); wait(); sys.exit(1)",
    "leaves its pool alone": "pool = Pool(2); mark(private._path); pool.map_async(rest, range(9)); wait(); os._exit(1)",
    "leaves the with statement": "with Pool(2) as pool: mark(private._path); pool.map_async(rest, range(9)); wait(); 1 / 0",
}


@pytest.mark.parametrize("main", ENDS.values(), ids=ENDS)
def test_nothing_is_left_where_the_program(server, program, tmp_path, main):
    """However it leaves a pool that is at work."""
    go = tmp_path / "go"
    os.mkfifo(go)
    running = program("pass", main=main.replace("wait()", f"open({str(go)!r}).close()"))
    workers = running.await_workers()
    pathlib.Path(go).write_text("")
    assert running.await_end() == 1
    assert_nothing_left(server, running, workers)


def test_children_of_a_killed_program_keep_nothing(server, program):
    """Though they have copies of its descriptors."""
    running = program("""
    job = pool.map_async(rest, range(100))
    if os.fork() == 0:
        mark("a child")
        signal.pause()
    job.get()
    """.strip())
    workers = running.await_workers(3)
    child = next(int(line.split()[-1]) for line in running.marks.read_text().splitlines() if "child" in line)
    try:
        os.kill(running.process.pid, signal.SIGKILL)
        assert running.await_end() == -signal.SIGKILL
        assert_nothing_left(server, running, workers - {child})
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("server", ["private"], indirect=True)
def test_a_killed_daemon_takes_its_workers_along_and_the_program_is_told(server, program):
    running = program(USES["a map of what ignores every signal"])
    workers = running.await_workers()
    os.kill(running.household.pid, signal.SIGKILL)
    assert running.await_end() == 1
    assert "ConnectionLost" in running.errors.read_text()
    await_end(workers, AT_ONCE)
    running.household.assert_gone(AT_ONCE)


def test_a_program_that_catches_the_interrupt_can_go_on(server, program):
    """And what it was interrupted in does not go on."""
    running = program("""
    try:
        pool.map(rest, range(100))
    except KeyboardInterrupt:
        print(pool.map(inc, range(3)), flush=True)
    """.strip())
    workers = running.await_workers()
    running.interrupt()
    assert running.await_end() == 0
    assert running.errors.read_text() == "[1, 2, 3]\n"
    assert_nothing_left(server, running, workers)


def test_workers_take_no_notice_of_a_terminals_interrupt(server, program):
    running = program("""
    signal.signal(signal.SIGINT, lambda *_: mark("interrupted"))
    print(pool.map(inc, range(3)), flush=True)
    mark("ready"); mark("ready")
    job = pool.apply_async(rest, (1,))
    while not job.ready():
        signal.pause()
    """.strip(), terminal=True)
    running.await_workers(2)
    running.interrupt()
    eventually(lambda: "interrupted" in running.marks.read_text())
    assert running.process.poll() is None
    assert select.select([], [], [], 0) == ([], [], [])

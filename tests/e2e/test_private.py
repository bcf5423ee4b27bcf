# SPDX-License-Identifier: MIT
"""Private daemons (procpoold --private): they live exactly as long as the program that they belong to."""

import contextlib
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest
from creator import Creator, Household
from ppctl import read_line
from procpoold import BUILD, PROBE, devenv, eventually, find
from rpc import DEADLINE, Closed

# Seconds within which nothing may be left.
AT_ONCE = DEADLINE / 4


@pytest.fixture
def program():
    """Runs programs: program(code, env={}). What is left of them is an error."""
    made = []

    def run(code, **options):
        made.append(Creator(code, **options))
        return made[-1]

    yield run
    with contextlib.ExitStack() as stack:
        for each in made:
            stack.callback(each.finish)


def run(*args, **options):
    return subprocess.run([find("procpoold"), "--private", *args], env=devenv(), capture_output=True, text=True,
                          timeout=DEADLINE, **options)  # fmt: skip


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


# Its start


def test_it_serves_where_it_says(program):
    creator = program("show(start('--module', 'demo', '--workers', '2'))")
    house = creator.household()
    with house.connect() as client:
        assert client.call("apply", "demo.inc", [1]) == 2
        assert [(p["name"], p["workers"]) for p in client.call("pools")] == [("default", 2)]
    assert len(house.pids) == 4  # with the spawner
    creator.go_on()
    assert creator.wait() == 0
    house.assert_gone(AT_ONCE)


def test_its_socket_is_in_a_directory_for_its_user_alone(program, request):
    runtime = tempfile.TemporaryDirectory(prefix="procpool-test-", ignore_cleanup_errors=True)  # shorter than pytest's, as a socket's path must be
    request.addfinalizer(runtime.cleanup)
    creator = program("os.umask(0); show(start())", env={"XDG_RUNTIME_DIR": runtime.name})
    house = creator.household()
    assert str(house.path.parent.parent) == runtime.name
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("runtime", ["/nonexistent", "relative", "", "/dev/null"])
def test_without_a_runtime_directory_it_is_in_tmp(program, runtime):
    house = program("show(start())", env={"XDG_RUNTIME_DIR": runtime}).household()
    assert house.path.parent.parent == pathlib.Path("/tmp")


@pytest.mark.parametrize("mode, owner", [(0o777, None), (0o770, None), (0o700, 65534)])
def test_a_runtime_directory_that_others_may_change_is_not_used(program, as_root, tmp_path, mode, owner):
    """They could put a socket of their own in the place of its."""
    tmp_path.chmod(mode)
    if owner:
        os.chown(tmp_path, owner, owner)
    house = program("show(start())", env={"XDG_RUNTIME_DIR": str(tmp_path)}).household()
    assert house.path.parent.parent == pathlib.Path("/tmp")


def test_it_has_no_pools_that_nobody_has_asked_for_and_reads_no_configuration(program, tmp_path):
    config = tmp_path / "procpool" / "procpoold.conf"
    config.parent.mkdir()
    config.write_text('pool "p" { modules = {demo} }\n')
    creator = program(f"show(start()); show(start('--config', {str(config)!r}))", env={"XDG_CONFIG_HOME": str(tmp_path)})
    house = creator.household()
    with house.connect() as client:
        assert client.call("pools") == []
        own = client.call("open", {"modules": ["demo"], "workers": 1})["pool"]
        assert client.call("apply", "demo.inc", [1], {"pool": own}) == 2
    creator.go_on()
    with creator.household().connect() as client:
        assert [p["name"] for p in client.call("pools")] == ["p"]


def test_its_functions_find_it(program):
    house = program(f"show(start('--module', {PROBE!r}, '--workers', '1'))").household()
    with house.connect() as client:
        assert client.call("apply", "probe.environment", ["PROCPOOL_SOCKET"]) == str(house.path)


def test_only_warnings_are_logged_unless_more_is_asked_for(program):
    creator = program("show(start()); show(start('--log-level', 'info'))")
    creator.household()
    assert creator.errors.read_text() == ""
    creator.go_on()
    creator.household()
    eventually(lambda: "ready on" in creator.errors.read_text())


def test_it_does_not_speak_to_the_service_manager_of_the_program(program, tmp_path):
    """Nor take a socket that was passed to the program."""
    env = {"NOTIFY_SOCKET": "/nowhere", "LISTEN_FDS": "1"}
    code = f"""
def pretend():
    os.environ["LISTEN_PID"] = str(os.getpid())
# exec keeps the process's id, which systemd would have told
show(start("-m", {PROBE!r}, "-w", "1", wrapper=["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"]))
"""
    house = program(code, env=env).household()
    variables = pathlib.Path(f"/proc/{house.pid}/environ").read_text()
    assert "NOTIFY_SOCKET" in variables  # as it was started
    with house.connect() as client:
        for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
            assert client.call("apply", "probe.environment", [name]) is None


def test_it_keeps_nothing_of_the_program_but_stderr_and_its_pidfd(program):
    code = """
reads, writes = os.pipe()
os.set_inheritable(writes, True)
path = start(close_fds=False)
os.close(writes)
assert select.select([reads], [], [], 60)[0] and os.read(reads, 1) == b""
show(path)
"""
    house = program(code).household()
    links = {int(fd): os.readlink(f"/proc/{house.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{house.pid}/fd")}
    assert links[0] == links[1] == "/dev/null" and links[2].endswith("/stderr")
    assert list(links.values()).count("anon_inode:[pidfd]") == 1


def test_signals_that_the_program_ignores_or_blocks_are_its_own(program):
    code = """
for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
show(start("-m", "demo", wrapper=["sh", "-c", "trap '' CHLD; exec \\"$@\\"", "sh"]))
"""
    house = program(code).household()
    status = status_of(house.pid)
    assert int(status["SigBlk"], 16) == 0
    assert not int(status["SigIgn"], 16) & ~(1 << signal.SIGPIPE - 1)
    os.kill(house.pid, signal.SIGTERM)
    house.assert_gone(AT_ONCE)


def test_no_signal_of_a_terminal_reaches_it(program):
    creator = program("""
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
show(start())
show("x")
""", start_new_session=True)
    house = creator.household()
    assert os.getsid(house.pid) == os.getpgid(house.pid) == house.pid
    os.killpg(creator.process.pid, signal.SIGINT)
    assert creator.read() == "interrupted"
    house.settle()


def test_the_program_has_no_child_of_it(program):
    creator = program("""
path = start()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    show(path)
""")
    creator.household()


@pytest.mark.plain
def test_an_idle_one_does_not_wake_up(program):
    house = program("show(start('--module', 'demo'))").household()

    def wakeups():
        return sum(int(status_of(pid)["voluntary_ctxt_switches"]) for pid in house.pids)

    def asleep_for_a_second():
        before = wakeups()
        assert select.select([client.sock], [], [], 1) == ([], [], [])
        return wakeups() == before

    with house.connect() as client:
        eventually(asleep_for_a_second, timeout=8)


# What goes wrong at its start


@pytest.mark.parametrize("args, reason", [
    (["--socket", "/x"], "leave --socket out"),
    (["--creator", "1"], "--creator is '1', and must be"),
    (["--creator", "x"], "--creator is 'x', and must be"),
])
def test_wrong_options_are_explained(args, reason):
    ended = run(*args)
    assert (ended.returncode, ended.stdout) == (2, "") and reason in ended.stderr


def test_a_creator_without_a_private_daemon_is_a_mistake():
    ended = subprocess.run([find("procpoold"), "--creator", "5"], env=devenv(), capture_output=True, text=True,
                           timeout=DEADLINE)  # fmt: skip
    assert ended.returncode == 2 and "--private" in ended.stderr


@pytest.mark.parametrize("inherit", [True, False])
def test_a_creator_that_is_no_pidfd_is_explained(inherit):
    with open("/dev/null") as file:
        ended = run("--creator", str(file.fileno()), pass_fds=[file.fileno()] if inherit else [])
    assert (ended.returncode, ended.stdout) == (1, "") and "--creator is no pidfd" in ended.stderr


def test_what_fails_in_the_background_is_the_exit_status(tmp_path):
    config = tmp_path / "conf"
    config.write_text("nonsense")
    ended = run("--config", str(config))
    assert (ended.returncode, ended.stdout) == (1, "") and "nonsense" in ended.stderr
    ended = run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6)))
    assert (ended.returncode, ended.stdout) == (1, "") and ended.stderr


def test_where_nobody_takes_its_path_there_is_no_daemon():
    reads, writes = os.pipe()
    os.close(reads)
    try:
        ended = subprocess.run([find("procpoold"), "--private"], env=devenv(), stdout=writes, stderr=subprocess.PIPE,
                               timeout=DEADLINE)  # fmt: skip
    finally:
        os.close(writes)
    assert (ended.returncode, ended.stderr) == (1, b"")


# Its end


ENDS = {
    "returns": ("", 0),
    "exits": ("os._exit(3)", 3),
    "raises": ("raise ValueError", 1),
    "is interrupted": ("signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)", -2),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "crashes": ("ctypes.string_at(0)", -11),
}


@pytest.mark.parametrize("end, status", ENDS.values(), ids=ENDS)
def test_nothing_is_left_when_the_program(program, end, status):
    creator = program("show(start('-m', 'demo', '-w', '2'))\n" + end)
    house = creator.household()
    assert len(house.pids) == 4
    creator.go_on()
    assert creator.wait() == status
    house.assert_gone(AT_ONCE)


def test_it_belongs_to_the_program_and_not_to_the_thread_that_started_it(program):
    creator = program("""
found = []
thread = threading.Thread(target=lambda: found.append(start("-m", "demo", "-w", "2")))
thread.start()
thread.join()
show(found[0])
show("x")
""")
    house = creator.household()
    creator.go_on()
    assert creator.read() == "x"
    assert house.settle().pids == house.pids
    with house.connect() as client:
        assert client.call("apply", "demo.inc", [1]) == 2
    creator.process.kill()
    house.assert_gone(AT_ONCE)


def test_children_that_hold_the_programs_descriptors_do_not_keep_it(program, tmp_path):
    creator = program("""
path = start("-m", "demo", "-w", "1")
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
        creator.process.kill()
        house.assert_gone(AT_ONCE)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_its_parent_is_the_creator_unless_told_otherwise():
    """As a shell would have it; which has its own end told by the pipe that closes."""
    shell = subprocess.Popen([shutil.which("sh"), "-c", 'echo $("$0" --private -m demo); read end', find("procpoold")],
                             env=devenv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # fmt: skip
    with shell:
        house = Household(read_line(shell.stdout).strip()).settle()
        assert shell.poll() is None
        shell.stdin.write(b"\n")
        shell.wait(DEADLINE)
    house.assert_gone(AT_ONCE)


def test_what_runs_is_not_waited_for(program, gate):
    creator = program(f"show(start('-m', {PROBE!r}, '-w', '1'))")
    house, held = creator.household(), gate()
    client = house.connect()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    creator.process.kill()
    house.assert_gone(AT_ONCE)
    with pytest.raises((Closed, ConnectionResetError)):
        while True:
            client.receive()


def test_a_program_that_ends_while_it_is_ending_is_not_waited_for_either(program, gate):
    creator = program(f"show(start('-m', {PROBE!r}, '-w', '1'))")
    house, held = creator.household(), gate()
    client = house.connect()
    client.request("apply", "probe.hold", [held.path])
    held.await_held()
    os.kill(house.pid, signal.SIGTERM)
    assert client.error("apply", "probe.pid", [])["code"] == "shutting-down"
    creator.process.kill()
    house.assert_gone(AT_ONCE)


@pytest.mark.parametrize("which", ["spawner", "worker", "all"])
def test_stopped_processes_are_not_waited_for(program, which):
    creator = program("show(start('-m', 'demo', '-w', '2'))")
    house = creator.household()
    with house.connect() as client:
        workers = {w["pid"] for w in client.call("workers")}
    spawner = house.pids - workers - {house.pid}
    for pid in {"spawner": spawner, "worker": workers, "all": workers | spawner}[which]:
        os.kill(pid, signal.SIGSTOP)
    creator.process.kill()
    house.assert_gone(AT_ONCE)


def test_a_program_that_was_gone_before_is_noticed(program):
    """Its pidfd was handed on."""
    child = subprocess.Popen(["true"])
    fd = os.pidfd_open(child.pid)
    child.wait(DEADLINE)
    try:
        ended = run("--creator", str(fd), "-m", "demo", pass_fds=[fd])
    finally:
        os.close(fd)
    path = pathlib.Path(ended.stdout.strip())
    assert ended.returncode == 0 and re.fullmatch(r"/.*/procpool-\w{6}/procpoold.sock", str(path))
    eventually(lambda: not path.parent.exists())


def test_a_signal_ends_it_in_peace(program):
    house = program("show(start('-m', 'demo', '-w', '2'))").household()
    os.kill(house.pid, signal.SIGTERM)
    house.assert_gone(AT_ONCE)


# From C and the command line


def test_the_example_needs_no_daemon():
    """client/examples/own_pool.c"""
    env = devenv() | {"PROCPOOL_SOCKET": "/nonexistent"}
    out = subprocess.run([f"{BUILD}/client/examples/example-own-pool"], env=env, capture_output=True, text=True,
                         timeout=DEADLINE)  # fmt: skip
    assert out.stdout.endswith(": the numbers from 2 to 101 are 5150 together\n"), out


@pytest.fixture
def ppctl():
    """Runs ppctl --private: ppctl("apply", ...), or starts it: ppctl.start(...)."""
    started = []
    variables = devenv() | {"PROCPOOL_DAEMON": find("procpoold"), "PROCPOOL_SOCKET": "/nonexistent", "LC_ALL": "C.UTF-8"}

    def run(*args, env=None, **options):
        return subprocess.run([find("ppctl"), "--private", *args], env=variables | (env or {}), capture_output=True,
                              text=True, timeout=DEADLINE, **options)  # fmt: skip

    def start(*args):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen([find("ppctl"), "--private", *args], env=variables, bufsize=0, **pipes))
        return started[-1]

    run.start = start
    yield run
    for each in started:
        each.kill()
        with each:
            each.wait(DEADLINE)


def test_ppctl_has_one_with_the_modules_that_it_names(ppctl):
    assert ppctl("apply", "demo.inc", "41").stdout == "42\n"
    many = ppctl("-m", "digest", "--module", PROBE, "map", "-r", "digest.sha256_bytes", input="a\nb\n")
    assert (many.returncode, many.stderr) == (0, "") and many.stdout.startswith("ca978112ca1b")
    assert "probe.hold" in ppctl("functions", "-m", PROBE).stdout
    assert ppctl("-m", "digest", "apply", "demo.inc", "41").returncode == 2


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ppctls_ends_with_it(ppctl, number):
    process = ppctl.start("-m", PROBE, "map", "-r", "probe.environment")
    process.stdin.write(b"PROCPOOL_SOCKET\n")
    house = Household(read_line(process.stdout).strip()).settle()
    assert len(house.pids) >= 3
    if number:
        process.send_signal(number)
    else:
        process.stdin.close()
    assert process.wait(DEADLINE) == -(number or 0)
    house.assert_gone(AT_ONCE)


@pytest.mark.parametrize("args, words", [
    (["--socket", "/x", "ping"], "leave --socket out"),
    (["async", "demo.inc", "1"], "use 'ppctl apply'"),
])
def test_ppctl_says_what_does_not_fit(ppctl, args, words):
    ended = ppctl(*args)
    assert ended.returncode == 2 and words in ended.stderr


def test_ppctl_says_what_is_missing(ppctl):
    ended = subprocess.run([find("ppctl"), "-m", "demo", "ping"], env=devenv(), capture_output=True, text=True)
    assert ended.returncode == 2 and "--private" in ended.stderr
    ended = ppctl("ping", env={"PROCPOOL_DAEMON": "/nonexistent"})
    assert ended.returncode == 3 and "/nonexistent, which PROCPOOL_DAEMON names" in ended.stderr
    ended = ppctl("--json", "ping", env={"PROCPOOL_DAEMON": "/bin/false"})
    assert ended.returncode == 3 and json.loads(ended.stderr)["error"]["code"] == "no-daemon"

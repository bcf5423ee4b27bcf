# SPDX-License-Identifier: MIT
"""procpool-launcher in the hands of an attacker who has taken over the daemon: the test. Needs root."""

import array
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess

import mounts
import pytest
import separation
from procpoold import PYTHON, await_end, children, eventually
from rpc import DEADLINE
from separation import (ALIEN, DAEMON, ENDED, HOME, IMAGES, IS_DAEMON, IS_ROOT, KILL, NO_WORKER_GROUP, NOT_ALLOWED,
                        NOT_ITS_GROUP, REFUSED, START, STARTED, UNKNOWN_GROUP, UNKNOWN_USER, WORKER, Reply, request,
                        rights_of, spec, status_of)  # fmt: skip

pytestmark = [pytest.mark.usefixtures("as_root"), mounts.needed]

# What is executed in the daemon's place: hands over its end of the launcher, and stays until it is told to go.
DRIVER = """
import array, os, socket, sys
fd, pid = map(int, os.environ["PROCPOOL_LAUNCHER"].split(":"))
with socket.socket(socket.AF_UNIX) as test:
    test.connect(sys.argv[1])
    test.sendmsg([f"{pid} {os.getpid()}".encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)
    test.recv(1)
"""
SLEEP = ["/bin/sleep", "1000"]
CHILD_SPEC, CHILD_CWD, CHILD_EXEC = 2, 5, 7


class Launcher:
    def __init__(self, directory, wrapper=(), users=None):
        path = f"{directory}/driver"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.stderr = open(f"{directory}/stderr", "w+b")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o666)
            listener.listen()
            listener.settimeout(DEADLINE)
            self.process = subprocess.Popen(
                [*wrapper, separation.launcher(), PYTHON, "-c", DRIVER, path], preexec_fn=users or separation.Users(directory),
                stderr=self.stderr, env=separation.ENVIRONMENT, close_fds=True)  # fmt: skip
            self.control = listener.accept()[0]
        message, [fd], _, _ = socket.recv_fds(self.control, 64, 1)
        self.pid, self.daemon = map(int, message.split())
        self.pidfd = os.pidfd_open(self.pid)
        self.socket = socket.socket(fileno=fd)
        self.socket.settimeout(DEADLINE)
        self.last = 0

    # The attacker's side

    def send(self, data, fds=()):
        self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def start(self, user=b"procpool-worker", group=b"", argv=SLEEP, number=None, what=None, **settings):
        """Asks for a process: its id, and the reading ends of its output, channel and status."""
        if number is None:
            self.last += 1
            number = self.last
        channel, other = socket.socketpair()
        readers, writers = zip(os.pipe(), os.pipe())
        file = spec(argv, **settings) if what is None else what
        fds = [writers[0], writers[0], other.fileno(), writers[1], file]
        self.send(request(START, number, user, group), fds)
        other.close()
        for fd in (*writers, file):
            os.close(fd)
        return number, Started(channel, *readers)

    def kill(self, number, which=signal.SIGKILL):
        self.send(request(KILL, number, signal=which))

    def reply(self):
        data = self.socket.recv(4096)
        assert data, f"the launcher has ended: {self.said()}"
        return Reply(data)

    # What there is of it

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def await_end(self):
        assert select.select([self.pidfd], [], [], DEADLINE)[0], "the launcher lives on"

    def lives(self):
        return not select.select([self.pidfd], [], [], 0)[0]

    def descriptors(self):
        return {int(name) for name in os.listdir(f"/proc/{self.pid}/fd")}

    def is_clean(self):
        """It is there, and has nothing left of what was asked for."""
        return self.lives() and not children(self.pid) and self.descriptors() == set(range(7))

    def close(self):
        family = children(self.pid)
        self.socket.close()
        self.control.close()
        self.process.wait(DEADLINE)
        self.await_end()
        await_end(family)
        os.close(self.pidfd)
        self.stderr.close()


class Started:
    def __init__(self, channel, output, status):
        self.channel, self.output, self.status = channel, open(output, "rb"), open(status, "rb")

    def failure(self):
        """error and step, of a process that could not become its program."""
        data = self.status.read()
        return struct.unpack("=iii", data)[:2] if data else None

    def close(self):
        for each in (self.channel, self.output, self.status):
            each.close()


@pytest.fixture
def launch(tmp_path):
    """Starts launchers."""
    started = []
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:-1]:
        if parent.stat().st_uid == 0:
            parent.chmod(parent.stat().st_mode | 0o055)

    def make(**options):
        started.append(Launcher(tmp_path, **options))
        return started[-1]

    yield make
    with contextlib.ExitStack() as stack:
        for each in started:
            stack.callback(each.close)


@pytest.fixture
def launcher(launch):
    return launch()


def run(launcher, script, **options):
    """The output of a shell that is started."""
    _, process = launcher.start(argv=["/bin/sh", "-c", script], **options)
    started, output = launcher.reply(), process.output.read().decode()
    ended = launcher.reply()
    assert (started.type, ended.type, started.id) == (STARTED, ENDED, ended.id)
    process.close()
    return output


# As a service manager starts it.
RIGHTS = ",".join(f"+{name}" for name in ("setuid", "setgid", "kill", "setpcap"))
SERVICE_MANAGER = [shutil.which("setpriv"), f"--reuid={DAEMON}", f"--regid={DAEMON}", "--clear-groups",
                   f"--inh-caps=-all,{RIGHTS}", f"--ambient-caps=-all,{RIGHTS}"]  # fmt: skip
SYS_ADD_KEY, SYS_KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(os.uname().machine, (None, None))
JOIN, SEARCH, OWN_SESSION = 1, 10, -3
KEYS = f"""
import ctypes, os, sys, time
call = ctypes.CDLL(None).syscall
add = lambda name: call({SYS_ADD_KEY}, b"user", name, b"secret", 6, {OWN_SESSION}) > 0
find = lambda name: call({SYS_KEYCTL}, {SEARCH}, {OWN_SESSION}, b"user", name, 0) > 0
"""
needs_keys = pytest.mark.skipif(SYS_KEYCTL is None or not os.access("/proc/keys", os.R_OK), reason="no keyrings are known")


# What it does


def test_a_process_is_its_user_with_nothing_else(launcher):
    images = {"user": b"images", "group": b"pictures"}
    # Not by the shell itself, which blocks signals while it waits.
    output = run(launcher, "exec cat /proc/self/status", **images)
    status = dict(line.split(":\t") for line in output.splitlines())
    assert status["Uid"].split() == [str(IMAGES)] * 4 and status["Gid"].split() == ["64120"] * 4
    assert set(map(int, status["Groups"].split())) == {IMAGES, WORKER, 64120}
    assert {int(status[f"Cap{each}"], 16) for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert status["NoNewPrivs"] == "1" and int(status["SigBlk"], 16) == int(status["SigIgn"], 16) == 0
    rest = run(launcher, "ls /proc/$$/fd; cut -d' ' -f 6 /proc/$$/stat; echo $$; env", **images).splitlines()
    assert rest[:4] == ["0", "1", "2", "3"] and rest[4] == rest[5]
    variables = {line for line in rest[6:] if not line.startswith("PWD=")}
    assert variables == {f"HOME={HOME.format('images')}", "USER=images", "LOGNAME=images", "SHELL=/bin/sh"}
    assert eventually(launcher.is_clean)


def test_the_daemon_and_the_launcher_are_no_root(launcher):
    assert rights_of(launcher.daemon) == ({DAEMON}, {DAEMON}, set(), True)
    assert rights_of(launcher.pid)[:2] == ({DAEMON}, {DAEMON})
    assert status_of(launcher.pid)["CapBnd"] == status_of(launcher.pid)["CapInh"] == "0" * 16


def test_a_daemon_that_was_taken_over_gets_nothing_of_the_launchers(launch, tmp_path):
    """It is the same user, so it can end it, and all with it; that is all."""
    attack = ("import os, json, separated_functions as f; pid = int(os.environ['PROCPOOL_LAUNCHER'].split(':')[1]); "
              "f.signal.SIGTERM = f.signal.SIGKILL = 0; print(json.dumps([f.attack(pid), f.rise()]))")  # fmt: skip
    env = separation.ENVIRONMENT | {"PYTHONPATH": separation.PACKAGE_PATH}
    done = subprocess.run([separation.launcher(), PYTHON, "-c", attack], preexec_fn=separation.Users(tmp_path), env=env,
                          capture_output=True, text=True, timeout=DEADLINE, check=True)  # fmt: skip
    attacked, rose = json.loads(done.stdout)
    allowed = {"signal", "kill", "pidfd", "limits"}  # to a process of the same user
    assert {name for name, error in attacked.items() if error not in ("EPERM", "EACCES")} == allowed
    assert {name for name, error in rose.items() if error not in ("EPERM", "EACCES")} <= {"daemon", "setgid"}


@needs_keys
def test_root_leaves_no_keys_to_it(launch):
    code = f"{KEYS}call({SYS_KEYCTL}, {JOIN}, b'roots'); os.execv(sys.argv[1], sys.argv[1:])"
    join = [PYTHON, "-c", code]
    launcher = launch(wrapper=join)
    assert "roots" in subprocess.run([*join, "/bin/cat", "/proc/keys"], capture_output=True, text=True, check=True).stdout
    assert "roots" not in run(launcher, "cat /proc/keys")


@needs_keys
def test_users_get_neither_the_services_keys_nor_each_others(launch):
    """Not by what they inherit, also where a user has used up all keys that he may have."""
    code = f"{KEYS}call({SYS_KEYCTL}, {JOIN}, 0); add(b'service') or sys.exit(1); os.execv(sys.argv[1], sys.argv[1:])"
    launcher = launch(wrapper=[PYTHON, "-c", code, *SERVICE_MANAGER])
    ask = f"{KEYS}print(find(b'service'), find(b'mine'), add(b'mine'))"

    def answer(user):
        _, process = launcher.start(argv=[PYTHON, "-c", ask], user=user)
        started, answer, ended = launcher.reply(), process.output.read(), launcher.reply()
        assert (started.type, ended.type) == (STARTED, ENDED)
        process.close()
        return answer

    assert answer(b"procpool-worker") == answer(b"images") == b"False False True\n"
    fill = f"{KEYS}n = 0\nwhile n < 10000 and add(b'%d' % n): n += 1\nprint(n, flush=True); time.sleep(1000)"
    number, filler = launcher.start(argv=[PYTHON, "-c", fill])
    assert launcher.reply().type == STARTED and 0 < int(filler.output.readline()) < 10000
    assert answer(b"procpool-worker") == b"False False False\n"
    launcher.kill(number)
    assert launcher.reply().id == number
    filler.close()


def test_how_it_ended_is_told(launcher):
    number, process = launcher.start(argv=["/bin/sh", "-c", "exit 7"])
    assert launcher.reply().type == STARTED
    end = launcher.reply()
    assert (end.type, end.id, os.waitstatus_to_exitcode(end.status)) == (ENDED, number, 7) and end.max_rss_kib > 0
    process.close()
    number, process = launcher.start()
    assert launcher.reply().uid == WORKER
    launcher.kill(number, signal.SIGUSR1)
    assert os.waitstatus_to_exitcode(launcher.reply().status) == -signal.SIGUSR1
    process.close()


@pytest.mark.parametrize(("options", "failure"), [
    ({"argv": ["/nonexistent"]}, (-2, CHILD_EXEC)),
    ({"cwd": "/nonexistent"}, (-2, CHILD_CWD)),
    ({"argv": []}, (-71, CHILD_SPEC)),
    ({"limits": [(7, 1 << 40, 1 << 40)]}, (-1, 6)),
])  # fmt: skip
def test_why_it_could_not_become_its_program_is_left_in_its_status(launcher, options, failure):
    _, process = launcher.start(**options)
    assert launcher.reply().type == STARTED
    assert process.failure() == failure
    assert os.waitstatus_to_exitcode(launcher.reply().status) == 127
    process.close()


def test_signals_that_everybody_gets_do_not_end_it(launcher):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGUSR1):
        signal.pidfd_send_signal(launcher.pidfd, number)
    assert run(launcher, "echo on") == "on\n" and eventually(launcher.is_clean)


def test_a_service_manager_gives_it_its_rights_in_the_ambient_set(launch):
    launcher = launch(wrapper=SERVICE_MANAGER)
    assert rights_of(launcher.daemon) == ({DAEMON}, {DAEMON}, set(), True)
    assert run(launcher, "id -u") == f"{WORKER}\n"


# What it refuses


REFUSALS = [
    (b"root", b"", IS_ROOT), (b"0", b"", UNKNOWN_USER), (b"+0", b"", UNKNOWN_USER), (b"#0", b"", UNKNOWN_USER),
    (b"toor", b"", IS_ROOT), (b"staff", b"", IS_ROOT), (b"procpool", b"", IS_DAEMON), (b"twin", b"", IS_DAEMON),
    (b"caller", b"", IS_DAEMON), (b"alien", b"", NOT_ALLOWED), (b"daemon", b"", NOT_ALLOWED),
    (b"unchanged", b"", NOT_ALLOWED), (b"", b"", UNKNOWN_USER), (b"nosuchuser", b"", UNKNOWN_USER),
    (b"-", b"", UNKNOWN_USER), (b"*", b"", UNKNOWN_USER), (b"images:x", b"", UNKNOWN_USER), (b"images\n", b"", UNKNOWN_USER),
    (b"../images", b"", UNKNOWN_USER), (b"\xff" * 255, b"", UNKNOWN_USER), (b"u" * 255, b"", UNKNOWN_USER),
    (b"64102", b"", UNKNOWN_USER), (b"%s%n", b"", UNKNOWN_USER),
    (b"images", b"root", NOT_ITS_GROUP), (b"images", b"procpool", NOT_ITS_GROUP), (b"images", b"alien", NOT_ITS_GROUP),
    (b"images", b"0", UNKNOWN_GROUP), (b"images", b"nosuchgroup", UNKNOWN_GROUP), (b"images", b"\x01", UNKNOWN_GROUP),
    (b"procpool-worker", b"images", NOT_ITS_GROUP),
]  # fmt: skip


def test_it_becomes_no_one_who_is_not_allowed(launcher):
    for user, group, refusal in REFUSALS:
        number, process = launcher.start(user, group)
        answer = launcher.reply()
        assert (answer.type, answer.id, answer.refusal, answer.pid) == (REFUSED, number, refusal, 0), user
        assert process.output.read() == b"" and process.failure() is None
        process.close()
        assert eventually(launcher.is_clean)
    assert run(launcher, "id -u") == f"{WORKER}\n"


def test_without_the_group_of_workers_it_becomes_no_one(launch, tmp_path):
    groups = {name: group for name, group in separation.GROUPS.items() if name != "procpool-worker"}
    launcher = launch(users=separation.Users(tmp_path, groups=groups))
    for user in (b"images", b"procpool-worker"):
        _, process = launcher.start(user)
        assert launcher.reply().refusal == NO_WORKER_GROUP
        process.close()
    assert eventually(launcher.is_clean)


def descriptors(count):
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]


GOOD = request(START, 99, b"procpool-worker")
HOSTILE = {
    "an empty message": (b"", 0), "a byte": (b"\x01", 0), "a byte less": (GOOD[:-1], 5), "a byte more": (GOOD + b"\0", 5),
    "much more": (GOOD * 100, 5), "no descriptors": (GOOD, 0), "four descriptors": (GOOD, 4), "six descriptors": (GOOD, 6),
    "all descriptors": (GOOD, 253), "an id in use": (request(START, 1, b"procpool-worker"), 5),
    "type 0": (request(0, 99), 0), "type 3": (request(3, 99), 0), "type -1": (request(2**32 - 1, 99), 0),
    "a kill with a descriptor": (request(KILL, 1, signal=9), 1), "a kill with five": (request(KILL, 1, signal=9), 5),
    "signal 0": (request(KILL, 1), 0), "signal -9": (request(KILL, 1, signal=-9), 0), "signal 65": (request(KILL, 1, signal=65), 0),
    "a user without end": (request(START, 99, b"x" * 256), 5), "a group without end": (request(START, 99, b"images", b"x" * 256), 5),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_daemon_sends_ends_it_and_all_that_it_has_started(launcher, name):
    message, count = HOSTILE[name]
    _, process = launcher.start()
    pid = launcher.reply().pid
    fds = descriptors(count)
    launcher.send(message, fds)
    for fd in fds:
        os.close(fd)
    launcher.await_end()
    await_end([pid])
    process.close()
    assert not message or "the daemon asks for what no daemon does" in launcher.said()


def test_it_signals_nothing_but_what_it_has_started(launcher):
    victim = subprocess.Popen(SLEEP)
    number, process = launcher.start()
    pid = launcher.reply().pid
    try:
        for wrong in (victim.pid, pid, launcher.pid, launcher.daemon, os.getpid(), 0, -1 % 2**64, 2**63, pid - 2**32 & 2**64 - 1):
            launcher.kill(wrong)
        launcher.kill(number, signal.SIGSTOP)
        eventually(lambda: status_of(pid)["State"].startswith("T"))
        assert victim.poll() is None and launcher.lives()
        launcher.kill(number)
        assert (launcher.reply().type, children(launcher.pid)) == (ENDED, set())
        launcher.kill(number)  # it is no more
        assert run(launcher, "echo on") == "on\n"
    finally:
        victim.kill()
        victim.wait()
        process.close()


def test_descriptors_that_are_no_ones_business_do_no_harm(launcher):
    """What the attacker has is handed to the process and does not come back."""
    own = launcher.socket.fileno()
    strange = [os.open("/", os.O_RDONLY), os.open("/proc/self/mem", os.O_RDWR), os.open("/", os.O_PATH), os.pidfd_open(os.getpid()),
               os.open("/dev/full", os.O_RDWR), os.eventfd(0)]  # fmt: skip
    for number, fd in enumerate(strange, 1000):
        launcher.send(request(START, number, b"procpool-worker"), [fd, fd, own, fd, fd])
        assert launcher.reply().type == STARTED
        assert os.waitstatus_to_exitcode(launcher.reply().status) == 127
        os.close(fd)
    assert eventually(launcher.is_clean)


def head(**changed):
    """The head of a specification, with numbers that are not so."""
    fields = {"arguments": 1, "variables": 0, "has_cwd": 0, "has_umask": 0, "umask": 0, "nice": 0, "descriptors": 0, "limits": 0}
    return struct.pack("=IIIIIiQQ", *(fields | changed).values()) + bytes(16 * 24 + 16 * 8)


SPECIFICATIONS = {
    "nothing": b"", "a byte": b"x", "a byte less than a head": head()[:-1], "no strings": head(), "no end": head() + b"no end",
    "two arguments that are one": head(arguments=2) + b"/bin/true\0", "most arguments": head(arguments=2**32 - 1) + b"/bin/true\0",
    "most variables": head(variables=2**32 - 1) + b"/bin/true\0", "no argument": head(arguments=0) + b"/bin/true\0",
    "no directory": head(has_cwd=1) + b"/bin/true\0", "17 limits": head(limits=17) + b"/bin/true\0",
    "most limits": head(limits=2**64 - 1) + b"/bin/true\0", "a string more": head() + b"/bin/true\0more\0",
    "empty strings": head() + bytes(100), "ones": b"\xff" * 4096,
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_a_specification_that_is_none_starts_nothing(launcher, name):
    file = os.memfd_create("spec")
    os.write(file, SPECIFICATIONS[name])
    _, process = launcher.start(what=file)
    assert launcher.reply().type == STARTED
    error, step = process.failure()
    assert step in (CHILD_SPEC, CHILD_EXEC) and error < 0
    assert process.output.read() == b""
    assert os.waitstatus_to_exitcode(launcher.reply().status) == 127
    process.close()


def test_floods_of_requests_that_are_not_read_wait_and_are_answered(launcher):
    launcher.socket.setblocking(False)
    sent, kills, started = 0, 0, []
    while sent < 300 and kills < 100000:
        try:
            if sent % 2:
                launcher.kill(2**40)
                kills += 1
            else:
                started.append(launcher.start(argv=["/bin/true"])[1])
            sent += 1
        except BlockingIOError:
            break
    launcher.socket.settimeout(DEADLINE)
    replies = [launcher.reply() for _ in range(2 * len(started))]
    assert len(started) > 5
    for kind in (STARTED, ENDED):
        assert sorted(reply.id for reply in replies if reply.type == kind) == list(range(1, len(started) + 1))
    for process in started:
        process.close()
    assert eventually(launcher.is_clean)


# Ends


def test_an_end_in_the_middle_leaves_nothing(launcher):
    started = [launcher.start() for _ in range(20)]
    family = eventually(lambda: children(launcher.pid))
    launcher.socket.close()
    launcher.await_end()
    await_end(family)
    for _, process in started:
        process.close()
    assert "launcher" not in launcher.said().replace(separation.launcher(), "")


def test_it_ends_with_the_daemon_whoever_else_holds_the_socket(launcher):
    _, process = launcher.start()
    pid = launcher.reply().pid
    os.kill(launcher.daemon, signal.SIGKILL)
    launcher.await_end()
    await_end([pid])
    process.close()


def test_it_ends_with_the_daemon_while_nobody_reads_what_it_says(launcher):
    launcher.socket.settimeout(DEADLINE)
    for i in range(10**6, 10**6 + 2000):  # each is answered by a refusal
        launcher.socket.setblocking(False)
        fds = descriptors(5)
        with contextlib.suppress(BlockingIOError, OSError):
            launcher.send(request(START, i, b"nosuchuser"), fds)
        for fd in fds:
            os.close(fd)
    os.kill(launcher.daemon, signal.SIGKILL)
    launcher.await_end()


def test_its_children_end_with_it(launcher):
    _, process = launcher.start()
    pid = launcher.reply().pid
    eventually(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    signal.pidfd_send_signal(launcher.pidfd, signal.SIGKILL)
    await_end([pid])
    process.close()


# Who may start it


def start_as(program, tmp_path, setup=None, argv=("/bin/true",)):
    users = separation.Users(tmp_path)

    def prepare():
        users()
        if setup:
            setup()

    return subprocess.run([program, *argv], preexec_fn=prepare, capture_output=True, text=True, timeout=DEADLINE,
                          env=separation.ENVIRONMENT)  # fmt: skip


def as_alien():
    os.setgroups([])
    os.setresgid(ALIEN, ALIEN, ALIEN)
    os.setresuid(ALIEN, ALIEN, ALIEN)


def test_whoever_has_no_rights_gets_none_of_it(launch, tmp_path):
    done = start_as(separation.launcher(), tmp_path, as_alien)
    assert (done.returncode, done.stderr) == (1, "procpool-launcher: lacks rights: root or procpoold.service are to start it\n")


@pytest.mark.parametrize("how", ["setuid", "capabilities"])
def test_a_file_with_rights_gives_them_to_nobody(launch, tmp_path, how):
    tmp_path.chmod(0o755)
    program = tmp_path / "procpool-launcher"
    for name in ("procpool-launcher", "procpool-exec"):
        shutil.copy(pathlib.Path(separation.launcher()).with_name(name), tmp_path / name)
    if how == "setuid":
        program.chmod(0o4755)
    else:  # CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, effective: vfs_cap_data of revision 2
        os.setxattr(program, "security.capability", struct.pack("<IIIII", 0x02000001, 0x1E0, 0, 0, 0))
    done = start_as(program, tmp_path, as_alien, argv=("/usr/bin/id",))
    assert (done.returncode, done.stdout) == (1, "") and "lacks rights" in done.stderr


def test_without_a_user_for_the_daemon_it_says_so(launch, tmp_path):
    users = {name: ids for name, ids in separation.USERS.items() if name != "procpool"}
    run = subprocess.run([separation.launcher(), "/usr/bin/id"], preexec_fn=separation.Users(tmp_path, users=users),
                         capture_output=True, text=True, timeout=DEADLINE, env=separation.ENVIRONMENT)  # fmt: skip
    assert run.returncode == 1 and run.stdout == ""
    assert "cannot become the user procpool: there is none; systemd-sysusers(8) or useradd(8) --system makes it" in run.stderr


def test_its_usage_is_told(tmp_path):
    for argv in ([], ["--help"]):
        run = subprocess.run([separation.launcher(), *argv], capture_output=True, text=True, timeout=DEADLINE)
        assert run.returncode == 2 and run.stderr.startswith("Usage: procpool-launcher COMMAND")

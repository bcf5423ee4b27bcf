# SPDX-License-Identifier: MIT
"""What a function that was taken over might try, run in a worker. Each returns the name of the error, or "done"."""

import array
import ctypes
import errno
import os
import signal
import socket

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_SEIZE, SYS_PIDFD_GETFD = 16, 0x4206, 438


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def _name(function):
    try:
        function()
    except OSError as e:
        return errno.errorcode[e.errno]
    return "done"


def _call(function, *args):
    if function(*args) < 0:
        raise OSError(ctypes.get_errno(), "")


def _read_memory(pid):
    buffer = ctypes.create_string_buffer(8)
    local, remote = Iovec(ctypes.addressof(buffer), 8), Iovec(0x10000, 8)
    _call(libc.process_vm_readv, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


def attack(pid):
    """Everything that one process may try on another."""
    return {
        "signal": _name(lambda: os.kill(pid, signal.SIGTERM)),
        "kill": _name(lambda: os.kill(pid, signal.SIGKILL)),
        "pidfd": _name(lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)),
        "attach": _name(lambda: _call(libc.ptrace, PTRACE_ATTACH, pid, 0, 0)),
        "seize": _name(lambda: _call(libc.ptrace, PTRACE_SEIZE, pid, 0, 0)),
        "readv": _name(lambda: _read_memory(pid)),
        "memory": _name(lambda: open(f"/proc/{pid}/mem", "rb").close()),
        "maps": _name(lambda: open(f"/proc/{pid}/maps").read()),
        "environ": _name(lambda: open(f"/proc/{pid}/environ").read()),
        "descriptors": _name(lambda: os.listdir(f"/proc/{pid}/fd")),
        "getfd": _name(lambda: _call(libc.syscall, SYS_PIDFD_GETFD, os.pidfd_open(pid), 0, 0)),
        "priority": _name(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19)),
        "limits": _name(lambda: _call(libc.prlimit, pid, 7, bytes(16), None)),
    }


def rise():
    """Ways to another user, or to rights."""
    return {
        "setuid": _name(lambda: os.setuid(0)),
        "daemon": _name(lambda: os.setuid(64101)),
        "setgid": _name(lambda: os.setgid(64101)),
        "setgroups": _name(lambda: os.setgroups([0])),
        "chroot": _name(lambda: os.chroot("/")),
        "dumpable": _name(lambda: open("/etc/shadow").read()),
    }


def descriptors():
    """What this process has open: number to what it is."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the listing's own
    return found


def environment():
    return dict(os.environ)


def identity():
    return [os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.getsid(0) == os.getpid(), os.getcwd()]


def reopen(stream, text):
    """Prints as shells and programs do that are told to write to a file."""
    with open(f"/dev/{stream}", "w") as file:
        file.write(text)


def administer(path):
    """Connects to the daemon and asks for what workers are not to have: the answers as they come."""
    request = b"\x94\x00\x01\xa5scale\x92\xa1p\x01" + b"\x94\x00\x02\xa4kill\x91\x01"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        try:
            connection.connect(path)
            connection.sendall(request)
        except OSError as e:
            return [errno.errorcode[e.errno].encode()]
        answers = b""
        while answers.count(b"message") < 2:
            data = connection.recv(65536)
            if not data:
                break
            answers += data
    return [answers]


def hog(size):
    kept = array.array("b", bytes(size))
    signal.pause()
    return len(kept)


def die(number):
    os.kill(os.getpid(), number)


def sleep():
    signal.pause()

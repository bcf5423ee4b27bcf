# SPDX-License-Identifier: MIT
"""Functions of a pool of the booted service: what a worker is, what it can do, and what it is denied."""

import contextlib
import ctypes
import errno
import mmap
import os
import pathlib
import signal
import socket
import subprocess
import threading


def outcome(attempt):
    """"done", or the name of the error."""
    try:
        attempt()
    except OSError as e:
        return errno.errorcode[e.errno]
    return "done"


def who():
    status = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "capabilities": {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privs": status["NoNewPrivs"],
        "home": os.environ.get("HOME"),
        "user": os.environ.get("USER"),
        "pid": os.getpid(),
    }


def interfere(pid):
    """What becomes of attempts on a process: the daemon, or the launcher."""
    libc = ctypes.CDLL(None, use_errno=True)

    def trace():
        if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
            raise OSError(ctypes.get_errno(), "ptrace")

    def read(name):
        return lambda: pathlib.Path(f"/proc/{pid}/{name}").read_bytes()

    return {
        "signal": outcome(lambda: os.kill(pid, signal.SIGCONT)),
        "kill": outcome(lambda: os.kill(pid, signal.SIGKILL)),
        "trace": outcome(trace),
        "memory": outcome(lambda: open(f"/proc/{pid}/mem", "r+b").close()),
        "environment": outcome(read("environ")),
        "descriptors": outcome(lambda: os.listdir(f"/proc/{pid}/fd")),
    }


def administer(path):
    """What the daemon answers a worker that connects."""
    import msgpack

    answers = {}
    for method, params in (("apply", ["demo.inc", [1]]), ("drain", ["main"]), ("reload", []), ("open", [{}])):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(path)
            unpacker = msgpack.Unpacker()
            with contextlib.suppress(OSError):
                s.sendall(msgpack.packb([0, 1, method, params]))
            messages = []
            while not messages:
                data = s.recv(65536)
                if not data:
                    break
                unpacker.feed(data)
                messages = list(unpacker)
            error = messages[0][2] if messages and messages[0][0] == 1 else messages[0][2][0] if messages else "closed"
            answers[method] = error["code"] if isinstance(error, dict) else error
    return answers


def become(uid):
    return {
        "setuid": outcome(lambda: os.setuid(uid)),
        "setgid": outcome(lambda: os.setgid(uid)),
        "setgroups": outcome(lambda: os.setgroups([0])),
    }


def write_anywhere():
    def write(path):
        return outcome(lambda: pathlib.Path(path).write_text("x"))

    places = ("/etc", "/usr", "/run", "/run/lock", "/run/procpool", "/var/lib", "/tmp", "/dev/shm")
    return {f"{place}/x": write(f"{place}/x") for place in places}


def leave_to_others(key, name):
    """Makes a System V segment of shared memory and a POSIX message queue, which nobody removes."""
    libc = ctypes.CDLL(None, use_errno=True)
    return [libc.shmget(key, 4096, 0o1666) >= 0, libc.mq_open(name.encode(), os.O_CREAT | os.O_RDWR, 0o666, None) >= 0]


def doctor():
    """What is said to a worker."""
    return subprocess.run(["ppctl", "doctor", "--json"], stdout=subprocess.PIPE, text=True, timeout=30).stdout


def relaxed(home, tmp, port):
    """Which of the things that drop-ins allow can be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    writable_code = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    address = libc.mmap(None, 4096, writable_code, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if address not in (None, ctypes.c_void_p(-1).value):
        # mov eax, 42; ret
        ctypes.memmove(address, b"\xb8\x2a\0\0\0\xc3", 6)
        jit = os.uname().machine != "x86_64" or ctypes.CFUNCTYPE(ctypes.c_int)(address)() == 42
    else:
        jit = False

    def can(attempt):
        try:
            attempt()
        except OSError:
            return False
        return True

    return {
        "jit": jit,
        "network": can(lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close()),
        "home": can(lambda: pathlib.Path(home).read_text()),
        "tmp": can(lambda: pathlib.Path(tmp).read_text()),
    }


def compute():
    """What ordinary code does: libraries, threads, other programs, files of its own, shared memory, timers."""
    import concurrent.futures
    import hashlib
    import multiprocessing
    import sqlite3
    import tempfile

    done = {}
    try:
        import numpy
    except ImportError:
        numpy = None
    if numpy:
        square = numpy.arange(10_000, dtype=float).reshape(100, 100)
        done["numpy"] = float(numpy.linalg.norm(square @ square)) > 0
    found = []
    threads = [threading.Thread(target=found.append, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done["threads"] = sorted(found) == list(range(8))
    done["subprocess"] = subprocess.run(["/bin/echo", "hello"], capture_output=True, text=True).stdout == "hello\n"
    done["shell"] = subprocess.run("exit 3", shell=True).returncode == 3
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "file")
        path.write_bytes(b"x" * 100_000)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            done["mmap"] = len(hashlib.sha256(mapped).digest()) == 32
        with sqlite3.connect(path.with_name("db")) as db:
            done["sqlite"] = db.execute("select 41 + 1").fetchone() == (42,)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done["executor"] = list(pool.map(abs, [-1, -2])) == [1, 2]
    queue = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=queue.put, args=(42,))
    child.start()
    done["multiprocessing"] = queue.get(timeout=10) == 42
    child.join()
    pair = socket.socketpair()
    done["sockets"] = pair[0].send(b"x") == 1
    done["nice"] = os.nice(1) >= 0
    done["affinity"] = os.sched_setaffinity(0, os.sched_getaffinity(0)) is None
    done["signals"] = signal.setitimer(signal.ITIMER_REAL, 0) == (0.0, 0.0)
    return done


def hold(path):
    """Waits at a FIFO."""
    with open(path) as fifo:
        return fifo.read()


def eat(mebibytes):
    return len(bytearray(mebibytes << 20))

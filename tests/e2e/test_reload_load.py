# SPDX-License-Identifier: MIT
"""Fifty reloads in a row, each of another configuration, while clients call all kinds of things: none of it may fail, and
nothing is left behind. PROCPOOL_RELOADS=n does n of them, an even number."""

import contextlib
import os
import pathlib
import re
import signal
import threading
import time

import conftest
import procpoold
from procpoold import PROBE, PYTHON, descendants, devenv, eventually
from rpc import DEADLINE

ROUNDS = int(os.environ.get("PROCPOOL_RELOADS", "20" if procpoold.sanitized() else "50"))
WARM = 10  # rounds until everything has been allocated that is there again and again
# Of the allocator, not of a leak: what a reload alone leaves in fifty is more.
MEMORY_KIB = 512
CODE = """
import os
def inc(x):
    return x + 1
def version():
    return os.environ["VERSION"]
"""


class Load:
    """Threads that call the daemon until they are told to stop, each with a connection of its own."""

    def __init__(self, server):
        self.server = server
        self.over = threading.Event()
        self.threads = []
        self.counts = {}
        self.errors = []

    def add(self, work, prepare=None):
        def run():
            with contextlib.ExitStack() as stack:
                try:
                    client = stack.enter_context(procpoold.Client(self.server.path))
                    if prepare:
                        prepare(client)
                    while not self.over.is_set():
                        self.counts[work.__name__] = self.counts.get(work.__name__, 0) + 1
                        work(client)
                except BaseException as e:
                    self.errors.append((work.__name__, e))

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert not self.errors, self.errors


def apply_native(client):
    assert client.call("apply", "probe.die_on_negative", [7], {"pool": "native"}) == 7


def apply_python(client):
    assert client.call("apply", "work:inc", [41], {"pool": "python"}) == 42


def apply_anywhere(client):
    """In the pool that has it, of those that come and go."""
    assert client.call("apply", "work:inc", [41]) == 42


def map_both(client):
    native = client.request("map", "probe.die_on_negative", list(range(300)), {"pool": "native"})
    python = client.request("map", "work:inc", list(range(300)), {"pool": "python", "chunksize": 10})
    assert client.response(native) == list(range(300))
    assert client.response(python) == list(range(1, 301))


def submit_async(client):
    jobs = [client.call("apply_async", "probe.die_on_negative", [n], {"pool": "native"}) for n in range(20)]
    for n, job in enumerate(jobs):
        assert client.push("result", lambda params: params[0] == job)[:3] == [job, None, n]


def open_own_pool(client):
    name = client.call("open", {"modules": [PROBE], "workers": 1})["pool"]
    assert client.call("apply", "probe.die_on_negative", [3], {"pool": name}) == 3
    client.call("close", name)
    client.call("join", name)


def watch_all(client):
    """What is pushed comes in order: all that a ping finds before it."""
    client.call("ping")
    client.inbox = [message for message in client.inbox if message[0] != 2]


def subscribe_to_all(client):
    client.call("subscribe", {})
    client.call("subscribe", {"pool": "native"})


class Configuration:
    """The nth of many: in each something changes, and in some all of it."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "work.py").write_text(CODE)

    def pools(self, n):
        native = {"modules": [PROBE], "workers": 2 + n % 2, "environment": [f"VERSION={n // 2}"],
                  "max_tasks": 200 + n}  # fmt: skip
        path = os.pathsep.join([str(self.directory), devenv().get("PYTHONPATH", "")])
        python = {"interpreter": PYTHON, "modules": ["work"], "workers": 2,
                  "environment": [f"VERSION={n // 5}", f"PYTHONPATH={path}"]}  # fmt: skip
        # Two names take turns, so that one is added while the other, or itself, still winds up.
        return {"native": native, "python": python, f"guest-{n // 2 % 2}": native | {"workers": 1}}

    def limits(self, n):
        return {"jobs_page": 100 + n, "retained_seconds": 1}


def private_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)))


def residue(server):
    """What the daemon has, when nothing goes on any more."""
    with procpoold.Client(server.path) as client:
        def calm():
            rows = client.call("pools")
            return len(rows) == 3 and all(row["state"] == "ready" and row["workers"] == row["target"] for row in rows)
        eventually(calm)
        expected = sum(1 + row["workers"] for row in client.call("pools"))
        eventually(lambda: len(descendants(server.pid)) == expected)
        # Kept results go, and their memory is given back.
        eventually(lambda: client.call("stats")["jobs"]["retained"] == 0)
        fds = eventually(lambda: stable(lambda: len(os.listdir(f"/proc/{server.pid}/fd"))))
        return {"descriptors": fds, "memory": private_kib(server.pid)}


def stable(measure, seconds=0.3):
    """A number that stays the same for a while, or None."""
    first, end = measure(), time.monotonic() + seconds
    while time.monotonic() < end:
        if measure() != first:
            return None
        threading.Event().wait(0.02)
    return first


def reload_once(server, client, configuration, n):
    """Another configuration; what waits in a pool that it removes is done all the same."""
    guest = f"guest-{(n - 1) // 2 % 2}"
    jobs = [client.request("map", "probe.die_on_negative", list(range(50)), {"pool": guest}) for _ in range(3)]
    server.configure(configuration.pools(n), configuration.limits(n))
    done = client.call("reload")
    names = set(configuration.pools(n))
    assert set(done["changed"]) | set(done["added"]) <= names and not set(done["removed"]) & names
    assert client.call("apply", "probe.environment", ["VERSION"], {"pool": "native"}) == str(n // 2)
    assert client.call("hello", {})["limits"]["jobs_page"] == 100 + n
    for job in jobs:
        assert client.response(job) == list(range(50))


def test_reloads_in_a_row_under_load_fail_no_call_and_leave_nothing(start, tmp_path):
    signal.alarm(ROUNDS * 2 + conftest.TEST_SECONDS)
    tmp_path.chmod(0o755)
    configuration = Configuration(tmp_path)
    server = start(workers=None, pools=configuration.pools(0), limits=configuration.limits(0), log_level="warning")
    server.await_ready()
    client = server.connect()
    load = Load(server)
    before = None
    for n in range(1, ROUNDS + 1):
        if n in (1, WARM + 1):
            # At the same place in the changes, and with the same clients, as at the end.
            before = residue(server)
            load = Load(server)
            for work in (apply_native, apply_python, apply_anywhere, map_both, submit_async, open_own_pool):
                load.add(work)
            load.add(watch_all, subscribe_to_all)
        reload_once(server, client, configuration, n)
        assert not load.errors, load.errors
        if n in (WARM, ROUNDS):
            load.stop()
            assert min(load.counts.values()) > 0
    after = residue(server)
    assert client.call("apply", "work:version", [], {"pool": "python"}) == str(ROUNDS // 5)
    jobs = client.call("stats")["jobs"]
    assert jobs["accepted"] == jobs["done"] and jobs["waiting"] == jobs["running"] == 0, jobs
    print(before, after, load.counts)
    assert after["descriptors"] == before["descriptors"]
    if not procpoold.sanitized() and not os.environ.get("PROCPOOL_TEST_VALGRIND"):
        assert after["memory"] <= before["memory"] + MEMORY_KIB
    assert server.stderr() == ""

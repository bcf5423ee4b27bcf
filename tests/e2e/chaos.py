#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Chaos: several clients with mixed load, while workers, spawners and clients die, hang and are stopped.

Every accepted job is accounted for exactly once: each request has one response, each job of apply_async and
map_async one `result`, each element of a stream comes once, a cancel that says that it ended a job is what
its submitter is told, no task begins more often than its caller allowed. In the end nothing is left over:
no job, no worker too few, no descriptor, no memory.

    PROCPOOL_BUILD=build /usr/bin/python3 tests/e2e/chaos.py --seconds 600 --seed 7

Signals go only to descendants of the daemon that this program started, through pidfds.
"""

import argparse
import collections
import contextlib
import multiprocessing
import os
import pathlib
import random
import select
import signal
import sys
import threading
import time

import procpoold
from rpc import Client, Closed, pack

WORKERS = 8
CUSTOMERS = 4
OUTSTANDING = 48  # operations of a customer under way at once
LIVES = (0.3, 3.0)  # seconds that a customer keeps a connection
KILLS_PER_SECOND = 50
DRAIN_SECONDS = 60
RETAINED_SECONDS = 20
STOP_SECONDS = 0.2
MEMORY_GROWTH_KIB = 3072

# The sanitizers' runtime takes SIGSEGV for a mistake of the worker's.
CRASH = signal.SIGABRT if procpoold.BUILD and procpoold.sanitized() else signal.SIGSEGV

LIMITS = {"retained_seconds": RETAINED_SECONDS}


def pools(version, max_tasks):
    """The configuration: of each version the processes are others, and are replaced after so many tasks."""
    return {"default": {"modules": ["demo", procpoold.PROBE], "stop_seconds": STOP_SECONDS,
                        "environment": [f"VERSION={version}"], "max_tasks": max_tasks}}  # fmt: skip


LOST = {"worker-lost"}  # what may become of any task while workers are killed
NEVER = object()  # expected of what cannot return


class Violation(Exception):
    """The daemon broke a promise."""


class Operation:
    """One job: what was asked, what may become of it, and what has."""

    def __init__(self, method, function, args, options=None, expected=None, errors=(), marks=(), retries=0):
        self.method, self.function, self.args, self.options = method, function, args, options or {}
        self.expected = expected  # the value, or a function that checks it
        self.errors = LOST | set(errors)
        self.marks, self.retries = list(marks), retries
        self.job = None
        self.outcome = None  # ("ok" or a code), once
        self.items = {}  # of a stream: what came of each element
        self.cancels = []  # what cancels answered: True, False, None (no such job) or "unknown"
        self.cancelling = 0

    @property
    def asynchronous(self):
        return self.method.endswith("_async")

    @property
    def collects(self):
        return self.options.get("errors") == "collect"

    def end(self, error, value):
        if self.outcome is not None:
            raise Violation(f"two outcomes of {self}: {self.outcome}, then {error or value!r}")
        self.outcome = error["code"] if error else "ok"
        if error:
            allowed = self.errors | ({"cancelled"} if self.cancelling else set())
            if error["code"] not in allowed:
                raise Violation(f"{self} ended with {error}")
        elif self.options.get("stream"):
            if value != len(self.args) or len(self.items) != len(self.args):
                raise Violation(f"{self} streamed {len(self.items)} elements and ended with {value!r}")
        elif self.collects:
            self.check_pairs(0, value, len(self.args))
        elif value != self.expected:
            raise Violation(f"{self} returned {value!r}, not {self.expected!r}")

    def check_pairs(self, first, pairs, count):
        if len(pairs) != count:
            raise Violation(f"{self} returned {len(pairs)} of {count} pairs")
        for index, (error, _) in enumerate(pairs, first):
            if error is not None and (error["code"] not in self.errors or error["index"] != index):
                raise Violation(f"element {index} of {self} ended with {error}")
            if index in self.items:
                raise Violation(f"element {index} of {self} came twice")
            self.items[index] = error is None

    def certain_marks(self):
        """The marks that must be there: of the tasks that returned a value."""
        if self.collects:
            return [mark for index, mark in enumerate(self.marks) if self.items.get(index)]
        return self.marks if self.outcome == "ok" else []

    def settled(self):
        """After all answers: whether cancels said what then happened."""
        if "unknown" in (self.outcome, *self.cancels):
            return
        if True in self.cancels and self.outcome != "cancelled":
            raise Violation(f"a cancel ended {self}, which then ended with {self.outcome}")
        if self.outcome == "cancelled" and True not in self.cancels:
            raise Violation(f"{self} was cancelled, and no cancel says so: {self.cancels}")

    def __repr__(self):
        return f"{self.method} {self.function} {self.options} (job {self.job})"


class Repertoire:
    """Makes operations at random. Tasks leave marks, each with a name of its own."""

    def __init__(self, rng, marks, name):
        self.rng, self.path, self.name, self.count = rng, str(marks), name, 0

    def mark(self):
        self.count += 1
        return f"{self.name}.{self.count}"

    def make(self):
        kinds = [self.inc, self.one, self.one, self.crash, self.hang, self.slow, self.many, self.many, self.stream,
                 self.stubborn, self.hurried]
        operation = self.rng.choice(kinds)()
        if self.rng.random() < 0.3:
            operation.options["priority"] = self.rng.randint(-2, 2)
        return operation

    def either(self):
        return self.rng.choice(("apply", "apply_async"))

    def inc(self):
        n = self.rng.randrange(1 << 40)
        return Operation(self.either(), "demo.inc", [n], expected=n + 1)

    def one(self):
        mark, options = self.mark(), {}
        method = self.either()
        if method == "apply_async" and self.rng.random() < 0.3:
            options["detach"] = True
        return Operation(method, "probe.mark", [self.path, mark], options, marks=[mark])

    def crash(self):
        mark = self.mark()
        return Operation(self.either(), "probe.mark_and_die", [self.path, mark, True], expected=NEVER, marks=[mark])

    def hang(self):
        """Obeys a request to stop, or not; its own end is far away."""
        mark, obeys = self.mark(), self.rng.random() < 0.5
        options = {"timeout": self.rng.uniform(0.02, 0.3)}
        return Operation(self.either(), "probe.mark_and_sleep", [self.path, mark, 600, obeys], options,
                         expected=NEVER, errors=["timeout"], marks=[mark])

    def slow(self):
        mark = self.mark()
        return Operation(self.either(), "probe.mark_and_sleep", [self.path, mark, self.rng.uniform(0, 0.03), True],
                         marks=[mark])

    def stubborn(self):
        mark, retries = self.mark(), self.rng.randint(1, 3)
        return Operation(self.either(), "probe.mark", [self.path, mark], {"retries": retries}, marks=[mark],
                         retries=retries)

    def hurried(self):
        mark = self.mark()
        return Operation(self.either(), "probe.mark", [self.path, mark], {"expires": self.rng.uniform(0, 0.05)},
                         errors=["expired"], marks=[mark])

    def batch(self):
        marks = [self.mark() for _ in range(self.rng.randint(1, 40))]
        options = {"star": True}
        if self.rng.random() < 0.3:
            options["chunksize"] = self.rng.randint(1, 20)
        return marks, [[self.path, mark] for mark in marks], options

    def many(self):
        marks, items, options = self.batch()
        if self.rng.random() < 0.7:
            options["errors"] = "collect"
        return Operation(self.rng.choice(("map", "map_async")), "probe.mark", items, options,
                         expected=[None] * len(items), marks=marks)

    def stream(self):
        marks, items, options = self.batch()
        options |= {"errors": "collect", "stream": self.rng.choice((True, "values"))}
        return Operation("map_async", "probe.mark", items, options, marks=marks)


class Thread(threading.Thread):
    """Keeps what went wrong for the main thread."""

    def __init__(self, chaos):
        super().__init__(daemon=True)
        self.chaos = chaos
        self.problem = None

    def run(self):
        try:
            self.work()
        except BaseException as e:
            self.problem = e
            self.chaos.over.set()

    def join_well(self):
        self.join()
        if self.problem:
            raise self.problem


class Customer(Thread):
    """A client after the other, each with many operations under way; some die in the middle of them."""

    def __init__(self, chaos, number):
        super().__init__(chaos)
        self.rng = random.Random(f"{chaos.seed} customer {number}")
        self.marks = chaos.directory / f"marks-{number}"
        self.marks.touch()
        self.repertoire = Repertoire(self.rng, self.marks, number)
        self.ended = []

    def work(self):
        while not self.chaos.over.is_set():
            self.live(self.rng.random() < 0.3)

    def live(self, dies):
        with Client(self.chaos.daemon.path) as client:
            self.client = client
            self.by_msgid, self.by_job, self.cancels = {}, {}, {}
            end = time.monotonic() + self.rng.uniform(*LIVES)
            while time.monotonic() < end and not self.chaos.over.is_set():
                while len(self.by_msgid) + len(self.by_job) < OUTSTANDING:
                    self.begin()
                self.pump(0.05)
            if dies:
                self.leave_behind()
            else:
                self.drain()

    def begin(self):
        operation = self.repertoire.make()
        msgid = self.client.request(operation.method, operation.function, operation.args, operation.options)
        self.by_msgid[msgid] = operation
        self.ended.append(operation)
        if self.rng.random() < 0.05:
            self.cancel()

    def cancel(self):
        """Something that is under way, by either name."""
        if self.by_job and self.rng.random() < 0.5:
            operation = self.rng.choice(list(self.by_job.values()))
            what = operation.job
        else:
            what, operation = self.rng.choice(list(self.by_msgid.items()))
            if operation.asynchronous:
                return
            what = {"request": what}
        operation.cancelling += 1
        self.cancels[self.client.request("cancel", what)] = operation

    def pump(self, seconds):
        if not self.client.inbox:  # what came while a request was sent waits there
            if not select.select([self.client.sock], [], [], seconds)[0]:
                return
            self.client._read()
        messages, self.client.inbox = self.client.inbox, []
        for message in messages:
            if message[0] == 1:
                self.on_response(*message[1:])
            else:
                self.on_push(message[1], message[2])

    def on_response(self, msgid, error, result):
        if msgid in self.cancels:
            operation = self.cancels.pop(msgid)
            if error and error["code"] != "no-such-job":
                raise Violation(f"cancel of {operation}: {error}")
            operation.cancels.append(None if error else result["cancelled"])
            operation.cancelling -= operation.cancels[-1] is not True
            return
        operation = self.by_msgid.pop(msgid, None)
        if operation is None:
            raise Violation(f"a response that nobody waits for: {msgid} {error or result!r}")
        if operation.asynchronous and error is None:
            operation.job = result
            self.by_job[result] = operation
        else:
            operation.end(error, result)

    def on_push(self, name, params):
        if name not in ("result", "items", "values") or params[0] not in self.by_job:
            raise Violation(f"a push that nobody waits for: {name} {params!r}")
        operation = self.by_job[params[0]]
        if name == "items":
            operation.check_pairs(params[1], params[2], len(params[2]))
        elif name == "values":
            operation.check_pairs(params[1], [(None, value) for value in params[2]], len(params[2]))
        else:
            del self.by_job[params[0]]
            operation.end(params[1], params[2])

    def leave_behind(self):
        """Dies. Of what was detached somebody else asks the outcome."""
        for operation in self.by_job.values():
            if operation.options.get("detach"):
                self.chaos.collector.collect(operation)
            else:
                operation.outcome = "unknown"
        for operation in self.by_msgid.values():
            operation.outcome = "unknown"
        for operation in self.cancels.values():
            operation.cancels.append("unknown")

    def drain(self):
        end = time.monotonic() + DRAIN_SECONDS
        while self.by_msgid or self.by_job or self.cancels:
            if time.monotonic() > end:
                left = [*self.by_msgid.values(), *self.by_job.values(), *self.cancels.values()]
                raise Violation(f"{len(left)} operations do not end: {left[:5]}")
            self.pump(0.5)


class Collector(Thread):
    """Waits for the detached jobs of customers that have died."""

    def __init__(self, chaos):
        super().__init__(chaos)
        self.client = Client(chaos.daemon.path)
        self.lock = threading.Lock()
        self.waiting = {}
        self.count = 0
        self.closed = False

    def collect(self, operation):
        with self.lock:
            self.count += 1
            self.waiting[self.count] = operation
            self.client.sock.sendall(pack([0, self.count, "wait", [operation.job]]))

    def work(self):
        end = None
        while self.waiting or not self.closed:
            if self.closed:
                end = end or time.monotonic() + DRAIN_SECONDS
                if time.monotonic() > end:
                    raise Violation(f"detached jobs do not end: {list(self.waiting.values())[:5]}")
            if not select.select([self.client.sock], [], [], 0.1)[0]:
                continue
            self.client._read()
            while self.client.inbox:
                _, msgid, error, result = self.client.inbox.pop(0)
                with self.lock:
                    operation = self.waiting.pop(msgid)
                operation.end(error, result)


class Vandal(multiprocessing.Process):
    """Kills and stops workers, now and then a spawner; has the pool recycled, configured, paused and scaled. A process,
    because a thread would wait for the customers' interpreter lock between two kills."""

    def __init__(self, chaos):
        super().__init__(daemon=True)
        self.chaos = chaos
        self.over = multiprocessing.Event()
        self.reader, self.writer = multiprocessing.Pipe(duplex=False)
        self.rng = random.Random(f"{chaos.seed} vandal")
        self.done = collections.Counter()
        self.spared = {}  # stopped ones: the daemon is to find them itself

    def run(self):
        next_kill, next_spawner, next_order = time.monotonic(), time.monotonic() + 4, time.monotonic() + 2
        with Client(self.chaos.daemon.path) as client:
            while not self.over.wait(max(0, next_kill - time.monotonic())):
                next_kill += 1 / KILLS_PER_SECOND
                self.hit_a_worker()
                if time.monotonic() > next_spawner:
                    next_spawner += self.rng.uniform(3, 8)
                    self.hit_a_spawner()
                if time.monotonic() > next_order:
                    next_order += self.rng.uniform(1, 3)
                    self.order(client)
            for name, params in (("resume", ["default"]), ("scale", ["default", WORKERS])):
                client.call(name, *params)
        self.writer.send(self.done)

    def stop(self):
        """Has it put everything in order again. Returns what it has done."""
        self.over.set()
        if not self.reader.poll(DRAIN_SECONDS):
            raise Violation("the daemon does not answer who administers it")
        self.join()
        return self.reader.recv()

    def hit(self, parent, pid, number):
        """Only if it is still what it was found to be, a descendant of our daemon."""
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                if pid in procpoold.children(parent):
                    signal.pidfd_send_signal(fd, number)
                    self.done[signal.Signals(number).name] += 1
            finally:
                os.close(fd)

    def hit_a_worker(self):
        now = time.monotonic()
        self.spared = {pid: until for pid, until in self.spared.items() if until > now}
        spawners = procpoold.children(self.chaos.daemon.pid)
        workers = [(parent, pid) for parent in spawners for pid in procpoold.children(parent) if pid not in self.spared]
        if not workers:
            return
        parent, pid = self.rng.choice(sorted(workers))
        number = self.rng.choices((signal.SIGKILL, CRASH, signal.SIGSTOP), (70, 27, 3))[0]
        if number == signal.SIGSTOP:
            self.spared[pid] = now + 10
        self.hit(parent, pid, number)

    def hit_a_spawner(self):
        spawners = sorted(procpoold.children(self.chaos.daemon.pid))
        if spawners:
            self.hit(self.chaos.daemon.pid, self.rng.choice(spawners), signal.SIGKILL)
            self.done["spawners"] += 1

    def order(self, client):
        name = self.rng.choice(("recycle", "reload", "pause", "scale"))
        self.done[name] += 1
        if name == "recycle":
            client.request("recycle", "default")  # how it ends is another test's question
        elif name == "reload":
            self.chaos.daemon.configure(pools(self.rng.randrange(1, 5), self.rng.randrange(1000, 5000)), LIMITS)
            client.request("reload")
        elif name == "pause":
            client.call("pause", "default")
            self.over.wait(0.05)
            client.call("resume", "default")
        else:
            client.call("scale", "default", self.rng.randint(WORKERS - 2, WORKERS + 2))
        client.inbox.clear()


class Chaos:
    def __init__(self, seconds, seed, directory, build_is_plain):
        self.seconds, self.seed, self.directory, self.plain = seconds, seed, pathlib.Path(directory), build_is_plain
        self.over = threading.Event()
        self.daemon = procpoold.Daemon(
            workers=WORKERS, log_level="error", limits=LIMITS, pools=pools(0, 1000000)).await_ready()

    def round(self, seconds):
        """Customers and a vandal for so long. Returns all operations."""
        self.over.clear()
        self.collector = Collector(self)
        threads = [Customer(self, f"{len(list(self.directory.iterdir()))}{chr(97 + n)}") for n in range(CUSTOMERS)]
        vandal = Vandal(self)
        for thread in [vandal, self.collector, *threads]:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        self.done = vandal.stop()
        for thread in threads:
            thread.join_well()
        self.collector.closed = True
        self.collector.join_well()
        self.collector.client.close()
        return threads

    def check_marks(self, customer):
        seen = collections.Counter(customer.marks.read_text().split())
        for operation in customer.ended:
            operation.settled()
            for mark in operation.marks:
                if seen[mark] > 1 + operation.retries:
                    raise Violation(f"a task of {operation} began {seen[mark]} times")
            for mark in operation.certain_marks():
                if seen[mark] == 0:
                    raise Violation(f"a task of {operation} returned a value and never began")

    def rest(self, most_kib=None):
        """Waits until nothing is under way or kept and the pool is whole; descriptors and memory then."""
        self.daemon.await_workers(WORKERS)
        with Client(self.daemon.path) as client:
            def forgotten():
                jobs = client.call("stats")["jobs"]
                return jobs["waiting"] == jobs["running"] == jobs["retained"] == 0 and jobs
            jobs = procpoold.eventually(forgotten, RETAINED_SECONDS + 20)
            if jobs["accepted"] != jobs["done"] + jobs["failed"] + jobs["cancelled"]:
                raise Violation(f"jobs were lost: {jobs}")
            [pool] = client.call("pools")
            if pool["waiting"] or pool["running"]:
                raise Violation(f"tasks are left over: {pool}")
        return self.settled_descriptors(), self.settled_memory(most_kib)

    def descriptors(self):
        links = []
        for fd in os.listdir(f"/proc/{self.daemon.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{self.daemon.pid}/fd/{fd}").split(":")[0])
        return collections.Counter(links)

    def settled_descriptors(self):
        """What is open once nothing has changed for two seconds: a recycle or reload may still be under way."""
        last, since = self.descriptors(), time.monotonic()

        def settled():
            nonlocal last, since
            now = self.descriptors()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 2

        procpoold.eventually(settled)
        return last

    def settled_memory(self, most=None):
        """What the daemon keeps once it had a pause to give memory back in: at most so much, if it is."""
        with contextlib.suppress(AssertionError):
            procpoold.eventually(lambda: most and self.private_kib() <= most, timeout=5)
        return self.private_kib()

    def private_kib(self):
        lines = pathlib.Path(f"/proc/{self.daemon.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

    def run(self):
        """A short round before, so that what is compared has seen load. Prints what happened."""
        for customer in self.round(min(5, self.seconds)):
            self.check_marks(customer)
        before = self.rest()
        customers = self.round(self.seconds)
        for customer in customers:
            self.check_marks(customer)
        after = self.rest(before[1] + MEMORY_GROWTH_KIB)
        outcomes = collections.Counter()
        for customer in customers:
            outcomes.update((o.method, o.outcome) for o in customer.ended)
        self.report(outcomes, before, after)
        if after[0] - before[0]:
            raise Violation(f"descriptors before {before[0]}, after {after[0]}")
        if self.plain and after[1] > before[1] + MEMORY_GROWTH_KIB:
            raise Violation(f"private memory before {before[1]} KiB, after {after[1]} KiB")
        if sum(count for (_, outcome), count in outcomes.items() if outcome == "ok") < 10 * self.seconds:
            raise Violation("hardly anything succeeded")

    def report(self, outcomes, before, after):
        print(f"seed {self.seed}, {self.seconds} s, {sum(outcomes.values())} jobs; done to it: {dict(self.done)}")
        for method in sorted({method for method, _ in outcomes}):
            each = {outcome: n for (m, outcome), n in sorted(outcomes.items()) if m == method}
            print(f"  {method}: " + ", ".join(f"{n} {outcome}" for outcome, n in each.items()))
        print(f"  private memory {before[1]} KiB before, {after[1]} KiB after; descriptors {sum(after[0].values())}", flush=True)


def run(seconds, seed, directory):
    """Raises Violation where a promise was broken."""
    chaos = Chaos(seconds, seed, directory, not procpoold.sanitized())
    try:
        chaos.run()
    finally:
        chaos.over.set()
        chaos.daemon.finish()


def main():
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", default=None, help="repeats the choices of an earlier run, not its timing")
    arguments = parser.parse_args()
    if not procpoold.BUILD:
        parser.error("set PROCPOOL_BUILD to the build directory")
    seed = arguments.seed or str(random.randrange(1 << 32))
    with tempfile.TemporaryDirectory(prefix="procpool-chaos-") as directory:
        run(arguments.seconds, seed, directory)


if __name__ == "__main__":
    sys.exit(main())

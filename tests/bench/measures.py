# SPDX-License-Identifier: MIT
"""What is measured. Each measure is a function that takes a Bench and yields Rows for the report."""

import contextlib
import dataclasses
import io
import os
import pathlib
import statistics
import tempfile
import time

import procpoold
import rpc
from process import Driven, Usage, family, pin, private_kib

HERE = pathlib.Path(__file__).parent
LARGE_BYTES = 64 << 20
WINDOW = 1024
SLOW = procpoold.BUILD + "/tests/bench/slow.so"  # takes 2 s to load


@dataclasses.dataclass
class Row:
    name: str
    value: float  # what the target is about
    target: str  # such as "<= 1.6", or "" for what is only told
    text: str  # how value came about
    data: dict = dataclasses.field(default_factory=dict)

    def met(self):
        if not self.target:
            return None
        sign, bound = self.target.split()[:2]
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)


class Bench:
    """A daemon with two workers, its clients, and the peers it is compared with."""

    def __init__(self, build, quick):
        self.build = pathlib.Path(build)
        self.quick = quick
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.daemon = self.start_daemon()
        self.client = self.start_client(self.daemon)
        self.client.ask("apply", 100)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start_daemon(self, workers=2, **options):
        daemon = procpoold.Daemon(workers=workers, log_level="warning", **options)
        self.stack.callback(self.finish_daemon, daemon)
        daemon.await_ready()
        daemon.await_workers(workers)
        return daemon

    @staticmethod
    def finish_daemon(daemon):
        with contextlib.redirect_stdout(io.StringIO()):
            daemon.finish()

    def start(self, command, env=None):
        driven = Driven(command, env)
        self.stack.callback(driven.close)
        return driven

    def start_client(self, daemon):
        return self.start([self.build / "tests/bench/bench-client"], {"PROCPOOL_SOCKET": str(daemon.path)})

    def start_floor(self):
        floor = self.start([self.build / "tests/bench/bench-floor"])
        floor.ask("apply", 100)  # relay and worker exist when it answers
        return floor

    def start_peer(self):
        return self.start(["/usr/bin/python3", HERE / "python_pool.py", "multiprocessing"])

    def usage(self, client):
        """From now on, of the client, the daemon and its workers (with their spawner)."""
        return Usage({"client": [client.pid], "daemon": [self.daemon.pid],
                      "workers": procpoold.descendants(self.daemon.pid)})

    def choose(self, full, quick):
        return quick if self.quick else full


def median_of(results, key):
    return statistics.median(result[key] for result in results)


def interleave(repeats, *sides):
    """Runs the sides in turn, so many times: whatever else happens on the machine meets all alike."""
    results = [[] for _ in sides]
    for _ in range(repeats):
        for side, found in zip(sides, results):
            found.append(side())
    return results


def with_usage(bench, client, count, *words):
    """Runs a command of the client; adds CPU time and sleeps per element, by process."""
    usage = bench.usage(client)
    result = client.ask(*words)
    result["each"] = {name: {key: value / count for key, value in used.items()} for name, used in usage.since().items()}
    return result


def each_text(results):
    """Where the CPU time of an element went."""
    return ", ".join(
        f"{name} {statistics.median(r['each'][name]['cpu_us'] for r in results):.3g}" for name in results[0]["each"])


# 1. Round trips
#
# Unpinned, a round trip has two speeds, for the floor as for procpool: 25 us while the kernel keeps all
# processes on one core, twice that while it spreads them. It changes its mind every second or so, so
# many short turns are compared. Pinned to one core, only the work itself is left.

def round_trip(bench):
    floor, client = bench.start_floor(), bench.client
    everyone = family(floor.pid) | {client.pid} | family(bench.daemon.pid)
    cores = os.sched_getaffinity(0)
    yield measure_round_trip(bench, floor, "round trip of apply / floor", "<= 1.6")
    pin(everyone, {max(cores)})
    yield measure_round_trip(bench, floor, "the same, all on one core", "")
    pin(everyone, cores)
    floor.close()


def measure_round_trip(bench, floor, name, target):
    client, count = bench.client, bench.choose(750, 500)
    floors, ours = interleave(
        bench.choose(50, 15), lambda: floor.ask("apply", count),
        lambda: with_usage(bench, client, count, "apply", count))
    a, b = median_of(floors, "median_us"), median_of(ours, "median_us")
    text = (f"{b:.1f} us / {a:.1f} us; p99 {median_of(ours, 'p99_us'):.0f} / {median_of(floors, 'p99_us'):.0f}; "
            f"CPU us: {each_text(ours)}")
    return Row(name, b / a, target, text, {"floor": floors, "procpool": ours})


# 2 and 3. Against multiprocessing.Pool

def against_pool(bench):
    peer, client = bench.start_peer(), bench.client
    count = bench.choose(100000, 20000)
    client.ask("flight", count // 10, WINDOW)
    pools, ours = interleave(
        bench.choose(5, 3), lambda: peer.ask("flight", count),
        lambda: with_usage(bench, client, count, "flight", count, WINDOW))
    yield compare(f"{count:,} apply, {WINDOW:,} in flight / Pool.apply_async", ">= 10", pools, ours)

    count = 1000000
    peer.ask("map", count)
    client.ask("map", count)
    pools, ours = interleave(
        bench.choose(15, 5), lambda: peer.ask("map", count),
        lambda: with_usage(bench, client, count, "map", count))
    yield compare(f"map of {count:,} integers / Pool.map", ">= 2", pools, ours)
    peer.close()


def compare(name, target, pools, ours):
    a, b = median_of(pools, "per_second"), median_of(ours, "per_second")
    text = f"{b:,.0f}/s / {a:,.0f}/s; CPU us: {each_text(ours)}"
    return Row(name, b / a, target, text, {"pool": pools, "procpool": ours})


# 4. Others' load

def large_arguments(bench):
    yield beside(bench, "p99 of apply beside 64 MiB arguments, ms", "<= 10", ("len", LARGE_BYTES),
                 lambda load: f"{load['count']} calls of {load['median_us'] / 1e3:.0f} ms")


def large_maps(bench):
    yield beside(bench, "p99 of apply beside maps of 1,000,000, ms", "", ("maps", 1000000),
                 lambda load: f"{load['count']} maps of {load['median_us'] / 1e3:.0f} ms")


def long_maps(bench):
    yield beside(bench, "p99 of apply beside a map of 1,000,000 x 100 us, ms", "<= 20", ("spins", 1000000),
                 lambda load: f"{load['count']} map, given up after {load['median_us'] / 1e6:.0f} s")


def beside(bench, name, target, load, describe):
    other, seconds = bench.start_client(bench.daemon), bench.choose(3, 2)

    def loaded():
        other.send(*load, seconds)
        result = bench.client.ask("during", 0, seconds)
        result["load"] = other.receive()
        return result

    quiet, loaded_results = interleave(
        bench.choose(3, 1), lambda: bench.client.ask("during", 0, 1), loaded)
    other.close()
    p99 = median_of(loaded_results, "p99_us") / 1e3
    text = (f"median {median_of(loaded_results, 'median_us') / 1e3:.2f}, "
            f"max {max(r['max_us'] for r in loaded_results) / 1e3:.1f}, "
            f"without load p99 {median_of(quiet, 'p99_us') / 1e3:.2f}; {describe(loaded_results[-1]['load'])}")
    return Row(name, p99, target, text, {"quiet": quiet, "loaded": loaded_results})


# 5. Nothing to do

def idle(bench):
    daemon = bench.start_daemon()
    client = bench.start_client(daemon)
    client.ask("apply", 100)
    yield from measure_idle(daemon, "", bench.choose(10, 4), ("<= 0", "<= 4"))
    client.close()


def idle_after_load(bench):
    if not bench.quick:
        yield from measure_idle(bench.daemon, " after all this", 10, ("", ""))


def measure_idle(daemon, when, seconds, targets):
    time.sleep(1)  # what an apply leaves behind may end first
    usage = Usage({"daemon": [daemon.pid], "workers": procpoold.descendants(daemon.pid)})
    time.sleep(seconds)
    used = usage.since()
    wakeups = used["daemon"]["waits"] + used["daemon"]["preemptions"]
    yield Row(f"wake-ups of an idle daemon{when}", wakeups, targets[0],
              f"in {seconds} s; its workers and spawner: {used['workers']['waits']}", used)
    pids = {pid: private_kib(pid) for pid in sorted(family(daemon.pid))}
    yield Row(f"private memory of an idle daemon{when}, MiB", pids[daemon.pid] / 1024, targets[1],
              "its spawner and workers: " + ", ".join(f"{kib / 1024:.2f}" for pid, kib in pids.items() if pid != daemon.pid),
              {"private_kib": list(pids.values())})


# 6. Tasks that wait

def waiting_tasks(bench):
    count, text = bench.choose(100000, 20000), "x" * 15
    arguments = len(rpc.pack([text]))
    for method in ("apply", "apply_async"):
        requests = b"".join(rpc.pack([0, i, method, ["demo.len", [text]]]) for i in range(count))
        cost = cost_of_waiting(bench.start_daemon(workers=1, modules=["demo", procpoold.PROBE]), requests) / count
        yield Row(f"bytes of a waiting {method} beyond its arguments", cost - arguments, "<= 400",
                  f"{count:,} of them, {arguments} bytes of arguments each")


def cost_of_waiting(daemon, requests):
    """Bytes by which the daemon is larger while its only worker is held."""
    with tempfile.TemporaryDirectory() as directory:
        gate, client = procpoold.Gate(directory), daemon.connect()
        client.request("apply", "probe.hold", [gate.path])
        gate.await_held()
        before = private_kib(daemon.pid)
        client.send(requests)
        client.call("ping")
        after = private_kib(daemon.pid)
        client.close()
        gate.release()
    return (after - before) * 1024


# 7. Accidents

def killed_workers(bench):
    yield killed(bench, bench.client, "kill -9 of both workers to the next answer, ms", "")
    for name, target, modules in (("the only worker", "<= 5", ["demo"]),
                                  ("the only worker of a pool that loads for 2 s", "<= 20", ["demo", SLOW])):
        client = bench.start_client(bench.start_daemon(workers=1, modules=modules))
        yield killed(bench, client, f"kill -9 of {name} to the next answer, ms", target)
        client.close()


def killed(bench, client, name, target):
    result = client.ask("kill", bench.choose(20, 5))
    return Row(name, result["median_us"] / 1e3, target, f"max {result['max_us'] / 1e3:.1f} of {result['count']}", result)


ALL = [round_trip, against_pool, large_arguments, large_maps, long_maps, waiting_tasks, killed_workers, idle,
       idle_after_load]

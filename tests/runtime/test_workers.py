# SPDX-License-Identifier: MIT
"""Spawner and workers as processes, and the page they share with the daemon."""

import os
import random
import resource
import signal
import socket
import time

import msgpack
import pytest

from driver import (DEADLINE, FORK, KILL, RESULT, TASK, TEST_MODULES, Spawner, Worker, wait_until)

UNUSED_UID = 64321
VALUES = os.path.join(TEST_MODULES, "values.so")


@pytest.fixture
def spawner():
    spawner = Spawner(["demo", VALUES])
    spawner.ready()
    yield spawner
    if spawner.process.poll() is None:
        spawner.close()


def is_alive(pid):
    """Whether it runs; one that its parent has yet to reap does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_hello_says_what_the_runtime_can(spawner):
    assert spawner.hello["protocol"] == 1
    assert spawner.hello["runtime"] == "native"
    assert spawner.hello["stop"] is True
    assert spawner.hello["fork"] is True and spawner.hello["page"] is True and spawner.hello["output"] is True


def test_worker_is_a_process_of_its_own(spawner):
    spawner.fork().ready()
    worker = spawner.fork().ready()
    assert os.getsid(worker.pid) == worker.pid
    assert os.readlink(f"/proc/{worker.pid}/fd/0") == "/dev/null"
    assert {int(fd) for fd in os.listdir(f"/proc/{worker.pid}/fd")} == {0, 1, 2, 3}
    with open(f"/proc/{worker.pid}/status") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    assert int(fields["SigBlk"], 16) == 0 and int(fields["SigIgn"], 16) == 0
    assert int(fields["SigCgt"], 16) == 0


def test_worker_prints_to_what_came_with_the_fork(spawner):
    """And everything that a task has printed is there when it is answered."""
    output, error = os.pipe(), os.pipe()
    worker = spawner.fork(outputs=[output[1], error[1]]).ready()
    os.close(output[1]), os.close(error[1])
    assert {int(fd) for fd in os.listdir(f"/proc/{worker.pid}/fd")} == {0, 1, 2, 3}
    for i in range(100):
        worker.apply("values.say", f"{i} without an end", "complain")
        assert os.read(output[0], 100) == b"%d without an end" % i
        assert os.read(error[0], 100) == b"complain"
    worker.end()
    assert os.read(output[0], 100) == os.read(error[0], 100) == b""


def test_spawner_keeps_no_descriptor_of_its_workers(spawner):
    def count():
        return len(os.listdir(f"/proc/{spawner.process.pid}/fd"))

    spawner.fork().ready()
    before = count()
    workers = [spawner.fork().ready() for _ in range(5)]
    assert count() == before
    for worker in workers:
        assert worker.end()["exit_status"] == 0
    assert count() == before


def test_fork_messages_in_one_write_get_their_own_descriptors(spawner):
    """Three requests wait in the socket together, each with the descriptors that came with it."""
    os.kill(spawner.process.pid, signal.SIGSTOP)
    pairs = [socket.socketpair() for _ in range(3)]
    for number, (_, theirs) in enumerate(pairs, 1):
        spawner.send([KILL, 99, 9])
        spawner.send([FORK, number], [theirs.fileno()])
        theirs.close()
    os.kill(spawner.process.pid, signal.SIGCONT)
    pids = [spawner.expect_forked(number) for number in (1, 2, 3)]
    for pid, (ours, _) in zip(pids, pairs):
        ours.settimeout(DEADLINE)
        assert ours.recv(2, socket.MSG_WAITALL) == bytes([0x91, 17])
        ours.sendall(bytes([0x96, TASK, 1, 0, 0xA8]) + b"demo.pid" + bytes([0xC3, 0x91, 0x90]))
        answer = ours.recv(100)
        assert answer.endswith(pid.to_bytes(2, "big")) or answer.endswith(pid.to_bytes(4, "big"))


def test_kill_and_exit_are_told_with_what_the_worker_used(spawner):
    worker = spawner.fork().ready()
    worker.apply("demo.spin", 30)
    spawner.send([KILL, worker.number, int(signal.SIGTERM)])
    ended = worker.exited()
    assert ended["signal"] == signal.SIGTERM
    assert ended["user_us"] + ended["system_us"] > 0 and ended["max_rss_kib"] > 100
    spawner.send([KILL, worker.number, int(signal.SIGTERM)])  # reaped already: does nothing
    assert spawner.fork().ready().apply("demo.inc", 1) == 2


def test_failing_fork_is_told_and_costs_nothing_else():
    if os.geteuid() != 0:
        pytest.skip("needs root, to be a user without other processes")
    # A sanitizer would want to fork at the end.
    spawner = Spawner(user=UNUSED_UID, limits=[(resource.RLIMIT_NPROC, (1, 1))],
                      environment={"ASAN_OPTIONS": "detect_leaks=0"})
    spawner.ready()
    for number in (1, 2):
        ours, theirs = socket.socketpair()
        spawner.send([FORK, number], [theirs.fileno()])
        theirs.close()
        assert spawner.expect_exited(number)["exit_status"] == 127
        assert spawner.logs[-1][0] == "error" and f"cannot fork worker {number}" in spawner.logs[-1][1]
        ours.settimeout(DEADLINE)
        assert ours.recv(1) == b""
    assert spawner.close() == 0


def test_workers_die_with_a_spawner_that_is_killed(spawner):
    workers = [spawner.fork().ready() for _ in range(3)]
    workers[0].task("demo.sleep", [1000])
    spawner.process.kill()
    spawner.process.wait()
    wait_until(lambda: not any(is_alive(worker.pid) for worker in workers))


def test_workers_are_gone_before_a_spawner_whose_channel_ended(spawner):
    workers = [spawner.fork().ready() for _ in range(3)]
    workers[0].task("demo.sleep", [1000])
    assert spawner.close() == 0
    assert not any(is_alive(worker.pid) for worker in workers)


def test_worker_finishes_what_was_sent_before_its_channel_ended(spawner):
    worker = spawner.fork().ready()
    first, second = worker.task("demo.inc", [1, 2]), worker.task("demo.sleep", [0.01])
    worker.sock.shutdown(socket.SHUT_WR)
    assert worker.answers(first, 2) == [("ok", 2), ("ok", 3)]
    assert worker.answers(second, 1) == [("ok", None)]
    assert worker.exited()["exit_status"] == 0


def test_garbage_ends_a_worker_with_a_message(spawner):
    worker = spawner.fork().ready()
    worker.sock.sendall(b"\xc1")
    assert worker.exited()["exit_status"] == 1
    worker = spawner.fork().ready()
    worker.send([99, 1])
    assert worker.exited()["exit_status"] == 1


@pytest.mark.parametrize("page", [True, False])
def test_many_elements_come_back_in_order(spawner, page):
    worker = spawner.fork(page=page).ready()
    items = list(range(100000))
    assert worker.map("demo.inc", items) == [("ok", x + 1) for x in items]
    items = ["x" * (i % 1000) for i in range(2000)]
    assert worker.map("demo.echo", items) == [("ok", x) for x in items]


def test_values_and_errors_alternate_in_order(spawner):
    worker = spawner.fork().ready()
    items = [x if x % 3 else "bad" for x in range(5000)]
    outcomes = worker.map("demo.inc", items)
    assert [kind for kind, _ in outcomes] == ["ok" if x % 3 else "error" for x in range(5000)]


def test_task_cut_at_every_byte_is_understood(spawner):
    worker = spawner.fork(page=False).ready()
    message = msgpack.packb([TASK, 1, 7, "demo.echo", True, [[["abc", {"k": 2.5}]]]])
    for cut in range(1, len(message)):
        worker.sock.sendall(message[:cut])
        time.sleep(0)  # the halves may arrive together or not; both are right
        worker.sock.sendall(message[cut:])
        assert worker.answers(1, 1) == [("ok", ["abc", {"k": 2.5}])]


def test_large_arguments_leave_no_memory_behind(spawner):
    worker = spawner.fork().ready()
    assert worker.apply("demo.len", b"x" * (48 << 20)) == 48 << 20
    assert worker.apply("demo.inc", 1) == 2

    def resident_kib():
        with open(f"/proc/{worker.pid}/status") as status:
            return int(next(line for line in status if line.startswith("RssAnon")).split()[1])

    assert resident_kib() < 16 << 10 or "PROCPOOL_SANITIZED" in os.environ


def test_short_results_share_messages(spawner):
    worker = spawner.fork().ready()
    worker.task("demo.inc", list(range(3000)))
    messages = [worker.receive()]
    while sum(len(message[4]) for message in messages) < 3000:
        messages.append(worker.receive())
    assert len(messages) < 100


@pytest.mark.parametrize("page", [True, False])
def test_long_task_does_not_hold_back_what_was_finished(spawner, page):
    worker = spawner.fork(page=page).ready()
    # Known to be short, as far as measuring can tell, and then it is not.
    worker.map("demo.sleep", [0] * 1000)
    seq = worker.task("demo.sleep", [0] * 10 + [1000])
    outcomes = []
    while len(outcomes) < 10:
        worker.collect(worker.receive(), seq, outcomes)
    assert outcomes == [("ok", None)] * 10
    later = worker.task("demo.inc", [1])
    assert later == seq + 1 and is_alive(worker.pid)
    spawner.send([KILL, worker.number, 9])
    assert worker.exited()["signal"] == 9


def test_microseconds_add_up_to_the_time_that_passed(spawner):
    worker = spawner.fork().ready()
    began = time.monotonic()
    seq = worker.task("demo.spin", [1] * 50)
    total = count = 0
    while count < 50:
        message = worker.receive()
        assert message[:2] == [RESULT, seq]
        total += message[3]
        count += len(message[4])
    passed = (time.monotonic() - began) * 1e6
    assert 50000 * 0.98 <= total <= passed


def test_what_is_taken_back_is_neither_run_nor_answered(spawner):
    worker = spawner.fork().ready()
    long, short = worker.task("demo.spin", [1] * 1000), worker.task("demo.inc", [1, 2, 3])
    wait_until(lambda: worker.page.begun(long) >= 3)
    assert worker.page.take_back(short, 3) == 0
    begun = worker.page.take_back(long, 1000)
    assert 3 <= begun < 1000
    assert worker.page.take_back(long, 1000) == begun
    assert worker.answers(long, begun) == [("ok", None)] * begun
    after = worker.task("demo.inc", [7])
    assert worker.answers(after, 1) == [("ok", 8)]
    assert worker.page.begun(long) == begun


def test_taking_back_at_random_loses_and_repeats_nothing(spawner):
    generator = random.Random(1)
    worker = spawner.fork().ready()
    for _ in range(300):
        sent = [(worker.task("values.square_or_die", list(range(size))), size)
                for size in (generator.randrange(1, 3000) for _ in range(3))]
        for _ in range(generator.randrange(200)):
            pass
        begun = [worker.page.take_back(seq, size) for seq, size in sent]
        for (seq, size), count in zip(sent, begun):
            assert 0 <= count <= size
            assert worker.answers(seq, count) == [("ok", i * i) for i in range(count)]
    assert worker.apply("demo.inc", 1) == 2


def test_slots_are_used_again(spawner):
    worker = spawner.fork().ready()
    for i in range(600):
        assert worker.apply("demo.inc", i) == i + 1


def outcomes_after_death(worker, sent):
    """All that the worker sent or committed, checked: {seq: outcomes}."""
    while worker.read():
        pass
    worker.feed(worker.page.salvage(worker.received))
    outcomes = {seq: [] for seq, _ in sent}
    for message in worker.messages():
        Worker.collect(message, message[1], outcomes[message[1]])
    assert worker.unpacker.tell() == worker.received + len(worker.page.salvage(worker.received))
    return outcomes


def test_finished_elements_survive_the_crash_of_a_later_one(spawner):
    worker = spawner.fork().ready()
    os.kill(worker.pid, signal.SIGSTOP)
    sent = [(worker.task("values.square_or_die", list(range(1, 50)) + [-1] + [5] * 10), 60),
            (worker.task("demo.inc", [1]), 1)]
    os.kill(worker.pid, signal.SIGCONT)
    outcomes = outcomes_after_death(worker, sent)
    assert outcomes[sent[0][0]] == [("ok", i * i) for i in range(1, 50)]
    assert outcomes[sent[1][0]] == []
    assert worker.page.take_back(sent[0][0], 60) == 50
    assert worker.page.take_back(sent[1][0], 1) == 0
    assert spawner.expect_exited(worker.number)["signal"] == 9


def killed_worker(spawner, seed):
    """A worker killed within the millisecond or two that it needs for what was sent."""
    generator = random.Random(seed)
    worker = spawner.fork().ready()
    os.kill(worker.pid, signal.SIGSTOP)
    sent = []
    for _ in range(generator.randrange(1, 7)):  # the socket holds as much
        size = generator.choice([1, 10, 2500, 2500, 2500])
        function = generator.choice(["demo.inc", "demo.echo", "values.square_or_die"])
        sent.append((worker.task(function, list(range(size))), size))
    os.kill(worker.pid, signal.SIGCONT)
    end = time.perf_counter() + generator.random() * 0.001
    while time.perf_counter() < end:
        pass
    os.kill(worker.pid, signal.SIGKILL)
    return worker, sent


def test_nothing_finished_is_lost_whenever_the_worker_is_killed(spawner):
    """Killed between any two instructions: what was committed is whole, each element is there once, and
    at most the one that ran is begun without an outcome."""
    salvaged = seed = 0
    while seed < 100 or salvaged < 10:
        assert seed < 2000, "the kills come at the wrong time to show anything"
        seed += 1
        worker, sent = killed_worker(spawner, seed)
        outcomes = outcomes_after_death(worker, sent)
        salvaged += worker.page.salvage(worker.received) != b""
        running = 0
        for seq, size in sent:
            begun, finished = worker.page.take_back(seq, size), outcomes[seq]
            assert all(kind == "ok" for kind, _ in finished)
            assert len(finished) <= begun <= len(finished) + 1
            running += begun - len(finished)
        assert running <= 1
        assert spawner.expect_exited(worker.number)["signal"] == 9


def test_worker_without_work_wakes_nobody(spawner):
    worker = spawner.fork().ready()
    worker.map("demo.inc", list(range(10000)))  # by now it may have its second thread

    def switches():
        total = 0
        for task in os.listdir(f"/proc/{worker.pid}/task"):
            with open(f"/proc/{worker.pid}/task/{task}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
        return total

    def is_quiet():
        before = switches()
        time.sleep(0.1)
        return switches() == before

    wait_until(is_quiet)
    before = switches()
    time.sleep(0.3)
    assert switches() == before

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A runtime that breaks WORKER.md: its argument names the one thing that it does wrong."""

import array
import mmap
import os
import socket
import struct
import sys
import threading
import time

import msgpack

START, FORK, TASK = 1, 2, 4
HELLO, READY, FAILED, RESULT, LOG, PROGRESS = 16, 17, 18, 19, 21, 24

channel = socket.socket(fileno=3)
unpacker = msgpack.Unpacker(strict_map_key=False)


def send(*message):
    channel.sendall(msgpack.packb(message))


def messages():
    while data := channel.recv(1 << 16):
        unpacker.feed(data)
        yield from unpacker


def hello(protocol=1, fork=False, **more):
    send(HELLO, {"protocol": protocol, "runtime": "evil", "version": "1", "fork": fork, **more})


def stay():
    threading.Event().wait()


def exits_before_hello():
    sys.exit(7)


def closes_before_hello():
    channel.close()
    stay()


def says_all_at_once_and_exits():
    """At a moment of the test's choice: sys.argv[2] is a gate."""
    with open(sys.argv[2]) as gate:
        gate.read()
    hello()
    if "ready" in sys.argv[3:]:
        send(READY, [["evil.f", ""]])
    sys.exit(7)


def speaks_another_protocol():
    hello(protocol=9)
    stay()


def speaks_no_protocol():
    hello(protocol=None)
    stay()


def says_hello_again_and_again():
    while True:
        hello(fork=True)


def sends_no_functions():
    hello()
    send(READY, None)
    stay()


def announces_others_each_time():
    hello()
    send(READY, [[f"evil.f{os.getpid()}_{i}", ""] for i in range(30000)])


def first_exits_and_second_loads_for_ever():
    hello()
    for _, settings in messages():
        if settings["worker"] == 2:
            stay()
        send(READY, [["evil.f", ""]])
        sys.exit(0)


def fails_and_stays():
    hello()
    send(FAILED, {"code": "initializer-failed", "message": "told to fail"})
    stay()


def fails_without_a_reason():
    hello()
    send(FAILED, None)
    stay()


def is_ready_and_exits():
    hello()
    next(messages())
    send(READY, [["evil.f", ""]])
    sys.exit(3)


def dies_of_fork():
    hello(fork=True)
    for number, *_ in messages():
        if number == START:
            send(READY, [["evil.f", ""]])
        elif number == FORK:
            sys.exit(5)


def serve(answer):
    hello()
    for number, *params in messages():
        if number == START:
            send(READY, [["evil.f", ""]])
        elif number == TASK:
            answer(*params)


def exits_in_a_task():
    serve(lambda *_: sys.exit(7))


def writes_nonsense_in_a_task():
    serve(lambda *_: (channel.sendall(b"\xc1 what?"), stay()))


def answers_another_task():
    serve(lambda seq, *_: (send(RESULT, seq + 1, 0, 1, [None]), stay()))


def answers_twice():
    serve(lambda seq, *_: (send(RESULT, seq, 0, 1, [None, None]), stay()))


def closes_in_a_task():
    def answer(*_):
        channel.shutdown(socket.SHUT_RDWR)
        stay()

    serve(answer)


def logs_a_flood():
    def answer(seq, job, name, star, items, *_):
        for i in range(5000):
            send(LOG, "warning", f"flood {i}")
        send(RESULT, seq, 0, 0, [None])

    serve(answer)


def prints_and_logs_without_end():
    def print_on():
        while True:
            os.write(1, b"x" * 65536)

    hello(fork=True)
    next(messages())
    threading.Thread(target=print_on, daemon=True).start()
    while True:
        send(LOG, "debug", "again")


def tells_progress_of_what_does_not_run():
    def answer(seq, *_):
        for other in [(seq - 1, 0), (seq + 1, 0), (seq, 1), (seq, 2**32 - 1)]:
            send(PROGRESS, *other, "wrong")
        send(PROGRESS, seq, 0, "right")
        send(RESULT, seq, 0, 0, [None])
        send(PROGRESS, seq, 0, "late")

    serve(answer)


def floods_with_progress():
    def answer(seq, *_):
        for i in range(5000):
            send(PROGRESS, seq, 0, i)
        send(RESULT, seq, 0, 0, [None])

    serve(answer)


def tells_too_much_progress():
    serve(lambda seq, *_: send(PROGRESS, seq, 0, b"x" * 5000))


def tells_progress_of_no_element():
    serve(lambda seq, *_: send(PROGRESS, seq, "x", 1))


def tells_no_progress():
    serve(lambda seq, *_: send(PROGRESS, seq, 0))


class Page:
    """What the daemon shares, written to as if nobody else did."""

    def __init__(self):
        hello(page=True, stop=True)
        fds = array.array("i")
        data, ancillary, *_ = channel.recvmsg(1 << 16, socket.CMSG_SPACE(fds.itemsize))
        fds.frombytes(ancillary[0][2])
        self.memory = mmap.mmap(fds[0], 65536)
        unpacker.feed(data)
        [_] = unpacker
        send(READY, [["evil.f", ""]])

    def store(self, offset, word):
        struct.pack_into("=Q", self.memory, offset, word)

    def claim(self, seq, count):
        self.store(2048 + 8 * (seq % 256), seq << 32 | count)

    def tasks(self):
        return (params for number, *params in messages() if number == TASK)


def names_a_signal_that_is_none():
    hello(stop_signal=1000)
    stay()


def lies_about_its_beginning():
    page = Page()
    for seq, *_ in page.tasks():
        page.claim(seq, 1)
        while True:
            page.store(24, 2**64 - 1)
            page.store(32, 0)
            page.store(40, 0)
            time.sleep(0.001)


def begins_on_and_on():
    page = Page()
    for seq, _, _, _, items, *_ in page.tasks():
        for count in range(1, len(items) + 1):
            page.claim(seq, count)
            page.store(24, time.monotonic_ns() // 1000)
            time.sleep(0.05)
        stay()


def claims_what_was_never_sent():
    page = Page()
    for seq, *_ in page.tasks():
        for slot in range(256):
            page.store(2048 + 8 * slot, 2**64 - 1)
        stay()


if __name__ == "__main__":
    globals()[sys.argv[1]]()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A runtime whose functions are whatever it is asked for: each tells what the task message had.

Names that begin with "no" are unknown to it; one that begins with "fail" fails in its first attempt, and one that
begins with "settings" returns what start said, and its environment. It has one function that it lists, "work:inc".
"""

import os
import socket

import msgpack

START, TASK = 1, 4
HELLO, READY, RESULT, ERROR = 16, 17, 19, 20

channel = socket.socket(fileno=3)
unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=2**31 - 1)


def send(*message):
    channel.sendall(msgpack.packb(message))


def messages():
    while data := channel.recv(1 << 20):
        unpacker.feed(data)
        yield from unpacker


def call(name, item, options, settings):
    if name.startswith("settings"):
        return {**settings, "environment": dict(os.environ)}
    return {"name": name, "item": item, "attempt": 1, **options}


def task(settings, seq, job, name, star, items, options={}):  # noqa: B006, it is only read
    for index, item in enumerate(items):
        if name.startswith("no"):
            send(ERROR, seq, index, 1, {"code": "unknown-function", "message": f"cannot find {name}"})
        elif name.startswith("fail") and options.get("attempt", 1) == 1:
            send(ERROR, seq, index, 1, {"code": "function-failed", "message": "the first attempt fails"})
        elif name == "work:inc":
            send(RESULT, seq, index, 1, [(item[0] if star else item) + 1])
        else:
            send(RESULT, seq, index, 1, [call(name, item, options, settings)])


def main():
    settings = None
    send(HELLO, {"protocol": 1, "runtime": "naming", "version": "1"})
    for number, *params in messages():
        if number == START:
            settings = params[0]
            send(READY, [["work:inc", "x + 1"], ["*", "whatever it is"]])
        elif number == TASK:
            task(settings, *params)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A spawner written from WORKER.md that takes no page and no output: its workers print where it does."""

import os
import socket
import threading

import msgpack

START, FORK = 1, 2
HELLO, READY, RESULT, FORKED, EXITED = 16, 17, 19, 22, 23


def send(channel, *message):
    channel.sendall(msgpack.packb(message))


def serve(channel):
    """A worker, to its end."""
    send(channel, READY)
    unpacker = msgpack.Unpacker()
    while data := channel.recv(1 << 16):
        unpacker.feed(data)
        for _, seq, _, _, _, items, *_ in unpacker:
            for index, item in enumerate(items):
                print(*item, flush=True)
                send(channel, RESULT, seq, index, 0, [None])
    os._exit(0)


def reap(spawner, worker, pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    send(spawner, EXITED, worker, {"exit_status": status} if status >= 0 else {"signal": -status})


def fork(spawner, worker, fd):
    pid = os.fork()
    if pid == 0:
        spawner.close()
        serve(socket.socket(fileno=fd))
    os.close(fd)
    send(spawner, FORKED, worker, pid)
    threading.Thread(target=reap, args=(spawner, worker, pid)).start()


def main():
    spawner = socket.socket(fileno=3)
    unpacker = msgpack.Unpacker()
    send(spawner, HELLO, {"protocol": 1, "runtime": "forking", "version": "1", "fork": True})
    while True:
        data, fds, _, _ = socket.recv_fds(spawner, 1 << 16, 1)
        if not data:
            return
        unpacker.feed(data)
        for number, *params in unpacker:
            if number == START:
                send(spawner, READY, [["forking.print", ""]])
            elif number == FORK:
                fork(spawner, params[0], fds.pop())


main()

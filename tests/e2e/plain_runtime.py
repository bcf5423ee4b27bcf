#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A runtime written from WORKER.md alone: level 1, one process a worker, plain messages.

The pool's modules are Python files; their public functions are called MODULE:FUNCTION.
"""

import importlib.util
import inspect
import pathlib
import signal
import socket
import sys
import time
import traceback

import msgpack

START, TASK = 1, 4
HELLO, READY, FAILED, RESULT, ERROR, LOG = 16, 17, 18, 19, 20, 21


class TooLarge(Exception):
    pass


class Stopped(Exception):
    pass


def depth(value):
    if isinstance(value, (list, tuple)):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max((max(depth(k), depth(v)) for k, v in value.items()), default=0)
    return 0


def describe(exception, code="function-failed"):
    text = "".join(traceback.format_exception(exception))
    return {"code": code, "message": str(exception), "type": type(exception).__name__, "traceback": text}


class Runtime:
    def __init__(self):
        self.channel = socket.socket(fileno=3)
        self.unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=2**31 - 1, unicode_errors="surrogateescape")
        self.functions = {}
        self.running = False
        signal.signal(signal.SIGUSR1, self.stop)

    def stop(self, *_):
        """Raises in the function that runs; the signal may come when none does any more."""
        if self.running:
            self.running = False
            raise Stopped("asked to stop")

    def send(self, *message):
        sys.stdout.flush()  # what a task has printed comes before its answer
        self.channel.sendall(msgpack.packb(message))

    def messages(self):
        while data := self.channel.recv(1 << 16):
            self.unpacker.feed(data)
            yield from self.unpacker

    def load(self, path):
        name = pathlib.Path(path).stem
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        for key, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_"):
                self.functions[f"{name}:{key}"] = value

    def start(self, settings):
        self.message_bytes, self.value_depth = settings["message_bytes"], settings["value_depth"]
        try:
            for path in [*settings["modules"], *([settings["main"]] if "main" in settings else [])]:
                self.load(path)
            if settings["initializer"]:
                self.functions[settings["initializer"]](*settings["initargs"])
        except Exception as e:
            self.send(FAILED, describe(e, "initializer-failed"))
            sys.exit(1)
        self.send(READY, [[name, inspect.getdoc(f) or ""] for name, f in self.functions.items()])

    def call(self, function, args, kwargs):
        """The value of one element, packed to see that it can be sent; raises what is to be answered."""
        self.running = True
        try:
            value = function(*args, **kwargs)
        finally:
            self.running = False
        if depth(value) > self.value_depth or len(msgpack.packb(value)) + 64 > self.message_bytes:
            raise TooLarge("the value is larger than a message may be")
        return value

    def task(self, seq, job, name, star, items, options=None):
        kwargs = (options or {}).get("kwargs", {})
        for index, item in enumerate(items):
            args = item if star else [item]
            begin = time.monotonic_ns()
            try:
                function = self.functions[name]
                if not isinstance(args, list):
                    raise TypeError("with star, an item is an array")
                inspect.signature(function).bind(*args, **kwargs)
            except KeyError:
                error = {"code": "unknown-function", "message": f"no function {name}"}
            except TypeError as e:
                error = describe(e, "bad-request")
            else:
                try:
                    value, error = self.call(function, args, kwargs), None
                except (TooLarge, MemoryError) as e:
                    error = describe(e, "too-large" if isinstance(e, TooLarge) else "out-of-memory")
                except Exception as e:
                    error = describe(e)
            microseconds = (time.monotonic_ns() - begin) // 1000
            if error:
                self.send(ERROR, seq, index, microseconds, error)
            else:
                self.send(RESULT, seq, index, microseconds, [value])

    def run(self):
        self.send(HELLO, {"protocol": 1, "runtime": "plain", "version": "1", "stop_signal": int(signal.SIGUSR1)})
        for number, *params in self.messages():
            if number == START:
                self.start(*params)
            elif number == TASK:
                self.task(*params)


if __name__ == "__main__":
    Runtime().run()

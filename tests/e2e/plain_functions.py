# SPDX-License-Identifier: MIT
"""What the tests call through plain_runtime.py."""

import os
import pathlib
import signal
import time

_state = {}


def setup(*args):
    """Keeps its arguments; the pool's initializer."""
    if args == ("fail",):
        raise ValueError("told to fail")
    _state["args"] = list(args)


def state():
    return _state.get("args")


def say(text):
    print(text)


def inc(x):
    """One more than x."""
    return x + 1


def echo(x):
    return x


def pid(*_):
    return os.getpid()


def fail(message):
    raise LookupError(message)


def die(x):
    if x < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def leave(status):
    os._exit(status)


def hold(path):
    return pathlib.Path(path).read_bytes().decode()


def nap(seconds, stubborn=False):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(end - time.monotonic())
        except Exception:
            if not stubborn:
                raise


def subtract(a, b):
    return a - b


def fill(n):
    return b"x" * n


def nest(n):
    value = []
    for _ in range(n - 1):
        value = [value]
    return value


def unpackable():
    return object()

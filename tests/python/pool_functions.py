# SPDX-License-Identifier: MIT
"""What the tests of pools call in workers. Imports nothing that takes time, for each pool's spawner loads it."""

import ctypes
import os
import signal
import sys
import time

SECONDS = 20  # as long as anything in a test may take
marked = None  # what `mark` has set in this worker


def inc(x):
    return x + 1


def same(value):
    return value


def pack(*args, **kwds):
    return args, kwds


def add(x, y):
    return x + y


def pid(_=None):
    return os.getpid()


def nap(seconds):
    time.sleep(seconds)
    return seconds


def mark(value):
    global marked
    marked = value


def what_is_marked(_=None):
    return marked


def fail(message="no luck"):
    raise KeyError(message)


def fail_on(bad, x):
    if x == bad:
        raise ValueError(f"{x} is bad")
    return x


def fail_on_three(x):
    return fail_on(3, x)


def hold(path):
    """Blocks until the file exists."""
    end = time.monotonic() + SECONDS
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise AssertionError(f"nobody made {path}")
        time.sleep(0.002)
    return path


def touch(path):
    with open(path, "a"):
        pass
    return path


def count(path):
    """Adds a byte to the file: what the test counts."""
    with open(path, "ab") as file:
        file.write(b".")
    return path


def fail_at_once_or_count_slowly(x, path):
    """Element 0 fails; the others take their time and are counted."""
    if x == 0:
        raise ValueError("at once")
    time.sleep(0.01)
    count(path)


def print_to_both(text):
    print(text, flush=True)
    print(text, file=sys.stderr, flush=True)
    return text


def initializer_that_fails():
    raise RuntimeError("no such model")


def unpicklable(_=None):
    return lambda: None


class Sized:
    """Sized, and fails when it has yielded so many."""

    def __init__(self, length, good):
        self.length, self.good = length, good

    def __len__(self):
        return self.length

    def __iter__(self):
        yield from range(self.good)
        raise OSError("no more input")


class SizedBy(list):
    """Has a length, and yields what another yields."""

    def __init__(self, elements):
        super().__init__([None])
        self.elements = elements

    def __iter__(self):
        return self.elements


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("not picklable")


class Model:
    def __init__(self, weight):
        self.weight = weight

    def predict(self, x):
        return self.weight * x

    def __call__(self, x):
        return self.weight + x

    def __eq__(self, other):
        return type(other) is Model and other.weight == self.weight

    @classmethod
    def load(cls, weight):
        return cls(weight)

    @staticmethod
    def double(x):
        return 2 * x


class Derived(Model):
    pass


class NotUnpicklable(Exception):
    """Can be pickled, but not unpickled: __init__ wants more than args has."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class NotPicklable(Exception):
    def __reduce__(self):
        raise TypeError("this error does not travel")


class ValueNotUnpicklable:
    def __reduce__(self):
        return _explode, ()


def _explode():
    raise ArithmeticError("a value that explodes")


# The worker's own end

def end_by_os_exit(status=7):
    os._exit(status)


def end_by_sys_exit(status=7):
    sys.exit(status)


def end_by_signal(number=signal.SIGKILL):
    os.kill(os.getpid(), number)
    time.sleep(SECONDS)


def end_by_segfault():
    ctypes.string_at(0)


def interrupt_oneself():
    raise KeyboardInterrupt


def raise_what_cannot_be_pickled():
    raise NotPicklable("stays here")


def raise_what_cannot_be_unpickled():
    raise NotUnpicklable("this", "that")


def raise_a_local_class():
    class Local(Exception):
        pass

    raise Local("of a class that nobody can import")


def return_what_cannot_be_unpickled():
    return ValueNotUnpicklable()


def end_with_last_words():
    print("last words", file=sys.stderr, flush=True)
    os._exit(1)


def end_on_three(x):
    if x == 3:
        os._exit(1)
    return x


# What a pool of multiprocessing cannot do

def hold_and_clean_up(path):
    try:
        time.sleep(SECONDS)
    finally:
        touch(path)


def touch_and_hold(running, path):
    touch(running)
    return hold(path)


def note(path, word):
    with open(path, "a") as file:
        print(word, file=file)


def fail_once(path):
    """Which attempt has succeeded."""
    import procpool

    if not os.path.exists(path):
        touch(path)
        raise OSError("the first time")
    return procpool.attempt()


def eat(size):
    return len(bytearray(size))


def make_bytes(size):
    return bytes(size)


def call_named_pool(name, x):
    import procpool

    return procpool.Pool(name=name).apply(inc, (x,))


def sum_in_a_pool(n):
    import procpool

    with procpool.Pool(1) as pool:
        return sum(pool.map(inc, range(n)))


def print_with_pid(number):
    print(os.getpid(), number)

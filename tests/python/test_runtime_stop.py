# SPDX-License-Identifier: MIT
"""A function that is asked to stop, and one that tells how far it has come."""

import os
import random
import threading
import time

import pytest
from runtime_driver import PROGRESS, Spawner, loop, module, pickled  # noqa: F401 (loop)

WORK = """
import os, signal, sys, time
import procpool

FIFO = os.environ["FIFO"]

def announce():
    with open(FIFO, "w") as fifo:
        fifo.write("running")

class Slow:
    def __reduce__(self):
        announce()
        time.sleep(60)
        return int, ()

class SlowToLoad:
    def __reduce__(self): return slow_load, ()

def slow_load():
    announce()
    time.sleep(60)

class SlowError(Exception):
    def __reduce__(self): return Slow().__reduce__()

def sleep():
    announce()
    time.sleep(60)

def spin():
    announce()
    while True: pass

def clean_up():
    try:
        sleep()
    finally:
        print("cleaned up")

def obey():
    try:
        sleep()
    except procpool.Stopped:
        return procpool.stopped()

def swallow():
    try:
        sleep()
    except Exception:
        pass

def slow_result(): return Slow()
def slow_error(): raise SlowError("x")
def same(x): return x
def stopped(): return procpool.stopped()
def tell(*values):
    for value in values: procpool.progress(value)
def tell_in_vain(value):
    try: procpool.progress(value)
    except (TypeError, ValueError) as e: return type(e).__name__
def tell_for_ever():
    announce()
    while True: procpool.progress(1)
def ignore(number): signal.signal(number, signal.SIG_IGN)
"""


@pytest.fixture(scope="module")
def fifo(tmp_path_factory):
    path = tmp_path_factory.mktemp("fifo") / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def spawner(loop, fifo):  # noqa: F811
    script = module(fifo.parent, "script", WORK)
    spawner = Spawner(own=True, main={"path": str(script)}, environment={"FIFO": str(fifo)})
    yield spawner
    assert spawner.close()[0] == 0


@pytest.fixture
def worker(spawner):
    return spawner.worker()


def stop(worker, function, fifo, *args, **options):
    """The error of a call that is asked to stop when it runs."""
    seq = worker.task(f"__main__:{function}", [list(args)], star=True, **options)
    assert fifo.read_text() == "running"
    if worker.page:
        worker.page.ask_to_stop(seq)
    worker.kill(worker.spawner.hello["stop_signal"])
    return worker.outcomes(seq, 1)[0]


@pytest.mark.parametrize("function", ["sleep", "spin", "clean_up", "swallow", "tell_for_ever"])
def test_a_function_that_is_asked_to_stop_raises(worker, fifo, function):
    kind, error = stop(worker, function, fifo)
    assert kind == "error" and error["type"] == "procpool.Stopped" and function in error["traceback"]
    assert worker.apply("__main__:same", 1) == 1
    if function == "clean_up":
        assert worker.output.read() == "cleaned up\n"


def test_a_function_may_obey_and_return(worker, fifo):
    assert stop(worker, "obey", fifo) == ("ok", True)
    assert worker.apply("__main__:stopped") is False


def test_a_result_may_be_asked_to_stop_while_it_is_pickled(worker, fifo):
    assert stop(worker, "slow_result", fifo, pickle=True)[1]["type"] == "procpool.Stopped"


def test_an_exception_may_be_asked_to_stop_while_it_is_pickled(worker, fifo):
    assert stop(worker, "slow_error", fifo, pickle=True)[1]["type"] == "procpool.Stopped"
    assert worker.apply("__main__:same", 1) == 1


def test_arguments_may_be_asked_to_stop_while_they_are_unpickled(worker, fifo):
    class Slow:
        def __reduce__(self):
            return __import__("operator").methodcaller("slow_load"), (MainModule(),)

    class MainModule:
        def __reduce__(self):
            return __import__, ("__main__",)
    kind, error = stop(worker, "same", fifo, pickled(Slow()))
    assert error["type"] == "procpool.Stopped"


def test_a_signal_that_comes_between_tasks_is_ignored(worker):
    for _ in range(10):
        os.kill(worker.pid, worker.spawner.hello["stop_signal"])
        assert worker.apply("__main__:same", 1) == 1


def test_signals_that_come_at_any_time_never_break_the_runtime(worker):
    """Some hit functions, most the runtime itself: each element is answered, by a value or by Stopped."""
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            if worker.page:
                worker.page.ask_to_stop(worker.seq, random.randrange(50))
            os.kill(worker.pid, worker.spawner.hello["stop_signal"])
            time.sleep(0.0001)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(100):
            for kind, value in worker.map("__main__:same", [1, pickled((1, 2))] * 25, pickle=True):
                assert kind == "ok" or value["type"] == "procpool.Stopped"
    finally:
        ended.set()
        thread.join()
    assert worker.end()["exit_status"] == 0


def test_a_function_that_ignores_the_signal_is_not_stopped(worker):
    number = worker.spawner.hello["stop_signal"]
    worker.apply("__main__:ignore", number)
    worker.kill(number)
    assert worker.apply("__main__:same", 1) == 1


def progress(worker, function, *args):
    """What a call tells, and its outcome."""
    seq = worker.task(f"__main__:{function}", [list(args)], star=True)
    told = []
    while True:
        message = worker.receive()
        if message[0] != PROGRESS:
            return told, message[4]
        assert message[1:3] == [seq, 0]
        told.append(message[3])


def test_progress_is_told_before_the_answer(worker):
    assert progress(worker, "tell", 1, {"done": 2, "total": 3}, "x") == ([1, {"done": 2, "total": 3}, "x"], [None])


def test_progress_floods_nobody(worker):
    told, _ = progress(worker, "tell", *range(1000))
    assert told[:20] == list(range(20)) and len(told) <= 22


def test_progress_that_cannot_be_told_is_the_functions_error(worker):
    assert progress(worker, "tell_in_vain", "x" * 5000) == ([], ["ValueError"])
    assert worker.apply("__main__:tell_in_vain", pickled({1})) == "TypeError"

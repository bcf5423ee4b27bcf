# SPDX-License-Identifier: MIT
"""The Python runtime where a pool takes pickles, and the errors of what can and cannot be pickled."""

import functools
import operator
import pickle
import time

import pytest
from procpool import codec
from runtime_driver import Spawner, debian_only, loop, module, pickled  # noqa: F401 (loop)

WORK = """
import collections, os, signal, sys, threading, time

Point = collections.namedtuple("Point", "x y")

class Two(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class Bad(Exception):
    def __reduce__(self): raise ValueError("not this one")

class Ends(Exception):
    def __reduce__(self): return sys.exit, (3,)

class Lies(Exception):
    def __reduce__(self): return int, (3,)

class Silent(Exception):
    def __str__(self): raise ValueError("no text")

class Exiting(Exception):
    def __str__(self): sys.exit(3)

class Foreign(str):
    def __len__(self): raise ValueError("no length")
    def encode(self, *args): sys.exit(3)
    def __getitem__(self, key): raise ValueError("no part")

class Texts(Exception):
    def __str__(self): return Foreign("text")

class Meta(type):
    def __getattribute__(cls, name): raise ValueError("no attribute")

class OfMeta(Exception, metaclass=Meta): pass

class Claims(Exception):
    __class__ = property(lambda self: MemoryError)

class Surrogate(Exception):
    def __str__(self): return chr(0xdc80)

class Counter:
    def __init__(self): self.count = 0
    def next(self): self.count += 1; return self.count
    def __call__(self): return self.next()

class Unprintable:
    def __repr__(self): raise ValueError("no repr")
    def __reduce__(self): raise TypeError("not this one")

class Quits:
    def __reduce__(self): sys.exit(4)

def same(x): return x
def kind(x): return type(x).__name__
def point(): return Point(1, 2)
def raise_(name, *args): raise globals()[name](*args)
def with_notes():
    error = ValueError("text")
    error.attribute = {1, 2}
    raise error
def chained():
    try:
        1 / 0
    except ZeroDivisionError as e:
        raise KeyError("x") from e
def exit(code): sys.exit(code)
def interrupt(): raise KeyboardInterrupt
def generator_exit(): raise GeneratorExit("x")
def memory(): raise MemoryError
def recurse(): return recurse()
def recurse_far():
    sys.setrecursionlimit(300_000)
    def f(n):
        return f(n + 1) if n < 200_000 else 1 / 0
    try:
        return f(0)
    finally:
        sys.setrecursionlimit(1000)
def mutual(n): return [other][0](n)
def other(n): return mutual(n + 1)
def chain(n):
    error = None
    for i in range(n):
        following = ValueError("last" if i == n - 1 else "one")
        following.__context__, error = error, following
    raise error
def lock(): return threading.Lock()
def unprintable(): return Unprintable()
def quits(): return Quits()
def missing(): return missing_name
def bytes_of(n): return bytearray(n)
def raise_large(n): raise ValueError("x" * n)
def raise_large_data(n):
    error = ValueError("small"); error.data = bytes(n); raise error
"""


@pytest.fixture(scope="module")
def spawner(loop, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("work")
    module(path, "work_of_pickles", WORK)
    spawner = Spawner(own=True, path=[path], main={"path": str(module(path, "script", WORK))})
    yield spawner
    assert spawner.close()[0] == 0


@pytest.fixture
def worker(spawner):
    return spawner.worker()


def name(function):
    return f"__main__:{function}"


@pytest.mark.parametrize("value", [(1, (2,)), {1: 2, (3,): {4}}, [True], bytearray(b"x"), 2**64, "\udcff", 1j, {},
                                   frozenset([1]), ValueError("x").args, range(3)])
def test_values_keep_their_types(worker, value):
    got = worker.apply(name("same"), pickled(value), pickle=True)
    assert got == value and type(got) is type(value)


def test_exact_scalars_travel_without_pickles(worker):
    for value in (None, True, 1, 1.5, "a", b"b"):
        assert worker.map(name("same"), [value], pickle=True) == [("ok", value)]


def test_named_arguments_may_be_pickles(worker):
    assert worker.apply(name("kind"), kwargs={"x": pickled((1,))}) == "tuple"


def test_a_call_that_wants_no_pickles_gets_plain_values(worker):
    assert worker.map(name("point"), [[]], star=True) == [("ok", [1, 2])]


def test_a_callable_is_called_in_place_of_the_name(worker):
    add = pickle.dumps(functools.partial(operator.add, 2))
    assert worker.map("functools:partial", [1, 2], pickle=add) == [("ok", 3), ("ok", 4)]
    assert worker.map("functools:partial", [1, 2], pickle=add) == [("ok", 3), ("ok", 4)]


def test_a_callable_that_has_state_begins_anew_with_each_message(worker):
    """As it does with each chunk in a worker of multiprocessing."""
    counter = pickle.dumps(functools.partial(functools.reduce, operator.iadd, [[1]]))

    def lengths():
        return [codec.PICKLE.restore(value) for _, value in worker.map("x:y", [pickled([])] * 2, pickle=counter)]
    assert lengths() == lengths()


def by_value(function):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.dumps(function)


@debian_only
def test_a_function_that_calls_itself_may_come_by_value(worker):
    def factorial(n):
        return n * factorial(n - 1) if n else 1
    for _ in range(2):
        assert worker.apply("x:y", 5, pickle=by_value(factorial)) == 120


@debian_only
def test_what_a_function_closes_over_begins_anew_with_each_message(worker):
    values = []
    append = by_value(lambda x: values.append(x) or len(values))
    assert worker.map("x:y", [1, 2], pickle=append) == [("ok", 1), ("ok", 2)]
    assert worker.map("x:y", [1, 2], pickle=append) == [("ok", 1), ("ok", 2)]


def test_a_pickle_that_is_no_callable_is_a_bad_request(worker):
    assert worker.apply_error("x:y", pickle=pickle.dumps(3))["code"] == "bad-request"


def test_pickles_that_cannot_be_opened_fail_alone(worker):
    module_error = b"\x80\x05cno_such_module\nf\n."
    for broken in (b"", b"garbage", pickle.dumps((1, 2))[:-3], module_error):
        outcomes = worker.map(name("kind"), [1, type(pickled(1))(80, broken), 2], pickle=True)
        assert [kind for kind, _ in outcomes] == ["ok", "error", "ok"]
        assert worker.apply_error("x:y", pickle=broken)["code"] == "function-failed"


class Exits:
    def __reduce__(self):
        import sys
        return sys.exit, (5,)


def test_a_pickle_that_exits_fails_alone(worker):
    assert worker.apply_error(name("kind"), pickled(Exits()))["type"] == "SystemExit"
    assert worker.apply(name("kind"), 1) == "int"


# Exceptions.


def raised(error):
    return codec.PICKLE.restore(error["data"])


def test_an_exception_comes_as_it_is(worker):
    error = worker.apply_error(name("with_notes"), pickle=True)
    assert (error["type"], error["message"]) == ("ValueError", "text")
    assert type(raised(error)) is ValueError and raised(error).attribute == {1, 2}


def test_an_exception_comes_without_its_cause_which_the_traceback_has(worker):
    error = worker.apply_error(name("chained"), pickle=True)
    assert raised(error).__cause__ is None
    assert "ZeroDivisionError" in error["traceback"] and "direct cause" in error["traceback"]


def test_no_exception_comes_along_where_the_call_wants_no_pickles(worker):
    assert "data" not in worker.apply_error(name("with_notes"))


@pytest.mark.parametrize("kind", ["Bad", "Ends", "Lies"])
def test_an_exception_that_cannot_be_pickled_or_made_again_stays(worker, kind):
    error = worker.apply_error(name("raise_"), kind, "text", pickle=True)
    assert error["type"] == f"__main__.{kind}" and error["message"] == "text" and "data" not in error
    assert worker.apply(name("same"), 1) == 1


def test_an_exception_whose_init_wants_other_arguments_stays(worker):
    error = worker.apply_error(name("raise_"), "Two", 1, 2, pickle=True)
    assert error["message"] == "1 and 2" and "data" not in error


@pytest.mark.parametrize("kind", ["Silent", "Exiting"])
def test_an_exception_that_cannot_be_printed_is_told(worker, kind):
    error = worker.apply_error(name("raise_"), kind, pickle=True)
    assert error["type"] == f"__main__.{kind}" and "unprintable" in error["message"]


def test_a_message_of_surrogates_can_be_sent(worker):
    assert worker.apply_error(name("raise_"), "Surrogate")["message"] == "\\udc80"


@pytest.mark.parametrize("kind", ["Texts", "OfMeta", "Claims"])
def test_exceptions_of_strange_classes_are_told(worker, kind):
    error = worker.apply_error(name("raise_"), kind, "text", pickle=True)
    assert (error["code"], error["type"]) == ("function-failed", f"__main__.{kind}")
    assert error["message"] == "text"


def test_an_endless_chain_of_exceptions_is_told(worker):
    error = worker.apply_error(name("chain"), 20000, pickle=True)
    assert error["type"] == "ValueError" and error["message"] == "last"
    assert worker.apply(name("same"), 1) == 1


@pytest.mark.parametrize("function, args, kind", [("exit", [3], "SystemExit"), ("interrupt", [], "KeyboardInterrupt"),
                                                  ("generator_exit", [], "GeneratorExit")])
def test_what_ends_an_interpreter_ends_only_the_call(worker, function, args, kind):
    error = worker.apply_error(name(function), *args, pickle=True)
    assert (error["code"], error["type"]) == ("function-failed", kind) and "data" not in error
    assert worker.apply(name("same"), 1) == 1


def test_sys_exit_is_told_with_its_status(worker):
    assert worker.apply_error(name("exit"), "text")["message"] == "sys.exit('text') was called"


def test_a_lack_of_memory_is_told_as_such(worker):
    assert worker.apply_error(name("memory"))["code"] == "out-of-memory"


def test_endless_recursion_is_an_error_like_others(worker):
    error = worker.apply_error(name("recurse"), pickle=True)
    assert error["type"] == "RecursionError" and len(error["traceback"]) < 10000
    error = worker.apply_error(name("mutual"), 1, pickle=True)
    assert error["type"] == "RecursionError" and len(error["traceback"]) < 70000


@debian_only  # before 3.11, deep recursion takes the stack of C
def test_the_traceback_of_a_deep_recursion_takes_no_time(worker):
    begin = time.monotonic()
    error = worker.apply_error(name("recurse_far"))
    assert error["type"] == "ZeroDivisionError" and len(error["traceback"]) < 10000
    assert time.monotonic() - begin < 10


def test_the_texts_of_an_error_are_bounded(worker):
    error = worker.apply_error(name("raise_large"), 10_000_000, pickle=True)
    assert len(error["message"]) < 66000 and len(error["traceback"]) < 66000
    assert "characters left out" in error["message"]
    assert len(raised(error).args[0]) == 10_000_000


def test_an_exception_larger_than_a_message_stays(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], pickle=True, message_bytes=1 << 20)
    error = spawner.worker().apply_error("work:raise_large_data", 1 << 20, pickle=True)
    assert error["message"] == "small" and "data" not in error
    spawner.close()


def test_a_result_that_cannot_be_pickled_says_what_and_why(worker):
    error = worker.apply_error(name("lock"), pickle=True)
    assert error["type"] == "multiprocessing.pool.MaybeEncodingError"
    reason, value = error["data"]
    assert "cannot pickle" in reason and "lock object" in value
    assert error["message"] == f"Error sending result: '{value}'. Reason: '{reason}'"


def test_a_result_that_cannot_be_printed_either_is_told(worker):
    error = worker.apply_error(name("unprintable"), pickle=True)
    assert "not this one" in error["message"] and "whose repr() raised ValueError" in error["message"]


def test_a_result_whose_pickling_exits_fails_alone(worker):
    assert "SystemExit(4)" in worker.apply_error(name("quits"), pickle=True)["message"]
    assert worker.apply(name("same"), 1) == 1


def test_a_pickled_result_larger_than_a_message_is_too_large(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], pickle=True, message_bytes=100000)
    worker = spawner.worker()
    assert worker.apply_error("work:bytes_of", 100000, pickle=True)["code"] == "too-large"
    spawner.close()


def test_a_global_that_only_the_client_has_is_advised_on(worker):
    error = worker.apply_error(name("missing"), pickle=True)
    assert error["type"] == "NameError" and "pass it through initargs" in error["message"]
    assert "initargs" in str(raised(error)) and "initargs" in error["traceback"]
    assert "initargs" not in worker.apply_error("work_of_pickles:missing")["message"]

# SPDX-License-Identifier: MIT
"""The Python runtime runs tasks: what goes in, and what comes out."""

import pytest
from runtime_driver import BROKEN, Spawner, loop, module, pickled  # noqa: F401 (loop)

WORK = '''
import os, sys

class Oddity(Exception):
    pass

def inc(x):
    """x + 1

    and nothing else."""
    return x + 1

def same(*args, **kwds):
    return [*args, kwds] if kwds else args[0]

def kind(x):
    return type(x).__name__

def fail(text):
    raise Oddity(text)

def deep(n):
    value = []
    for _ in range(n - 1):
        value = [value]
    return value

def large(n):
    return bytes(n)

def private_set():
    return {1}

def _private():
    pass

class Class:
    pass
'''


@pytest.fixture(scope="module")
def work(loop, tmp_path_factory):  # noqa: F811
    spawner = Spawner(modules=[module(tmp_path_factory.mktemp("work"), "work", WORK)])
    yield spawner
    assert spawner.close()[0] == 0


def test_a_module_of_a_configured_pool_offers_what_it_defines(work):
    assert work.hello["fork"] and work.hello["output"] and work.hello["protocol"] == 1
    functions = work.ready()
    assert functions["work:inc"] == "x + 1"
    defined = ("inc", "same", "kind", "fail", "deep", "large", "private_set")
    assert set(functions) == {f"work:{name}" for name in defined}


def test_a_function_of_a_listed_module_is_called(work):
    assert work.worker().apply("work:inc", 41) == 42


def test_items_are_the_only_arguments_where_star_is_false(work):
    assert work.worker().map("work:inc", [1, 2, 3]) == [("ok", 2), ("ok", 3), ("ok", 4)]


def test_named_arguments_come_by_name(work):
    assert work.worker().apply("work:same", 1, kwargs={"x": 2}) == [1, {"x": 2}]


@pytest.mark.parametrize("value", [None, True, -(2**63), 2**64 - 1, 1.5, "ä", b"\0", [1, [2]], {"a": {1: 2}}])
def test_a_plain_value_goes_through(work, value):
    assert work.worker().apply("work:same", value) == value


def test_names_that_are_no_utf8_go_through(work):
    assert work.worker().apply("work:same", "\udcff") == "\udcff"


def test_an_unknown_function_is_said_to_be_so(work):
    worker = work.worker()
    for name in ("work:nothing", "work:_private", "work:Class", "os:getpid", "work:os.getpid", "work", "", "\udcff"):
        assert worker.apply_error(name)["code"] == "unknown-function"


def test_an_exception_comes_with_its_type_and_the_traceback_of_the_function(work):
    error = work.worker().apply_error("work:fail", "the text")
    assert error["code"] == "function-failed"
    assert error["type"] == "work.Oddity" and error["message"] == "the text"
    assert error["traceback"].startswith("Traceback (most recent call last):\n") and "in fail\n" in error["traceback"]
    assert "procpool" not in error["traceback"] and "data" not in error


def test_one_element_that_fails_harms_no_other(work):
    outcomes = work.worker().map("work:inc", [1, "a", 3])
    assert [kind for kind, _ in outcomes] == ["ok", "error", "ok"]
    assert outcomes[1][1]["type"] == "TypeError"


def test_wrong_arguments_are_the_functions_type_error(work):
    assert work.worker().apply_error("work:inc", 1, 2)["type"] == "TypeError"


def test_a_star_item_that_is_no_array_is_a_bad_request(work):
    assert work.worker().map("work:inc", [1], star=True)[0][1]["code"] == "bad-request"


def test_a_value_that_python_cannot_build_fails_alone(work):
    worker = work.worker()
    outcomes = worker.map("work:kind", [1, BROKEN, "a"])
    assert [outcomes[0], outcomes[2]] == [("ok", "int"), ("ok", "str")]
    assert outcomes[1][1]["code"] == "bad-request"
    assert worker.apply_error("work:kind", 1, kwargs={"x": BROKEN})["code"] == "bad-request"
    assert worker.apply("work:inc", 1) == 2


def test_a_pickle_is_not_opened_where_the_pool_takes_none(work):
    worker = work.worker()
    assert worker.apply_error("work:same", pickled((1, 2)))["code"] == "bad-request"
    assert worker.apply_error("work:same", 1, kwargs={"x": pickled(1)})["code"] == "bad-request"
    assert "pickle = yes" in worker.apply_error("work:inc", 1, pickle=b"c")["message"]


def test_a_result_that_no_messagepack_holds_is_named(work):
    error = work.worker().apply_error("work:private_set")
    assert error["type"] == "TypeError" and "type set" in error["message"]


def test_a_result_that_nests_too_deep_is_too_large(work):
    worker = work.worker()
    assert worker.apply("work:deep", 24)
    assert worker.apply_error("work:deep", 25)["code"] == "too-large"


def test_a_result_larger_than_a_message_is_too_large(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], message_bytes=100000)
    worker = spawner.worker()
    assert len(worker.apply("work:large", 99000)) == 99000
    error = worker.apply_error("work:large", 100000)
    assert error["code"] == "too-large" and "100005 bytes" in error["message"]
    spawner.close()


def test_large_values_go_through(work):
    value = bytes(range(256)) * (1 << 16)
    assert work.worker().apply("work:same", value) == value

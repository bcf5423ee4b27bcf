# SPDX-License-Identifier: MIT
"""Callables become names where workers can import them, else pickles, else errors that say what to do."""

import functools
import math
import multiprocessing
import operator
import pickle
import subprocess
import sys
import textwrap
import threading
import types

import pytest

import pool_functions as work
from procpool import functions

@pytest.fixture
def no_cloudpickle(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


NAMES = {
    "pool_functions:inc": work.inc,
    "math:sqrt": math.sqrt,
    "builtins:len": len,
    "builtins:str.upper": str.upper,
    "builtins:int": int,
    "builtins:dict.fromkeys": dict.fromkeys,
    "builtins:int.__add__": int.__add__,
    "pool_functions:Model": work.Model,
    "pool_functions:Model.predict": work.Model.predict,
    "pool_functions:Model.double": work.Model.double,
    "pool_functions:Model.load": work.Model.load,
    "pool_functions:Derived.load": work.Derived.load,
    "subprocess:run": subprocess.run,
    "textwrap:TextWrapper.wrap": textwrap.TextWrapper.wrap,
}


@pytest.mark.parametrize("name, function", NAMES.items(), ids=NAMES)
def test_what_can_be_imported_goes_by_its_name(name, function):
    assert functions.describe(function) == (name, None)


def test_a_string_is_a_name_already():
    assert functions.describe("digest.sha256") == ("digest.sha256", None)


PICKLED = {
    "pool_functions:Model.predict": work.Model(2).predict,
    "pool_functions:Model": work.Model(2),
    "functools:partial": functools.partial(work.inc, 1),
    "operator:itemgetter": operator.itemgetter(1),
}


@pytest.mark.parametrize("label, function", PICKLED.items(), ids=PICKLED)
def test_what_has_no_name_is_pickled(label, function):
    described = functions.describe(function)
    assert described.name == label
    assert type(pickle.loads(described.pickled)) is type(function)


def test_what_cannot_be_called_is_a_type_error():
    with pytest.raises(TypeError, match="5 is not callable"):
        functions.describe(5)


def test_a_name_that_leads_elsewhere_is_not_used(monkeypatch, no_cloudpickle):
    original = work.inc
    monkeypatch.setattr(work, "inc", work.same)
    with pytest.raises(pickle.PicklingError, match="not the same object as pool_functions.inc"):
        functions.describe(original)


@pytest.mark.parametrize("function, what", [(lambda: None, "a lambda"), (functools.partial(lambda: None), "lambda")])
def test_a_lambda_cannot_be_sent_and_says_what_to_do(no_cloudpickle, function, what):
    with pytest.raises(pickle.PicklingError, match=f"{what}.*install cloudpickle"):
        functions.describe(function)


def test_a_function_within_a_function_cannot_be_sent_and_says_what_to_do(no_cloudpickle):
    def local():
        pass

    with pytest.raises(pickle.PicklingError, match="local .*top level of a module.*install cloudpickle"):
        functions.describe(local)


def test_with_cloudpickle_lambdas_and_closures_are_sent_by_value():
    pytest.importorskip("cloudpickle")
    three = 3
    pickled = functions.describe(lambda x: x + three).pickled
    assert pickle.loads(pickled)(4) == 7


def test_a_name_that_is_too_long_is_only_a_label(monkeypatch):
    name = "f" * 300
    function = type(name, (), {"__module__": "pool_functions"})
    monkeypatch.setattr(work, name, function, raising=False)
    described = functions.describe(function)
    assert len(described.name) == functions.NAME_BYTES_MAX
    assert pickle.loads(described.pickled) is function


LOCKS = ["Lock", "RLock", "Semaphore", "Condition", "Event", "Queue", "SimpleQueue"]


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_or_queue_of_multiprocessing_says_what_to_send_instead(kind):
    with pytest.raises(RuntimeError) as raised:
        pickle.dumps(getattr(multiprocessing, kind)(), 5)
    advice = str(functions.advise(raised.value))
    assert "initargs" in advice and "multiprocessing.Manager()." in advice


def test_a_shared_value_of_multiprocessing_says_what_to_send_instead():
    with pytest.raises(RuntimeError) as raised:
        pickle.dumps(multiprocessing.Value("i"), 5)
    assert "multiprocessing.Manager().Value()" in str(functions.advise(raised.value))


def test_a_lock_of_threads_says_what_to_send_instead():
    with pytest.raises(TypeError) as raised:
        pickle.dumps(threading.Lock(), 5)
    assert "Manager().Lock()" in str(functions.advise(raised.value))


def test_a_lambda_in_arguments_is_advised_on():
    with pytest.raises(Exception) as raised:
        pickle.dumps([lambda: 1], 5)
    assert "top level of a module" in str(functions.advise(raised.value))


def test_other_errors_need_no_advice():
    error = TypeError("cannot pickle 'generator' object")
    assert functions.advise(error) is error


@pytest.fixture
def mine(monkeypatch):
    """A function of the main module."""
    main = types.ModuleType("__main__")
    exec("def mine(): return 5", vars(main))
    monkeypatch.setitem(sys.modules, "__main__", main)
    return main.mine


def test_functions_of_the_main_module_have_names(mine):
    assert functions.describe(mine) == ("__main__:mine", None)


def test_functions_of_a_main_module_that_workers_lack_say_what_to_do(mine, no_cloudpickle):
    for function in (mine, functools.partial(mine)):
        with pytest.raises(pickle.PicklingError, match="workers do not have this main module.*module of its own"):
            functions.describe(function, main=False)


def test_with_cloudpickle_functions_of_a_main_module_that_workers_lack_go_by_value(mine, monkeypatch):
    pytest.importorskip("cloudpickle")
    name, pickled = functions.describe(mine, main=False)
    monkeypatch.delattr(sys.modules["__main__"], "mine")
    assert name == "__main__:mine" and pickle.loads(pickled)() == 5

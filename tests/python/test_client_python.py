# SPDX-License-Identifier: MIT
"""procpool.Client and functions in Python: what is trusted, and what not."""

import os

import pytest
from procpool import errors
from procpool.client import Client
from procpoold import PYTHON, Daemon

WORK = """
import procpool

class Pair(tuple):
    pass

def pair(x, times=2):
    return Pair((x,) * times)

def kind(x):
    return type(x).__name__

def fail(x):
    raise KeyError(x)

def nested(path):
    with procpool.Client(path) as client:
        return client.job(client.options(pool="other").apply_async("other:two").id).get("parent"), procpool.current_job()
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("modules")
    (directory / "work.py").write_text(WORK)
    (directory / "other.py").write_text("import time\n\ndef two():\n    time.sleep(0.2)\n    return 2\n")
    python = {"interpreter": PYTHON, "workers": 1}
    daemon = Daemon(workers=1, env={"PYTHONPATH": os.environ["PYTHONPATH"]}, pools={
        "work": {**python, "modules": [str(directory / "work.py")], "pickle": "yes"},
        "other": {**python, "modules": [str(directory / "other.py")]}})  # fmt: skip
    try:
        yield daemon.await_ready()
    finally:
        daemon.finish()


@pytest.fixture
def client(daemon):
    with Client(str(daemon.path)) as client:
        yield client


def test_plain_values_are_what_messagepack_has(client):
    assert client.apply("work:pair", 1) == [1, 1] and client.apply("work:pair", 1, times=3) == [1, 1, 1]
    assert client.apply("work:kind", (1,)) == "list"
    assert client.map("work:pair", [1, 2], times=1) == [[1], [2]]
    assert list(client.imap("work:pair", range(50), times=1)) == [[n] for n in range(50)]


def test_an_exception_is_told_with_its_traceback(client):
    with pytest.raises(errors.FunctionFailed, match="KeyError: 'k'") as caught:
        client.apply("work:fail", "k")
    assert caught.value.type == "KeyError" and "raise KeyError(x)" in caught.value.__cause__.tb


def test_arguments_may_be_pickled_and_results_are_not_unpickled(client):
    pickling = client.options(pickle=True)
    assert pickling.apply("work:kind", (1,)) == "tuple"
    with pytest.raises(TypeError, match="trust"):
        pickling.apply("work:pair", 1)
    with pytest.raises(TypeError, match="trust"):
        pickling.map("work:pair", [1])
    with pytest.raises(errors.FunctionFailed):
        pickling.apply("work:fail", "k")
    with pytest.raises(errors.Denied):
        client.options(pickle=True, pool="other").apply("other:two")


def test_what_is_trusted_is_unpickled(daemon):
    with Client(str(daemon.path), trust=True) as client:
        pickling = client.options(pickle=True)
        with pytest.raises(KeyError) as caught:
            pickling.apply("work:fail", "k")
        assert type(caught.value.__cause__) is errors.RemoteTraceback
        with pytest.raises(KeyError):
            pickling.apply_async("work:fail", "k").get()
        assert type(pickling.options(errors="collect").map("work:fail", [1])[0]) is KeyError


def test_a_call_out_of_a_worker_names_its_job_as_parent(daemon, client):
    parent, job = client.apply("work:nested", str(daemon.path))
    assert parent == job and job

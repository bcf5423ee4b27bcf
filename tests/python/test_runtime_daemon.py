# SPDX-License-Identifier: MIT
"""The Python runtime in pools of a real daemon, with code that nobody here wrote: Python's library, and numpy."""

import base64
import difflib
import fractions
import json
import math
import os
import pickle
import statistics
import textwrap
import zlib

import msgpack
import pytest
from procpoold import PYTHON, Daemon, eventually
from runtime_driver import module, pickled

numpy = pytest.importorskip("numpy")

LIBRARY = ["math", "json", "zlib", "statistics", "textwrap", "difflib", "base64", "os.path", "html"]
NUMPY = ["numpy", "numpy.linalg", "numpy.fft"]


@pytest.fixture
def daemon():
    """Starts daemons: daemon(pools={...})."""
    started = []

    def make(**options):
        env = {"PYTHONPATH": os.environ["PYTHONPATH"], "PROCPOOL_PURE": "", **options.pop("env", {})}
        started.append(Daemon(workers=2, env=env, **options).await_ready())
        return started[-1]
    yield make
    for each in started:
        each.finish()


@pytest.fixture(params=["pure", "native"])
def serve(daemon, request):
    """A connection to a daemon with one pool, `work`, of this interpreter."""
    def make(modules, **settings):
        return daemon(pools={"work": {"interpreter": PYTHON, "modules": [str(each) for each in modules], **settings}},
                      env={"PROCPOOL_PURE": "1" if request.param == "pure" else ""}).connect()
    return make


def restored(value):
    """With the pickles in it that a raw client has left as they came."""
    return pickle.loads(value.data) if isinstance(value, msgpack.ExtType) else value


@pytest.mark.parametrize("name, function, args", [
    ("math:hypot", math.hypot, [3, 4]),
    ("math:comb", math.comb, [60, 30]),
    ("json:dumps", json.dumps, [{"a": [1, None, "ä"]}]),
    ("json:loads", json.loads, ['{"a": [1, null, "ä"]}']),
    ("zlib:crc32", zlib.crc32, [b"procpool"]),
    ("statistics:quantiles", statistics.quantiles, [list(range(100))]),
    ("textwrap:wrap", textwrap.wrap, ["the quick brown fox jumps over the lazy dog", 12]),
    ("difflib:get_close_matches", difflib.get_close_matches, ["appel", ["ape", "apple", "peach", "puppy"]]),
    ("base64:b64encode", base64.b64encode, [bytes(range(256))]),
])
def test_functions_of_the_standard_library_say_what_they_say_here(serve, name, function, args):
    client = serve(LIBRARY)
    assert client.call("apply", name, args) == function(*args)
    many = client.call("map", name, [args] * 500, {"star": True})
    assert many == [function(*args)] * 500


def test_the_standard_library_is_offered_with_its_documentation(serve):
    client = serve(LIBRARY)
    docs = {row["name"]: row["doc"] for row in client.call("functions")}
    assert docs["math:hypot"] and docs["json:dumps"].startswith("Serialize ``obj`` to a JSON formatted")
    # What they only import is not theirs to offer.
    assert not {"statistics:sqrt", "textwrap:re", "zlib:error", "json:JSONDecoder"} & set(docs)
    assert client.error("apply", "os:system", ["true"])["code"] == "unknown-function"
    assert client.error("apply", "os:system", ["true"], {"pool": "work"})["code"] == "unknown-function"


def test_errors_of_the_standard_library_come_with_its_traceback(serve):
    error = serve(LIBRARY).error("apply", "json:loads", ["{"])
    assert error["type"] == "json.decoder.JSONDecodeError" and "decoder.py" in error["traceback"]


def test_numpy_computes_on_plain_values(serve):
    client = serve(NUMPY)
    matrix = [[2.0, 1.0], [1.0, 3.0]]
    assert client.call("apply", "numpy.linalg:det", [matrix]) == pytest.approx(5)
    assert client.call("apply", "numpy:interp", [2.5, [1, 2, 3], [3, 2, 0]]) == 1.0
    error = client.error("apply", "numpy.linalg:inv", [matrix])
    assert error["type"] == "TypeError" and "numpy.ndarray" in error["message"]
    assert client.error("apply", "numpy.linalg:inv", [[[0.0]]])["type"] == "numpy.linalg.LinAlgError"


def test_arrays_travel_where_pickles_do(serve):
    client = serve(NUMPY, pickle=True)
    matrix = numpy.random.default_rng(1).random((100, 100))
    options = {"pickle": True, "pool": "work"}
    inverse = restored(client.call("apply", "numpy.linalg:inv", [pickled(matrix)], options))
    assert numpy.allclose(inverse @ matrix, numpy.eye(100))
    spectra = client.call("map", "numpy.fft:rfft", [pickled(row) for row in matrix], options)
    assert numpy.allclose([restored(each) for each in spectra], numpy.fft.rfft(matrix))
    error = client.error("apply", "numpy.linalg:inv", [pickled(numpy.zeros((2, 2)))], options)
    assert isinstance(restored(error["data"]), numpy.linalg.LinAlgError)


def test_objects_of_the_standard_library_travel_where_pickles_do(serve):
    client = serve(["fractions"], pickle=True)
    options = {"pickle": pickle.dumps(fractions.Fraction.limit_denominator), "pool": "work"}
    value = client.call("apply", "x:y", [pickled(fractions.Fraction(math.pi)), 1000], options)
    assert restored(value) == fractions.Fraction(355, 113)


WORK = """
import os, resource, signal, sys, time
import procpool

def inc(x): return x + 1
def exit_(x):
    if x == 50: os._exit(3)
    return x
def sys_exit(x):
    if x == 50: sys.exit(3)
    return x
def crash(x):
    if x == 50: os.kill(os.getpid(), signal.SIGSEGV)
    return x
def say_and_crash():
    print("a last word", file=sys.stderr)
    os.abort()
def sleep(seconds): time.sleep(seconds); return seconds
def clean_up():
    try:
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
def spin():
    while True: pass
def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True: time.sleep(1)
def eat():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return len([bytearray(1 << 20) for _ in range(1 << 20)])
def deep():
    sys.setrecursionlimit(1 << 30)
    def f(): return f()
    def g(): return [*map(lambda _: g(), [1])]
    g()
def pid(): return os.getpid()
def index(_): time.sleep(0.01); return procpool.worker_index()
def socket_path(): return os.environ["PROCPOOL_SOCKET"]
def print_(text): print(text, end="")
"""


@pytest.fixture
def work(serve, tmp_path):
    return lambda **settings: serve([module(tmp_path, "work", WORK)], **settings)


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pool_that_takes_no_pickles_opens_none(work, tmp_path):
    client = work()
    evil = pickled(Evil(tmp_path / "made"))
    assert client.error("apply", "work:inc", [evil])["code"] == "bad-request"
    assert client.error("apply", "work:sleep", [], {"kwargs": {"seconds": evil}})["code"] == "bad-request"
    assert client.error("apply", "work:inc", [[evil, {"x": evil}]])["type"] == "TypeError"
    assert client.error("map", "work:inc", [evil])["code"] == "bad-request"
    assert client.error("apply", "work:inc", [evil], {"pickle": True, "pool": "work"})["code"] == "denied"
    assert client.error("apply", "work:inc", [], {"pickle": evil.data, "pool": "work"})["code"] == "denied"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name, code", [
    ("exit_", "worker-lost"), ("crash", "worker-lost"), ("sys_exit", "function-failed")])
def test_an_element_that_ends_its_worker_fails_alone(work, name, code):
    client = work()
    outcomes = client.call("map", f"work:{name}", list(range(1000)), {"errors": "collect"})
    assert [value for error, value in outcomes if error is None] == [x for x in range(1000) if x != 50]
    assert outcomes[50][0]["code"] == code


def test_the_last_words_of_a_worker_are_told(work):
    error = work().error("apply", "work:say_and_crash", [])
    assert error["code"] == "worker-lost" and error["signal"] == 6
    assert error["stderr"].startswith("a last word\nFatal Python error: Aborted\n")
    assert "in say_and_crash\n" in error["stderr"]


def test_too_deep_a_recursion_costs_one_worker(work):
    client = work()
    assert client.error("apply", "work:deep", [])["code"] in ("worker-lost", "function-failed")
    assert client.call("apply", "work:inc", [1]) == 2


def test_a_function_that_runs_too_long_is_stopped_and_keeps_its_worker(work, request):
    client = work(workers=1)
    pid = client.call("apply", "work:pid", [])
    for name in ("clean_up", "spin"):
        error = client.error("apply", f"work:{name}", [], {"timeout": 0.1})
        assert error["code"] == "timeout"
        if "native" in request.node.name:
            assert error["type"] == "procpool.Stopped"
            assert client.call("apply", "work:pid", []) == pid
    assert client.call("apply", "work:inc", [1]) == 2


def test_a_function_that_is_deaf_is_killed(work):
    client = work(workers=1, stop_seconds=0.1)
    assert client.error("apply", "work:deaf", [], {"timeout": 0.1})["code"] == "timeout"
    assert client.call("apply", "work:inc", [1]) == 2


def test_a_lack_of_memory_costs_one_call(work):
    client = work(workers=1)
    pid = client.call("apply", "work:pid", [])
    assert client.error("apply", "work:eat", [])["code"] == "out-of-memory"
    assert client.call("apply", "work:pid", []) == pid
    assert client.call("apply", "work:inc", [1]) == 2


def test_all_workers_work(work):
    client = work(workers=3)
    assert set(client.call("map", "work:index", [0] * 60, {"chunksize": 1})) == {0, 1, 2}


def test_functions_find_their_daemon(work):
    client = work()
    assert os.path.samefile(client.call("apply", "work:socket_path", []), client.sock.getpeername())


def test_a_restarted_pool_loads_what_is_new(work, tmp_path):
    client = work(workers=1)
    assert client.call("apply", "work:inc", [1]) == 2
    module(tmp_path, "work", "def inc(x): return x + 100\n")
    client.call("recycle", "work")
    eventually(lambda: client.call("apply", "work:inc", [1]) == 101)

# SPDX-License-Identifier: MIT
"""The loop of the extension _procpool in this process, with hooks that are a test's: what they may do wrong, and what
the daemon may."""

import random
import socket
import subprocess
import sys
import threading
import types

import msgpack
import pytest
from conftest import BUILD  # noqa: F401 (finds the extension)
from procpool import codec
from procpool.worker import failure

_procpool = pytest.importorskip("_procpool")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DEADLINE = 20.0
TASK, RESULT, ERROR = 4, 19, 20


class Hooks:
    message_bytes = 1 << 20
    value_depth = 24
    functions = {"same": lambda x: x, "fail": lambda x: {}[x]}

    def __init__(self):
        self.dirty = bytearray(1)
        self.flushed = 0

    def attach(self, running):
        self.running = running

    def function(self, name):
        return self.functions[name]

    callable = loads = staticmethod(codec.PICKLE.loads)
    dumps = staticmethod(codec.PICKLE.dumps)
    unpack = staticmethod(codec.unpackb)

    def plain(self, value):
        return codec.joined(codec.PLAIN.pack(value))

    def failure(self, exception, pickle):
        return failure.describe(exception, pickle, self.message_bytes)

    def flush(self):
        self.dirty[0] = 0
        self.flushed += 1


class Served:
    """The daemon's end."""

    def __init__(self, hooks):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(DEADLINE)
        self.unpacker = msgpack.Unpacker(max_buffer_size=1 << 30, **codec.UNPACKING)
        self.raised = None
        self.seq = 0

        def serve():
            try:
                _procpool.serve(theirs.fileno(), -1, hooks, 0)
            except BaseException as e:
                self.raised = e
            theirs.close()
        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def receive(self):
        for message in self.unpacker:
            return message
        data = self.sock.recv(1 << 20)
        if not data:
            return None
        self.unpacker.feed(data)
        return self.receive()

    def run(self, function, *items, star=False, **options):
        self.seq += 1
        self.sock.sendall(msgpack.packb([TASK, self.seq, 1, function, star, items] + ([options] if options else [])))
        answers = []
        while len(answers) < len(items):
            number, seq, index, _, content = self.receive()
            assert (seq, index) == (self.seq, len(answers))
            answers += content if number == RESULT else [content]
        return answers

    def end(self):
        self.sock.close()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()


@pytest.fixture
def serve():
    running = []

    def start(**replaced):
        hooks = Hooks()
        hooks.functions = {**hooks.functions, **replaced.pop("functions", {})}
        vars(hooks).update(replaced)
        running.append(Served(hooks))
        running[-1].hooks = hooks
        return running[-1]
    yield start
    for each in running:
        each.end()


def raises(*_):
    raise RuntimeError("a hook is broken")


def test_calls_are_answered(serve):
    served = serve()
    assert served.run("same", 1, "two", None) == [1, "two", None]
    assert served.run("fail", "x")[0]["type"] == "KeyError"


def test_the_end_of_the_channel_ends_it(serve):
    served = serve()
    served.end()
    assert served.raised is None


@pytest.mark.parametrize("given", [raises, lambda e, p: None, lambda e, p: "text", lambda e, p: b"", lambda e, p: b"\x01",
                                   lambda e, p: b"\x81\xa1", lambda e, p: b"\x81\xa1a" + b"\x91" * 30 + b"\x01"])
def test_an_exception_that_cannot_be_described_is_told_by_its_type(serve, given, capfd):
    served = serve(failure=given)
    assert served.run("fail", "x") == [{
        "code": "function-failed", "message": "fail failed, and its exception cannot be described",
        "type": "ValueError" if given is not raises else "RuntimeError"}]
    assert served.run("same", 1) == [1]


@pytest.mark.parametrize("hook, given", [("plain", raises), ("plain", lambda v: None), ("plain", lambda v: b""),
                                         ("plain", lambda v: b"\x92\x01"), ("plain", lambda v: b"\x01\x02"),
                                         ("unpack", raises)])
def test_a_value_that_cannot_be_packed_or_unpacked_fails_its_element(serve, hook, given):
    served = serve(**{hook: given})
    (error,) = served.run("same", [1])
    assert error["code"] == "function-failed"
    assert served.run("same", 1) == [1]


@pytest.mark.parametrize("hook, given", [("dumps", raises), ("dumps", lambda v: "text"), ("loads", raises),
                                         ("callable", raises), ("callable", lambda p: None)])
def test_a_pickle_that_cannot_be_made_or_loaded_fails_its_element(serve, hook, given):
    served = serve(**{hook: given})
    value = msgpack.ExtType(80, codec.PICKLE.dumps((1,)))
    pickle = b"" if hook == "callable" else True
    assert [error["code"] for error in served.run("same", value, value, pickle=pickle)] == ["function-failed"] * 2
    assert served.run("same", 1, pickle=True) == [1]


def test_a_function_that_is_not_found_is_looked_for_once_a_task(serve):
    asked = []

    def function(name):
        asked.append(name)
        raise LookupError(name)
    served = serve(function=function)
    assert [error["type"] for error in served.run("ä", 1, 2, 3)] == ["LookupError"] * 3
    assert asked == ["ä"]


def test_what_is_printed_is_flushed_once(serve):
    served = serve(functions={"print": lambda x: served.hooks.dirty.__setitem__(0, x)})
    served.run("print", 0, 1, 0, 1)
    assert served.hooks.flushed == 2


def test_a_failing_flush_fails_nothing(serve, capfd):
    served = serve(flush=raises)
    served.hooks.dirty[0] = 1
    assert served.run("same", 1, 2) == [1, 2]


@pytest.mark.parametrize("missing", ["function", "failure", "dirty", "message_bytes", "attach"])
def test_hooks_that_lack_something_are_refused(missing):
    hooks = types.SimpleNamespace(**{name: getattr(Hooks(), name) for name in dir(Hooks()) if name[0] != "_"})
    delattr(hooks, missing)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(AttributeError, match=missing):
        _procpool.serve(theirs.fileno(), -1, hooks, 0)


@pytest.mark.parametrize("name, value", [("message_bytes", 10), ("value_depth", 0), ("value_depth", 33),
                                         ("dirty", bytearray()), ("dirty", b"0")])
def test_hooks_out_of_their_limits_are_refused(name, value):
    hooks = Hooks()
    setattr(hooks, name, value)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises((ValueError, BufferError)):
        _procpool.serve(theirs.fileno(), -1, hooks, 0)


def test_only_one_channel_is_served(serve):
    served = serve()
    assert served.run("same", 1) == [1]
    with pytest.raises(RuntimeError, match="already"):
        _procpool.serve(served.sock.fileno(), -1, Hooks(), 0)


def test_a_page_that_is_none_is_refused():
    with open("/dev/null", "rb") as file, pytest.raises(OSError):
        _procpool.serve(file.fileno(), file.fileno(), Hooks(), 0)


def test_outside_of_calls_nothing_runs():
    assert _procpool.job() == 0 and _procpool.attempt() == 1
    assert _procpool.stopped() is _procpool.interrupt() is False
    assert _procpool.progress(b"\x01") is None and _procpool.send(b"\x01") is False


@pytest.mark.parametrize("given, error", [("text", TypeError), (b"", ValueError), (b"\x01\x02", ValueError),
                                          (b"\x92\x01", ValueError), (bytearray(b"\x01"), TypeError)])
def test_what_is_told_must_be_one_value(given, error):
    for function in (_procpool.progress, _procpool.send):
        with pytest.raises(error):
            function(given)


def test_progress_that_is_too_large_is_refused(serve):
    caught = []

    def function(x):
        try:
            _procpool.progress(msgpack.packb(b"x" * x))
        except ValueError as e:
            caught.append(str(e))
    served = serve(functions={"f": function})
    served.run("f", 5000)
    assert len(caught) == 1


def test_messages_are_sent_between_others(serve):
    served = serve(functions={"f": lambda x: _procpool.send(msgpack.packb([21, "info", "log"]))})
    served.sock.sendall(msgpack.packb([TASK, 1, 1, "same", False, [1]]) + msgpack.packb([TASK, 2, 1, "f", False, [1]]))
    assert [served.receive()[0] for _ in range(3)] == [RESULT, 21, RESULT]


@pytest.mark.parametrize("message", [
    [1, {}], [3, 1, 9], [4, 1, 1, "same", False], [4, -1, 1, "same", False, []], [4, 1, 1, None, False, []],
    [4, 1, 1, "same", 1, []], [4, 1, 1, "same", False, 5], [4, 1, "job", "same", False, []], {}, 4, "text", [],
    [4, 2**33, 1, "same", False, []],
])
def test_what_is_no_task_ends_it(serve, message):
    served = serve()
    served.sock.sendall(msgpack.packb(message))
    served.thread.join(DEADLINE)
    assert isinstance(served.raised, OSError)


@pytest.mark.parametrize("options", [{"kwargs": {1: 2}}, {"kwargs": [1, 2, 3]}, {"kwargs": 5}, {"pickle": 5},
                                     {"pickle": None}, {"attempt": -1}, {"attempt": "x"}, {"timeout": None}, {"x": 1}])
def test_odd_options_end_nothing(serve, options):
    served = serve()
    for _ in range(2):
        (answer,) = served.run("same", 7, **options)
        assert answer == 7 or answer["type"] == "TypeError"


def test_mutilated_messages_end_nothing_but_the_loop(serve):
    """Whatever comes, it is answered, or the channel given up."""
    rng = random.Random(7)
    good = msgpack.packb([TASK, 1, 1, "same", False, [1, "two", b"three", [4], {"f": 5}, msgpack.ExtType(80, b"x"), 2**40]])
    good += msgpack.packb([TASK, 2, 1, "same", True, [[1], ["two"]], {"kwargs": {"a": 1}, "pickle": True}])
    for _ in range(300):
        served = serve()
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        served.sock.sendall(bad)
        served.sock.shutdown(socket.SHUT_WR)
        while served.receive() is not None:
            pass
        served.end()
        assert served.raised is None or isinstance(served.raised, OSError)


# Where it is not for


def test_other_interpreters_do_without():
    pytest.importorskip("_xxsubinterpreters")
    script = "import _xxsubinterpreters as x; x.run_string(x.create(), 'import _procpool')"
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and "_procpool works in the main interpreter only" in done.stderr

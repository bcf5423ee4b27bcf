# SPDX-License-Identifier: MIT
"""The exceptions, and how they are made of what the daemon tells."""

import pickle
import re
import traceback

import pytest
from conftest import TESTS
from procpool import codec, errors
from procpool.codec import PICKLE


def test_every_code_of_the_protocol_has_a_class():
    text = (TESTS.parent / "proto" / "PROTOCOL.md").read_text()
    table = text[text.index("| code | when |"):].split("\n\n")[0]
    codes = re.findall(r"^\| `([a-z-]+)` \|", table, re.M)
    assert len(codes) > 15 and {*codes, "connection-lost"} == set(errors.CLASSES)


@pytest.mark.parametrize("code", errors.CLASSES)
def test_an_error_keeps_what_was_told_also_through_a_pickle(code):
    error = errors.from_wire({"code": code, "message": "so it is", "job": 7, "index": 2, "new_key": [1]})
    assert type(error) is errors.CLASSES[code] and isinstance(error, errors.Error)
    for each in error, pickle.loads(pickle.dumps(error)):
        assert type(each) is type(error) and (each.code, each.message, each.job, each.index) == (code, "so it is", 7, 2)
        assert each.fields["new_key"] == [1] and "so it is" in str(each) and each.attempts is None


def test_its_attributes_are_those_that_the_daemon_told():
    lost = errors.from_wire({"code": "worker-lost", "message": "it died", "signal": 9, "pid": 5, "stderr": "oh\n"})
    assert (lost.signal, lost.exit_status, lost.pid, lost.stderr) == (9, None, 5, "oh\n")
    assert str(lost) == "it died\nIts standard error ended with:\noh"


@pytest.mark.parametrize("code, builtin", [("unknown-function", LookupError), ("denied", PermissionError),
                                           ("out-of-memory", MemoryError), ("not-ready", TimeoutError),
                                           ("connection-lost", ConnectionError)])  # fmt: skip
def test_some_are_builtin_exceptions_too(code, builtin):
    assert isinstance(errors.from_wire({"code": code, "message": "no"}), builtin)


@pytest.mark.parametrize("wire", [None, 7, [], {}, {"code": 1}, {"code": "x", "message": 2, 3: 4, "self": 5}, "", "odd",
                                  {"code": "function-failed", "type": 3, "traceback": 4, "data": 5},
                                  {"code": "unknown-function", "suggestions": 3},
                                  {"code": "worker-lost", "message": "m", "fields": 1, "args": 2}],
                         ids=repr)  # fmt: skip
def test_whatever_is_told_becomes_an_error(wire):
    error = errors.from_wire(wire)
    assert isinstance(error, errors.Error) and isinstance(str(error), str) and repr(error)


def test_a_code_of_a_later_protocol_is_kept():
    error = errors.from_wire({"code": "too-late", "message": "m"})
    assert type(error) is errors.Error and error.code == pickle.loads(pickle.dumps(error)).code == "too-late"


def test_an_error_may_come_as_text():
    error = errors.from_wire("no-such-pool: no pool x: y")
    assert type(error) is errors.NoSuchPool and error.message == "no pool x: y"


def failed(raised, **keys):
    data = codec.unpackb(codec.joined(PICKLE.pack(raised)))
    return {"code": "function-failed", **errors.describe(raised, "Traceback: here\n"), "data": data, **keys}


def test_a_trusted_exception_is_raised_as_it_was_with_the_workers_traceback():
    error = errors.from_wire(failed(KeyError("k")), PICKLE.restore)
    assert type(error) is KeyError and error.args == ("k",)
    assert type(error.__cause__) is errors.RemoteTraceback and error.__cause__.tb == "Traceback: here\n"
    assert '"""\nTraceback: here\n"""' in "".join(traceback.format_exception(type(error), error, None))


def test_an_exception_that_is_not_trusted_is_told_only():
    error = errors.from_wire(failed(KeyError("k")))
    assert type(error) is errors.FunctionFailed and (error.type, error.message) == ("KeyError", "'k'")
    assert str(error) == "KeyError: 'k'" and error.data is None and error.__cause__.tb == "Traceback: here\n"


def test_an_exception_that_cannot_be_unpickled_is_told_with_the_reason():
    error = errors.from_wire({**failed(KeyError("k")), "data": codec.Pickled(b"junk")}, PICKLE.restore)
    assert type(error) is errors.FunctionFailed and "'k' (it cannot be unpickled here: " in error.message


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), "no exception"], ids=repr)
def test_what_would_end_the_program_is_told_only(raised):
    wire = {"code": "function-failed", "message": "", "type": "X", "data": codec.Pickled(pickle.dumps(raised))}
    assert type(errors.from_wire(wire, PICKLE.restore)) is errors.FunctionFailed


def test_a_result_that_could_not_be_pickled_is_the_librarys_error():
    from multiprocessing.pool import MaybeEncodingError

    error = errors.from_wire({"code": "function-failed", "type": errors.MAYBE_ENCODING_ERROR, "message": "m",
                              "data": ["TypeError('no')", "<lambda>"]})  # fmt: skip
    assert type(error) is MaybeEncodingError and (error.exc, error.value) == ("TypeError('no')", "<lambda>")
    assert str(error) == str(MaybeEncodingError(TypeError("no"), None)).replace("None", "<lambda>")


class Awkward(Exception):
    def __str__(self):
        raise RuntimeError


def test_exceptions_are_described_by_class_and_text():
    assert errors.describe(ValueError("no")) == {"type": "ValueError", "message": "no"}
    assert errors.describe(pickle.PicklingError("p"), "tb")["type"] == "_pickle.PicklingError"
    assert errors.describe(Awkward()) == {
        "type": "test_errors.Awkward", "message": "<str() of it failed: RuntimeError>"}  # fmt: skip

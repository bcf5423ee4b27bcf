# SPDX-License-Identifier: MIT
"""The module API and the modules that ship, call by call."""

import hashlib
import math
import os
import signal

import pytest

from driver import TEST_MODULES, Spawner

VALUES = os.path.join(TEST_MODULES, "values.so")


@pytest.fixture(scope="module")
def spawner():
    spawner = Spawner(["demo", "digest", VALUES], cwd="/usr")
    spawner.ready()
    yield spawner
    assert spawner.close() == 0


@pytest.fixture
def worker(spawner):
    worker = spawner.fork().ready()
    yield worker
    worker.sock.close()
    spawner.expect_exited(worker.number)


def test_every_type_is_read_and_written(worker):
    args = [True, -5, 2**64 - 1, 1.5, "h\u00e4", b"\x00\xff"]
    assert worker.apply("values.all", *args) == args


@pytest.mark.parametrize("index, wrong, expected", [
    (0, 1, "argument 1 of values.all must be a bool"),
    (1, 2**63, "argument 2 of values.all must be an int from"),
    (2, -1, "argument 3 of values.all must be an int from 0"),
    (3, 2**53 + 1, "argument 4 of values.all must be a float"),
    (4, b"", "argument 5 of values.all must be a string, not bytes"),
    (5, {}, "argument 6 of values.all must be bytes or a string, not map"),
])
def test_argument_of_another_type_is_a_bad_request_that_names_it(worker, index, wrong, expected):
    args = [True, -5, 2**64 - 1, 1.5, "h", b"x"]
    args[index] = wrong
    error = worker.apply_error("values.all", *args)
    assert error["code"] == "bad-request" and error["message"].startswith(expected)


def test_wrong_number_of_arguments_is_told(worker):
    error = worker.apply_error("values.all", 1)
    assert error == {"code": "bad-request", "message": "values.all takes 6 arguments, 1 given"}
    assert "takes 1 to 2 arguments" in worker.apply_error("values.text")["message"]
    assert "missing" in worker.apply_error("values.text", "a")["message"]


def test_arguments_can_be_visited_in_any_order(worker):
    args = [1, [2, [3]], {"k": "v"}, "x" * 300, None]
    assert worker.apply("values.backwards", *args) == args[::-1]
    assert worker.apply("values.backwards") == []


def test_text_is_terminated_and_without_nul(worker):
    assert worker.apply("values.text", "ab", b"cd") == "abcd"
    assert "NUL" in worker.apply_error("values.text", "a\0b", "c")["message"]


def test_scalars_return(worker):
    names = ["nil", "bool", "int", "uint", "double", "string_n", "bytes"]
    values = [value for _, value in worker.map("values.scalar", names)]
    assert values == [None, True, -2**63, 2**64 - 1, 0.5, "a\0b", b"\xff\0"]


def test_last_returned_value_counts(worker):
    assert worker.apply("values.changes_its_mind") == 2


def test_piece_of_the_arguments_is_returned_as_it_is(worker):
    assert worker.apply("values.part", [{"a": [1]}, 2]) == {"a": [1]}


@pytest.mark.parametrize("function", ["too_few", "too_many", "empty"])
def test_malformed_result_fails_its_call_alone(worker, function):
    outcomes = worker.map(f"values.{function}", [[], []], star=True)
    assert [error["code"] for _, error in outcomes] == ["function-failed"] * 2
    assert "well-formed" in outcomes[0][1]["message"]
    assert worker.apply("demo.inc", 1) == 2


@pytest.mark.parametrize("argument", [None, [1, 2]])
def test_value_that_is_none_fails_its_call_alone(worker, argument):
    assert worker.apply_error("values.malformed", argument)["code"] == "function-failed"
    assert worker.apply("demo.inc", 1) == 2


def test_value_as_deep_as_allowed_returns_and_a_deeper_one_is_too_large(worker):
    value = worker.apply("values.deep", 24)
    for _ in range(24):
        value = value[0]
    assert value is None
    error = worker.apply_error("values.deep", 25)
    assert error["code"] == "too-large" and "24" in error["message"]


def test_value_over_message_bytes_is_too_large():
    spawner = Spawner([VALUES, "demo"], message_bytes=1 << 20)
    spawner.ready()
    worker = spawner.fork().ready()
    assert len(worker.apply("values.big", (1 << 20) - 100)) == (1 << 20) - 100
    assert worker.apply_error("values.big", 1 << 20)["code"] == "too-large"
    assert worker.apply("demo.inc", 1) == 2
    spawner.close()


@pytest.mark.parametrize("size", [0, 100, 61000, 61417, 61418, 61419, 61440, 70000, 1 << 20, 48 << 20])
def test_value_of_any_size_returns_among_others(worker, size):
    outcomes = worker.map("values.big", [3, size, 5])
    assert [(kind, len(value)) for kind, value in outcomes] == [("ok", 3), ("ok", size), ("ok", 5)]


def test_failure_without_a_word_is_told(worker):
    error = worker.apply_error("values.silent")
    assert error["code"] == "function-failed" and "(3)" in error["message"]


def test_failure_carries_type_message_and_data(worker):
    assert worker.apply_error("values.fails", 1) == {
        "code": "function-failed", "type": "ValuesError", "message": "wrong by 1", "data": ["why"]}
    assert "data" in worker.apply_error("values.fails", 24)
    assert "data" not in worker.apply_error("values.fails", 25)


def test_failure_outranks_a_value_returned_after_it(worker):
    assert worker.apply_error("values.careless", "x")["code"] == "bad-request"
    assert worker.apply("values.careless", 3) == 3


def test_named_arguments_are_a_bad_request(worker):
    error = worker.map("demo.inc", [1], kwargs={"x": 1})[0][1]
    assert error["code"] == "bad-request" and "named arguments" in error["message"]
    assert worker.map("demo.inc", [1], kwargs={}, later=True) == [("ok", 2)]


def test_star_needs_arrays(worker):
    outcomes = worker.map("demo.inc", [[1], 2, [3]], star=True)
    assert [kind for kind, _ in outcomes] == ["ok", "error", "ok"]
    assert outcomes[1][1]["code"] == "bad-request"


def test_unknown_function_is_told_for_every_element(worker):
    outcomes = worker.map("demo.nothing", [1, 2])
    assert [error["code"] for _, error in outcomes] == ["unknown-function"] * 2


def test_inc(worker):
    items = [41, -1, 2**63 - 1, 2**64 - 2, -2**63, 0.5]
    assert worker.map("demo.inc", items) == [("ok", x + 1) for x in items]
    assert worker.apply("demo.inc", math.inf) == math.inf
    assert worker.apply_error("demo.inc", 2**64 - 1)["type"] == "OverflowError"
    assert worker.apply_error("demo.inc", "x")["code"] == "bad-request"


def test_echo_returns_what_it_gets(worker):
    for x in [None, True, -1, 2.5, "s", b"b", [1, [2]], {"k": [None]}, "x" * 100000]:
        assert worker.apply("demo.echo", x) == x


def test_len(worker):
    items = ["h\u00e4\U0001f600", b"\xc3\xa4", [1, 2], {"a": 1}, ""]
    assert [value for _, value in worker.map("demo.len", items)] == [3, 2, 2, 1, 0]
    assert worker.apply_error("demo.len", 5)["code"] == "bad-request"


def test_pid_sleep_and_spin(worker):
    assert worker.apply("demo.pid") == worker.pid
    assert worker.apply("demo.sleep", 0.001) is None
    assert worker.apply("demo.spin", 1) is None
    for wrong in [-1, math.nan, math.inf, "x"]:
        assert worker.apply_error("demo.sleep", wrong)["code"] == "bad-request"


def test_fail(worker):
    assert worker.apply_error("demo.fail", "on purpose") == {
        "code": "function-failed", "type": "DemoError", "message": "on purpose"}


def test_alloc(worker):
    assert worker.apply("demo.alloc", 1 << 20) == 1 << 20
    assert worker.apply_error("demo.alloc", 2**63)["code"] == "out-of-memory"


@pytest.mark.parametrize("args, number", [([], signal.SIGSEGV), ([9], 9), ([6], 6), ([15], 15)])
def test_crash_ends_the_worker_by_that_signal(spawner, args, number):
    worker = spawner.fork().ready()
    worker.task("demo.crash", [args], star=True)
    ended = worker.exited()
    assert ended["signal"] == number
    assert set(ended) == {"signal", "user_us", "system_us", "max_rss_kib"}


def test_crash_by_a_signal_that_ends_nothing_fails(worker):
    assert worker.apply_error("demo.crash", int(signal.SIGCHLD))["type"] == "DemoError"
    assert worker.apply_error("demo.crash", 0)["code"] == "bad-request"


def test_sha256_of_files_and_bytes(worker, tmp_path):
    content = os.urandom(300000)
    for data in [b"", b"abc", content]:
        file = tmp_path / "file"
        file.write_bytes(data)
        expected = hashlib.sha256(data).hexdigest()
        assert worker.apply("digest.sha256", str(file)) == expected
        assert worker.apply("digest.sha256", os.fsencode(file)) == expected
        assert worker.apply("digest.sha256_bytes", data) == expected


def test_sha256_of_a_file_that_cannot_be_read_says_why_and_where(worker, tmp_path):
    error = worker.apply_error("digest.sha256", "no/such")
    assert error["type"] == "OSError"
    assert error["message"].endswith("working directory /usr: No such file or directory")
    message = worker.apply_error("digest.sha256", "/no/such")["message"]
    assert message == "cannot read /no/such: No such file or directory"
    assert "Is a directory" in worker.apply_error("digest.sha256", str(tmp_path))["message"]


def test_sha256_of_a_fifo_or_device_is_refused_at_once(worker, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in [str(tmp_path / "fifo"), "/dev/null", "/dev/zero"]:
        assert "not a regular file" in worker.apply_error("digest.sha256", path)["message"]

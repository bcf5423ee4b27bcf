# SPDX-License-Identifier: MIT
"""Configured pools of a Python: what is said where it cannot serve, of whatever kind the interpreter is."""

import pathlib

import pytest
from procpoold import PYTHON, eventually

HERE = pathlib.Path(__file__).parent


def make_program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def failure(server):
    """Why the pool `work` cannot start workers."""
    with server.connect() as client:
        return eventually(lambda: client.call("pools")[0]["error"])


@pytest.fixture
def serve(daemon):
    return lambda interpreter, **settings: daemon(
        workers=1, pools={"work": {"interpreter": interpreter, "modules": ["work"], **settings}})  # fmt: skip


@pytest.fixture
def bare(tmp_path):
    """A Python that has no package procpool, for whoever looks where it is run from."""
    return make_program(tmp_path / "python", f"#!/bin/sh\nexec {PYTHON} -I -S \"$@\"\n")


def test_it_is_run_with_the_package(serve, tmp_path):
    program = make_program(tmp_path / "python", f'#!/bin/sh\nshift 2\nexec {PYTHON} {HERE}/naming_runtime.py "$@"\n')
    client = serve(program).connect()
    assert client.call("apply", "work:inc", [41]) == 42
    row = client.call("pools")[0]
    assert (row["runtime"], row["modules"], row["pickle"]) == (program, ["work"], False)
    arguments = make_program(tmp_path / "tells", '#!/bin/sh\necho "$@" >&2\nexit 1\n')
    assert failure(serve(arguments))["stderr"] == "-m procpool.worker\n"


def test_a_missing_package_is_told_with_what_to_install(serve, bare):
    server = serve(bare)
    error = failure(server)
    assert error["code"] == "initializer-failed"
    assert f"pool work: its runtime {bare} exited with status 1 before it said hello" in error["message"]
    assert f"install that: {bare} -m pip install procpool" in error["message"]
    assert "procpool" in error["stderr"] and "No module named" in error["stderr"]
    assert f"{bare} -m pip install procpool" in server.stderr()
    assert server.connect().error("apply", "work:inc", [1]) | {"job": 0} == error | {"job": 0}


def test_a_package_of_another_protocol_is_told_with_both_versions(serve, tmp_path):
    program = make_program(tmp_path / "python", f"#!{PYTHON}\nimport socket, msgpack\n"
                           "socket.socket(fileno=3).sendall(msgpack.packb([16, {'protocol': 7, 'runtime': 'python', "
                           "'version': '9.9'}]))\nimport threading; threading.Event().wait()\n")  # fmt: skip
    server = serve(program)
    message = failure(server)["message"]
    assert f"its runtime {program} (python 9.9) speaks version 7 of the worker protocol" in message
    assert "this daemon version 1" in message and f"{program} -m pip install procpool==" in message
    assert "(python 9.9) speaks version 7" in server.stderr()


def test_what_an_unknown_version_calls_itself_is_made_fit_to_be_shown(serve, tmp_path):
    program = make_program(tmp_path / "python", f"#!{PYTHON}\nimport socket, msgpack\n"
                           "socket.socket(fileno=3).sendall(msgpack.packb([16, {'protocol': 2**64 - 1, 'runtime': "
                           "'x' * 5000, 'version': '\\x1b[2J\\n'}]))\n"
                           "import threading; threading.Event().wait()\n")  # fmt: skip
    server = serve(program)
    message = failure(server)["message"]
    assert "speaks version 18446744073709551615" in message and len(message) < 1000
    assert "\x1b" not in message + server.stderr()


def test_an_interpreter_that_is_not_there_is_named(serve):
    assert "/nonexistent/python3" in failure(serve("/nonexistent/python3"))["message"]


def test_another_end_before_hello_gives_no_wrong_advice(serve, tmp_path):
    program = make_program(tmp_path / "python", "#!/bin/sh\nkill -SEGV $$\n")
    message = failure(serve(program))["message"]
    assert f"its runtime {program} was ended by signal 11" in message and "pip" not in message


def test_a_program_that_is_no_runtime_is_named(daemon):
    server = daemon(pools={"work": {"runtime": ["/bin/ls", "/nonexistent"], "modules": ["work"]}})
    error = failure(server)
    assert "its runtime /bin/ls exited with status 2 before it said hello" in error["message"]
    assert "/nonexistent" in error["stderr"] and "pip" not in error["message"]


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"interpreter": PYTHON, "runtime": [PYTHON], "modules": ["x"]}, "has runtime and interpreter"),
        ({"interpreter": "", "modules": ["x"]}, "interpreter is empty"),
        ({"interpreter": PYTHON}, "nothing to serve"),
    ],
)
def test_what_makes_no_sense_is_refused(start, settings, reason):
    server = start(pools={"work": settings})
    server.expected_status = 1
    assert server.await_exit() == 1 and reason in server.stderr()

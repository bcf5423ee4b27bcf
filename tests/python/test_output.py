# SPDX-License-Identifier: MIT
"""What workers print appears on the program's own streams."""

import contextlib
import io
import os
import subprocess
import sys
import textwrap

import pytest

import pool_functions as work
import procpool
from procpool.output import Output

SECONDS = work.SECONDS


@pytest.fixture(scope="module")
def pool(daemon_of_mine):
    with procpool.Pool(2) as pool:
        yield pool


def test_it_has_appeared_when_the_result_is_there(pool, capsys):
    for i in range(20):
        pool.apply(work.print_to_both, (f"line {i}",))
        assert capsys.readouterr() == (f"line {i}\n", f"line {i}\n")


def test_it_goes_to_what_stdout_is_at_the_time(pool):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        pool.map(work.print_to_both, ["redirected"] * 3)
    assert out.getvalue() == err.getvalue() == "redirected\n" * 3


def test_it_keeps_the_order_of_each_worker(pool, capsys):
    pool.map(work.print_with_pid, range(500))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sorted(int(number) for _, number in lines) == list(range(500))
    for pid in {pid for pid, _ in lines}:
        for chunk in chunks_of([int(number) for each, number in lines if each == pid]):
            assert chunk == sorted(chunk)


def chunks_of(numbers):
    """Runs of consecutive numbers: a worker may be given a later chunk first."""
    runs = [[]]
    for number in numbers:
        if runs[-1] and number != runs[-1][-1] + 1:
            runs.append([])
        runs[-1].append(number)
    return runs


def test_it_comes_before_the_error(pool, capsys):
    with pytest.raises(procpool.WorkerLost):
        pool.apply(work.end_with_last_words)
    assert "last words\n" in capsys.readouterr().err


def test_large_output_comes_whole(pool, capsys):
    text = "äöü€\U0001f600" * 50_000
    pool.apply(work.print_to_both, (text,))
    assert capsys.readouterr() == (text + "\n", text + "\n")


@pytest.mark.parametrize("broken", ["closed", "none", "raising"])
def test_a_broken_stream_costs_no_result(pool, monkeypatch, broken):
    stream = io.StringIO()
    if broken == "closed":
        stream.close()
    elif broken == "raising":
        stream.write = lambda text: 1 / 0
    monkeypatch.setattr(sys, "stdout", None if broken == "none" else stream)
    assert pool.map(work.print_to_both, ["x"] * 5) == ["x"] * 5


def test_a_program_whose_reader_has_gone_gets_its_results(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        import os, sys
        import procpool, pool_functions
        if __name__ == "__main__":
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(writer)
            os.close(reader)
            with procpool.Pool(1) as pool:
                assert pool.apply(pool_functions.print_to_both, ("x",)) == "x"
            sys.stderr.write("fine")
            os._exit(0)
    """))
    env = {**os.environ, "PYTHONPATH": ":".join([os.path.dirname(work.__file__), os.environ["PYTHONPATH"]])}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=SECONDS, env=env)
    assert done.stderr.endswith("fine")


# The decoders

def test_characters_may_be_torn(capsys):
    output, data = Output(), "ä€\U0001f600".encode()
    for i in range(len(data)):
        output.show(1, "stdout", data[i:i + 1])
        output.show(2, "stdout", data[i:i + 1])
    assert sorted(capsys.readouterr().out) == sorted("ä€\U0001f600" * 2)


def test_what_remained_incomplete_is_shown_at_the_end(capsysbinary):
    output = Output()
    output.show(1, "stdout", b"x\xc3")
    assert capsysbinary.readouterr().out == b"x"
    output.finish()
    assert capsysbinary.readouterr().out == b"\xc3"


def test_bytes_that_are_no_text_pass(capsysbinary):
    Output().show(1, "stderr", b"\xff\xfe\n")
    assert capsysbinary.readouterr().err == b"\xff\xfe\n"


def test_a_stream_of_another_encoding_takes_what_it_can(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", ascii_only(stream.write), raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    Output().show(1, "stdout", "ä".encode())
    assert stream.getvalue() == r"\xc3\xa4"


def ascii_only(write):
    return lambda text: write(text.encode("ascii").decode())

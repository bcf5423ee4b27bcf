# SPDX-License-Identifier: MIT
"""What workers print appears on the program's own streams."""

import io
import sys

from procpool.output import Output


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

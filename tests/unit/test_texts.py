# SPDX-License-Identifier: MIT
"""The examples in PROTOCOL.md and WORKER.md are the golden vectors: their bytes, and their JSON beside them."""

import json
import pathlib
import re

import pytest

PROTO = pathlib.Path(__file__).parents[2] / "proto"
BLOCK = re.compile(r"^```hex (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"  ((?:[0-9a-f]{2} ?)+)\s*(?:# (.*))?")


def messages_of(block):
    """The messages of one example: a line without indentation names who sends what follows it."""
    messages = []
    for line in block.splitlines():
        if not line.startswith(" "):
            messages.append({"from": line, "hex": "", "json": ""})
            continue
        match = LINE.fullmatch(line)
        assert match, line
        messages[-1]["hex"] += match[1].replace(" ", "")
        messages[-1]["json"] += match[2] or ""
    return messages


def examples(text):
    return {name: messages_of(block) for name, block in BLOCK.findall((PROTO / text).read_text())}


@pytest.mark.parametrize("text, file", [("PROTOCOL.md", "client.json"), ("WORKER.md", "worker.json")])
def test_examples_are_the_vectors(text, file):
    shown = examples(text)
    vectors = {vector["name"]: vector["messages"] for vector in json.loads((PROTO / "vectors" / file).read_text())}
    assert shown.keys() == vectors.keys()
    for name, messages in vectors.items():
        assert [m["from"] for m in shown[name]] == [m["from"] for m in messages], name
        assert [m["hex"] for m in shown[name]] == [m["hex"] for m in messages], name
        assert [json.loads(m["json"]) for m in shown[name]] == [m["message"] for m in messages], name


@pytest.mark.parametrize("text", ["PROTOCOL.md", "WORKER.md"])
def test_no_example_stays_unread(text):
    """Every fence that says hex is one that the other test finds."""
    content = (PROTO / text).read_text()
    assert len(re.findall(r"^```hex", content, re.MULTILINE)) == len(examples(text)) > 10

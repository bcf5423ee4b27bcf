# SPDX-License-Identifier: MIT
"""The programs that README.md shows compile without a warning and do what it says."""

import pathlib
import re
import subprocess
import sys

import pytest
from procpoold import devenv, sanitized

ROOT = pathlib.Path(__file__).parents[2]


def program(language, containing):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    return block


@pytest.fixture
def compile_(tmp_path):
    """Compiles a program of the README by the command in its first line."""

    def run(containing, *flags):
        text = program("c", containing)
        [(source, command)] = re.findall(r"\A/\* (\S+): cc (.*) \*/$", text, re.MULTILINE)
        (tmp_path / source).write_text(text)
        command = " ".join(["cc -Wall -Wextra -Werror", *flags, command])
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=devenv())
        [binary] = set(tmp_path.iterdir()) - {tmp_path / source}
        return binary

    return run


def test_the_module_of_the_readme_greets(compile_, daemon):
    module = compile_("PROCPOOL_MODULE")
    client = daemon(modules=[module]).connect()
    assert client.call("apply", "polite.greet", ["Ada"]) == ["hello", "Ada"]
    assert client.error("apply", "polite.greet", [""])["type"] == "ValueError"


def test_the_c_program_of_the_readme_prints_42(compile_, daemon):
    binary = compile_("int main", *(["-fsanitize=address,undefined"] if sanitized() else []))  # as the library is
    env = devenv() | {"PROCPOOL_SOCKET": str(daemon().path)}
    assert subprocess.run([binary], env=env, capture_output=True, text=True, check=True).stdout == "42\n"


def test_the_python_program_of_the_readme_prints_the_map(daemon):
    env = devenv() | {"PROCPOOL_SOCKET": str(daemon().path)}
    ended = subprocess.run([sys.executable, "-c", program("python", "msgpack")], env=env, capture_output=True, text=True)
    assert ended.stdout == "[1, 1, None, [2, 3, 4]]\n", ended.stderr


def test_the_configuration_of_the_readme_is_accepted(start):
    text = program("conf", 'pool "codecs"')
    server = start(workers=None, config=text).await_ready()
    assert {row["name"]: row["target"] for row in server.connect().call("pools")}["codecs"] == 2

# SPDX-License-Identifier: MIT
"""The programs that README.md shows compile without a warning and do what it says."""

import pathlib
import re
import subprocess
import sys

import pytest
from procpoold import BUILD, devenv, sanitized

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ["-Wall", "-Wextra", "-Werror"] + [
    f"-I{ROOT}/{folder}" for folder in ("client/include", "proto/include", "daemon/runtime/include")
]


def program(language, containing):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    return block


@pytest.fixture
def compile_(tmp_path):
    def run(name, containing, *flags):
        (tmp_path / f"{name}.c").write_text(program("c", containing))
        subprocess.run(["cc", *FLAGS, "-o", tmp_path / name, tmp_path / f"{name}.c", *flags], check=True)
        return tmp_path / name

    return run


def test_the_module_of_the_readme_greets(compile_, daemon):
    module = compile_("polite.so", "PROCPOOL_MODULE", "-shared", "-fPIC")
    client = daemon(modules=[module]).connect()
    assert client.call("apply", "polite.greet", ["Ada"]) == ["hello", "Ada"]
    assert client.error("apply", "polite.greet", [""])["type"] == "ValueError"


def test_the_c_program_of_the_readme_prints_42(compile_, daemon):
    library = pathlib.Path(BUILD, "client", "lib").resolve()
    sanitize = ["-fsanitize=address,undefined"] if sanitized() else []  # as the library is
    binary = compile_("call", "int main", f"-L{library}", "-lprocpool", *sanitize)
    env = devenv() | {"PROCPOOL_SOCKET": str(daemon().path), "LD_LIBRARY_PATH": str(library)}
    assert subprocess.run([binary], env=env, capture_output=True, text=True, check=True).stdout == "42\n"


def test_the_python_program_of_the_readme_prints_the_map(daemon):
    env = devenv() | {"PROCPOOL_SOCKET": str(daemon().path)}
    ended = subprocess.run([sys.executable, "-c", program("python", "msgpack")], env=env, capture_output=True, text=True)
    assert ended.stdout == "[1, 1, None, [2, 3, 4]]\n", ended.stderr


def test_the_configuration_of_the_readme_is_accepted(start):
    text = program("conf", 'pool "codecs"')
    server = start(workers=None, config=text).await_ready()
    assert {row["name"]: row["target"] for row in server.connect().call("pools")}["codecs"] == 4

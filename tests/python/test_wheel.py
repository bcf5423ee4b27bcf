# SPDX-License-Identifier: MIT
"""The wheel: built from the tree, installed in a fresh virtual environment, used from there alone."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import PACKAGE, TESTS

import procpool

TREE = TESTS.parent
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def run(*command, **options):
    """Its output; a failure shows it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a copy: setuptools leaves its traces where it builds."""
    directory = tmp_path_factory.mktemp("wheel")
    for part in ("client/python", "daemon/runtime", "proto"):
        shutil.copytree(TREE / part, directory / "tree" / part, ignore=IGNORED)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
        "--wheel-dir", directory, directory / "tree" / PACKAGE.relative_to(TREE))
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with the wheel and, from Debian, what it depends on."""
    directory = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--system-site-packages", directory)
    run(directory / "bin" / "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel)
    return directory


@pytest.fixture
def alone(environment, tmp_path):
    """Runs that environment's Python where nothing of the tree is found."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def python(*arguments):
        return run(environment / "bin" / "python", *arguments, env=env, cwd=tmp_path)

    return python


def test_it_has_the_package_its_types_and_its_dependency(wheel):
    assert wheel.name.startswith(f"procpool-{procpool.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    packaged = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "procpool").rglob("*.py")}
    assert packaged | {"procpool/py.typed"} <= set(names)
    assert "Requires-Dist: msgpack" in text and "Requires-Python: >=3.9" in text


def test_it_is_imported_from_its_environment(alone, environment):
    printed = alone("-c", "import procpool; print(procpool.__version__, procpool.__file__)")
    assert printed.split()[0] == procpool.__version__
    assert printed.split()[1].startswith(str(environment))


def test_it_has_the_extension(wheel, alone, environment):
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.startswith("_procpool.") for name in archive.namelist())
    assert alone("-c", "import _procpool; print(_procpool.__file__)").startswith(str(environment))


PROGRAM = """
import sys
from typing import List

import procpool


def square(x: int) -> int:
    return x * x


def where() -> List[str]:
    return [sys.prefix, procpool.__file__]


if __name__ == "__main__":
    with procpool.Pool(2) as pool:
        values: List[int] = pool.map(square, range(3))
        print(values, *pool.apply(where))
"""


def test_a_pool_has_workers_of_its_environment(alone, environment, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    prefix, package = alone("program.py").replace("[0, 1, 4] ", "").split()
    assert prefix == str(environment) and package.startswith(prefix)


def test_programs_that_use_it_are_checked_by_its_types(environment, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.replace("square, range(3)", "square, 3"))
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "--python-executable",
            environment / "bin" / "python", "program.py"]
    checked = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 1 and checked.stdout.count("error:") == 1, checked.stdout + checked.stderr
    assert '"map" of "Pool" has incompatible type "int"' in checked.stdout

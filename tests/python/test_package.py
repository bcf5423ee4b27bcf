# SPDX-License-Identifier: MIT
"""The package as a whole."""

import re
import subprocess
import sys

import procpool
import procpool.errors as procpool_errors
import pytest
from conftest import PACKAGE, TESTS


def test_its_version_is_that_of_the_project():
    project = (TESTS.parent / "meson.build").read_text()
    assert f"version: '{procpool.__version__}'" in re.sub(r"\s+", " ", project)


def test_its_types_are_strict():
    """mypy --strict, as pyproject.toml says."""
    checked = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir=/dev/null"], cwd=PACKAGE, capture_output=True,
                             text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_offers_all_that_it_says():
    assert all(getattr(procpool, name) is not None for name in procpool.__all__)
    assert set(procpool.__all__) <= set(dir(procpool))
    errors = {cls.__name__ for cls in procpool_errors.CLASSES.values()} | {"Error", "ConnectionLost", "RemoteTraceback"}
    assert errors <= set(procpool.__all__)


def test_what_it_has_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Pol'"):
        procpool.Pol


def test_it_is_imported_without_what_takes_time():
    script = "import sys, procpool; procpool.Pool; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["asyncio", "multiprocessing", "subprocess", "concurrent.futures", "logging"]
    done = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

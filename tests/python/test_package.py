# SPDX-License-Identifier: MIT
"""The package as a whole."""

import re
import subprocess
import sys

import procpool
from conftest import PACKAGE, TESTS


def test_its_version_is_that_of_the_project():
    project = (TESTS.parent / "meson.build").read_text()
    assert f"version: '{procpool.__version__}'" in re.sub(r"\s+", " ", project)


def test_its_types_are_strict():
    """mypy --strict, as pyproject.toml says."""
    checked = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir=/dev/null"], cwd=PACKAGE, capture_output=True,
                             text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

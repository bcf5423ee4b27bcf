# SPDX-License-Identifier: MIT
"""What the tests of the Python package share: the package of the source tree, the daemon of $PROCPOOL_BUILD."""

import os
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = TESTS.parent / "client" / "python"
BUILD = pathlib.Path(os.environ.get("PROCPOOL_BUILD", TESTS.parent / "build"))

EXTENSION = BUILD / "daemon" / "runtime" / "python"

os.environ["PROCPOOL_BUILD"] = str(BUILD)
sys.path[:0] = [str(PACKAGE), str(EXTENSION), str(TESTS / "e2e"), str(TESTS / "runtime")]
# Programs that a test starts, and the workers of their pools, find the same.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(PACKAGE), str(EXTENSION), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([str(BUILD / "daemon"), str(BUILD / "client" / "ppctl"), os.environ["PATH"]])

# SPDX-License-Identifier: MIT
"""A program whose pool cannot start is told why, once, and by nobody but itself."""

import subprocess
import sys

import pytest

UNGUARDED = """
from procpool import Pool
print(Pool(2).map(abs, [-1]))
"""

FAILING = """
from procpool import Pool
def setup(): raise LookupError("no such dictionary")
if __name__ == "__main__":
    Pool(2, setup)
"""


@pytest.mark.parametrize("program, error", [
    (UNGUARDED, "RuntimeError: \n        An attempt has been made to make a pool"),
    (FAILING, "procpool.errors.InitializerFailed: no such dictionary"),
])
def test_the_programs_own_error_is_all_that_it_prints(tmp_path, program, error):
    script = tmp_path / "program.py"
    script.write_text(program)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.startswith("procpool.errors.RemoteTraceback:") and error in ended.stderr
    assert "procpoold: " not in ended.stderr

# SPDX-License-Identifier: MIT
"""What README.md shows of Python does what it says."""

import colorsys
import os
import re
import subprocess
import sys

from conftest import TESTS
from procpoold import Daemon

import procpool

README = (TESTS.parent / "README.md").read_text()


def block(language, containing):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    [found] = [each for each in blocks if containing in each]
    return found


def test_its_program_prints_what_it_promises(tmp_path):
    (tmp_path / "pool.py").write_text(block("python", "import Pool"))
    ended = subprocess.run([sys.executable, "pool.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    lines = ended.stdout.splitlines()
    assert lines[:2] == ["[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]", "1.4142135623730951"], ended.stderr
    assert "Aborted" in lines[2] and lines[-1] == "6 25"


def test_its_configuration_keeps_a_pool_of_python_warm():
    env = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    daemon = Daemon(workers=None, config=block("conf", 'pool "work"'), env=env).await_ready()
    try:
        with procpool.Pool(name="work", address=str(daemon.path)) as pool:
            assert pool.apply("colorsys:rgb_to_hls", (1.0, 0.5, 0.0)) == colorsys.rgb_to_hls(1.0, 0.5, 0.0)
    finally:
        daemon.finish()

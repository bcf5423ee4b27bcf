# SPDX-License-Identifier: MIT
"""The installed service under a real systemd: boots one (./boot), has checks.py run there, and is a test for each of its
checks. PROCPOOL_BUILD is a build directory configured with --prefix=/usr. Skipped where nothing can be booted."""

import json
import os
import pathlib
import subprocess

import checks
import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    file = tmp_path_factory.mktemp("systemd") / "results.json"
    build = os.path.abspath(os.environ["PROCPOOL_BUILD"])
    options = json.loads(subprocess.run(["meson", "introspect", build, "--buildoptions"], check=True, stdout=subprocess.PIPE).stdout)
    if {"name": "prefix", "value": "/usr"}.items() <= next(each for each in options if each["name"] == "prefix").items():
        boot = subprocess.run([HERE / "boot", build, file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if boot.returncode == 77:
            pytest.skip(boot.stdout.splitlines()[-1])
        print(boot.stdout)
        assert boot.returncode == 0, boot.stdout
        return json.loads(file.read_text())
    pytest.skip(f"{build} is not configured with --prefix=/usr")


@pytest.mark.parametrize("name", [check.__name__ for check in checks.ALL])
def test_booted(results, name):
    result = results[name]
    if result["how"] == "skipped":
        pytest.skip(result["why"])
    assert result["how"] == "passed", result["why"]

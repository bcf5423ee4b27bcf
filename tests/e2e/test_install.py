# SPDX-License-Identifier: MIT
"""What `meson install` lays out, and that it runs from there without any settings."""

import os
import pathlib
import shutil
import subprocess

import pytest
from procpoold import BUILD, option, sanitized

ROOT = pathlib.Path(__file__).parents[2]
PREFIX = pathlib.Path(option("prefix"))
LIB = option("libdir")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The prefix within a directory of its own."""
    destination = tmp_path_factory.mktemp("destination")
    install = ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", str(destination)]
    subprocess.run(install, check=True, stdout=subprocess.PIPE)
    return destination / PREFIX.relative_to("/")


@pytest.mark.parametrize("path", [
    "bin/ppctl", "sbin/procpoold", "libexec/procpool/procpool-runtime",
    "include/procpool.h", "include/procpool/value.h", "include/procpool/module.h",
    f"{LIB}/libprocpool.so", f"{LIB}/libprocpool.so.0", f"{LIB}/pkgconfig/procpool.pc",
    f"{LIB}/procpool/modules/demo.so", f"{LIB}/procpool/modules/digest.so",
])  # fmt: skip
def test_a_usual_tree_is_laid_out(installed, path):
    assert (installed / path).is_file()


def test_nothing_of_the_tests_is_installed(installed):
    names = {path.name for path in installed.rglob("*")}
    assert not {name for name in names if "probe" in name or "test" in name or name.endswith(".a")}


def test_every_symbol_of_the_library_is_public_and_has_a_version(installed):
    lines = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", installed / LIB / "libprocpool.so"],
                           check=True, capture_output=True, text=True).stdout.splitlines()  # fmt: skip
    symbols = [line.split()[-1] for line in lines if " A " not in line and "__odr_asan" not in line]
    assert symbols and all(s.startswith("procpool_") and "@@PROCPOOL_1" in s for s in symbols), symbols


def test_programs_are_built_with_pkg_config(installed, tmp_path):
    destination = str(installed).removesuffix(str(PREFIX))
    env = os.environ | {"PKG_CONFIG_PATH": str(installed / LIB / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": destination}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "procpool"], env=env, check=True, capture_output=True, text=True)
    sanitize = ["-fsanitize=address,undefined"] if sanitized() else []
    sources = ROOT.glob("client/examples/map_files.c")
    subprocess.run(["cc", "-o", tmp_path / "example", *sources, *sanitize, *flags.stdout.split()], check=True)


def test_what_is_installed_runs_without_settings(start):
    """Where the prefix is one of ours (tests/run chooses it beside the build directory), it is really installed."""
    if PREFIX.parent != pathlib.Path(BUILD).parent:
        pytest.skip(f"does not install in {PREFIX}")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True, stdout=subprocess.PIPE)
    try:
        server = start(program=PREFIX / "sbin" / "procpoold", listen=False).await_ready()
        env = {"PROCPOOL_SOCKET": str(server.path), "PATH": os.environ["PATH"]}
        ppctl = [PREFIX / "bin" / "ppctl", "apply", "demo.inc", "41"]
        assert subprocess.run(ppctl, env=env, check=True, capture_output=True, text=True).stdout == "42\n"
        # It finds the daemon that was installed with it.
        ppctl.insert(1, "--private")
        env = {"PATH": "/nonexistent"}
        assert subprocess.run(ppctl, env=env, check=True, capture_output=True, text=True).stdout == "42\n"
    finally:
        shutil.rmtree(PREFIX)

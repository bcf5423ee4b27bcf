# SPDX-License-Identifier: MIT
"""What `meson install` lays out, and that it runs from there without any settings."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from procpoold import BUILD, PYTHON, option, sanitized

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


PROGRAMS = [
    "bin/ppctl", "sbin/procpoold", "libexec/procpool/procpool-exec", "libexec/procpool/procpool-launcher",
    "libexec/procpool/procpool-runtime",
]  # fmt: skip
LIBRARIES = [f"{LIB}/libprocpool.so.0.1.0", f"{LIB}/procpool/modules/demo.so", f"{LIB}/procpool/modules/digest.so"]
HEADERS = ["client/include/procpool.h", "daemon/runtime/include/procpool/module.h", "proto/include/procpool/value.h"]
LINKS = [f"{LIB}/libprocpool.so", f"{LIB}/libprocpool.so.0"]
FILES = [
    "include/procpool.h", "include/procpool/value.h", "include/procpool/module.h", f"{LIB}/pkgconfig/procpool.pc",
    "lib/systemd/system/procpoold.service", "lib/systemd/system/procpoold.socket",
    "lib/systemd/system/procpoold@.service", "lib/systemd/system/procpoold@.socket",
    "lib/systemd/user/procpoold.service", "lib/systemd/user/procpoold.socket",
    "lib/sysusers.d/procpool.conf", "lib/tmpfiles.d/procpool.conf",
    "share/bash-completion/completions/ppctl", "share/bash-completion/completions/procpoold",
    "share/doc/procpool/procpoold.conf.example",
]  # fmt: skip


def expected():
    """Every file of the prefix with its mode, or what a link leads to; the Python package lies where python3 looks."""
    modes = dict.fromkeys(PROGRAMS + LIBRARIES, "755") | dict.fromkeys(FILES, "644")
    modes |= dict.fromkeys(LINKS, "libprocpool.so.0") | {f"{LIB}/libprocpool.so.0": "libprocpool.so.0.1.0"}
    pages = [page for folder in ("client", "daemon", "proto") for page in (ROOT / folder).rglob("*.scd")]
    modes |= {f"share/man/man{page.stem[-1]}/{page.stem}": "644" for page in pages}
    for header in HEADERS:
        names = [PYTHON, "-B", str(ROOT / "proto/man/page.py"), "--names", str(ROOT / header)]
        listed = subprocess.run(names, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        modes |= {f"share/man/man3/{name}.3": "644" for name in listed}
    modes |= {f"share/doc/procpool/examples/{each.name}": "644" for each in ROOT.glob("client/examples/*.c")}
    modes |= {f"share/procpool/drop-ins/{each.name}": "644" for each in ROOT.glob("systemd/drop-ins/*")}
    return modes


def kind(path):
    return os.readlink(path) if path.is_symlink() else f"{path.stat().st_mode & 0o7777:o}"


def test_every_file_is_where_it_belongs_with_its_mode(installed):
    found = {str(path.relative_to(installed)): kind(path) for path in installed.rglob("*") if not path.is_dir()}
    python = {path for path in found if "/python3" in path}
    assert {path: found[path] for path in found if path not in python} == expected()
    extension = {path for path in python if "/_procpool." in path}
    assert len(extension) == 1 and {found[path] for path in extension} == {"755"}
    package = {path.partition("/procpool/")[2] for path in python - extension}
    source = ROOT / "client/python/procpool"
    modules = {str(p.relative_to(source)) for p in source.rglob("*") if p.suffix == ".py" or p.name == "py.typed"}
    assert package == modules
    assert {found[path] for path in python - extension} == {"644"}
    assert {f"{path.stat().st_mode & 0o7777:o}" for path in installed.rglob("*") if path.is_dir()} == {"755"}


def test_uninstalling_leaves_nothing(tmp_path):
    destination = tmp_path / "destination"
    install = ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", str(destination)]
    subprocess.run(install, check=True, stdout=subprocess.PIPE)
    assert any(destination.rglob("procpoold.service"))
    subprocess.run(["ninja", "-C", BUILD, "uninstall"], check=True, stdout=subprocess.PIPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unit", ["system/procpoold.service", "system/procpoold@.service", "user/procpoold.service"])
def test_units_name_programs_that_are_installed(installed, unit):
    text = (installed / "lib/systemd" / unit).read_text()
    assert "@" not in re.sub(r"procpoold@|@system-service|@privileged", "", text)
    words = [word for line in text.splitlines() if line.startswith("Exec") for word in line.partition("=")[2].split()]
    others = {"/etc/procpool/%i", "/usr/bin/setpriv"}  # no programs, or the system's
    programs = [pathlib.Path(word) for word in words if word.startswith("/") and word not in others]
    assert len(programs) >= 2
    for program in programs:
        assert os.access(installed / program.relative_to(PREFIX), os.X_OK), f"{unit}: {program}"


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

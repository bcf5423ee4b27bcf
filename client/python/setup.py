# SPDX-License-Identifier: MIT
"""Adds the extension _procpool to the wheel; pyproject.toml says all else.

It makes workers fast and is not needed: where there is no compiler, or a header is missing (Python's, msgpack-c's), or
this folder was taken without the tree around it, the wheel has the package alone.
"""

import pathlib
import re
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

TREE = pathlib.Path(__file__).resolve().parents[2]
SOURCES = TREE / "daemon" / "runtime" / "python" / "sources"


class Build(build_ext):
    """Compiles files from outside of this folder, which setup() must not name."""

    def build_extension(self, extension):
        lines = SOURCES.read_text().splitlines()
        extension.sources = [str(TREE / line) for line in lines if not line.startswith("#")]
        super().build_extension(extension)


def version():
    text = (pathlib.Path(__file__).parent / "procpool" / "_version.py").read_text()
    return re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)[1]


def extensions():
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED") or not SOURCES.exists():
        return []
    include = ["daemon", "daemon/runtime/include", "proto/include", ""]
    return [Extension(
        "_procpool",
        [],
        include_dirs=[str(TREE / directory) for directory in include],
        define_macros=[("_GNU_SOURCE", "1"), ("PROCPOOL_VERSION", f'"{version()}"')],
        extra_compile_args=["-std=gnu17", "-fvisibility=hidden"],
        extra_link_args=[f"-Wl,--version-script={SOURCES.with_name('_procpool.map')}"],
        optional=True,
    )]


setup(ext_modules=extensions(), cmdclass={"build_ext": Build})

# SPDX-License-Identifier: MIT
"""Fails where a C file is not formatted as .clang-format says: tabs of 8, 100 columns and so on.

Usage: check_format.py SOURCE_ROOT
"""

import pathlib
import subprocess
import sys

from check_layout import tracked


def unformatted(root, paths):
    """What clang-format would change, a line for each place."""
    command = ["clang-format", "--dry-run", *map(str, paths)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return [line for line in run.stderr.splitlines() if "warning:" in line]


def check_itself(root):
    """A file with a fault must be found."""
    planted = subprocess.run(["clang-format", "--assume-filename=planted.c"], cwd=root, input="int  x ;\n",
                             capture_output=True, text=True, check=True)
    assert planted.stdout == "int x;\n", "clang-format leaves a fault alone"


def main():
    root = pathlib.Path(sys.argv[1])
    check_itself(root)
    faults = unformatted(root, [path for path in tracked(root) if path.suffix in (".c", ".h")])
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

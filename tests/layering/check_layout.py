# SPDX-License-Identifier: MIT
"""Fails where something lies outside the layout: at the top level only what belongs there, every source file with
its licence line, every C file within a size that one can read.

Usage: check_layout.py SOURCE_ROOT
"""

import pathlib
import shutil
import subprocess
import sys

TOP = {"proto", "daemon", "client", "tests", "systemd", "meson.build", "README.md", "LICENSE", "CONTRIBUTING.md",
       "SECURITY.md"}
CODE = {".c", ".h", ".cc", ".cpp", ".py", ".build"}
LINES = 800
FOREIGN = ("tests/python/tutorial/",)  # programs that must stay as somebody else has written them
LICENCE = "SPDX-License-Identifier: MIT"


def tracked(root):
    """The files under version control; in a tree without it, all."""
    if shutil.which("git"):
        command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files"]
        git = subprocess.run(command, capture_output=True, text=True)
        if git.returncode == 0:
            return [pathlib.PurePath(line) for line in git.stdout.splitlines()]
    skipped = ("build", ".")
    return [p.relative_to(root) for p in root.rglob("*")
            if p.is_file() and not p.relative_to(root).parts[0].startswith(skipped)]


def misplaced(path):
    top = path.parts[0]
    return top not in TOP and not top.startswith(".")


def faults(path, text):
    if misplaced(path):
        yield f"{path}: {path.parts[0]} does not belong at the top level"
    if path.suffix in CODE and not str(path).startswith(FOREIGN) and LICENCE not in "".join(text.splitlines(keepends=True)[:3]):
        yield f"{path}: no licence line"
    if path.suffix in (".c", ".h") and text.count("\n") > LINES:
        yield f"{path}: {text.count(chr(10))} lines, more than {LINES}"


def self_check():
    planted = [("extra/a.c", f"/* {LICENCE} */"), ("proto/a.c", "int a;"), ("proto/b.c", f"/* {LICENCE} */" + "\n" * 801)]
    fine = [("proto/c.c", f"/* {LICENCE} */"), (".gitignore", ""), ("README.md", "")]
    found = [len(list(faults(pathlib.PurePath(name), text))) for name, text in planted + fine]
    return [] if found == [1, 1, 1, 0, 0, 0] else [f"the check itself is wrong: {found}"]


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = [path for path in tracked(root) if (root / path).is_file()]
    found = [fault for path in files for fault in faults(path, (root / path).read_text(errors="replace"))]
    found += [f"{path}: a symbolic link" for path in tracked(root) if (root / path).is_symlink()]
    found += self_check()
    if not files:
        found.append("no files found")
    print("\n".join(found) or f"{len(files)} files lie where they belong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Fails where SECURITY.md or CONTRIBUTING.md names a file or a function that is not there: `daemon/main.c`, `main()`.

Usage: check_texts.py SOURCE_ROOT
"""

import pathlib
import re
import sys

TEXTS = ("SECURITY.md", "CONTRIBUTING.md")
CODE = {".c", ".h", ".py"}
CALLED = {"getppid", "listen", "close_range"}  # of the system


def named(text):
    """The paths and the functions that stand in backquotes."""
    quoted = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    paths = {q for q in quoted if re.fullmatch(r"[a-z]+/[\w./@-]*", q)}
    return paths, {match[1] for q in quoted if (match := re.fullmatch(r"(\w+)\(\)", q))} - CALLED


def faults(root, name, text, code):
    paths, functions = named(text)
    if not paths:
        yield f"{name}: names no file"
    for path in sorted(paths):
        if not (root / path).exists() and not list(root.rglob(path)):
            yield f"{name}: there is no {path}"
    for function in sorted(functions):
        if not re.search(rf"^(?:def |[\w *]*\b){function}\(", code, re.MULTILINE):
            yield f"{name}: there is no {function}()"


def main():
    root = pathlib.Path(sys.argv[1])
    files = [path for top in ("proto", "daemon", "client") for path in (root / top).rglob("*") if path.suffix in CODE]
    code = "\n".join(path.read_text() for path in files)
    found = [fault for name in TEXTS for fault in faults(root, name, (root / name).read_text(), code)]
    planted = list(faults(root, "planted", "`daemon/nothing.c` `no_such_function()` `main()`", code))
    if len(planted) != 2:
        found.append(f"the check itself is wrong: {planted}")
    print("\n".join(found) or f"all that {' and '.join(TEXTS)} name is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Fails where man or mandoc complains about a manual page, or a page lacks a section or refers to one that is not there.
man and mandoc are asked where they are installed; the check is first made on a page with planted mistakes.

Usage: lint_pages.py PAGE...
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FIRST = ["NAME", "SYNOPSIS", "DESCRIPTION"]
LAST = "SEE ALSO"
OURS = re.compile(r"\\fB((?:lib)?procpool[\w.-]*|ppctl)\\fR\((\d)\)")
BAD = r""".TH "bad" "7" "2000-01-01"
.SH NAME
bad - a page
.SH DESCRIPTION
.XX
\fBprocpool-nowhere\fR(7)
"""


def run(*command, **environment):
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def complaints(page):
    """What the tools say."""
    if shutil.which("mandoc"):
        yield from run("mandoc", "-T", "lint", "-W", "warning", page).stdout.splitlines()
    if shutil.which("man") and shutil.which("groff"):
        yield from run("man", "--warnings", "-l", "-Tutf8", page, LC_ALL="C.UTF-8").stderr.splitlines()


def faults(page, names):
    text = pathlib.Path(page).read_text()
    sections = [title.strip('"') for title in re.findall(r"^\.SH (.*)$", text, re.MULTILINE)]
    if sections[:3] != FIRST or sections[-1] != LAST:
        yield f"{page}: begins with {sections[:3]} and ends with {sections[-1]}"
    for name, number in OURS.findall(text.replace(r"\&", "").replace(r"\-", "-")):
        if f"{name}.{number}" not in names:
            yield f"{page}: there is no {name}({number})"
    yield from complaints(page)


def self_check():
    with tempfile.NamedTemporaryFile("w", suffix=".7") as bad:
        bad.write(BAD)
        bad.flush()
        found = list(faults(bad.name, {"bad.7"}))
        tools = bool(shutil.which("mandoc")) + bool(shutil.which("man") and shutil.which("groff"))
    told = [any(what in fault for fault in found) for what in ("begins with", "procpool-nowhere")]
    return [] if all(told) and len(found) >= 2 + tools else [f"the check itself is wrong: {found}"]


def main():
    pages = sys.argv[1:]
    names = {os.path.basename(page) for page in pages}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [fault for each in pool.map(lambda page: list(faults(page, names)), pages) for fault in each]
    found += self_check()
    if not pages:
        found.append("no pages")
    print("\n".join(found) or f"{len(pages)} pages are clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

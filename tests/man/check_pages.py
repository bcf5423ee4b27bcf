# SPDX-License-Identifier: MIT
"""Fails where a manual page does not name what there is: every command and option of ppctl and procpoold, what doctor
finds, every method and error, everything that a public header declares.

Usage: check_pages.py SOURCE_ROOT PPCTL PROCPOOLD PAGE...
"""

import os
import pathlib
import re
import subprocess
import sys


def plain(page):
    """A page's text in roff, with names as they are typed."""
    text = pathlib.Path(page).read_text()
    return re.sub(r"\\f[BIR]", "", text.replace(r"\&", "").replace(r"\-", "-").replace(r"\e", "\\"))


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def options(text):
    """The options that a help text lists, as -s and --socket."""
    found = set()
    for line in text.splitlines():
        match = re.match(r"  +(-\w)?(?:, | +)?(--[\w-]+)", line)
        if match:
            found |= {option for option in match.groups() if option}
    return found


def commands(text):
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]


def ppctl(program):
    everything = said(program, "--help")
    names = commands(everything)
    return set(names) | options(everything).union(*(options(said(program, name, "--help")) for name in names if name != "help"))


def methods(root):
    """Those of the table in the source."""
    return set(re.findall(r'^\t\{"(\w+)", RIGHT_\w+', (root / "daemon/io/requests.c").read_text(), re.MULTILINE))


def errors(root):
    return set(re.findall(r'X\(ERR_\w+, "([^"]+)"', (root / "proto/error.h").read_text()))


def findings(root):
    """The codes of what `ppctl doctor` finds."""
    text = "".join(path.read_text() for path in (root / "client/ppctl").glob("doctor*.c"))
    return set(re.findall(r'report_(?:problem|denied)\([^,;]*,\s*"([a-z-]+)"', text))


def declared(header):
    """Functions, types, enumerators and macros of a public header."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
    found = set(re.findall(r"\b(procpool_\w+)\s*\(", text)) | set(re.findall(r"^(?:struct|enum) (\w+)", text, re.MULTILINE))
    found |= set(re.findall(r"^#\s*define (\w+)", text, re.MULTILINE)) | set(re.findall(r"^\t(PROCPOOL_\w+)", text, re.MULTILINE))
    found |= set(re.findall(r"\(\*(procpool_\w+)\)", text))
    return found - {"PROCPOOL_PUBLIC", "PROCPOOL_PRINTF", "PROCPOOL_MODULE_ABI,"}


def missing(page, names, what):
    if not names:
        return [f"{os.path.basename(page)}: nothing found that it should name ({what})"]
    text = plain(page)
    return [f"{os.path.basename(page)}: does not name {name} ({what})"
            for name in sorted(names) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


def main():
    root = pathlib.Path(sys.argv[1])
    pages = {os.path.basename(page): page for page in sys.argv[4:]}
    headers = {"libprocpool.3": "client/include/procpool.h", "procpool-value.3": "proto/include/procpool/value.h",
               "procpool-module.3": "daemon/runtime/include/procpool/module.h"}
    found = missing(pages["ppctl.1"], ppctl(sys.argv[2]), "ppctl --help")
    found += missing(pages["ppctl.1"], findings(root), "ppctl doctor")
    found += missing(pages["procpoold.8"], options(said(sys.argv[3], "--help")), "procpoold --help")
    found += missing(pages["procpool-protocol.7"], methods(root), "methods")
    found += missing(pages["procpool-protocol.7"], errors(root), "errors")
    for page, header in headers.items():
        found += missing(pages[page], declared(root / header), header)
    if not missing(pages["ppctl.1"], {"--no-such-option"}, "planted"):
        found.append("the check itself is wrong: it finds what is not there")
    print("\n".join(found) or f"{len(pages)} pages name what there is")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

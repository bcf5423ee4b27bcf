# SPDX-License-Identifier: MIT
"""Fails where a table of PROTOCOL.md and its counterpart in the code differ: limits, error codes, methods and rights.

Usage: check_tables.py SOURCE_ROOT
"""

import pathlib
import re
import sys


def section(text, title):
    """The lines of one section of a Markdown text."""
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"PROTOCOL.md has no section {title}"
    return match[1]


def rows(text):
    """The cells of a section's tables, without their heads."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def documented_limits(text):
    return {name.strip("`"): (int(value), what) for name, value, what in rows(section(text, "Limits"))}


def coded_limits(text):
    limits = {}
    for name, value, what in re.findall(r'X\((\w+), ([^"]+), "([^"]*)"\)', text):
        mib = re.fullmatch(r"MIB\((\d+)\)", value)
        limits[name] = (int(mib[1]) << 20 if mib else int(value), what)
    return limits


def documented_errors(text):
    return {code for cells in rows(section(text, "Errors")) for code in re.findall(r"`([^`]+)`", cells[0])}


def coded_errors(text):
    return set(re.findall(r'X\(ERR_\w+, "([^"]+)"', text))


# What the table of methods in the code calls what PROTOCOL.md says of them.
NEEDED = {
    "CALL": {"call"},
    "OBSERVE": {"observe"},
    "ADMINISTER": {"administer"},
    "ANY": {"any"},
    "ADMINISTER_DAEMON": {"administer", "general"},
    "OPEN": {"root"},
}


def documented_methods(text):
    return {
        method: set(re.findall(r"\b(call|observe|administer|any|general|root)\b", needed))
        for methods, needed in rows(section(text, "Rights"))
        for method in re.findall(r"`([^`]+)`", methods)
    }


def coded_methods(text):
    return {
        method: set().union(*(NEEDED[name] for name in re.findall(r"RIGHT_(\w+)", rights)))
        for method, rights in re.findall(r'\{"(\w+)", (RIGHT_[\w| ]+), \w+\}', text)
    }


def differences(what, documented, coded):
    if not documented or not coded:
        return [f"no {what} found"]
    if isinstance(documented, set):
        documented, coded = dict.fromkeys(documented), dict.fromkeys(coded)
    absent = object()
    return [
        f"{what} {name}: PROTOCOL.md and the code differ"
        for name in sorted(documented.keys() | coded.keys())
        if documented.get(name, absent) != coded.get(name, absent)
    ]


EXPECTED = ["limit two", "method n", "method o", "method p", "error b"]


def self_check():
    protocol = "## Errors\n| `a`, `b` | x | |\n## Limits\n| `one` | 1048576 | x |\n| `two` | 2 | y |\n"
    limits = 'X(one, MIB(1), "x")\nX(two, 3, "y")\n'
    protocol += "## Rights\n| `m`, `n` | call or observe |\n| `o` | administer |\n"
    table = '{"m", RIGHT_CALL | RIGHT_OBSERVE, m},\n{"n", RIGHT_CALL, n},\n{"p", RIGHT_ANY, p},'
    found = differences("limit", documented_limits(protocol), coded_limits(limits))
    found += differences("method", documented_methods(protocol), coded_methods(table))
    found += differences("error", documented_errors(protocol), coded_errors('X(ERR_A, "a", true)'))
    return [] if [f.split(":")[0] for f in found] == EXPECTED else [f"the check itself is wrong: {found}"]


def main():
    proto = pathlib.Path(sys.argv[1]) / "proto"
    text = (proto / "PROTOCOL.md").read_text()
    limits, errors = documented_limits(text), documented_errors(text)
    found = differences("limit", limits, coded_limits((proto / "limit_table.h").read_text()))
    found += differences("error", errors, coded_errors((proto / "error.h").read_text()))
    methods = documented_methods(text)
    table = pathlib.Path(sys.argv[1], "daemon/io/requests.c").read_text()
    found += differences("method", methods, coded_methods(table))
    found += self_check()
    print("\n".join(found) or f"{len(limits)} limits, {len(errors)} error codes and {len(methods)} methods agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

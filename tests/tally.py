# SPDX-License-Identifier: MIT
"""Counts what tests/run has run: JUnit files and the lines `pass NAME` and `fail NAME` of its own steps.

Usage: tally.py DIRECTORY. Names what failed and what was skipped; the last line is `N passed, N failed`.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def outcomes(directory):
    """Pairs of a test's name and how it ended: "passed", "failed" or "skipped"."""
    steps = directory / "steps"
    for line in steps.read_text().splitlines() if steps.exists() else ():
        outcome, name = line.split(maxsplit=1)
        yield name, outcome + "ed"
    for file in sorted(directory.glob("*.junit.xml")):
        run = file.name.removesuffix(".junit.xml")
        for case in ElementTree.parse(file).iter("testcase"):
            name = f"{run}: {case.get('classname', '').removeprefix('tests.')} {case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                yield name, "failed"
            else:
                yield name, "skipped" if case.find("skipped") is not None else "passed"


def main():
    found = list(outcomes(pathlib.Path(sys.argv[1])))
    by_outcome = {which: [name for name, outcome in found if outcome == which] for which in ("passed", "failed", "skipped")}
    for name in by_outcome["failed"]:
        print("FAILED", name)
    if by_outcome["skipped"]:
        print(f"{len(by_outcome['skipped'])} skipped:", ", ".join(sorted({n.split("[")[0] for n in by_outcome["skipped"]})))
    print(f"{len(by_outcome['passed'])} passed, {len(by_outcome['failed'])} failed")
    return 0 if by_outcome["passed"] and not by_outcome["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libprocpool exports what the public headers declare, each with a version, and nothing else.

check_exports.py NM LIBRARY HEADER...
"""
import re
import subprocess
import sys

nm, library, *headers = sys.argv[1:]
declared = set()
for header in headers:
    with open(header, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    declared |= set(re.findall(r"PROCPOOL_PUBLIC\s[^;(]*?\b(procpool_\w+)\(", text))

lines = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True,
                       text=True).stdout.splitlines()
exported = {line.split()[2] for line in lines if line.split()[1] != "A"}
expected = {name + "@@PROCPOOL_1" for name in declared}

for name in sorted(expected - exported):
    print("declared, not exported:", name)
for name in sorted(exported - expected):
    print("exported, not declared:", name)
sys.exit(not declared or expected != exported)

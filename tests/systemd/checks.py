# SPDX-License-Identifier: MIT
"""Checks of the installed service, made by root in a system that `boot` has booted for them alone.

They run in their order, each in what the ones before left behind: the service as installed, configured as POOLS says.
The results go to results.json beside this file, where test_boot.py makes a test of each.
"""

import json
import os
import sys
import time
import traceback

import checks_life
import checks_others
import checks_units
import checks_workers
from machine import CHECKS, HERE, Skip, run

ALL = [each for module in (checks_units, checks_life, checks_workers, checks_others) for each in CHECKS[module.__name__]]


def prepare():
    """Users who may and may not call, and what is not there yet."""
    os.chdir("/")
    run("systemd-sysusers", "procpool.conf")
    run("useradd", "--create-home", "--groups", "procpool", "caller")
    run("useradd", "--create-home", "stranger")


def main():
    results = {}
    prepare()
    for function in ALL:
        begun = time.monotonic()
        try:
            function()
            how, why = "passed", ""
        except Skip as e:
            how, why = "skipped", str(e)
        except BaseException:
            how = "failed"
            why = traceback.format_exc() + run("journalctl", "-b", "-n", "60", "-o", "short-precise", "-u", "procpoold*", "--user-unit", "procpoold*", ok=False)
        results[function.__name__] = {"how": how, "why": why, "seconds": round(time.monotonic() - begun, 2)}
        print(f"{how} {function.__name__} ({results[function.__name__]['seconds']} s)\n{why}", flush=True)
        (HERE / "results.json").write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

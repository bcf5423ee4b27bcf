# SPDX-License-Identifier: MIT
"""`python3 -m procpool.worker`, or this file by its path: the program of a Python pool's spawner.

By path it needs no installed package. Python has put this directory at the head of the search path then, where it would
hide modules of the program's own; it is taken away, and the package found by where it lies.
"""

import os
import sys


def main() -> int:
    if not __package__:
        here = os.path.dirname(os.path.abspath(__file__))
        sys.path[0] = os.path.dirname(os.path.dirname(here))
    from procpool.worker.spawner import RESUME, Spawner
    if not __package__:
        del sys.path[0]
    resume = int(sys.argv[2]) if sys.argv[1:2] == [RESUME] else None
    del sys.argv[1:]
    return Spawner().run(resume)


if __name__ == "__main__":
    sys.exit(main())

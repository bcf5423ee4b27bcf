# SPDX-License-Identifier: MIT
"""`python3 -m procpool.worker`, or this file by its path: the program of a Python pool's spawner.

By path it needs no installed package, and takes no other one that is: it loads the package that it lies in.
"""

import importlib.util
import os
import sys


def load_package(path: str) -> None:
    """Loads the package procpool from its directory, without making room for it in the search path."""
    init = os.path.join(path, "__init__.py")
    spec = importlib.util.spec_from_file_location("procpool", init, submodule_search_locations=[path])
    assert spec is not None and spec.loader is not None
    sys.modules["procpool"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def main() -> int:
    if not __package__:
        here = os.path.dirname(os.path.abspath(__file__))
        # Python has put it there, where it would hide modules of the pool's own; but not with -I, -P and the like.
        if sys.path and os.path.abspath(sys.path[0]) == here:
            del sys.path[0]
        load_package(os.path.dirname(here))
    from procpool.worker.spawner import RESUME, Spawner
    resume = int(sys.argv[2]) if sys.argv[1:2] == [RESUME] else None
    del sys.argv[1:]
    return Spawner().run(resume)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""What a worker needs to look like its client: search path, arguments, and the main module.

The client describes them here, and its workers load them by worker/loading.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Dict, Iterator, List, Optional

_loading = False
_loaded: Optional[Dict[str, str]] = None  # in a worker: the main module of its client

_GUARD = """
        An attempt has been made to make a pool while the main module of another
        pool's client is loaded in a worker.

        This probably means that you are making a pool in the main module
        and have forgotten to use the proper idiom:

            from procpool import Pool

            if __name__ == '__main__':
                with Pool() as pool:
                    ...

        A worker loads the main module, to find its functions. What must be
        done once, by the program itself, belongs under the guard."""


@contextlib.contextmanager
def loading(main: Dict[str, str]) -> Iterator[None]:
    """While the main module of a client, as describe_main() has told it, is loaded in a worker or its spawner."""
    global _loading, _loaded
    _loading, _loaded = True, main
    try:
        yield
    finally:
        _loading = False


def check_not_loading() -> None:
    """RuntimeError while the main module is loaded in a worker: what makes a pool then would do so for ever."""
    if _loading:
        raise RuntimeError(_GUARD)


def describe() -> Dict[str, Any]:
    """The key `options` of `open`: {path, argv, main?}, plain values; the client's pool may add `authkey`, a bytes."""
    main = describe_main()
    return {"path": search_path(), "argv": list(sys.argv), **({"main": main} if main else {})}


def search_path() -> List[str]:
    """sys.path, for a process that may have another working directory."""
    here = _working_directory()
    return [os.path.join(here, path) if path else here for path in sys.path if isinstance(path, str)]


def describe_main() -> Optional[Dict[str, str]]:
    """Where the main module comes from: {path}, {name} (python -m), {code} (python -c); None if workers need none.

    None for an interactive interpreter, a script from standard input, and programs that only start others: IPython, and
    those of packages (`python -m pytest`), whose __main__ has nothing that could be called, and often no guard.
    """
    if _loaded is not None:  # a worker that makes a pool itself
        return dict(_loaded)
    main = sys.modules.get("__main__")
    # What workers send back is of a module of this name.
    if main is not None:
        sys.modules.setdefault("__mp_main__", main)
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if isinstance(name, str):
        return None if name == "__main__" or name.endswith(".__main__") else {"name": name}
    path = getattr(main, "__file__", None)
    if isinstance(path, str):
        path = os.path.normpath(os.path.join(_STARTED_IN, path))
        starts_others = os.path.splitext(os.path.basename(path))[0] == "ipython"
        return None if starts_others or not os.path.isfile(path) else {"path": path}  # no file: <stdin>
    code = _command_code()
    # Without a guard only the program itself can run it.
    return {"code": code} if code is not None and "__name__" in code else None


def _command_code() -> Optional[str]:
    """Of `python -c CODE`."""
    if not sys.argv or sys.argv[0] != "-c":
        return None
    arguments: Optional[List[str]] = getattr(sys, "orig_argv", None)  # from 3.10 on
    if arguments is None:
        with open("/proc/self/cmdline", "rb") as file:
            arguments = [os.fsdecode(argument) for argument in file.read().split(b"\0")[:-1]]
    rest = iter(arguments[1:])
    for argument in rest:
        # Options may stand together, and what belongs to one with it: -Bc CODE, -cCODE, -Xdev.
        for i, option in enumerate(argument[1:], 2):
            if option == "c":
                return argument[i:] or next(rest, "")
            if option in "WX":
                if not argument[i:]:
                    next(rest, "")
                break
            if option == "-":
                break
    return None


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # a directory that is gone
        return "/"


_STARTED_IN = _working_directory()

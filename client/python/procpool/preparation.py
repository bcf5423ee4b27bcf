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
def loading() -> Iterator[None]:
    """While the main module of a client is loaded in a worker or its spawner."""
    global _loading
    _loading = True
    try:
        yield
    finally:
        _loading = False


def check_not_loading() -> None:
    """RuntimeError while the main module is loaded in a worker: what makes a pool then would do so for ever."""
    if _loading:
        raise RuntimeError(_GUARD)


def describe() -> Dict[str, Any]:
    """The key `options` of `open`: {path, argv, main?}, plain values."""
    main = describe_main()
    return {"path": search_path(), "argv": list(sys.argv), **({"main": main} if main else {})}


def search_path() -> List[str]:
    """sys.path, for a process that may have another working directory."""
    here = os.getcwd()
    return [os.path.join(here, path) for path in sys.path if isinstance(path, str)]


def describe_main() -> Optional[Dict[str, str]]:
    """Where the main module comes from: {path}, {name} (python -m), {code} (python -c); None if workers need none.

    None for an interactive interpreter, a script from standard input, and programs that only start others: IPython, and
    those of packages (`python -m pytest`), whose __main__ has nothing that could be called, and often no guard.
    """
    main = sys.modules.get("__main__")
    # What workers send back is of a module of this name.
    if main is not None:
        sys.modules.setdefault("__mp_main__", main)
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if isinstance(name, str):
        return None if name == "__main__" or name.endswith(".__main__") else {"name": name}
    path = getattr(main, "__file__", None)
    if isinstance(path, str):
        if os.path.splitext(os.path.basename(path))[0] == "ipython":
            return None
        return {"path": os.path.normpath(os.path.join(_STARTED_IN, path))}
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
    for i, argument in enumerate(arguments[1:], 1):
        if argument == "-c":
            return arguments[i + 1] if i + 1 < len(arguments) else None
        if argument.startswith("-") and not argument.startswith("--") and "c" in argument:
            # Options may be together with it, and the code with both: -Bc CODE, -cCODE.
            return argument.split("c", 1)[1] or (arguments[i + 1] if i + 1 < len(arguments) else None)
    return None


try:
    _STARTED_IN = os.getcwd()
except OSError:  # a directory that is gone
    _STARTED_IN = "/"

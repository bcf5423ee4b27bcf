# SPDX-License-Identifier: MIT
"""Loads what a pool calls: its modules, by name or by path, and the client's main module, under another name.

A main module is loaded as multiprocessing's spawn does it: as `__mp_main__`, so that its guard is false, and found as
`__main__` too, which pickles of its functions and classes say. Other than there it is one module, not a copy, so that
what a function of it sets in its globals is what others of it see.
"""

from __future__ import annotations

import importlib
import importlib.util
import marshal
import os
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import Any, Dict, Optional

from .. import preparation
from .functions import Functions
from .process import has_more_threads, threads
from .start import Main, Start, text


_PYC_HEADER_BYTES = 16


class LoadError(Exception):
    """A module that cannot be found, or a path that is no Python file."""


def load(start: Start, functions: Functions) -> Optional[str]:
    """All of it. Returns the name of the first that has left a thread behind, or None. Raises what loading raises."""
    if start.options:
        imitate(start.options)
    threaded: Optional[str] = None
    before = threads()
    main = start.main
    if main is not None:
        load_main(main)
        if not start.preload_always and has_more_threads(before):
            threaded = main.path or main.name or "python -c"
    for name in start.modules:
        functions.offer(load_module(name))
        if threaded is None and not start.preload_always and has_more_threads(before):
            threaded = name
    return threaded


def imitate(options: Dict[str, Any]) -> None:
    """Makes this process look as its client does, by what preparation.describe() has told and the client's pool."""
    sys.path[:] = [text(path) for path in options.get("path", sys.path)]
    sys.argv[:] = [text(argument) for argument in options.get("argv", sys.argv)]
    authkey = options.get("authkey")
    if authkey is not None:  # of a client that has multiprocessing: proxies of its managers work here
        from multiprocessing.process import current_process
        current_process().authkey = authkey


def load_module(name: str) -> types.ModuleType:
    """A module's name, or the absolute path of a file, which gets a module name from the file's."""
    if os.sep not in name:
        return importlib.import_module(name)
    if not os.path.isabs(name):
        raise LoadError(f"{name}: the path of a module must be absolute")
    directory, file = os.path.split(name)
    module_name = os.path.splitext(file)[0]
    loader = SourceFileLoader(module_name, name)
    spec = importlib.util.spec_from_file_location(module_name, name, loader=loader)
    if spec is None:
        raise LoadError(f"{name} is no Python file")
    if directory not in sys.path:
        sys.path.append(directory)  # for what lies beside it; last, so that it hides nothing
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    loader.exec_module(module)
    return sys.modules[module_name]


def _code_of(path: str) -> types.CodeType:
    """Of a script, or of one that is compiled already (`python3 program.pyc`)."""
    with open(path, "rb") as file:
        data = file.read()
    code: types.CodeType
    if data.startswith(importlib.util.MAGIC_NUMBER):
        code = marshal.loads(data[_PYC_HEADER_BYTES:])
    else:
        code = compile(data, path, "exec", dont_inherit=True)
    return code


def load_main(main: Main) -> None:
    """The client's main module; a pool that it makes while it is loaded would make workers that load it, and so on."""
    module = types.ModuleType("__mp_main__")
    if main.name is not None:
        spec = importlib.util.find_spec(main.name)
        if spec is None or spec.loader is None:
            raise LoadError(f"no module named {main.name}")
        module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, spec.parent
        if spec.has_location:
            module.__file__, module.__cached__ = str(spec.origin), spec.cached  # type: ignore[attr-defined]
        code = spec.loader.get_code(main.name)  # type: ignore[attr-defined]
    elif main.path is not None:
        module.__file__ = main.path
        code = _code_of(main.path)
    else:
        code = compile(main.code or "", "<string>", "exec", dont_inherit=True)
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    with preparation.loading({kind: value for kind, value in main._asdict().items() if value is not None}):
        exec(code, module.__dict__)

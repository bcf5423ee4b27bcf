# SPDX-License-Identifier: MIT
"""Callables, as they go over the wire: by name where a worker can import them, else as a pickle.

A name is `module:qualname`. As pickle does, it is used only where looking it up here finds the same object. What has
no such name (functools.partial, bound methods, instances with __call__, operator.itemgetter(1)) is pickled. Lambdas
and functions within functions can only be sent by value, which cloudpickle does where it is installed; likewise
functions typed in at a prompt or in a notebook, for no worker has that main module.

Not here: how arguments are encoded (codec.py), what a worker does with a name (worker/).
"""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any, Callable, NamedTuple, Optional, Union

NAME_BYTES_MAX = 256  # the daemon's limit name_bytes; a longer name is only a label, and cut

_INSTALL = f"install cloudpickle ({sys.executable or 'python3'} -m pip install cloudpickle), which sends it by value"


class Function(NamedTuple):
    """What names a function on the wire: its name, or what only labels it and the pickle that is called instead."""

    name: str
    pickled: Optional[bytes] = None


def describe(function: Union[str, Callable[..., Any]], main: bool = True) -> Function:
    """How workers get at `function`: a name is taken as it is. `main`: whether they have this main module, too.

    Raises TypeError for what cannot be called, and pickle.PicklingError for what no worker can get at, saying what to
    do about it.
    """
    if isinstance(function, str):
        return Function(function)
    if not callable(function):
        raise TypeError(f"{function!r} is not callable")
    name = importable_name(function)
    if name is not None and (main or not name.startswith("__main__:")) and len(name.encode()) <= NAME_BYTES_MAX:
        return Function(name)
    return Function(label(function), _pickled(function, main))


def pickled(function: Union[str, Callable[..., Any]], described: Function) -> Function:
    """The same, for a pool that does not offer that name but takes pickles."""
    if isinstance(function, str) or described.pickled is not None:
        return described
    return Function(described.name, pickle.dumps(function, 5))


def importable_name(function: Callable[..., Any]) -> Optional[str]:
    """`module:qualname`, where that leads to the very same object, else None."""
    owner = getattr(function, "__objclass__", None) or getattr(function, "__self__", None)
    qualname = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if isinstance(owner, type):  # str.upper and Model.load have the module of their class
        module, qualname = owner.__module__, f"{owner.__qualname__}.{function.__name__}"
    elif isinstance(function, types.MethodType):
        return None
    if not isinstance(module, str) or not isinstance(qualname, str) or "<" in qualname:
        return None
    if module == "__mp_main__":  # what a worker calls its main module
        module = "__main__"
    try:
        if module not in sys.modules:
            __import__(module)
        found: Any = sys.modules[module]
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception:  # whatever such a module raises: there is no such name
        return None
    return f"{module}:{qualname}" if found is function or _same_method(found, function) else None


def label(function: Callable[..., Any]) -> str:
    """A name for people, `module:qualname` of the function or else of its class, of at most NAME_BYTES_MAX."""
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    name = f"{getattr(named, '__module__', None) or type(function).__module__}:{named.__qualname__}"
    return name.encode("utf-8", "replace")[:NAME_BYTES_MAX].decode("utf-8", "ignore")


def unpicklable_for(pool: str, name: str) -> Exception:
    """For a callable without a name, and a pool that takes no pickles or whose pickles are not trusted."""
    return pickle.PicklingError(f"{name} has no name that the workers of pool {pool} could look up, and calls of that "
                                f"pool carry no pickles: define it in a module of the pool, or set pickle = yes for it")


def advise(error: Exception) -> Exception:
    """`error`, which encoding an argument has raised, with what to do about it where that is known."""
    text = str(error)
    if isinstance(error, RuntimeError) and "through inheritance" in text:
        kind = text.partition(" ")[0]
        kind = {"Synchronized": "Value", "SynchronizedArray": "Array", "SimpleQueue": "Queue"}.get(kind, kind)
        return RuntimeError(f"a multiprocessing {kind} cannot be sent to workers of procpool, which are no children of "
                            f"this program, neither in arguments nor in initargs: send multiprocessing.Manager()."
                            f"{kind}(), which can be")
    if isinstance(error, (pickle.PicklingError, AttributeError)) and ("<lambda>" in text or "<locals>" in text):
        return pickle.PicklingError(f"{text}: what is defined without a name to import it by cannot be sent in "
                                    f"arguments: define it at the top level of a module")
    if isinstance(error, TypeError) and "_thread." in text:
        return TypeError(f"{text}: locks of threads mean nothing in another process, make them there or send "
                         f"multiprocessing.Manager().Lock()")
    return error


def _same_method(found: object, function: object) -> bool:
    """Two looks at one classmethod make two objects."""
    return (isinstance(found, (types.MethodType, types.BuiltinFunctionType)) and type(found) is type(function)
            and found == function)


def _pickled(function: Callable[..., Any], main: bool) -> bytes:
    try:
        pickled = pickle.dumps(function, 5)
        if main or b"__main__" not in pickled:
            return pickled
        why: Optional[Exception] = None
    except Exception as error:  # pickle raises AttributeError, TypeError, PicklingError and what __reduce__ raises
        why = error
    try:
        import cloudpickle
    except ImportError:
        raise pickle.PicklingError(_advice(function, why)) from why
    try:
        return bytes(cloudpickle.dumps(function, 5))
    except Exception as error:
        raise pickle.PicklingError(f"{label(function)} cannot be sent to a worker: {error}") from error


def _advice(function: Callable[..., Any], why: Optional[Exception]) -> str:
    name = getattr(function, "__qualname__", "")
    if "<lambda>" in name:
        return (f"a lambda cannot be sent to a worker, for it has no name to import it by: define it with def at the "
                f"top level of a module, or {_INSTALL}")
    if "<locals>" in name:
        return (f"{name} cannot be sent to a worker, for it is defined within a function: define it at the top level "
                f"of a module (functools.partial can carry what it closes over), or {_INSTALL}")
    if why is None:
        return (f"{label(function)} cannot be sent to a worker, for the workers do not have this main module: put it "
                f"into a module of its own and import that, or {_INSTALL}")
    return f"{label(function)} cannot be sent to a worker: {why}; or {_INSTALL}"

# SPDX-License-Identifier: MIT
"""Which function a name means: those that a pool's modules define, or, in a pool of the client's own, any.

`module:qualname`. A pool of the configuration offers only what its listed modules define and mean to be public, since
its callers need not be trusted with more: a module imports a lot that it does not offer. The owner of an own pool
runs what they like in it anyway.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections import OrderedDict
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .. import codec
from .failure import Refusal

ANY = "*"  #: as a function of `ready`: names that are not listed are looked up by the runtime
NAME_BYTES_MAX = 256  #: of a function, as PROTOCOL.md has it
CACHED = 256  #: unpickled callables that are kept
CACHED_BYTES = 1 << 16  #: of a pickle that is kept
PARTS = 1000  #: of a callable that is looked through

_IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, type, types.BuiltinFunctionType)


class Functions:
    """What may be called by name, and what has been called as a pickle."""

    def __init__(self, any_name: bool) -> None:
        self.any_name = any_name
        self._docs: Dict[str, str] = {}
        self._named: Dict[str, Callable[..., Any]] = {}
        self._pickled: OrderedDict[bytes, Callable[..., Any]] = OrderedDict()

    def offer(self, module: types.ModuleType) -> None:
        """What this module defines, for everyone who may call the pool."""
        for key, function in _defined(module):
            name = f"{module.__name__}:{key}"
            if len(name.encode("utf-8", "replace")) > NAME_BYTES_MAX:
                continue  # nobody could call it
            self._named[name] = function
            self._docs[name] = _doc(function)

    def listed(self) -> List[Tuple[str, str]]:
        """For `ready`: names with the first lines of their documentation."""
        return [*self._docs.items(), *([(ANY, "")] if self.any_name else [])]

    def function(self, name: str) -> Callable[..., Any]:
        """Refusal, `unknown-function`, where there is none; what else the import of its module raises."""
        function = self._named.get(name)
        if function is None:
            if not self.any_name:
                raise Refusal("unknown-function", f"the pool's modules define no function {name}")
            function = self._named[name] = find(name)
        return function

    def callable(self, pickled: bytes) -> Callable[..., Any]:
        """The callable that a pickle holds; the same one as before only where it cannot have changed since."""
        function = self._pickled.get(pickled)
        if function is None:
            function = codec.PICKLE.loads(pickled)
            if not callable(function):
                raise Refusal("bad-request", f"a {type(function).__name__} cannot be called")
            if len(pickled) <= CACHED_BYTES and _is_constant(function):
                self._pickled[pickled] = function
                if len(self._pickled) > CACHED:
                    self._pickled.popitem(last=False)
        return function


def find(name: str) -> Callable[..., Any]:
    """What `module:qualname` means to an import; Refusal where it means nothing that can be called."""
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise Refusal("unknown-function", f"a function's name is module:function, not {name!r}")
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{module_name}.".startswith(f"{e.name}."):
            raise  # something that the module itself imports
        raise Refusal("unknown-function", f"no module named {e.name!r}, for {name}") from e
    for attribute in path.split("."):
        try:
            value = getattr(value, attribute)
        except AttributeError as e:
            raise Refusal("unknown-function", f"{e}, for {name}") from e
    if not callable(value):
        raise Refusal("unknown-function", f"{name} cannot be called: it is a {type(value).__name__}")
    function: Callable[..., Any] = value
    return function


def _defined(module: types.ModuleType) -> Iterator[Tuple[str, Callable[..., Any]]]:
    """Public functions of its own; with __all__ those that are in it, submodules' as well."""
    public = getattr(module, "__all__", None)
    names = [name for name in vars(module) if not name.startswith("_")] if public is None else list(public)
    for key in names:
        value: Any = vars(module).get(key)
        if _is_function_of(value, module.__name__, submodules=public is not None):
            yield key, value


def _is_function_of(value: Any, module: str, submodules: bool) -> bool:
    try:
        home = getattr(value, "__module__", None)
        own = home == module or (submodules and isinstance(home, str) and home.startswith(f"{module}."))
        # Classes are no functions, and instances have no __qualname__; what decorators return has one.
        return own and callable(value) and not isinstance(value, type) and hasattr(value, "__qualname__")
    except Exception:  # proxies of what is not there yet raise whatever they like
        return False


def _doc(function: Callable[..., Any]) -> str:
    try:
        doc = function.__doc__
    except Exception:  # a property of a foreign class
        doc = None
    return doc.strip().split("\n")[0].encode("utf-8", "replace").decode()[:1024] if type(doc) is str else ""


def _is_constant(value: object) -> bool:
    """Whether calls leave it as it is: multiprocessing's workers would unpickle it for each chunk anew, and what
    one chunk has left in an object must not be found by the next."""
    seen = set()
    unseen: List[object] = [value]
    while unseen:
        each = unseen.pop()
        if type(each) in _IMMUTABLE or isinstance(each, type) or id(each) in seen:
            continue
        seen.add(id(each))  # functions may have themselves in their closures
        parts = _parts(each)
        if parts is None or len(seen) > PARTS:
            return False
        unseen += parts
    return True


def _parts(value: object) -> Optional[List[object]]:
    """What a value that is itself constant consists of; None if it is not, or may not be."""
    if type(value) is tuple:
        return list(value)
    if type(value) is functools.partial:
        return [value.func, *value.args, *value.keywords.values()]
    if type(value) is types.MethodType:
        return [] if isinstance(value.__self__, type) else None
    if type(value) is types.FunctionType:
        try:
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
        except ValueError:  # one that is empty yet
            return None
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    return None

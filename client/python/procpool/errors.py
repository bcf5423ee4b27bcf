# SPDX-License-Identifier: MIT
"""What can go wrong, one class for each code of PROTOCOL.md.

All are `Error`. What the daemon told is in attributes: `message` is the sentence, the further ones are named by
each class and are None where the daemon did not tell them. Some are a builtin exception as well, so that code
which knows nothing of procpool handles them: Denied is a PermissionError, ConnectionLost a ConnectionError.

    try:
        client.apply("img.scale", data)
    except procpool.WorkerLost as e:
        print(e.signal, e.stderr)

An error that a function raised in a Python worker arrives as what it was (ValueError, KeyError, one's own class) where
its pickle may be trusted, see codec.py; elsewhere, and from functions of other languages, it is FunctionFailed. Both
have the worker's traceback as `__cause__`, a RemoteTraceback.
"""

from __future__ import annotations

import builtins
from typing import Any, Callable, ClassVar, Dict, List, Optional, Tuple, Type

from .codec import Pickled

MAYBE_ENCODING_ERROR = "multiprocessing.pool.MaybeEncodingError"


class Error(Exception):
    """Anything that the daemon or the connection to it answers a call with.

    code      str, as PROTOCOL.md lists them
    message   str, a sentence for people
    job       int, the id of the job that the error ended
    index     int, which element of a map it was, from 0
    attempts  int, how often the task was run, where it was retried
    fields    dict, everything that the daemon told beside code and message
    """

    code: str = "error"
    message: str
    fields: Dict[str, Any]
    job: Optional[int] = None
    index: Optional[int] = None
    attempts: Optional[int] = None

    _attributes: ClassVar[Tuple[str, ...]] = ("job", "index", "attempts")

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        for name in self._attributes:
            if name in fields:
                setattr(self, name, fields[name])

    def __str__(self) -> str:
        return self.message or self.code

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.message, self.fields)


def _rebuild(cls: Type[Error], code: str, message: str, fields: Dict[str, Any]) -> Error:
    error = cls(message, **fields)
    if error.code != code:  # one that this version does not know
        error.code = code
    return error


class _EndedProcess(Error):
    """Says what the process wrote last. (Base of what a process ended with.)"""

    stderr: Optional[str] = None

    def __str__(self) -> str:
        text = super().__str__()
        if self.stderr:
            text += "\nIts standard error ended with:\n" + self.stderr.rstrip("\n")
        return text


class BadRequest(Error):
    """The request's shape, an argument's type or range, or an option is wrong."""

    code = "bad-request"


class UnknownMethod(Error):
    """The daemon has no such method: it is older than this package."""

    code = "unknown-method"


class UnknownFunction(Error, LookupError):
    """No visible pool exports the function.

    suggestions  list of at most 3 similar names
    """

    code = "unknown-function"
    suggestions: Optional[List[str]] = None
    _attributes = (*Error._attributes, "suggestions")

    def __str__(self) -> str:
        text = super().__str__()
        if isinstance(self.suggestions, list) and self.suggestions:
            text += f" (there is {', '.join(map(str, self.suggestions))})"
        return text


class Ambiguous(Error):
    """Several pools export the function, and the call named none.

    pools  list of their names
    """

    code = "ambiguous"
    pools: Optional[List[str]] = None
    _attributes = (*Error._attributes, "pools")


class NoSuchPool(Error, LookupError):
    """No pool of that name is visible."""

    code = "no-such-pool"


class NoSuchJob(Error, LookupError):
    """No job of that id is known or visible, or its result is kept no longer."""

    code = "no-such-job"


class Denied(Error, PermissionError):
    """The user may not do this."""

    code = "denied"


class Busy(Error):
    """A limit is reached; it may be tried again when something has ended.

    limit  str, its name in PROTOCOL.md's table of limits
    """

    code = "busy"
    limit: Optional[str] = None
    _attributes = (*Error._attributes, "limit")


class TooLarge(Error):
    """The request, or the job's result, is larger than `message_bytes` or nests deeper than `value_depth`."""

    code = "too-large"


class FunctionFailed(Error):
    """The function raised an exception, or reported a failure.

    type       str, the exception's class: "ValueError", "work.BadInput"
    traceback  str, where the worker tells it
    data       any value that the function gave along
    """

    code = "function-failed"
    type: Optional[str] = None
    traceback: Optional[str] = None
    data: Any = None
    _attributes = (*Error._attributes, "type", "traceback", "data")

    def __str__(self) -> str:
        if not self.type:
            return super().__str__()
        return f"{self.type}: {self.message}" if self.message else str(self.type)


class Timeout(_EndedProcess):
    """The task ran longer than its option `timeout` allows.

    timeout, ran           seconds that it might run, and did
    type, traceback, data  of what the function said when it was stopped
    pid, stderr            of its worker, where that ended with it
    """

    code = "timeout"
    timeout: Optional[float] = None
    ran: Optional[float] = None
    type: Optional[str] = None
    traceback: Optional[str] = None
    data: Any = None
    pid: Optional[int] = None
    _attributes = (*Error._attributes, "timeout", "ran", "type", "traceback", "data", "pid", "stderr")


class Expired(Error):
    """The task had not begun in time.

    expires, waited  seconds that it might wait, and did
    """

    code = "expired"
    expires: Optional[float] = None
    waited: Optional[float] = None
    _attributes = (*Error._attributes, "expires", "waited")


class Cancelled(Error):
    """The job was cancelled."""

    code = "cancelled"


class WorkerLost(_EndedProcess):
    """The worker died while the task ran.

    signal       int, the signal that killed it
    exit_status  int, what it exited with otherwise
    pid          int
    stderr       str, the end of what it wrote to its standard error
    """

    code = "worker-lost"
    signal: Optional[int] = None
    exit_status: Optional[int] = None
    pid: Optional[int] = None
    _attributes = (*Error._attributes, "signal", "exit_status", "pid", "stderr")


class OutOfMemory(_EndedProcess, MemoryError):
    """The worker had no memory for the task, or was killed because it used more than its pool allows.

    limit, rss  bytes that it might use, and did
    pid         int
    stderr      str, the end of what it wrote to its standard error
    """

    code = "out-of-memory"
    limit: Optional[int] = None
    rss: Optional[int] = None
    pid: Optional[int] = None
    _attributes = (*Error._attributes, "limit", "rss", "pid", "stderr")


class InitializerFailed(_EndedProcess):
    """The pool cannot start workers: its code does not load, or its initializer failed.

    type, traceback, data  of the exception, as in FunctionFailed
    stderr                 str, the end of what the process wrote to its standard error
    """

    code = "initializer-failed"
    type: Optional[str] = None
    traceback: Optional[str] = None
    data: Any = None
    _attributes = (*Error._attributes, "type", "traceback", "data", "stderr")


class WouldDeadlock(Error):
    """Each worker that could run the call waits for such a call itself."""

    code = "would-deadlock"


class NotReady(Error, TimeoutError):
    """The job has not ended within the time asked for; or no pool has the function, but one is still loading.

    state  str, "waiting" or "running", of a job
    """

    code = "not-ready"
    state: Optional[str] = None
    _attributes = (*Error._attributes, "state")


class PoolClosed(Error):
    """The pool takes no more jobs."""

    code = "pool-closed"


class ShuttingDown(Error):
    """The daemon is ending."""

    code = "shutting-down"


class ConnectionLost(Error, ConnectionError):
    """The connection to the daemon ended; what became of the calls under way is unknown. (No code of the protocol.)

    Jobs that are not detached are cancelled when their connection ends, but may have run. Nothing is
    submitted again by itself.
    """

    code = "connection-lost"


def _classes(base: Type[Error]) -> Dict[str, Type[Error]]:
    found: Dict[str, Type[Error]] = {}
    for cls in base.__subclasses__():
        if "code" in vars(cls):
            found[cls.code] = cls
        found.update(_classes(cls))
    return found


CLASSES: Dict[str, Type[Error]] = _classes(Error)  #: code -> class


class RemoteTraceback(Exception):
    """The worker's traceback, as `__cause__` of what a call raises; shown with it. `tb` is the text."""

    def __init__(self, tb: str) -> None:
        super().__init__(tb)
        self.tb = tb

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


def from_wire(error: Any, loads: Optional[Callable[[Any], Any]] = None) -> Exception:
    """The exception for `error`, what a response or push has in that place: a map, or "code: message".

    loads  turns a Pickled into an object; given only where the worker is trusted. Without it nothing is unpickled.

    Never fails, whatever `error` is. Makes a new object each time.
    """
    if isinstance(error, str):  # this connection said hello with errors: "text"
        code, _, message = error.partition(": ")
        error = {"code": code, "message": message}
    elif not isinstance(error, dict):
        error = {"code": "error", "message": f"the daemon's error is no map: {error!r:.100}"}
    fields = {k: v for k, v in error.items() if type(k) is str and k not in ("code", "message", "self")}
    code, message = error.get("code"), error.get("message")
    message = message if isinstance(message, str) else ""
    if code == FunctionFailed.code:
        return _function_failed(message, fields, loads)
    cls = CLASSES.get(code, Error) if isinstance(code, str) else Error
    made = cls(message, **fields)
    if cls is Error and isinstance(code, str):
        made.code = code
    return _with_traceback(made, fields.get("traceback"))


def _function_failed(message: str, fields: Dict[str, Any], loads: Optional[Callable[[Any], Any]]) -> Exception:
    traceback, data = fields.get("traceback"), fields.get("data")
    if fields.get("type") == MAYBE_ENCODING_ERROR:
        return _with_traceback(_maybe_encoding_error(message, data), traceback)
    if isinstance(data, Pickled) and loads is not None:
        try:
            raised = loads(data)
        except Exception as e:
            message += f" (it cannot be unpickled here: {type(e).__name__}: {e})"
        else:
            if isinstance(raised, Exception):
                return _with_traceback(raised, traceback)
    if isinstance(data, Pickled):
        fields = {**fields, "data": None}
    return _with_traceback(FunctionFailed(message, **fields), traceback)


def _with_traceback(error: Exception, traceback: Any) -> Exception:
    if isinstance(traceback, str) and traceback:
        error.__cause__ = RemoteTraceback(traceback)
    return error


def _maybe_encoding_error(message: str, data: Any) -> Exception:
    """multiprocessing's own class, for a result that could not be pickled. `data`: [repr of why, repr of what]."""
    import multiprocessing.pool as library  # costs 10 ms, so only where it is raised

    cls: Type[Exception] = getattr(library, "MaybeEncodingError")  # noqa: B009 - typeshed does not know it
    exc, value = message, ""
    if isinstance(data, list) and len(data) == 2 and all(isinstance(each, str) for each in data):
        exc, value = data
    error = cls.__new__(cls)  # its __init__ would take their repr once more
    error.args = exc, value
    vars(error).update(exc=exc, value=value)
    return error


def describe(error: BaseException, traceback: str = "") -> Dict[str, Any]:
    """What a worker tells of an exception: `type`, `message`, `traceback`, for the error map of function-failed.

    Builtin classes are named bare, others with their module. Never fails: an exception whose str() fails is told so.
    """
    cls = type(error)
    known = getattr(builtins, cls.__name__, None) is cls
    try:
        message = str(error)
    except Exception as e:
        message = f"<str() of it failed: {type(e).__name__}>"
    described = {"type": cls.__qualname__ if known else f"{cls.__module__}.{cls.__qualname__}", "message": message}
    if traceback:
        described["traceback"] = traceback
    return described

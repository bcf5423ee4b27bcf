# SPDX-License-Identifier: MIT
"""Exceptions as the error maps of WORKER.md: whatever they are, what comes out is bounded and can be sent.

What an exception brings along is foreign code: its __str__, its __reduce__, its module's name. All of it may raise, end
the interpreter or lie about types, and none of it may keep the task from being answered.
"""

from __future__ import annotations

import os
import re
import traceback
from types import TracebackType
from typing import Any, Dict, Optional

import msgpack

from .. import codec
from ..context import Stopped
from ..errors import MAYBE_ENCODING_ERROR

TEXT_CHARACTERS = 65536  #: of a message, a traceback: what is longer loses its middle
FRAMES = 1000  #: of a traceback, the innermost; as many as Python allows unless told otherwise
REPR_CHARACTERS = 2048  #: of a value that could not be sent
MESSAGE_RESERVE = 4 * 2 * TEXT_CHARACTERS + 4096  #: bytes of an error message beside `data`, at most
NO_PICKLES = ("this pool takes plain values only: a pickle runs code of its sender. "
              "Set `pickle = yes` in the pool's configuration where its callers are trusted so far")

_MAIN = ("__mp_main__", "__main__")  # the second: of functions that came by value

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Refusal(Exception):
    """An error of the call, not of the function: its wire code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unsendable(Exception):
    """A result that cannot be pickled; has the texts that multiprocessing.pool.MaybeEncodingError has."""

    def __init__(self, reason: BaseException, value: object) -> None:
        self.reason = bounded(_repr(reason), REPR_CHARACTERS)
        self.value = bounded(_repr(value), REPR_CHARACTERS)
        super().__init__(f"Error sending result: '{self.value}'. Reason: '{self.reason}'")


def too_large(size: int) -> str:
    return f"a result of {size} bytes is larger than a message may be"


def describe(exception: BaseException, pickle: bool, message_bytes: int) -> bytes:
    """The packed error map; with the exception itself as `data` where `pickle` and where it survives that.

    Raises nothing but Stopped, which may hit the foreign code that runs here.
    """
    try:
        error = _describe(exception, pickle, message_bytes)
    except Stopped:
        raise
    except BaseException:
        error = {"code": _code(exception), "message": "an exception that cannot be described"}
    packed: bytes = msgpack.packb(error)
    return packed


def _describe(exception: BaseException, pickle: bool, message_bytes: int) -> Dict[str, Any]:
    if isinstance(exception, Refusal):
        return {"code": exception.code, "message": bounded(str(exception))}
    if isinstance(exception, Unsendable):
        return {"code": "function-failed", "message": str(exception), "data": [exception.reason, exception.value],
                "type": MAYBE_ENCODING_ERROR, "traceback": _traceback(exception.__cause__)}
    if isinstance(exception, NameError):
        _advise(exception)
    error = {"code": _code(exception),
             "message": bounded(_message(exception)), "type": type_name(type(exception)),
             "traceback": _traceback(exception)}
    # What ends an interpreter must not end the caller's, so it stays here.
    if pickle and isinstance(exception, Exception):
        data = _pickled(exception, message_bytes - MESSAGE_RESERVE)
        if data is not None:
            error["data"] = msgpack.ExtType(codec.EXT_PICKLE, data)
    return error


def _code(exception: BaseException) -> str:
    # Of its true class, whatever it says that its class is.
    return "out-of-memory" if issubclass(type(exception), MemoryError) else "function-failed"


def _pickled(exception: Exception, size_max: int) -> Optional[bytes]:
    """None where it cannot be pickled, or not be made again of its pickle: many that have an __init__ cannot."""
    try:
        data = codec.PICKLE.dumps(exception)
        if len(data) > size_max or not isinstance(codec.PICKLE.loads(data), BaseException):
            return None
        return data
    except Stopped:
        raise
    except BaseException:
        return None


def _message(exception: BaseException) -> str:
    if isinstance(exception, SystemExit):
        return f"sys.exit({bounded(_repr(exception.code), REPR_CHARACTERS)}) was called"
    try:
        return str.__str__(str(exception))  # no subclass of str, whose methods are foreign too
    except Stopped:
        raise
    except BaseException:
        return f"<unprintable {type_name(type(exception))}>"


def _repr(value: object) -> str:
    try:
        return str.__str__(repr(value))
    except Stopped:
        raise
    except BaseException as e:
        return f"<{type_name(type(value))}, whose repr() raised {type_name(type(e))}>"


def _traceback(exception: Optional[BaseException]) -> str:
    """As Python prints it, from the function on: what called it is the runtime's."""
    if exception is None:
        return ""
    frame = exception.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.tb_next
    try:
        return bounded("".join(traceback.format_exception(type(exception), exception, frame, limit=-FRAMES)))
    except Stopped:
        raise
    except BaseException as e:
        return f"the traceback cannot be shown: {type_name(type(e))}\n"


def _last(frame: Optional[TracebackType]) -> Optional[TracebackType]:
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame


def _advise(exception: NameError) -> None:
    """Says what is meant to those whose main script sets a global under its guard, where no worker comes by."""
    frame = _last(exception.__traceback__)
    missing = re.match(r"name '([^']*)' is not defined", _message(exception))
    if frame is not None and missing and frame.tb_frame.f_globals.get("__name__") in _MAIN:
        exception.args = (f"name '{missing[1]}' is not defined in the worker. What the main script sets under "
                          "`if __name__ == '__main__'`, or after the pool was made, workers do not have: "
                          "pass it through initargs, or as an argument",)


def type_name(kind: type) -> str:
    """`ValueError`, `work.Failure`: builtins bare, and the main script by the name that its client knows."""
    # By type's own descriptors: a metaclass may have others.
    name = str.__str__(vars(type)["__qualname__"].__get__(kind))
    module = vars(type)["__module__"].__get__(kind)
    if type(module) is not str or module == "builtins":
        return _sendable(name)
    return _sendable(f"{'__main__' if module == '__mp_main__' else module}.{name}")


def bounded(text: str, characters: int = TEXT_CHARACTERS) -> str:
    """Its beginning and its end where it is longer; without surrogates, which no UTF-8 has."""
    if len(text) > characters:
        half = characters // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
    return _sendable(text)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

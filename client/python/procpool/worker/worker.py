# SPDX-License-Identifier: MIT
"""A forked process from its first step as a worker to its end."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, Optional

import msgpack

from .. import codec, context
from . import failure, functions as names, loading, native, process
from .channel import Channel
from .functions import Functions
from .hooks import Hooks
from .loop import Loop
from .messages import CHANNEL_FD, FAILED, READY
from .output import Output
from .start import Start


def run_worker(start: Start, number: int, functions: Optional[Functions], output: Output,
               page: Optional[int]) -> NoReturn:
    """Loads where the spawner has not (`functions` is None), initializes, and runs tasks until the channel ends."""
    pid = os.getpid()
    status = 0
    _be_worker(number, output)
    channel = Channel(CHANNEL_FD)
    try:
        try:
            functions = functions or _load(start)
            process.reseed()
            _initialize(start)
        except BaseException as e:
            if os.getpid() != pid:
                raise
            output.flush()
            channel.send(failed(e, start))
            process.finish(1)
        output.flush()
        channel.send_message(READY)
        hooks = Hooks(functions, output, start.message_bytes, start.value_depth, start.pickles)
        if page is not None:
            native.serve(channel, page, hooks)
        else:
            Loop(channel, hooks).serve()
    except SystemExit as e:  # of a signal's handler, between two tasks
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException as e:
        status = 1
        # A process that a function has forked and that came back from it was never a worker.
        if os.getpid() == pid and not isinstance(e, (BrokenPipeError, ConnectionResetError)):
            sys.excepthook(type(e), e, e.__traceback__)
    if os.getpid() != pid:
        output.flush()
        os._exit(0)
    process.finish(status)


def _be_worker(number: int, output: Output) -> None:
    """What this process is to the code that runs in it, and to what that forks."""
    context.enter(number - 1)
    process.name_process(number)
    process.forget_exit_handlers()
    process.tell_crashes()
    process.close_to_children(CHANNEL_FD)
    os.register_at_fork(before=output.flush)
    os.register_at_fork(before=context.before_fork, after_in_child=context.after_fork)


def _load(start: Start) -> Functions:
    functions = Functions(any_name=start.options is not None)
    loading.load(start, functions)
    return functions


def _initialize(start: Start) -> None:
    if start.initializer is not None:
        function = names.find(start.initializer)
        function(*[_argument(value, start.pickles) for value in start.initargs])


def _argument(value: Any, pickles: bool) -> Any:
    if type(value) is codec.Pickled:
        if not pickles:
            raise failure.Refusal("bad-request", failure.NO_PICKLES)
        return codec.PICKLE.loads(value.data)
    return value


def failed(exception: BaseException, start: Start) -> bytes:
    """The message failed: of loading, or of an initializer."""
    error = msgpack.unpackb(failure.describe(exception, start.pickles, start.message_bytes), strict_map_key=False)
    packed: bytes = msgpack.packb([FAILED, {**error, "code": "initializer-failed"}])
    return packed

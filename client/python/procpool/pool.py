# SPDX-License-Identifier: MIT
"""procpool.Pool: multiprocessing.Pool on workers that are supervised by procpoold.

The calls are those of multiprocessing.Pool, with its names, types, errors and order. Beyond that a call takes, by name:

timeout            seconds that it may run, counted from its own beginning: then it is stopped and raises Timeout
expires            seconds within which it must have begun, else it raises Expired
priority           -2 to 2: of what waits in this pool's object, what is higher is begun first
retries            how many times more it is run when it failed, ran past its timeout or lost its worker
return_exceptions  of the map family: failures are returned or yielded in their places instead of being raised
detach             of apply_async and map_async: it outlives this program; by the id `result.job` another one gets the
                   result: procpool.Pool(name=...).job(id), or Client.wait(id)

Every element of a map has its own timeout and retries. A function may be given by its name, "module:qualname".
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Callable, Iterable, List, Mapping, NoReturn, Optional, Sequence

from .calls import Function
from .codec import Packed
from .connection import message, pack
from .functions import advise
from .handle import Handle, NamedHandle, OwnHandle, is_plain
from .imap import IMapIterator, IMapUnorderedIterator
from .result import ApplyResult, Callback, MapResult, Together
from .settings import (
    Seconds,
    call_options,
    check_chunksize,
    check_initializer,
    check_processes,
    pool_settings,
)

INIT = "INIT"
RUN = "RUN"
CLOSE = "CLOSE"
TERMINATE = "TERMINATE"


class Pool:
    """Worker processes that call functions.

    Without `name`, a pool of this program's own: `processes` workers (by default as many as there are processors that
    it may use), at a running procpoold of the same user or at a private one, which ends with the program. Its workers
    have the program's interpreter, working directory, search path, environment, limits and main module. The
    constructor returns when the first worker is ready, and raises procpool.InitializerFailed where none can be
    started.

    With `name`, the pool of that name in the configuration of the daemon (`address` is the path of its socket): its
    workers are there already and stay. close, join and terminate concern this object's own calls then.

    processes, initializer, initargs, maxtasksperchild
                   as in multiprocessing; `context` is taken and not needed
    trust          whether to unpickle what workers send though they have another user id; it may run any code here
    memory         bytes that a worker may use: more is procpool.OutOfMemory for its call
    max_rss        bytes of memory over which a worker is replaced after its call
    workers_min, workers_max, idle_seconds
                   instead of processes: as many workers as there is work for; one that idles for so long ends
    extra_workers  how many more may be started while all wait for calls of their own
    stop_seconds   that a function which is to stop may take until its worker is killed
    nice           added to the nice value of the workers
    preload        "always": load modules before forking, even those that start threads
    """

    def __init__(self, processes: Optional[int] = None, initializer: Optional[Callable[..., Any]] = None,
                 initargs: Iterable[Any] = (), maxtasksperchild: Optional[int] = None, context: object = None, *,
                 name: Optional[str] = None, address: Optional[str] = None, trust: Optional[bool] = None,
                 memory: Optional[int] = None, max_rss: Optional[int] = None, workers_min: Optional[int] = None,
                 workers_max: Optional[int] = None, idle_seconds: Seconds = None, extra_workers: Optional[int] = None,
                 stop_seconds: Seconds = None, nice: Optional[int] = None,
                 preload: Optional[str] = None) -> None:  # fmt: skip
        self._state = INIT
        self.handle: Handle  # for the package itself
        check_initializer(initializer, maxtasksperchild)
        own = pool_settings(max_tasks=maxtasksperchild, memory=memory, max_rss=max_rss, workers_min=workers_min,
                            workers_max=workers_max, idle_seconds=idle_seconds, extra_workers=extra_workers,
                            stop_seconds=stop_seconds, nice=nice, preload=preload)  # fmt: skip
        if name is not None:
            _refuse({"processes": processes, "initializer": initializer, **own})
            self.handle = NamedHandle.attach(name, address, trust)
        else:
            if workers_min is None and workers_max is None:
                own["workers"] = check_processes(processes)
            elif processes is not None:
                raise ValueError("processes is instead of workers_min and workers_max, not together with them")
            self.handle = OwnHandle.open(initializer, initargs, own, address, trust)
        self._processes = self.handle.workers
        self._state = RUN

    # Calls

    def apply(self, func: Function, args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}, *,
              timeout: Seconds = None, expires: Seconds = None, priority: Optional[int] = None,
              retries: Optional[int] = None) -> Any:  # fmt: skip
        """func(*args, **kwds) in a worker; waits for the value, or raises what it raised."""
        self._check_running()
        handle = self.handle
        prepared = handle.calls.prepare(func, call_options(timeout, expires, priority, retries))
        try:
            request = prepared.apply(args, kwds)
        except Exception as error:
            raise advise(error)
        codec = handle.codec
        return codec.restore(handle.connection.call(request, codec.restore if codec.pickles else None))

    def apply_async(self, func: Function, args: Iterable[Any] = (), kwds: Mapping[str, Any] = {},
                    callback: Callback = None, error_callback: Callback = None, *, timeout: Seconds = None,
                    expires: Seconds = None, priority: Optional[int] = None, retries: Optional[int] = None,
                    detach: bool = False) -> ApplyResult[Any]:  # fmt: skip
        """The same without waiting. Callbacks are given the value or the error, in one thread, one at a time."""
        self._check_running()
        handle = self.handle
        options = call_options(timeout, expires, priority, retries)
        if detach:
            options["detach"] = True
        prepared = handle.calls.prepare(func, options)
        result: ApplyResult[Any] = ApplyResult(handle.codec, self, callback, error_callback)
        try:
            request = prepared.apply(args, kwds, "apply_async" if detach else "apply")
        except Exception as error:  # as in multiprocessing, get() raises what cannot be sent
            result.fail(handle.connection, advise(error))
        else:
            connection = handle.connection
            if detach:
                result.begin(connection.submit_job, request, None)
            else:
                result.begin(connection.submit, request, handle.lane)
        return result

    def map(self, func: Function, iterable: Iterable[Any], chunksize: Optional[int] = None, *,
            return_exceptions: bool = False, timeout: Seconds = None, expires: Seconds = None,
            priority: Optional[int] = None, retries: Optional[int] = None) -> List[Any]:  # fmt: skip
        """[func(x) for x in iterable], by all workers.

        chunksize  elements handed to a worker at a time; by default that follows from how long they take
        """
        options = call_options(timeout, expires, priority, retries)
        return _finish(self._map_async(func, iterable, chunksize, None, None, False, return_exceptions, False, options))

    def map_async(self, func: Function, iterable: Iterable[Any], chunksize: Optional[int] = None,
                  callback: Callback = None, error_callback: Callback = None, *, return_exceptions: bool = False,
                  timeout: Seconds = None, expires: Seconds = None, priority: Optional[int] = None,
                  retries: Optional[int] = None, detach: bool = False) -> MapResult[Any]:  # fmt: skip
        """The same without waiting. The callback is given the whole list once."""
        options = call_options(timeout, expires, priority, retries)
        return self._map_async(func, iterable, chunksize, callback, error_callback, False, return_exceptions, detach,
                               options)  # fmt: skip

    def starmap(self, func: Function, iterable: Iterable[Iterable[Any]], chunksize: Optional[int] = None, *,
                return_exceptions: bool = False, timeout: Seconds = None, expires: Seconds = None,
                priority: Optional[int] = None, retries: Optional[int] = None) -> List[Any]:  # fmt: skip
        """[func(*x) for x in iterable]."""
        options = call_options(timeout, expires, priority, retries)
        return _finish(self._map_async(func, iterable, chunksize, None, None, True, return_exceptions, False, options))

    def starmap_async(self, func: Function, iterable: Iterable[Iterable[Any]], chunksize: Optional[int] = None,
                      callback: Callback = None, error_callback: Callback = None, *, return_exceptions: bool = False,
                      timeout: Seconds = None, expires: Seconds = None, priority: Optional[int] = None,
                      retries: Optional[int] = None, detach: bool = False) -> MapResult[Any]:  # fmt: skip
        """The same without waiting."""
        options = call_options(timeout, expires, priority, retries)
        return self._map_async(func, iterable, chunksize, callback, error_callback, True, return_exceptions, detach,
                               options)  # fmt: skip

    def imap(self, func: Function, iterable: Iterable[Any], chunksize: int = 1, *, return_exceptions: bool = False,
             timeout: Seconds = None, expires: Seconds = None, priority: Optional[int] = None,
             retries: Optional[int] = None) -> IMapIterator[Any]:  # fmt: skip
        """An iterator over func(x) for x in iterable, which may be endless: input is taken as results are."""
        return self._imap(IMapIterator, func, iterable, chunksize, return_exceptions,
                          call_options(timeout, expires, priority, retries))  # fmt: skip

    def imap_unordered(self, func: Function, iterable: Iterable[Any], chunksize: int = 1, *,
                       return_exceptions: bool = False, timeout: Seconds = None, expires: Seconds = None,
                       priority: Optional[int] = None,
                       retries: Optional[int] = None) -> IMapUnorderedIterator[Any]:  # fmt: skip
        """The same, in the order in which values come."""
        found = self._imap(IMapUnorderedIterator, func, iterable, chunksize, return_exceptions,
                           call_options(timeout, expires, priority, retries))  # fmt: skip
        assert isinstance(found, IMapUnorderedIterator)
        return found

    def job(self, job: int, *, return_exceptions: bool = False) -> ApplyResult[Any]:
        """The result of a job that was submitted with `detach`, perhaps by another process of this user.

        return_exceptions  as its submitter said
        get() raises procpool.NoSuchJob where the daemon knows it no more.
        """
        self._check_running()
        handle = self.handle
        result: MapResult[Any] = MapResult(handle.codec, self, None, None, return_exceptions)
        result.begin(handle.connection.submit, message("wait", pack(job)), None)
        result.of_job(job)
        return result

    # Its life

    def close(self) -> None:
        """Takes no more calls; what it has goes on, and its workers end after that."""
        if self._state == RUN:
            self._state = CLOSE
            self.handle.close()

    def terminate(self) -> None:
        """Ends at once: what waits or runs fails with procpool.Cancelled, workers are killed."""
        before, self._state = self._state, TERMINATE
        if before in (RUN, CLOSE):
            self.handle.terminate()

    def join(self) -> None:
        """Waits, after close or terminate, until all calls have ended and no worker is left."""
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state == CLOSE:
            self.handle.join()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __del__(self, _warn: Any = warnings.warn, RUN: str = RUN, CLOSE: str = CLOSE,
                _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        state = getattr(self, "_state", None)
        if state == RUN:
            _warn(f"unclosed running pool {self!r}", ResourceWarning, source=self)
        if _is_finalizing():  # the daemon sees the end of this program; threads cannot be waited for
            return
        if state == RUN:
            self.handle.abandon()
        elif state == CLOSE:
            self.handle.let_end()

    def __repr__(self) -> str:
        cls = type(self)
        size = getattr(self, "_processes", 0)
        return f"<{cls.__module__}.{cls.__qualname__} state={self._state} pool_size={size}>"

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")

    # What several calls have in common

    def _map_async(self, func: Function, iterable: Iterable[Any], chunksize: Optional[int], callback: Callback,
                   error_callback: Callback, star: bool, return_exceptions: bool, detach: bool,
                   options: Mapping[str, Any]) -> MapResult[Any]:  # fmt: skip
        self._check_running()
        handle = self.handle
        if chunksize is not None:
            check_chunksize(chunksize)
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        result: MapResult[Any] = MapResult(handle.codec, self, callback, error_callback, return_exceptions)
        if detach:
            self._detach_map(result, func, iterable, chunksize, star, return_exceptions, options)
        else:
            result.begin(Together, handle.connection, lambda on_end: handle.stream(
                func, iterable, options, chunksize=chunksize, star=star, bounded=False, on_end=on_end))  # fmt: skip
        return result

    def _detach_map(self, result: MapResult[Any], func: Function, iterable: Iterable[Any], chunksize: Optional[int],
                    star: bool, return_exceptions: bool, options: Mapping[str, Any]) -> None:  # fmt: skip
        """As one job, whose list is kept by the daemon: it must fit into one message."""
        handle = self.handle
        own = {"detach": True, "errors": "collect" if return_exceptions else "raise", **options}
        if star:
            own["star"] = True
        if chunksize is not None:
            own["chunksize"] = chunksize
        prepared = handle.calls.prepare(func, own)
        try:
            items: Packed = handle.codec.pack_arrays(iterable) if star else handle.codec.pack_array(list(iterable))
        except Exception as error:
            result.fail(handle.connection, advise(error))
        else:
            result.begin(handle.connection.submit_job, prepared.map(items), None)

    def _imap(self, kind: Callable[..., IMapIterator[Any]], func: Function, iterable: Iterable[Any], chunksize: int,
              return_exceptions: bool, options: Mapping[str, Any]) -> IMapIterator[Any]:  # fmt: skip
        self._check_running()
        check_chunksize(chunksize)
        handle = self.handle
        stream = handle.stream(func, iterable, options, chunksize=chunksize if chunksize > 1 else None, bounded=True)
        return kind(handle.connection, handle.codec, stream, self, return_exceptions)

    def istarmap(self, func: Function, iterables: Sequence[Iterable[Any]], chunksize: int,
                 options: Mapping[str, Any]) -> IMapIterator[Any]:  # fmt: skip
        """For Executor: an iterator over func(*elements) for elements in zip(*iterables)."""
        handle = self.handle
        stream = handle.stream(func, zip(*iterables), options, chunksize=chunksize if chunksize > 1 else None,
                               star=True, bounded=True, blocks=not all(map(is_plain, iterables)))  # fmt: skip
        return IMapIterator(handle.connection, handle.codec, stream, self, False)


def _finish(result: MapResult[Any]) -> List[Any]:
    """Its list; interrupted (Ctrl-C), it ends what nobody will get."""
    try:
        return result.get()
    except KeyboardInterrupt:
        result.cancel()
        raise


def _refuse(settings: Mapping[str, Any]) -> None:
    """ValueError for what only a pool of one's own can be told."""
    for name, value in settings.items():
        if value is not None:
            name = "maxtasksperchild" if name == "max_tasks" else name
            raise ValueError(f"{name} belongs to pools of one's own: a pool of the daemon's has the settings of its "
                             f"configuration")

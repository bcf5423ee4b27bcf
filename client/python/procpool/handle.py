# SPDX-License-Identifier: MIT
"""A pool as this process holds it: its connection, what it has under way there, and its end.

OwnHandle    a pool that was opened for this process: it ends with it
NamedHandle  a pool of the daemon's configuration: only what was called through this handle ends

What an abandoned handle leaves is ended by the daemon as soon as the connection is closed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from time import monotonic
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from . import private, settings
from .calls import Calls, Function, Prepared
from .codec import PICKLE, PLAIN, Codec, Packed
from .connection import Call, Connection, Job, message, pack
from .errors import ConnectionLost, Denied, Error, InitializerFailed, NoSuchPool, NotReady, ShuttingDown
from .functions import advise
from .output import Output
from .segments import Segments
from .stream import Stream, wait

END_SECONDS = 10.0  # that what was killed may take to be gone

_PLAIN_INPUT = frozenset({list, tuple, range, str, bytes, bytearray, dict, set, frozenset})


class Handle:
    """What both kinds have in common.

    connection  the one of this handle alone
    lane        of what this handle has called
    calls       prepares calls
    workers     how many there are meant to be
    """

    def __init__(self, connection: Connection, calls: Calls, workers: int) -> None:
        self.connection = connection
        self.lane = connection.lane()
        self.calls = calls
        self.workers = workers
        self._lock = threading.RLock()  # garbage that is collected meanwhile may be an iterator, which stops
        self._feeding: Set[Stream] = set()  # whose input has not been sent yet
        self._closing = False
        self._gone = False

    @property
    def codec(self) -> Codec:
        return self.calls.codec

    @property
    def name(self) -> str:
        return self.calls.pool

    def stream(self, function: Function, iterable: Iterable[Any], options: Mapping[str, Any], *,
               chunksize: Optional[int], bounded: bool, star: bool = False, blocks: Optional[bool] = None,
               on_end: Optional[Callable[[Stream], object]] = None) -> Stream:  # fmt: skip
        """Sends the elements of an input, see stream.py. Raises what Calls.prepare does.

        blocks  whether taking an element may wait for something; if not told, as its type is
        """
        own: Dict[str, Any] = {"errors": "collect", "stream": "values", **({"star": True} if star else {})}
        if chunksize is not None:
            own["chunksize"] = chunksize
        prepared = self.calls.prepare(function, {**own, **options})
        if blocks is None:
            blocks = bounded and not is_plain(iterable)
        elements = iter(iterable) if is_plain(iterable) else _iterate(iterable)
        segments = Segments(self.codec, elements, star, chunksize or 1)
        return Stream(self.connection, self._submitter(prepared), segments, bulk=not blocks, bounded=bounded,
                      workers=self.workers, chunksize=chunksize or 1, on_feed=self._on_feed, on_fed=self._on_fed,
                      on_end=on_end)  # fmt: skip

    def close(self) -> None:
        """Takes no more (the caller sees to that); what was taken goes on, the pool ends after it."""
        with self._lock:
            self._closing = True
            ready = not self._feeding
        if ready:
            self._close_if_there()

    def join(self) -> None:
        """Waits, after close(), until all has ended, and hangs up. May be repeated, also after terminate()."""
        with self._lock:
            feeding = list(self._feeding)
        for stream in feeding:
            if stream.fed_here():
                raise RuntimeError("the input of a map cannot join its own pool")
            stream.unbound()
        try:
            for stream in feeding:
                wait(self.connection, stream, lambda: stream.fed, None)
            self._wait_for_calls(None)
            if not self._gone:
                self._join()
        except ConnectionLost:
            if not self._gone:  # not by another thread's terminate()
                raise
        self._hang_up()

    def terminate(self) -> None:
        """Ends at once what was called, and the pool where it is one's own; waits until it is gone, and hangs up."""
        with self._lock:
            feeding = list(self._feeding)
        for stream in feeding:
            stream.stop()
        if self._gone:
            return
        try:
            for call in self.connection.of_lane(self.lane):
                self.connection.drop(call)
            self._terminate()
            self._wait_for_calls(END_SECONDS)
        except (ConnectionLost, NotReady):
            pass  # whoever has ended it: all of it is ended with the connection
        self._hang_up()

    def let_end(self) -> None:
        """Nobody will join() any more: hangs up when all has ended, after close()."""
        if not self._gone:
            try:
                threading.Thread(target=self._end_quietly, name="procpool-end", daemon=True).start()
            except RuntimeError:  # the interpreter is ending
                self._hang_up()

    def _end_quietly(self) -> None:
        with contextlib.suppress(Error):  # nobody is there to be told
            self.join()

    def abandon(self) -> None:
        """Hangs up: the daemon ends all of it. Waits for nothing."""
        self._hang_up()

    def _hang_up(self) -> None:
        self._gone = True
        self.connection.close()

    def _close(self) -> None:
        pass

    def _join(self) -> None:
        pass

    def _terminate(self) -> None:
        pass

    def _calls(self) -> List[Call]:
        """What is under way, also by apply() in other threads; not what is detached."""
        return [*self.connection.of_lane(self.lane), *self.connection.of_lane(None)]

    def _wait_for_calls(self, timeout: Optional[float]) -> None:
        """Until nothing is under way and callbacks have run."""
        end = None if timeout is None else monotonic() + timeout
        while not self._gone:
            calls = self._calls()
            for call in calls:
                if not call.wait(None if end is None else max(end - monotonic(), 0.0)):
                    return
            if not calls:
                self.connection.post(_nothing).wait(timeout)
                return

    def _submitter(self, prepared: Prepared) -> Callable[..., Any]:
        def submit(items: Packed, on_run: Callable[..., Any], on_end: Callable[..., Any]) -> Any:
            return self.connection.submit_job(prepared.map(items), self.lane, on_run=on_run, on_end=on_end)

        return submit

    def _on_feed(self, stream: Stream) -> None:
        """Before a feeder begins: its input may close the pool."""
        with self._lock:
            self._feeding.add(stream)

    def _on_fed(self, stream: Stream) -> None:
        """In the thread that fed it, or has stopped it."""
        with self._lock:
            if stream not in self._feeding:
                return
            self._feeding.discard(stream)
            ready = self._closing and not self._feeding
        if ready:
            self._close_if_there()

    def _close_if_there(self) -> None:
        try:
            self._close()
        except ConnectionLost:  # join() tells
            pass


class OwnHandle(Handle):
    """See the module's text."""

    _output: Output

    @classmethod
    def open(cls, initializer: Optional[Callable[..., Any]], initargs: Iterable[Any], wanted: Dict[str, Any],
             address: Optional[str], trust: Optional[bool]) -> OwnHandle:  # fmt: skip
        """Opens a pool with these settings, at the daemon at this path; else at a running one of this user's, else at
        one for this process alone.

        trust  whether to unpickle what comes from there though daemon or workers have another user id

        Waits for its first worker: InitializerFailed, or the RuntimeError that a script without `__main__` guard gets
        (preparation.py), are raised here. OSError, RuntimeError where no daemon is to be had; Denied.
        """
        options = settings.describe_program()
        try:
            request = settings.open_message(initializer, initargs, wanted, options)
        except Exception as error:
            raise advise(error)
        for last, connection in _daemons(address):
            output = Output()
            connection.on_output = _show_on(output)
            try:
                if not trust:
                    _check_uid("the daemon", connection.uid)
                answer = connection.call(request)
                if not trust:
                    _check_workers(connection, answer["pool"])
            except (Denied, ShuttingDown, ConnectionLost):  # a pool that was opened there has gone with the connection
                connection.close()
                if last:
                    raise
            except InitializerFailed as error:
                connection.close()
                raise _guard(error) from error.__cause__
            except BaseException:
                connection.close()
                raise
            else:
                handle = cls(connection, Calls(PICKLE, answer["pool"], "main" in options), answer["workers"])
                handle._output = output
                return handle
        raise RuntimeError("no daemon takes pools")  # not reached: the last one raises

    def _hang_up(self) -> None:
        super()._hang_up()
        self._output.finish()

    def _close(self) -> None:
        self.connection.submit(message("close", pack(self.name)), self.lane)

    def _join(self) -> None:
        self.connection.request("join", self.name)

    def _terminate(self) -> None:
        self.connection.request("terminate", self.name)
        self.connection.request("join", self.name, END_SECONDS)


class NamedHandle(Handle):
    """See the module's text."""

    @classmethod
    def attach(cls, name: str, address: Optional[str], trust: Optional[bool]) -> NamedHandle:
        """Attaches to a pool of the daemon's configuration; NoSuchPool.

        trust  whether pickles that its workers send are unpickled here, which lets them run any code; if not told,
               where they have the user id of this process. Without it, or where the pool takes no pickles, calls are
               plain.
        """
        connection = Connection.connect(address)
        try:
            found = [row for row in connection.request("pools") if row["name"] == name]
            if not found:
                raise NoSuchPool(f"there is no pool {name}")
            row = found[0]
            if trust is None:
                own = os.geteuid()
                trust = row.get("uid") == own and connection.uid in (own, 0)
            codec: Codec = PICKLE if trust and row.get("pickle") else PLAIN
            names = {row["name"] for row in connection.request("functions", {"pool": name})}
            calls = Calls(codec, name, False, None if "*" in names else names)
            return cls(connection, calls, max(int(row["target"]), 1))
        except BaseException:
            connection.close()
            raise

    def _terminate(self) -> None:
        for call in self._calls():
            what = call.id() if isinstance(call, Job) else {"request": call.msgid}
            if not call.came:
                self.connection.submit(message("cancel", pack(what)))


def _daemons(address: Optional[str]) -> Iterator[Tuple[bool, Connection]]:
    """(whether it is the last, a connection) to each daemon that may take a pool of this user's."""
    if address is not None:
        yield True, Connection.connect(address)
        return
    try:
        connection = Connection.connect()
    except (OSError, Error):
        pass
    else:
        yield False, connection
    yield True, Connection.connect(private.daemon())


def _show_on(output: Output) -> Callable[[str, int, str, bytes], None]:
    return lambda pool, worker, stream, data: output.show(worker, stream, data)


def _check_uid(who: str, uid: object) -> None:
    """Denied where what comes from there must not be unpickled."""
    if uid != os.geteuid():
        raise Denied(f"{who} has the user id {uid}, not that of this program: what it sends is unpickled here, and could "
                     f"run any code; trust=True allows that")


def _check_workers(connection: Connection, name: str) -> None:
    for row in connection.request("pools"):
        if row["name"] == name:
            _check_uid("a worker", row["uid"])


def is_plain(iterable: object) -> bool:
    """Whether iterating it runs no code but Python's own, and so never waits for anything."""
    return type(iterable) in _PLAIN_INPUT


def _guard(error: InitializerFailed) -> Exception:
    """The RuntimeError about the missing guard, where it was that which ended the workers."""
    if error.type == "RuntimeError" and "__name__ == '__main__'" in error.message:
        return RuntimeError(error.message)
    return error


def _iterate(iterable: Iterable[Any]) -> Iterator[Any]:
    """Its errors come when it is iterated, also those of beginning to."""
    yield from iterable


def _nothing() -> None:
    pass

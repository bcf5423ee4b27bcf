# SPDX-License-Identifier: MIT
"""One connection to a daemon: requests under way, answers and pushes; everything in the package speaks through it.

A Connection belongs to one process, and to all of its threads: any number of them call at the same time. What it
carries are MessagePack values as codec.py unpacks them: pickles stay Pickled until whoever asked restores them, in its
own thread.

    connection = Connection.connect()                              # or connect("/run/…/procpoold.sock")
    connection.request("ping")                                     # "pong": one request of plain params, and its answer
    m = message("apply", pack("demo.inc"), PLAIN.pack_array([41])) # what is sent, all but its msgid
    connection.call(m)                                             # 42: the same, packed by the caller
    call = connection.submit(m)                                    # does not wait
    call.wait(1.0) and call.result()                               # True when it has ended; 42, or the error raised
    connection.submit(m, done=print)                               # print(call) in the connection's callback thread

What stands for a request under way:

`Call`  one that the response ends. Ever so many may be submitted: a *lane* (one per pool) has at most WINDOW of them
        under way, so that no limit of the daemon is met, and holds back the others in the order in which they came.
        `apply` is the method for apply_async, too: half the traffic, and nothing is kept in the daemon. Only what
        outlives the session, or whose job id must be known, needs the method `apply_async`.
`Job`   one that is answered with a job id and ended by the push `result` (apply_async, map_async). A streamed map's
        elements come before that, in *runs*: `next_run()` takes them from any thread, `runs` has those that came.

Callbacks (`done`) run in one thread, in the order in which the calls ended; `wait()` returns and `ended` is true only
after them. What they raise is the callback's owner's affair: it is caught there, and kept in `call.failure`.

What a pool's processes print (push `output`) goes to `on_output(pool, worker, stream, data)`, in order, before the
result that follows it is given to anybody: it is called by a thread that waits, or the connection's own.

When the connection ends, each call under way has the error ConnectionLost; where the daemon gave a reason (push
`error`), that error. Nothing is sent twice. A child of fork() finds the connection closed, and its parent's goes on.
"""

from __future__ import annotations

from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .codec import Packed

WINDOW = 2048  #: requests of a lane that are under way at most
WINDOW_BYTES = 32 << 20  #: the same in bytes; one larger request goes alone


def pack(value: Any) -> bytes:
    """A plain value for a request: names, options, ids."""
    raise NotImplementedError


def message(method: str, *params: Packed) -> Packed:
    """A request without its msgid, from packed params: what `call` and `submit` take, any number of times."""
    raise NotImplementedError


class Lane:
    """Requests that are held back together; see Call. Of one connection, made by Connection.lane()."""

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until nothing of it is held back or under way, callbacks included; whether that is so. For join()."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Cancels all that is held back or under way, without waiting for answers. For the end of a pool's object."""
        raise NotImplementedError


class Call:
    """A request under way. Any thread may wait for it.

    ended    bool: the answer has come, and `done` has run
    error    what came as the error: None, a map (see errors.from_wire), or an Exception of the connection's own
    value    what came as the result; pickles in it are Pickled
    failure  the exception that `done` raised, or None
    """

    ended: bool
    error: Any
    value: Any
    failure: Optional[BaseException]

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until it has ended, at most so many seconds; whether it has. With 0 only looks, and costs little."""
        raise NotImplementedError

    def result(self, loads: Optional[Callable[[Any], Any]] = None) -> Any:
        """Waits for the end and returns `value`, or raises errors.from_wire(error, loads), a new object each time."""
        raise NotImplementedError

    def cancel(self) -> Dict[str, Any]:
        """Cancels it: what the method `cancel` answers. One that was held back ends at once, without the daemon."""
        raise NotImplementedError


class Job(Call):
    """A request answered with a job id, and ended by the push `result`.

    meta  map {pool, function, waited, ran} of the push, or None
    runs  deque of (first, outcomes, bare) that came and were not taken yet: outcomes are those of the elements first,
          first + 1, …: values where bare is true (push `values`), else pairs [error, value] (push `items`)
    """

    meta: Optional[Dict[str, Any]]
    runs: Deque[Tuple[int, List[Any], bool]]

    def id(self, timeout: Optional[float] = None) -> int:
        """The job's id; waits for the answer. Raises its error, or NotReady after so many seconds."""
        raise NotImplementedError

    def next_run(self, timeout: Optional[float] = None) -> Optional[Tuple[int, List[Any], bool]]:
        """The next of `runs`; None when all have been taken and the job has ended. NotReady after so many seconds."""
        raise NotImplementedError


class Listener:
    """Pushes for those who subscribed: `event`, and `result` of jobs that are not this connection's own."""

    def next(self, timeout: Optional[float] = None) -> Optional[Tuple[str, List[Any]]]:
        """(name, params) of the next push; None when it or the connection is closed. NotReady after so many seconds."""
        raise NotImplementedError

    def close(self) -> None:
        """No more of them; who waits in next() gets None."""
        raise NotImplementedError


class Connection:
    """See the module's text.

    hello      map: what the daemon answered to hello: server, version, protocol, session, limits
    uid        user id of the daemon, as the kernel knows it
    address    str: the socket's path
    on_output  called with (pool, worker, stream, data), see the push `output`; None drops them
    closed     bool
    """

    hello: Dict[str, Any]
    uid: int
    address: str
    on_output: Optional[Callable[[str, int, str, bytes], None]]
    closed: bool

    @classmethod
    def connect(cls, address: Optional[str] = None, name: str = "python") -> Connection:
        """Connects (see address.py) and says hello as `name`. OSError where nobody listens; Error if refused."""
        raise NotImplementedError

    def lane(self) -> Lane:
        """A new lane: one for each pool that is called."""
        raise NotImplementedError

    def request(self, method: str, *params: Any) -> Any:
        """One request of plain params and its result; raises its error."""
        raise NotImplementedError

    def call(self, message: Packed, loads: Optional[Callable[[Any], Any]] = None) -> Any:
        """Sends and waits. A lane does not hold it back. Interrupted (Ctrl-C), it cancels what it began."""
        raise NotImplementedError

    def submit(self, message: Packed, lane: Optional[Lane] = None,
               done: Optional[Callable[[Call], object]] = None) -> Call:  # fmt: skip
        """Sends, or holds back. Raises ConnectionLost where the connection has ended already."""
        raise NotImplementedError

    def submit_job(self, message: Packed, lane: Optional[Lane] = None,
                   done: Optional[Callable[[Job], object]] = None,
                   on_run: Optional[Callable[[Job, int, List[Any], bool], object]] = None,
                   on_end: Optional[Callable[[Job], object]] = None) -> Job:  # fmt: skip
        """The same for the methods apply_async and map_async; `done` is called when the job has ended.

        A map that goes as several jobs, and an imap, want what arrives of all of them in one order: `on_run` is given the
        runs instead of `runs`, `on_end` the job that has ended, whatever its outcome, before `done`. Both
        are called in the thread that receives, and neither block nor raise; they may submit. Who waits for what they
        note does so by wait_for().
        """
        raise NotImplementedError

    def wait_for(self, ready: Callable[[], bool], timeout: Optional[float] = None) -> bool:
        """Waits until ready(), which is asked after what has come was handled; whether it is. False too when closed."""
        raise NotImplementedError

    def post(self, done: Callable[[], object]) -> None:
        """Runs it in the callback thread, after what was to be called before: the callback of what was never sent."""
        raise NotImplementedError

    def listen(self) -> Listener:
        """From now on all pushes for subscribers; the caller subscribes, and closes it."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the session; calls under way end with ConnectionLost. May be repeated."""
        raise NotImplementedError

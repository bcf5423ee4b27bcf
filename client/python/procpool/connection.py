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

What stands for a request under way (pending.py):

`Call`  one that the response ends. Ever so many may be submitted: a *lane* (one per pool) has at most WINDOW of them
        under way, so that no limit of the daemon is met, and holds back the others in the order in which they came.
        `apply` is the method for what is asynchronous, too: half the traffic, and nothing is kept in the daemon. Only
        what outlives the session, or whose job id must be known, needs the method `apply_async`.
`Job`   one that is answered with a job id and ended by the push `result` (apply_async, map_async). A streamed map's
        elements come before that, in *runs*: `next_run()` takes them from any thread, `runs` has those that came.

Callbacks (`done`) run in one thread, in the order in which the calls ended; `wait()` returns and `ended` is true only
after them. What they raise is the callback's owner's affair: it is caught there, and kept in `call.failure`.

What a pool's processes print (push `output`) goes to `on_output(pool, worker, stream, data)`, in order, before the
result that follows it is given to anybody: it is called by a thread that waits, or the connection's own.

When the connection ends, each call under way has the error ConnectionLost; where the daemon gave a reason (push
`error`), that error. Nothing is sent twice. A child of fork() finds the connection closed, and its parent's goes on.

Who reads
---------
Of the threads that wait, one reads (it has the *role*) and ends the calls of all; the others sleep on locks of their
own. When its own call has ended, it wakes one of them to go on. So a thread alone that calls needs no other thread, and
no switch to one. While nobody waits but something may come (callbacks, outputs, the answers to what was submitted), the
*attendant* (attendant.py), a thread of the connection's own, does. What others leave unsent, to go together with what
comes next, is sent by whoever waits or reads next, or by the attendant.

What may be interrupted at any point (Ctrl-C) is in receiver.py, dispatch.py and sender.py. Here locks are held by
`with`, or are RLocks, whose owner can be asked for, and are given back in two nested places, of which an interruption
can hit one.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import weakref
from itertools import count
from typing import Any, Callable, Dict, List, Optional, Tuple

import msgpack

from . import address as addresses
from ._version import VERSION
from .attendant import FEW, Attendant, await_input
from .codec import Buffer, Packed, array_header, concat
from .dispatch import Dispatcher, OutputHandler, Told
from .errors import ConnectionLost
from .pending import WINDOW, WINDOW_BYTES, Call, Job, Lane, Listener, Loads, Subject, as_exception
from .receiver import Ended, Receiver, Violation
from .sender import Sender
from .threads import release

__all__ = ["WINDOW", "WINDOW_BYTES", "Call", "Connection", "Job", "Lane", "Listener", "message", "pack"]

_HEAD = b"\x94\x00\xce"  # of a request: [0, a msgid of 32 bits, …
_FIRST_MSGID = 1 << 16  # so that every msgid has 32 bits
_TOGETHER = 64  # frames, or
_TOGETHER_BYTES = 1 << 15
_PUMP = 256  # held back until the submitter reads
_MESSAGE_BYTES = 1 << 28  # until hello has told
_DONTWAIT = (socket.MSG_DONTWAIT,)

def pack(value: Any) -> bytes:
    """A plain value for a request: names, options, ids."""
    return bytes(msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape"))


def message(method: str, *params: Packed) -> Packed:
    """A request without its msgid, from packed params: what `call` and `submit` take, any number of times."""
    return concat(pack(method) + array_header(len(params)), *params)


_PING = pack("ping") + pack([])


class Connection:
    """See the module's text.

    hello      map: what the daemon answered to hello: server, version, protocol, session, rights, limits
    uid        user id of the daemon, as the kernel knows it
    address    str: the socket's path
    on_output  called with (pool, worker, stream, data), see the push `output`; None drops them
    closed     bool
    streams    those that have not ended: told when it does (stream.py)
    copied     bool: it is the copy of a parent's, in a child of fork()
    """

    def __init__(self, sock: socket.socket, path: str = "") -> None:
        """For a socket that is connected; `connect` is what users call."""
        self.address = path
        self.hello: Dict[str, Any] = {}
        self.uid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        self._sock = sock
        sock.setblocking(True)
        self._start()
        _connections.add(self)

    def _start(self) -> None:
        sock = self._sock
        self._receiver = Receiver(sock, _MESSAGE_BYTES)
        self._sender = Sender(sock, self._read_while_sending)
        self._frames = self._sender.frames
        self._lock = threading.RLock()  # of what submitters write
        self._msgids = count(_FIRST_MSGID)
        self.streams: Dict[Any, None] = {}
        self.copied = False
        self._holding: List[Lane] = []  # lanes that hold calls back
        self._default_lane = Lane({})
        self._broken: Optional[Exception] = None  # why it ended
        # Who reads
        self._role: Any = threading.RLock()
        self.leading = False  # a hint: somebody has the role
        self._followers: Dict[Any, None] = {}  # locks of those who could have it
        self._nudged = Call(self, None, None)  # the last that made it look: one is enough until its answer
        self._nudged.came = True
        self.sends = self.reads = 0  # grow with whatever is submitted, and read
        self._attendant = Attendant(self, sock)
        self._dispatcher = Dispatcher()
        self._calls, self._jobs = self._dispatcher.calls, self._dispatcher.jobs

    @classmethod
    def connect(cls, address: Optional[str] = None, name: str = "python") -> Connection:
        """Connects (see address.py) and says hello as `name`. OSError where nobody listens; Error if refused."""
        sock = addresses.connect(address)
        try:
            connection = cls(sock, sock.getpeername())
        except BaseException:
            sock.close()
            raise
        try:
            connection.hello = connection.request("hello", {"client": name, "version": VERSION})
            limit = connection.hello["limits"]["message_bytes"]
            connection._receiver.set_limit(int(limit))
            connection._default_lane = connection.lane()
        except (KeyError, TypeError, ValueError):
            connection.close()
            raise ConnectionLost(f"what answers at {connection.address} is no procpoold") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"session {self.hello.get('session')}"
        return f"<procpool.Connection to {self.address}, {state}>"

    @property
    def closed(self) -> bool:
        return self._broken is not None

    @property
    def reason(self) -> Optional[Exception]:
        """Why it is closed, a new object each time; None while it is not."""
        return None if self._broken is None else as_exception(self._broken)

    def in_callback(self) -> bool:
        """Whether the calling thread is the one that runs callbacks: it must not wait for others, which come after."""
        return self._dispatcher.callbacks.here()

    @property
    def on_output(self) -> Optional[OutputHandler]:
        return self._dispatcher.on_output

    @on_output.setter
    def on_output(self, handler: Optional[OutputHandler]) -> None:
        self._dispatcher.on_output = handler
        if handler is not None:
            self._attendant.wake()

    def fileno(self) -> int:
        """The socket's descriptor, to be watched for input; -1 when it is closed. See look()."""
        return self._sock.fileno()

    # Requests

    def lane(self) -> Lane:
        """A new lane: one for each pool that is called."""
        return Lane(self.hello.get("limits", {}))

    def request(self, method: str, *params: Any) -> Any:
        """One request of plain params and its result; raises its error."""
        return self.call(pack(method) + pack(params))

    def call(self, message: Packed, loads: Optional[Loads] = None) -> Any:
        """Sends and waits. A lane does not hold it back. Interrupted (Ctrl-C), it cancels what it began."""
        call = Call(self, None, None)
        try:
            self._begin(call, message)
            self._sender.flush()
            self.wait_for(call, None)
        except BaseException:
            self._abandon(call, message)
            raise
        if call.error is not None:
            raise as_exception(call.error, loads)
        return call.value

    def submit(self, message: Packed, lane: Optional[Lane] = None,
               done: Optional[Callable[[Call], object]] = None) -> Call:  # fmt: skip
        """Sends, or holds back. Raises ConnectionLost where the connection has ended already."""
        call = Call(self, lane or self._default_lane, done)
        self._submit(call, message)
        return call

    def submit_job(self, message: Packed, lane: Optional[Lane] = None,
                   done: Optional[Callable[[Job], object]] = None,
                   on_run: Optional[Callable[[Job, int, List[Any], bool], object]] = None,
                   on_end: Optional[Callable[[Job], object]] = None) -> Job:  # fmt: skip
        """The same for the methods apply_async and map_async; `done` is called when the job has ended.

        on_run  is given the runs, instead of `runs`
        on_end  is called with the job that has ended, whatever its outcome, before `done`

        Both are called in the thread that reads, so they return at once and raise nothing; they may submit. Where they
        were interrupted (Ctrl-C) they are called again with the same. Who waits for what they note uses changed().
        """
        job = Job(self, lane or self._default_lane, done)
        job.on_run, job.on_end = on_run, on_end
        self._submit(job, message)
        return job

    def post(self, function: Callable[[], object]) -> Call:
        """Runs it in the callback thread, after the callbacks of what has ended before; the Call ends with it."""
        call = Call(self, None, lambda _: function())
        call.came = True
        self._dispatcher.callbacks.put(call)
        return call

    def of_lane(self, lane: Optional[Lane]) -> List[Call]:
        """What is under way, or held back, of a lane; with None, of call() and request()."""
        return [call for call in [*self._calls.values(), *self._jobs.values()] if call.lane is lane]

    def _submit(self, call: Call, message: Packed) -> None:
        if call.done is not None:
            self._dispatcher.callbacks.prepare()
        self._begin(call, message)
        lane, attendant = call.lane, self._attendant
        assert lane is not None
        self.sends += 1
        if call.frame:
            if call.msgid % _PUMP == 0:
                self.look()
        elif attendant.watching or lane.begun - lane.finished <= FEW or len(self._frames) >= _TOGETHER or (
                call.size >= _TOGETHER_BYTES):  # fmt: skip
            self._sender.flush()
        if attendant.asleep or attendant.dozing or not attendant.started:
            attendant.wake()

    def _begin(self, call: Call, message: Packed) -> None:
        """Registers it, and puts its frame where it will be sent, or held back."""
        lane = call.lane
        with self._lock:
            if self._broken is not None:
                raise as_exception(self._broken)
            msgid = next(self._msgids)
            if msgid >= 1 << 32:
                self._msgids = count(_FIRST_MSGID)
                msgid = next(self._msgids)
            head = _HEAD + msgid.to_bytes(4, "big")
            pieces: Tuple[Buffer, ...] = (head + message,) if type(message) is bytes else (head, *message)
            call.msgid = msgid
            if lane is None:
                self._calls[msgid] = call
                self._frames += pieces
                return
            size = sum(map(len, pieces))
            call.size = size
            if lane.held or not lane.has_room(size):
                call.frame = pieces
                if lane not in self._holding:
                    self._holding.append(lane)
                self._calls[msgid] = call
                lane.held += (call,)
            else:
                lane.begun += 1
                lane.begun_bytes += size
                self._calls[msgid] = call
                self._frames += pieces

    def _refill(self) -> None:
        """Sends on what was held back, as far as there is room again."""
        with self._lock:
            for lane in self._holding[:]:
                held = lane.held
                while held:
                    call = held[0]
                    size = call.size
                    if call.came:
                        del held[0]
                    elif lane.has_room(size):
                        # No call in between: it is sent once.
                        self._frames += call.frame
                        call.frame = ()
                        lane.begun += 1
                        lane.begun_bytes += size
                        del held[0]
                    else:
                        break
                if not held:
                    self._holding.remove(lane)
        self._sender.flush(wait=False)
        if self._sender.pending:
            self._attendant.wake()

    def drop(self, call: Call) -> bool:
        """Cancels a call that is still held back; whether it was."""
        with self._lock:
            if not call.frame or call.came:
                return False
            call.error = {"code": "cancelled", "message": "it was cancelled before it was sent"}
            call.came = True  # from here on it is not sent
            call.frame = ()
            self._calls.pop(call.msgid, None)
        self._dispatcher.ended(call)
        self._nudge()
        return True

    def changed(self, subject: Subject) -> None:
        """Something has happened to it without anything having been read: who waits for it looks again."""
        self._dispatcher.happened(subject)
        self._nudge()

    def _nudge(self) -> None:
        """Lets the thread that reads look at what it waits for, perhaps for nothing else: an answer makes it."""
        if self.leading and not self._role._is_owned() and self._broken is None and self._nudged.came:
            nudge = Call(self, None, None)
            self._begin(nudge, _PING)
            self._sender.flush(wait=False)
            if self._sender.pending:
                self._attendant.wake()
            self._nudged = nudge

    def _abandon(self, call: Call, message: Packed) -> None:
        """Nobody waits for it any more."""
        first = message if isinstance(message, bytes) else message[0]
        if call.came or self._broken is not None or not bytes(first[:6]).startswith((b"\xa5apply", b"\xa3map")):
            return
        cancel = Call(self, None, None)
        self._begin(cancel, pack("cancel") + pack([{"request": call.msgid}]))
        self._sender.flush(wait=False)
        if self._sender.pending:
            self._attendant.wake()

    def listen(self) -> Listener:
        """From now on all pushes for subscribers; the caller subscribes, and closes it."""
        listener = Listener(self)
        with self._lock:
            if self._broken is not None:
                raise as_exception(self._broken)
            self._dispatcher.listeners = [*self._dispatcher.listeners, listener]
        self._attendant.wake()
        return listener

    def forget(self, listener: Listener) -> None:
        """The end of a listener."""
        with self._lock:
            self._dispatcher.listeners = [each for each in self._dispatcher.listeners if each is not listener]
        self._dispatcher.ended(listener)
        self._nudge()

    # Waiting

    def wait_for(self, call: Call, timeout: Optional[float]) -> bool:
        """See Call.wait."""
        if not call.ended:
            if timeout is None:
                deadline = None
            elif timeout > 0:
                deadline = time.monotonic() + timeout
            else:
                self.look()
                if not call.ended:
                    return False
            while not call.ended:
                seen = call.version
                if call.ended or call.came and self.in_callback():
                    break  # a callback that waits for a call whose own callback comes after it
                if not self.wait_change(call, seen, deadline) and not call.ended:
                    return False
        dispatcher = self._dispatcher
        if dispatcher.outputs or dispatcher.printing:
            dispatcher.print_outputs()
        return True

    def wait_change(self, subject: Subject, seen: int, deadline: Optional[float]) -> bool:
        """Waits until subject.version is another than `seen`; False when the deadline (monotonic) has passed."""
        if self._sender.pending:
            self._sender.flush()
        role = self._role
        nested = role._is_owned()
        waiter: Any = None
        try:
            try:
                while subject.version == seen:
                    if not subject.came and self._broken is None and (nested or role.acquire(False)):
                        if not self._lead(subject, seen, deadline):
                            break
                    elif waiter is None:
                        waiter = threading.Lock()
                        waiter.acquire()
                        self._follow(subject, waiter)
                    else:
                        if subject.came and self._followers.pop(waiter, self) is None:
                            self._pass_on()  # it cannot read any more, and may have been woken to
                        if deadline is None:
                            waiter.acquire()
                        elif not waiter.acquire(timeout=max(0, deadline - time.monotonic())):
                            break
            finally:
                self._step_down(subject, waiter, nested)
        except BaseException:
            self._step_down(subject, waiter, nested)
            raise
        return subject.version != seen

    def look(self) -> None:
        """Sends what is to be sent, and reads what has come, if that is no other thread's affair. Does not wait."""
        if self._sender.pending:
            self._sender.flush(wait=False)
        self._read_now()

    def _read_now(self) -> bool:
        """Reads what has come. False where another thread reads."""
        role = self._role
        nested = role._is_owned()
        try:
            try:
                if not nested and not role.acquire(False):
                    return False
                self._take(_DONTWAIT)
            except BlockingIOError:
                pass
            finally:
                self._step_down(None, None, nested)
        except BaseException:
            self._step_down(None, None, nested)
            raise
        return True

    _read_while_sending = _read_now

    def _lead(self, subject: Subject, seen: int, deadline: Optional[float]) -> bool:
        """Reads until subject.version is another than `seen`; False when the deadline has passed."""
        self.leading = True
        while subject.version == seen and self._broken is None:
            if deadline is None:
                self._take()
            else:
                try:
                    self._take(_DONTWAIT)
                except BlockingIOError:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    await_input(self._sock, left * 1000)
            if self._dispatcher.outputs:
                self._dispatcher.print_outputs()
        return True

    def _follow(self, subject: Subject, waiter: Any) -> None:
        with self._lock:
            if subject.waiters is None:
                subject.waiters = []
            subject.waiters.append(waiter)
            if not subject.came:
                self._followers[waiter] = None

    def _step_down(self, subject: Optional[Subject], waiter: Any, nested: bool) -> None:
        """Gives back the role, if we have it, and sees to it that somebody reads."""
        if nested:
            return
        if self._role._is_owned():
            self.leading = False
            self._role.release()
            if self._holding:  # an interruption may have come before that
                self._refill()
        if waiter is not None and subject is not None:
            with self._lock:
                self._followers.pop(waiter, None)
                if subject.waiters and waiter in subject.waiters:
                    subject.waiters.remove(waiter)
        self._pass_on()

    def _pass_on(self) -> None:
        """If nobody reads, lets somebody."""
        if not self.leading:
            if self._followers:
                for each in list(self._followers)[:1]:
                    release(each)
            elif self._attendant.asleep and self.wanted():
                self._attendant.wake()

    # Reading: all of this in the thread that has the role

    def _take(self, flags: Tuple[int, ...] = ()) -> None:
        """Reads once, or goes on where that was interrupted, and deals with what came. BlockingIOError as receive()."""
        receiver = self._receiver
        try:
            if not receiver.inbox or receiver.pending:
                receiver.receive(flags)
                self.reads += 1
            self._dispatcher.dispatch(receiver.inbox)
            if self._holding:
                self._refill()
        except Ended:
            receiver.discard()
            self._end(ConnectionLost("the daemon closed the connection; what became of the calls is unknown"))
        except Told as e:
            self._end(e.error)
        except Violation as e:
            receiver.discard()
            self._end(ConnectionLost(f"the connection was closed: {e}; what became of the calls is unknown"))
        except OSError as e:
            if e.errno is None or isinstance(e, BlockingIOError):
                raise
            self._end(ConnectionLost(f"the connection was lost: {e.strerror}; what became of the calls is unknown"))

    # What the attendant wants to know, see attendant.py

    def wanted(self) -> bool:
        """Whether something may come though nobody waits for it, or is to be sent."""
        dispatcher = self._dispatcher
        return bool(self._calls or self._jobs or dispatcher.listeners or dispatcher.on_output is not None
                    or self._sender.pending)  # fmt: skip

    def under_way(self) -> int:
        """How many calls are."""
        return len(self._calls) + len(self._jobs)

    def send_rest(self) -> None:
        """Sends what was left unsent."""
        if self._sender.pending:
            self._sender.flush()

    def read_now(self) -> bool:
        """Reads what has come, and hands it on; False where another thread reads."""
        if not self._read_now():
            return False
        self._dispatcher.print_outputs()
        return True

    def print_outputs(self) -> None:
        """Hands on what pools have printed, before the caller shows what came after it."""
        self._dispatcher.print_outputs()

    # The end

    def _end(self, reason: Exception) -> None:
        """It has ended, or must: everybody under way is told. Nothing is read any more. May be repeated."""
        with self._lock:
            if self._broken is None:
                self._broken = reason
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        for call in [*self._calls.values(), *self._jobs.values()]:
            if not call.came:
                call.error = self._broken
                self._dispatcher.ended(call)
        for lane in self._holding:
            lane.held.clear()
        self._calls.clear()
        self._jobs.clear()
        for listener in self._dispatcher.listeners:
            self._dispatcher.ended(listener)
        for stream in list(self.streams):
            stream.stop(as_exception(self._broken))
        self._dispatcher.callbacks.close()
        self._attendant.close()
        for waiter in list(self._followers):
            release(waiter)

    def close(self) -> None:
        """Ends the session; calls under way end with ConnectionLost. May be repeated."""
        self._end(ConnectionLost("the connection was closed by this program; what became of the calls is unknown"))
        if not self._attendant.join(1):  # it is in on_output, and would look at a descriptor that is another's by then
            return
        with self._role:  # who reads has woken up
            self._sock.close()
            self._receiver.discard()


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def _forked() -> None:
    """In the child of a fork: its copies of connections end, without a word to the daemon."""
    for connection in list(_connections):
        if connection._sock.fileno() < 0:
            continue
        calls, streams = [*connection._calls.values(), *connection._jobs.values()], list(connection.streams)
        sock, listeners, handler = connection._sock, connection._dispatcher.listeners, connection.on_output
        connection._start()  # locks that nobody holds
        connection._dispatcher.on_output = handler
        connection.copied = True
        connection._broken = ConnectionLost("the connection belongs to the parent process; a child makes its own")
        sock.close()
        for call in calls:
            call.error = connection._broken
            call.came = call.ended = True
            call.waiters = None
        for listener in listeners:
            listener.came = True
        for stream in streams:
            stream.forked(connection._broken)


os.register_at_fork(after_in_child=_forked)

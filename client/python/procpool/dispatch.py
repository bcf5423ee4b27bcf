# SPDX-License-Identifier: MIT
"""What the daemon's messages do: answers end calls, pushes reach their jobs, listeners and the program's own streams.

Each message's effect is in place before the message is taken out of the inbox, and may be repeated without harm: an
exception may strike anywhere (receiver.py), and whoever reads next begins with the same message. What may not be done
twice is done without a call between it and the note that it is done.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .callbacks import Callbacks
from .errors import from_wire
from .pending import Call, Job, Listener, Subject
from .receiver import Violation
from .threads import release

OutputHandler = Callable[[str, int, str, bytes], object]

_DONE = object()  # in the place of a push's first element: its effect is there, and it has not been taken away yet


class Told(Violation):
    """The daemon said why it closes the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Dispatcher:
    """Of one connection; dispatch() is called by whoever reads.

    calls      requests that are to be answered, by msgid
    jobs       those that are to be ended by a push, by the job's id
    listeners  replaced, never changed
    on_output  see Connection
    """

    def __init__(self) -> None:
        self.calls: Dict[int, Call] = {}
        self.jobs: Dict[int, Job] = {}
        self.listeners: List[Listener] = []
        self.on_output: Optional[OutputHandler] = None
        self.callbacks = Callbacks(self.print_outputs, self.happened)
        self.outputs: Deque[List[Any]] = deque()  # what was printed and has not been shown
        self.printing = False
        self._print_lock = threading.RLock()

    def dispatch(self, inbox: Deque[Tuple[Any, Any]]) -> None:
        """Deals with all messages. Violation where one is none, Told by the push `error`."""
        calls = self.calls
        while inbox:
            entry = inbox[0]
            message = entry[0]
            if type(message) is not list:
                raise Violation("it sent what is no message")
            if len(message) == 4 and message[0] == 1:
                msgid = message[1]
                call = calls.get(msgid) if type(msgid) is int else None
                if call is not None:
                    error = message[2]
                    if error is None and type(call) is Job:
                        self._answered(call, message[3])
                    else:
                        call.error = error
                        call.value = message[3]
                        self.ended(call)
                        lane = call.lane
                        # No call from here to the end: it is counted once.
                        if lane is not None and msgid in calls:
                            lane.finished += 1
                            lane.finished_bytes += call.size
                    calls.pop(msgid, None)
            elif len(message) == 3 and (message[0] == 2 or message[0] is _DONE) and type(message[2]) is list:
                self._push(message)
            else:
                raise Violation("it sent what is no message")
            if inbox and inbox[0] is entry:
                del inbox[0]

    def ended(self, subject: Subject) -> None:
        """Nothing more comes for it. May be repeated."""
        subject.came = True
        if type(subject) is Job and subject.on_end is not None:
            subject.on_end(subject)
        if isinstance(subject, Call):
            if subject.done is None:
                subject.ended = True
            elif not subject.ended:
                self.callbacks.put(subject)
        self.happened(subject)

    def happened(self, subject: Subject) -> None:
        """Who waits for it looks again."""
        subject.version += 1
        if subject.waiters:
            _wake(subject)

    def _answered(self, job: Job, number: Any) -> None:
        """A job's id has come."""
        if type(number) is not int:
            raise Violation("a job's id is no integer")
        job.job = number
        self.jobs[number] = job
        self.happened(job)

    def _push(self, message: List[Any]) -> None:
        name, params = message[1], message[2]
        if name in ("items", "values"):
            self._run(message)
        elif name == "result":
            self._result(message)
        elif name == "output" and len(params) == 4 and self.on_output is not None:
            if message[0] == 2:
                self.outputs += (params,)
                message[0] = _DONE  # also if it comes here again
        elif name == "error" and params:
            raise Told(from_wire(params[0]))
        elif name == "event":
            self._tell_listeners(message)

    def _run(self, message: List[Any]) -> None:
        name, params = message[1], message[2]
        if len(params) != 3 or type(params[0]) is not int or type(params[1]) is not int or type(params[2]) is not list:
            raise Violation(f"a push {name} is not of its form")
        job = self.jobs.get(params[0])
        if job is None:
            return
        run = (params[1], params[2], name == "values")
        if message[0] == 2:
            if job.on_run is not None:
                job.on_run(job, *run)
            else:
                job.runs += (run,)
            job.version += 1
            message[0] = _DONE
        if job.waiters:
            _wake(job)

    def _result(self, message: List[Any]) -> None:
        params = message[2]
        if len(params) != 4 or type(params[0]) is not int:
            raise Violation("a push result is not of its form")
        number, error, value, meta = params
        job = self.jobs.get(number)
        if job is not None:
            job.error = error
            job.value = value
            job.meta = meta
            self.ended(job)
            lane = job.lane
            if lane is not None and number in self.jobs:
                lane.finished += 1
                lane.finished_bytes += job.size
            self.jobs.pop(number, None)
        self._tell_listeners(message)

    def _tell_listeners(self, message: List[Any]) -> None:
        for listener in self.listeners:
            push = (message[1], message[2])
            if listener.last is not message:
                listener.last = message
                listener.pushes += (push,)
                listener.version += 1
            if listener.waiters:
                _wake(listener)

    def print_outputs(self) -> None:
        """Hands on what pools have printed, before the caller shows what came after it."""
        if not self.outputs and not self.printing:
            return
        with self._print_lock:
            self.printing = True
            try:
                while self.outputs:
                    params = self.outputs.popleft()
                    if self.on_output is not None:
                        self.on_output(*params)
            except Exception:  # the program's own stdout does not take it
                pass
            finally:
                self.printing = False


def _wake(subject: Subject) -> None:
    for waiter in list(subject.waiters or ()):
        release(waiter)

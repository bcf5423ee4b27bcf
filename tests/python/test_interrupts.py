# SPDX-License-Identifier: MIT
"""An exception may strike at any point of the package's code, as Ctrl-C does: nothing may be lost for the others.

The test raises it itself, at the first point of a call, then at the second, and so on: wherever the interpreter looks
for signals, which is after calls, at loops' ends and at functions' beginnings.
"""

import dis
import itertools
import os
import subprocess
import sys
import threading

import pytest
from fake import DEADLINE, Fake, in_thread
from procpool import codec, errors
from procpool.connection import message, pack

LOOKS = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "RESUME")
NAMES = ("connection.py", "attendant.py", "callbacks.py", "dispatch.py", "threads.py", "receiver.py", "sender.py", "pending.py", "codec.py")
FILES = tuple(os.path.join("procpool", name) for name in NAMES)


class Interrupt(KeyboardInterrupt):
    pass


class Tracer:
    """Raises Interrupt at the point `strike`, counted from 0."""

    def __init__(self, strike):
        self.left = strike
        self.struck = None
        self.last = {}

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        frame.f_trace_opcodes = True
        return self.opcode

    def opcode(self, frame, event, arg):
        if event == "opcode":
            before, self.last[frame] = self.last.get(frame), frame.f_lasti
            name = "RESUME" if before is None else dis.opname[frame.f_code.co_code[before]]
            if name.startswith(LOOKS) and self.struck is None:
                if self.left == 0:
                    self.struck = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                    raise Interrupt
                self.left -= 1
        elif event == "return":
            self.last.pop(frame, None)
        return self.opcode


def interrupted(strike, function):
    """Calls it; where it was struck, or None when it came to its end before."""
    tracer = Tracer(strike)
    sys.settrace(tracer)
    try:
        function()
    except Interrupt:
        pass
    finally:
        sys.settrace(None)
    return tracer.struck


class Pairs:
    """Answers a request with its params; one whose param is "late" when another comes."""

    def __init__(self, fake):
        self.fake = fake
        self.late = []
        self.came = threading.Semaphore(0)

    def __call__(self, request):
        if request[3] == ["late"]:
            self.late.append(request)
            self.came.release()
            return
        late, self.late = self.late, []
        if request[2] == "map_async":
            number = request[1]
            self.fake.send([1, number, None, number], *([2, "values", [number, n, [n]]] for n in range(3)),
                           [2, "result", [number, None, 3, {}]])  # fmt: skip
        else:
            self.fake.answer(request, *late)
            return
        self.fake.answer(*late)


def call(connection):
    assert connection.call(message("apply", pack(7))) == [7]


def submit(connection):
    calls = [connection.submit(message("apply", pack(n))) for n in range(3)]
    assert [each.result() for each in calls] == [[0], [1], [2]]


def stream(connection):
    job = connection.submit_job(message("map_async", pack(1)))
    assert [job.next_run(), job.next_run(), job.next_run(), job.next_run()] == [(n, [n], True) for n in range(3)] + [None]


def wait(connection):
    assert connection.submit(message("apply", pack(1))).wait(DEADLINE)


def pickles(connection):
    value = codec.PICKLE.pack_array([(1,), {"a": 2}])
    answer = connection.call(message("apply", value))
    assert [codec.PICKLE.restore_all(each) for each in answer] == [[(1,), {"a": 2}]]


def maps(connection):
    assert connection.call(message("apply", pack({"a": {"b": 1}}))) == [{"a": {"b": 1}}]


def large(connection):
    data = bytes(1 << 20)
    assert connection.call(message("apply", pack(data))) == [data]


def held(connection):
    """Calls of which some are held back."""
    connection._default_lane.window = 2
    calls = [connection.submit(message("apply", pack(n))) for n in range(5)]
    assert [each.result() for each in calls] == [[n] for n in range(5)]


def callbacks(connection):
    seen = []
    assert connection.submit(message("apply", pack(1)), done=seen.append).wait(DEADLINE) and seen


WHATS = [call, submit, stream, wait, pickles, maps, large, held, callbacks]


def interrupt_everywhere(what):
    with Fake() as fake:
        connection = fake.connection
        pairs = Pairs(fake)
        fake.serve(pairs)
        struck = "nowhere"
        for strike in itertools.count():
            other = in_thread(connection.call, message("apply", pack("late")))
            if not pairs.came.acquire(timeout=DEADLINE):
                raise AssertionError(f"after an interruption at {struck}, point {strike - 1}: it is not sent")
            struck = interrupted(strike, lambda: what(connection))
            try:
                assert connection.call(message("apply", pack("next"))) == ["next"]
                assert other() == ["late"]
                what(connection)
            except (AssertionError, errors.Error) as e:
                raise AssertionError(f"after an interruption at {struck}, point {strike}: {e!r}") from e
            if struck is None:
                break
        assert strike > 20


@pytest.mark.skipif(sys.version_info < (3, 11), reason="earlier interpreters look for signals at more points")
@pytest.mark.parametrize("what", WHATS, ids=lambda what: what.__name__)
def test_an_interruption_at_any_point_harms_nobody_else(what):
    """In a process of its own: raising out of a trace function confuses the interpreter's stack of exceptions."""
    ended = subprocess.run([sys.executable, __file__, what.__name__], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=60, text=True)  # fmt: skip
    assert ended.returncode == 0, ended.stdout


if __name__ == "__main__":
    for each in WHATS:
        if each.__name__ == sys.argv[1]:
            interrupt_everywhere(each)

# SPDX-License-Identifier: MIT
"""One connection, against a daemon that the test plays: also one that is broken or hostile."""

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import msgpack
import pytest
from conftest import PACKAGE
from fake import DEADLINE, Fake, eventually, in_thread
from procpool import codec, errors
from procpool.connection import message, pack
from procpool.pending import WINDOW_BYTES, Subject


@pytest.fixture
def fake():
    with Fake() as fake:
        yield fake


@pytest.fixture
def connection(fake):
    return fake.connection


def echo(value, method="apply"):
    """A request that Fake.serve() answers with [value]."""
    return message(method, pack(value))


# Requests and answers


def test_a_request_is_answered(fake, connection):
    fake.serve()
    assert connection.request("ping", 1, "a") == [1, "a"]
    assert connection.call(echo(7)) == [7]


def test_answers_may_come_in_any_order(fake, connection):
    calls = [connection.submit(echo(n)) for n in range(3)]
    requests = [fake.receive() for _ in calls]
    fake.answer(*reversed(requests))
    assert [call.result() for call in calls] == [[0], [1], [2]]


def test_many_threads_call_at_the_same_time(fake, connection):
    fake.serve()
    threads = [in_thread(lambda n=n: [connection.call(echo(n)) for _ in range(50)]) for n in range(20)]
    for n, join in enumerate(threads):
        assert join() == [[n]] * 50


def test_a_thread_that_waits_goes_on_reading_when_the_reader_has_its_answer(fake, connection):
    first, second = in_thread(connection.call, echo(1)), in_thread(connection.call, echo(2))
    requests = {request[3][0]: request for request in (fake.receive(), fake.receive())}
    fake.answer(requests[1])
    assert first() == [1]
    fake.answer(requests[2])
    assert second() == [2]


def test_an_error_is_raised_to_each_who_asks_as_another_object(fake, connection):
    call = connection.submit(echo(1))
    fake.answer(fake.receive(), error={"code": "busy", "message": "no", "limit": "jobs_session"})
    raised = []
    for _ in range(2):
        with pytest.raises(errors.Busy, match="no") as caught:
            call.result()
        raised.append(caught.value)
    assert raised[0] is not raised[1] and raised[0].limit == "jobs_session"


def test_waiting_ends_in_time(fake, connection):
    call = connection.submit(echo(1))
    assert not call.wait(0) and not call.wait(0.01)
    fake.answer(fake.receive())
    assert call.wait(DEADLINE) and call.wait(0) and call.result() == [1]


def test_looking_is_enough_to_see_an_answer(fake, connection):
    call = connection.submit(echo(1))
    fake.answer(fake.receive())
    eventually(lambda: call.wait(0))


def test_an_answer_is_read_also_while_nobody_waits(fake, connection):
    call = connection.submit(echo(1))
    fake.answer(fake.receive())
    eventually(lambda: call.ended)


def test_all_that_was_submitted_is_sent_without_waiting(fake, connection):
    calls = [connection.submit(echo(n)) for n in range(100)]
    assert [fake.receive()[3][0] for _ in calls] == list(range(100))


def test_whoever_reads_is_woken_once_until_it_looks(fake, connection):
    call = connection.submit(echo(1))
    request = fake.receive()
    join = in_thread(call.result)
    eventually(lambda: connection.leading)
    for _ in range(100):
        connection.changed(Subject(connection))
    connection.submit(echo(2))
    assert [fake.receive()[2] for _ in range(2)] == ["ping", "apply"]
    fake.answer(request)
    assert join() == [1]


# Callbacks


def test_callbacks_run_in_one_thread_in_the_order_of_the_ends(fake, connection):
    seen = []
    calls = [connection.submit(echo(n), done=lambda call: seen.append((call.value, threading.get_ident())))
             for n in range(50)]  # fmt: skip
    requests = [fake.receive() for _ in calls]
    fake.answer(*requests[::-1])
    assert all(call.wait(DEADLINE) for call in calls)
    assert [value for value, _ in seen] == [[n] for n in reversed(range(50))]
    assert {thread for _, thread in seen} != {threading.get_ident()} and len({thread for _, thread in seen}) == 1


def test_a_call_ends_when_its_callback_has_run(fake, connection):
    release, state = threading.Event(), []

    def done(call):
        state.append(call.ended)
        release.wait(DEADLINE)

    call = connection.submit(echo(1), done=done)
    fake.answer(fake.receive())
    eventually(lambda: state)
    assert state == [False] and not call.wait(0) and not call.wait(0.01)
    release.set()
    assert call.wait(DEADLINE)


def test_a_callback_that_fails_harms_only_itself(fake, connection):
    fake.serve()
    call = connection.submit(echo(1), done=lambda call: 1 / 0)
    assert call.wait(DEADLINE) and isinstance(call.failure, ZeroDivisionError)
    seen = []
    assert connection.submit(echo(2), done=seen.append).wait(DEADLINE) and seen


def test_a_callback_may_call_and_wait(fake, connection):
    fake.serve()
    seen = []

    def done(call):
        inner = connection.submit(echo(2), done=seen.append)
        seen.append((connection.call(echo(3)), inner.result()))

    assert connection.submit(echo(1), done=done).wait(DEADLINE)
    eventually(lambda: len(seen) == 2)
    assert seen[0] == ([3], [2])


# Jobs and pushes


def test_a_job_has_its_id_and_ends_with_its_push(fake, connection):
    job = connection.submit_job(echo(1, "apply_async"))
    request = fake.receive()
    with pytest.raises(errors.NotReady):
        job.id(0.01)
    fake.send([1, request[1], None, 71])
    assert job.id(DEADLINE) == 71 and not job.wait(0)
    fake.send([2, "result", [71, None, 42, {"pool": "p"}]])
    assert job.result() == 42 and job.meta == {"pool": "p"}


def test_a_job_that_is_refused_raises_when_it_is_asked_for(fake, connection):
    job = connection.submit_job(echo(1, "apply_async"))
    fake.answer(fake.receive(), error={"code": "denied", "message": "no"})
    with pytest.raises(errors.Denied):
        job.id()
    with pytest.raises(errors.Denied):
        job.result()
    assert job.next_run() is None


def test_a_streamed_map_comes_in_runs(fake, connection):
    job = connection.submit_job(echo(1, "map_async"))
    fake.send([1, fake.receive()[1], None, 71], [2, "items", [71, 2, [[None, 5], [None, 6]]]])
    assert job.next_run() == (2, [[None, 5], [None, 6]], False)
    with pytest.raises(errors.NotReady):
        job.next_run(0.01)
    fake.send([2, "values", [71, 0, [3, 4]]], [2, "result", [71, None, 4, {}]])
    assert job.next_run() == (0, [3, 4], True) and job.next_run() is None and job.result() == 4


def test_runs_may_be_handed_on_as_they_come(fake, connection):
    seen = []
    job = connection.submit_job(echo(1, "map_async"), on_run=lambda job, *run: seen.append(run),
                                on_end=lambda job: seen.append(job.error), done=lambda job: seen.append("done"))
    fake.send([1, fake.receive()[1], None, 71], [2, "values", [71, 0, [3]]], [2, "items", [71, 1, [[None, 4]]]],
              [2, "result", [71, None, 2, {}]])  # fmt: skip
    assert job.wait(DEADLINE) and seen == [(0, [3], True), (1, [[None, 4]], False), None, "done"] and not job.runs


def test_what_is_posted_runs_among_the_callbacks(fake, connection):
    seen = []
    call = connection.submit(echo(1), done=lambda call: seen.append("call"))
    fake.answer(fake.receive())
    eventually(lambda: call.came)
    posted = connection.post(lambda: seen.append("posted"))
    assert posted.wait(DEADLINE) and seen == ["call", "posted"]


def test_what_is_posted_runs_also_after_the_end(fake, connection):
    connection.close()
    seen = []
    assert connection.post(lambda: seen.append(1)).wait(DEADLINE) and seen == [1]


def test_who_reads_may_be_told_that_something_changed(fake, connection):
    from procpool.pending import Subject

    fake.serve()
    subject = Subject(connection)
    join = in_thread(connection.wait_change, subject, 0, None)
    eventually(lambda: connection.leading)
    connection.changed(subject)
    assert join()


def test_the_calls_of_a_lane_can_be_listed(fake, connection):
    lane = connection.lane()
    calls = [connection.submit(echo(n), lane) for n in range(3)]
    connection.submit(echo(9))
    assert connection.of_lane(lane) == calls


def test_pushes_of_unknown_jobs_and_names_are_passed_over(fake, connection):
    fake.send([2, "news", [1]], [2, "result", [5, None, 1, {}]], [2, "items", [5, 0, []]], [2, "event", []],
              [2, "", []], [1, 12345, None, 1], [2, "output", [1, 2]])  # fmt: skip
    fake.serve()
    assert connection.call(echo(1)) == [1]


def test_who_listens_gets_events_and_results(fake, connection):
    listener = connection.listen()
    with pytest.raises(errors.NotReady):
        listener.next(0.01)
    fake.send([2, "event", [{"event": "pool"}]], [2, "result", [5, None, 1, {}]])
    assert listener.next() == ("event", [{"event": "pool"}])
    assert listener.next() == ("result", [5, None, 1, {}])
    fake.serve()
    join = in_thread(listener.next)
    listener.close()
    assert join() is None and listener.next() is None


def test_what_is_printed_comes_before_the_result(fake, connection):
    shown = []
    connection.on_output = lambda *output: shown.append(output)
    join = in_thread(lambda: (connection.call(echo(1)), list(shown)))
    request = fake.receive()
    fake.send([2, "output", ["p", 1, "stdout", b"a"]], [2, "output", ["p", 1, "stderr", b"b"]])
    fake.answer(request)
    assert join() == ([1], [("p", 1, "stdout", b"a"), ("p", 1, "stderr", b"b")])


def test_what_is_printed_is_shown_while_nobody_waits(fake, connection):
    shown = []
    connection.on_output = lambda *output: shown.append(output)
    fake.send([2, "output", ["p", 0, "stdout", b"a"]])
    eventually(lambda: shown)


def test_a_terminal_that_fails_harms_nothing(fake, connection):
    connection.on_output = lambda *output: 1 / 0
    fake.send([2, "output", ["p", 0, "stdout", b"a"]])
    fake.serve()
    assert connection.call(echo(1)) == [1]


# Bounded flow


@pytest.fixture
def window(monkeypatch):
    """So few calls under way that the sockets hold them while nobody reads."""
    monkeypatch.setattr("procpool.pending.WINDOW", 64)
    return 64


def test_a_lane_has_so_many_calls_under_way_at_most(fake, connection, window):
    lane = connection.lane()
    calls = [connection.submit(echo(n), lane) for n in range(window + 50)]
    requests = [fake.receive() for _ in range(window)]
    with pytest.raises(AssertionError, match="no request"):
        fake.receive(timeout=0.05)
    other = in_thread(connection.call, echo("other"))  # which no lane holds back
    fake.answer(fake.receive())
    assert other() == ["other"]
    fake.answer(*requests[:20])
    requests += [fake.receive() for _ in range(20)]
    assert [request[3][0] for request in requests] == list(range(window + 20))
    with pytest.raises(AssertionError, match="no request"):
        fake.receive(timeout=0.05)
    fake.answer(*requests[20:])
    fake.serve()
    assert [call.result() for call in calls] == [[n] for n in range(window + 50)]


def test_a_lane_has_so_many_bytes_under_way_at_most(fake, connection):
    lane, data = connection.lane(), bytes(WINDOW_BYTES // 2)
    calls = []
    join = in_thread(lambda: [calls.append(connection.submit(echo(data), lane)) for _ in range(3)])
    first = fake.receive()
    join()
    with pytest.raises(AssertionError, match="no request"):
        fake.receive(timeout=0.05)
    fake.send([1, first[1], None, 1])
    fake.serve(lambda request: fake.send([1, request[1], None, 2]))
    assert [call.result() for call in calls] == [1, 2, 2]


def test_a_request_larger_than_the_window_goes_alone(fake, connection):
    fake.serve(lambda request: fake.send([1, request[1], None, len(request[3][0])]))
    assert connection.submit(echo(bytes(WINDOW_BYTES + 1))).result() == WINDOW_BYTES + 1


def test_a_call_that_is_held_back_can_be_cancelled_without_the_daemon(fake, connection, window):
    lane = connection.lane()
    calls = [connection.submit(echo(n), lane) for n in range(window + 2)]
    assert calls[-2].cancel()["cancelled"]
    with pytest.raises(errors.Cancelled):
        calls[-2].result()
    fake.serve()
    assert calls[-1].result() == [window + 1] and calls[0].result() == [0]


def test_a_call_under_way_is_cancelled_by_its_msgid(fake, connection):
    call = connection.submit(echo(1))
    request = fake.receive()
    join = in_thread(call.cancel)
    cancel = fake.receive()
    assert cancel[2:] == ["cancel", [{"request": request[1]}]]
    fake.send([1, request[1], {"code": "cancelled", "message": "c"}, None], [1, cancel[1], None, {"cancelled": True}])
    assert join() == {"cancelled": True}
    assert call.cancel() == {"cancelled": False}


# Large messages


@pytest.mark.parametrize("value", [os.urandom(3 << 20), "ü" * (1 << 20), [os.urandom(1 << 20), 5, os.urandom(1 << 19)],
                                   list(range(500_000)), {"a": bytes(1 << 20)}, msgpack.ExtType(7, bytes(1 << 20)),
                                   [b"x" * 60_000] * 30], ids=lambda value: type(value).__name__)  # fmt: skip
def test_large_answers_come_whole(fake, connection, value):
    small = [connection.submit(echo(n)) for n in range(3)]
    call, last = connection.submit(echo("large")), connection.submit(echo("last"))
    requests = [fake.receive() for _ in range(5)]

    def send():
        fake.answer(*requests[:3])
        fake.send([1, requests[3][1], None, value], [1, requests[4][1], None, "end"])

    join = in_thread(send)
    assert call.result() == value and type(call.value) is type(value)
    assert [each.result() for each in small] == [[0], [1], [2]] and last.result() == "end"
    join()


def test_a_large_value_may_stand_within_a_push(fake, connection):
    job = connection.submit_job(echo(1, "apply_async"))
    data = [os.urandom(1 << 20), os.urandom(1 << 20)]
    number = fake.receive()[1]
    join = in_thread(lambda: fake.send([1, number, None, 9], [2, "result", [9, None, data, {"pool": "p"}]]))
    assert job.result() == data and job.meta == {"pool": "p"}
    join()


def test_a_large_pickle_stays_one_until_it_is_restored(fake, connection):
    value = (os.urandom(1 << 20),)
    call = connection.submit(echo(1))
    packed = codec.joined(codec.PICKLE.pack(value))
    number = fake.receive()[1]
    join = in_thread(lambda: fake.send_raw(b"\x94\x01" + msgpack.packb(number) + b"\xc0" + packed))
    assert type(call.result()) is codec.Pickled and codec.PICKLE.restore(call.value) == value
    join()


def test_a_message_may_come_byte_by_byte(fake, connection):
    call = connection.submit(echo(1))
    answer = msgpack.packb([1, fake.receive()[1], None, {"a": [1, "two", b"3"]}])
    for byte in answer:
        fake.send_raw(bytes([byte]))
        assert call.ended or not call.wait(0) or byte == answer[-1]
    assert call.result() == {"a": [1, "two", b"3"]}


def test_reads_while_it_writes(fake, connection):
    """The daemon takes nothing before its own output is read."""
    connection.on_output = lambda *output: None
    data = bytes(8 << 20)
    join = in_thread(connection.call, echo(data))
    for _ in range(200):
        fake.send([2, "output", ["p", 1, "stdout", bytes(1 << 16)]])
    request = fake.receive()
    assert request[3] == [data]
    fake.send([1, request[1], None, 1])
    assert join() == 1


def test_frames_of_many_threads_are_not_mixed(fake, connection):
    fake.serve(lambda request: fake.send([1, request[1], None, [len(request[3][0]), request[3][0][:1]]]))

    def many(n):
        data = bytes([n]) * (300_000 + n)
        return [connection.call(echo(data)) for _ in range(10)]

    for n, join in enumerate([in_thread(many, n) for n in range(6)]):
        assert join() == [[300_000 + n, bytes([n])]] * 10


# The end, and daemons that are none


def lost(fake, calls, kind=errors.ConnectionLost):
    for call in calls:
        assert call.wait(DEADLINE)
        with pytest.raises(kind):
            call.result()
    assert fake.connection.closed
    with pytest.raises(kind):
        fake.connection.submit(echo(1))
    with pytest.raises(kind):
        fake.connection.request("ping")


def test_the_end_of_the_connection_is_told_to_all(fake, connection, window):
    calls = [connection.submit(echo(n)) for n in range(window + 10)]
    waiting = [in_thread(connection.call, echo(n)) for n in range(5)]
    seen = []
    calls.append(connection.submit(echo(1), connection.lane(), done=seen.append))
    job = connection.submit_job(echo(1, "map_async"), connection.lane())
    listener = connection.listen()
    for _ in range(5):
        fake.receive()
    fake.sock.close()
    for join in waiting:
        with pytest.raises(errors.ConnectionLost, match="unknown"):
            join()
    lost(fake, [*calls, job])
    assert listener.next() is None and job.next_run() is None and seen == calls[-1:]


def test_the_daemons_reason_is_everybodys_error(fake, connection):
    call = connection.submit(echo(1))
    fake.send([2, "error", [{"code": "out-of-memory", "message": "none left"}]])
    fake.sock.close()
    lost(fake, [call], errors.OutOfMemory)


@pytest.mark.parametrize("data", [
    b"\xc1", b"\x00", b"\x80", b"GET / HTTP/1.1\r\n\r\n", b"\x90", b"\x91\x01", b"\x95\x01\x01\xc0\xc0\xc0",
    b"\x94\x05\x01\xc0\xc0", b"\x93\x02\xa1x\x80", b"\x93\x02\xa6result\x90", b"\x93\x02\xa5items\x93\x01\x00\x01",
    b"\x94\x01\xc1", b"\x93\x02\xa6result\x94\xa1a\xc0\xc0\xc0", b"\x93\x01\x02\x03"], ids=bytes.hex)  # fmt: skip
def test_what_is_no_message_ends_the_connection(fake, connection, data):
    call = connection.submit(echo(1))
    fake.send_raw(data)
    lost(fake, [call])


def test_an_id_that_is_none_ends_the_connection(fake, connection):
    job = connection.submit_job(echo(1, "map_async"))
    fake.send([1, fake.receive()[1], None, "seven"])
    lost(fake, [job])


@pytest.mark.parametrize("data", [b"\xc6\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
                                  b"\xdb\xff\xff\xff\xff", b"\xc9\xf0\xff\xff\xff\x05",
                                  b"\xdd\x0f\xff\xff\xff" * 20], ids=bytes.hex)  # fmt: skip
def test_a_length_that_is_only_declared_costs_no_memory(fake, connection, data):
    call = connection.submit(echo(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fake.send_raw(b"\x94\x01" + msgpack.packb(fake.receive()[1]) + b"\xc0" + data)
    fake.sock.close()
    lost(fake, [call])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_the_end_within_a_message_is_an_end(fake, connection):
    call = connection.submit(echo(1))
    fake.send_raw(msgpack.packb([1, fake.receive()[1], None, "abc"])[:-1])
    fake.sock.close()
    lost(fake, [call])


@pytest.mark.parametrize("value", [b"\xc7\x05\xffabcde", b"\x91\x81\xd4\xff\x01\x02"], ids=bytes.hex)
def test_a_value_that_cannot_be_unpacked_harms_only_its_call(fake, connection, value):
    calls = [connection.submit(echo(n)) for n in range(4)]
    job = connection.submit_job(echo(1, "apply_async"))
    requests = [fake.receive() for _ in range(5)]
    number = msgpack.packb(requests[1][1])
    fake.send([1, requests[4][1], None, 5])
    rest = msgpack.packb([1, requests[2][1], None, "rest"])
    fake.send_raw(msgpack.packb([1, requests[0][1], None, "whole"]) + b"\x94\x01" + number + b"\xc0" + value
                  + b"\x93\x02\xa6result\x94\x05\xc0" + value + b"\x80" + rest[:5])  # fmt: skip
    assert calls[0].result() == "whole"
    for each in calls[1], job:
        with pytest.raises(errors.FunctionFailed, match="cannot be unpacked"):
            each.result()
    fake.send_raw(rest[5:])
    assert calls[2].result() == "rest"
    fake.answer(requests[3])
    assert calls[3].result() == [3]


def test_closing_wakes_all_who_wait(fake, connection):
    waiting = [in_thread(connection.call, echo(n)) for n in range(3)]
    for _ in waiting:
        fake.receive()
    connection.close()
    connection.close()
    for join in waiting:
        with pytest.raises(errors.ConnectionLost):
            join()
    assert fake.receive() is None and connection.fileno() == -1


def test_closed_connections_leave_no_thread(fake, connection):
    connection.submit(echo(1), done=lambda call: None)
    connection.close()
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("procpool")])


# Processes


def test_a_child_of_fork_leaves_the_connection_to_its_parent(fake, connection):
    fake.serve()
    waiting = connection.submit(echo(0))
    waiting.result()
    pending = in_thread(lambda: [connection.call(echo(n)) for n in range(200)])
    pid = os.fork()
    if not pid:
        signal.alarm(int(DEADLINE))
        status = 1
        try:
            for call in connection.submit, connection.call:
                try:
                    call(echo(1))
                except errors.ConnectionLost as e:
                    status = 0 if "parent process" in str(e) else 2
                else:
                    status = 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pending() == [[n] for n in range(200)] and connection.call(echo(2)) == [2]


def test_a_child_of_fork_does_not_wait_for_its_parents_calls(fake, connection):
    call = connection.submit(echo(0))
    pid = os.fork()
    if not pid:
        signal.alarm(int(DEADLINE))
        status = 1
        try:
            call.result()
        except errors.ConnectionLost:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    fake.answer(fake.receive())
    assert call.result() == [0]


def run(program):
    return subprocess.run([sys.executable, "-X", "dev", "-c", program], cwd=os.path.dirname(__file__), timeout=DEADLINE,
                          env={**os.environ, "PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True)  # fmt: skip


@pytest.mark.parametrize("what", ["connection.submit(m)", "connection.submit(m, done=print)", "connection.listen()",
                                  "threading.Thread(target=connection.call, args=(m,), daemon=True).start()",
                                  "connection.on_output = print"])  # fmt: skip
def test_a_program_ends_though_calls_are_under_way(what):
    started = time.monotonic()
    ended = run(f"""
import fake, threading, warnings
from procpool.connection import message, pack
warnings.simplefilter("ignore", ResourceWarning)
fake = fake.Fake()
connection, m = fake.connection, message("apply", pack(1))
{what}
print("end")
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "end\n", "")
    assert time.monotonic() - started < 5


def test_connections_are_collected_when_closed(fake):
    import weakref

    fake.connection.close()
    found = weakref.ref(fake.connection)
    fake.connection = Fake().connection
    gc.collect()
    assert found() is None
    fake.connection.close()

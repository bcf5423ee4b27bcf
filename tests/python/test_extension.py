# SPDX-License-Identifier: MIT
"""The loop of the extension _procpool: what it does beyond the loop in Python, which test_runtime_*.py test both of."""

import functools
import operator
import os
import pickle
import signal

import pytest
from procpoold import PYTHON, Daemon
from runtime_driver import PROGRESS, RESULT, Spawner, module, pickled, wait_until

pytest.importorskip("_procpool")

WORK = '''
import os, signal, sys, threading, time

def inc(x):
    return x + 1

def same(*args, **kwds):
    return [*args, kwds] if kwds else args[0]

def count(*args):
    return len(args)

def length(x):
    return [type(x).__name__, len(x), x[-1:]]

def large(kind, n):
    return kind(b"x" * n) if isinstance(kind, type) else [b"x" * n, kind]

def die(x, at, how):
    if x == at:
        os._exit(7) if how == "exit" else os.kill(os.getpid(), signal.SIGKILL)
    return x

def read(fifo):
    with open(fifo) as file:
        return file.read()

def write_later(fifo):
    """A thread writes when the call that made it has ended."""
    ended = threading.Event()
    def run():
        ended.wait()
        time.sleep(0.01)
        with open(fifo, "w") as file:
            file.write("written")
    threading.Thread(target=run).start()
    threading.Timer(0, ended.set).start()

def handle(number, how):
    def handler(number, frame):
        print("handled", flush=True)
        if how == "exit":
            sys.exit(5)
        if how == "raise":
            raise KeyboardInterrupt
    signal.signal(number, handler)

def fork_and_return(x):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return x
    print("child", end="")
    return -x

def tell_from_a_thread():
    import procpool
    thread = threading.Thread(target=procpool.progress, args=("from a thread",))
    thread.start()
    thread.join()

def blocks(n):
    return sys.getallocatedblocks()

def fail(x):
    raise ValueError(x)
'''


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.delenv("PROCPOOL_PURE", raising=False)
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], pickle=True)
    yield spawner
    assert spawner.close()[0] == 0


@pytest.fixture
def worker(work):
    return work.worker()


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_it_is_used_where_it_can_be_imported(work):
    assert work.hello["page"] is True


def test_it_is_not_used_where_the_environment_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PROCPOOL_PURE", "1")
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)])
    assert spawner.hello["page"] is False
    assert spawner.worker().apply("work:inc", 1) == 2
    spawner.close()


# The page


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_worker_that_dies_loses_the_one_element_that_ran(worker, how):
    seq = worker.task("work:die", [[x, 70, how] for x in range(100)], star=True)
    ended = worker.exited()
    assert ended.get("exit_status") == 7 if how == "exit" else ended.get("signal") == signal.SIGKILL
    worker.read_to_the_end()
    assert worker.outcomes(seq, 70) == [("ok", x) for x in range(70)]
    assert worker.receive() is None
    assert worker.page.take_back(seq, 100) == 71


def test_what_was_taken_back_is_not_run(worker, fifo):
    held = worker.task("work:read", [str(fifo)] * 2 + ["/dev/null"])
    wait_until(lambda: worker.page.begun(held) == 1)
    assert worker.page.take_back(held, 3) == 1
    fifo.write_text("go")
    assert worker.outcomes(held, 1) == [("ok", "go")]
    assert worker.apply("work:inc", 1) == 2


def test_what_has_ended_is_answered_while_the_next_runs(worker, fifo):
    seq = worker.task("work:read", ["/dev/null", str(fifo)])
    assert worker.outcomes(seq, 1) == [("ok", "")]
    fifo.write_text("go")
    assert worker.receive()[4] == ["go"]


def test_what_ended_together_is_answered_together(worker):
    seq = worker.task("work:inc", list(range(10000)))
    messages = []
    while sum(len(message[4]) for message in messages) < 10000:
        messages.append(worker.expect(RESULT))
    assert [value for message in messages for value in message[4]] == list(range(1, 10001))
    assert len(messages) < 100 and messages[0][1] == seq


# Values


@pytest.mark.parametrize("n", [60000, 61440, 65536, 1 << 20, 5 << 20])
@pytest.mark.parametrize("kind", [bytes, str, pickled])
def test_a_large_value_comes_and_goes(worker, kind, n):
    value = "x" * n if kind is str else b"x" * n
    sent = pickled([value]) if kind is pickled else value
    assert worker.apply("work:same", sent, pickle=True) == ([value] if kind is pickled else value)


def test_large_values_are_found_wherever_they_are(worker):
    blob, other = b"1" * (300 << 10), "2" * (300 << 10)
    got = worker.apply("work:same", [blob, {"a": other}], blob, x=1, pickle=True,
                       kwargs={"blob": blob, "p": pickled((blob,))})
    assert got == [[blob, {"a": other}], blob, {"blob": blob, "p": (blob,)}]


def test_many_large_values_come_in_one_message(worker):
    blobs = [bytes([n]) * (257 << 10) for n in range(40)]
    assert worker.map("work:same", blobs) == [("ok", blob) for blob in blobs]


def test_a_callable_may_be_large(worker):
    blob = b"x" * (1 << 20)
    callable_ = pickle.dumps(functools.partial(operator.add, blob), 5)
    assert worker.map("label", [b"y", b"z"], pickle=callable_) == [("ok", blob + b"y"), ("ok", blob + b"z")]


def test_a_call_may_have_many_arguments(worker):
    assert worker.apply("work:count", *range(1000)) == 1000


def test_a_value_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("PROCPOOL_PURE", raising=False)
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], message_bytes=1 << 20, pickle=True)
    worker = spawner.worker()
    for arguments in ([pickled(bytes), 1 << 20], [pickled(bytearray), 1 << 20]):
        error = worker.apply_error("work:large", *arguments, pickle=True)
        assert error["code"] == "too-large" and "limit" in error["message"]
    assert worker.apply_error("work:large", 1, 1 << 20)["code"] == "too-large"
    assert worker.apply("work:inc", 1) == 2
    spawner.close()


# Threads, signals, forks


def test_other_threads_run_while_it_waits(worker, fifo):
    worker.apply("work:write_later", str(fifo))
    assert fifo.read_text() == "written"


@pytest.mark.parametrize("how", ["", "raise"])
def test_signals_are_handled_while_it_waits(worker, how):
    worker.apply("work:handle", signal.SIGUSR1, how)
    worker.kill(signal.SIGUSR1)
    assert worker.output.read(until="handled\n") == "handled\n"
    assert worker.apply("work:inc", 1) == 2


def test_a_handler_may_end_the_worker_between_two_calls(worker):
    worker.apply("work:handle", signal.SIGTERM, "exit")
    worker.kill(signal.SIGTERM)
    assert worker.exited()["exit_status"] == 5


def test_a_child_that_comes_back_from_a_function_ends(worker):
    assert worker.map("work:fork_and_return", [1, 2]) == [("ok", 1), ("ok", 2)]
    assert worker.output.read(until="childchild") == "childchild"


def test_progress_may_be_told_by_another_thread(worker):
    worker.task("work:tell_from_a_thread", [[]], star=True)
    assert worker.expect(PROGRESS)[3] == "from a thread"
    assert worker.expect(RESULT)[4] == [None]


# Memory


@pytest.mark.parametrize("function, items, options", [
    ("work:inc", list(range(2000)), {}),
    ("work:same", ["ä" * 50, b"b" * 3000, 2**63, 1.5, None, True, [1, {"a": []}]] * 100, {}),
    ("work:same", [pickled((1, "two"))] * 500, {"pickle": True}),
    ("work:fail", ["why"] * 200, {}),
    ("work:none", [1] * 200, {}),
    ("work:same", [1] * 500, {"kwargs": {"a": 1, "b": [2]}}),
    ("label", [b"1"] * 200, {"pickle": pickle.dumps(int, 5)}),
])
def test_calls_leave_nothing_behind(worker, function, items, options):
    def run():
        worker.map(function, items, **options)
        return worker.apply("work:blocks", 0)

    run()
    before = run()
    for _ in range(8):
        after = run()
    assert after - before < 50


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers keep what was freed")
def test_nothing_large_is_kept_until_the_next_call(worker):
    def resident():
        with open(f"/proc/{worker.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    worker.apply("work:inc", 1)
    before = resident()
    assert len(worker.apply("work:large", pickled(bytes), 32 << 20, pickle=True)) == 32 << 20
    wait_until(lambda: resident() - before < 8 << 20)
    assert worker.apply("work:length", b"x" * (32 << 20)) == ["bytes", 32 << 20, b"x"]
    wait_until(lambda: resident() - before < 8 << 20)


# With a daemon


def test_with_a_daemon_each_death_costs_one_element_and_each_element_runs_once(tmp_path):
    """Workers that end in the middle of large chunks, in two ways."""
    ran = tmp_path / "ran"
    path = module(tmp_path, "deadly", f"""
import os, signal

def run(x):
    file = os.open({str(ran)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    if x % 1000 == 300:
        os._exit(7)
    if x % 1000 == 700:
        os.kill(os.getpid(), signal.SIGKILL)
    return -x
""")
    pool = {"interpreter": PYTHON, "modules": [str(path)], "workers": 2}
    daemon = Daemon(workers=1, pools={"deadly": pool}, env={"PYTHONPATH": os.environ["PYTHONPATH"]}).await_ready()
    try:
        outcomes = daemon.connect().call("map", "deadly:run", list(range(3000)), {"errors": "collect", "chunksize": 500})
    finally:
        daemon.finish()
    lost = [x for x, (error, _) in enumerate(outcomes) if error is not None]
    assert lost == [300, 700, 1300, 1700, 2300, 2700]
    assert [outcomes[x][0].get("exit_status") for x in lost] == [7, None] * 3
    assert [outcomes[x][0].get("signal") for x in lost] == [None, 9] * 3
    assert all(value == -x for x, (_, value) in enumerate(outcomes) if x not in lost)
    assert sorted(map(int, ran.read_text().split())) == list(range(3000))


def test_it_is_not_used_where_it_is_of_another_version(tmp_path):
    module(tmp_path, "_procpool", "VERSION = '0.0.1'\ndef serve(): pass\n")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    spawner = Spawner(modules=[module(tmp_path, "work", WORK)], environment={"PYTHONPATH": path, "PROCPOOL_PURE": ""})
    assert spawner.hello["page"] is False
    assert spawner.worker().apply("work:inc", 1) == 2
    assert spawner.close()[0] == 0

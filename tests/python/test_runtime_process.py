# SPDX-License-Identifier: MIT
"""Workers as processes: what they inherit, what they print, and how they end."""

import os
import signal
import socket
import sys

import pytest
from runtime_driver import INTERPRETER, MAIN, Spawner, loop, module, wait_until  # noqa: F401 (loop)

WORK = r"""
import ctypes, os, signal, subprocess, sys, threading, time
import procpool

def pid(): return os.getpid()
def print_(text, end): print(text, end=end)
def print_error(text): sys.stderr.write(text)
def print_bytes(data): sys.stdout.buffer.write(data)
def print_by_c(text): ctypes.CDLL(None).printf(b"%s", text.encode()); return True
def close(fd): os.close(fd)
def close_all(): os.closerange(0, 256)
def close_stdout(): sys.stdout.close()
def detach_stdout():
    import io
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), write_through=True)
def replace_stdout(path): sys.stdout = open(path, "w")
def exit_(status): os._exit(status)
def kill_self(number): os.kill(os.getpid(), number); time.sleep(30)
def fds(): return sorted(int(name) for name in os.listdir("/proc/self/fd"))
def signals():
    ignored = [n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN]
    return [sorted(map(int, ignored)), list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]
def session(): return os.getsid(0)
def sleep(seconds): time.sleep(seconds)
def fork_and_return():
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return "child" if pid == 0 else "parent"
def fork_and_leave(seconds):
    if os.fork() == 0:
        time.sleep(seconds)
        os._exit(0)
def fork_twice():
    # What a child opens in place of the channel is its own, also when it forks.
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(3)
        assert os.open("/proc/self/exe", os.O_RDONLY) == 3
        if os.fork() == 0:
            os.write(write, os.readlink("/proc/self/fd/3").encode())
        os._exit(0)
    return os.path.basename(os.read(read, 4096).decode())
def by_multiprocessing():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])
def context_of_a_child():
    read, write = os.pipe()
    if os.fork() == 0:
        procpool.progress("in vain")
        os.write(write, repr(context()).encode())
        os._exit(0)
    return os.read(read, 4096).decode()
def by_subprocess(): return subprocess.check_output(["echo", "hi"]).decode()
def exec_(): os.execvp("sleep", ["sleep", "0"])
def alarm(seconds):
    def late(number, frame): raise TimeoutError("late")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
def thread_goes_on(): threading.Thread(target=time.sleep, args=(0.1,)).start()
def context(): return [procpool.worker_index(), procpool.current_job(), procpool.attempt(), procpool.stopped()]
def in_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(context()))
    thread.start(); thread.join()
    return seen[0]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return module(tmp_path_factory.mktemp("work"), "work", WORK)


@pytest.fixture(scope="module")
def spawner(loop, path):  # noqa: F811
    spawner = Spawner(modules=[path])
    yield spawner
    assert spawner.close()[0] == 0


@pytest.fixture
def worker(spawner):
    return spawner.worker()


def test_a_worker_is_a_process_of_its_own(worker):
    assert worker.apply("work:pid") == worker.pid
    assert worker.apply("work:session") == worker.pid


def test_a_worker_has_no_descriptors_but_its_own(spawner):
    workers = [spawner.worker() for _ in range(3)]
    for worker in workers:
        assert worker.apply("work:fds") == [0, 1, 2, 3, 4]  # the last lists


def test_a_worker_has_the_signals_that_python_begins_with(worker):
    assert worker.apply("work:signals") == [[signal.SIGPIPE, signal.SIGXFSZ], []]


@pytest.mark.parametrize("function, stream", [("print_", "output"), ("print_by_c", "output"), ("print_error", "error")])
def test_what_a_task_prints_is_written_before_its_answer(worker, function, stream):
    for end in ("\n", ""):
        args = ["text", end] if function == "print_" else ["text" + end]
        worker.apply(f"work:{function}", *args)
        assert getattr(worker, stream).read().endswith("text" + end)


def test_bytes_are_printed_in_order_with_text(worker):
    worker.apply("work:print_", "a", "")
    worker.apply("work:print_bytes", b"b")
    worker.apply("work:print_", "c", "\n")
    assert worker.output.read() == "abc\n"


def test_a_pipe_that_nobody_reads_any_more_harms_nothing(worker):
    worker.output.close()
    worker.error.close()
    for _ in range(3):
        worker.apply("work:print_", "x" * 10000, "\n")
        worker.apply("work:print_", "x", "")
        worker.apply("work:print_error", "x")
    assert worker.end()["exit_status"] == 0


def test_a_full_pipe_keeps_nothing_back_that_is_finished(worker):
    seq = worker.task("work:print_", [["x" * 10, "\n"], ["y" * 1_000_000, "\n"]], star=True)
    assert worker.outcomes(seq, 1) == [("ok", None)]
    wait_until(lambda: worker.output.read().endswith("y\n"))
    assert worker.receive()[2] == 1


def test_a_task_that_closes_its_output_harms_no_other(worker):
    worker.apply("work:close", 1)
    worker.apply("work:print_", "x", "")
    worker.apply("work:close_stdout")
    assert worker.apply_error("work:print_", "x", "")["type"] == "ValueError"
    assert worker.apply("work:pid") == worker.pid


def test_a_task_that_detaches_its_output_keeps_what_others_print(worker):
    worker.apply("work:detach_stdout")
    worker.apply("work:print_", "x", "")
    assert worker.output.read() == "x"


def test_a_task_that_replaces_its_output_keeps_what_it_replaced(worker, tmp_path):
    worker.apply("work:replace_stdout", str(tmp_path / "output"))
    worker.apply("work:print_", "x", "\n")
    assert worker.end()["exit_status"] == 0
    assert (tmp_path / "output").read_text() == "x\n"


def test_nothing_is_warned_of(path):
    spawner = Spawner(modules=[path], program=[INTERPRETER, "-X", "dev", "-W", "error", str(MAIN)])
    worker = spawner.worker()
    worker.apply("work:by_subprocess")
    assert worker.end()["exit_status"] == 0
    assert worker.error.read() == ""
    assert spawner.close() == (0, "", "")


def test_the_end_of_its_channel_ends_a_worker(worker):
    ended = worker.end()
    assert ended["exit_status"] == 0
    assert ended["max_rss_kib"] > 1000 and ended["user_us"] >= 0 and ended["system_us"] >= 0


def test_how_a_worker_ends_is_told(spawner):
    for status in (0, 7, 255):
        worker = spawner.worker()
        worker.task("work:exit_", [status])
        assert worker.exited()["exit_status"] == status
    worker = spawner.worker()
    worker.task("work:kill_self", [signal.SIGSEGV])
    assert worker.exited()["signal"] == signal.SIGSEGV


def test_a_worker_is_killed_on_demand(spawner):
    worker = spawner.worker()
    worker.task("work:sleep", [30])
    worker.kill(signal.SIGTERM)
    assert worker.exited()["signal"] == signal.SIGTERM
    spawner.send([3, worker.number, 9])  # too late, and no error
    assert spawner.worker().apply("work:pid")


def test_many_workers_that_end_at_once_are_all_told(spawner):
    workers = [spawner.worker() for _ in range(20)]
    for worker in workers:
        worker.sock.shutdown(socket.SHUT_WR)
    assert {worker.exited()["exit_status"] for worker in workers} == {0}


def test_the_end_of_its_channel_ends_the_spawner_and_its_workers(path):
    spawner = Spawner(modules=[path])
    workers = [spawner.worker() for _ in range(2)]
    workers[0].task("work:sleep", [60])
    spawner.sock.shutdown(socket.SHUT_RDWR)
    assert spawner.process.wait(10) == 0
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker.pid}")


def test_workers_die_with_their_spawner(path):
    spawner = Spawner(modules=[path])
    worker = spawner.worker()
    worker.task("work:sleep", [60])
    spawner.process.kill()
    assert worker.receive() is None
    wait_until(lambda: not os.path.exists(f"/proc/{worker.pid}") or
               "Z" in open(f"/proc/{worker.pid}/stat").read().split(")")[1].split()[0])
    assert spawner.close()[0] == -9


def test_a_fork_that_fails_is_told(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", """
import os
def fail(): raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = fail
""")])
    spawner.ready()
    spawner.workers += 1
    ours, theirs = socket.socketpair()
    spawner.send([2, 1], [theirs.fileno(), 1, 2])
    theirs.close()
    assert spawner.expect_exited(1)["exit_status"] == 127
    assert spawner.logs[0][0] == "error" and "Resource temporarily unavailable" in spawner.logs[0][1]
    assert ours.recv(1) == b""
    spawner.close()


def test_a_task_that_closes_all_descriptors_loses_its_worker_only(spawner):
    worker, other = spawner.worker(), spawner.worker()
    worker.task("work:close_all", [[]], star=True)
    assert worker.receive() is None
    assert worker.exited()["exit_status"] == 1
    assert other.apply("work:pid") == other.pid


def test_a_forked_child_that_comes_back_is_no_worker(worker):
    assert worker.apply("work:fork_and_return") == "parent"
    assert worker.apply("work:pid") == worker.pid
    assert worker.end()["exit_status"] == 0
    assert worker.error.read() == ""


def test_a_forked_child_does_not_keep_the_channel_open(worker):
    worker.apply("work:fork_and_leave", 20)
    worker.task("work:exit_", [3])
    assert worker.receive() is None


def test_a_forked_childs_descriptors_are_its_own(worker):
    assert worker.apply("work:fork_twice").startswith("python")


def test_what_is_not_written_yet_is_not_printed_by_a_forked_child_too(worker):
    worker.apply("work:print_", "x", "")
    worker.apply("work:fork_and_return")
    worker.end()
    assert worker.output.read() == "x"


def test_a_forked_child_knows_whose_it_is_and_has_no_part_in_the_task(worker):
    assert worker.apply("work:context_of_a_child", attempt=2) == f"[{worker.number - 1}, 71001, 2, False]"


def test_multiprocessing_and_subprocess_work_in_a_worker(worker):
    assert worker.apply("work:by_multiprocessing") == [1, 2]
    assert worker.apply("work:by_subprocess") == "hi\n"
    assert worker.end()["exit_status"] == 0
    assert worker.error.read() == ""


def test_a_task_that_executes_another_program_loses_its_worker(worker):
    worker.task("work:exec_", [[]], star=True)
    assert worker.receive() is None
    assert worker.exited()["exit_status"] == 0


def test_threads_of_a_task_may_finish_at_the_workers_end(worker):
    worker.apply("work:thread_goes_on")
    assert worker.end()["exit_status"] == 0


def test_a_function_knows_where_it_runs(worker):
    index = worker.number - 1
    assert worker.apply("work:context") == [index, 71001, 1, False]
    assert worker.apply("work:context", attempt=3) == [index, 71001, 3, False]
    assert worker.apply("work:in_thread") == [index, 71001, 1, False]


def test_multiprocessing_knows_a_workers_number(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", """
import multiprocessing
def who():
    process = multiprocessing.current_process()
    return [process.name, list(process._identity)]
""")])
    assert [spawner.worker().apply("work:who") for _ in range(2)] == [["PoolWorker-1", [1]], ["PoolWorker-2", [2]]]
    spawner.close()


def test_a_handler_that_raises_between_tasks_is_only_told(worker):
    worker.apply("work:alarm", 0.01)
    assert "TimeoutError: late" in worker.error.read(until="TimeoutError: late\n")
    assert worker.apply("work:pid") == worker.pid


def test_outside_of_workers_there_is_no_job():
    import procpool
    assert procpool.worker_index() is None and procpool.current_job() is None
    assert procpool.attempt() == 1 and not procpool.stopped()
    assert procpool.progress({"any": 1}) is None
    assert procpool.call(max, 1, 2) == 2
    with pytest.raises(ValueError):
        procpool.progress("x" * 4097)


def test_the_client_has_loaded_nothing_heavy():
    import subprocess
    loaded = subprocess.run([sys.executable, "-c", "import procpool, sys; print(*sys.modules)"], capture_output=True,
                            text=True).stdout.split()
    assert not {"multiprocessing", "asyncio", "subprocess", "ctypes"} & set(loaded)

# SPDX-License-Identifier: MIT
"""Whole programs with pools: how they are told of habits that fail, and how they end."""

import os
import py_compile
import re
import signal
import subprocess
import sys
import textwrap
import time

import pool_functions as work
import procpoold
import pytest

SECONDS = work.SECONDS


@pytest.fixture
def start(tmp_path):
    """Starts a program, given as text, and returns its Popen. It finds no daemon."""
    started = []

    def run(text, *arguments, **options):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(text))
        where = os.pathsep.join([os.path.dirname(work.__file__), os.environ["PYTHONPATH"]])
        env = {**os.environ, "PROCPOOL_SOCKET": "", "XDG_RUNTIME_DIR": "", "PYTHONPATH": where}
        command = [sys.executable, *(arguments or [str(path)])]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                                        start_new_session=True, cwd=tmp_path, **options))  # fmt: skip
        return started[-1]

    yield run
    for each in started:
        each.kill()
        each.communicate()


def ends(program, status=0):
    """(stdout, stderr)."""
    out, err = program.communicate(timeout=SECONDS)
    assert program.returncode == status, err
    return out, err


def test_a_script_without_guard_is_told_of_it_at_once(start):
    out, err = ends(start("""
        from procpool import Pool
        from pool_functions import inc
        print("begun")
        pool = Pool(2)
        print(pool.map(inc, range(3)))
    """), status=1)
    assert out == "begun\n" * out.count("begun") and out.count("begun") <= 2
    assert re.search(r"^RuntimeError:", err, re.MULTILINE)
    assert "if __name__ == '__main__':" in err and "procpool" in err


def test_a_global_that_workers_lack_is_to_be_passed(start):
    out, err = ends(start("""
        from procpool import Pool
        def f(x):
            return x + offset
        if __name__ == "__main__":
            offset = 5
            with Pool(1) as pool:
                print(pool.apply(f, (1,)))
    """), status=1)
    assert re.search("NameError: name 'offset' is not defined.*initargs", err)


def test_a_script_that_sets_the_global_by_an_initializer_works(start):
    assert ends(start("""
        from procpool import Pool
        def set_offset(value):
            global offset
            offset = value
        def f(x):
            return x + offset
        if __name__ == "__main__":
            with Pool(2, set_offset, (5,)) as pool:
                print(pool.map(f, range(3)))
    """)) == ("[5, 6, 7]\n", "")


CLASSES = """
    import dataclasses
    from procpool import Pool
    @dataclasses.dataclass
    class Point:
        x: int
    class Failure(Exception):
        pass
    def move(point):
        if point.x < 0:
            raise Failure("to the left")
        return Point(point.x + 1)
    if __name__ == "__main__":
        with Pool(2) as pool:
            print(pool.map(move, [Point(1), Point(2)]) == [Point(2), Point(3)])
            try:
                pool.apply(move, (Point(-1),))
            except Failure as failure:
                print(failure)
"""


WAYS = {"script": [], "-m": ["-m", "program"], "-c": ["-c", textwrap.dedent(CLASSES)]}


@pytest.mark.parametrize("way", WAYS)
def test_classes_of_the_main_module_are_the_same_in_workers(start, way):
    assert ends(start(CLASSES, *WAYS[way])) == ("True\nto the left\n", "")


def test_a_program_from_standard_input_is_told_what_to_do(start):
    program = start("", "-", stdin=subprocess.PIPE)
    program.stdin.write(textwrap.dedent("""
        import sys
        sys.modules["cloudpickle"] = None
        import procpool
        def f(x):
            return x
        pool = procpool.Pool(1)
        print(pool.apply(len, ("abc",)))
        try:
            pool.apply(f, (1,))
        except Exception as error:
            print(type(error).__name__, error)
        pool.terminate()
    """))
    program.stdin.close()
    program.stdin = None
    out, err = ends(program)
    assert out.startswith("3\nPicklingError __main__:f cannot be sent") and "module of its own" in out


def test_with_cloudpickle_a_program_from_standard_input_works(start):
    pytest.importorskip("cloudpickle")
    program = start("", "-", stdin=subprocess.PIPE)
    program.stdin.write(textwrap.dedent("""
        import procpool
        offset = 5
        def f(x):
            return x + offset
        with procpool.Pool(1) as pool:
            print(pool.map(f, range(3)), pool.apply(lambda x: x * offset, (2,)))
    """))
    program.stdin.close()
    program.stdin = None
    assert ends(program) == ("[5, 6, 7] 10\n", "")


def test_a_lock_in_arguments_is_told_what_to_send(start):
    out, err = ends(start("""
        import multiprocessing
        from procpool import Pool
        if __name__ == "__main__":
            with Pool(1) as pool:
                for value in (multiprocessing.Lock(), multiprocessing.Queue(), multiprocessing.Value("i")):
                    try:
                        pool.apply(print, (value,))
                    except RuntimeError as error:
                        print(error)
                try:
                    Pool(1, print, (multiprocessing.Lock(),))
                except RuntimeError as error:
                    print(error)
    """))
    assert out.count("multiprocessing.Manager()") == 4 and err == ""


def test_what_a_manager_makes_can_be_sent(start):
    assert ends(start("""
        import multiprocessing
        from procpool import Pool
        def put(queue, lock, x):
            with lock:
                queue.put(x)
        if __name__ == "__main__":
            with multiprocessing.Manager() as manager, Pool(2) as pool:
                queue, lock = manager.Queue(), manager.Lock()
                pool.starmap(put, [(queue, lock, x) for x in range(3)])
                print(sorted(queue.get() for _ in range(3)))
    """)) == ("[0, 1, 2]\n", "")


# How they end

ENDLESS = """
    import os, sys, time
    from procpool import Pool
    def nap(path):
        open(path + str(os.getpid()), "w").close()
        time.sleep(60)
    if __name__ == "__main__":
        with Pool(2) as pool:
            {call}
"""


def workers_of(tmp_path):
    """Waits until two have begun; their pids."""
    return procpoold.eventually(
        lambda: (lambda pids: pids if len(pids) == 2 else None)({int(p.name[4:]) for p in tmp_path.glob("pid-*")}))


CALLS = {
    "map": "pool.map(nap, ['pid-'] * 4, chunksize=1)",
    "apply_async": "[pool.apply_async(nap, ('pid-',)) for _ in range(4)][0].get()",
    "imap": "list(pool.imap(nap, ['pid-'] * 4))",
    "sleep": "pool.map_async(nap, ['pid-'] * 4, 1), time.sleep(60)",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_it_promptly_and_leaves_nothing(start, tmp_path, call):
    program = start(ENDLESS.format(call=CALLS[call]))
    pids = workers_of(tmp_path)
    before = time.monotonic()
    os.killpg(program.pid, signal.SIGINT)
    out, err = ends(program, status=-signal.SIGINT)
    assert time.monotonic() - before < 1 * float(os.environ.get("PROCPOOL_TEST_DEADLINE", "20")) / 20
    assert err.rstrip().endswith("KeyboardInterrupt")
    procpoold.await_end(pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_killed_program_leaves_nothing(start, tmp_path, number):
    program = start(ENDLESS.format(call=CALLS["map"]))
    pids = workers_of(tmp_path)
    program.send_signal(number)
    ends(program, status=-number)
    procpoold.await_end(pids)


ENDS = {
    "with calls under way": "pool.map_async(nap, ['pid-'] * 2, 1); wait_for_two()",
    "with an endless iterator": "next(pool.imap(abs, itertools.count()))",
    "by sys.exit": "sys.exit()",
    "without anything": "pass",
    "closed": "pool.close()",
    "with a callback under way": "pool.apply_async(abs, (1,), callback=lambda _: time.sleep(60))",
    "while workers print": "pool.map_async(print, range(100000))",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_that_does_not_care_ends_quietly(start, tmp_path, end):
    program = start(f"""
        import glob, itertools, os, sys, time
        from procpool import Pool
        def nap(path):
            open(path + str(os.getpid()), "w").close()
            time.sleep(60)
        def wait_for_two():
            while len(glob.glob("pid-*")) < 2:
                time.sleep(0.01)
        if __name__ == "__main__":
            pool = Pool(2)
            {ENDS[end]}
    """)
    before = time.monotonic()
    out, err = ends(program)
    assert err == ""
    assert time.monotonic() - before < SECONDS / 2


def test_nothing_is_warned_of_in_development_mode(start, tmp_path):
    program = start("""
        import itertools, procpool
        if __name__ == "__main__":
            with procpool.Pool(2) as pool:
                print(pool.map(abs, range(3)), next(pool.imap(abs, itertools.count())))
            with procpool.Executor(1) as executor:
                print(executor.submit(abs, -2).result())
    """, "-X", "dev", "-W", "error", str(tmp_path / "program.py"))
    assert ends(program) == ("[0, 1, 2] 0\n2\n", "")


def test_a_pool_that_a_thread_has_made_serves_all(start):
    assert ends(start("""
        import threading
        from procpool import Pool
        if __name__ == "__main__":
            made = []
            thread = threading.Thread(target=lambda: made.append(Pool(1)))
            thread.start()
            thread.join()
            print(made[0].apply(abs, (-1,)))
    """)) == ("1\n", "")


def test_the_end_of_the_daemon_is_told_and_the_next_pool_has_another(start):
    assert ends(start("""
        import os, signal, procpool
        from pool_functions import nap
        def daemon():
            return int(open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[1])
        if __name__ == "__main__":
            pool = procpool.Pool(1)
            results = [pool.apply_async(nap, (60,)), pool.map_async(nap, [60] * 3)]
            lazy = pool.imap(nap, [60])
            pid = procpool.Pool(1).apply(daemon)
            os.kill(pid, signal.SIGKILL)
            for wait in (results[0].get, results[1].get, lazy.next):
                try:
                    wait(20)
                except procpool.ConnectionLost:
                    print("lost")
            try:
                pool.apply(abs, (-1,))
            except procpool.ConnectionLost:
                print("lost")
            pool.terminate()
            pool.join()
            with procpool.Pool(1) as pool:
                print(pool.apply(abs, (-1,)))
    """)) == ("lost\nlost\nlost\nlost\n1\n", "")


def test_a_child_of_fork_makes_its_own_pool(start):
    assert ends(start("""
        import os
        from procpool import Pool
        if __name__ == "__main__":
            pool = Pool(1)
            pid = os.fork()
            if pid == 0:
                with Pool(1) as own:
                    print(own.apply(abs, (-2,)), flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
            print(pool.apply(abs, (-1,)))
    """)) == ("2\n1\n", "")


def test_a_script_that_is_compiled_already_has_workers(start, tmp_path):
    script = tmp_path / "source.py"
    script.write_text(textwrap.dedent("""
        from procpool import Pool
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            with Pool(1) as pool:
                print(pool.map(double, [1, 2]))
    """))
    compiled = py_compile.compile(str(script), str(tmp_path / "program.pyc"))
    assert ends(start("", compiled)) == ("[2, 4]\n", "")

# SPDX-License-Identifier: MIT
"""The Python runtime loads a pool's modules and its client's main module, once, and workers have what was loaded."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from runtime_driver import INTERPRETER, MAIN, SEARCH_PATH, Spawner, debian_only, module, pickled

COUNTING = "import os\nLOADED_BY = os.getpid()\ndef loaded_by(): return LOADED_BY\n"


def tell(directory, name="work", text="", **start):
    """What a pool says of a module that cannot be loaded."""
    spawner = Spawner(modules=[module(directory, name, text)], **start)
    error = spawner.failed()
    status, _, stderr = spawner.close()
    assert status == 1 and error["code"] == "initializer-failed", stderr
    return error


def test_modules_are_loaded_once_before_workers_are_forked(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", COUNTING)])
    pids = [spawner.worker().apply("work:loaded_by") for _ in range(2)]
    assert pids == [spawner.process.pid] * 2
    assert spawner.close() == (0, "", "")


def test_a_module_may_be_a_name_that_is_imported_from_the_working_directory(tmp_path):
    (tmp_path / "package").mkdir()
    module(tmp_path / "package", "__init__", "from .part import f, hidden\n__all__ = ['f']\n")
    module(tmp_path / "package", "part", "def f(): return 1\ndef hidden(): pass\n")
    program = [INTERPRETER, "-m", "procpool.worker"]
    spawner = Spawner(modules=["package"], program=program, cwd=tmp_path)
    assert list(spawner.ready()) == ["package:f"]
    assert spawner.fork().ready().apply("package:f") == 1
    spawner.close()


@debian_only
@pytest.mark.parametrize("options", [[], ["-I"], ["-E", "-s"]])
def test_the_program_leaves_the_search_path_as_it_is(tmp_path, options):
    path = module(tmp_path, "work", "import sys\nPATH = list(sys.path)\ndef path(): return PATH\n")
    spawner = Spawner(modules=[path], program=[INTERPRETER, *options, str(MAIN)])
    tell = [INTERPRETER, *options, "-c", "import sys; print(*sys.path[not sys.flags.isolated:], sep='\\n')"]
    expected = subprocess.run(tell, capture_output=True, text=True, check=True).stdout.splitlines()
    assert spawner.worker().apply("work:path") == [*expected, str(tmp_path)]
    spawner.close()


def test_a_file_finds_what_lies_beside_it(tmp_path):
    module(tmp_path, "helper_of_work", "def f(): return 7\n")
    path = module(tmp_path, "work", "import helper_of_work\ndef g(): return helper_of_work.f()\n")
    spawner = Spawner(modules=[path])
    assert list(spawner.ready()) == ["work:g"]
    assert spawner.fork().ready().apply("work:g") == 7
    spawner.close()


def test_a_files_name_need_be_none_that_could_be_imported(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "my-jobs", "def f(): return 7\n")])
    assert spawner.worker().apply("my-jobs:f") == 7
    spawner.close()


def test_decorated_functions_are_offered_and_imported_names_are_not(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", """
import functools, os
from os.path import join
from functools import partial
class Callable:
    def __call__(self): pass
instance = Callable()
@functools.lru_cache
def cached(): return 1
@functools.wraps(cached)
def wrapped(): return 2
class Proxy:
    def __getattribute__(self, name): raise RuntimeError("working outside of application context")
proxy = Proxy()
""")])
    assert set(spawner.ready()) == {"work:cached", "work:wrapped"}
    spawner.close()


def test_a_module_that_raises_is_told_with_its_traceback(tmp_path):
    error = tell(tmp_path, text="def f():\n    1 / 0\nf()\n")
    assert error["type"] == "ZeroDivisionError"
    assert "work.py\", line 3, in <module>" in error["traceback"] and "procpool" not in error["traceback"]


def test_a_module_with_a_syntax_error_is_told(tmp_path):
    assert tell(tmp_path, text="def f(:\n")["type"] == "SyntaxError"


def test_a_module_that_exits_is_told(tmp_path):
    error = tell(tmp_path, text="import sys\nsys.exit('no')\n")
    assert error["type"] == "SystemExit" and "sys.exit('no')" in error["message"]


def test_a_module_that_is_not_there_is_named():
    spawner = Spawner(modules=["no_such_module_at_all"])
    assert "no_such_module_at_all" in spawner.failed()["message"]
    spawner.close()
    spawner = Spawner(modules=["/nowhere/work.py"])
    assert "/nowhere/work.py" in spawner.failed()["message"]
    spawner.close()


def test_an_import_that_ends_the_interpreter_ends_the_spawner(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", "import os\nos._exit(7)\n")])
    assert spawner.receive() is None
    assert spawner.close()[0] == 7


def test_what_loading_prints_is_printed_once(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", "print('loading', end='')\ndef f(): pass\n")])
    worker = spawner.worker()
    worker.apply("work:f")
    assert worker.end()["exit_status"] == 0
    assert worker.output.read() == ""
    assert spawner.close()[1] == "loading"


THREADED = """
import os, threading, time
LOADED_BY = os.getpid()
def loaded_by(): return LOADED_BY
def threads(): return threading.active_count()
def f(): threading.Event().wait()
threading.Thread(target=f, daemon=True).start()
"""


def test_workers_load_after_the_fork_where_loading_leaves_threads(tmp_path):
    path = module(tmp_path, "work", THREADED)
    spawner = Spawner(modules=[path])
    workers = [spawner.worker() for _ in range(2)]
    assert [level for level, _ in spawner.logs] == ["warning"] and str(path) in spawner.logs[0][1]
    assert [worker.apply("work:loaded_by") for worker in workers] == [worker.pid for worker in workers]
    assert workers[0].apply("work:threads") == 2
    assert len(os.listdir(f"/proc/{spawner.process.pid}/task")) == 1
    assert workers[0].end()["exit_status"] == 0
    assert spawner.close() == (0, "", "")


def test_a_module_that_fails_only_after_the_fork_fails_its_worker(tmp_path):
    path = module(tmp_path, "work", THREADED + f"if os.path.exists('{tmp_path}/broken'): raise ValueError('broken')\n")
    spawner = Spawner(modules=[path])
    spawner.ready()
    (tmp_path / "broken").touch()
    worker = spawner.fork()
    error = worker.expect(18)[1]
    assert error["code"] == "initializer-failed" and error["type"] == "ValueError"
    assert worker.exited()["exit_status"] == 1
    spawner.close()


def test_preload_always_forks_in_spite_of_threads(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", THREADED)], preload="always")
    assert spawner.worker().apply("work:loaded_by") == spawner.process.pid
    assert spawner.logs == []
    spawner.close()


def test_threads_that_have_ended_when_loading_has_do_not_matter(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", COUNTING + """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as executor:
    list(executor.map(abs, range(100)))
""")])
    assert spawner.worker().apply("work:loaded_by") == spawner.process.pid
    assert spawner.logs == []
    spawner.close()


# The client's main module.

SCRIPT = """
import sys
counter = 0
class Thing:
    def __init__(self, x): self.x = x
    def double(self): return self.x * 2
def f(x): return x + 1
def make(x): return Thing(x)
def x_of(thing): return thing.x
def count():
    global counter
    counter += 1
    return sys.modules["__main__"].counter
def argv(): return sys.argv
def name(): return __name__
def file(): return __file__
def package(): return __package__
if __name__ == "__main__":
    raise SystemExit("not here")
"""


def test_a_script_is_loaded_under_another_name_and_found_as_main(tmp_path):
    script = module(tmp_path, "script", SCRIPT)
    spawner = Spawner(own=True, main={"path": str(script)}, argv=["script.py", "-x"])
    assert spawner.ready() == {"*": ""}
    worker = spawner.fork().ready()
    assert worker.apply("__main__:f", 1) == 2
    assert worker.apply("__main__:name") == "__mp_main__"
    assert worker.apply("__main__:argv", pickle=True) == ["script.py", "-x"]
    assert worker.apply("__main__:file") == str(script)
    assert worker.apply("__mp_main__:f", 1) == 2
    spawner.close()


def test_what_a_function_of_the_script_sets_is_what_others_see(tmp_path):
    spawner = Spawner(own=True, main={"path": str(module(tmp_path, "script", SCRIPT))})
    worker = spawner.worker()
    assert [worker.apply("__main__:count") for _ in range(2)] == [1, 2]
    spawner.close()


def test_objects_of_the_script_go_both_ways(tmp_path, monkeypatch):
    import types
    main = types.ModuleType("__main__")
    exec(SCRIPT.replace("raise SystemExit", "print"), main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(sys.modules, "__mp_main__", main)
    spawner = Spawner(own=True, main={"path": str(module(tmp_path, "script", SCRIPT))})
    worker = spawner.worker()
    assert worker.apply("__main__:make", 3, pickle=True).double() == 6
    assert worker.apply("__main__:x_of", pickled(main.Thing(4)), pickle=True) == 4
    spawner.close()


def test_a_module_run_by_its_name_is_loaded(tmp_path):
    (tmp_path / "package").mkdir()
    module(tmp_path / "package", "__init__", "")
    module(tmp_path / "package", "sibling", "Y = 1\n")
    module(tmp_path / "package", "tool", SCRIPT + "from . import sibling\ndef y(): return sibling.Y\n")
    spawner = Spawner(own=True, main={"name": "package.tool"}, path=[tmp_path])
    worker = spawner.worker()
    assert worker.apply("__main__:y") == 1
    assert worker.apply("__main__:package") == "package"
    spawner.close()


def test_code_of_the_command_line_is_loaded():
    spawner = Spawner(own=True, main={"code": SCRIPT})
    assert spawner.worker().apply("__main__:f", 1) == 2
    spawner.close()


def test_a_worker_tells_workers_of_its_own_the_same_main_module(tmp_path):
    code = "from procpool import preparation\ndef main(): return preparation.describe_main()\n"
    for main in ({"code": code}, {"path": str(module(tmp_path, "script", code))}, {"name": "script"}):
        spawner = Spawner(own=True, main=main, path=[tmp_path])
        assert spawner.worker().apply("__main__:main", pickle=True) == main
        spawner.close()


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = module(tmp_path, "script", "from procpool import preparation\npreparation.check_not_loading()\n")
    spawner = Spawner(own=True, main={"path": str(script)})
    error = spawner.failed()
    assert error["type"] == "RuntimeError" and "if __name__ == '__main__':" in error["message"]
    spawner.close()


def test_a_pool_may_be_made_by_functions_of_the_script(tmp_path):
    script = module(tmp_path, "script", "from procpool import preparation\ndef f(): preparation.check_not_loading()\n")
    spawner = Spawner(own=True, main={"path": str(script)})
    assert spawner.worker().apply("__main__:f") is None
    spawner.close()


def test_a_script_that_leaves_threads_is_loaded_after_the_fork(tmp_path):
    script = module(tmp_path, "script", THREADED)
    spawner = Spawner(own=True, main={"path": str(script)})
    worker = spawner.worker()
    assert str(script) in spawner.logs[0][1]
    assert worker.apply("__main__:loaded_by") == worker.pid
    spawner.close()


def test_an_own_pool_calls_any_name(tmp_path):
    module(tmp_path, "other", "class Class:\n    @staticmethod\n    def f(x): return x\nnumber = 1\nimport nonesuch_\n")
    module(tmp_path, "another", "class Class:\n    @staticmethod\n    def f(x): return x\nnumber = 1\n")
    spawner = Spawner(own=True, path=[tmp_path])
    worker = spawner.worker()
    assert worker.apply("os.path:join", "a", "b") == "a/b"
    assert worker.apply("another:Class.f", 1) == 1
    assert worker.apply_error("another:number")["code"] == "unknown-function"
    assert worker.apply_error("another:nothing")["code"] == "unknown-function"
    assert worker.apply_error("nothing:nothing")["code"] == "unknown-function"
    error = worker.apply_error("other:Class.f", 1)
    assert error["code"] == "function-failed" and "nonesuch_" in error["message"]
    spawner.close()


def test_the_search_path_of_an_own_pool_is_its_clients(tmp_path):
    spawner = Spawner(own=True, main={"code": "import sys\ndef path(): return sys.path"}, path=[tmp_path])
    path = spawner.worker().apply("__main__:path", pickle=True)
    assert path == [str(tmp_path), *SEARCH_PATH]
    spawner.close()


def test_proxies_of_the_clients_managers_work(tmp_path):
    with multiprocessing.Manager() as manager:
        shared = manager.list([1])
        spawner = Spawner(own=True, main={"code": "def append(shared, x): shared.append(x)"},
                          authkey=bytes(multiprocessing.current_process().authkey))
        spawner.worker().apply("__main__:append", pickled(shared), 2)
        assert list(shared) == [1, 2]
    spawner.close()


# What is done in each worker.


def test_the_initializer_runs_in_each_worker_with_its_arguments(tmp_path):
    path = module(tmp_path, "work", "STATE = []\ndef setup(*args): STATE.extend(args)\ndef state(): return STATE\n")
    spawner = Spawner(modules=[path], initializer="work:setup", initargs=[1, "a"])
    assert [spawner.worker().apply("work:state") for _ in range(2)] == [[1, "a"]] * 2
    spawner.close()


def test_an_initializer_may_be_a_callable_of_the_client(tmp_path):
    script = module(tmp_path, "script", "STATE = []\ndef state(): return STATE\n")
    spawner = Spawner(own=True, main={"path": str(script)}, initializer="procpool:call",
                      initargs=[pickled(os.path.join), "a", "b"])
    assert spawner.worker().apply("__main__:state", pickle=True) == []
    spawner.close()


@pytest.mark.parametrize("text, kind", [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit"),
                                        ("raise KeyboardInterrupt", "KeyboardInterrupt")])
def test_an_initializer_that_raises_fails_its_worker(tmp_path, text, kind):
    spawner = Spawner(modules=[module(tmp_path, "work", f"def setup(): {text}\n")], initializer="work:setup")
    spawner.ready()
    worker = spawner.fork()
    error = worker.expect(18)[1]
    assert (error["code"], error["type"]) == ("initializer-failed", kind) and "in setup" in error["traceback"]
    assert worker.exited()["exit_status"] == 1
    spawner.close()


def test_an_initializer_that_is_not_there_fails_its_worker(tmp_path):
    spawner = Spawner(modules=[module(tmp_path, "work", "")], initializer="work:setup")
    spawner.ready()
    assert "work:setup" in spawner.fork().expect(18)[1]["message"]
    spawner.close()


@debian_only
def test_random_numbers_differ_between_workers(tmp_path):
    path = module(tmp_path, "work", """
import random, numpy
random.seed(1); numpy.random.seed(1)
def numbers(): return [random.random(), float(numpy.random.random())]
""")
    spawner = Spawner(modules=[path], environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    one, other = [spawner.worker().apply("work:numbers") for _ in range(2)]
    assert one[0] != other[0] and one[1] != other[1]
    spawner.close()


def test_a_worker_knows_its_number(tmp_path):
    path = module(tmp_path, "work", "import procpool\nAT_LOADING = procpool.worker_index()\n"
                                    "def index(): return [AT_LOADING, procpool.worker_index()]\n")
    spawner = Spawner(modules=[path])
    assert [spawner.worker().apply("work:index") for _ in range(3)] == [[None, 0], [None, 1], [None, 2]]
    spawner.close()


def test_exit_handlers_of_modules_run_once_and_those_of_workers_in_these(tmp_path):
    path = module(tmp_path, "work", """
import atexit, os
def note(text):
    with open(os.path.join(os.path.dirname(__file__), "ends"), "a") as file:
        file.write(f"{text} {os.getpid()}\\n")
atexit.register(note, "spawner")
def register(): atexit.register(note, "worker")
""")
    spawner = Spawner(modules=[path])
    worker, other = spawner.worker(), spawner.worker()
    worker.apply("work:register")
    assert worker.end()["exit_status"] == other.end()["exit_status"] == 0
    assert (tmp_path / "ends").read_text() == f"worker {worker.pid}\n"
    spawner.close()
    assert (tmp_path / "ends").read_text() == f"worker {worker.pid}\nspawner {spawner.process.pid}\n"


def test_files_that_modules_have_opened_are_open_in_workers(tmp_path):
    path = module(tmp_path, "work", """
import logging, os
logging.basicConfig(filename=os.path.join(os.path.dirname(__file__), "log"), format="%(message)s")
def log(text): logging.warning(text)
""")
    spawner = Spawner(modules=[path])
    for number in range(2):
        spawner.worker().apply("work:log", f"worker {number}")
    assert (tmp_path / "log").read_text() == "worker 0\nworker 1\n"
    spawner.close()


def test_a_module_that_changes_what_the_runtime_uses_harms_nothing(tmp_path):
    path = module(tmp_path, "work", """
import os, signal, socket, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
socket.setdefaulttimeout(0.001)
sys.stdout.close()
os.close(0)
def nap(): time.sleep(0.05)
""")
    spawner = Spawner(modules=[path])
    worker = spawner.worker()
    worker.apply("work:nap")
    assert worker.end()["exit_status"] == 0
    worker = spawner.worker()
    worker.kill(9)
    assert worker.exited()["signal"] == 9
    spawner.close()

# SPDX-License-Identifier: MIT
"""What the runtime says of modules that it cannot load, and how loaded ones begin and end."""

import os
import resource
import shutil
import subprocess

import pytest

from driver import FAILED, JOB, LOG, READY, RUNTIME, STALE, TEST_MODULES, Spawner


def path_of(name):
    return os.path.join(TEST_MODULES, name + ".so")


def refused(*modules, **start):
    """The message with which the spawner gives up."""
    spawner = Spawner(modules, **start)
    error = spawner.expect(FAILED)[1]
    assert error["code"] == "initializer-failed"
    assert spawner.receive() is None
    spawner.close()
    return error["message"]


def test_module_of_another_abi_is_refused_with_both_versions():
    message = refused(path_of("other_abi"))
    assert "other_abi.so" in message and "4711" in message and "version 1" in message


def test_shared_object_that_is_no_module_is_refused():
    message = refused(path_of("no_symbol"))
    assert "no_symbol.so" in message and "procpool_module" in message


def test_unresolved_symbol_is_named():
    assert "nobody_provides_this" in refused(path_of("unresolved"))


def test_missing_path_is_named():
    assert "/nowhere/at/all.so" in refused("/nowhere/at/all.so")


def test_missing_name_is_told_with_the_directories(tmp_path):
    message = refused("absent", environment={"PROCPOOL_MODULE_PATH": str(tmp_path)})
    assert "absent.so" in message and str(tmp_path) in message


def test_file_that_is_no_shared_object_is_refused(tmp_path):
    (tmp_path / "text.so").write_text("not a program")
    message = refused("text", environment={"PROCPOOL_MODULE_PATH": f"/nonexistent:{tmp_path}"})
    assert str(tmp_path / "text.so") in message


def test_function_exported_twice_by_one_module_is_refused():
    assert "twice.same is exported twice" in refused(path_of("twice"))


def test_function_exported_by_two_modules_is_refused_with_both_paths():
    message = refused("demo", path_of("second_demo"))
    assert "demo.inc is exported twice" in message
    assert "modules/demo.so" in message and "second_demo.so" in message


def test_function_without_a_proper_name_is_refused():
    assert "bad_name" in refused(path_of("bad_name"))


@pytest.mark.parametrize("name", ["", "a\0b", 7, None])
def test_module_name_that_is_none_is_refused(name):
    assert "module's name" in refused(name)


def test_functions_are_told_sorted_with_their_descriptions():
    spawner = Spawner(["digest", "demo"])
    functions = spawner.expect(READY)[1]
    names = [name for name, _ in functions]
    assert names == sorted(names) and "demo.inc" in names and "digest.sha256" in names
    assert dict(map(tuple, functions))["demo.echo"].startswith("echo(x)")
    assert spawner.close() == 0


def test_module_can_be_written_in_cxx():
    if not os.path.exists(path_of("from_cxx")):
        pytest.skip("built without a C++ compiler")
    spawner = Spawner([path_of("from_cxx")])
    assert spawner.ready() == {"from_cxx.greet": "greet(name): a greeting"}
    assert spawner.fork().ready().apply("from_cxx.greet", "you") == "hello you"
    spawner.close()


def test_module_with_threads_is_loaded_after_the_fork_with_a_warning():
    spawner = Spawner(["demo", path_of("threaded")])
    assert "threaded.ask" in spawner.ready()
    assert [level for level, _ in spawner.logs] == ["warning"]
    assert "threaded.so" in spawner.logs[0][1]
    # The same process, with one thread and none of the modules.
    assert len(os.listdir(f"/proc/{spawner.process.pid}/task")) == 1
    with open(f"/proc/{spawner.process.pid}/maps") as maps:
        assert "threaded.so" not in maps.read()
    for _ in range(2):
        worker = spawner.fork().ready()
        assert worker.apply("threaded.ask") == "answered"
        assert worker.apply("demo.inc", 1) == 2
    assert spawner.close() == 0


def test_preload_always_loads_before_the_fork_whatever_happens():
    spawner = Spawner([path_of("threaded")], preload="always")
    assert "threaded.ask" in spawner.ready()
    with open(f"/proc/{spawner.process.pid}/maps") as maps:
        assert "threaded.so" in maps.read()
    assert spawner.logs == []
    spawner.close()


def test_worker_that_cannot_load_after_the_fork_says_failed(tmp_path):
    module = tmp_path / "threaded.so"
    module.write_bytes(open(path_of("threaded"), "rb").read())
    spawner = Spawner([str(module)])
    spawner.ready()
    module.unlink()
    worker = spawner.fork()
    error = worker.expect(FAILED)[1]
    assert error["code"] == "initializer-failed" and str(module) in error["message"]
    assert worker.exited()["exit_status"] == 1
    spawner.close()


def test_initializer_gets_initargs_in_each_worker_and_finalizer_runs_at_the_end(tmp_path):
    ended = tmp_path / "ended"
    spawner = Spawner([path_of("lifecycle")], initargs=["hello", str(ended)])
    spawner.ready()
    worker = spawner.fork().ready()
    assert worker.apply("lifecycle.state") == ["hello", 0]
    assert worker.logs == [["info", "lifecycle's initializer in pool test"]]
    assert not ended.exists()
    assert worker.end()["exit_status"] == 0
    assert ended.exists()
    spawner.close()


def test_named_initializer_runs_after_those_of_the_modules():
    spawner = Spawner([path_of("lifecycle")], initializer="lifecycle.prepare", initargs=["x"])
    spawner.ready()
    assert spawner.fork().ready().apply("lifecycle.state") == ["x", 1]
    spawner.close()


def test_function_knows_its_job_and_attempt():
    spawner = Spawner([path_of("lifecycle")])
    spawner.ready()
    worker = spawner.fork().ready()
    assert worker.apply("lifecycle.task") == [JOB, 1]
    assert worker.map("lifecycle.task", [1, 2], attempt=3) == [("ok", [JOB, 3])] * 2
    assert worker.map("lifecycle.task", [1], attempt=-1) == [("ok", [JOB, 1])]
    spawner.close()


def test_unknown_initializer_fails_the_worker():
    spawner = Spawner(initializer="demo.nothing")
    spawner.ready()
    assert "demo.nothing" in spawner.fork().expect(FAILED)[1]["message"]
    spawner.close()


def test_initializer_that_fails_is_told_with_type_and_data():
    spawner = Spawner([path_of("lifecycle")], initargs=["fail"])
    spawner.ready()
    worker = spawner.fork()
    assert worker.expect(FAILED)[1] == {
        "code": "initializer-failed", "message": "told to fail by worker 1 of 2",
        "type": "InitError", "data": 7}
    assert worker.exited()["exit_status"] == 1
    spawner.close()


def test_log_lines_come_from_any_thread():
    spawner = Spawner([path_of("lifecycle")])
    spawner.ready()
    worker = spawner.fork().ready()
    worker.logs.clear()
    assert worker.apply("lifecycle.log_from_thread") is None
    assert worker.logs == [["warning", "from a thread"]]
    spawner.close()


@pytest.mark.parametrize("name", ["values", "threaded"])
def test_file_that_changes_is_told_once(tmp_path, name):
    """Also of modules that workers load after the fork."""
    module, new = tmp_path / f"{name}.so", tmp_path / "new"
    shutil.copy(path_of(name), module)
    spawner = Spawner(["demo", str(module)])
    spawner.ready()
    worker = spawner.fork()
    worker.ready()  # from here on the files are watched
    shutil.copy(path_of(name), new)
    os.rename(new, module)
    assert spawner.expect(STALE) == [STALE, str(module)]
    os.utime(module)
    shutil.copy(path_of(name), module)
    worker = spawner.fork().ready()
    assert not [link for fd in os.listdir(f"/proc/{worker.pid}/fd")
                if "inotify" in (link := os.readlink(f"/proc/{worker.pid}/fd/{fd}"))]
    assert spawner.close() == 0


def test_module_is_served_where_nothing_can_be_watched():
    """As where no descriptor is left when it would be: 0 to 3 and the one for signals are there."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    spawner = Spawner(["demo"], limits=[(resource.RLIMIT_NOFILE, (5, hard))])
    assert "demo.inc" in spawner.ready()
    said = spawner.messages() or (spawner.read() and spawner.messages())
    assert said == [[LOG, "debug", "cannot watch the files of the modules: Too many open files"]]
    resource.prlimit(spawner.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert spawner.fork().ready().apply("demo.inc", 1) == 2
    spawner.close()


def test_runtime_exports_nothing_but_the_public_functions():
    if os.environ.get("PROCPOOL_SANITIZED"):
        pytest.skip("a sanitizer exports its own")
    listing = subprocess.run(["nm", "-D", "--defined-only", RUNTIME], check=True,
                             capture_output=True, text=True).stdout
    functions = [line.split()[2] for line in listing.splitlines() if line.split()[1] == "T"]
    assert "procpool_return_int" in functions and "procpool_write_map" in functions
    assert [name for name in functions if not name.startswith("procpool_")] in ([], ["_start"])


def test_runtime_started_by_hand_explains_itself():
    done = subprocess.run([RUNTIME], capture_output=True, text=True)
    assert done.returncode == 2 and "procpoold" in done.stderr
    done = subprocess.run([RUNTIME, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("procpool-runtime ")

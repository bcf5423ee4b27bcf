# SPDX-License-Identifier: MIT
"""Workers find what their program would: interpreter, search path, directory, environment, umask, limits, processors.

Everywhere but where another is told, with a private daemon and with a running one of the user's own, which was started
in quite other surroundings.
"""

import json
import os
import subprocess
import sys

import pytest
from conftest import BUILD, PACKAGE
from procpoold import Daemon
from rpc import DEADLINE

# A program that prints what it and a worker see.
PROGRAM = """
import json, os, resource, signal, sys
{before}
from procpool import Pool

def cwd():
    try:
        return os.getcwdb().decode("latin1")
    except FileNotFoundError:
        return "gone"

def look():
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    mask = os.umask(0)
    os.umask(mask)
    return {{
        "executable": sys.executable, "prefix": sys.prefix, "flags": list(sys.flags), "warnings": sys.warnoptions,
        "xoptions": repr(sys._xoptions), "path": sys.path, "argv": sys.argv, "cwd": cwd(),
        "environment": {{k.decode("latin1"): v.decode("latin1") for k, v in os.environb.items()}},
        "umask": mask, "limits": {{name: resource.getrlimit(getattr(resource, name)) for name in limits}},
        "processors": sorted(os.sched_getaffinity(0)), "nice": os.nice(0),
        "name": __name__,
    }}

if __name__ == "__main__":
    {setup}
    with Pool(1) as pool:
        its = pool.apply(look)
    print(json.dumps([look(), its]))
"""

# What is told to workers beside the program's environment, by PROTOCOL.md and WORKER.md.
TOLD = {"PROCPOOL_SOCKET", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}


@pytest.fixture(params=["private", "running"])
def socket(request):
    """Of a daemon of this user that runs elsewhere; or a place where none does."""
    if request.param == "private":
        yield "/nonexistent"
        return
    server = Daemon(listen=False, env={"OTHERS": "1"}, setup=lambda: os.chdir("/")).await_ready()
    yield str(server.path)
    server.finish()


@pytest.fixture
def run(socket, tmp_path):
    """Runs the program and returns what it and its worker saw."""

    def run(setup="pass", before="", python=(sys.executable,), env=None, socket=socket, **options):
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(setup=setup, before=before))
        variables = os.environ | {"PROCPOOL_SOCKET": socket, "PROCPOOL_DAEMON": str(BUILD / "daemon" / "procpoold")}
        done = subprocess.run([*python, str(script), "an argument", "-x"], env=variables | (env or {}),
                              capture_output=True, timeout=DEADLINE, **options)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        return json.loads(done.stdout)

    return run


def test_all_is_as_in_the_program(run):
    mine, its = run()
    assert {name: value for name, value in its.pop("environment").items() if name not in TOLD} == {
        name: value for name, value in mine.pop("environment").items() if name not in TOLD
    }
    assert its.pop("name") == "__mp_main__" and mine.pop("name") == "__main__"
    assert its == mine


def test_a_running_daemon_is_used_where_there_is_one(run, socket):
    _, its = run()
    assert (its["environment"]["PROCPOOL_SOCKET"] == socket) == (socket != "/nonexistent")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("socket", ["private"], indirect=True)
def test_a_running_daemon_of_another_user_is_passed_over(run):
    server = Daemon(listen=False, user=65534).await_ready()
    try:
        _, its = run(socket=str(server.path))
        assert its["environment"]["PROCPOOL_SOCKET"] != str(server.path)
    finally:
        server.finish()


@pytest.mark.parametrize("socket", ["private"], indirect=True)
def test_a_running_daemon_that_is_ending_is_passed_over(run):
    server = Daemon(listen=False).await_ready()
    try:
        _, its = run(setup=f"""
    from procpool.connection import Connection
    connect = Connection.connect
    def and_end(*args):
        Connection.connect = connect
        connection = connect(*args)
        os.kill({server.pid}, signal.SIGTERM)
        return connection
    Connection.connect = and_end
    """.strip(), socket=str(server.path))
        assert its["environment"]["PROCPOOL_SOCKET"] != str(server.path)
    finally:
        server.finish()


def test_the_interpreter_is_that_of_the_virtual_environment(run, tmp_path):
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", environment], check=True)
    mine, its = run(python=[environment / "bin" / "python3"])
    assert its["prefix"] == mine["prefix"] == str(environment)
    assert its["executable"] == mine["executable"]


def test_options_of_the_interpreter_are_kept(run):
    mine, its = run(python=[sys.executable, "-O", "-B", "-W", "ignore::UserWarning", "-X", "utf8"])
    for what in ("flags", "warnings", "xoptions"):
        assert its[what] == mine[what]


def test_an_isolated_program_has_isolated_workers(run):
    """-I ignores the environment, so that the package is found by the program's own path alone."""
    mine, its = run(before=f"sys.path.insert(0, {str(PACKAGE)!r})", python=[sys.executable, "-I"])
    assert its["flags"] == mine["flags"]
    assert its["path"] == [str(PACKAGE), *mine["path"]]  # as the main module is run there, too


def test_the_directory_is_the_one_that_the_program_is_in(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    mine, its = run(setup="os.chdir('elsewhere')", cwd=tmp_path)
    assert its["cwd"] == mine["cwd"] == str(tmp_path / "elsewhere")


def test_the_directory_may_have_any_name(run, tmp_path):
    strange = os.path.join(os.fsencode(tmp_path), b"\xff \xc3")
    os.mkdir(strange)
    mine, its = run(cwd=strange)
    assert its["cwd"] == mine["cwd"] == strange.decode("latin1")


def test_a_program_whose_directory_is_gone_has_a_pool_all_the_same(run, tmp_path):
    mine, its = run(setup="os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')", cwd=tmp_path)
    assert its["cwd"] == mine["cwd"] == "gone"


def test_what_the_program_has_changed_in_its_environment_counts(run):
    setup = r"""
    del os.environ["REMOVED"]
    os.environ["CHANGED"] = "new"
    os.environb[b"STR\xffNGE"] = b"\xfe\n="
    os.environ["EMPTY"] = ""
    """.strip().replace("\n    ", "; ")
    mine, its = run(setup=setup, env={"REMOVED": "x", "CHANGED": "old"})
    for name in ("REMOVED", "CHANGED", "STR\xffNGE", "EMPTY", "OTHERS"):
        assert its["environment"].get(name) == mine["environment"].get(name)


def test_the_search_path_is_the_programs(run, tmp_path):
    mine, its = run(setup="sys.path[:0] = ['/a/b', 'relative']", cwd=tmp_path)
    assert its["path"][:2] == ["/a/b", str(tmp_path / "relative")]
    assert its["path"][2:] == mine["path"][2:]


def test_the_umask_is_the_programs(run):
    mine, its = run(setup="os.umask(0o137)")
    assert its["umask"] == mine["umask"] == 0o137


def test_limits_are_the_programs(run):
    mine, its = run(setup="""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    resource.setrlimit(resource.RLIMIT_CPU, (1000, resource.RLIM_INFINITY))
    """.strip())
    assert its["limits"] == mine["limits"] and mine["limits"]["RLIMIT_NOFILE"] == [200, 300]


def test_processors_are_the_programs(run):
    cpu = max(os.sched_getaffinity(0))
    mine, its = run(setup=f"os.sched_setaffinity(0, [{cpu}])")
    assert its["processors"] == mine["processors"] == [cpu]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to take a right from itself")
@pytest.mark.parametrize("socket", ["private"], indirect=True)
def test_a_running_daemon_that_cannot_grant_them_is_passed_over(run):
    may_not = ["setpriv", "--bounding-set=-sys_resource"]
    server = Daemon(listen=False, wrapper=[*may_not, "prlimit", "--nofile=512:512"])
    try:
        server.await_ready()
        mine, its = run(socket=str(server.path), python=[*may_not, sys.executable])
        assert its["limits"] == mine["limits"]
        assert its["environment"]["PROCPOOL_SOCKET"] != str(server.path)
    finally:
        server.finish()

# SPDX-License-Identifier: MIT
"""ppctl: the commands, what they print and how they exit. map has its own file."""

import glob
import json
import re
import select
import shutil
import signal
import socket
import subprocess

import pytest

import procpoold
from ppctl import Ppctl, end, read_line
from procpoold import eventually


@pytest.fixture
def ppctl(daemon):
    return Ppctl(daemon())


@pytest.fixture
def one_held(probe, gate):
    """ppctl to a daemon whose only worker a job holds, that job's id, and the gate."""
    server = probe(workers=1)
    held = gate()
    command = Ppctl(server)
    job = int(command.output("async", "probe.hold", held.path))
    held.await_held()
    return command, job, held


def counters(ppctl):
    return ppctl.json("stats")["jobs"]


# apply


@pytest.mark.memcheck
def test_apply_prints_the_result_as_json(ppctl):
    assert ppctl.output("apply", "demo.inc", "41") == "42\n"
    assert ppctl.output("apply", "demo.inc", "-42") == "-41\n"


@pytest.mark.parametrize("arg, printed", [
    ("hello", '"hello"'),
    ('"41"', '"41"'),
    ("[1, {\"a\": null}]", '[1,{"a":null}]'),
    ("1.5", "1.5"),
    ("18446744073709551615", "18446744073709551615"),
    ('{"$bytes": "aGk="}', '{"$bytes":"aGk="}'),
    ('{"$float": "nan"}', '{"$float":"nan"}'),
    ('{"$float": "-inf"}', '{"$float":"-inf"}'),
    ('{"$string": "/w=="}', '{"$string":"/w=="}'),
    ('{"$map": [[1, 2]]}', '{"$map":[[1,2]]}'),
    ('{"$ext": [5, "aGk="]}', '{"$ext":[5,"aGk="]}'),
    (b"\xff", '{"$bytes":"/w=="}'),
])
def test_values_have_one_form_in_both_directions(ppctl, arg, printed):
    done = subprocess.run([ppctl.program, "apply", "demo.echo", arg], env=ppctl.env, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout.decode()) == (0, printed + "\n")


def test_raw_prints_strings_and_bytes_as_they_are(ppctl):
    assert ppctl.output("apply", "-r", "demo.echo", "a\tb") == "a\tb\n"
    assert ppctl.output("apply", "-r", "demo.echo", '["a"]') == '["a"]\n'
    assert ppctl.run("apply", "-r", "demo.echo", '{"$bytes": "/wA="}').stdout == b"\xff\0"


def test_strings_takes_every_argument_as_a_string(ppctl):
    assert ppctl.output("apply", "-s", "demo.echo", "41") == '"41"\n'


@pytest.mark.memcheck
def test_a_function_that_fails_says_its_own_message(ppctl):
    assert ppctl.failure("apply", "demo.fail", "no luck") == (1, "ppctl: demo.fail: no luck\n")


def test_errors_as_json_are_what_the_daemon_said(ppctl):
    status, text = ppctl.failure("--json", "apply", "demo.fail", "no luck")
    error = json.loads(text)["error"]
    assert status == 1 and error["code"] == "function-failed" and error["message"] == "no luck"


def test_an_unknown_function_answers_with_the_nearest_names(ppctl):
    status, text = ppctl.failure("apply", "demo.imc", 1)
    assert status == 2
    assert "similar: demo.inc" in text and "'ppctl functions'" in text


def test_a_worker_that_is_lost_exits_4_and_names_the_signal(ppctl):
    status, text = ppctl.failure("apply", "demo.crash", 9)
    assert status == 4
    assert re.search(r"\b9\b|SIGKILL|Killed", text)


def test_wrong_arguments_exit_2(ppctl):
    assert ppctl.failure("apply", "demo.inc", '"x"')[0] == 2
    assert ppctl.failure("apply", "-p", "nope", "demo.inc", 1)[0] == 2


def test_busy_exits_4(daemon):
    server = daemon(limits={"queued_bytes_session": 1})
    status, text = Ppctl(server).failure("apply", "demo.inc", 1)
    assert status == 4 and "try again" in text


@pytest.mark.memcheck
def test_a_timeout_exits_4_and_cancels_what_waits(one_held):
    ppctl, _, held = one_held
    status, text = ppctl.failure("apply", "-t", "0.2", "demo.inc", 1)
    assert (status, text) == (4, "ppctl: gave up after 0.2 s\n")
    eventually(lambda: counters(ppctl)["waiting"] == 0)
    held.release()


def test_a_call_that_runs_too_long_is_stopped(ppctl):
    status, text = ppctl.failure("apply", "--run-timeout", "0.1", "demo.sleep", 60)
    assert status == 4 and "its timeout was 0.1 s" in text
    assert ppctl.output("apply", "-R", "60", "demo.sleep", 0) == "null\n"
    job = ppctl.output("async", "-R", "0.1", "demo.sleep", 60).strip()
    status, text = ppctl.failure("wait", job)
    assert status == 4 and "its timeout was 0.1 s" in text


# What ends it early


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_what_was_submitted(one_held, number):
    ppctl, _, held = one_held
    process = ppctl.start("apply", "demo.inc", 1)
    eventually(lambda: counters(ppctl)["waiting"] == 1)
    process.send_signal(number)
    assert end(process) == (-number, b"", b"")
    eventually(lambda: counters(ppctl)["waiting"] == 0)
    held.release()


@pytest.mark.parametrize("command", [["apply", "demo.inc", 1], ["map", "demo.inc", 1, 2], ["watch"], ["map", "demo.inc"]])
def test_a_closed_output_pipe_ends_it_at_once(one_held, command):
    ppctl, _, held = one_held
    process = ppctl.start(*command)
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    eventually(lambda: counters(ppctl)["waiting"] == 0)
    process.stdin.close()
    process.stderr.close()
    held.release()


def test_a_job_whose_id_cannot_be_printed_is_cancelled(one_held):
    ppctl, _, held = one_held
    with open("/dev/full", "wb") as full:
        done = ppctl.run("async", "demo.inc", 1, stdout=full)
    assert done.returncode == 4 and b"No space left" in done.stderr
    assert [job["function"] for job in ppctl.json("jobs", "--state", "cancelled")] == ["demo.inc"]
    held.release()


def test_output_that_cannot_be_written_exits_4(ppctl):
    with open("/dev/full", "wb") as full:
        done = ppctl.run("apply", "demo.inc", 1, stdout=full)
    assert done.returncode == 4 and b"No space left" in done.stderr


def test_a_daemon_that_goes_away_exits_3(one_held):
    ppctl, _, held = one_held
    process = ppctl.start("apply", "demo.inc", 1)
    eventually(lambda: counters(ppctl)["waiting"] == 1)
    ppctl.daemon.expected_status = -signal.SIGKILL
    ppctl.daemon.kill(signal.SIGKILL)
    status, out, err = end(process)
    assert (status, out) == (3, b"") and b"lost" in err
    ppctl.daemon.await_exit()


def test_without_a_daemon_it_names_the_sockets_tried(ppctl, tmp_path):
    status, text = ppctl.failure("--socket", tmp_path / "none", "ping")
    assert status == 3 and f"no daemon at {tmp_path}/none" in text and "procpoold" in text
    del ppctl.env["PROCPOOL_SOCKET"]
    ppctl.env["XDG_RUNTIME_DIR"] = str(tmp_path)
    done = ppctl.run("ping")
    if done.returncode == 3:  # else a system's own daemon answers on this machine
        assert f"{tmp_path}/procpool/procpoold.sock or /run/procpool/procpoold.sock" in done.stderr.decode()


def test_a_daemon_that_does_not_answer_is_a_timeout(ppctl, tmp_path):
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        assert ppctl.failure("--socket", tmp_path / "mute", "-t", "0.1", "ping") == (
            4, "ppctl: the daemon does not answer\n"
        )


def test_another_users_socket_is_denied(as_root, daemon):
    ppctl = Ppctl(daemon())
    public = ppctl.daemon.dir  # the build directory may be root's own
    for file in (ppctl.program, *glob.glob(f"{procpoold.BUILD}/client/lib/libprocpool.so.?")):
        shutil.copy(file, public)
    env = ppctl.env | {"LD_LIBRARY_PATH": str(public)}
    done = subprocess.run([public / "ppctl", "ping"], env=env, stderr=subprocess.PIPE, user=65534)
    assert done.returncode == 4, done
    assert f"cannot connect to {ppctl.daemon.path}: Permission denied".encode() in done.stderr


# Jobs


@pytest.mark.memcheck
def test_a_job_is_submitted_waited_for_and_fetched(ppctl):
    job = ppctl.output("async", "demo.inc", 1).strip()
    assert ppctl.output("wait", job) == "2\n"
    assert ppctl.output("result", job) == "2\n"
    assert ppctl.json("job", job)["state"] == "done"
    assert [row["job"] for row in ppctl.json("jobs")] == [int(job)]
    assert job in ppctl.output("jobs")


def test_a_job_that_runs_has_no_result_yet(one_held):
    ppctl, job, held = one_held
    assert ppctl.failure("result", job)[0] == 4
    assert ppctl.failure("wait", job, "--timeout", "0.1")[0] == 4
    assert ppctl.failure("--json", "wait", job, "-t0")[0] == 4
    held.release()
    assert ppctl.run("wait", job).returncode == 0


def test_a_job_that_failed_reports_its_error(ppctl):
    job = ppctl.output("async", "demo.fail", "no luck").strip()
    assert ppctl.failure("wait", job) == (1, f"ppctl: job {job}: no luck\n")


def test_a_job_is_cancelled_whether_it_waits_or_runs_but_not_once_it_has_ended(one_held):
    ppctl, running, held = one_held
    waiting = ppctl.output("async", "demo.inc", 1).strip()
    assert ppctl.output("cancel", waiting) == ""
    assert ppctl.failure("wait", waiting)[0] == 4
    assert ppctl.output("cancel", running) == ""
    status, text = ppctl.failure("cancel", running)
    assert status == 4 and "it is cancelled" in text
    held.release()


def test_a_job_that_does_not_exist_exits_2(ppctl):
    for command in ("wait", "result", "cancel", "job"):
        assert ppctl.failure(command, 1)[0] == 2
        assert ppctl.failure(command, "x")[0] == 2


def test_all_jobs_are_listed_however_many_pages_they_take(daemon):
    ppctl = Ppctl(daemon(limits={"jobs_page": 3}))
    client = ppctl.daemon.connect()
    jobs = [client.call("apply_async", "demo.inc", [i], {"detach": True}) for i in range(10)]
    assert [row["job"] for row in ppctl.json("jobs")] == jobs


# Observing


@pytest.mark.parametrize("what", ["pools", "workers", "functions"])
def test_tables_show_and_json_repeats_what_the_daemon_says(ppctl, what):
    ppctl.daemon.await_workers(2)
    rows = ppctl.json(what)
    keys = {"pools": "name", "workers": "pid", "functions": "name"}
    said = ppctl.daemon.connect().call(what)
    assert [row[keys[what]] for row in rows] == [row[keys[what]] for row in said]
    lines = ppctl.output(what).splitlines()
    assert len(lines) == len(rows) + 1
    for row, line in zip(rows, lines[1:]):
        assert str(row[keys[what]]) in line.split()


def test_stats_are_percentiles_for_people_and_numbers_as_json(ppctl):
    assert "none yet" in ppctl.output("stats")
    ppctl.output("apply", "demo.inc", 1)
    text = ppctl.output("stats")
    assert re.search(r"^running   mean .*, 50% ≤ .*, 90% ≤ .*, 99% ≤ ", text, re.MULTILINE)
    assert ppctl.json("stats")["running_seconds"]["count"] == 1


def test_ping(ppctl):
    assert ppctl.output("ping") == "pong\n"


def test_watch_prints_each_event_at_once(ppctl):
    watch = ppctl.start("--json", "watch")

    # The subscription is there when a job's events come.
    def events_come():
        ppctl.output("async", "demo.pid")
        return select.select([watch.stdout], [], [], 0.1)[0]

    eventually(events_come)
    job = int(ppctl.output("async", "demo.inc", 1))
    push = {}
    while not (push.get("push") == "result" and push["job"] == job):
        push = json.loads(read_line(watch.stdout))
    assert (push["value"], push["error"], push["function"]) == (2, None, "demo.inc")
    watch.send_signal(signal.SIGINT)
    assert end(watch)[0] == -signal.SIGINT


def test_watch_prints_the_progress_of_tasks(probe, gate):
    ppctl, held = Ppctl(probe()), gate()
    watch = ppctl.start("watch")

    def events_come():
        ppctl.output("async", "demo.pid")
        return select.select([watch.stdout], [], [], 0.1)[0]

    eventually(events_come)
    job = ppctl.output("async", "probe.report", held.path, '{"done": 3}').strip()
    line = ""
    while "progress" not in line:
        line = read_line(watch.stdout)
    assert line[13:] == f'progress {job} probe.report pool default: {{"done":3}}\n'
    held.release()
    watch.send_signal(signal.SIGINT)
    assert end(watch)[0] == -signal.SIGINT


def test_watching_a_job_ends_with_it(one_held):
    ppctl, job, held = one_held
    watch = ppctl.start("watch", job)
    held.release()
    status, out, err = end(watch)
    assert (status, err) == (0, b"")
    # The event that it has ended may come with it.
    assert f"job {job} probe.hold waited".encode() in out
    # Again, now that it has ended.
    assert f"job {job} probe.hold waited" in ppctl.output("watch", job)


def test_watching_for_a_time_succeeds_but_not_where_a_job_was_awaited(one_held):
    ppctl, job, held = one_held
    assert ppctl.run("watch", "-t", "0.1").returncode == 0
    assert ppctl.run("watch", "-t", "0.1", job).returncode == 4
    held.release()


# Help and usage


def test_help_comes_in_every_way(ppctl):
    whole = ppctl.output("--help")
    assert ppctl.output("help") == whole and "Exit status:" in whole
    commands = re.findall(r"^  (\w+) .*", whole.split("Commands:")[1].split("Options:")[0], re.MULTILINE)
    assert {"apply", "async", "map", "wait", "result", "cancel", "watch", "jobs", "job", "pools", "workers", "functions",
            "ping", "stats"} <= set(commands)
    for command in set(commands) - {"help"}:
        text = ppctl.output("help", command)
        assert text.startswith(f"Usage: ppctl {command} ") and "Exit status:" in text
        assert ppctl.output(command, "--help") == text == ppctl.output("--help", command)
    assert ppctl.failure() == (2, whole)
    assert re.fullmatch(r"ppctl \d+\.\d+\.\d+\n", ppctl.output("--version"))


@pytest.mark.parametrize("args, words", [
    (["mpa"], "did you mean: map"),
    (["apply"], "FUNC is missing"),
    (["wait"], "JOB is missing"),
    (["wait", "1", "2"], "'2' is too much"),
    (["apply", "--nope", "demo.inc"], "no option '--nope'"),
    (["apply", "-t", "soon", "demo.inc"], "number of seconds"),
    (["apply", "-k", "x", "demo.inc"], "NAME=ARG"),
    (["apply", "demo.inc", "1e999"], "too large"),
    (["watch", "-p", "main", "1"], "not both"),
])
def test_wrong_usage_exits_2_and_says_what_is_wrong(ppctl, args, words):
    status, text = ppctl.failure(*args)
    assert status == 2 and words in text

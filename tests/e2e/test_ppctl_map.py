# SPDX-License-Identifier: MIT
"""ppctl map: order, failures, windows and pipelines."""

import hashlib
import json
import os
import pty
import signal
import subprocess

import pytest

from ppctl import Ppctl, end, read_line
from procpoold import eventually


@pytest.fixture
def ppctl(daemon):
    return Ppctl(daemon())


@pytest.fixture
def digest(daemon):
    return Ppctl(daemon(modules=["demo", "digest"]))


def lines(values):
    return b"".join(b"%s\n" % str(v).encode() for v in values)


@pytest.mark.memcheck
def test_results_come_in_the_order_of_the_items(ppctl):
    assert ppctl.output("map", "demo.inc", *range(50)) == "".join(f"{i + 1}\n" for i in range(50))
    assert ppctl.output("map", "-r", "demo.echo", input=lines(range(5000))) == lines(range(5000)).decode()


def test_an_item_that_takes_long_does_not_disturb_the_order(probe, gate):
    ppctl, held = Ppctl(probe()), gate()
    process = ppctl.start("map", "probe.hold", held.path, *range(1, 100))
    held.await_held()
    eventually(lambda: ppctl.json("stats")["tasks"]["finished"] == 99)
    held.release()
    status, out, _ = end(process)
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()][1:] == list(range(1, 100))


def test_it_is_a_parallel_sha256sum(digest, tmp_path):
    for i in range(300):
        (tmp_path / f"file {i}").write_bytes(os.urandom(i * 7))
    (tmp_path / "größe").write_bytes(b"x")
    with open(os.fsencode(tmp_path) + b"/not utf-8 \xff", "wb") as file:
        file.write(b"y")
    ours = subprocess.run(f"find {tmp_path} -type f | {digest.program} map -r digest.sha256", shell=True, env=digest.env,
                          stdout=subprocess.PIPE, check=True).stdout
    theirs = subprocess.run(f"find {tmp_path} -type f -print0 | xargs -0 sha256sum", shell=True,
                            stdout=subprocess.PIPE, check=True).stdout
    assert ours.split() == [line.lstrip(b"\\").split()[0] for line in theirs.splitlines()]
    assert len(ours.split()) == 302


def test_a_relative_name_that_is_not_found_names_the_workers_directory(digest, tmp_path):
    (tmp_path / "here").write_bytes(b"x")
    status, text = digest.failure("map", "-r", "digest.sha256", input=b"./here\n", cwd=tmp_path)
    assert status == 1
    assert "item 1 (./here)" in text and "in the worker's working directory /" in text


@pytest.mark.memcheck
def test_an_item_that_fails_is_named_and_the_rest_goes_on(digest, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    wanted = hashlib.sha256(b"a").hexdigest()
    names = [tmp_path / "a", tmp_path / "none", tmp_path / "a"]
    done = digest.run("map", "-r", "digest.sha256", input=lines(names))
    assert done.returncode == 1
    assert done.stdout.decode() == f"{wanted}\n{wanted}\n"
    assert done.stderr.decode() == (
        f"ppctl: item 2 ({tmp_path}/none): cannot read {tmp_path}/none: No such file or directory\n"
    )


def test_failures_as_json_have_the_item_and_the_error(ppctl):
    done = ppctl.run("--json", "map", "-s", "demo.inc", "x")
    failure = json.loads(done.stderr)
    assert done.returncode == 1
    assert failure["item"] == 1 and failure["value"] == "x" and failure["error"]["code"]


def test_an_item_that_kills_its_worker_fails_alone(ppctl):
    done = ppctl.run("map", "demo.crash", 9, 9)
    assert done.returncode == 1 and done.stdout == b""
    assert b"item 1 (9)" in done.stderr and b"item 2 (9)" in done.stderr
    done = ppctl.run("map", "-ja", "--window", 1, "demo.crash", input=b"[9]\n[0, 0]\n[9]\n")
    assert [line.split(b":")[1] for line in done.stderr.splitlines()] == [
        b" item 1 ([9])", b" item 2 ([0, 0])", b" item 3 ([9])"
    ]
    assert ppctl.output("map", "demo.inc", 1, 2) == "2\n3\n"


def test_halt_prints_what_comes_before_the_first_failure_and_stops(ppctl):
    items = lines(["1"] * 500 + ["x"] + ["2"] * 5000)
    done = ppctl.run("map", "--halt", "-j", "demo.inc", input=items)
    assert done.returncode == 1
    assert done.stdout == b"2\n" * 500
    assert done.stderr.count(b"\n") == 1 and b"item 501 (x)" in done.stderr


def test_an_error_that_concerns_all_items_is_said_once(ppctl):
    done = ppctl.run("map", "demo.imc", input=lines(range(1000)))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"ppctl:") == 1 and b"similar: demo.inc" in done.stderr


def test_json_lines_nul_and_star(probe):
    ppctl = Ppctl(probe())
    assert ppctl.output("map", "-j", "demo.inc", input=b"1\n\n2.5\n") == "2\n3.5\n"
    assert ppctl.output("map", "-0", "demo.len", input=b"a\0b\nc\0") == "1\n3\n"
    assert ppctl.output("map", "-ja", "demo.inc", input=b"[1]\n[2]\n") == "2\n3\n"
    done = ppctl.run("map", "-j", "demo.inc", input=b"1\nx\n3\n")
    assert (done.returncode, done.stdout) == (1, b"2\n4\n")
    assert b"item 2 (x): not JSON" in done.stderr


def test_lines_are_strings_also_where_they_look_like_json(ppctl):
    assert ppctl.output("map", "demo.echo", input=b"1\nnull\n\nlast") == '"1"\n"null"\n""\n"last"\n'


def test_no_items_are_no_results(ppctl):
    assert ppctl.output("map", "demo.inc") == ""


def test_a_slow_pipeline_gets_each_result_as_soon_as_it_is_there(ppctl):
    process = ppctl.start("map", "-r", "demo.echo")
    for word in ("one", "two", "three"):
        process.stdin.write(word.encode() + b"\n")
        assert read_line(process.stdout) == word + "\n"
    assert end(process) == (0, b"", b"")


def test_no_more_than_the_window_is_submitted(probe, gate):
    ppctl, held = Ppctl(probe(workers=1)), gate()
    process = ppctl.start("map", "-w", 7, "probe.hold")
    process.stdin.write(held.path.encode() + b"\n" + lines(["1"] * 100))
    held.await_held()
    eventually(lambda: ppctl.json("stats")["jobs"]["accepted"] == 7)
    # A connection later, nothing more has come.
    assert ppctl.json("stats")["jobs"]["accepted"] == 7
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == -signal.SIGINT
    held.release()


def test_nobody_reading_the_output_holds_the_items_back(ppctl):
    read, write = os.pipe()
    count = 20000
    feeder = subprocess.Popen(["seq", "-f", "%01000.0f", str(count)], stdout=subprocess.PIPE)
    process = ppctl.start("map", "-r", "demo.echo", stdin=feeder.stdout, stdout=write)
    os.close(write)
    feeder.stdout.close()

    finished = -1

    def stands_still():
        nonlocal finished
        before, finished = finished, ppctl.json("stats")["tasks"]["finished"]
        return 0 < before == finished
    eventually(stands_still)
    assert finished < count / 2
    with open(read, "rb") as out:
        numbers = [int(line) for line in out]
    assert numbers == list(range(1, count + 1))
    assert process.wait() == 0 and feeder.wait() == 0
    process.stderr.close()


@pytest.mark.plain
def test_any_number_of_items_takes_constant_memory(ppctl):
    def peak_kib(count):
        feeder = subprocess.Popen(["seq", str(count)], stdout=subprocess.PIPE)
        process = subprocess.Popen([ppctl.program, "map", "demo.echo"], env=ppctl.env, stdin=feeder.stdout,
                                   stdout=subprocess.DEVNULL)
        feeder.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert (process.returncode, feeder.wait()) == (0, 0)
        return usage.ru_maxrss

    assert peak_kib(200000) < peak_kib(5000) + 2048


@pytest.mark.parametrize("ending", ["interrupt", "pipe"])
def test_ending_it_early_cancels_all_that_wait(probe, gate, ending):
    ppctl, held = Ppctl(probe(workers=1)), gate()
    process = ppctl.start("map", "probe.hold", held.path, *range(20))
    held.await_held()
    eventually(lambda: ppctl.json("stats")["jobs"]["accepted"] == 21)
    if ending == "interrupt":
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == -signal.SIGINT
    else:
        process.stdout.close()
        assert process.wait(20) == -signal.SIGPIPE
        process.stdin.close()
        process.stderr.close()
    eventually(lambda: ppctl.json("stats")["jobs"]["waiting"] == 0)
    held.release()
    # Only the one that had begun, and what this test asks for itself.
    assert ppctl.json("stats")["tasks"]["begun"] == 1


def test_a_reader_that_has_enough_ends_the_pipeline(ppctl):
    script = f"seq 1000000 | {ppctl.program} map -r demo.echo | head -3; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", script], env=ppctl.env, stdout=subprocess.PIPE, timeout=60)
    assert done.stdout == b"1\n2\n3\n141\n"


def test_the_timeout_is_for_all_items_together(probe, gate):
    ppctl, held = Ppctl(probe()), gate()
    done = ppctl.run("map", "-t", "1", "probe.hold", 1, held.path)
    assert (done.returncode, done.stderr) == (4, b"ppctl: gave up after 1 s\n")
    assert done.stdout == b"1\n"
    held.release()


def test_each_item_has_its_own_time_to_run(probe):
    ppctl = Ppctl(probe())
    done = ppctl.run("map", "-R", "0.3", "demo.sleep", 0.2, 0.2, 60, 0.2)
    assert (done.returncode, done.stdout) == (1, b"null\nnull\nnull\n")
    assert b"its timeout was 0.3 s" in done.stderr


def test_items_refused_as_busy_are_submitted_again(daemon):
    ppctl = Ppctl(daemon(limits={"jobs_session": 3}))
    assert ppctl.output("map", "-r", "demo.echo", input=lines(range(200))) == lines(range(200)).decode()


def test_an_item_that_stays_busy_fails(daemon):
    ppctl = Ppctl(daemon(limits={"queued_bytes_session": 1000}))
    done = ppctl.run("map", "-r", "demo.echo", input=lines(["a", "b" * 2000, "c"]))
    assert (done.returncode, done.stdout) == (1, b"a\nc\n")
    assert b"item 2 (bbb" in done.stderr


@pytest.mark.parametrize("args, words", [
    (["map"], "FUNC is missing"),
    (["map", "-j", "demo.inc", "1"], "standard input"),
    (["map", "-a", "demo.inc"], "arrays"),
    (["map", "-j0", "demo.inc"], "exclude each other"),
    (["map", "-w", "0", "demo.inc"], "window"),
])
def test_wrong_usage_exits_2(ppctl, args, words):
    status, text = ppctl.failure(*args)
    assert status == 2 and words in text


def test_a_terminal_gets_a_status_line_that_is_erased(probe, gate):
    ppctl, held = Ppctl(probe()), gate()
    master, terminal = pty.openpty()
    process = ppctl.start("map", "probe.hold", 1, held.path, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"1 done, 0 failed, 1 running" not in shown:
        shown += os.read(master, 1000)
    held.release()
    assert end(process)[0] == 0
    shown = b""
    while not shown.endswith(b"\r\x1b[K"):
        shown += os.read(master, 1000)
    os.close(master)


def test_no_status_line_where_none_is_wanted_or_there_is_no_terminal(ppctl):
    assert ppctl.run("map", "demo.sleep", 0.5).stderr == b""
    master, terminal = pty.openpty()
    process = ppctl.start("map", "--no-progress", "demo.sleep", 0.5, stderr=terminal)
    assert end(process)[0] == 0
    os.write(terminal, b"nothing")
    assert os.read(master, 1000) == b"nothing"
    os.close(terminal)
    os.close(master)

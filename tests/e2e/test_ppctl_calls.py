# SPDX-License-Identifier: MIT
"""ppctl apply, async and map: when and how often what they submit may run."""

import pathlib

import pytest

from ppctl import Ppctl
from procpoold import PYTHON, eventually

PLAIN = [PYTHON, str(pathlib.Path(__file__).parent / "plain_runtime.py")]


@pytest.fixture
def one_held(probe, gate):
    """ppctl to a daemon whose only worker is held, and the gate that holds it."""
    server = probe(workers=1)
    ppctl, held = Ppctl(server), gate()
    ppctl.output("async", "probe.hold", held.path)
    held.await_held()
    return ppctl, held


@pytest.fixture
def ppctl(probe):
    return Ppctl(probe(workers=1))


@pytest.mark.parametrize("seconds", ["0", "0.05"])
def test_call_that_does_not_begin_in_time_is_refused(one_held, seconds):
    ppctl, _ = one_held
    status, text = ppctl.failure("apply", "--expires", seconds, "demo.inc", "1")
    assert status == 4
    assert "had not begun" in text


def test_job_expires_too(one_held):
    ppctl, _ = one_held
    job = ppctl.output("async", "-e", "0", "demo.inc", "1").strip()
    eventually(lambda: ppctl.json("job", job)["state"] == "failed")
    assert ppctl.failure("wait", job)[0] == 4


def test_items_of_a_map_expire(one_held):
    ppctl, _ = one_held
    done = ppctl.run("map", "-e", "0.05", "demo.inc", "1", "2")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"had not begun") == 2


def test_calls_are_retried(ppctl, marks):
    assert ppctl.output("apply", "-y", "2", "probe.persist", marks.path, "a", "3", "false") == "3\n"
    item = f'["{marks.path}", "b", 2, true]\n'.encode()
    assert ppctl.output("map", "-y", "1", "-j", "-a", "probe.persist", input=item) == "2\n"
    assert marks.read() == ["a-1", "a-2", "a-3", "b-1", "b-2"]


def test_job_is_retried(ppctl, marks):
    job = ppctl.output("async", "--retries", "1", "probe.persist", marks.path, "a", "2", "false").strip()
    assert ppctl.output("wait", job) == "2\n"


def test_priority_is_passed_on(ppctl):
    assert ppctl.output("apply", "-P", "-2", "demo.inc", "1") == "2\n"
    assert ppctl.output("map", "--priority", "2", "demo.inc", "1") == "2\n"
    job = ppctl.output("async", "--priority=1", "demo.inc", "1").strip()
    assert ppctl.output("wait", job) == "2\n"
    assert ppctl.failure("apply", "-P", "high", "demo.inc", "1")[0] == 2


def test_named_arguments_are_passed_on(daemon, tmp_path):
    module = tmp_path / "scale.py"
    module.write_text("def scale(x, by=1, plus=0):\n    return x * by + plus\n")
    ppctl = Ppctl(daemon(pools={"plain": {"runtime": PLAIN, "modules": [str(module)]}}))
    assert ppctl.output("apply", "-k", "by=10", "scale:scale", "4") == "40\n"
    assert ppctl.output("map", "-k", "by=10", "--kwarg", "plus=1", "scale:scale", "1", "2") == "11\n21\n"
    assert ppctl.output("map", "-k", "plus=2", "-j", "scale:scale", input=b"1\n2\n") == "3\n4\n"
    assert "NAME=ARG" in ppctl.failure("map", "-k", "by", "scale:scale", "1")[1]
    assert ppctl.failure("map", "-k", 'by={"$float": 7}', "scale:scale", "1")[0] == 2


def test_a_name_that_is_looked_up_is_found_in_the_pool_that_is_named(daemon):
    naming = [PYTHON, str(pathlib.Path(__file__).parent / "naming_runtime.py")]
    ppctl = Ppctl(daemon(pools={"any": {"runtime": naming, "modules": ["x"]}}))
    assert '"name":"math:sqrt"' in ppctl.output("apply", "-p", "any", "math:sqrt", "4")
    assert ppctl.failure("apply", "math:sqrt", "4")[0] == 2
    assert [row["name"] for row in ppctl.json("functions")] == ["*", "work:inc"]

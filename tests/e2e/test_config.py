# SPDX-License-Identifier: MIT
"""What procpoold says of its configuration without serving it."""
import pathlib
import pwd
import re
import subprocess

import pytest

from procpoold import devenv, find

EXAMPLE = pathlib.Path(__file__).parents[2] / "daemon/procpoold.conf.example"
DEMO = 'modules = {"demo"}'


@pytest.fixture
def ask(tmp_path):
    def ask(*args, text=None):
        if text is not None:
            (tmp_path / "procpoold.conf").write_text(text)
            args = ("--config", str(tmp_path / "procpoold.conf"), *args)
        return subprocess.run([find("procpoold"), *args], env=devenv() | {"XDG_CONFIG_HOME": str(tmp_path)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)  # fmt: skip

    return ask


def directory(tmp_path, **parts):
    (tmp_path / "etc/conf.d").mkdir(parents=True)
    for name, text in parts.items():
        (tmp_path / "etc/conf.d" / f"{name}.conf").write_text(text)
    return str(tmp_path / "etc")


def test_a_right_configuration_is_ok(ask, tmp_path):
    said = ask("--check-config", text=f"pool x {{ {DEMO} }}\n")
    assert (said.returncode, said.stdout, said.stderr) == (0, f"{tmp_path}/procpoold.conf: ok, 1 pool\n", "")


def test_the_files_of_a_directory_are_named_in_their_order(ask, tmp_path):
    etc = directory(tmp_path, b=f"pool y {{ {DEMO} }}\n", a="workers = 2\n")
    said = ask("--config", etc, "--check-config", "--no-demo")
    assert said.stdout == f"{etc}/conf.d/a.conf, {etc}/conf.d/b.conf: ok, 1 pool\n"


def test_without_a_configuration_all_is_well(ask, tmp_path):
    etc = directory(tmp_path)
    said = ask("--config", etc, "--system", "--check-config")
    assert (said.returncode, said.stdout) == (0, f"no configuration in {etc}: ok, 0 pools\n")


def test_the_start_refuses_what_the_check_refuses_in_the_same_words(ask, tmp_path):
    text = "workers = 0\npool x {\n\tmodule = {}\n}\n"
    checked, started = ask("--check-config", text=text), ask("--socket", str(tmp_path / "socket"), text=text)
    assert checked.returncode == started.returncode == 1
    assert checked.stdout == started.stdout == ""
    file = tmp_path / "procpoold.conf"
    assert checked.stderr.splitlines()[0] == \
        f"{file}:1: workers is '0', and must be a whole number from 1 to 4096 (K, M and G may follow: 64M)"  # fmt: skip
    assert checked.stderr.splitlines()[1:] == [f"{file}:3: no such option 'module'; did you mean modules?"]
    assert started.stderr.splitlines() == [f"procpoold: {line}" for line in checked.stderr.splitlines()]


def test_what_hinders_single_pools_is_warned_of_and_does_not_hinder_the_start(ask, daemon):
    text = (f'pool x {{\n modules = {{"no_such_module"}}\n cwd = "/nonexistent/directory"\n}}\n'
            f'pool y {{\n modules = {{"json"}}\n interpreter = "/nonexistent/python3"\n}}\npool z {{ {DEMO} }}\n')  # fmt: skip
    checked = ask("--check-config", text=text)
    assert checked.returncode == 0 and checked.stdout.endswith(": ok, 3 pools\n")
    lines = [line.split("procpoold.conf", 1)[1] for line in checked.stderr.splitlines()]
    assert lines[0].startswith(":2: warning: the pool 'x' has the module 'no_such_module', and there is no no_such_m")
    assert lines[1] == ":3: warning: the pool 'x' runs in /nonexistent/directory, and there is no such directory"
    assert lines[2] == ":7: warning: the pool 'y' runs /nonexistent/python3, and there is no such program"
    assert len(lines) == 3
    server = daemon(config=text, workers=None)
    assert server.connect().call("apply", "demo.inc", [41], {"pool": "z"}) == 42
    for line in lines:
        assert f"warning: {server.dir}/procpoold.conf{line.replace('warning: ', '')}" in server.stderr()


def test_what_is_printed_can_be_read_again_and_serves_the_same(ask, daemon, tmp_path):
    text = f'slow_seconds = 2.5\npool "a{{\\"#" {{\n {DEMO}\n workers = 2\n nice = 1\n memory = 64M\n}}\n'
    printed = ask("--print-config", text=text)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert re.search(r"^slow_seconds = 2\.5 +# .*/procpoold\.conf:1$", printed.stdout, re.M)
    assert re.search(r"^\tworkers = 2 +# .*/procpoold\.conf:4$", printed.stdout, re.M)
    again = ask("--print-config", text=printed.stdout)
    assert [line.partition("  # ")[0] for line in again.stdout.splitlines()][4:] == \
        [line.partition("  # ")[0] for line in printed.stdout.splitlines()][4:]  # fmt: skip
    server = daemon(config=printed.stdout, workers=None)
    assert [(pool["name"], pool["workers"]) for pool in server.connect().call("pools")] == [('a{"#', 2)]


def test_nothing_is_said_to_be_printed_that_was_not(ask):
    with open("/dev/full", "w") as full:
        for what in "--check-config", "--print-config":
            ended = subprocess.run([find("procpoold"), "--config=/dev/null", what], stdout=full,
                                   stderr=subprocess.PIPE, text=True, env=devenv())  # fmt: skip
            assert ended.returncode == 1 and "No space left" in ended.stderr


def test_a_large_configuration_and_a_larger_one(ask):
    pools = "".join(f"pool p{i} {{ {DEMO} }}\n" for i in range(2000))
    assert ask("--check-config", text=pools).stdout.endswith(": ok, 2000 pools\n")
    long = "x" * 1000000
    assert ask("--print-config", text=f'pool x {{ {DEMO} environment = {{"A={long}"}} }}\n').stdout.count(long) == 1
    assert "File too large" in ask("--check-config", text="#" * (1 << 20) + "\n").stderr
    assert ":1: no such option '{'" not in ask("--check-config", text="{" * 100000).stderr


def settings(text):
    """What is printed, by section and key: the value, or what it is where there is none."""
    found, sections = {}, []
    for line in text.splitlines():
        line = line.strip()
        if match := re.match(r"(\w+) = (.*?)(?:  # (.*))?$", line):
            found.setdefault((*sections, match[1]), (match[2].rstrip(), match[3]))
        elif match := re.match(r"(\w+)( \S+)? \{", line):
            sections.append(match[1])
        elif line == "}":
            sections.pop()
        elif match := re.match(r"# (\w+): (.*?)  +# default$", line):
            found.setdefault((*sections, match[1]), (None, match[2]))
    return found


def uncommented():
    """The example with all its keys: what follows # at once."""
    return re.sub(r"^#(?=\S|\t+[\w}])", "", EXAMPLE.read_text(), flags=re.M)


def test_the_example_names_every_key_with_its_true_default(ask):
    printed = ask("--print-config", text=f"pool x {{ {DEMO} }}\npool y {{ {DEMO} workers_max = 99 }}\n").stdout
    defaults, shown = settings(printed), settings(uncommented())
    assert set(shown) ^ set(defaults) == set() and len(shown) > 50
    follow = {("workers",), ("pool", "workers"), ("pool", "workers_max")}  # from the processors
    for key, (value, none) in defaults.items():
        if key in follow:
            assert shown[key][1].startswith("default: ")
        elif value is None and key != ("pool", "modules"):
            assert shown[key][1] == f"default: {none}", key
        else:
            assert shown[key][0] == value, key


def test_the_example_is_right_when_all_of_it_is_said(ask):
    text = uncommented()
    try:
        pwd.getpwnam("procpool-worker")
    except KeyError:
        text = re.sub(r"^\t(user|group) = .*", "", text, flags=re.M)
    said = ask("--check-config", "--system", text=text)
    assert said.returncode in (0, 1) and (said.returncode == 0 or "procpool-worker" in said.stderr), said.stderr
    said = ask("--check-config", text=re.sub(r"^\t(user|group) = .*", "", text, flags=re.M))
    assert said.returncode == 0 and said.stdout.endswith(": ok, 3 pools\n"), said.stderr


def test_the_example_as_it_is_says_nothing(ask):
    said = ask("--print-config", "--no-demo", text=EXAMPLE.read_text())
    assert said.returncode == 0 and "pool" not in re.sub(r"# .*|\w+pool\w*|pools_\w+", "", said.stdout)
    assert f"{EXAMPLE.name}:" not in said.stdout and ".conf:" not in said.stdout


COMPLETE = r"""
source "$1"; shift
typed=(procpoold "$@")
_init_completion() { cur=${typed[-1]} prev=${typed[-2]} split=false; }
_filedir() { COMPREPLY=(files); }
_procpoold
printf '%s\n' "${COMPREPLY[@]}"
"""


def test_the_shell_completes_what_the_help_says():
    def complete(*words):
        script = EXAMPLE.parent / "procpoold.bash"
        said = subprocess.run(["bash", "-c", COMPLETE, "bash", str(script), *words], env=devenv(),
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert said.stderr == ""
        return said.stdout.split()

    assert complete("--c") == ["--config", "--check-config", "--creator"]
    help = subprocess.run([find("procpoold"), "--help"], capture_output=True, text=True, env=devenv()).stdout
    assert set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help, re.M)) < set(complete("-"))
    assert complete("--log-level", "w") == ["warning"]
    assert complete("--workers", "") == []
    assert complete("--config", "") == ["files"]

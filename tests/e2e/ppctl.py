# SPDX-License-Identifier: MIT
"""Runs ppctl against a daemon of the tests."""

import json
import os
import select
import subprocess

import procpoold
from rpc import DEADLINE


def environment(daemon):
    env = procpoold.devenv() | {"PROCPOOL_SOCKET": str(daemon.path), "LC_ALL": "C.UTF-8"}
    return {name: value for name, value in env.items() if value is not None}


class Ppctl:
    def __init__(self, daemon):
        self.daemon = daemon
        self.program = procpoold.find("ppctl")
        self.env = environment(daemon)

    def run(self, *args, input=b"", **options):
        """A command that ends by itself. Its stdout and stderr are bytes."""
        return subprocess.run([self.program, *map(str, args)], input=input, env=self.env, timeout=DEADLINE,
                              **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options))

    def start(self, *args, **options):
        """A command under way, unbuffered."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([self.program, *map(str, args)], env=self.env, bufsize=0, **(pipes | options))

    def output(self, *args, **options):
        """What a command that succeeds prints, as text."""
        done = self.run(*args, **options)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout.decode()

    def json(self, *args, **options):
        return json.loads(self.output("--json", *args, **options))

    def failure(self, *args, **options):
        """The exit status and stderr's text of a command that prints nothing."""
        done = self.run(*args, **options)
        assert done.stdout == b"" and done.stderr, done
        return done.returncode, done.stderr.decode(errors="surrogateescape")


def read_line(stream):
    """One line of an unbuffered stream, within the deadline."""
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([stream], [], [], DEADLINE)[0], f"no line within the deadline; so far {line!r}"
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode()


def end(process):
    """Waits for a command under way; its exit status, stdout and stderr."""
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err

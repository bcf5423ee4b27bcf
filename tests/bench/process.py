# SPDX-License-Identifier: MIT
"""The processes of a benchmark: driving them line by line, pinning them, and what /proc says of them."""

import json
import os
import pathlib
import subprocess

import procpoold


class Driven:
    """A program that answers each line of its standard input with a line of JSON."""

    def __init__(self, command, env=None):
        self.name = pathlib.Path(command[-1]).name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.pid = self.process.pid

    def send(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.send(*words)
        return self.receive()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def family(pid):
    return {pid} | procpoold.descendants(pid)


def pin(pids, cpus):
    for pid in pids:
        os.sched_setaffinity(pid, cpus)


class Usage:
    """CPU time and context switches of processes, from now on."""

    def __init__(self, groups):
        """groups: map of a name to pids."""
        self.groups = {name: set(pids) for name, pids in groups.items()}
        self.before = self.read()

    @staticmethod
    def of(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in status)
        cpu_ns = int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return cpu_ns, int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])

    def read(self):
        return {name: [sum(column) for column in zip(*map(self.of, pids))] for name, pids in self.groups.items()}

    def since(self):
        """For each group: cpu_us, waits (it went to sleep and was woken) and preemptions."""
        after = self.read()
        changes = {name: [b - a for a, b in zip(self.before[name], after[name])] for name in self.groups}
        return {name: {"cpu_us": ns / 1e3, "waits": waits, "preemptions": preemptions}
                for name, (ns, waits, preemptions) in changes.items()}


def private_kib(pid):
    """Memory that belongs to this process alone."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

# SPDX-License-Identifier: MIT
"""What a system service has: a user for the daemon, users for workers, and the launcher between them.

The users are there for the started process and its children alone: copies of /etc/passwd and /etc/group with them lie
over the machine's in a mount namespace of its own. Needs root.
"""

import os
import pathlib
import struct

import mounts
from procpoold import BUILD, find

DAEMON, WORKER, IMAGES, ALIEN, CALLER, TOOR, STAFF = range(64101, 64108)
# name: uid, gid. Who is in group procpool-worker beside the user of that name: images, caller, toor and staff.
USERS = {
    "procpool": (DAEMON, DAEMON),
    "procpool-worker": (WORKER, WORKER),
    "images": (IMAGES, IMAGES),
    "alien": (ALIEN, ALIEN),
    "caller": (CALLER, CALLER),  # who is in the daemon's group, too
    "toor": (0, TOOR),
    "staff": (STAFF, STAFF),  # who is in the group root, too
    "unchanged": (2**32 - 1, WORKER),
    "twin": (DAEMON, WORKER),
}
GROUPS = {
    "root": (0, ["staff"]),
    "procpool": (DAEMON, ["caller"]),
    "procpool-worker": (WORKER, ["images", "caller", "toor", "staff"]),
    "images": (IMAGES, []),
    "alien": (ALIEN, []),
    "pictures": (64120, ["images"]),
}
HOME = "/nonexistent/{}"


def _lines(path, names):
    return [line for line in pathlib.Path(path).read_text().splitlines() if line.split(":")[0] not in names]


class Users:
    """Called between fork and exec."""

    def __init__(self, directory, users=None, groups=None):
        users, groups = USERS if users is None else users, GROUPS if groups is None else groups
        self.files = {name: pathlib.Path(directory) / name for name in ("passwd", "group")}
        passwd = [f"{name}:x:{uid}:{gid}::{HOME.format(name)}:/bin/sh" for name, (uid, gid) in users.items()]
        group = [f"{name}:x:{gid}:{','.join(members)}" for name, (gid, members) in groups.items()]
        self.files["passwd"].write_text("\n".join(_lines("/etc/passwd", users) + passwd) + "\n")
        self.files["group"].write_text("\n".join(_lines("/etc/group", groups) + group) + "\n")

    def __call__(self):
        mounts.begin()
        for name, file in self.files.items():
            mounts.cover(f"/etc/{name}", file)


def launcher():
    return find("procpool-launcher")


# What the launcher does not let a leak detector see; and it says so.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0"}

# launcher.h

START, KILL = 1, 2
STARTED, REFUSED, ENDED = 1, 2, 3
(FULL, FORK_FAILED, LOOKUP_FAILED, UNKNOWN_USER, UNKNOWN_GROUP, NO_WORKER_GROUP, IS_ROOT, IS_DAEMON, NOT_ALLOWED,
 NOT_ITS_GROUP) = range(1, 11)  # fmt: skip
_REQUEST = struct.Struct("=IiQ256s256s")
_REPLY = struct.Struct("=IiIiiiQQQQ")
CHILDREN_MAX = 8192


def request(kind, number, user=b"", group=b"", signal=0):
    return _REQUEST.pack(kind, signal, number, user, group)


class Reply:
    def __init__(self, data):
        (self.type, self.pid, self.uid, self.refusal, self.error, self.status, self.id, self.user_us, self.system_us,
         self.max_rss_kib) = _REPLY.unpack(data)  # fmt: skip

    def __repr__(self):
        return repr(vars(self))


def spec(argv, environment=(), cwd=None, limits=()):
    """A file as io/launch_spec.c writes it, that says what to execute."""
    head = struct.pack("=IIIIIiQQ", len(argv), len(environment), cwd is not None, 0, 0, 0, 0, len(limits))
    for i in range(16):
        head += struct.pack("=qQQ", *(limits[i] if i < len(limits) else (0, 0, 0)))
    head += bytes(8 * 16)
    strings = [*argv, *environment, *([cwd] if cwd is not None else [])]
    fd = os.memfd_create("spec")
    os.write(fd, head + b"".join(os.fsencode(s) + b"\0" for s in strings))
    return fd


def status_of(pid):
    """/proc/PID/status as a map."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def rights_of(pid):
    """Every number by which it may do anything: as sets of users, groups and capabilities, and whether it may gain any."""
    status = status_of(pid)
    users, groups = ({int(n) for n in status[key].split()} for key in ("Uid", "Gid"))
    groups |= {int(n) for n in status["Groups"].split()}
    capabilities = {key: int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    return users, groups, {key for key, value in capabilities.items() if value}, status["NoNewPrivs"] == "1"


PACKAGE_PATH = os.pathsep.join([
    str(pathlib.Path(__file__).parents[2] / "client/python"), f"{BUILD}/daemon/runtime/python", str(pathlib.Path(__file__).parent),
])  # fmt: skip

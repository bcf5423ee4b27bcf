# SPDX-License-Identifier: MIT
"""Fails on an include that the layering forbids.

proto <- client, proto <- daemon: client and daemon never include each other, and proto includes neither. What a
folder may include besides its own and the C library's is its line in RULES. The check is first made on planted
violations, so that it cannot pass by looking at nothing.

Usage: check_includes.py SOURCE_ROOT
"""

import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)

# The folders that can be included from; what is none of them is a system header.
FOLDERS = ("proto", "daemon", "core", "io", "runtime", "client")

# Headers that are no part of their folder: name to what may be included instead.
PUBLIC = {
    "procpool/value.h": "proto",
    "procpool/module.h": "runtime",
    "procpool.h": "client",
    "launcher.h": "launcher",
}

# Headers of libraries, and of the system's descriptors, that are not for everyone.
LIBRARIES = {
    "libev": r"ev\.h$",
    "libsystemd": r"systemd/",
    "libconfuse": r"confuse\.h$",
    "msgpack": r"msgpack",
    "jansson": r"jansson\.h$",
    "smartcols": r"libsmartcols/",
    "openssl": r"openssl/",
    "descriptors": r"(unistd|fcntl|poll|netdb)\.h$|netinet/|arpa/|"
    r"sys/(socket|un|epoll|poll|select|eventfd|signalfd|timerfd|ioctl|wait|uio|stat|pidfd|prctl)\.h$",
    "mappings": r"sys/mman\.h$",
}

# folder: the other folders it may include, the libraries it may use ("*": any). The longest match rules.
RULES = {
    "proto": ({"proto"}, {"msgpack"}),
    "proto/large.c": ({"proto"}, {"mappings"}),
    "client": ({"proto", "client"}, {"*"}),
    "client/ppctl": ({"proto", "client"}, {"*"}),
    "daemon/core": ({"proto", "core"}, set()),
    "daemon/launcher.c": ({"launcher"}, {"descriptors"}),
    "daemon/launcher.h": (set(), set()),
    "daemon/io": ({"proto", "core", "io", "launcher"}, {"libev", "libsystemd", "libconfuse", "msgpack", "descriptors", "mappings"}),
    "daemon/runtime": ({"proto", "runtime"}, {"descriptors", "mappings", "msgpack", "openssl"}),
    "daemon": ({"proto", "core", "io", "daemon"}, {"libev", "libsystemd", "libconfuse", "descriptors"}),
}


def rule_of(path):
    return RULES[max((folder for folder in RULES if path.is_relative_to(folder)), key=len)]


def folder_of(root, path, name):
    """The folder an included header lies in, or None for a system header."""
    if name in PUBLIC:
        return PUBLIC[name]
    first = name.split("/")[0]
    if "/" in name and first in FOLDERS:
        return name.split("/")[1] if first == "daemon" and name.count("/") > 1 else first
    target = (root / path.parent / name).resolve()
    if target.exists() and target.is_relative_to(root.resolve()):
        parts = target.relative_to(root.resolve()).parts
        return parts[1] if parts[0] == "daemon" and len(parts) > 2 else parts[0]
    return None


def violations(root):
    found, files = [], 0
    for top in ("proto", "client", "daemon"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".c", ".h", ".cc", ".cpp", ".hpp"):
                continue
            files += 1
            relative = path.relative_to(root)
            folders, libraries = rule_of(relative)
            for name in INCLUDE.findall(path.read_text()):
                folder = folder_of(root, relative, name)
                if folder is not None:
                    if folder not in folders:
                        found.append(f"{relative} includes {name}, of {folder}/")
                    continue
                for library, pattern in LIBRARIES.items():
                    if re.match(pattern, name) and not {library, "*"} & libraries:
                        found.append(f"{relative} includes {name} ({library})")
    return found, files


def self_check():
    planted = {
        "proto/a.c": '#include "core/job.h"\n',
        "proto/b.c": "#include <ev.h>\n",
        "proto/c.c": "#  include <sys/socket.h>\n",
        "proto/n.c": "#include <sys/mman.h>\n",
        "client/d.c": '#include "io/peer.h"\n',
        "client/e.c": '#include "../daemon/core/job.h"\n',
        "daemon/core/job.h": "#include <unistd.h>\n",
        "daemon/core/f.c": '#include "io/peer.h"\n',
        "daemon/core/g.c": '#include <ev.h>\n',
        "daemon/io/peer.h": "#include <procpool.h>\n",
        "daemon/io/h.c": '#include "daemon/runtime/worker.h"\n',
        "daemon/runtime/i.c": "#include <ev.h>\n",
        "daemon/runtime/j.c": '#include "core/job.h"\n',
        "daemon/launcher.c": '#include "io/launch.h"\n',
        "daemon/launcher.h": '#include "core/job.h"\n',
        "daemon/core/o.c": '#include "launcher.h"\n',
    }
    allowed = {
        "proto/k.c": '#include "proto/frame.h"\n#include <msgpack.h>\n#include <stdint.h>\n',
        "client/l.c": '#include "proto/frame.h"\n#include <poll.h>\n',
        "daemon/core/m.c": '#include "core/job.h"\n#include "proto/frame.h"\n#include <stdlib.h>\n',
        "daemon/io/n.c": '#include "core/job.h"\n#include <ev.h>\n#include <sys/socket.h>\n#include "launcher.h"\n',
    }
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for name, text in (planted | allowed).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = {line.split()[0] for line in violations(root)[0]}
    if found != set(planted):
        return [f"the check itself is wrong about {name}" for name in sorted(found ^ set(planted))]
    return []


def main():
    found, files = violations(pathlib.Path(sys.argv[1]))
    found += self_check()
    if not files:
        found.append("no source files found")
    print("\n".join(found) or f"{files} files keep the layering")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Where the daemon listens, as PROTOCOL.md has it, and whose it is."""

from __future__ import annotations

import os
import socket
import struct
from typing import Iterator, Optional

SEND_BYTES = 1 << 20  # that a socket holds of what the daemon has not read: a large message in few pieces
SYSTEM = "/run/procpool/procpoold.sock"

_UCRED = struct.Struct("iII")  # pid, uid, gid: what SO_PEERCRED gives
_INIT = 1


def candidates() -> Iterator[str]:
    """The paths to try, in order. Where $PROCPOOL_SOCKET is set, only that."""
    told = os.environ.get("PROCPOOL_SOCKET")
    if told:
        yield told
        return
    directory = os.environ.get("XDG_RUNTIME_DIR")
    if directory:
        yield os.path.join(directory, "procpool", "procpoold.sock")
    yield SYSTEM


def connect(address: Optional[str] = None) -> socket.socket:
    """A socket connected to the daemon at this path, or at the first of candidates() where one listens.

    FileNotFoundError or ConnectionRefusedError, with the path, where none does; PermissionError where it is not for us.
    """
    failure: Optional[OSError] = None
    for path in [address] if address is not None else candidates():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
            sock.connect(path)
            return sock
        except OSError as e:
            sock.close()
            failure = type(e)(e.errno, f"no procpoold listens: {e.strerror}", path) if e.errno else e
            if not isinstance(e, (FileNotFoundError, ConnectionRefusedError)):
                break  # there is one, and it may not be passed over
        except BaseException:
            sock.close()
            raise
    assert failure is not None
    raise failure


def daemon_uid(connection: socket.socket) -> Optional[int]:
    """The user id of the daemon at the other end, told by the kernel; None where that cannot be known.

    The kernel tells whose process has begun to listen. Where that was the system's service manager, the daemon that
    it handed the socket to may run as anybody.
    """
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return None if pid == _INIT and uid == 0 else int(uid)


def own_daemon() -> Optional[str]:
    """The path of a running daemon that belongs to this user; None where there is none.

    Of several places the first where somebody listens counts, as for every client: one there that is another
    user's is not passed over for a second.
    """
    for path in candidates():
        try:
            with connect(path) as connection:
                return path if daemon_uid(connection) == os.geteuid() else None
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except OSError:  # not one that this user may use
            return None
    return None

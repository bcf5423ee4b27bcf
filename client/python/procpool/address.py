# SPDX-License-Identifier: MIT
"""Where the daemon listens, as PROTOCOL.md has it."""

from __future__ import annotations

import os
import socket
from typing import Iterator, Optional

SEND_BYTES = 1 << 20  # that a socket holds of what the daemon has not read: a large message in few pieces
SYSTEM = "/run/procpool/procpoold.sock"


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
            denied = isinstance(e, PermissionError)
            said = "cannot connect, ask its owner for access" if denied else "no procpoold listens"
            failure = type(e)(e.errno, f"{said}: {e.strerror}", path) if e.errno else e
            if not isinstance(e, (FileNotFoundError, ConnectionRefusedError)):
                break  # there is one, and it may not be passed over
        except BaseException:
            sock.close()
            raise
    assert failure is not None
    raise failure

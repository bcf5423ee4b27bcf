# SPDX-License-Identifier: MIT
"""The numbers of WORKER.md's messages."""

START, FORK, KILL, TASK = 1, 2, 3, 4
HELLO, READY, FAILED, RESULT, ERROR, LOG, FORKED, EXITED, PROGRESS = 16, 17, 18, 19, 20, 21, 22, 23, 24

CHANNEL_FD = 3  #: of every process, after it has started


class ProtocolError(Exception):
    """The daemon has said something that WORKER.md does not have."""

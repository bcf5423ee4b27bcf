# SPDX-License-Identifier: MIT
"""What a connection's own threads are made of."""

from __future__ import annotations

import threading
from typing import Any, Callable


def release(lock: Any) -> None:
    """Wakes who sleeps on the lock; nothing where that was done already."""
    try:
        lock.release()
    except RuntimeError:
        pass


def thread(target: Callable[[], None], name: str) -> threading.Thread:
    """One that the program's end does not wait for."""
    return threading.Thread(target=target, name=name, daemon=True)


def start(made: threading.Thread) -> None:
    """Nothing where the interpreter is ending."""
    try:
        made.start()
    except RuntimeError:
        pass

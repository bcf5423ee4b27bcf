# SPDX-License-Identifier: MIT
"""How often progress is told: a function that tells it in a tight loop floods nobody."""

from __future__ import annotations

import time
from typing import Optional

AT_ONCE = 20
PER_SECOND = 20


class Throttle:
    """A bucket of AT_ONCE, refilled PER_SECOND, and the last value that found it empty."""

    def __init__(self) -> None:
        self._allowed = float(AT_ONCE)
        self._last = time.monotonic()
        self._kept: Optional[bytes] = None

    def take(self, value: bytes) -> bool:
        """Whether this may be told now; else it is kept, in place of what was kept before."""
        allowed = self._may()
        self._kept = None if allowed else value
        return allowed

    def last(self) -> Optional[bytes]:
        """What was kept, at the element's end, if it may be told by now."""
        kept, self._kept = self._kept, None
        return kept if kept is not None and self._may() else None

    def _may(self) -> bool:
        now = time.monotonic()
        self._allowed = min(self._allowed + (now - self._last) * PER_SECOND, AT_ONCE)
        self._last = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

# SPDX-License-Identifier: MIT
"""Whether the extension _procpool is there, which runs tasks on the page.

It must be of this very version: an environment that sees the system's packages may have a package of its own in front
of the system's extension. PROCPOOL_PURE=1 in the environment: it is not used.
"""

from __future__ import annotations

import os

from .._version import VERSION
from .channel import Channel
from .hooks import Hooks

try:
    import _procpool
except ImportError:
    _procpool = None


def has_page() -> bool:
    return getattr(_procpool, "VERSION", None) == VERSION and not os.environ.get("PROCPOOL_PURE")


def serve(channel: Channel, page: int, hooks: Hooks) -> None:
    """Runs tasks until the channel ends, of which nothing may have been read; the page's descriptor is closed."""
    _procpool.serve(channel.fileno(), page, hooks, channel.sent)

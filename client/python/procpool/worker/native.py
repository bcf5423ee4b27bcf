# SPDX-License-Identifier: MIT
"""Whether the extension _procpool is there, which runs tasks on the page.

PROCPOOL_PURE=1 in the environment: it is not used.
"""

from __future__ import annotations

import os

from .channel import Channel
from .hooks import Hooks

try:
    import _procpool
except ImportError:
    _procpool = None


def has_page() -> bool:
    return hasattr(_procpool, "serve") and not os.environ.get("PROCPOOL_PURE")


def serve(channel: Channel, page: int, hooks: Hooks) -> None:
    """Runs tasks until the channel ends, of which nothing may have been read; the page's descriptor is closed."""
    _procpool.serve(channel.fileno(), page, hooks, channel.sent)

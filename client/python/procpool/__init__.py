# SPDX-License-Identifier: MIT
"""Warm worker processes for Python, with the calls of multiprocessing.Pool."""

from ._version import VERSION as __version__
from .context import Stopped, attempt, call, current_job, progress, stopped, worker_index

__all__ = ["Stopped", "__version__", "attempt", "call", "current_job", "progress", "stopped", "worker_index"]

# SPDX-License-Identifier: MIT
"""Warm worker processes for Python, with the calls of multiprocessing.Pool."""

from ._version import VERSION as __version__

__all__ = ["__version__"]

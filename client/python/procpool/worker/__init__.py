# SPDX-License-Identifier: MIT
"""The Python runtime: what runs in a pool's spawner and workers (WORKER.md)."""

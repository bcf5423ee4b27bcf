# SPDX-License-Identifier: MIT
"""A module as those are that are slow to import: models, numerics, large frameworks."""

import time

time.sleep(2)


def inc(x):
    return x + 1

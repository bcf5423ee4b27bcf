# SPDX-License-Identifier: MIT
"""The chaos run (chaos.py), PROCPOOL_CHAOS_SECONDS long: five by default, more in tests/run."""

import os
import random

import chaos
import conftest
import signal


def test_every_job_is_accounted_for_while_workers_spawners_and_clients_die(tmp_path):
    seconds = float(os.environ.get("PROCPOOL_CHAOS_SECONDS", "5"))
    signal.alarm(int(seconds) + conftest.TEST_SECONDS)
    seed = os.environ.get("PROCPOOL_CHAOS_SEED") or str(random.randrange(1 << 32))
    chaos.run(seconds, seed, tmp_path)

# SPDX-License-Identifier: MIT
"""The package's version: that of the project in meson.build, which a test compares."""

VERSION = "0.1.0"
PROTOCOL = 1  #: of PROTOCOL.md and WORKER.md

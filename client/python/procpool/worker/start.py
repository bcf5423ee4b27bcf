# SPDX-License-Identifier: MIT
"""What the daemon's start says."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from .. import codec
from .messages import START, ProtocolError


class Main(NamedTuple):
    """The client's main module: one of a script's path, a module's name (python -m), code (python -c)."""

    path: Optional[str] = None
    name: Optional[str] = None
    code: Optional[str] = None


class Start:
    """`options` is what a client of this package sends with its own pool (preparation.py); None for all other pools."""

    def __init__(self, frame: bytes) -> None:
        message = codec.unpackb(frame)
        if message[0] != START:
            raise ProtocolError(f"message {message[0]!r} instead of start")
        self.frame = frame  #: the whole message
        settings: Dict[str, Any] = message[1]
        self.pool: str = settings["pool"]
        self.worker: int = settings["worker"]
        self.workers: int = settings["workers"]
        self.modules: List[str] = [text(module) for module in settings["modules"]]
        self.initializer: Optional[str] = settings.get("initializer") and text(settings["initializer"])
        self.initargs: Tuple[Any, ...] = tuple(settings.get("initargs") or ())
        self.message_bytes: int = settings["message_bytes"]
        self.value_depth: int = settings["value_depth"]
        self.preload_always: bool = settings.get("preload") == "always"
        self.pickles: bool = settings.get("pickle") is True
        if settings.get("main"):
            self.modules.append(text(settings["main"]))  # a script by its path: nothing else for us
        self.options: Optional[Dict[str, Any]] = settings.get("options") or None

    @property
    def main(self) -> Optional[Main]:
        main = (self.options or {}).get("main")
        return Main(**{key: text(value) for key, value in main.items()}) if main else None


def text(value: Union[str, bytes]) -> str:
    """Strings may come as either; paths need not be UTF-8."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value

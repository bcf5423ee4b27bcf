# SPDX-License-Identifier: MIT
"""What a pool's workers print, on the program's own sys.stdout and sys.stderr.

Pushes `output` come in the order in which a worker wrote, torn anywhere; so each worker's two streams are decoded on
their own. They go to what sys.stdout and sys.stderr are when they come (redirect_stdout, capsys), in the thread that
receives, before the result of the task that wrote them. A stream that is closed, broken or None takes nothing, and
costs no result.

When the interpreter ends, nothing is written any more: a thread that is stopped within a write would hold the
stream's lock, which Python takes as fatal.
"""

from __future__ import annotations

import atexit
import codecs
import sys
import threading
import weakref
from typing import Any


class Output:
    """The decoders of one pool."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[int, str], codecs.IncrementalDecoder] = {}
        self._lock = threading.RLock()  # what a stream's write() calls may print, too
        self._stopped = False
        _outputs.add(self)

    def show(self, worker: int, stream: str, data: bytes) -> None:
        """Writes what `worker` (0 is what loads the modules) has written to "stdout" or "stderr"."""
        with self._lock:
            if self._stopped:
                return
            decoder = self._decoders.get((worker, stream))
            if decoder is None:
                decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
                self._decoders[worker, stream] = decoder
            _write(stream, decoder.decode(data))

    def finish(self) -> None:
        """No more comes: writes characters that remained incomplete."""
        with self._lock:
            decoders, self._decoders = self._decoders, {}
            for (_, stream), decoder in decoders.items():
                _write(stream, decoder.decode(b"", True))

    def stop(self) -> None:
        """Writes nothing any more; nobody is within a write when it returns."""
        with self._lock:
            self._stopped = True


_outputs: weakref.WeakSet[Output] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for output in list(_outputs):
        output.stop()


def _write(stream: str, text: str) -> None:
    target: Any = sys.stdout if stream == "stdout" else sys.stderr
    if not text or target is None:
        return
    try:
        try:
            target.write(text)
        except UnicodeEncodeError:  # no UTF-8, or bytes that are none: those go on as they are where they can
            data = text.encode("utf-8", "surrogateescape")
            if not hasattr(target, "buffer"):
                target.write(data.decode("ascii", "backslashreplace"))
            else:
                target.flush()
                target.buffer.write(data)
        target.flush()
    except Exception:  # BrokenPipeError, ValueError of a closed file, what somebody's own stream raises
        pass

"""Log records to the clients that asked for them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from blupow_proxy.allowance import Allowance

_LEVELS: Final = ((logging.ERROR, 1, "E"), (logging.WARNING, 2, "W"), (logging.INFO, 3, "I"), (logging.DEBUG, 5, "D"))
_VERBOSE: Final = (6, "V")
MAX_LINE: Final = 1024  # characters; a longer line is cut, so that a log can't fill a client's buffer
BURST_LINES: Final = 60  # of a level at once: a traceback, and no more than a quarter of a client's buffer
LINES_PER_S: Final = 20.0  # of a level in the long run: more than anyone reads


class LogForwarder(logging.Handler):
    """Hands each record to ``send(level, line)`` with ESPHome's level and layout; what that logs is not forwarded.

    ``send`` is called in the thread of the loop that runs now, whichever thread logs.
    """

    def __init__(self, send: Callable[[int, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._send = send
        self._clock = clock
        self._busy = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # a level each: debugging must not use up what a client that wants errors gets
        self._allowances: dict[int, Allowance] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record, each of its lines as a line of its own."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.emit, record)
            return
        if self._busy:
            return
        self._busy = True
        try:
            level, letter = next(
                ((level, letter) for least, level, letter in _LEVELS if record.levelno >= least), _VERBOSE
            )
            now = self._clock()
            allowance = self._allowances.setdefault(level, Allowance(BURST_LINES, LINES_PER_S, now))
            # clients print the start of a line as it is: with the prefix on each, no text can pass for another record
            for text in self.format(record).splitlines():
                left_out = allowance.left_out
                if not allowance.take(now):
                    continue
                if left_out:
                    self._send(level, f"[{letter}][{record.name}]: (lines left out: {left_out})")
                self._send(level, f"[{letter}][{record.name}]: {_printable(text[:MAX_LINE])}"[:MAX_LINE])
        finally:
            self._busy = False


def _printable(text: str) -> str:
    """Return ``text`` with a visible escape for whatever a terminal would not print but obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text.expandtabs(4)
    )

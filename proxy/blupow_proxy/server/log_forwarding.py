"""Log records to the clients that asked for them."""

import logging
from collections.abc import Callable
from typing import Final

_LEVELS: Final = ((logging.ERROR, 1, "E"), (logging.WARNING, 2, "W"), (logging.INFO, 3, "I"), (logging.DEBUG, 5, "D"))
_VERBOSE: Final = (6, "V")
MAX_LINE: Final = 1024  # characters; a longer line is cut, so that a log can't fill a client's buffer


class LogForwarder(logging.Handler):
    """Hands each record to ``send(level, line)`` with ESPHome's level and layout; what that logs is not forwarded."""

    def __init__(self, send: Callable[[int, str], None]) -> None:
        super().__init__()
        self._send = send
        self._busy = False

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        if self._busy:
            return
        self._busy = True
        try:
            level, letter = next(
                ((level, letter) for least, level, letter in _LEVELS if record.levelno >= least), _VERBOSE
            )
            self._send(level, f"[{letter}][{record.name}]: {self.format(record)}"[:MAX_LINE])
        finally:
            self._busy = False

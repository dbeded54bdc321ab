"""What a peer may cause: some at once, and then only so much in the long run."""

import logging
from collections.abc import Callable
from typing import Final

BURST_LINES: Final = 8  # of a kind at once: every client reconnects after a restart
SECONDS_A_LINE: Final = 30.0  # of a kind in the long run: a flood must not fill a disk, nor hide what else happens


class Allowance:
    """Holds ``burst`` at first and at most, and fills by ``per_s``; ``left_out`` counts what was taken in vain."""

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self.left_out = 0
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none at ``now``, in monotonic seconds."""
        self._left = min(self._left + (now - self._filled_at) * self._per_s, self._burst)
        self._filled_at = now
        if self._left < 1:
            self.left_out += 1
            return False
        self._left -= 1
        self.left_out = 0
        return True


class PeerLog:
    """Logs what any peer can cause as often as it likes: of each message a few lines, and how many were left out."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._allowances: dict[str, Allowance] = {}  # by message, of which the code has a few

    def __call__(self, level: int, message: str, *args: object) -> None:
        """Log ``message % args``, unless there was enough of it."""
        if not self._logger.isEnabledFor(level):
            return
        now = self._clock()
        allowance = self._allowances.setdefault(message, Allowance(BURST_LINES, 1 / SECONDS_A_LINE, now))
        left_out = allowance.left_out
        if not allowance.take(now):
            return
        if left_out:
            message, args = f"{message} (and %d like it before)", (*args, left_out)
        self._logger.log(level, message, *args)

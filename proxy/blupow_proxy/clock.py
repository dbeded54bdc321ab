"""The time of day: the host's, unless a client's clock shows that it is wrong."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

# systemd-timesyncd makes it when it has heard from a time server: no client knows better then.
SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
# A client's time comes in whole seconds and after a journey; a Raspberry Pi that could not ask the time is off by days.
TOLERANCE_S: Final = 60.0

_LOGGER = logging.getLogger(__name__)


class Clock:
    """Tells the time, corrected by what clients say; the arguments are the host's clocks, in seconds."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        synchronised: Path = SYNCHRONISED,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._synchronised = synchronised
        self._ahead_s: float | None = None  # of the monotonic clock: stepping the host's clock does not move it
        self._warned = False

    @property
    def wrong(self) -> bool:
        """Whether the host's clock is off by more than a minute; False until a client has told the time."""
        return self._ahead_s is not None and abs(self._true_s() - self._wall()) > TOLERANCE_S

    def heard(self, epoch_s: int) -> None:
        """Take a client's time, in seconds since 1970; 0 is none, and a host that asks a time server needs none."""
        if epoch_s <= 0 or self._synchronised.exists():
            self._ahead_s = None
            return
        self._ahead_s = epoch_s - self._monotonic()
        if self.wrong and not self._warned:
            _LOGGER.warning(
                "This host's clock is off by %.0f s: check `timedatectl`; until it is right, a client's is used",
                self._wall() - self._true_s(),
            )
        self._warned = self.wrong

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self._true_s() if self.wrong else self._wall(), UTC)

    def _true_s(self) -> float:
        return self._monotonic() + (self._ahead_s or 0.0)

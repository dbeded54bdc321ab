"""A signal over the last seconds."""

from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 10.0  # long enough for the ups and downs in one place, short enough to move on to the next
HISTORY_S: Final = 40  # what the little chart shows, a column a second
_MAX_HEARD: Final = 1000  # more in a window than any unit sends
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_LOWEST_DBM: Final = -97.0  # about where adapters hear nothing any more
_HIGHEST_DBM: Final = -49.0  # right beside the unit


@dataclass(frozen=True, slots=True)
class Summary:
    """What was heard within the window, in dBm; ``per_s`` is how often, ``silent_s`` how long ago the last was."""

    latest: int
    mean: float
    worst: int
    best: int
    per_s: float
    silent_s: float


class Window:
    """The advertisements of one unit: those of the window, and the strongest of each second before."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, int]] = deque(maxlen=_MAX_HEARD)
        self._seconds: dict[int, int] = {}
        self._since: float | None = None
        self._last: tuple[float, int] | None = None

    def heard(self, rssi: int, now: float) -> None:
        """Take an advertisement."""
        if self._since is None:
            self._since = now
        self._last = now, rssi
        self._heard.append((now, rssi))
        second = int(now)
        self._seconds[second] = max(rssi, self._seconds.get(second, rssi))
        for old in [one for one in self._seconds if one <= second - HISTORY_S]:
            del self._seconds[old]

    def summary(self, now: float) -> Summary | None:
        """Return what the window says; None when nothing was heard in it."""
        if self._last is None or self._since is None:
            return None
        values = [rssi for at, rssi in self._heard if now - at < WINDOW_S]
        if not values:
            return None
        at, latest = self._last
        lasted = min(max(now - self._since, 1.0), WINDOW_S)
        mean = sum(values) / len(values)
        return Summary(latest, mean, min(values), max(values), len(values) / lasted, now - at)

    def silent_s(self, now: float) -> float | None:
        """Return how long ago the last was heard; None when nothing ever was."""
        return None if self._last is None else now - self._last[0]

    def chart(self, now: float) -> str:
        """Return the last seconds as a line of blocks; a blank is a second without a sign."""
        second = int(now)
        return "".join(_block(self._seconds.get(one)) for one in range(second - HISTORY_S + 1, second + 1))


def level(dbm: float) -> float:
    """Return a signal as a share of the strongest, 0 to 1."""
    return min(max((dbm - _LOWEST_DBM) / (_HIGHEST_DBM - _LOWEST_DBM), 0.0), 1.0)


def _block(rssi: int | None) -> str:
    return " " if rssi is None else _BLOCKS[min(int(level(rssi) * len(_BLOCKS)), len(_BLOCKS) - 1)]

"""How long to wait before the next attempt."""

from typing import Final

# Quick at first: most losses are over at once. Then gentle: a device held by the phone app stays held for minutes,
# and each attempt takes the adapter from the other units. Never above a minute, so that nobody waits for long.
DELAYS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)


def delay_s(failures: int) -> float:
    """Return the pause in seconds after this many failed attempts in a row, from 1."""
    return DELAYS_S[min(failures, len(DELAYS_S)) - 1]

"""How long to wait before the next attempt."""

from collections.abc import Sequence
from typing import Final

from blupow_proxy.errors import (
    AdapterLostError,
    AdapterUnavailableError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
)

# A connection that fails at once costs the adapter a second, and beside Wi-Fi on the same chip the next one may hold:
# quick at first. No table goes beyond an attempt a minute, so that nobody waits for long.
_LINK_S: Final = (0.5, 0.5, 0.5, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 20.0, 40.0, 60.0)
# A search takes 20 s of listening beside; a unit that the phone app holds stays held for minutes.
_SEARCH_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
# Somebody else's link has to end first; bleak-retry-connector waits 4 s as well.
_SLOT_S: Final = (4.0, 4.0, 10.0, 20.0, 60.0)
# Without an adapter an attempt takes nothing from anybody, and it may be back without a word.
_ADAPTER_S: Final = (5.0,)
# What answers, but strangely, will go on so for a while.
_OTHER_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)


def delay_s(error: Exception | None, failures: int) -> float:
    """Return the pause in seconds after this many failed attempts in a row, from 1; ``error`` ended the last."""
    table = _table(error)
    return table[min(failures, len(table)) - 1]


def _table(error: Exception | None) -> Sequence[float]:
    match error:
        case AdapterUnavailableError() | AdapterLostError():
            return _ADAPTER_S
        case NoFreeSlotError():
            return _SLOT_S
        case DeviceNotFoundError():
            return _SEARCH_S
        case LinkLostError():
            return _LINK_S
        case _:
            return _OTHER_S

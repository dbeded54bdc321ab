"""Why something failed, in the numbers that clients know: of ATT, of HCI, and of ESPHome."""

from typing import Final

from blupow_proxy.errors import (
    AdapterLostError,
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    GattError,
    LinkLostError,
    NoFreeSlotError,
)

# of an operation
NOT_CONNECTED: Final = -1  # ESPHome's own: a client takes the device as gone
NOT_SUPPORTED: Final = 6
INVALID_LENGTH: Final = 13
NO_RESOURCES: Final = 17
BUSY: Final = 132
CONGESTED: Final = 143

# of a connection
UNKNOWN: Final = 0
TIMED_OUT: Final = 0x08
ENDED_HERE: Final = 0x16
NOT_ESTABLISHED: Final = 0x3E
FAILED: Final = 0x85

_REASONS: Final[tuple[tuple[type[BleError], int], ...]] = (
    (DeviceNotFoundError, NOT_ESTABLISHED),
    (DeadlineExceededError, TIMED_OUT),
    (AdapterUnavailableError, ENDED_HERE),
    (AdapterLostError, ENDED_HERE),
    (NoFreeSlotError, NO_RESOURCES),
    (GattError, FAILED),
)


def link_reason(error: BleError, *, was_connected: bool) -> int:
    """Return why there is no link, or no longer."""
    if isinstance(error, LinkLostError):
        return error.reason or (UNKNOWN if was_connected else NOT_ESTABLISHED)
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), UNKNOWN)


def operation_code(error: BleError) -> int:
    """Return why an operation failed: the device's own ATT error, else that there is no link any more."""
    return error.code if isinstance(error, GattError) else NOT_CONNECTED

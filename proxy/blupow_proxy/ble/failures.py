"""Where bleak's failures become ours, and where every await gets a deadline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bleak.exc import BleakDeviceNotFoundError, BleakError
from bleak_retry_connector import BleakNotFoundError, BleakOutOfConnectionSlotsError

from blupow_proxy.errors import (
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
)

# bleak and its D-Bus layer raise all of these when a connection, bluetoothd or the bus goes away under them
_BLEAK_FAILURES: Final = (BleakError, TimeoutError, OSError, EOFError, AttributeError, KeyError, AssertionError)
HELD_OR_GONE: Final = "out of range, switched off, or held by another central such as the phone app"
_ADAPTER_SIGNS: Final = ("adapter", "org.bluez", "NotReady", "Bluetooth device is turned off", "AccessDenied")


@asynccontextmanager
async def bleak_call(address: str, op: str, deadline_s: float) -> AsyncIterator[None]:
    """Run bleak work on ``address`` for at most ``deadline_s``; every failure comes out as a BleError."""
    deadline = asyncio.timeout(deadline_s)
    try:
        async with deadline:
            yield
    except BleError:
        raise
    except _BLEAK_FAILURES as error:
        if deadline.expired():
            raise DeadlineExceededError(address, op, deadline_s) from error
        raise _translate(address, op, error) from error


def _translate(address: str, op: str, error: Exception) -> BleError:
    text = str(error) or type(error).__name__
    if isinstance(error, BleakOutOfConnectionSlotsError):
        return NoFreeSlotError(address, "all connection slots of the adapter are in use")
    if isinstance(error, BleakNotFoundError | BleakDeviceNotFoundError):
        return DeviceNotFoundError(address, HELD_OR_GONE)
    if any(sign in text for sign in _ADAPTER_SIGNS) or isinstance(error, FileNotFoundError | PermissionError):
        return AdapterUnavailableError(address, f"the Bluetooth adapter does not work: {text}")
    return LinkLostError(address, f"{op} failed: {text}")

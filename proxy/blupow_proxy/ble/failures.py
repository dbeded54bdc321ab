"""Where bleak's failures become ours, and where every await gets a deadline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)
from bleak_retry_connector import BleakNotFoundError, BleakOutOfConnectionSlotsError
from dbus_fast.errors import AuthError

from blupow_proxy.errors import (
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
)

# bleak and its D-Bus layer raise all of these when a connection, bluetoothd or the bus goes away under them
_BLEAK_FAILURES: Final = (
    *(BleakError, AuthError, TimeoutError, OSError, EOFError),
    *(AttributeError, KeyError, AssertionError),
)
HELD_OR_GONE: Final = "not heard: out of range, switched off, or held by another central such as the phone app"
UNREACHABLE: Final = "heard, but it does not connect: too far for a link, or another central takes it"
NO_SLOT: Final = (
    "heard, but it does not connect: too far for a link, or the adapter has no slot beside its {links} others"
)
ENDED: Final = "the device ended the connection"
HANGS: Final = "Bluetooth does not answer: restart it (systemctl restart bluetooth)"
RESTARTED: Final = "Bluetooth was started anew"
TURNED_OFF: Final = "the Bluetooth adapter was turned off"
OFF: Final = "the Bluetooth adapter is off: turn it on (bluetoothctl power on)"
SWITCHED_OFF: Final = "Bluetooth is turned off by a switch of the machine, or in its firmware: turn it on there"
BLOCKED: Final = "the Bluetooth adapter is blocked: unblock it (rfkill unblock bluetooth)"
NO_SERVICE: Final = "the Bluetooth service does not run: start it (systemctl start bluetooth)"
DBUS_AWAY: Final = "the system's message bus (D-Bus) does not answer: is it running?"
DBUS_STRANGER: Final = (
    "D-Bus turns the user with the number {uid} away: run the proxy as a user that this machine knows, or its "
    "container's host"
)
_DENIED: Final = "no permission to use Bluetooth: add this user to the group bluetooth"
_DBUS_ERRORS: Final = {
    "org.bluez.Error.NotReady": OFF,
    "org.bluez.Error.Blocked": BLOCKED,
    "org.freedesktop.DBus.Error.ServiceUnknown": NO_SERVICE,
    "org.freedesktop.DBus.Error.NameHasNoOwner": NO_SERVICE,
    "org.freedesktop.DBus.Error.AccessDenied": _DENIED,
}
# what BlueZ says when the controller has no room for one more connection
_NO_SLOT: Final = ("concurrent-connection-limit", "memory-allocation")
_NOT_STARTED: Final = "org.freedesktop.DBus.Error.Spawn."  # D-Bus tried to start bluetoothd by itself


def no_adapter(wanted: str | None) -> str:
    """Return that the adapter ``wanted`` is missing, or any, and the remedy."""
    which = "no Bluetooth adapter" if wanted is None else f"no Bluetooth adapter {wanted}"
    return f"there is {which}: is it plugged in (bluetoothctl list)?"


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
    if isinstance(error, BleakOutOfConnectionSlotsError) or any(sign in str(error) for sign in _NO_SLOT):
        return NoFreeSlotError(address, "all connection slots of the adapter are in use")
    if isinstance(error, BleakNotFoundError | BleakDeviceNotFoundError):
        return DeviceNotFoundError(address, HELD_OR_GONE)
    of_adapter = _of_adapter(error)
    if of_adapter is not None:
        return AdapterUnavailableError(address, of_adapter)
    return LinkLostError(address, f"{op} failed: {' '.join(str(error).split()) or type(error).__name__}")


def _of_adapter(error: Exception) -> str | None:
    """Return what is wrong with the adapter or the service, and the remedy; None for a trouble with a device."""
    match error:
        case BleakBluetoothNotAvailableError(reason=BleakBluetoothNotAvailableReason.POWERED_OFF):
            return OFF
        case BleakBluetoothNotAvailableError(reason=BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM):
            return _DENIED
        case BleakBluetoothNotAvailableError():
            return f"there is no Bluetooth adapter to use ({error.args[0]}): is it plugged in (bluetoothctl list)?"
        case BleakDBusError() if error.dbus_error.startswith(_NOT_STARTED):
            return NO_SERVICE
        case BleakDBusError():
            return _DBUS_ERRORS.get(error.dbus_error)
        case PermissionError() | AuthError():
            return _DENIED
        case FileNotFoundError() | ConnectionRefusedError():
            return DBUS_AWAY
        case BleakError() if str(error).startswith("adapter '"):
            return f"the Bluetooth {error}: is it plugged in (bluetoothctl list)?"
        case _:
            return None

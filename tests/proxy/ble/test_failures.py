import asyncio

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)
from bleak_retry_connector import BleakAbortedError, BleakOutOfConnectionSlotsError

from blupow_proxy.ble.failures import bleak_call
from blupow_proxy.errors import (
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
)

REASON = BleakBluetoothNotAvailableReason


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (BleakOutOfConnectionSlotsError("full"), NoFreeSlotError, "slots"),
        (BleakDeviceNotFoundError("x", "gone"), DeviceNotFoundError, "phone app"),
        (BleakDBusError("org.bluez.Error.NotReady", ["Not Ready"]), AdapterUnavailableError, "power on"),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []), AdapterUnavailableError, "start bluetooth"),
        (
            BleakDBusError("org.freedesktop.DBus.Error.Spawn.ChildExited", []),
            AdapterUnavailableError,
            "start bluetooth",
        ),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", []), AdapterUnavailableError, "group bluetooth"),
        (BleakBluetoothNotAvailableError("No powered", REASON.POWERED_OFF), AdapterUnavailableError, "power on"),
        (BleakBluetoothNotAvailableError("No adapters", REASON.NO_BLUETOOTH), AdapterUnavailableError, "No adapters"),
        (BleakError("adapter 'hci7' not found"), AdapterUnavailableError, "hci7"),
        (ConnectionRefusedError(111, "refused"), AdapterUnavailableError, "D-Bus"),
        (FileNotFoundError(2, "no such file"), AdapterUnavailableError, "D-Bus"),
        (PermissionError(13, "denied"), AdapterUnavailableError, "group bluetooth"),
        (BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"]), LinkLostError, "abort-by-local"),
        (BleakDBusError("org.bluez.Error.InProgress", []), LinkLostError, "InProgress"),
        (BleakAbortedError("an adapter w/extension may help"), LinkLostError, "may help"),
        (BleakError("device 'dev_1' not found"), LinkLostError, "dev_1"),
        (EOFError(), LinkLostError, "EOFError"),
        (KeyError("x"), LinkLostError, "x"),
    ],
    ids=str,
)
async def test_every_failure_is_named_for_what_it_is(error: Exception, kind: type[BleError], words: str) -> None:
    with pytest.raises(kind, match=r"^AA: ") as raised:
        async with bleak_call("AA", "connect", 1.0):
            raise error
    assert type(raised.value) is kind
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_deadline_is_ours() -> None:
    with pytest.raises(DeadlineExceededError, match="connect took longer"):
        async with bleak_call("AA", "connect", 0.01):
            await asyncio.Event().wait()


async def test_what_is_ours_already_stays() -> None:
    with pytest.raises(NoFreeSlotError):
        async with bleak_call("AA", "connect", 1.0):
            raise NoFreeSlotError("AA", "full")

"""What the refusal of a GATT operation is called in ATT, as far as BlueZ lets it be known."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from blupow_proxy.errors import GattError

from .failures import bleak_call

INVALID_HANDLE: Final = 0x01
READ_NOT_PERMITTED: Final = 0x02
WRITE_NOT_PERMITTED: Final = 0x03
INSUFFICIENT_AUTHENTICATION: Final = 0x05
REQUEST_NOT_SUPPORTED: Final = 0x06
INVALID_VALUE_LENGTH: Final = 0x0D
UNLIKELY_ERROR: Final = 0x0E
IN_PROGRESS: Final = 0xFE

_ERROR: Final = "org.bluez.Error."
_CODES: Final = {
    "NotAuthorized": 0x08,
    "NotSupported": REQUEST_NOT_SUPPORTED,
    "InvalidOffset": 0x07,
    "InvalidValueLength": INVALID_VALUE_LENGTH,
    "InvalidArguments": INVALID_VALUE_LENGTH,
    "ImproperlyConfigured": 0xFD,
    "InProgress": IN_PROGRESS,
    "Busy": IN_PROGRESS,
    "AuthenticationFailed": INSUFFICIENT_AUTHENTICATION,
    "AuthenticationCanceled": INSUFFICIENT_AUTHENTICATION,
    "AuthenticationRejected": INSUFFICIENT_AUTHENTICATION,
    "AuthenticationTimeout": INSUFFICIENT_AUTHENTICATION,
}
_NOT_PERMITTED: Final = {  # by the beginning of the text; "Not paired" stands for 0x05, 0x0c and 0x0f alike
    "not paired": INSUFFICIENT_AUTHENTICATION,
    "read": READ_NOT_PERMITTED,
    "write not": WRITE_NOT_PERMITTED,
    "notify acquired": IN_PROGRESS,
    "write acquired": IN_PROGRESS,
}


@asynccontextmanager
async def gatt_call(address: str, op: str, deadline_s: float) -> AsyncIterator[None]:
    """Run one GATT operation: a refusal comes out as a GattError, all else as it does of a ``bleak_call``."""
    async with bleak_call(address, op, deadline_s):
        try:
            yield
        except BleakError as error:
            code = att_code(error)
            if code is None:
                raise
            raise GattError(address, code, f"{op} was refused: {_text(error)}") from error


def att_code(error: BleakError) -> int | None:
    """Return the ATT error that stands behind a failure; None where the link or the service failed."""
    if isinstance(error, BleakGATTProtocolError):
        return int(error.code)
    if not isinstance(error, BleakDBusError) or not error.dbus_error.startswith(_ERROR):
        return None
    name, details = error.dbus_error.removeprefix(_ERROR), (error.dbus_error_details or "").lower()
    if name == "NotPermitted":
        found = (code for text, code in _NOT_PERMITTED.items() if details.startswith(text))
        return next(found, UNLIKELY_ERROR)
    if name == "Failed" and details.startswith("failed to initiate"):
        return UNLIKELY_ERROR
    return _CODES.get(name)


def _text(error: BleakError) -> str:
    return str(error.args[-1] if error.args else error)

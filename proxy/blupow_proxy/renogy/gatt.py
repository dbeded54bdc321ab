"""GATT services and characteristics of Renogy devices."""

from typing import Final


def _uuid(short: str) -> str:
    return f"0000{short}-0000-1000-8000-00805f9b34fb"


WRITE_SERVICE: Final = _uuid("ffd0")
WRITE_CHARACTERISTIC: Final = _uuid("ffd1")
WAKE_CHARACTERISTIC: Final = _uuid("ffd4")  # inverters with built-in Bluetooth stay silent until it is read once
NOTIFY_SERVICE: Final = _uuid("fff0")
NOTIFY_CHARACTERISTIC: Final = _uuid("fff1")
SHUNT_SERVICE: Final = _uuid("c011")
SHUNT_NOTIFY_CHARACTERISTIC: Final = _uuid("c411")

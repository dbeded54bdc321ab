"""What the peripheral of gatt_peripheral.py offers."""

from typing import Final

_BASE: Final = "-0000-1000-8000-00805f9b34fb"


def full(short: str) -> str:
    """Return a UUID of the Bluetooth SIG with 128 bits."""
    return f"0000{short}{_BASE}"


LEVEL_SERVICE: Final = full("180f")  # the battery, which BlueZ reads itself
LEVEL: Final = full("2a19")
MAKER_SERVICE: Final = full("180a")
MAKER: Final = full("2a29")
SERVICE: Final = "5b1e0000-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
GREETING: Final = "5b1e0001-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
LONG: Final = "5b1e0002-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
ECHO: Final = "5b1e0003-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
INDICATED: Final = "5b1e0004-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
COUNTER: Final = "5b1e0005-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
SECRET: Final = "5b1e0006-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
REFUSING: Final = "5b1e0007-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
SLOW: Final = "5b1e0008-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
SIGNED: Final = "5b1e0009-9c2f-4f5a-8d3e-6a7b8c9d0e1f"

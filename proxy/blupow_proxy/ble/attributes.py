"""What a device offers over GATT, as plain values with the handles of its attribute table."""

from dataclasses import dataclass
from typing import Final

CCCD: Final = "00002902-0000-1000-8000-00805f9b34fb"
"""The client characteristic configuration descriptor: what turns notifications on."""

MAX_VALUE_BYTES: Final = 512
"""The longest that the value of an attribute can be."""


@dataclass(frozen=True, slots=True)
class GattDescriptor:
    """A descriptor; ``uuid`` has 128 bits."""

    handle: int
    uuid: str


@dataclass(frozen=True, slots=True)
class GattCharacteristic:
    """A characteristic by the ``handle`` of its value; ``properties`` are the bits of its declaration."""

    handle: int
    uuid: str
    properties: int
    descriptors: tuple[GattDescriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class GattService:
    """A service by the handle of its declaration."""

    handle: int
    uuid: str
    characteristics: tuple[GattCharacteristic, ...] = ()

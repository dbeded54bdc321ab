"""What a device says of itself."""

from dataclasses import dataclass
from enum import IntEnum

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData


class AddressType(IntEnum):
    """Of a device's address, as on the air."""

    PUBLIC = 0
    RANDOM = 1


def address_number(address: str) -> int:
    """Return AA:BB:CC:DD:EE:FF as a number of 48 bits, the first octet the most significant."""
    return int(address.replace(":", ""), 16)


@dataclass(frozen=True, slots=True)
class RawAdvertisement:
    """What was received of one device at once: ``data`` are the AD structures of its advertisement and scan response.

    ``address`` has 48 bits, the first octet is the most significant; ``rssi`` is in dBm.
    """

    address: int
    address_type: AddressType
    rssi: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The latest that was heard of one device; ``rssi`` in dBm."""

    address: str
    name: str | None
    rssi: int
    service_uuids: tuple[str, ...]

    @classmethod
    def of(cls, device: BLEDevice, data: AdvertisementData) -> "Advertisement":
        """Return what bleak has heard; modules pad their name with blanks."""
        name = (data.local_name or device.name or "").strip() or None
        return cls(device.address, name, data.rssi, tuple(data.service_uuids))

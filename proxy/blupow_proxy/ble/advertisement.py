"""What a device says of itself."""

from dataclasses import dataclass

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData


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

"""What the devices of a busy home advertise: the same each time, so that its receiver can tell what is missing."""

from dataclasses import dataclass
from functools import lru_cache

FIRST_ADDRESS = 0xC4D36A100000
COMPANY = 0xFFFF  # the one for tests
COUNTING = 10  # each tenth device says something new each time, as a thermometer does; others repeat themselves
RSSI_STEPS = 4  # within what BlueZ takes for the same signal


@dataclass(frozen=True, slots=True)
class Advertised:
    """What one device says at once; ``data`` are 20 to 60 bytes of AD structures."""

    device: int
    rssi: int
    name: str
    content: bytes
    data: bytes

    @property
    def address(self) -> int:
        return FIRST_ADDRESS + self.device

    @property
    def is_counting(self) -> bool:
        return self.device % COUNTING == 0


def advertised(number: int, devices: int) -> Advertised:
    """Return the advertisement ``number``, of that many devices which have their turns."""
    turn, device = divmod(number, devices)
    name, content, data = _said(device, 0 if device % COUNTING else turn)
    return Advertised(device, -40 - device % 40 - turn % RSSI_STEPS, name, content, data)


@lru_cache(maxsize=4096)
def _said(device: int, count: int) -> tuple[str, bytes, bytes]:
    name = f"Toy {device:03}"
    content = count.to_bytes(4) + bytes(device * 7 % 41)
    manufacturer = COMPANY.to_bytes(2, "little") + content
    structures = (b"\x01\x06", b"\xff" + manufacturer, b"\x09" + name.encode())
    return name, content, b"".join(bytes((len(structure),)) + structure for structure in structures)


def text(address: int) -> str:
    """Return an address as BlueZ writes it."""
    return ":".join(f"{octet:02X}" for octet in address.to_bytes(6))

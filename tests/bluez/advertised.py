"""What devices really send: forty kinds of advertisements, as bytes."""

from dataclasses import dataclass
from typing import Final

FLAGS: Final = bytes.fromhex("020106")


def ad(kind: int, content: bytes | str) -> bytes:
    """Return one AD structure."""
    content = content.encode() if isinstance(content, str) else content
    return bytes((1 + len(content), kind)) + content


def word(value: int) -> bytes:
    """Return 16 bits as on the air."""
    return value.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Sent:
    """One kind; ``how`` is its PDU."""

    data: bytes
    scan_response: bytes = b""
    how: str = "nonconnectable"
    address_type: str = "random"

    @property
    def together(self) -> bytes:
        """What an active scan hears."""
        return self.data + (self.scan_response if self.how in ("connectable", "scannable") else b"")


_UUID: Final = bytes(range(16))
_UUID_2: Final = bytes(range(100, 116))
_BASE_128: Final = bytes.fromhex("fb349b5f80000080001000000f180000")  # Battery Service, spelled out

KINDS: Final = {
    "flags alone": Sent(FLAGS),
    "flags of a dual device": Sent(bytes.fromhex("02011a")),
    "flags limited discoverable": Sent(bytes.fromhex("020105") + ad(0x09, "limited")),
    "flags zero": Sent(bytes.fromhex("020100") + ad(0x09, "hidden")),
    "no flags": Sent(ad(0x09, "no flags")),
    "nothing": Sent(b""),
    "nothing, connectable": Sent(b"", how="connectable"),
    "complete name": Sent(FLAGS + ad(0x09, "Complete name")),
    "short name": Sent(FLAGS + ad(0x08, "Short")),
    "name in another script": Sent(FLAGS + ad(0x09, "Wärmepumpe ☀")),
    "padded name": Sent(FLAGS, ad(0x09, "BT-TH-00000000    "), "connectable"),
    "name in the scan response": Sent(FLAGS + ad(0x03, word(0x180F)), ad(0x09, "Answered"), "connectable"),
    "scannable, not connectable": Sent(FLAGS, ad(0x09, "Only asked"), "scannable"),
    "scan response alone": Sent(b"", ad(0x09, "Silent") + ad(0xFF, word(0x0059) + b"\1\2"), "connectable"),
    "31 + 31 bytes": Sent(FLAGS + ad(0xFF, word(0x0059) + bytes(24)), ad(0x09, "N" * 29), "connectable"),
    "31 bytes in one structure": Sent(ad(0xFF, word(0xFFFF) + bytes(range(27)))),
    "16-bit UUIDs, complete": Sent(FLAGS + ad(0x03, word(0x180A) + word(0x180F) + word(0xFFE0))),
    "16-bit UUIDs, incomplete": Sent(FLAGS + ad(0x02, word(0x1812))),
    "32-bit UUIDs, complete": Sent(FLAGS + ad(0x05, bytes.fromhex("78563412"))),
    "32-bit UUIDs, incomplete": Sent(FLAGS + ad(0x04, bytes.fromhex("78563412"))),
    "128-bit UUID, complete": Sent(FLAGS + ad(0x07, _UUID)),
    "128-bit UUID, incomplete": Sent(FLAGS + ad(0x06, _UUID)),
    "128-bit UUID of the base": Sent(FLAGS + ad(0x07, _BASE_128)),
    "UUIDs of two sizes": Sent(FLAGS + ad(0x03, word(0xFFD0)), ad(0x07, _UUID_2), "connectable"),
    "manufacturer data": Sent(FLAGS + ad(0xFF, word(0x02E1) + bytes.fromhex("1000a3"))),
    "manufacturer data without content": Sent(FLAGS + ad(0xFF, word(0x02E1))),
    "two manufacturers": Sent(FLAGS + ad(0xFF, word(0x0059) + b"\1"), ad(0xFF, word(0x004C) + b"\2\3"), "connectable"),
    "16-bit service data": Sent(FLAGS + ad(0x16, word(0x181A) + bytes.fromhex("a4c138010203"))),
    "32-bit service data": Sent(FLAGS + ad(0x20, bytes.fromhex("78563412") + b"\1\2")),
    "128-bit service data": Sent(FLAGS + ad(0x21, _UUID + b"\1\2\3")),
    "two service data": Sent(ad(0x16, word(0x181A) + b"\1") + ad(0x16, word(0x180F) + b"\x64")),
    "TX power": Sent(FLAGS + ad(0x0A, b"\xf4")),
    "TX power, high": Sent(FLAGS + ad(0x0A, b"\x14") + ad(0x09, "loud")),
    "appearance": Sent(FLAGS + ad(0x19, word(0x0340)) + ad(0x09, "keyring")),
    "unknown types": Sent(FLAGS + ad(0x3D, b"\1\2") + ad(0x77, b"\3")),
    "connection intervals": Sent(FLAGS + ad(0x12, bytes.fromhex("06000c00")) + ad(0x14, word(0x1809))),
    "iBeacon": Sent(FLAGS + ad(0xFF, bytes.fromhex("4c000215") + _UUID + bytes.fromhex("00010002c5"))),
    "Eddystone URL": Sent(
        FLAGS + ad(0x03, word(0xFEAA)) + ad(0x16, word(0xFEAA) + bytes.fromhex("10f8026578616d706c6507"))
    ),
    "BTHome v2": Sent(FLAGS + ad(0x16, word(0xFCD2) + bytes.fromhex("4002c40903bf13")) + ad(0x09, "ATC 01")),
    "public address": Sent(FLAGS + ad(0x09, "public"), how="connectable", address_type="public"),
    "public address, not connectable": Sent(FLAGS + ad(0xFF, word(0x0499) + b"\5"), address_type="public"),
    "directed": Sent(b"", how="directed"),
}


def address(number: int, sent: Sent) -> str:
    """Return the address that kind number ``number`` uses."""
    first = 0xC0 if sent.address_type == "random" else 0x00
    return f"{first:02X}:AD:00:00:00:{number:02X}"

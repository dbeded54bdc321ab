"""CRC-16/MODBUS: polynomial 0xA001 (reflected), initial value 0xFFFF, sent low byte first."""

from typing import Final

CRC_BYTES: Final = 2


def _table_entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0xA001 if index & 1 else 0)
    return index


_TABLE: Final = tuple(_table_entry(index) for index in range(256))


def crc16(data: bytes) -> int:
    """Return the CRC of ``data``, 0..0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def append_crc(data: bytes) -> bytes:
    """Return ``data`` followed by its CRC."""
    return data + crc16(data).to_bytes(CRC_BYTES, "little")


def has_valid_crc(frame: bytes) -> bool:
    """Tell whether the last two bytes of ``frame`` are the CRC of those before."""
    return crc16(frame[:-CRC_BYTES]) == int.from_bytes(frame[-CRC_BYTES:], "little")

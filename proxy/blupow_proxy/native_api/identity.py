"""Names to numbers exactly as ESPHome derives them, so that a Pi and an ESP32 are interchangeable."""

import re
from typing import Final

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_32_BITS: Final = 0xFFFFFFFF


def fnv1_32(text: str) -> int:
    """Return the FNV-1 hash of an object id or an action's name: its key on the wire."""
    value = _OFFSET
    for byte in text.encode():
        value = (value * _PRIME & _32_BITS) ^ byte
    return value


def fnv1a_32(text: str) -> int:
    """Return the FNV-1a hash of a sub-device's or area's id string; 0, the node itself, for an empty one."""
    if not text:
        return 0
    value = _OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & _32_BITS
    return value


def object_id_of(name: str) -> str:
    """Return the object id of an entity's name: lower case, anything but a-z, 0-9, - and _ as _."""
    return re.sub(r"[^a-z0-9_-]", "_", name.lower())

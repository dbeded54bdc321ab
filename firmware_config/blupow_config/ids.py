"""A unit's id, and the number by which clients know it."""

import re
import unicodedata
from typing import Final

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_32_BITS: Final = 0xFFFFFFFF


def default_id(address: str, modbus_address: int | None) -> str:
    """Return the id of a unit whose configuration gives none; ``address`` as AA:BB:CC:DD:EE:FF."""
    name = "renogy_" + address.replace(":", "").lower()
    return name if modbus_address is None else f"{name}_{modbus_address}"


def area_id(area: str) -> str:
    """Return the id of an area, a word to ESPHome; where its name is none, a hash of it tells it from others."""
    name = "_".join(unicodedata.normalize("NFC", area).lower().split())
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall("[a-z0-9]+", letters)
    return "_".join(("area", *words, f"{fnv1a(name):08x}"))


def device_number(unit_id: str) -> int:
    """Return the number of an id on the wire, its FNV-1a hash as ESPHome computes it; 0 is the proxy itself."""
    return fnv1a(unit_id)


def fnv1a(text: str) -> int:
    """Return the FNV-1a hash of 32 bits."""
    value = _OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & _32_BITS
    return value

"""The AD structures that an advertisement and its scan response consist of."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

MAX_BYTES: Final = 1650  # what one extended advertisement can have; a legacy one and its scan response have 62
MAX_STRUCTURE_BYTES: Final = 254  # its length is one octet, which counts the type as well

FLAGS: Final = 0x01
UUIDS_16: Final = 0x03  # complete
UUIDS_32: Final = 0x05
UUIDS_128: Final = 0x07
SHORT_NAME: Final = 0x08
NAME: Final = 0x09
TX_POWER: Final = 0x0A
SERVICE_DATA_16: Final = 0x16
APPEARANCE: Final = 0x19
SERVICE_DATA_32: Final = 0x20
SERVICE_DATA_128: Final = 0x21
MANUFACTURER: Final = 0xFF

_SAY_NOTHING: Final = frozenset({0, FLAGS, TX_POWER})  # of stuck adapters, as of devices that only want to be seen
_BASE: Final = UUID("00000000-0000-1000-8000-00805f9b34fb").int
_LISTS: Final = {2: UUIDS_16, 4: UUIDS_32, 16: UUIDS_128}
_SERVICE_DATA: Final = {2: SERVICE_DATA_16, 4: SERVICE_DATA_32, 16: SERVICE_DATA_128}
_TX_POWERS: Final = range(-128, 128)
_WORDS: Final = range(1 << 16)

type Structure = tuple[int, bytes]


def structures(data: bytes) -> Iterator[Structure]:
    """Yield type and content of each structure, as clients read them: zeros between are passed over.

    A scan response comes behind the advertisement, with whatever that was filled up with.
    """
    at = 0
    while at < len(data) and at + 1 + (size := data[at]) <= len(data):
        if size:
            yield data[at + 1], data[at + 2 : at + 1 + size]
        at += 1 + size


def encode(parts: Iterable[Structure]) -> bytes:
    """Return them as bytes; what is too long for a structure, or for the whole, is left out."""
    data = bytearray()
    for kind, content in parts:
        if len(content) <= MAX_STRUCTURE_BYTES and len(data) + 2 + len(content) <= MAX_BYTES:
            data += bytes((1 + len(content), kind)) + content
    return bytes(data)


def says_something(data: bytes) -> bool:
    """Whether a device said more than that it is there."""
    return any(content and kind not in _SAY_NOTHING for kind, content in structures(data))


def describe(
    *,
    name: str | None = None,
    service_uuids: Iterable[str] = (),
    manufacturer_data: Mapping[int, bytes] | None = None,
    service_data: Mapping[str, bytes] | None = None,
    tx_power: int | None = None,
    appearance: int | None = None,
    flags: bytes = b"",
) -> Iterator[Structure]:
    """Yield the structures that tell this, the usual ones first; a UUID that is none tells nothing."""
    if flags:
        yield FLAGS, flags
    yield from _uuid_lists(service_uuids)
    for company, content in (manufacturer_data or {}).items():
        if company in _WORDS:
            yield MANUFACTURER, struct.pack("<H", company) + content
    for uuid, content in (service_data or {}).items():
        if short := _shortest(uuid):
            yield _SERVICE_DATA[len(short)], short + content
    if appearance is not None and appearance in _WORDS:
        yield APPEARANCE, struct.pack("<H", appearance)
    if tx_power is not None and tx_power in _TX_POWERS:
        yield TX_POWER, struct.pack("b", tx_power)
    if name:
        yield NAME, name.encode(errors="replace")


def _uuid_lists(service_uuids: Iterable[str]) -> Iterator[Structure]:
    lists: dict[int, bytearray] = {size: bytearray() for size in _LISTS}
    for uuid in service_uuids:
        if short := _shortest(uuid):
            lists[len(short)] += short
    for size, content in lists.items():
        step = MAX_STRUCTURE_BYTES // size * size
        for at in range(0, len(content), step):
            yield _LISTS[size], bytes(content[at : at + step])


def _shortest(uuid: str) -> bytes:
    """Return a UUID as on the air, in the shortest of its forms."""
    try:
        value = UUID(uuid).int
    except ValueError:
        return b""
    head, tail = value >> 96, value & ((1 << 96) - 1)
    if tail != _BASE:
        return value.to_bytes(16, "little")
    return head.to_bytes(2 if head < 1 << 16 else 4, "little")

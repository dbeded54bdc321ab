"""Advertisements as a message of the wire, encoded by hand: there can be hundreds a second for as long as it runs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aioesphomeapi import api_pb2

from blupow_proxy.ble import RawAdvertisement
from blupow_proxy.native_api import Packet, encode_varint, packet

MAX_HEADS: Final = 1024  # encoded addresses that are kept: of more devices than are ever near
_MESSAGE_ID: Final = packet(api_pb2.BluetoothLERawAdvertisementsResponse())[0]
_RANDOM: Final = b"\x18\x01"  # the address type; public is 0, which is left out
_LENGTHS: Final = tuple(map(encode_varint, range(256)))  # of what an advertisement usually holds
_RSSI: Final = tuple(  # of 0..127 dBm, then of -128..-1, so that a negative index finds them
    b"\x10" + encode_varint(2 * rssi if rssi >= 0 else -2 * rssi - 1) for rssi in (*range(128), *range(-128, 0))
)


def encode_advertisement(advertisement: RawAdvertisement) -> bytes:
    """Return an advertisement as it stands in a message."""
    data = advertisement.data
    kind = _RANDOM if advertisement.address_type else b""
    body = b"".join((_head(advertisement.address), _RSSI[advertisement.rssi], kind, b"\x22", _length(data), data))
    return b"\x0a" + _length(body) + body


def advertisements(encoded: Sequence[bytes]) -> Packet:
    """Return encoded advertisements as one message."""
    return _MESSAGE_ID, b"".join(encoded)


def _length(content: bytes) -> bytes:
    length = len(content)
    return _LENGTHS[length] if length < len(_LENGTHS) else encode_varint(length)


@lru_cache(maxsize=MAX_HEADS)
def _head(address: int) -> bytes:
    return b"\x08" + encode_varint(address)

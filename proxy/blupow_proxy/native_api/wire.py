"""Numbers and message ids of the wire."""

from typing import Final

from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from google.protobuf.message import Message

MAX_FRAME_BYTES: Final = 32 * 1024  # ESPHome's own limit for a message from a client
MAX_MESSAGE_ID: Final = 0xFFFF  # a message id has 16 bits in an encrypted frame
MAX_VARINT_BYTES: Final = 4  # 28 bits: far above any length or id that is allowed
MAX_PEER_TEXT: Final = 64  # characters of a peer's text that reach a log

MESSAGE_IDS: Final = {kind.__name__: number for number, kind in MESSAGE_TYPE_TO_PROTO.items()}

type Packet = tuple[int, bytes]
"""A message's id and its serialised body."""


def packet(message: Message) -> Packet:
    """Return ``message`` as id and body."""
    return MESSAGE_IDS[type(message).__name__], message.SerializeToString()


def encode_varint(value: int) -> bytes:
    """Return ``value`` (>= 0) as protobuf's base-128 varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def printable(text: str) -> str:
    """Return a peer's text fit for a log line: printable, at most 64 characters."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_PEER_TEXT])

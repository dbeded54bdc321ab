"""Frames that the Smart Shunt 300 pushes unasked.

They carry no known checksum, so a frame counts only with its header, its item tags and plausible volts and amperes.
"""

from collections.abc import Sequence
from typing import Final

from blupow_proxy.errors import FrameError

from .decode import scaled
from .registers import Family, PushField, register_map
from .values import Value

HEADER: Final = bytes.fromhex("42570119")
FRAME_BYTES: Final = 110
ITEM_BYTES: Final = 4
MAX_BUFFER_BYTES: Final = 512  # four frames; a peer's garbage can't grow it
_SEPARATORS: Final = {"date": "-", "time": ":"}  # binary-coded decimal: yy-mm-dd, hh:mm:ss


def decode_push(data: bytes) -> dict[str, Value]:
    """Return the readings of one pushed frame; FrameError when it is none, or not plausible."""
    if not data.startswith(HEADER):
        raise FrameError("no Smart Shunt 300 header (42570119)")
    if len(data) != FRAME_BYTES:
        raise FrameError(f"a pushed frame has {FRAME_BYTES} bytes, this has {len(data)}")
    readings = {field.key: _field(field, data) for field in _fields()}
    current, voltage = readings["current"], readings["voltage"]
    if not isinstance(current, float) or not isinstance(voltage, float):
        raise FrameError("volts or amperes are missing or not plausible")
    readings["power"] = round(current * voltage, 1)
    return readings


def _fields() -> Sequence[PushField]:
    return register_map(Family.SHUNT300).push


def _field(field: PushField, data: bytes) -> Value:
    if data[field.offset - field.offset % ITEM_BYTES] != field.tag:
        return None
    raw = data[field.offset : field.offset + field.bytes]
    if field.type in _SEPARATORS:
        digits = _SEPARATORS[field.type].join(f"{byte:02x}" for byte in raw)
        return digits if raw.hex().isdigit() else None
    if int.from_bytes(raw) in field.missing:
        return None
    return scaled(int.from_bytes(raw, signed=field.type == "int"), field.scale, field.range)


class PushParser:
    """Joins notifications to pushed frames and decodes them; frames of other kinds are passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes held back until more arrive, 0..512."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[dict[str, Value]]:
        """Take one notification's bytes and return the readings of each frame that they complete."""
        self._buffer += data
        del self._buffer[:-MAX_BUFFER_BYTES]
        complete: list[dict[str, Value]] = []
        while (start := self._buffer.find(HEADER)) >= 0:
            following = self._buffer.find(HEADER, start + 1)
            if 0 <= following < start + FRAME_BYTES:
                del self._buffer[:following]  # the first lost a fragment
                continue
            if len(self._buffer) < start + FRAME_BYTES:
                del self._buffer[:start]
                return complete
            frame = bytes(self._buffer[start : start + FRAME_BYTES])
            del self._buffer[: start + FRAME_BYTES]
            try:
                complete.append(decode_push(frame))
            except FrameError:
                continue
        del self._buffer[: 1 - len(HEADER)]  # keep what may be the start of a header
        return complete

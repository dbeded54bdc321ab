"""A response parser that takes any split of bytes and lets through only what answers the request."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .crc import CRC_BYTES, has_valid_crc
from .request import READ_FUNCTION, REQUEST_BYTES, UNIVERSAL_ADDRESS, WRITE_FUNCTION, ReadRequest, Request

EXCEPTION_FLAG: Final = 0x80
EXCEPTION_BYTES: Final = 5
READ_HEADER_BYTES: Final = 3  # address, function, byte count
EXCEPTION_CODES: Final = {
    1: "the device does not know the function",
    2: "the device does not have these registers",
    3: "the device refuses this number of registers",
    4: "the device failed",
    5: "the device found the request's CRC wrong",
}
MAX_BUFFER_BYTES: Final = 512  # twice the longest frame (255 + 5): a peer's garbage can't grow it


class Reason(StrEnum):
    """Why bytes were rejected."""

    CRC = "CRC does not match"
    ADDRESS = "reply of another device address"
    FUNCTION = "reply to another function"
    LENGTH = "reply of another length"
    ECHO = "echo of another write"
    UNSOLICITED = "no request is outstanding"
    GARBAGE = "not a Modbus frame"


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to ``request``: ``data`` is the register bytes, big endian (for a write: the value written)."""

    request: Request
    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The device's refusal of ``request`` with an exception code, 0..255."""

    request: Request
    address: int
    code: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that answer nothing, and why."""

    reason: Reason
    raw: bytes


Event = Response | ExceptionResponse | Rejected


def split_exception(frame: bytes) -> int | None:
    """Return the code of an exception response, whatever it answers; None for any other frame."""
    if len(frame) != EXCEPTION_BYTES or not frame[1] & EXCEPTION_FLAG or not has_valid_crc(frame):
        return None
    return frame[2]


class ResponseParser:
    """Turns notifications into events; at most one response or exception per request."""

    def __init__(self, max_buffer: int = MAX_BUFFER_BYTES) -> None:
        self._max_buffer = max_buffer
        self._buffer = bytearray()
        self._request: Request | None = None

    @property
    def buffered(self) -> int:
        """Bytes held back until more arrive, 0..max_buffer."""
        return len(self._buffer)

    def expect(self, request: Request) -> None:
        """Wait for the answer to ``request``; what came before can't belong to it and is dropped."""
        self._buffer.clear()
        self._request = request

    def cancel(self) -> None:
        """Expect nothing: every byte until the next request is unsolicited."""
        self._buffer.clear()
        self._request = None

    def feed(self, data: bytes) -> list[Event]:
        """Take the bytes of one notification and return what they complete."""
        self._buffer += data
        del self._buffer[: -self._max_buffer]
        events: list[Event] = []
        while self._request is not None and self._step(self._request, events):
            pass
        if self._request is None and self._buffer:
            events.append(Rejected(Reason.UNSOLICITED, bytes(self._buffer)))
            self._buffer.clear()
        return events

    def _step(self, request: Request, events: list[Event]) -> bool:
        """Consume the first complete frame that the buffer holds; False when more bytes are needed."""
        buffer = self._buffer
        kept: int | None = None  # the first place where an unfinished frame may start
        suspect: int | None = None  # the first place where our own reply stood, damaged
        for start in range(len(buffer)):
            length = _frame_length(buffer, start)
            if length is None:
                continue
            expected = _is_expected_header(buffer, start, request)
            if length > len(buffer) - start:
                kept = start if kept is None else kept
                if expected:
                    break  # most likely the reply itself: its payload is not searched for frames
                continue
            frame = bytes(buffer[start : start + length])
            if has_valid_crc(frame):
                self._reject_prefix(start, suspect, events)
                del buffer[:length]
                event = _judge(frame, request)
                events.append(event)
                if not isinstance(event, Rejected):
                    self._request = None
                return True
            if expected and suspect is None:
                suspect = start
        self._reject_prefix(len(buffer) if kept is None else kept, suspect, events)
        return False

    def _reject_prefix(self, end: int, suspect: int | None, events: list[Event]) -> None:
        if end:
            reason = Reason.GARBAGE if suspect is None or suspect >= end else Reason.CRC
            events.append(Rejected(reason, bytes(self._buffer[:end])))
            del self._buffer[:end]


def _frame_length(buffer: bytearray, start: int) -> int | None:
    """Length of the frame whose header stands at ``start``, as far as it is there; None for no header."""
    if buffer[start] == 0:
        return None
    have = len(buffer) - start
    if have == 1:
        return READ_HEADER_BYTES
    function = buffer[start + 1]
    if function in (READ_FUNCTION | EXCEPTION_FLAG, WRITE_FUNCTION | EXCEPTION_FLAG):
        return EXCEPTION_BYTES
    if function == WRITE_FUNCTION:
        return REQUEST_BYTES
    if function != READ_FUNCTION:
        return None
    if have < READ_HEADER_BYTES:
        return READ_HEADER_BYTES
    return READ_HEADER_BYTES + buffer[start + 2] + CRC_BYTES


def _is_expected_header(buffer: bytearray, start: int, request: Request) -> bool:
    header = buffer[start : start + READ_HEADER_BYTES]
    if not _answers(header[0], request):
        return False
    if len(header) < READ_HEADER_BYTES:
        return True
    if isinstance(request, ReadRequest):
        return header[1:] == bytes((READ_FUNCTION, 2 * request.words))
    return header[1] == WRITE_FUNCTION


def _answers(address: int, request: Request) -> bool:
    return request.address in (address, UNIVERSAL_ADDRESS)


def _judge(frame: bytes, request: Request) -> Event:
    """Say what a frame with a valid CRC is to ``request``."""
    address, function = frame[0], frame[1]
    if not _answers(address, request):
        return Rejected(Reason.ADDRESS, frame)
    if function == request.function | EXCEPTION_FLAG:
        return ExceptionResponse(request, address, frame[2])
    if function != request.function:
        return Rejected(Reason.FUNCTION, frame)
    if isinstance(request, ReadRequest):
        data = frame[READ_HEADER_BYTES:-CRC_BYTES]
        return Response(request, address, data) if len(data) == 2 * request.words else Rejected(Reason.LENGTH, frame)
    if frame[2:6] != request.encode()[2:6]:
        return Rejected(Reason.ECHO, frame)
    return Response(request, address, frame[4:6])

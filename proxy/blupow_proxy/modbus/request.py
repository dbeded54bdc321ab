"""Requests: reading holding registers and writing one of them; nothing else can be encoded."""

from dataclasses import dataclass
from typing import Final

from blupow_proxy.errors import FrameError

from .crc import append_crc, has_valid_crc

READ_FUNCTION: Final = 0x03
WRITE_FUNCTION: Final = 0x06
UNIVERSAL_ADDRESS: Final = 0xFF  # every Renogy device answers it, with 0xFF or with its own address
REQUEST_BYTES: Final = 8
RESPONSE_BYTES: Final = 5  # of a response besides its registers: address, function, byte count, CRC
MAX_WORDS: Final = 125  # a response's byte count is one byte, and Modbus ends at 250


def _check(address: int, register: int) -> None:
    if not 1 <= address <= UNIVERSAL_ADDRESS:
        raise ValueError(f"device address {address} is not in 1..255")
    if not 0 <= register <= 0xFFFF:
        raise ValueError(f"register {register} is not in 0..0xFFFF")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Asks a device address for ``words`` registers (1..125) from ``register`` on; ValueError outside."""

    address: int
    register: int
    words: int

    def __post_init__(self) -> None:
        _check(self.address, self.register)
        if not 1 <= self.words <= MAX_WORDS:
            raise ValueError(f"{self.words} words are not in 1..{MAX_WORDS}")

    @property
    def function(self) -> int:
        """The function code, 3."""
        return READ_FUNCTION

    @property
    def reply_bytes(self) -> int:
        """Length of the answer, whose frame names address and function, but no register."""
        return RESPONSE_BYTES + 2 * self.words

    def encode(self) -> bytes:
        """Return the 8 bytes to send."""
        return _encode(self.address, READ_FUNCTION, self.register, self.words)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Sets one register of a device to ``value`` (0..0xFFFF); ValueError outside."""

    address: int
    register: int
    value: int

    def __post_init__(self) -> None:
        _check(self.address, self.register)
        if not 0 <= self.value <= 0xFFFF:
            raise ValueError(f"value {self.value} is not in 0..0xFFFF")

    @property
    def function(self) -> int:
        """The function code, 6."""
        return WRITE_FUNCTION

    @property
    def reply_bytes(self) -> int:
        """Length of the answer, an echo."""
        return REQUEST_BYTES

    def encode(self) -> bytes:
        """Return the 8 bytes to send, which are also what the device echoes."""
        return _encode(self.address, WRITE_FUNCTION, self.register, self.value)


Request = ReadRequest | WriteRequest


def _encode(address: int, function: int, register: int, operand: int) -> bytes:
    return append_crc(bytes((address, function)) + register.to_bytes(2) + operand.to_bytes(2))


def decode_request(frame: bytes) -> Request:
    """Return the request that ``frame`` encodes; FrameError when it is none that we could have sent."""
    if len(frame) != REQUEST_BYTES:
        raise FrameError(f"a request has {REQUEST_BYTES} bytes, this has {len(frame)}")
    if not has_valid_crc(frame):
        raise FrameError("the request's CRC is wrong")
    kinds: dict[int, type[ReadRequest | WriteRequest]] = {READ_FUNCTION: ReadRequest, WRITE_FUNCTION: WriteRequest}
    kind = kinds.get(frame[1])
    if kind is None:
        raise FrameError(f"function 0x{frame[1]:02X} is neither a read (3) nor a write of one register (6)")
    try:
        return kind(frame[0], int.from_bytes(frame[2:4]), int.from_bytes(frame[4:6]))
    except ValueError as error:
        raise FrameError(str(error)) from error

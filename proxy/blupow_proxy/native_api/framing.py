"""Plaintext and Noise frames: bytes to packets and back."""

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, Protocol

from aioesphomeapi.noise import DecryptCipher, EncryptCipher
from cryptography.exceptions import InvalidTag
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage, NoiseValueError

from blupow_proxy.errors import LocalProtocolError, RemoteProtocolError

from .wire import MAX_FRAME_BYTES, MAX_MESSAGE_ID, MAX_VARINT_BYTES, Packet, encode_varint

PLAINTEXT_PREAMBLE: Final = 0x00
NOISE_PREAMBLE: Final = 0x01
BAD_INDICATOR: Final = b"Bad indicator byte"
MAX_HANDSHAKE_BYTES: Final = 128  # the longest, a hello with a name, has far less


_NOISE_PROTOCOL: Final = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
_NOISE_HEADER: Final = Struct(">BH")  # preamble, length
_NOISE_HEADER_BYTES: Final = _NOISE_HEADER.size
_MESSAGE_HEADER: Final = Struct(">HH")  # message id, length
_MESSAGE_HEADER_BYTES: Final = _MESSAGE_HEADER.size
_TAG_BYTES: Final = 16
MAX_BODY_BYTES: Final = 0xFFFF - _MESSAGE_HEADER_BYTES - _TAG_BYTES  # what a frame's 16 bits of length leave
_CHOSEN_PROTOCOL: Final = b"\x01"
_ACCEPT: Final = b"\x00"
_REJECT: Final = b"\x01"


class RejectedError(RemoteProtocolError):
    """The peer is turned away; ``reply`` are the last bytes to send, which tell its client why."""

    def __init__(self, message: str, reply: bytes = b"") -> None:
        super().__init__(message)
        self.reply = reply


class Framing(Protocol):
    """Either kind of frame."""

    output: bytearray

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that ``data`` completes; RejectedError ends the session."""

    def send(self, message_id: int, body: bytes) -> None:
        """Append one message to ``output``."""


class PlaintextFraming:
    """``00 | varint length | varint message id | body``; proves nothing."""

    def __init__(self) -> None:
        self.output = bytearray()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield complete packets; RejectedError for another preamble or a broken bound."""
        self._buffer += data
        while self._buffer:
            if self._buffer[0] != PLAINTEXT_PREAMBLE:
                raise RejectedError("no plaintext preamble", bytes((PLAINTEXT_PREAMBLE,)) + BAD_INDICATOR)
            length, start = self._varint(1)
            if length > MAX_FRAME_BYTES:
                raise RejectedError(f"frame of {length} bytes")
            message_id, start = self._varint(start) if start else (0, 0)
            if message_id > MAX_MESSAGE_ID:
                raise RejectedError(f"message id {message_id}")
            if not start or len(self._buffer) < start + length:
                return
            body = bytes(self._buffer[start : start + length])
            del self._buffer[: start + length]
            yield message_id, body

    def send(self, message_id: int, body: bytes) -> None:
        """Append one message to ``output``."""
        length = len(body)
        if length < 0x80 and message_id < 0x80:
            self.output += bytes((PLAINTEXT_PREAMBLE, length, message_id))
        else:
            self.output.append(PLAINTEXT_PREAMBLE)
            self.output += encode_varint(length) + encode_varint(message_id)
        self.output += body

    def _varint(self, start: int) -> tuple[int, int]:
        """Return a number and where it ends; (0, 0) while its end has not arrived."""
        value = 0
        for place, byte in enumerate(self._buffer[start : start + MAX_VARINT_BYTES]):
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                return value, start + place + 1
        if len(self._buffer) >= start + MAX_VARINT_BYTES:
            raise RejectedError(f"varint of more than {MAX_VARINT_BYTES} bytes")
        return 0, 0


class NoiseFraming:
    """``01 | 16-bit length | body``: hello, handshake (we are the responder), then encrypted messages."""

    def __init__(self, psk: bytes, name: str, mac: str, *, ephemeral: bytes | None = None) -> None:
        """Answer with ``name`` and ``mac`` (12 lower-case digits); ``ephemeral`` fixes our key in a test."""
        self.output = bytearray()
        self._buffer = bytearray()
        self._psk = psk
        self._hello = _CHOSEN_PROTOCOL + name.encode() + b"\0" + mac.encode() + b"\0"
        self._ephemeral = ephemeral
        self._handshake: Any = None
        self._encrypt: EncryptCipher | None = None
        self._decrypt: DecryptCipher | None = None

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield decrypted packets; RejectedError with the frame that the client's error depends on."""
        self._buffer += data
        buffer = self._buffer
        while buffer:
            if buffer[0] != NOISE_PREAMBLE:
                reply = b"" if self._decrypt else _frame(_REJECT + BAD_INDICATOR)
                raise RejectedError("no Noise preamble", reply)
            if len(buffer) < _NOISE_HEADER_BYTES:
                return
            length = int.from_bytes(buffer[1:_NOISE_HEADER_BYTES])
            if self._decrypt is None and length > MAX_HANDSHAKE_BYTES:
                raise self._reject("Bad handshake packet len")
            if length > MAX_FRAME_BYTES + _MESSAGE_HEADER_BYTES + _TAG_BYTES:
                raise RejectedError(f"frame of {length} bytes")
            if len(buffer) < _NOISE_HEADER_BYTES + length:
                return
            body = bytes(buffer[_NOISE_HEADER_BYTES : _NOISE_HEADER_BYTES + length])
            del buffer[: _NOISE_HEADER_BYTES + length]
            if self._decrypt is not None:
                yield self._message(self._decrypt, body)
            elif self._handshake is None:
                self._start(body)
            else:
                self._finish(body)

    def send(self, message_id: int, body: bytes) -> None:
        """Append one encrypted message to ``output``."""
        if self._encrypt is None:
            raise LocalProtocolError("a message before the end of the handshake")
        if len(body) > MAX_BODY_BYTES:  # before encrypting: afterwards the nonce is spent
            raise LocalProtocolError(f"a message of {len(body)} bytes")
        sealed = self._encrypt.encrypt(_MESSAGE_HEADER.pack(message_id, len(body)) + body)
        self.output += _NOISE_HEADER.pack(NOISE_PREAMBLE, len(sealed)) + sealed

    def _start(self, client_hello: bytes) -> None:
        handshake = NoiseConnection.from_name(_NOISE_PROTOCOL)
        handshake.set_as_responder()
        handshake.set_psks(self._psk)
        handshake.set_prologue(b"NoiseAPIInit" + len(client_hello).to_bytes(2) + client_hello)
        if self._ephemeral is not None:
            handshake.set_keypair_from_private_bytes(Keypair.EPHEMERAL, self._ephemeral)
        handshake.start_handshake()
        self._handshake = handshake
        self.output += _frame(self._hello)

    def _finish(self, body: bytes) -> None:
        if not body:
            raise self._reject("Empty handshake message")
        if body[:1] != _ACCEPT:
            raise self._reject("Bad handshake error byte")
        try:
            self._handshake.read_message(body[1:])
            reply = bytes(self._handshake.write_message())
        except InvalidTag:
            raise self._reject("Handshake MAC failure") from None
        except (NoiseInvalidMessage, NoiseValueError, ValueError):
            raise self._reject("Handshake error") from None
        self.output += _frame(_ACCEPT + reply)
        states = self._handshake.noise_protocol
        self._encrypt = EncryptCipher(states.cipher_state_encrypt)
        self._decrypt = DecryptCipher(states.cipher_state_decrypt)

    def _message(self, cipher: DecryptCipher, body: bytes) -> Packet:
        try:
            clear = cipher.decrypt(body)
        except InvalidTag:
            raise RejectedError("a frame does not decrypt") from None
        if len(clear) < _MESSAGE_HEADER_BYTES:
            raise RejectedError("a message without a header")
        length = int.from_bytes(clear[2:_MESSAGE_HEADER_BYTES])
        if length > len(clear) - _MESSAGE_HEADER_BYTES:
            raise RejectedError("a message longer than its frame")
        return int.from_bytes(clear[:2]), clear[_MESSAGE_HEADER_BYTES : _MESSAGE_HEADER_BYTES + length]

    def _reject(self, reason: str) -> RejectedError:
        return RejectedError(reason, _frame(_REJECT + reason.encode()))


def _frame(body: bytes) -> bytes:
    return bytes((NOISE_PREAMBLE,)) + len(body).to_bytes(2) + body

"""A session in one of its states, a peer that can say anything to it, and what has to hold whatever it says."""

import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from aioesphomeapi.noise import NoiseHandshake
from seeds import FUZZ_KEY, MemoryKeys, fuzz_node, noise_flight

from blupow_proxy.native_api import (
    ActionCalled,
    BluetoothAsked,
    Closed,
    Commanded,
    KeyChanged,
    Limits,
    Mode,
    Proven,
    Session,
    SessionEvent,
    TimeReceived,
)
from blupow_proxy.native_api.framing import PlaintextFraming
from blupow_proxy.native_api.session import LIST_BYTES
from blupow_proxy.native_api.wire import MAX_FRAME_BYTES, MAX_PEER_TEXT, MESSAGE_IDS, encode_varint
from blupow_proxy.server.connection import RECEIVED_BYTES

MAX_CPU_S: Final = 0.05  # a frame that takes longer holds up everybody else
MAX_REJECTION_BYTES: Final = 64  # what an unproven peer may get besides the server's hello and handshake
MAX_REASON: Final = 200  # characters in a log
_HEADERS_BYTES: Final = 64
_TAG_BYTES: Final = 16
_HELLO_AND_HANDSHAKE_BYTES: Final = 2 * 64
_EVENTS: Final = (Proven, Commanded, ActionCalled, KeyChanged, TimeReceived, BluetoothAsked, Closed)
_HELLO: Final = (MESSAGE_IDS["HelloRequest"], b"")
_NODE: Final = fuzz_node()

type Clear = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class State:
    """How far a peer has come: the keys it meets, and what it has said; ``sealed``: it has the key."""

    name: str
    mode: Mode
    sealed: bool = False
    prelude: bytes = b""
    said: tuple[Clear, ...] = ()
    proven: bool = False


def _states() -> tuple[State, ...]:
    hello, handshake, _ = noise_flight()
    subscribed = (
        _HELLO,
        (MESSAGE_IDS["SubscribeStatesRequest"], b""),
        (MESSAGE_IDS["SubscribeLogsRequest"], b"\x08\x07"),
    )
    listed = (_HELLO, (MESSAGE_IDS["ListEntitiesRequest"], b""))
    gone = (_HELLO, (MESSAGE_IDS["DisconnectRequest"], b""))
    return (
        State("plaintext, new", Mode.PLAINTEXT),
        State("plaintext, greeted", Mode.PLAINTEXT, said=(_HELLO,), proven=True),
        State("plaintext, listed", Mode.PLAINTEXT, said=listed, proven=True),
        State("plaintext, subscribed", Mode.PLAINTEXT, said=subscribed, proven=True),
        State("plaintext, gone", Mode.PLAINTEXT, said=gone, proven=True),
        State("to be paired, greeted", Mode.PROVISIONING, said=(_HELLO,), proven=True),
        State("pairing is over, new", Mode.CLOSED),
        State("encrypted, new", Mode.ENCRYPTED),
        State("encrypted, hello", Mode.ENCRYPTED, prelude=hello),
        State("encrypted, handshake replayed", Mode.ENCRYPTED, prelude=hello + handshake),
        State("encrypted, handshake", Mode.ENCRYPTED, sealed=True),
        State("encrypted, greeted", Mode.ENCRYPTED, sealed=True, said=(_HELLO,), proven=True),
        State("encrypted, listed", Mode.ENCRYPTED, sealed=True, said=listed, proven=True),
        State("encrypted, subscribed", Mode.ENCRYPTED, sealed=True, said=subscribed, proven=True),
        State("encrypted, gone", Mode.ENCRYPTED, sealed=True, said=gone, proven=True),
    )


STATES: Final = _states()


def plain(message: Clear) -> bytes:
    """Return a message as a plaintext frame."""
    return b"\0" + encode_varint(len(message[1])) + encode_varint(message[0]) + message[1]


def clear(message: Clear) -> bytes:
    """Return a message as it is encrypted."""
    return message[0].to_bytes(2) + len(message[1]).to_bytes(2) + message[1]


class Peer:
    """The real client's half of a handshake, and what comes after it."""

    def __init__(self, key: str = b64encode(FUZZ_KEY).decode()) -> None:
        self._handshake = NoiseHandshake(key, b"NoiseAPIInit\0\0")
        self._ciphers: Any = None
        message = b"\0" + self._handshake.write_message()
        self.first_flight = b"\1\0\0" + b"\1" + len(message).to_bytes(2) + message

    @staticmethod
    def is_whole(answer: bytes) -> bool:
        """Whether the server's hello and its handshake have arrived."""
        for _ in range(2):
            length = 3 + int.from_bytes(answer[1:3])
            if len(answer) < max(length, 4):
                return False
            answer = answer[length:]
        return True

    def finish(self, answer: bytes) -> None:
        """Take the server's hello and its handshake."""
        hello_bytes = 3 + int.from_bytes(answer[1:3])
        self._handshake.read_message(answer[hello_bytes + 4 :])
        self._ciphers = self._handshake.get_ciphers()

    def seal(self, message: bytes) -> bytes:
        """Return a message as an encrypted frame, of as much of it as a frame holds."""
        sealed = self._ciphers[0].encrypt(message[: 0xFFFF - _TAG_BYTES])
        return b"\1" + len(sealed).to_bytes(2) + sealed

    def open(self, frames: bytes) -> list[Clear]:
        """Return the messages in the server's frames."""
        messages = []
        while frames:
            length = int.from_bytes(frames[1:3])
            body = self._ciphers[1].decrypt(frames[3 : 3 + length])
            messages.append((int.from_bytes(body[:2]), bytes(body[4:])))
            frames = frames[3 + length :]
        return messages


class Attack:
    """Plays a peer towards a session in ``state``; AssertionError when it does what no session may."""

    def __init__(self, state: State, limits: Limits | None = None) -> None:
        key = FUZZ_KEY if state.mode is Mode.ENCRYPTED else None
        self.state = state
        self.slowest_s = 0.0
        self.limits = limits or Limits()
        self.session = Session(_NODE, MemoryKeys(state.mode, key), now=0.0, wake=lambda: None, limits=self.limits)
        self.events: list[SessionEvent] = []
        self.output = bytearray()
        self._peer = Peer() if state.sealed else None
        if self._peer is not None:
            self.receive(self._peer.first_flight)
            self._peer.finish(bytes(self.output))
            self.output.clear()
        self.receive(state.prelude)
        for message in state.said:
            self.send(clear(message) if state.sealed else plain(message))
        assert self.session.greeted is state.proven

    def send(self, frame: bytes) -> None:
        """Say ``frame``: encrypted, where the peer has the key."""
        self.receive(frame if self._peer is None else self._peer.seal(frame))

    def receive(self, data: bytes) -> None:
        """Hand over bytes as the server does, and hold what comes of it against what is promised."""
        for start in range(0, len(data), RECEIVED_BYTES):
            self._receive(data[start : start + RECEIVED_BYTES])

    def messages(self) -> list[Clear]:
        """Return what the peer was told, decrypted."""
        output = bytes(self.output)
        return list(PlaintextFraming().feed(output)) if self._peer is None else self._peer.open(output)

    def _receive(self, data: bytes) -> None:
        session = self.session
        was_closing = session.closing
        started = time.thread_time()
        events = session.receive(data, 1.0)
        output = session.take_output()
        self.slowest_s = max(self.slowest_s, time.thread_time() - started)
        self.events += events
        self.output += output
        assert all(isinstance(event, _EVENTS) for event in events), events
        assert len(output) <= self.limits.unsent_bytes + 2 * LIST_BYTES, len(output)
        assert session.unsent_bytes == 0
        framing: Any = session._framing
        assert framing is None or len(framing._buffer) <= MAX_FRAME_BYTES + RECEIVED_BYTES + _HEADERS_BYTES
        assert session.client_info.isprintable()
        assert len(session.client_info) <= MAX_PEER_TEXT
        closed = [event for event in events if isinstance(event, Closed)]
        assert len(closed) == (session.closing and not was_closing), events
        assert all(one.reason.isprintable() and len(one.reason) <= MAX_REASON for one in closed), closed
        if was_closing:
            assert not events
            assert not output
        if not session.greeted and session._keys.mode is Mode.ENCRYPTED:
            assert not [event for event in events if not isinstance(event, Closed)]
            assert len(output) <= _HELLO_AND_HANDSHAKE_BYTES + MAX_REJECTION_BYTES

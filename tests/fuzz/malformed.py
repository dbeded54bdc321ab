"""Malformed frames of every kind, the same for the same seed."""

from random import Random
from typing import Final

from attack import Attack, State, clear, plain
from seeds import bluetooth_messages, client_messages, noise_flight

from blupow_proxy.native_api.wire import MAX_FRAME_BYTES, MESSAGE_IDS, encode_varint

KNOWN: Final = sorted(MESSAGE_IDS.values())
MAX_RANDOM_BYTES: Final = 200
_LONGEST: Final = MAX_FRAME_BYTES + 2
_LIE: Final = 300
_MUTATIONS: Final = 8


class Malformed:
    """Makes frames for peers in any state."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - the same frames for the same seed
        self._messages = client_messages() + bluetooth_messages()
        self._flight = noise_flight()
        self.kinds = {
            "random": self._noise,
            "mutated capture": self._mutated,
            "truncated": self._truncated,
            "over-long": self._over_long,
            "varint of 5 bytes or more": self._long_varint,
            "length that lies": self._lying,
            "unknown message id": self._unknown,
            "empty": self._empty,
            "another body": self._another_body,
            "repeated fields": self._repeated,
        }

    def frame(self, kind: str, state: State) -> bytes:
        """Return one frame of a kind, as the peer in ``state`` would encode it before it encrypts."""
        return self.kinds[kind](state)

    def _whole(self, state: State) -> bytes:
        """Return a frame that a real client has sent."""
        if state.mode.name == "ENCRYPTED" and not state.sealed:
            return self._random.choice((*self._flight[:2], self._flight[2][:53]))
        message = self._random.choice(self._messages)
        return clear(message) if state.sealed else plain(message)

    def _message(self, state: State, number: int, body: bytes, claimed: int | None = None) -> bytes:
        length = len(body) if claimed is None else claimed
        if state.sealed:
            return (number & 0xFFFF).to_bytes(2) + (length & 0xFFFF).to_bytes(2) + body
        if state.mode.name == "ENCRYPTED":
            return b"\1" + (length & 0xFFFF).to_bytes(2) + body
        return b"\0" + encode_varint(length) + encode_varint(number) + body

    def _bytes(self, most: int = MAX_RANDOM_BYTES) -> bytes:
        return self._random.randbytes(self._random.randrange(most))

    def _noise(self, state: State) -> bytes:
        start = self._random.choice((b"", b"\0", b"\1", b"\1\0", b"\0\0"))
        return start + self._bytes()

    def _mutated(self, state: State) -> bytes:
        frame = bytearray(self._whole(state))
        for _ in range(self._random.randint(1, _MUTATIONS)):
            at = self._random.randrange(len(frame) + 1)
            match self._random.randrange(4):
                case 0 if at < len(frame):
                    frame[at] ^= 1 << self._random.randrange(8)
                case 1:
                    frame[at:at] = self._bytes(6)
                case 2:
                    del frame[at : at + self._random.randint(1, 4)]
                case _:
                    frame[at:at] = frame[:at]
        return bytes(frame)

    def _truncated(self, state: State) -> bytes:
        frame = self._whole(state)
        return frame[: self._random.randrange(len(frame))]

    def _over_long(self, state: State) -> bytes:
        length = self._random.choice((MAX_FRAME_BYTES - 1, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, 0xFFFF, 0x0FFF_FFFF))
        body = bytes(min(length, _LONGEST)) if self._random.random() < 0.2 else self._bytes()
        return self._message(state, self._random.choice(KNOWN), body, length)

    def _long_varint(self, state: State) -> bytes:
        endless = bytes(0x80 | self._random.randrange(0x80) for _ in range(self._random.randint(5, 12))) + b"\1"
        if state.sealed:  # the varints are those of the body there
            return self._message(state, self._random.choice(KNOWN), b"\x0a" + endless + self._bytes())
        return self._random.choice((b"\0", b"\0\1")) + endless

    def _lying(self, state: State) -> bytes:
        body = self._random.choice(self._messages)[1] + self._bytes(20)
        claimed = max(0, len(body) + self._random.randint(-_LIE, _LIE))
        return self._message(state, self._random.choice(KNOWN), body, claimed)

    def _unknown(self, state: State) -> bytes:
        number = self._random.choice((0, 4, 200, 999, 0xFFFF, 0x1_0000, 0x0FFF_FFFF, self._random.randrange(0x1_0000)))
        return self._message(state, number, self._bytes())

    def _empty(self, state: State) -> bytes:
        return self._random.choice((b"", self._message(state, self._random.choice(KNOWN), b""), bytes(3)))

    def _another_body(self, state: State) -> bytes:
        body = self._random.choice(self._messages)[1]
        return self._message(state, self._random.choice(KNOWN), body + self._bytes(10))

    def _repeated(self, state: State) -> bytes:
        field = bytes((self._random.choice((0x0A, 0x12, 0x1A, 0x22)), 2)) + self._random.choice(
            (b"\x08\1", b"ab", b"\x0a\0")
        )
        return self._message(state, self._random.choice(KNOWN), field * self._random.choice((3, 100, 8_000)))


def attack_with(attack: Attack, frame: bytes) -> Attack:
    """Send a frame; returns the attack to go on with: another one once this session has ended."""
    attack.send(frame)
    return Attack(attack.state) if attack.session.closing and not attack.state.name.endswith("gone") else attack

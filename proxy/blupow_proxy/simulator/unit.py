"""A simulated Renogy device: requests in, replies out; what link it sits on is not its affair."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from blupow_proxy.errors import FrameError
from blupow_proxy.modbus import UNIVERSAL_ADDRESS, ReadRequest, WriteRequest, append_crc, decode_request
from blupow_proxy.renogy import LOAD_SWITCH_REGISTER, Family

from .devices import CONTENTS
from .image import RegisterImage
from .world import World

SHUNT_PUSH_S: Final = 1.0
_ILLEGAL_FUNCTION: Final = 1
_ILLEGAL_ADDRESS: Final = 2
_BAD_CRC: Final = 5


@dataclass(slots=True)
class Faults:
    """What goes wrong, switchable at any time.

    A request whose first register is silent or refused is so. ``overrides`` are words that registers hold instead of
    their own, ``mangle`` turns a frame into notifications, ``delay`` gives the seconds until the reply to a request
    leaves. Writes may be "unconfirmed" (done without an echo), "lost", or "ignored" (echoed, and that is all). Asked
    sooner than ``gap_s`` after its reply, it is silent until the next connection.
    """

    silent: bool = False
    silent_registers: set[int] = field(default_factory=set)
    refused_registers: set[int] = field(default_factory=set)
    refusal_code: int = 2
    overrides: dict[int, int] = field(default_factory=dict)
    corrupt: bool = False
    wrong_address: bool = False
    mangle: Callable[[bytes], Iterable[bytes]] | None = None
    reply_delay_s: float | None = None
    delay: Callable[[bytes], float] | None = None
    writes: Literal["done", "unconfirmed", "lost", "ignored"] = "done"
    gap_s: float | None = None
    refuse_connections: bool = False
    drop_within_reply: bool = False  # once: the link ends after the first fragment of the next reply


@dataclass(slots=True)
class Member:
    """One Modbus device behind a link; ``own_reply`` answers a universal request from its own address."""

    family: Family
    device_address: int
    own_reply: bool = False
    replay: dict[bytes, bytes] = field(default_factory=dict)  # captured requests and replies, used before the model
    image: RegisterImage = field(init=False)

    def __post_init__(self) -> None:
        self.image = RegisterImage(self.family)


@dataclass(slots=True)
class SimulatedUnit:
    """A peripheral with its Modbus members, or a shunt; ``requests`` are the last of the ``request_count`` it saw.

    ``too_fast`` counts those that came before the one before was answered and ``faults.gap_s`` had passed.
    """

    address: str
    name: str
    members: Sequence[Member]
    world: World
    pushes: bool = False
    needs_wake: bool = False
    max_mtu: int = 251
    latency_s: float = 0.22  # median of the captures
    rssi: int = -61
    faults: Faults = field(default_factory=Faults)
    requests: list[bytes] = field(default_factory=list)
    request_count: int = 0
    too_fast: int = 0

    def latency_of(self, frame: bytes) -> float:
        """Return the seconds until the reply to a request leaves."""
        if self.faults.delay is not None:
            return self.faults.delay(frame)
        return self.latency_s if self.faults.reply_delay_s is None else self.faults.reply_delay_s

    def respond(self, frame: bytes, now: float) -> bytes | None:
        """Return the reply to one request; None for silence."""
        self.requests.append(frame)
        del self.requests[:-256]
        self.request_count += 1
        if self.faults.silent:
            return None
        reply = self._reply(frame, now)
        if reply is None:
            return None
        if self.faults.wrong_address:
            reply = append_crc(bytes((reply[0] ^ 0x01,)) + reply[1:-2])
        if self.faults.corrupt:
            reply = reply[:-3] + bytes((reply[-3] ^ 0x10,)) + reply[-2:]
        return reply

    def push(self, now: float) -> bytes:
        """Return the frame that a shunt sends unasked."""
        self.world.advance(now)
        world = self.world
        frame = bytearray(110)
        frame[:8] = bytes.fromhex("4257011901001630")
        for offset, item in (
            (8, b"\xa0" + bytes.fromhex(f"{datetime.now(UTC):%y%m%d}")),
            (12, b"\xa1" + bytes.fromhex(f"{int(world.hour):02d}{int(world.hour * 60) % 60:02d}00")),
            (20, b"\xa4" + round(world.battery_a * 1000).to_bytes(3, signed=True)),
            (24, b"\xa6" + round(world.battery_v * 1000).to_bytes(3)),
            (28, b"\xa6\x10" + (12_600).to_bytes(2)),
            (32, b"\xa7\x00" + round(world.soc * 1000).to_bytes(2)),
            (64, b"\xad\x00" + round(world.celsius * 10).to_bytes(2, signed=True)),
        ):
            frame[offset : offset + 4] = item
        return bytes(frame)

    def _reply(self, frame: bytes, now: float) -> bytes | None:
        address = frame[0] if frame else 0
        for member in self.members:
            if address in (member.device_address, UNIVERSAL_ADDRESS):
                shown = member.device_address if member.own_reply else address
                if frame in member.replay:
                    return member.replay[frame]
                return self._member_reply(member, shown, frame, now)
        return None

    def _member_reply(self, member: Member, shown: int, frame: bytes, now: float) -> bytes | None:
        try:
            request = decode_request(frame)
        except FrameError:
            code = _BAD_CRC if append_crc(frame[:-2]) != frame else _ILLEGAL_FUNCTION
            return _exception(shown, frame[1] if len(frame) > 1 else 0, code)
        if request.register in self.faults.silent_registers:
            return None
        if request.register in self.faults.refused_registers:
            return _exception(shown, request.function, self.faults.refusal_code)
        self.world.advance(now)
        if isinstance(request, WriteRequest):
            return self._write(member, shown, request)
        return self._read(member, shown, request)

    def _write(self, member: Member, shown: int, request: WriteRequest) -> bytes | None:
        if member.family is not Family.CONTROLLER or request.register != LOAD_SWITCH_REGISTER:
            return _exception(shown, request.function, _ILLEGAL_ADDRESS)
        writes = self.faults.writes
        if writes in ("done", "unconfirmed"):
            self.world.load_on = request.value == 1
        return append_crc(bytes((shown,)) + request.encode()[1:-2]) if writes in ("done", "ignored") else None

    def _read(self, member: Member, shown: int, request: ReadRequest) -> bytes:
        member.image.update(CONTENTS[member.family](self.world) | {"device_address": member.device_address})
        data = member.image.read(request.register, request.words)
        if data is None:
            return _exception(shown, request.function, _ILLEGAL_ADDRESS)
        shown_data = bytearray(data)
        for place in range(request.words):
            word = self.faults.overrides.get(request.register + place)
            if word is not None:
                shown_data[2 * place : 2 * place + 2] = word.to_bytes(2)
        return append_crc(bytes((shown, request.function, len(data))) + shown_data)


def _exception(address: int, function: int, code: int) -> bytes:
    return append_crc(bytes((address, function | 0x80, code)))


def demo_units(world: World | None = None) -> list[SimulatedUnit]:
    """Return one unit of each family in one system, at stable addresses."""
    world = world or World()
    return [
        SimulatedUnit("C4:D3:6A:00:00:01", "BT-TH-6A000001", [Member(Family.CONTROLLER, 1)], world),
        SimulatedUnit("C4:D3:6A:00:00:02", "BT-TH-6A000002", [Member(Family.DCC, 1)], world),
        SimulatedUnit("C4:D3:6A:00:00:03", "BT-TH-6A000003", [Member(Family.BATTERY, 48, own_reply=True)], world),
        SimulatedUnit("D8:B6:73:00:00:04", "BTRIC134000004", [Member(Family.INVERTER, 32)], world, needs_wake=True),
        SimulatedUnit("4C:E1:74:00:00:05", "RTMShunt30017000005", [], world, pushes=True),
    ]

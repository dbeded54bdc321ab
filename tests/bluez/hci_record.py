"""What a record of the kernel's monitor says of the links: requests, replies, beginnings and ends."""

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from blupow_proxy.modbus import append_crc

_HEADER: Final = struct.Struct(">IIIIq")
_COMMAND, _EVENT, _SENT, _RECEIVED = 2, 3, 4, 5  # the monitor's kinds of packets
_DISCONNECT: Final = 0x0406
_DISCONNECTED, _LE = 0x05, 0x3E
_CONNECTED: Final = (0x01, 0x0A)
_ATT: Final = 4
_ATT_VALUE: Final = 3  # behind the opcode and the handle


@dataclass(slots=True)
class Link:
    """One connection: its Modbus traffic in order, ("request" or "reply", seconds), and whether the host ended it."""

    traffic: list[tuple[str, float]] = field(default_factory=list)
    disconnected: bool = False  # by the host's command
    ended: bool = False
    pending: bytearray = field(default_factory=bytearray)

    @property
    def longest_pause_s(self) -> float:
        """The longest time between two requests."""
        asked = [at_s for kind, at_s in self.traffic if kind == "request"]
        return max((later - earlier for earlier, later in pairwise(asked)), default=0.0)

    @property
    def most_in_flight(self) -> int:
        """How many requests were open at once, at the most; a request that is repeated after a silence is none more."""
        open_requests = most = 0
        for kind, _ in self.traffic:
            open_requests = open_requests + 1 if kind == "request" else 0
            most = max(most, open_requests)
        return most


def read(path: Path) -> list[Link]:
    """Return all links of a record, in the order of their beginnings."""
    links: list[Link] = []
    now: dict[tuple[int, int], Link] = {}
    data = path.read_bytes()
    at = 16
    while at + _HEADER.size <= len(data):
        _, size, flags, _, stamp = _HEADER.unpack_from(data, at)
        packet = data[at + _HEADER.size : at + _HEADER.size + size]
        at += _HEADER.size + size
        adapter, kind = flags >> 16, flags & 0xFFFF
        if kind == _COMMAND:
            (opcode,) = struct.unpack_from("<H", packet)
            if opcode == _DISCONNECT and (link := now.get((adapter, *struct.unpack_from("<H", packet, 3)))) is not None:
                link.disconnected = True
        elif kind == _EVENT:
            _event(adapter, packet, now, links)
        elif kind in (_SENT, _RECEIVED):
            (handle,) = struct.unpack_from("<H", packet)
            if (link := now.get((adapter, handle & 0x0FFF))) is not None:
                _acl(link, packet[4:], stamp / 1e6)
    return links


def _event(adapter: int, packet: bytes, now: dict[tuple[int, int], Link], links: list[Link]) -> None:
    if packet[0] == _LE and packet[2] in _CONNECTED and packet[3] == 0:
        (handle,) = struct.unpack_from("<H", packet, 4)
        now[adapter, handle] = link = Link()
        links.append(link)
    elif packet[0] == _DISCONNECTED:
        (handle,) = struct.unpack_from("<H", packet, 3)
        if (link := now.pop((adapter, handle), None)) is not None:
            link.ended = True


def _acl(link: Link, frame: bytes, stamp_s: float) -> None:
    if len(frame) < 5 or struct.unpack_from("<H", frame, 2)[0] != _ATT:
        return
    value = frame[4 + _ATT_VALUE :]
    match frame[4]:
        case 0x12 | 0x52 if _is_modbus(value):  # a write, with or without a response
            link.traffic.append(("request", stamp_s))
            link.pending.clear()
        case 0x1B:  # a notification
            link.pending += value
            if _is_modbus(bytes(link.pending)):
                link.traffic.append(("reply", stamp_s))
                link.pending.clear()


def _is_modbus(frame: bytes) -> bool:
    return len(frame) >= 5 and append_crc(frame[:-2]) == frame

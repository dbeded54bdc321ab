"""Asking a live link for another interval, through the kernel's management socket. Needs CAP_NET_ADMIN.

Since Linux 6.11 the kernel updates a link when parameters are loaded for its device; BlueZ has no word for that.
"""

import asyncio
import os
import socket
import struct
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from blupow_proxy.errors import AdapterUnavailableError, GattError

from .advertisement import AddressType
from .management import open_socket

REPLY_S: Final = 3.0  # the kernel answers within milliseconds
PACKET_BYTES: Final = 4096  # more than any event has
UPDATES_SINCE: Final = (6, 11)  # Linux
NOT_SUPPORTED: Final = 0x06  # ATT's request not supported, for what this machine can't do
INVALID: Final = 0x0D
NO_RIGHT: Final = "connection parameters need the capability CAP_NET_ADMIN"
TOO_OLD: Final = "connection parameters of a link need Linux 6.11"
_LOAD: Final = 0x0035
_DONE: Final = (0x0001, 0x0002)
_PERMISSION_DENIED: Final = 0x14
_DEFAULT_RANGE: Final = (24, 40)  # the kernel's own: it does nothing for what it takes to be asked for already
_HEADER: Final = struct.Struct("<HHH")
_REPLY: Final = struct.Struct("<HB")
_ONE: Final = struct.Struct("<H6sBHHHH")


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """As on the air: intervals in steps of 1.25 ms, the latency in intervals, the supervision timeout in 10 ms."""

    min_interval: int
    max_interval: int
    latency: int
    timeout: int

    @property
    def is_valid(self) -> bool:
        """Whether the specification allows them."""
        return (
            6 <= self.min_interval <= self.max_interval <= 3200
            and 0 <= self.latency <= 499
            and 10 <= self.timeout <= 3200
            and self.timeout * 4 > (1 + self.latency) * self.max_interval
        )


async def load(index: int, address: str, address_type: AddressType, wanted: ConnectionParameters) -> None:
    """Have the link to a device updated; GattError when that can't be, AdapterUnavailableError."""
    if not wanted.is_valid:
        raise GattError(address, INVALID, f"no link can have {wanted}")
    if _kernel() < UPDATES_SINCE:
        raise GattError(address, NOT_SUPPORTED, TOO_OLD)
    most = wanted.max_interval
    if (wanted.min_interval, most) == _DEFAULT_RANGE:
        most -= 1
    reversed_address = bytes.fromhex(address.replace(":", ""))[::-1]
    body = _ONE.pack(1, reversed_address, address_type + 1, wanted.min_interval, most, wanted.latency, wanted.timeout)
    try:
        with closing(open_socket()) as opened:
            async with asyncio.timeout(REPLY_S):
                status = await _ask(opened, _HEADER.pack(_LOAD, index, len(body)) + body)
    except (OSError, TimeoutError) as error:
        raise AdapterUnavailableError(address, f"Bluetooth's management socket: {error!r}") from error
    if status == _PERMISSION_DENIED:
        raise GattError(address, NOT_SUPPORTED, NO_RIGHT)
    if status:
        raise GattError(address, NOT_SUPPORTED, f"the kernel refuses connection parameters (status {status})")


async def _ask(opened: socket.socket, command: bytes) -> int:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(opened, command)
    while True:
        packet = await loop.sock_recv(opened, PACKET_BYTES)
        if len(packet) < _HEADER.size + _REPLY.size or _HEADER.unpack_from(packet)[0] not in _DONE:
            continue
        asked, status = _REPLY.unpack_from(packet, _HEADER.size)
        if asked == _LOAD:
            return int(status)


def _kernel() -> tuple[int, ...]:
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int("".join(filter(str.isdecimal, minor[:3])) or 0)

"""What the kernel does for one device when it is told to, over its management socket. Needs CAP_NET_ADMIN."""

import asyncio
import socket
import struct
from contextlib import closing
from typing import Final

from blupow_proxy.errors import AdapterUnavailableError

from .advertisement import AddressType
from .management import open_socket

REPLY_S: Final = 3.0  # the kernel answers within milliseconds
PACKET_BYTES: Final = 4096  # more than any event has
LOAD_PARAMETERS: Final = 0x0035
PERMISSION_DENIED: Final = 0x14
_ANSWERS: Final = (0x0001, 0x0002)
_HEADER: Final = struct.Struct("<HHH")
_REPLY: Final = struct.Struct("<HB")


async def order(index: int, command: int, body: bytes) -> int:
    """Have a command done by the controller ``index``, and return its status; AdapterUnavailableError."""
    try:
        with closing(open_socket()) as opened:
            async with asyncio.timeout(REPLY_S):
                return await _ask(opened, index, command, body)
    except (OSError, TimeoutError) as error:
        raise AdapterUnavailableError("adapter", f"Bluetooth's management socket: {error!r}") from error


def packed(address: str, address_type: AddressType) -> bytes:
    """Return a device's address as the kernel wants it."""
    return bytes.fromhex(address.replace(":", ""))[::-1] + bytes((address_type + 1,))


async def _ask(opened: socket.socket, index: int, command: int, body: bytes) -> int:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(opened, _HEADER.pack(command, index, len(body)) + body)
    while True:
        packet = await loop.sock_recv(opened, PACKET_BYTES)
        if len(packet) < _HEADER.size + _REPLY.size or _HEADER.unpack_from(packet)[0] not in _ANSWERS:
            continue
        asked, status = _REPLY.unpack_from(packet, _HEADER.size)
        if asked == command:
            return int(status)

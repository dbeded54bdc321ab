"""What the kernel does for one device when it is told to, over its management socket. Needs CAP_NET_ADMIN."""

import asyncio
import socket
from contextlib import closing
from typing import Final

from blupow_proxy.errors import AdapterUnavailableError

from .advertisement import AddressType
from .management import ANSWERS, HEADER, PACKET_BYTES, REPLY, REPLY_S, open_socket

DISCONNECT: Final = 0x0014
LOAD_PARAMETERS: Final = 0x0035


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
    await loop.sock_sendall(opened, HEADER.pack(command, index, len(body)) + body)
    while True:
        packet = await loop.sock_recv(opened, PACKET_BYTES)
        if len(packet) < HEADER.size + REPLY.size or HEADER.unpack_from(packet)[0] not in ANSWERS:
            continue
        asked, status = REPLY.unpack_from(packet, HEADER.size)
        if asked == command:
            return int(status)

"""Addresses of a host by DNS, in a way that Ctrl-C is not kept waiting."""

import asyncio
import contextlib
import ipaddress
import socket
import threading

from aioesphomeapi.core import ResolveAPIError


async def resolve(host: str, port: int) -> list[str] | None:
    """Return the addresses of ``host``; None when it is one, or a local name, which mDNS knows better."""
    if _is_address(host) or "." not in host.rstrip(".") or host.rstrip(".").lower().endswith(".local"):
        return None
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def answered(addresses: list[str]) -> None:
        if not answer.done():
            answer.set_result(addresses)

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(answered, [str(entry[4][0]) for entry in found])

    # A thread of asyncio's own holds up the exit for as long as a name server is silent, 10 s and more.
    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    addresses = await answer
    if not addresses:
        raise ResolveAPIError(f"no address of {host}")
    return addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""What happens on the other end of the cable, as functions for processes of their own that move there."""

import asyncio
import os
import random
import socket
import struct
import time
from pathlib import Path
from typing import Final

from bystander import Bystander
from zeroconf import DNSAddress, DNSOutgoing, DNSPointer, DNSQuestion, DNSService, DNSText
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

GROUP: Final = ("224.0.0.251", 5353)
TYPE: Final = "_blupow._tcp.local."
HERE: Final = "10.77.8.2"
RESOLVED_MS: Final = 8000
RESPONSE: Final = 0x8400
TRUNCATED_QUERY: Final = 0x0200
CLASS_IN: Final = 1
CACHE_FLUSH: Final = 0x8000
TTL_S: Final = 4500
PACKETS: Final = 20_000  # made before the flood, which then repeats none of them


def move(namespace: str) -> None:
    """Be in a network namespace from now on."""
    with Path(f"/run/netns/{namespace}").open() as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)


def resolve(namespace: str, name: str) -> tuple[str, int | None]:
    """Return where a proxy of this name is, as zeroconf says."""
    move(namespace)
    return asyncio.run(_resolve(name))


async def _resolve(name: str) -> tuple[str, int | None]:
    async with AsyncZeroconf(interfaces=[HERE]) as zeroconf:
        info = AsyncServiceInfo(TYPE, f"{name}.{TYPE}")
        assert await info.async_request(zeroconf.zeroconf, RESOLVED_MS)
        (address,) = info.parsed_addresses()
        return address, info.port


def watch_client(namespace: str, host: str, port: int, key: bytes, seconds: float) -> tuple[int, float]:
    """Be a client for a while; returns how many states came, and how long the slowest answer took."""
    move(namespace)
    return asyncio.run(_watch_client(host, port, key, seconds))


async def _watch_client(host: str, port: int, key: bytes, seconds: float) -> tuple[int, float]:
    async with Bystander(port, key, host) as client:
        await asyncio.sleep(seconds)
        assert not client.lost
    return client.states, max(client.waits_s)


def flood(namespace: str, seconds: float) -> int:
    """Say as many wrong, useless and endless things as fit; returns how many packets."""
    move(namespace)
    dice = random.Random(8)  # noqa: S311 - the same flood each time
    packets = [packet for _ in range(PACKETS // 4) for packet in _lies(dice)]
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("", GROUP[1]))
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4s", bytes(4), socket.inet_aton(HERE)))
    started, sent = time.monotonic(), 0
    while (passed := time.monotonic() - started) < seconds and sent < len(packets):
        if sent >= passed * len(packets) / seconds:
            time.sleep(0.001)
            continue
        one.sendto(packets[sent], GROUP)
        sent += 1
    one.close()
    return sent


def _lies(dice: random.Random) -> list[bytes]:
    """Return services that don't exist, another address for the proxy's name, a query that goes on, and garbage."""
    stranger = f"{dice.getrandbits(64):x}"
    services = DNSOutgoing(RESPONSE)
    for number in range(8):
        name, host = f"{stranger}-{number}.{TYPE}", f"{stranger}-{number}.local."
        services.add_answer_at_time(DNSPointer(TYPE, 12, CLASS_IN, TTL_S, name), 0)
        services.add_answer_at_time(DNSService(name, 33, CLASS_IN | CACHE_FLUSH, TTL_S, 0, 0, 6053, host), 0)
        services.add_answer_at_time(DNSText(name, 16, CLASS_IN | CACHE_FLUSH, TTL_S, dice.randbytes(60)), 0)
    spoof = DNSOutgoing(RESPONSE)
    elsewhere = bytes((10, 77, 8, dice.randrange(3, 250)))
    spoof.add_answer_at_time(DNSAddress("flooded.local.", 1, CLASS_IN | CACHE_FLUSH, TTL_S, elsewhere), 0)
    query = DNSOutgoing(TRUNCATED_QUERY)
    for number in range(8):
        query.add_question(DNSQuestion(f"{stranger}-{number}.{TYPE}", 255, CLASS_IN))
        query.add_answer_at_time(DNSPointer(TYPE, 12, CLASS_IN, TTL_S, f"{stranger}-{number}.{TYPE}"), 0)
    return [*services.packets(), *spoof.packets(), *query.packets(), dice.randbytes(dice.randrange(1, 1400))]

"""What a real client measures of the Bluetooth proxy: what it is told, and what it reads."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from advertisers import Advertised, advertised
from aioesphomeapi import APIClient, BluetoothProxyFeature
from client import Burst, Server, connected, cpu_s

FOLDER = Path(__file__).parent
READY_S = 20.0
LATE_S = 2.0  # an advertisement that takes longer is lost: the proxy keeps none back for more than 0.1 s
WINDOW = 4000  # advertisements under way in a burst: more than a client takes in one pass, less than a server drops at
DEVICE, HANDLE = 0xAABBCC000002, 0x2A
FEATURES = BluetoothProxyFeature.ACTIVE_CONNECTIONS | BluetoothProxyFeature.REMOTE_CACHING


class Told:
    """Everything that a client is told, in its order."""

    def __init__(self, client: APIClient) -> None:
        self.heard: list[tuple[int, int, int, bytes]] = []
        self._more = asyncio.Event()
        client.subscribe_bluetooth_le_raw_advertisements(self._received)

    def _received(self, message: Any) -> None:
        self.heard += [(one.address, one.rssi, one.address_type, one.data) for one in message.advertisements]
        self._more.set()

    async def until(self, count: int) -> None:
        """Wait for so many in all; for those that are missing, not long."""
        while len(self.heard) < count:
            self._more.clear()
            try:
                async with asyncio.timeout(LATE_S):
                    await self._more.wait()
            except TimeoutError:
                return

    def wrong(self, count: int, devices: int) -> int:
        """Return how many of ``count`` were not told as they were said, and forget them."""
        said = [advertised(number, devices) for number in range(count)]
        right = sum(map(_is_told, said, self.heard))
        more = max(len(self.heard) - count, 0)
        self.heard.clear()
        return count - right + more


def _is_told(said: Advertised, told: tuple[int, int, int, bytes]) -> bool:
    return told == (said.address, said.rssi, 1, said.data)


@dataclass(frozen=True, slots=True)
class Steady:
    """What advertisements at an even rate take."""

    rate: float
    core: float
    count: int
    wrong: int
    lost: int  # before they came to the proxy


class Air:
    """The process that advertises."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def opened(cls, bus: str, kernel: socket.socket | None) -> AsyncIterator[Self]:
        arguments = () if kernel is None else ("--kernel", str(kernel.fileno()))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(FOLDER / "air.py"), bus, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=() if kernel is None else (kernel.fileno(),),
        )
        air = cls(process)
        try:
            async with asyncio.timeout(READY_S):
                assert await air._line() == b"ready\n"
            yield air
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def scanning(self, told: Told) -> None:
        """Return once what is said is told."""
        while not told.heard:
            self._order("steady", 100, 1, 1)
            await self._line()
            await told.until(1)
        told.heard.clear()

    async def steady(self, server: Server, told: Told, rate: float, devices: int, seconds: float) -> Steady:
        """Advertise; of each device before, for it to be known."""
        self._order("steady", rate, devices, devices)
        await self._line()
        await told.until(devices)
        told.heard.clear()
        count = int(rate * seconds)
        before, started = cpu_s(server.pid), time.perf_counter()
        self._order("steady", rate, devices, count)
        said = json.loads(await self._line())
        await told.until(count)
        core = (cpu_s(server.pid) - before) / (time.perf_counter() - started)
        return Steady(said["rate"], core, count, told.wrong(count, devices), said["lost"])

    def _order(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


async def idle_core(server: Server, seconds: float) -> float:
    before = cpu_s(server.pid)
    await asyncio.sleep(seconds)
    return (cpu_s(server.pid) - before) / seconds


async def advertisements(client: APIClient, server: Server, seconds: float, into: Burst) -> None:
    """Take as many advertisements as the server forwards and we can take."""
    count = granted = 0
    (credit,), _ = await client.list_entities_services()

    def received(message: Any) -> None:
        nonlocal count, granted
        count += len(message.advertisements)
        if granted - count <= WINDOW // 2:
            client.number_command(credit.key, WINDOW // 2)
            granted += WINDOW // 2

    end = client.subscribe_bluetooth_le_raw_advertisements(received)
    await client.device_info()
    granted = WINDOW
    client.number_command(credit.key, WINDOW)
    await into.measure(server, seconds, lambda: count)
    end()


@dataclass(slots=True)
class Trips:
    """Milliseconds that a client waits for an answer."""

    reads: list[float] = field(default_factory=list)
    infos: list[float] = field(default_factory=list)


async def round_trips(server: Server, count: int) -> Trips:
    """Read a characteristic, and ask what the server itself knows, in turns."""
    trips = Trips()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(server))
        await client.device_info()
        Told(client)
        stack.callback(
            await client.bluetooth_device_connect(DEVICE, lambda *_: None, feature_flags=int(FEATURES), address_type=0)
        )
        for _ in range(count):
            start = time.perf_counter()
            await client.bluetooth_gatt_read(DEVICE, HANDLE)
            between = time.perf_counter()
            await client.device_info()
            trips.reads.append((between - start) * 1000)
            trips.infos.append((time.perf_counter() - between) * 1000)
    return trips

"""What one real client measures of a server, whoever's it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from aioesphomeapi import APIClient, EntityState, SensorState

CLOCK_RANGE = 1 << 24
WARM_UP = 10  # the first states are those of the subscription
EVEN_S = 0.2  # until a burst runs evenly
WINDOW = 4000  # states under way: less than any server gives up at, more than a client takes in one pass


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is; ``pid`` is its process."""

    port: int
    key: str | None
    pid: int


@dataclass(slots=True)
class Burst:
    """Throughput: per segment."""

    rates: list[float] = field(default_factory=list)
    client_cores: list[float] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)

    async def measure(self, server: Server, seconds: float, count: Callable[[], int]) -> None:
        """Add a segment: how fast ``count`` grows once all runs evenly, and what that costs."""
        await asyncio.sleep(EVEN_S)
        before, start = count(), time.perf_counter()
        server_before, client_before = cpu_s(server.pid), time.process_time()
        await asyncio.sleep(seconds)
        elapsed = time.perf_counter() - start
        counted = count() - before
        self.client_cores.append((time.process_time() - client_before) / elapsed)
        self.server_us.append((cpu_s(server.pid) - server_before) / counted * 1e6)
        self.rates.append(counted / elapsed)


@dataclass(slots=True)
class Latencies:
    """Milliseconds from publishing to the callback: of a state alone, and of the last of many."""

    alone: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)

    def receiver(self, key: int) -> Callable[[EntityState], None]:
        """Return the callback for a subscription; ``key`` is that of "Clock"."""
        before = -WARM_UP

        def received(state: EntityState) -> None:
            nonlocal before
            now = time.monotonic_ns() // 1000
            if state.key != key or not isinstance(state, SensorState):
                before += before >= 0
                return
            elapsed = (now - int(state.state)) % CLOCK_RANGE / 1000
            if before == 0:
                self.alone.append(elapsed)
            elif before > 0:
                self.last.append(elapsed)
            before = min(before + 1, 0)

        return received


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, all its threads together."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) gives


def p50(values: list[float]) -> float:
    return median(values)


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def make_client(server: Server) -> APIClient:
    return APIClient("127.0.0.1", server.port, None, noise_psk=server.key, client_info="bench")


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[APIClient]:
    client = make_client(server)
    await client.connect(login=True)
    try:
        yield client
    finally:
        await client.disconnect(force=True)


async def connect_and_list(server: Server) -> tuple[float, int]:
    """Return milliseconds to connect and know everything, and the number of entities."""
    client = make_client(server)
    start = time.perf_counter()
    await client.connect(login=True)
    await client.device_info()
    entities, _ = await client.list_entities_services()
    elapsed = time.perf_counter() - start
    await client.disconnect()
    return elapsed * 1000, len(entities)


async def latencies(servers: Mapping[str, Server], seconds: float) -> dict[str, Latencies]:
    """Measure from each publishing of "Clock" to the callback, of all servers during the same time."""
    found = {name: Latencies() for name in servers}
    async with AsyncExitStack() as stack:
        for name, server in servers.items():
            client = await stack.enter_async_context(connected(server))
            entities, _ = await client.list_entities_services()
            (key,) = (entity.key for entity in entities if entity.name == "Clock")
            client.subscribe_states(found[name].receiver(key))
        await asyncio.sleep(seconds)
    return found


async def burst(server: Server, seconds: float, into: Burst) -> None:
    """Take as many states as the server sends and we can take."""
    async with connected(server) as client:
        entities, _ = await client.list_entities_services()
        keys = {entity.name: entity.key for entity in entities}
        credit = keys["Credit"]
        counted = {key for name, key in keys.items() if name == "Burst" or name.startswith("Reading ")}
        count = granted = 0
        running = True

        def received(state: EntityState) -> None:
            nonlocal count, granted
            if state.key in counted:
                count += 1
                if running and granted - count <= WINDOW // 2:
                    client.number_command(credit, WINDOW // 2)
                    granted += WINDOW // 2

        client.subscribe_states(received)
        await client.device_info()
        count = 0
        granted = WINDOW
        client.number_command(credit, WINDOW)
        await into.measure(server, seconds, lambda: count)
        running = False


async def device_callbacks(server: Server, seconds: float) -> list[tuple[float, int]]:
    """Return when (monotonic seconds) a state of which sub-device arrived."""
    found: list[tuple[float, int]] = []
    async with connected(server) as client:
        client.subscribe_states(lambda state: found.append((time.monotonic(), state.device_id)))
        await asyncio.sleep(seconds)
    return found


async def many_sessions(server: Server, sessions: int, seconds: float) -> dict[str, Any]:
    """Keep several sessions subscribed; return what they took."""
    counts = [0] * sessions
    clients = [make_client(server) for _ in range(sessions)]
    for number, client in enumerate(clients):
        await client.connect(login=True)
        await client.list_entities_services()

        def received(_: EntityState, number: int = number) -> None:
            counts[number] += 1

        client.subscribe_states(received)
    before, start = cpu_s(server.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - start
    core = (cpu_s(server.pid) - before) / elapsed
    for client in clients:
        await client.disconnect(force=True)
    return {"core": core, "rate": sum(counts) / elapsed, "counts": counts}

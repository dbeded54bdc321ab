"""Real proxies on hosts of their own, real clients on another, and a network that fails between them."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from aioesphomeapi import BadNameAPIError
from client import Client
from network import Network, NoNetworkError
from processes import PORT, PROGRAM, UNITS, ProxyProcess, ended, spawned
from waiting import until
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from blupow_proxy.discovery import BLUPOW_TYPE, ESPHOME_TYPE
from conftest import Measured

OTHER_KEY: Final = "YW5vdGhlciBrZXkgb2YgdGhlIGZhdWx0IHRlc3RzISE="
HOME: Final = "10.77.0.1"
SOME: Final = {name: UNITS[name] for name in ("Rover", "Shunt")}
FOUND_S: Final = 40.0
AT_ONCE_S: Final = 1.0
RATE: Final = "64kbit"
LATENCY_S: Final = 0.3
SLOW_S: Final = 60.0


class Lan:
    """Where the clients of a test are, and hosts for its proxies."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.addresses: dict[str, str] = {}
        self._folder = folder

    def proxy(self, name: str = "shed", **options: Any) -> ProxyProcess:
        """Return a proxy that is not started yet, on a host of its own."""
        if name not in self.addresses:
            self.addresses[name] = self.network.add(name)
        return ProxyProcess(self._folder, name=name, prefix=self.network.command(name), **{"units": SOME} | options)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    """A network for a test, which is on it; it is skipped where there can be none, unless in CI."""
    with contextlib.ExitStack() as stack:
        try:
            network = stack.enter_context(Network())
        except NoNetworkError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no network for hosts here: {error}")
        stack.enter_context(network.entered("home"))
        yield Lan(network, tmp_path)


@pytest.fixture
async def zeroconf(lan: Lan) -> AsyncIterator[AsyncZeroconf]:
    """What the clients hear announcements with, as Home Assistant has it: one for all."""
    listening = AsyncZeroconf()
    yield listening
    await listening.async_close()


async def announced(zeroconf: AsyncZeroconf, name: str, kind: str = BLUPOW_TYPE) -> list[str]:
    """Return the addresses that a proxy announces, as far as is known here or answered within a moment."""
    service = AsyncServiceInfo(kind, f"{name}.{kind}")
    return service.parsed_addresses() if await service.async_request(zeroconf.zeroconf, 500) else []


async def known(client: Client) -> None:
    """Wait until all its units were found and listed: the proxy sends its clients away once in its life for that."""
    await client.until_read(*SOME, timeout_s=FOUND_S)


# N1


@pytest.mark.fault("N1")
async def test_home_assistant_restarts(lan: Lan, measured: Measured) -> None:
    """It says goodbye, or its connection just ends; what it was subscribed to goes, and it comes back at once."""
    async with lan.proxy() as proxy:
        address = lan.addresses["shed"]
        async with Client(address) as watching:
            await known(watching)
            await until(lambda: proxy.connections == 1, 5)
            files = proxy.open_files
            served, gone = 0.0, 0.0
            for how in ("goodbye", "ended", "reset"):
                for _ in range(5):
                    client = Client(address)
                    start = time.monotonic()
                    await client.__aenter__()
                    await client.until_connected(5)
                    client.api.subscribe_logs(lambda _: None)
                    client.api.subscribe_home_assistant_states_and_services(
                        on_state=lambda _: None,
                        on_service_call=lambda _: None,
                        on_state_sub=lambda *_: None,
                        on_state_request=lambda *_: None,
                    )
                    served = max(served, time.monotonic() - start)
                    await client.ping_s()
                    await leave(client, how)
                    gone = max(gone, await until(lambda: proxy.open_files == files, 5))
            assert await until(lambda: watching.states["", "sessions"] == 1, 5) < 5
            assert watching.lost_s == watching.lost_s[:1]  # the one time that its list has changed
        measured("first state of a new session", served, AT_ONCE_S)
        measured("nothing left of the old one", gone, 2.0)
        assert await proxy.stop() == 0
        assert not proxy.lines("ERROR")


async def leave(client: Client, how: str) -> None:
    """End a client's connection in one of the ways in which they end."""
    if how == "goodbye":
        await client._connecting.stop()
        await client.api.disconnect()
        return
    connection = client.api._connection
    assert connection is not None
    sock = connection._socket
    assert sock is not None
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await client.__aexit__()


# N2


@pytest.mark.fault("N2")
async def test_home_assistant_loses_power(lan: Lan, measured: Measured) -> None:
    """The cable of the host with two clients is cut right after a ping: nothing comes any more, no reset either."""
    ha = lan.network.add("ha")
    assert ha
    async with lan.proxy() as proxy, Client(lan.addresses["shed"]) as watching:
        await known(watching)
        files = proxy.open_files
        dead = [Client(lan.addresses["shed"]) for _ in range(2)]
        with lan.network.entered("ha"):
            for client in dead:
                await client.__aenter__()
                await client.until_connected(5)
        for client in dead:
            await client.ping_s()
        assert proxy.connections == 3
        start = time.monotonic()
        lan.network.cut("ha")
        async with Client(lan.addresses["shed"]) as anew:
            served = await anew.until_connected(10)
            await anew.until(lambda: anew.states.get(("", "sessions")) == 4, 5, "that they are counted")
            await anew.until(lambda: anew.states["", "sessions"] == 2, 90, "their end")
            dropped = time.monotonic() - start
            await until(lambda: proxy.open_files == files + 1, 5)
            assert anew.lost_s == []
        for client in dead:
            await client.__aexit__()
    measured("a new client is served", served, AT_ONCE_S)
    measured("the dead ones are dropped", dropped, 61.0)  # what is shown of sessions is a second old at most


# N6


@pytest.mark.fault("N6")
async def test_two_proxies_swap_addresses(lan: Lan, measured: Measured, zeroconf: AsyncZeroconf) -> None:
    shed, van = lan.proxy("shed"), lan.proxy("van", key=OTHER_KEY)
    async with shed, van:
        at = dict(lan.addresses)
        async with Client(at["shed"]) as first:
            await known(first)
            mac = first.mac.replace(":", "").lower() if first.mac else None
        # one that knows an address alone, and one that asks for it by name, as both halves of Home Assistant do
        async with (
            Client(at["shed"], expected_mac=mac, name="shed") as fixed,
            Client("shed.local", expected_mac=mac, name="shed", zeroconf=zeroconf) as named,
        ):
            await fixed.until_connected(10)
            await named.until_connected(20)
            lan.network.move(at, {"shed": at["van"], "van": at["shed"]})
            start = time.monotonic()
            await fixed.until(lambda: bool(fixed.lost_s), 120, "the end")
            received = fixed.received
            await fixed.until(lambda: any(isinstance(e, BadNameAPIError) for e in fixed.errors), 60, "a refusal")
            await named.until(lambda: bool(named.lost_s), 120, "the end")
            await named.until_connected(60, after=1)
            recovered = time.monotonic() - start
            assert named.mac == first.mac
            assert named.api.connected_address == at["van"]
            wrong = fixed.received - received
            assert not fixed.is_connected
            # and back: the one that knows the address alone finds its host again
            lan.network.move({"shed": at["van"], "van": at["shed"]}, at)
            await fixed.until_connected(90, after=1)
            assert fixed.mac == first.mac
    measured("states taken from the wrong proxy", wrong, 0, "")
    measured("recovered on the right host", recovered, 60.0)


# N7


@pytest.mark.fault("N7")
async def test_the_address_changes(lan: Lan, measured: Measured, zeroconf: AsyncZeroconf) -> None:
    async with lan.proxy() as proxy:
        before, after = lan.addresses["shed"], "10.77.0.77"
        async with Client(before) as client:
            await known(client)
        await until_announced(zeroconf, before, 10)
        lan.network.move({"shed": before}, {"shed": after})
        heard = await until_announced(zeroconf, after, 30)
        async with Client("shed.local", zeroconf=zeroconf) as client:
            reached = heard + await client.until_connected(20)
            assert client.api.connected_address == after
        # a second address comes, and goes again
        lan.network.set("shed", "addr", "add", "10.78.0.5/24", "dev", "eth0")
        both = await until_announced(zeroconf, "10.78.0.5", 30)
        lan.network.set("shed", "addr", "del", "10.78.0.5/24", "dev", "eth0")
        alone = await until_announced(zeroconf, after, 30, alone=True)
        # the cable is out for a while; what changed meanwhile is announced when it is in again
        lan.network.cut("shed")
        await asyncio.sleep(8)
        lan.network.mend("shed")
        async with Client(after) as client:
            flapped = await client.until_connected(20)
        assert not proxy.lines("ERROR")
    measured("the new address is announced", heard, 10.0)
    measured("reachable by name", reached, 10.0)
    measured("a second address is announced", both, 10.0)
    measured("it is announced no more", alone, 10.0)
    measured("reachable after its cable was out", flapped, 10.0)


async def until_announced(zeroconf: AsyncZeroconf, address: str, timeout_s: float, *, alone: bool = False) -> float:
    """Return the seconds until an address is announced by both names; ``alone``: and no other."""
    start = time.monotonic()
    while True:
        found = [await announced(zeroconf, "shed", kind) for kind in (BLUPOW_TYPE, ESPHOME_TYPE)]
        if all(address in one and (not alone or one == [address]) for one in found):
            return time.monotonic() - start
        if time.monotonic() > start + timeout_s:
            raise TimeoutError(f"{address} is not announced: {found}")
        await asyncio.sleep(0.05)


# N8


@pytest.mark.fault("N8")
async def test_no_multicast(lan: Lan, measured: Measured) -> None:
    """A router between the proxy and its client, which passes on everything else."""
    proxy = lan.proxy()
    address = lan.network.put_behind_a_router("shed")
    zeroconf = AsyncZeroconf(interfaces=[HOME])
    async with proxy, Client(address, zeroconf=zeroconf) as client:
        added = await client.until_connected(10)
        await known(client)
        back = 0.0
        for away_s in (0, 20):  # after a while, it has learned to be patient
            count = len(client.connected_s)
            await proxy.stop(signal.SIGKILL)
            await asyncio.sleep(away_s)
            start = time.monotonic()
            await proxy.start()
            await client.until_connected(70, after=count)
            back = max(back, time.monotonic() - start)
        assert await announced(zeroconf, "shed") == []
        assert not proxy.lines("WARNING", "ERROR")
    await zeroconf.async_close()
    measured("added by its address", added, 5.0)
    measured("connected again after a restart", back, 60.0)


# N9


@pytest.mark.fault("N9")
@pytest.mark.parametrize(
    ("number", "away_s"), [(signal.SIGTERM, 0), (signal.SIGKILL, 0), (signal.SIGKILL, 30)], ids=["TERM", "KILL", "long"]
)
async def test_the_proxy_restarts(
    lan: Lan, measured: Measured, zeroconf: AsyncZeroconf, number: signal.Signals, away_s: int
) -> None:
    async with lan.proxy() as proxy:
        address = lan.addresses["shed"]
        async with Client(address, zeroconf=zeroconf) as woken, Client(address) as patient:
            await known(woken)
            await known(patient)
            before, before_patient = len(woken.connected_s), len(patient.connected_s)
            start = time.monotonic()
            await proxy.stop(number)
            await asyncio.sleep(away_s)
            start += away_s
            started = await proxy.start()

            async def connected(client: Client, after: int) -> float:
                await client.until_connected(90, after=after)
                return time.monotonic() - start

            async def data() -> float:
                await connected(woken, before)
                await woken.until_read(*SOME, timeout_s=FOUND_S)
                return time.monotonic() - start

            with_mdns, without, read = await asyncio.gather(
                connected(woken, before), connected(patient, before_patient), data()
            )
            expected = number == signal.SIGTERM
            assert woken.goodbyes - (before - 1) == expected, "whether it said goodbye"
        assert await proxy.stop() == 0
    what = f"{number.name}, away for {away_s} s"
    measured(f"{what}: listening", started, 3.0)
    measured(f"{what}: connected by its announcement", with_mdns, 10.0)
    measured(f"{what}: without", without, 60.0)
    measured(f"{what}: data", read, 30.0)


# N10


@pytest.mark.fault("N10")
async def test_its_name_is_taken(lan: Lan, measured: Measured, zeroconf: AsyncZeroconf) -> None:
    taken = [
        ServiceInfo(kind, f"shed.{kind}", port=1, server="shed.local.", parsed_addresses=[HOME])
        for kind in (BLUPOW_TYPE, ESPHOME_TYPE)
    ]
    for service in taken:
        await (await zeroconf.async_register_service(service))
    async with lan.proxy() as proxy, Client(lan.addresses["shed"], name="shed-2") as client:
        served = await client.until_connected(20)
        await until(lambda: "is taken" in proxy.text, 20)
        assert await announced(zeroconf, "shed-2") == [lan.addresses["shed"]]
        assert await announced(zeroconf, "shed") == [HOME]
        warned = proxy.lines("WARNING")
        assert not proxy.lines("ERROR")
    measured("served", served, 10.0)
    measured("warnings", len(warned), 1, "")


@pytest.mark.fault("N10")
async def test_its_mdns_port_is_shared(lan: Lan, measured: Measured, zeroconf: AsyncZeroconf) -> None:
    """Another responder on the same host, as Avahi is one, and one that shares the port with nobody."""
    lan.proxy()
    address = lan.addresses["shed"]
    with lan.network.entered("shed"):
        avahi = AsyncZeroconf()
    printer = ServiceInfo("_ipp._tcp.local.", "Printer._ipp._tcp.local.", port=631, server="pi.local.")
    printer.addresses = [socket.inet_aton(address)]
    await (await avahi.async_register_service(printer))
    async with lan.proxy() as proxy:
        beside = await until_announced(zeroconf, address, 10)
        assert await announced(zeroconf, "Printer", "_ipp._tcp.local.") == [address]
        assert not proxy.lines("WARNING", "ERROR")
    await avahi.async_close()

    with lan.network.entered("shed"):
        selfish = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        selfish.bind(("", 5353))
    async with lan.proxy() as proxy, Client(address) as client:
        served = await client.until_connected(10)
        await known(client)
        await until(lambda: "Can't announce" in proxy.text, 10)
        await asyncio.sleep(12)  # two more looks at the addresses
        warned = [line for line in proxy.lines("WARNING") if "announce" in line]
        errors = proxy.lines("ERROR")
        selfish.close()
        at_last = await until_announced(zeroconf, address, 90)
        assert not errors
    measured("announced beside another responder", beside, 10.0)
    measured("served without the port", served, 10.0)
    measured("warnings", len(warned), 1, "")
    measured("announced once it is free", at_last, 65.0)


# N11


@pytest.mark.fault("N11")
async def test_its_port_is_taken(lan: Lan, measured: Measured, tmp_path: Path) -> None:
    proxy = lan.proxy()
    command = [*lan.network.command("shed"), PROGRAM, "run", proxy.file, "--state-dir", proxy.state]
    for holder in ("0.0.0.0", lan.addresses["shed"]):  # noqa: S104 - what others take
        with lan.network.entered("shed"):
            taken = socket.create_server((holder, PORT))
        log = tmp_path / "port.log"
        log.unlink(missing_ok=True)
        start = time.monotonic()
        code = await ended(spawned(command, log))
        took = time.monotonic() - start
        taken.close()
        said = [line for line in log.read_text().splitlines() if f"port {PORT}" in line]
        assert len(said) == 1, log.read_text()
        assert "choose another `api: port:`" in said[0]
        assert "may use it" in said[0]
        assert "Traceback" not in log.read_text()
        measured(f"{holder} taken: exit code", abs(code - os.EX_CONFIG), 0, "from 78")
        measured(f"{holder} taken: ended", took, 5.0)


# N13


class Distance:
    """A way to the proxy on which every byte takes its time, in both directions."""

    def __init__(self, address: str, latency_s: float) -> None:
        self._address = address
        self._latency_s = latency_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried = 0

    async def __aenter__(self) -> int:
        """Return the port of its near end."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection(self._address, PORT)
        for reader, writer in ((near, to_far), (far, to_near)):
            queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            for work in (self._take(reader, queue), self._deliver(queue, writer)):
                task = asyncio.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take(self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                data = await reader.read(4096)
                await queue.put((time.monotonic() + self._latency_s, data))
                if data:
                    continue
            return

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                at, data = await queue.get()
                await asyncio.sleep(max(at - time.monotonic(), 0.0))
                if not data:
                    return
                self.carried += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


def shape(lan: Lan, host: str, interface: str) -> None:
    command = [*lan.network.command(host), "tc", "qdisc", "replace", "dev", interface, "root"]
    done = subprocess.run(
        [*command, "tbf", "rate", RATE, "burst", "1600", "latency", "3s"], check=False, capture_output=True, text=True
    )
    if done.returncode:
        if os.environ.get("CI"):
            raise NoNetworkError(done.stderr)
        pytest.skip(f"no slow links here: {done.stderr}")


@pytest.mark.fault("N13")
async def test_a_slow_link(lan: Lan, measured: Measured) -> None:
    """64 kbit/s and 300 ms in each direction; ten minutes of one unit at 10 s are 60 polls, here are 300 in one."""
    async with lan.proxy(units=UNITS, interval="1s") as proxy:
        shape(lan, "home", "shed")
        shape(lan, "shed", "eth0")
        distance = Distance(lan.addresses["shed"], LATENCY_S)
        async with distance as port, Client("127.0.0.1", port) as client:
            await client.until_read(*UNITS, timeout_s=90)
            lost, start, pings = len(client.lost_s), time.monotonic(), []
            states, carried = client.received, distance.carried
            while time.monotonic() < start + SLOW_S:
                pings.append(await client.ping_s(30))
                await asyncio.sleep(1)
            ended_early = len(client.lost_s) - lost
        assert not proxy.lines("ERROR")
    measured("states in a minute", client.received - states, 300, "", at_least=True)
    measured("bytes carried", distance.carried - carried, 10_000, "", at_least=True)
    measured("disconnects", ended_early, 0, "")
    measured("longest answer", max(pings), 10.0)

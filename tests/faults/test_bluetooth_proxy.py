"""Faults of what clients do with the house's Bluetooth, beside units that are read every two seconds."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gatt_uuids
import pytest
import pytest_asyncio
import rude
from aioesphomeapi import APIClient
from aioesphomeapi.api_pb2 import SubscribeBluetoothLEAdvertisementsRequest
from attack import clear
from borrower import FAILED, RUNNING, Borrower
from house import House, Source
from machine import ADAPTER, KEY, UNITS
from radio_room import RadioRoom, pinging, radio_room
from rig import ADDRESS
from waiting import until

from blupow_proxy.bluetooth_proxy import address_number
from blupow_proxy.native_api.wire import packet
from conftest import Measured
from proxy import PORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOYS: Final = tuple(f"F0:0D:00:00:00:0{number}" for number in (1, 2, 3, 4))
ONE, TWO, THREE, FOUR = TOYS
ABSENT: Final = "F0:0D:00:00:00:99"
PHANTOM: Final = "F0:0D:00:00:00:66"  # advertises, and can't be connected
SLOTS: Final = 3
INTERVAL_S: Final = 2.0
ASIDE: Final = "10.77.9.3"  # another machine, beside the one with the clients
ALONE_S: Final = 60.0
CYCLE_S: Final = 1.0  # three devices at that rate are below what clients may
GIVEN_BACK_S: Final = 2.0
NO_RESOURCES: Final = 17
NOT_SUPPORTED: Final = 6
GAVE_WAY: Final = 0x100
FROZEN_S: Final = 22.0  # longer than the proxy waits for an answer, shorter than a client does
BROADCASTERS: Final = 20
BUSY_INTERVAL_MS: Final = 25.0
UNREAD_S: Final = 5.0
CAUGHT_UP_BYTES: Final = 384 * 1024  # more than what can wait for it
FLOOD_S: Final = 10.0
FLOOD_PER_S: Final = 3000
CALM_S: Final = 6.0
PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
STEPS: Final = ("connect", "services", "read", "notify")


@dataclass
class BluetoothRoom(RadioRoom):
    """The units, and devices that are none of ours."""

    async def settle(self) -> None:
        """Wait until all is well: every unit linked and shown, no other device connected."""
        await self.watcher.until(lambda: self.watcher.linked & self.watcher.shown >= set(UNITS), 60.0, "for the units")
        await self.until_let_go()
        self._seen = len(self.rig.log("proxy"))

    async def held(self, *toys: str) -> list[str]:
        """Return which of the devices are connected."""
        states = [await self.rig.room("peripheral", address=toy) for toy in toys or TOYS]
        return [toy for toy, state in zip(toys or TOYS, states, strict=True) if state["connected"]]

    async def until_let_go(self, within_s: float = 20.0) -> float:
        """Return the seconds until no device is connected any more."""
        start = time.monotonic()
        while await self.held():
            assert time.monotonic() - start < within_s, "devices are still connected"
            await asyncio.sleep(0.05)
        return time.monotonic() - start

    @property
    def failed_requests(self) -> int:
        """Of all units."""
        return sum(self.watcher.states.get((unit, "failed_requests")) or 0 for unit in UNITS)

    async def begun(self, borrower: Borrower, address: str = PHANTOM) -> asyncio.Task[tuple[float, int]]:
        """Let a client try to connect to what can't be connected, until the adapter is at it."""
        await until(lambda: borrower.heard[address_number(address)])
        refused = asyncio.create_task(borrower.refused(address))

        async def connects() -> bool:
            return bool((await self.adapter_state())["connecting"])

        await self.rig.until(connects, "for the attempt")
        return refused

    def warned(self, text: str) -> bool:
        """Whether the proxy has warned of something since all was well."""
        return any(text in line for line in self.warnings())

    @property
    def sessions(self) -> int:
        """How many clients are connected, as is told."""
        return int(self.watcher.value("", "sessions"))

    async def rss_kib(self) -> int:
        """Return the memory of the proxy."""
        statm = await self.rig.run("cat", f"/proc/{self.rig.pids['proxy']}/statm")
        return int(statm.split()[1]) * PAGE_KIB

    async def requests(self) -> dict[str, int]:
        """Return how often each unit was asked."""
        units = (await self.rig.room("state"))["units"]
        return {name: units[address]["requests"] for name, address in UNITS.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BluetoothRoom]:
    folder = tmp_path_factory.mktemp("bluetooth")
    wanted = {"connection_slots": SLOTS}
    async with radio_room(folder, interval=f"{INTERVAL_S:g}s", bluetooth_proxy=wanted) as room:
        for number, address in enumerate(TOYS, 1):
            await room.rig.room("add_peripheral", address=address, name=f"Toy {number}")
        yield BluetoothRoom(room.rig, room.proxy, room.watcher)


@pytest_asyncio.fixture(loop_scope="module")
async def room(shared: BluetoothRoom) -> BluetoothRoom:
    """With all well at the start of each test."""
    await shared.settle()
    return shared


@contextlib.asynccontextmanager
async def borrowing(*toys: str) -> AsyncIterator[Borrower]:
    """A subscriber with devices connected."""
    async with Borrower() as borrower:
        await borrower.subscribe()
        for toy in toys:
            await borrower.connect(toy)
        yield borrower


@contextlib.asynccontextmanager
async def undisturbed(room: BluetoothRoom, measured: Measured) -> AsyncIterator[None]:
    """What the units must not notice."""
    lost, failed = room.watcher.lost, room.failed_requests
    yield
    measured("links of units lost", room.watcher.lost - lost, 0, "")
    measured("requests to units failed", room.failed_requests - failed, 0, "")


@contextlib.asynccontextmanager
async def phantom(room: BluetoothRoom) -> AsyncIterator[None]:
    """Somebody who advertises, and does not answer to who connects."""
    advertising = {"address": PHANTOM, "address_type": "random", "kind": "connectable", "data": "020106"}
    await room.rig.room("add_broadcaster", **advertising)
    try:
        yield
    finally:
        await room.rig.room("remove_broadcaster", address=PHANTOM)


@pytest.mark.fault("B1")
@pytest.mark.parametrize("how", ["goodbye", "ended"])
async def test_the_subscriber_leaves(room: BluetoothRoom, measured: Measured, how: str) -> None:
    async with undisturbed(room, measured), House.opened() as house:
        first = Source(APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="house"), house)
        await first.start()
        await house.hears(ONE, TWO)
        for toy in (ONE, TWO):
            await house.connected(toy)
        assert await room.held() == [ONE, TWO]
        await first.client.disconnect(force=how == "ended")
        measured(f"links given back, {how}", await room.until_let_go(), GIVEN_BACK_S)
        async with Borrower() as anew:
            measured("heard by a new session", await anew.subscribe(), 1.0)
            await until(lambda: anew.slots[1])
            assert anew.slots == (SLOTS, SLOTS + len(UNITS))


@pytest.mark.fault("B1")
async def test_the_subscriber_leaves_while_a_device_is_being_connected(room: BluetoothRoom, measured: Measured) -> None:
    """The kernel does not scan meanwhile, which bluetoothd does not notice when it is to stop."""
    async with undisturbed(room, measured), phantom(room):
        async with borrowing() as borrower:
            attempt = await room.begun(borrower)
        attempt.cancel()
        async with Borrower() as anew:
            measured("heard by a new session, after an attempt", await anew.subscribe(), 1.0)
            await until(lambda: anew.slots[0] == SLOTS)
            measured("connected then", await anew.connect(ONE), 5.0)


@dataclass
class Minute:
    """What happened in it."""

    heard_s: float  # until whoever took over has heard something
    given_back_s: float
    dropped_s: float
    connections: int
    lost: int
    failed: int
    pause_s: float  # the longest between two requests to a unit


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def minute(shared: BluetoothRoom) -> Minute:
    """The subscriber's machine loses power, and whoever takes over connects and disconnects devices for a minute."""
    room = shared
    await room.settle()
    async with contextlib.AsyncExitStack() as stack:
        with aside():
            dead = await stack.enter_async_context(borrowing(ONE, TWO))
            await until(lambda: room.sessions == 2)
        assert await room.held() == [ONE, TWO]
        lost, failed = room.watcher.lost, room.failed_requests
        _ip("addr", "del", f"{ASIDE}/24", "dev", "rig")
        cut = time.monotonic()
        house = await stack.enter_async_context(House.opened())
        source = Source(APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="house"), house)
        start = time.monotonic()
        await source.start()
        heard_s = time.monotonic() - start + await until(lambda: house.heard, 10)
        given_back_s = await room.until_let_go()
        pause_s: dict[str, float] = {}
        pauses = asyncio.create_task(_note_pauses(room, pause_s))
        cycles = [asyncio.create_task(_cycle(house, toy, cut + ALONE_S)) for toy in (ONE, TWO, THREE)]
        await room.watcher.until(lambda: room.sessions == 3, 10.0)
        dropped_s = await room.watcher.until(lambda: room.sessions == 2, 90.0) and time.monotonic() - cut
        connections = sum(await asyncio.gather(*cycles))
        await until(lambda: source.slots[0] == SLOTS)
        pauses.cancel()
        await source.client.disconnect()
        assert dead.ends(ONE) == 0
    return Minute(
        heard_s,
        given_back_s,
        dropped_s,
        connections,
        room.watcher.lost - lost,
        room.failed_requests - failed,
        max(pause_s.values()),
    )


@contextlib.contextmanager
def aside() -> Any:
    """Connect from another machine meanwhile, which stays until its address is taken away."""
    _ip("addr", "add", f"{ASIDE}/24", "dev", "rig")
    _ip("route", "add", f"{ADDRESS}/32", "dev", "rig", "src", ASIDE)
    try:
        yield
    finally:
        _ip("route", "del", f"{ADDRESS}/32", "dev", "rig")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def _note_pauses(room: BluetoothRoom, longest_s: dict[str, float]) -> None:
    """Note how long each unit that is asked was not, until cancelled."""
    before, asked_s = await room.requests(), dict.fromkeys(UNITS, time.monotonic())
    while True:
        await asyncio.sleep(0.1)
        requests, now_s = await room.requests(), time.monotonic()
        for unit, count in requests.items():
            if count != before[unit]:
                longest_s[unit] = max(longest_s.get(unit, 0.0), now_s - asked_s[unit])
                before[unit], asked_s[unit] = count, now_s


async def _cycle(house: House, toy: str, until_s: float) -> int:
    done = 0
    while time.monotonic() < until_s:
        await house.hears(toy)
        client = await house.connected(toy, attempts=4)
        assert await client.read_gatt_char(gatt_uuids.LONG) == bytes(range(256)) * 2
        await client.disconnect()
        done += 1
        await asyncio.sleep(CYCLE_S)
    return done


@pytest.mark.fault("B2")
async def test_the_subscriber_loses_power(minute: Minute, measured: Measured) -> None:
    measured("heard by a new one", minute.heard_s, 1.0)
    measured("links of the dead one given back", minute.given_back_s, GIVEN_BACK_S)
    measured("the dead one is dropped", minute.dropped_s, 61.0)  # what is shown of sessions is a second old at most


@pytest.mark.fault("B12")
async def test_devices_come_and_go(minute: Minute, measured: Measured) -> None:
    measured("connections in a minute", minute.connections, 20, "", at_least=True)
    measured("links of units lost", minute.lost, 0, "")
    measured("requests to units failed", minute.failed, 0, "")
    measured("the longest pause of a unit", minute.pause_s, 2 * INTERVAL_S)


@pytest.mark.fault("B3")
async def test_another_takes_over(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured), borrowing(ONE, TWO) as first, Borrower() as second:
        first.follow()
        await until(lambda: first.states)
        measured("heard by the second", await second.subscribe(), 1.0)
        measured("links of the first given back", await room.until_let_go(), GIVEN_BACK_S)
        await until(lambda: first.slots[0] == SLOTS)
        assert (first.ends(ONE), first.ends(TWO)) == (1, 1)
        _, reason = await first.refused(ONE)
        assert reason == NOT_SUPPORTED
        states, heard = first.states, first.heard.total()
        await second.connect(ONE)
        await until(lambda: first.states > states)
        assert first.heard.total() == heard
        assert second.slots[0] == SLOTS - 1


@pytest.mark.fault("B4")
async def test_all_connections_are_in_use(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured), borrowing(ONE, TWO, THREE) as borrower:
        took, reason = await borrower.refused(FOUR)
        assert reason == NO_RESOURCES
        measured("said, all slots taken", took, 1.0)
        await borrower.let_go(THREE)
        await until(lambda: borrower.slots[0] == 1)
        await room.adapter(slots=len(UNITS) + 2)
        try:
            took, _ = await borrower.refused(FOUR)
            measured("said, refused by the adapter", took, 30.0)
            await until(lambda: borrower.slots[0] == 1)
        finally:
            await room.adapter(slots=None)
        measured("connected then", await borrower.connect(FOUR), 10.0)


@pytest.mark.fault("B5")
async def test_scanning_is_refused(room: BluetoothRoom, measured: Measured) -> None:
    async with borrowing() as borrower:
        borrower.scan(actively=False)
        await borrower.listens(10.0)
        await room.adapter(refuses_scans=True)
        borrower.scan(actively=True)
        start = time.monotonic()
        await until(lambda: borrower.scanner[-1] == FAILED)
        measured("told", time.monotonic() - start, 30.0)
        await until(lambda: borrower.scanner[-1] == RUNNING, 120.0)
        await borrower.listens(30.0)
        measured("scanning again", time.monotonic() - start, 60.0)


@pytest.mark.fault("B6")
async def test_nothing_is_heard(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured), borrowing() as borrower:
        await borrower.listens(10.0)
        told = len(borrower.scanner)
        await room.adapter(deaf=True)
        start = time.monotonic()
        await until(lambda: len(borrower.scanner) > told, 150.0)
        measured("restarted", time.monotonic() - start, 120.0)
        await room.adapter(deaf=False)  # a start of the scanner has helped
        measured("heard then", await borrower.listens(10.0), 5.0)
        assert borrower.scanner[told:].count(RUNNING) == 1


@pytest.mark.fault("B7")
async def test_bluetoothd_is_killed(room: BluetoothRoom, measured: Measured) -> None:
    async with borrowing(ONE, TWO) as borrower:
        start = time.monotonic()
        await room.rig.signal("bluetoothd", signal.SIGKILL)
        try:
            await until(lambda: borrower.ends(ONE) and borrower.ends(TWO), 30.0)
            measured("links told to be lost", time.monotonic() - start, 1.0)
            await until(lambda: borrower.slots[0] == SLOTS)
            took, _ = await borrower.refused(ONE)
            measured("refused meanwhile", took, 5.0)
            await until(lambda: borrower.scanner[-1] == FAILED)
        finally:
            await room.rig.start_bluetoothd()
        assert (borrower.ends(ONE), borrower.ends(TWO)) == (2, 1)
        measured("scanning", await borrower.listens(30.0), 10.0)
        measured("data of all", await room.watcher.until_read(UNITS, 90.0), 30.0)
        measured("connected again", await borrower.connect(ONE), 10.0)


@pytest.mark.fault("B8")
async def test_bluetoothd_is_frozen(room: BluetoothRoom, measured: Measured) -> None:
    async with borrowing(ONE) as borrower:
        handle = await borrower.handle(ONE, gatt_uuids.GREETING)
        files = await room.proxy.open_files()
        await room.rig.signal("bluetoothd", signal.SIGSTOP)
        try:
            start = time.monotonic()
            async with pinging(room.watcher) as pings:
                asked = [borrower.failed(borrower.read(ONE, handle)), borrower.refused(TWO), borrower.refused(ABSENT)]
                read_s, *refused = await asyncio.gather(*asked)
                await asyncio.sleep(max(start + FROZEN_S - time.monotonic(), 0.0))
            measured("a read is answered", read_s, 25.0)
            measured("connecting is answered", max(took for took, _ in refused), 28.0)
            measured("ping", max(pings), 1.0)
            assert borrower.ends(ONE) == 1
        finally:
            await room.rig.signal("bluetoothd", signal.SIGCONT)
        measured("data of all", await room.watcher.until_read(UNITS, 90.0), 30.0)
        measured("heard again", await borrower.listens(60.0), 30.0)
        for toy in (ONE, TWO):
            measured("connected again", await borrower.connect(toy), 15.0)
        await borrower.let_go(TWO)
        await until(lambda: borrower.slots[0] == SLOTS - 1)
        measured("files left open", await room.proxy.open_files() - files, 0, "")
    await room.until_let_go()
    async with borrowing() as anew:  # bluetoothd was told to stop what the kernel does not do any more
        measured("connected by a new session", await anew.connect(ONE), 5.0)


@pytest.mark.fault("B9")
async def test_the_adapter_is_unplugged(room: BluetoothRoom, measured: Measured) -> None:
    async with borrowing(ONE) as borrower:
        name = await room.adapter_name()
        start = time.monotonic()
        await room.rig.room("remove_adapter", adapter=name)
        await until(lambda: borrower.ends(ONE))
        measured("a lost link told", time.monotonic() - start, 1.0)
        await until(lambda: borrower.scanner[-1] == FAILED)
        took, _ = await borrower.refused(ONE)
        measured("refused meanwhile", took, 5.0)
        await room.rig.room("add_adapter", address="B8:27:EB:00:00:09")  # takes its name
        await room.rig.room("add_adapter", address=ADAPTER)
        measured("heard", await borrower.listens(60.0), 30.0)
        measured("data of all", await room.watcher.until_read(UNITS, 60.0), 30.0)
        measured("connected again", await borrower.connect(ONE), 10.0)
        assert await room.adapter_name() != name
        assert room.watcher.value("", "bluetooth_advertisements") == "as received"


@pytest.mark.fault("B10")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["drops", "vanishes"])
async def test_a_device_is_gone(room: BluetoothRoom, measured: Measured, step: str, how: str) -> None:
    async with undisturbed(room, measured), borrowing() as borrower:
        try:
            took = await _gone(room, borrower, step, how)
        finally:
            await room.rig.room("range", address=ONE, within=True)
            await room.rig.room("peripheral", address=ONE, ends_at=None, silent=False)
        await until(lambda: borrower.slots[0] == SLOTS, 10.0)
        measured(f"{how} at {step}: told", took, 20.0 if step == "connect" else 25.0)
        measured("told that often", borrower.ends(ONE), 1, "")
        measured("connected then", await borrower.connect(ONE), 10.0)


async def _gone(room: BluetoothRoom, borrower: Borrower, step: str, how: str) -> float:
    """Let the device go at one step; returns the seconds until that was told."""

    async def go() -> None:
        if how == "drops":
            await room.rig.room("drop", address=ONE)
        else:
            await room.rig.room("range", address=ONE, within=False)

    if step == "connect" and how == "vanishes":
        await go()
        return (await borrower.refused(ONE))[0]
    if step in ("connect", "services"):
        knob = {"ends_at": 1 if step == "connect" else 6} if how == "drops" else {"silent": True}
        await room.rig.room("peripheral", address=ONE, **knob)
        attempt = asyncio.create_task(borrower.refused(ONE))
        if how == "vanishes":
            await room.rig.until(lambda: room.held(ONE), "for the link")
            await go()
        return (await attempt)[0]
    await borrower.connect(ONE)
    if step == "read":
        handle = await borrower.handle(ONE, gatt_uuids.SLOW)
        await room.rig.room("peripheral", address=ONE, slow_s=30.0)
        asked = (await room.rig.room("peripheral", address=ONE))["asked"]
        reading = asyncio.create_task(borrower.failed(borrower.read(ONE, handle)))

        async def is_asked() -> bool:
            return (await room.rig.room("peripheral", address=ONE))["asked"] > asked

        await room.rig.until(is_asked, "for the request")
        start = time.monotonic()
        await go()
        await reading
    else:
        handle = await borrower.handle(ONE, gatt_uuids.COUNTER)
        counted: list[int] = []
        await borrower.api.bluetooth_gatt_start_notify(
            address_number(ONE), handle, lambda _, data: counted.append(int.from_bytes(data, "little"))
        )
        await room.rig.room("count", address=ONE, times=3)
        await until(lambda: len(counted) == 3)
        start = time.monotonic()
        await go()
    await until(lambda: borrower.ends(ONE), 30.0)
    return time.monotonic() - start


@pytest.mark.fault("B11")
async def test_our_own_unit_is_asked_for(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured), borrowing() as borrower:
        took, reason = await borrower.refused(UNITS["Rover"])
        assert reason == NOT_SUPPORTED
        measured("refused", took, 0.2)
        assert await room.watcher.until_read(UNITS, 30.0)
        said = [line for line in room.warnings() if UNITS["Rover"] in line]
        assert len(said) == 1
        assert "is read by this proxy itself" in said[0]


@pytest.mark.fault("B11")
async def test_our_own_unit_comes_first(room: BluetoothRoom, measured: Measured) -> None:
    async with borrowing() as borrower:
        await room.drop("Rover")
        alone_s = await room.watcher.until_read(["Rover"], 60.0)
        async with phantom(room):
            refused = await room.begun(borrower)
            await room.drop("Rover")
            beside_s = await room.watcher.until_read(["Rover"], 60.0)
            _, reason = await refused
        measured("data of a lost unit, later than without clients", beside_s - alone_s, 3.0)
        assert reason == GAVE_WAY


@pytest.mark.fault("B13")
async def test_a_client_that_stops_reading(room: BluetoothRoom, measured: Measured) -> None:
    said = bytes((30, 0xFF, *range(29))).hex()
    talkers = [f"F0:0D:00:00:02:{number:02X}" for number in range(BROADCASTERS)]
    async with undisturbed(room, measured):
        rss_kib = await room.rss_kib()
        for address in talkers:
            await room.rig.room("add_broadcaster", address=address, data=said, interval_ms=BUSY_INTERVAL_MS)
        try:
            with unread() as slow:
                async with pinging(room.watcher) as pings:
                    keeps_up = await room.watcher.until(lambda: room.warned("does not keep up"), 60.0, "to lag")
                    await asyncio.sleep(UNREAD_S)
                grown_kib = await room.rss_kib() - rss_kib
                slow.setblocking(False)
                loop, read = asyncio.get_running_loop(), 0
                while read < CAUGHT_UP_BYTES:  # it is still there, and reads on
                    read += len(await asyncio.wait_for(loop.sock_recv(slow, 65536), 5.0))
        finally:
            for address in talkers:
                await room.rig.room("remove_broadcaster", address=address)
    measured("it lags after", keeps_up, 60.0)
    measured("growth", grown_kib / 1024, 4, "MiB")
    measured("ping", max(pings), 0.5)


@contextlib.contextmanager
def unread() -> Iterator[socket.socket]:
    """A subscriber that reads nothing."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(rude.CONNECT_S)
        connection.connect((ADDRESS, PORT))
        peer = rude.shake_hands(connection, KEY)
        for message in (rude.HELLO, packet(SubscribeBluetoothLEAdvertisementsRequest(flags=1))):
            connection.sendall(peer.seal(clear(message)))
        yield connection


@pytest.mark.fault("B14")
async def test_a_client_without_manners(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured):
        _, calm = await _rates(room, asyncio.sleep(CALM_S))
        rss_kib, lines = await room.rss_kib(), len(room.rig.log("proxy").splitlines())
        options = (ADDRESS, PORT, KEY, FLOOD_PER_S, FLOOD_S, *TOYS, ABSENT, *UNITS.values())
        async with pinging(room.watcher) as pings:
            asked, hurried = await _rates(room, _flood(*options))
        grown_kib = await room.rss_kib() - rss_kib
        lines = len(room.rig.log("proxy").splitlines()) - lines
        async with Borrower() as borrower:
            measured("heard after", await borrower.subscribe(), 2.0)
            await until(lambda: borrower.slots[0] == SLOTS, 20.0)
            measured("connected after", await borrower.connect(ONE), 10.0)
    measured("requests", asked / FLOOD_S, 100, "a second", at_least=True)  # the proxy reads no more of them
    for unit, rate in calm.items():
        measured(f"{unit}: its period changes by", 100 * abs(rate / hurried[unit] - 1), 20, "%")
    measured("growth", grown_kib / 1024, 16, "MiB")
    measured("log lines", lines, 100, "")
    measured("ping", max(pings), 1.0)


@pytest.mark.fault("B15")
async def test_a_device_connects_just_when_it_is_given_up(room: BluetoothRoom, measured: Measured) -> None:
    async with undisturbed(room, measured), borrowing() as borrower:
        await room.adapter(connects_late=True)
        refused = await room.begun(borrower, ONE)
        await borrower.let_go(ONE)
        await refused
        await room.adapter(connects_late=False)
        assert await room.held(ONE)  # though nobody wants it, and the kernel knows nothing of it
        start = time.monotonic()
        await room.until_let_go()
        measured("let go after", time.monotonic() - start, 5.0)
        await borrower.connect(ONE)
        measured("in use again after", time.monotonic() - start, 10.0)
    assert room.warned(f"{ONE}: ended a link that the kernel had forgotten")


@pytest.mark.fault("B16")
async def test_the_adapter_is_reset_behind_bluetoothds_back(room: BluetoothRoom, measured: Measured) -> None:
    """The kernel forgets all links, and the controller as well."""
    async with borrowing(ONE) as borrower:
        start = time.monotonic()
        await room.rig.run("hciconfig", await room.adapter_name(), "reset")
        await until(lambda: borrower.ends(ONE), 60.0)
        measured("a lost link told", time.monotonic() - start, 1.0)
        await room.watcher.until(lambda: not room.watcher.linked & set(UNITS), 60.0, "for the losses")
        await room.watcher.until_read(UNITS, 60.0)
        measured("data of all", time.monotonic() - start, 30.0)
        await borrower.connect(ONE)
        measured("connected again", time.monotonic() - start, 30.0)
    assert not room.warned("forgotten")


async def _rates(room: BluetoothRoom, meanwhile: Awaitable[Any]) -> tuple[Any, dict[str, float]]:
    """Await something; returns what that returns, and how often a second each unit was asked."""
    before, start = await room.requests(), time.monotonic()
    result = await meanwhile
    after, passed_s = await room.requests(), time.monotonic() - start
    return result, {unit: (after[unit] - before[unit]) / passed_s for unit in UNITS if after[unit] > before[unit]}


async def _flood(*options: object) -> int:
    program = Path(__file__).with_name("bluetooth_flood.py")
    paths = os.pathsep.join(path for path in sys.path if path)
    argv = [sys.executable, str(program), *map(str, options)]
    flood = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths})
    told, _ = await flood.communicate()
    return int(told)

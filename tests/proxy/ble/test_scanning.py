"""The scan that all share, on scanners and a kernel's channel that do as they are told; tests/bluez has real ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError
from waiting import until

from blupow_proxy.ble import AddressType, Forwarding, RawAdvertisement, Scan, ScannerState, Source, scanning
from blupow_proxy.ble.finder import Finder
from blupow_proxy.ble.management import BusyError
from blupow_proxy.errors import AdapterLostError, AdapterUnavailableError
from blupow_proxy.simulator import VirtualRadio

ADDRESS = "C4:D3:6A:00:00:01"
DEVICE = BLEDevice(ADDRESS, "one", None)
RAW = RawAdvertisement(0xC4D36A000001, AddressType.RANDOM, -61, b"\4\x09one")
EMPTY = RawAdvertisement(0xC4D36A000001, AddressType.RANDOM, -61, b"\2\1\6")
RUNNING = ScannerState.RUNNING


def data(name: str | None = "one") -> AdvertisementData:
    return AdvertisementData(name, {}, {}, [], None, -60, ())


class Scanner:
    """A scanner that fails as it is told."""

    def __init__(self, world: "World", detected: Callable[[BLEDevice, AdvertisementData], None], options: Any) -> None:
        self.hear = detected
        self.options = options
        self.stopped = False
        self.discovered_devices_and_advertisement_data: dict[str, Any] = {}
        self._failure = world.failures.pop(0) if world.failures else None
        self._gate = world.gate

    async def start(self) -> None:
        await asyncio.sleep(0)
        await self._gate.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        self.stopped = True


class Channel:
    """The kernel's."""

    def __init__(self, index: int, heard: Callable[[RawAdvertisement], None], gone: Callable[[], None]) -> None:
        self.index = index
        self.hear = heard
        self.go = gone
        self.passive = True
        self.closed = False
        self.begun = 0  # discoveries
        self.ended = 0

    async def begin_discovery(self) -> None:
        self.begun += 1

    async def end_discovery(self) -> None:
        self.ended += 1

    async def close(self) -> None:
        self.closed = True


class World:
    """A scan, and all that it makes."""

    def __init__(self) -> None:
        self.failures: list[Exception | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.index: int | None = None
        self.usable = True
        self.has_right = True
        self.is_busy = False
        self.scanners: list[Scanner] = []
        self.channels: list[Channel] = []
        self.heard: list[RawAdvertisement] = []
        self.states: list[tuple[ScannerState, bool, Source]] = []
        self.silences: list[float] = []
        self.refusals: list[int] = []
        self.scan = Scan(
            self._make,  # type: ignore[arg-type]
            usable=lambda: self.usable,
            index=lambda: self.index,
            on_silence=self.silences.append,
            on_refusal=self.refusals.append,
        )
        self.finder = Finder(self.scan)

    def _make(self, detected: Any, **options: Any) -> Scanner:
        self.scanners.append(Scanner(self, detected, options))
        return self.scanners[-1]

    async def open(self, index: int, heard: Any, gone: Any) -> Channel:
        await asyncio.sleep(0)
        if not self.has_right:
            raise AdapterUnavailableError("adapter", "no right")
        if self.is_busy:
            raise BusyError("adapter", "the kernel does not answer")
        self.channels.append(Channel(index, heard, gone))
        return self.channels[-1]

    def forward(self) -> Forwarding:
        return self.scan.forward(self.heard.append, self._changed)

    async def until(self, state: ScannerState, *, active: bool = True) -> None:
        await until(lambda: (self.scan.state, self.scan.active) == (state, active))

    def _changed(self) -> None:
        self.states.append((self.scan.state, self.scan.active, self.scan.source))


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World()
    monkeypatch.setattr(scanning.Management, "open", world.open)
    monkeypatch.setattr(scanning, "RETRY_S", 0.02)
    yield world
    world.gate.set()
    for forwarding in world.scan._forwardings:
        forwarding.stop()
    await until(lambda: world.scan._task is None)
    assert all(scanner.stopped for scanner in world.scanners)
    assert all(channel.closed for channel in world.channels[-1:] if channel is not None)


async def test_what_bluez_tells_is_forwarded(world: World) -> None:
    forwarding = world.forward()
    await world.until(RUNNING)
    assert world.scanners[0].options == {"every": True}
    world.scanners[0].hear(DEVICE, data())
    assert [one.data for one in world.heard] == [RAW.data]
    forwarding.stop()
    forwarding.stop()
    await world.until(ScannerState.STOPPED)
    assert [state for state, _, _ in world.states] == [ScannerState.STARTING, RUNNING]
    world.scanners[0].hear(DEVICE, data())
    assert len(world.heard) == 1


async def test_what_the_kernel_hears_is_forwarded(world: World) -> None:
    world.index = 0
    world.forward()
    await world.until(RUNNING)
    assert world.scanners[0].options == {}
    world.channels[0].hear(RAW)
    world.scanners[0].hear(DEVICE, data())
    assert world.heard == [RAW]
    assert world.states[-1] == (RUNNING, True, Source.RAW)


async def test_a_passive_scan_needs_the_kernel_alone_until_somebody_searches(world: World) -> None:
    world.index = 0
    forwarding = world.forward()
    forwarding.active = False
    await world.until(RUNNING, active=False)
    assert world.scanners == []
    finding = asyncio.create_task(world.finder.find(ADDRESS, 5.0))
    await world.until(RUNNING)
    scanner = world.scanners[0]
    world.channels[0].hear(RAW)  # BlueZ does not know it yet
    scanner.discovered_devices_and_advertisement_data[ADDRESS] = DEVICE, data()
    world.channels[0].hear(RAW)
    found = await finding
    assert found is not None
    assert found[1].rssi == RAW.rssi
    await world.until(RUNNING, active=False)
    assert len(world.channels) == 1
    forwarding.active = True
    await world.until(RUNNING)


async def test_without_the_kernel_it_stays_active(world: World) -> None:
    world.index, world.has_right = 0, False
    forwarding = world.forward()
    forwarding.active = False
    await world.until(RUNNING)
    assert [scanner.options for scanner in world.scanners] == [{"every": True}]
    assert not forwarding.active
    world.has_right = True
    world.scan.start_anew(AdapterLostError("adapter", "gone"))
    await world.until(RUNNING, active=False)
    assert world.scan.source is Source.RAW


async def test_a_kernel_that_was_busy_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MANAGE_AGAIN_S", 0.1)
    world.index, world.is_busy = 0, True
    forwarding = world.forward()
    forwarding.active = False
    await world.until(RUNNING)
    assert world.scan.source is Source.REBUILT
    world.is_busy = False
    await world.until(RUNNING, active=False)
    assert world.scan.source is Source.RAW


async def test_the_channel_dies(world: World) -> None:
    world.index = 0
    world.forward()
    await world.until(RUNNING)
    world.has_right = False
    world.channels[0].closed = True
    world.channels[0].go()
    await until(lambda: world.states[-1] == (RUNNING, True, Source.REBUILT))
    assert world.scanners[-1].options == {"every": True}


async def test_the_adapter_gets_another_number(world: World) -> None:
    world.index = 0
    world.forward()
    await world.until(RUNNING)
    world.index = 1
    world.scan.look_again()
    await until(lambda: len(world.channels) == 2 and world.scan.state is RUNNING)
    assert world.channels[0].closed
    assert world.channels[1].index == 1


async def test_a_refusal_is_told_and_tried_again(world: World) -> None:
    world.failures = [BleakDBusError("org.bluez.Error.InProgress", ["busy"])] * 2
    world.forward()
    await world.until(RUNNING)
    states = [state for state, _, _ in world.states]
    assert states == [ScannerState.STARTING, ScannerState.FAILED] * 2 + [ScannerState.STARTING, RUNNING]
    assert world.refusals == [1, 2]


async def test_what_nobody_foresaw_ends_no_forwarding(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scanning, "RETRY_AT_MOST_AFTER_S", 0.02)
    world.failures = [ZeroDivisionError("nobody foresaw it")]
    world.forward()
    await world.until(ScannerState.FAILED)
    assert "nobody foresaw it" in caplog.text
    await world.until(RUNNING)


async def test_an_adapter_that_is_not_there_is_waited_for(world: World) -> None:
    world.usable = False
    world.forward()
    await world.until(ScannerState.STARTING, active=False)
    world.scan.look_again()
    await world.until(ScannerState.FAILED, active=False)
    assert world.scanners == []
    world.usable = True
    world.scan.look_again()
    await world.until(RUNNING)


async def test_an_adapter_that_is_renewed_is_used_at_once(world: World) -> None:
    world.forward()
    await world.until(RUNNING)
    world.scan.start_anew(AdapterLostError("adapter", "gone"))
    await until(lambda: len(world.scanners) == 2 and world.scan.state is RUNNING)
    assert world.states[2][0] is ScannerState.STOPPING


async def test_silence_starts_it_anew_and_then_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "SILENT_S", 0.1)
    monkeypatch.setattr(scanning, "TICK_S", 0.02)
    world.index = 0
    world.forward()
    await until(lambda: len(world.scanners) == 2)
    assert world.silences == []
    world.channels[-1].hear(EMPTY)  # no life
    await until(lambda: len(world.silences) == 1)
    assert world.silences[0] >= 0.2
    world.channels[-1].hear(RAW)
    await until(lambda: len(world.scanners) == 4)
    assert len(world.silences) == 1


async def test_a_search_in_vain_does_not_end_a_scan_that_works(world: World) -> None:
    world.forward()
    await world.until(RUNNING)
    assert await world.finder.find("00:00:00:00:00:09", 0.05) is None
    assert len(world.scanners) == 1


async def test_a_search_in_vain_ends_a_scan_of_which_bluez_tells_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.forward()
    await world.until(RUNNING)
    monkeypatch.setattr(scanning, "SILENT_S", 0.0)
    assert await world.finder.find("00:00:00:00:00:09", 0.05) is None
    await until(lambda: len(world.scanners) == 2)


async def test_who_comes_while_it_starts_is_served(world: World) -> None:
    world.gate.clear()
    finding = asyncio.create_task(world.finder.find(ADDRESS, 5.0))
    await until(lambda: bool(world.scanners))
    world.forward()
    world.gate.set()
    await until(lambda: world.scanners[-1].options == {"every": True} and world.scan.state is RUNNING)
    world.scanners[-1].hear(DEVICE, data())
    assert await finding is not None
    assert len(world.scanners) == 2


async def test_a_forwarding_that_comes_as_the_last_goes(world: World) -> None:
    world.index = 0
    for _ in range(3):
        world.forward().stop()
        forwarding = world.forward()
        await world.until(RUNNING)
        forwarding.stop()
    world.forward()
    await world.until(RUNNING)


async def test_the_simulators_radio(radio: VirtualRadio) -> None:
    heard: list[RawAdvertisement] = []
    forwarding = radio.adapter.scan.forward(heard.append, lambda: None)
    addresses = {int(address.replace(":", ""), 16) for address in radio.peripherals}
    await until(lambda: {one.address for one in heard} == addresses)
    assert any(b"BT-TH-6A000001" in one.data for one in heard)
    found = await radio.adapter.finder.find(ADDRESS, 5.0)
    assert found is not None
    forwarding.stop()
    await until(lambda: radio.adapter.scan.state is ScannerState.STOPPED)


async def test_the_kernel_discovers_whatever_bluetoothd_believes(world: World) -> None:
    world.index = 0
    world.failures = [BleakDBusError("org.bluez.Error.InProgress", [])]
    forwarding = world.forward()
    await world.until(RUNNING)
    assert (world.channels[0].begun, world.channels[0].ended) == (1, 1)
    forwarding.active = False
    await world.until(RUNNING, active=False)
    assert world.channels[0].begun == 1

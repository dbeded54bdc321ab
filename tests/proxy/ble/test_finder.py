"""One scanner for everybody who waits, on unmodified bleak."""

import asyncio
import time
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError

from blupow_proxy.ble import finder, scanning
from blupow_proxy.ble.finder import Finder
from blupow_proxy.ble.scanning import Scan
from blupow_proxy.errors import AdapterUnavailableError
from blupow_proxy.simulator import VirtualRadio

ABSENT = "00:00:00:00:00:09"


async def test_who_is_absent_costs_the_others_nothing(radio: VirtualRadio) -> None:
    find = radio.adapter.finder.find
    absent = [asyncio.create_task(find(f"00:00:00:00:00:{number:02}", 30.0)) for number in range(4)]
    await asyncio.sleep(0)
    started = time.monotonic()
    found = await asyncio.gather(*(find(address.lower(), 5.0) for address in radio.peripherals))
    assert time.monotonic() - started < 2.0
    assert [advertisement.address for _, advertisement in found] == list(radio.peripherals)
    for task in absent:
        task.cancel()
    assert all(isinstance(outcome, BaseException) for outcome in await asyncio.gather(*absent, return_exceptions=True))


async def test_nobody_there(radio: VirtualRadio) -> None:
    assert await radio.adapter.finder.find(ABSENT, 0.1) is None


async def test_a_name_is_waited_for_but_not_for_ever(radio: VirtualRadio, monkeypatch: pytest.MonkeyPatch) -> None:
    address, peripheral = next(iter(radio.peripherals.items()))
    name, peripheral.unit.name = peripheral.unit.name, ""
    with monkeypatch.context() as patient:
        patient.setattr(finder, "NAME_S", 5.0)
        finding = asyncio.create_task(radio.adapter.finder.find(address, 5.0))
        await asyncio.sleep(0.12)
    peripheral.unit.name = name
    found = await finding
    assert found is not None
    assert found[1].name == name
    peripheral.unit.name = ""
    found = await radio.adapter.finder.find(address, 5.0)
    assert found is not None
    assert found[1].name is None


class Scanner:
    """A scanner that fails, hangs or is deaf as told."""

    started = 0
    stopped = 0

    def __init__(self, behaviour: Any = None) -> None:
        self._behaviour = behaviour
        self.discovered_devices_and_advertisement_data: dict[str, Any] = {}

    async def start(self) -> None:
        Scanner.started += 1
        if isinstance(self._behaviour, Exception):
            raise self._behaviour
        if self._behaviour == "hangs":
            await asyncio.Event().wait()

    async def stop(self) -> None:
        Scanner.stopped += 1
        if self._behaviour == "deaf":
            raise BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", [])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    Scanner.started = Scanner.stopped = 0
    monkeypatch.setattr(scanning, "START_S", 0.1)


async def test_a_failure_reaches_everybody_who_waits_and_only_them() -> None:
    behaviour: list[Any] = [BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"])]
    subject = Finder(Scan(lambda _: Scanner(behaviour[0])))  # type: ignore[arg-type,return-value]
    outcomes = await asyncio.gather(*(subject.find(ABSENT, 1.0) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, AdapterUnavailableError) for outcome in outcomes)
    assert "power on" in str(outcomes[0])
    assert Scanner.started == 1
    behaviour[0] = None
    assert await subject.find(ABSENT, 0.05) is None


async def test_a_bluetooth_service_that_hangs_is_named() -> None:
    subject = Finder(Scan(lambda _: Scanner("hangs")))  # type: ignore[arg-type,return-value]
    with pytest.raises(AdapterUnavailableError, match="systemctl restart bluetooth"):
        await subject.find(ABSENT, 1.0)


async def test_a_scanner_that_hears_nothing_is_made_anew_for_the_others() -> None:
    subject = Finder(Scan(lambda _: Scanner("deaf")))  # type: ignore[arg-type,return-value]
    patient = asyncio.create_task(subject.find(ABSENT, 0.5))
    assert await subject.find(ABSENT, 0.05) is None
    assert await patient is None
    assert Scanner.started == 2


async def test_what_nobody_foresaw_does_not_hang() -> None:
    def make(_: Any) -> Any:
        raise ZeroDivisionError

    subject = Finder(Scan(make))
    with pytest.raises(ZeroDivisionError):
        await subject.find(ABSENT, 5.0)


async def test_what_nobody_foresaw_in_a_later_scan_does_not_hang_either() -> None:
    scanners = iter([Scanner()])
    subject = Finder(Scan(lambda _: next(scanners)))  # type: ignore[arg-type,return-value]
    patient = asyncio.create_task(subject.find(ABSENT, 5.0))
    assert await subject.find(ABSENT, 0.05) is None
    started = time.monotonic()
    with pytest.raises(RuntimeError):
        await patient
    assert time.monotonic() - started < 1.0


async def test_a_scan_that_cannot_start_is_adapter_trouble() -> None:
    subject = Finder(Scan(lambda _: Scanner(BleakDBusError("org.bluez.Error.InProgress", ["busy\n"]))))  # type: ignore[arg-type,return-value]
    with pytest.raises(AdapterUnavailableError, match=r"scan failed: \[org.bluez.Error.InProgress\] busy$"):
        await subject.find(ABSENT, 1.0)


async def test_what_a_running_scan_has_heard_is_found_at_once() -> None:
    scanner = Scanner()
    subject = Finder(Scan(lambda _: scanner))  # type: ignore[arg-type,return-value]
    patient = asyncio.create_task(subject.find(ABSENT, 5.0))
    await asyncio.sleep(0.05)
    assert Scanner.started
    device = BLEDevice("C4:D3:6A:00:00:01", "BT-TH-6A000001", None)
    data = AdvertisementData("BT-TH-6A000001", {}, {}, [], None, -60, ())
    scanner.discovered_devices_and_advertisement_data[device.address] = device, data
    found = await subject.find(device.address, 0.0)
    assert found is not None
    assert found[0] is device
    patient.cancel()
    await asyncio.wait([patient])

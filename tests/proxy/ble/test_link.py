"""Unmodified BleakClient and BleakScanner on a virtual Bluetooth link."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from blupow_proxy.ble import Adapter, Link, link, scan
from blupow_proxy.errors import AdapterUnavailableError, DeadlineExceededError, DeviceNotFoundError, LinkLostError
from blupow_proxy.modbus import ExceptionResponse, ReadRequest, Response
from blupow_proxy.renogy import PushParser, identify_advertisement
from blupow_proxy.simulator import VirtualRadio, demo_units

LIVE = ReadRequest(0xFF, 256, 34)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses that real devices need, shorter."""
    monkeypatch.setattr(link, "WAKE_S", 0.0)
    monkeypatch.setattr(link, "QUIET_S", 0.2)
    monkeypatch.setattr(link, "FIND_S", 0.5)


@pytest.fixture
async def radio() -> AsyncIterator[VirtualRadio]:
    units = demo_units()
    for unit in units:
        unit.latency_s = 0.0
    async with VirtualRadio(units) as radio:
        yield radio


def addresses(radio: VirtualRadio) -> list[str]:
    return list(radio.peripherals)


async def test_scan_names_every_unit(radio: VirtualRadio) -> None:
    heard = await scan(radio.adapter, 0.3)
    assert {advertisement.address for advertisement in heard} == set(addresses(radio))
    assert all(identify_advertisement(a.name, a.service_uuids) for a in heard)
    assert "BT-TH-6A000001" in {advertisement.name for advertisement in heard}


@pytest.mark.parametrize("mtu", [23, 251])
async def test_request_at_both_mtus(radio: VirtualRadio, mtu: int) -> None:
    address = addresses(radio)[0]
    radio.peripherals[address].set_max_mtu(mtu)
    one = Link(radio.adapter, address)
    await one.connect()
    response = await one.request(LIVE, 1.0)
    assert isinstance(response, Response)
    assert len(response.data) == 68
    received = [frame for frame in one.raw_frames if not frame.sent]
    assert len(received) == (4 if mtu == 23 else 1)
    assert one.rssi == -61
    await one.disconnect()
    await one.disconnect()


async def test_exception_is_an_answer(radio: VirtualRadio) -> None:
    one = Link(radio.adapter, addresses(radio)[0])
    await one.connect()
    assert isinstance(await one.request(ReadRequest(0xFF, 0x5000, 1), 1.0), ExceptionResponse)
    await one.disconnect()


async def test_inverter_is_woken(radio: VirtualRadio) -> None:
    one = Link(radio.adapter, addresses(radio)[3])
    await one.connect()
    assert isinstance(await one.request(ReadRequest(0xFF, 4000, 10), 1.0), Response)
    await one.disconnect()


async def test_shunt_pushes(radio: VirtualRadio) -> None:
    parser = PushParser()
    frames: asyncio.Queue[object] = asyncio.Queue()

    def pushed(data: bytes) -> None:
        for readings in parser.feed(data):
            frames.put_nowait(readings)

    one = Link(radio.adapter, addresses(radio)[4], on_push=pushed)
    await one.connect()
    async with asyncio.timeout(5):
        assert await frames.get()
    with pytest.raises(LinkLostError):
        await one.request(LIVE, 1.0)
    await one.disconnect()


async def test_late_reply_never_answers_the_next_request(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    unit = radio.peripherals[address].unit
    one = Link(radio.adapter, address)
    await one.connect()
    unit.faults.reply_delay_s = 0.15
    with pytest.raises(DeadlineExceededError):
        await one.request(ReadRequest(0xFF, 256, 10), 0.05)
    unit.faults.reply_delay_s = None
    response = await one.request(ReadRequest(0xFF, 266, 10), 1.0)
    assert isinstance(response, Response)
    assert [frame.sent for frame in one.raw_frames] == [True, False, True, False]
    await one.disconnect()


async def test_lost_link_ends_the_request(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    peripheral = radio.peripherals[address]
    peripheral.unit.faults.silent = True
    one = Link(radio.adapter, address)
    await one.connect()
    waiting = asyncio.create_task(one.request(LIVE, 5.0))
    await asyncio.sleep(0)
    await peripheral.drop()
    with pytest.raises(LinkLostError):
        await waiting
    assert one.lost.is_set()
    with pytest.raises(LinkLostError):
        await one.request(LIVE, 1.0)


async def test_held_device_is_not_found(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    holder, other = Link(radio.adapter, address), Link(radio.adapter, address)
    await holder.connect()
    with pytest.raises(DeviceNotFoundError, match="phone app"):
        await other.connect()
    await holder.disconnect()
    await other.connect()
    assert isinstance(await other.request(LIVE, 1.0), Response)
    await other.disconnect()


async def test_second_request_in_flight_is_a_bug(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    radio.peripherals[address].unit.faults.silent = True
    one = Link(radio.adapter, address)
    await one.connect()
    first = asyncio.create_task(one.request(LIVE, 0.1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="in flight"):
        await one.request(LIVE, 0.1)
    with pytest.raises(DeadlineExceededError):
        await first
    await one.disconnect()


async def test_machine_without_bluetooth_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    with pytest.raises(AdapterUnavailableError):
        await scan(Adapter(), 0.1)

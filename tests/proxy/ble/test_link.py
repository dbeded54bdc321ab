"""Unmodified BleakClient and BleakScanner on a virtual Bluetooth link."""

import asyncio
import time
from typing import Any, NoReturn

import pytest
from bleak import BleakClient
from bleak.exc import BleakDBusError, BleakError

from blupow_proxy.ble import Adapter, Link, link, scan
from blupow_proxy.errors import AdapterUnavailableError, DeadlineExceededError, DeviceNotFoundError, LinkLostError
from blupow_proxy.modbus import ExceptionResponse, ReadRequest, Request, Response, WriteRequest
from blupow_proxy.renogy import PushParser, identify_advertisement
from blupow_proxy.simulator import VirtualRadio

LIVE = ReadRequest(0xFF, 256, 34)


def addresses(radio: VirtualRadio) -> list[str]:
    return list(radio.peripherals)


def _raise(error: Exception) -> NoReturn:
    raise error


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


async def test_a_late_reply_of_the_same_length_is_waited_for(radio: VirtualRadio) -> None:
    address = addresses(radio)[3]
    unit = radio.peripherals[address].unit
    one = Link(radio.adapter, address)
    await one.connect()
    unit.faults.reply_delay_s = 0.5  # past the silence that follows a timeout
    with pytest.raises(DeadlineExceededError):
        await one.request(ReadRequest(32, 4398, 10), 0.05)
    unit.faults.reply_delay_s = None
    response = await one.request(ReadRequest(32, 4000, 10), 1.0)
    assert isinstance(response, Response)
    assert response.data[4:6] == (1201).to_bytes(2)
    await one.disconnect()


async def test_it_says_what_it_holds_back(radio: VirtualRadio) -> None:
    address = addresses(radio)[3]
    radio.peripherals[address].unit.faults.silent = True
    one = Link(radio.adapter, address)
    await one.connect()
    unanswered = ReadRequest(32, 4398, 10)
    with pytest.raises(DeadlineExceededError):
        await one.request(unanswered, 0.05)
    assert 0 < one.held_s(ReadRequest(32, 4000, 10)) < link.LATE_S
    assert one.held_s(unanswered) == 0
    assert one.held_s(ReadRequest(32, 4000, 9)) == 0
    assert one.held_s(WriteRequest(32, 4000, 1)) == 0
    await asyncio.sleep(link.LATE_S)
    assert one.held_s(ReadRequest(32, 4000, 10)) == 0
    await one.disconnect()


async def test_of_two_alike_requests_both_replies_are_waited_for(radio: VirtualRadio) -> None:
    """The late reply to the first answers the second, whose own comes when another is asked for."""
    address = addresses(radio)[3]
    unit = radio.peripherals[address].unit
    delays = iter((0.4, 0.45, 0.4))
    unit.faults.delay = lambda _: next(delays)
    one = Link(radio.adapter, address)
    await one.connect()
    with pytest.raises(DeadlineExceededError):
        await one.request(ReadRequest(32, 4398, 10), 0.05)  # the line is quiet for 0.2 s
    assert isinstance(await one.request(ReadRequest(32, 4398, 10), 1.0), Response)
    response = await one.request(ReadRequest(32, 4000, 10), 1.0)
    assert isinstance(response, Response)
    assert response.data[4:6] == (1201).to_bytes(2)
    await one.disconnect()


async def test_the_same_question_is_asked_again_at_once(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    unit = radio.peripherals[address].unit
    one = Link(radio.adapter, address)
    await one.connect()
    unit.faults.silent = True
    with pytest.raises(DeadlineExceededError):
        await one.request(LIVE, 0.05)
    unit.faults.silent = False
    started = time.monotonic()
    await one.request(LIVE, 1.0)
    assert time.monotonic() - started < 0.3
    await one.disconnect()


async def test_a_late_refusal_is_nobodys(radio: VirtualRadio) -> None:
    address = addresses(radio)[0]
    unit = radio.peripherals[address].unit
    one = Link(radio.adapter, address)
    await one.connect()
    unit.faults.refused_registers.add(289)
    unit.faults.reply_delay_s = 0.4
    with pytest.raises(DeadlineExceededError):
        await one.request(ReadRequest(0xFF, 289, 2), 0.05)
    response = await one.request(LIVE, 1.0)
    assert isinstance(response, Response)
    await one.disconnect()


@pytest.mark.parametrize(
    ("unanswered", "refused"),
    [
        (ReadRequest(0x11, 256, 2), ReadRequest(0x01, 289, 2)),  # another device address
        (ReadRequest(0xFF, 256, 2), WriteRequest(0xFF, 0x0100, 0)),  # another function
    ],
)
async def test_a_refusal_that_can_only_be_of_this_request_counts(
    radio: VirtualRadio, unanswered: Request, refused: Request
) -> None:
    address = addresses(radio)[0]
    unit = radio.peripherals[address].unit
    unit.faults.silent_registers.add(256)
    unit.faults.refused_registers.add(289)
    one = Link(radio.adapter, address)
    await one.connect()
    with pytest.raises(DeadlineExceededError):
        await one.request(unanswered, 0.05)
    unit.faults.silent_registers.clear()
    assert isinstance(await one.request(refused, 1.0), ExceptionResponse)
    await one.disconnect()


async def test_a_write_that_hangs_ends_the_link(radio: VirtualRadio, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Link(radio.adapter, addresses(radio)[0])
    await one.connect()

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(link, "GATT_S", 0.05)
    monkeypatch.setattr(BleakClient, "write_gatt_char", hang)
    with pytest.raises(LinkLostError, match="restart bluetooth"):
        await one.request(LIVE, 1.0)
    await one.disconnect()


@pytest.mark.parametrize(
    "error", [BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []), BleakError("gone"), EOFError()], ids=str
)
async def test_disconnect_never_raises(radio: VirtualRadio, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    one = Link(radio.adapter, addresses(radio)[0])
    await one.connect()
    real = BleakClient.disconnect

    async def fail(client: BleakClient) -> None:
        await real(client)
        raise error

    monkeypatch.setattr(BleakClient, "disconnect", fail)
    await one.disconnect()


async def test_only_the_connection_in_use_can_be_lost(radio: VirtualRadio) -> None:
    one = Link(radio.adapter, addresses(radio)[0])
    await one.connect()
    one._disconnected(BleakClient("00:00:00:00:00:01", backend=radio.adapter._client_backend))
    assert not one.lost.is_set()
    assert isinstance(await one.request(LIVE, 1.0), Response)
    await one.disconnect()


async def test_a_device_that_leaves_while_it_is_set_up_is_a_lost_link(
    radio: VirtualRadio, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = addresses(radio)[0]
    real = BleakClient.start_notify

    async def leave(client: BleakClient, *args: Any, **kwargs: Any) -> None:
        await real(client, *args, **kwargs)
        await radio.peripherals[address].drop()
        monkeypatch.setattr(BleakClient, "services", property(lambda _: _raise(BleakError("not discovered yet"))))

    monkeypatch.setattr(BleakClient, "start_notify", leave)
    one = Link(radio.adapter, address)
    with pytest.raises(LinkLostError):
        await one.connect()
    await one.disconnect()


async def test_a_flood_costs_one_request_no_more(radio: VirtualRadio) -> None:
    one = Link(radio.adapter, addresses(radio)[0])
    await one.connect()
    fed = 0

    def feed(_: bytes) -> list[Any]:
        nonlocal fed
        fed += 1
        return []

    radio.peripherals[addresses(radio)[0]].unit.faults.silent = True
    waiting = asyncio.create_task(one.request(LIVE, 0.2))
    await asyncio.sleep(0.05)
    one._parser.feed = feed  # type: ignore[method-assign]
    for _ in range(1000):
        one._notified(None, bytearray(b"\xff\x03\xff" * 80))  # type: ignore[arg-type]
    with pytest.raises(DeadlineExceededError):
        await waiting
    assert fed == link.MAX_NOTIFICATIONS
    assert max(len(frame.data) for frame in one.raw_frames) <= link.RAW_BYTES
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

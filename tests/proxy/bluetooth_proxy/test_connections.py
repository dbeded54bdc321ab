"""Connecting and disconnecting: what is answered, in which order."""

import asyncio
import logging

import pytest
from aioesphomeapi import api_pb2
from bluetooth_bench import LAMP, LOCK, OWN, TOY, Bench, device_request, told
from bluetooth_doubles import Device, Recorder

from blupow_proxy.ble import GattCharacteristic, GattService
from blupow_proxy.bluetooth_proxy import ProxyLimits, Rules, address_number
from blupow_proxy.bluetooth_proxy.connection import MAX_SERVICES_BYTES
from blupow_proxy.errors import (
    AdapterLostError,
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    GattError,
    LinkLostError,
    NoFreeSlotError,
)
from blupow_proxy.native_api.framing import MAX_BODY_BYTES

CONNECT, DISCONNECT, PAIR, UNPAIR, CLEAR_CACHE = 4, 1, 2, 3, 6
READ = api_pb2.BluetoothGATTReadRequest(address=address_number(TOY), handle=0x2A)
FREE = "slots 01 of 3"
RESERVED = "slots 01 02 of 3"


def slowly(*steps: str):
    def prepare(device: Device) -> None:
        device.slow |= set(steps)

    return prepare


@pytest.mark.parametrize("kind", [4, 5])
async def test_a_slot_then_connected_once_all_is_known(bench: Bench, kind: int) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("connect")
    assert await bench.ask(device_request(kind)) == [RESERVED]
    bench.devices.made[0].proceed("connect")
    await bench.settle()
    assert told(bench.client) == ["connected 02 mtu 247"]
    assert bench.devices.made[0].address == TOY


async def test_disconnected_before_the_slot_is_free(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("disconnect")
    device = await bench.connected()
    assert await bench.ask(device_request(DISCONNECT)) == ["disconnected 02 error 0"]
    device.proceed("disconnect")
    await bench.settle()
    assert told(bench.client) == [FREE]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (DeviceNotFoundError(TOY, "x"), 0x3E),
        (DeadlineExceededError(TOY, "connecting", 1), 0x08),
        (LinkLostError(TOY, "x"), 0x3E),
        (LinkLostError(TOY, "x", reason=0x100), 0x100),
        (AdapterUnavailableError(TOY, "x"), 0x16),
        (AdapterLostError(TOY, "x"), 0x16),
        (NoFreeSlotError(TOY, "x"), 17),
        (GattError(TOY, 5, "x"), 0x85),
        (BleError(TOY, "x"), 0),
    ],
)
async def test_a_device_that_can_not_be_connected(bench: Bench, error: BleError, number: int) -> None:
    await bench.subscribed()
    bench.devices.prepare = lambda device: device.failing.update(connect=error)
    assert await bench.ask(device_request(CONNECT)) == [RESERVED, f"disconnected 02 error {number}", FREE]
    assert bench.devices.made[0].disconnects == 1


async def test_connecting_again_is_answered_again_or_once_it_is_done(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("connect")
    await bench.ask(device_request(CONNECT))
    assert await bench.ask(device_request(CONNECT)) == []
    bench.devices.made[0].proceed("connect")
    await bench.settle()
    assert told(bench.client) == ["connected 02 mtu 247"]
    assert await bench.ask(device_request(CONNECT)) == ["connected 02 mtu 247"]
    assert len(bench.devices.made) == 1


async def test_disconnecting_while_it_connects(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("connect")
    await bench.ask(device_request(CONNECT))
    assert await bench.ask(device_request(DISCONNECT)) == ["disconnected 02 error 0", FREE]
    assert bench.devices.made[0].steps == ["connect", "disconnect"]


async def test_who_gives_up_and_tries_again_at_once_hears_of_the_new_attempt_alone(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("connect", "disconnect")
    await bench.ask(device_request(CONNECT))
    assert await bench.ask(device_request(DISCONNECT)) == []
    bench.devices.prepare = lambda _: None
    assert await bench.ask(device_request(CONNECT)) == []
    bench.devices.made[0].proceed("disconnect")
    await bench.settle()
    assert told(bench.client) == ["connected 02 mtu 247"]


async def test_disconnecting_before_it_has_begun(bench: Bench) -> None:
    await bench.subscribed()
    bench.proxy.asked(bench.client, device_request(CONNECT))
    assert await bench.ask(device_request(DISCONNECT)) == [RESERVED, "disconnected 02 error 0", FREE]
    assert bench.devices.made[0].steps == ["disconnect"]


async def test_disconnecting_what_is_not_connected(bench: Bench) -> None:
    await bench.subscribed()
    assert await bench.ask(device_request(DISCONNECT)) == ["disconnected 02 error 0", FREE]
    assert await bench.ask(device_request(DISCONNECT, OWN)) == ["disconnected 01 error 0", FREE]
    assert await bench.ask(device_request(DISCONNECT), Recorder()) == ["disconnected 02 error 0"]


async def test_connecting_while_it_disconnects_waits_its_turn_and_keeps_the_slot(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("disconnect")
    first = await bench.connected()
    await bench.ask(device_request(DISCONNECT))
    assert await bench.ask(device_request(CONNECT)) == []
    assert await bench.ask(READ) == ["error 02 42 -1"]
    first.proceed("disconnect")
    await bench.settle()
    assert told(bench.client) == ["connected 02 mtu 247"]
    assert len(bench.devices.made) == 2


async def test_what_waits_for_its_turn_can_be_taken_back(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("disconnect")
    first = await bench.connected()
    for kind in (DISCONNECT, CONNECT):
        await bench.ask(device_request(kind))
    assert await bench.ask(device_request(DISCONNECT)) == []
    first.proceed("disconnect")
    await bench.settle()
    assert told(bench.client) == ["disconnected 02 error 0", FREE]


async def test_a_new_subscriber_gets_the_device_once_the_former_ones_link_has_ended(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("disconnect")
    first = await bench.connected()
    second = Recorder("10.0.0.2")
    await bench.subscribed(second)
    assert told(bench.client) == ["disconnected 02 error 22"]
    assert await bench.ask(device_request(CONNECT), second) == []
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]
    first.proceed("disconnect")
    await bench.settle()
    assert told(second) == ["connected 02 mtu 247"]
    assert told(bench.client) == []
    assert await bench.ask(READ, second) == ["GATTRead 02 42 64"]
    assert await bench.ask(READ) == ["error 02 42 -1"]


async def test_who_waits_for_its_turn_hears_that_another_client_has_it(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = slowly("disconnect")
    first = await bench.connected()
    for kind in (DISCONNECT, CONNECT):
        await bench.ask(device_request(kind))
    second = await bench.subscribed(Recorder("10.0.0.2"))
    assert told(bench.client) == ["disconnected 02 error 22"]
    first.proceed("disconnect")
    await bench.settle()
    assert told(second) == [FREE]
    assert len(bench.devices.made) == 1


async def test_no_more_than_the_slots(bench: Bench) -> None:
    await bench.subscribed()
    await bench.connected()
    await bench.connected(LAMP)
    third = "AA:BB:CC:00:00:09"
    assert await bench.ask(device_request(CONNECT, third)) == ["disconnected 09 error 17"]
    await bench.ask(device_request(DISCONNECT))
    await bench.connected(third)


@pytest.mark.parametrize("address", [OWN, LOCK])
async def test_what_is_not_for_clients(bench: Bench, address: str, caplog: pytest.LogCaptureFixture) -> None:
    await bench.subscribed()
    assert await bench.ask(device_request(CONNECT, address)) == [f"disconnected {address[-2:]} error 6"]
    assert await bench.ask(device_request(PAIR, address)) == [f"paired {address[-2:]} False -1"]
    assert bench.devices.made == []
    assert caplog.records[0].levelno == logging.WARNING
    assert address in caplog.text


@pytest.mark.parametrize("address", [OWN, LOCK, TOY])
async def test_what_is_no_address_leads_to_no_device(bench: Bench, address: str) -> None:
    await bench.subscribed()
    request = device_request(CONNECT, address)
    request.address += 1 << 48
    assert await bench.ask(request) == [f"disconnected {address[-2:]} error 6"]
    assert bench.devices.made == []


async def test_an_old_kind_of_request(bench: Bench) -> None:
    await bench.subscribed()
    assert await bench.ask(device_request(0)) == ["disconnected 02 error 6"]
    await bench.connected()
    assert await bench.ask(device_request(0)) == ["connected 02 mtu 247"]  # it is, whatever was asked


async def test_a_kind_of_request_that_nobody_knows(bench: Bench) -> None:
    await bench.subscribed()
    assert await bench.ask(device_request(7)) == []


async def test_connections_need_encryption(bench: Bench) -> None:
    bench.client.encrypted = False
    await bench.subscribed()
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]


async def test_connections_need_the_subscription(bench: Bench) -> None:
    await bench.ask(api_pb2.SubscribeBluetoothConnectionsFreeRequest())
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]
    await bench.subscribed(Recorder())
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]


async def test_connections_can_be_switched_off() -> None:
    bench = Bench(active=False)
    await bench.ask(api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1))
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]
    assert await bench.ask(api_pb2.SubscribeBluetoothConnectionsFreeRequest()) == ["slots 01 of 1"]
    await bench.proxy.stop()


async def test_only_so_many_connects(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(limits=ProxyLimits(connects=3, connects_per_s=0.0))
    bench.devices.prepare = lambda device: device.failing.update(connect=DeviceNotFoundError(TOY, "x"))
    await bench.subscribed()
    answers = [(await bench.ask(device_request(CONNECT)))[-1] for _ in range(5)]
    assert answers == [FREE] * 3 + ["disconnected 02 error 132"] * 2
    assert "too many" in caplog.text
    await bench.proxy.stop()


@pytest.mark.parametrize(
    ("error", "number"), [(LinkLostError(TOY, "gone"), 0), (LinkLostError(TOY, "gone", reason=0x100), 0x100)]
)
async def test_a_link_that_is_lost(
    bench: Bench, error: BleError, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await bench.subscribed()
    bench.devices.prepare = slowly("read")
    device = await bench.connected()
    assert await bench.ask(READ) == []
    assert await bench.ask(READ) == []
    device.lose(error)
    assert told(bench.client) == ["error 02 42 -1"] * 2 + [f"disconnected 02 error {number}"]
    device.lose(error)
    await bench.settle()
    assert told(bench.client) == [FREE]
    assert device.disconnects == 1
    assert caplog.messages == [f"Connected {TOY} for 10.0.0.1", f"Disconnected {TOY} from 10.0.0.1: gone"]


async def test_a_link_that_is_lost_while_it_is_set_up(bench: Bench) -> None:
    await bench.subscribed()

    def prepare(device: Device) -> None:
        async def connect() -> None:
            device.services = device.offered
            device.lose(LinkLostError(TOY, "gone"))  # and nobody has noticed

        device.connect = connect

    bench.devices.prepare = prepare
    assert await bench.ask(device_request(CONNECT)) == [RESERVED, "disconnected 02 error 62", FREE]


async def test_a_set_up_that_ends_well_although_it_was_cancelled(bench: Bench) -> None:
    await bench.subscribed()

    def prepare(device: Device) -> None:
        async def connect() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

        device.connect = connect

    bench.devices.prepare = prepare
    await bench.ask(device_request(CONNECT))
    assert await bench.ask(device_request(DISCONNECT)) == ["disconnected 02 error 0", FREE]


async def test_more_services_than_clients_can_take(bench: Bench) -> None:
    await bench.subscribed()
    custom = "0f0e0d0c-0b0a-0908-0706-050403020100"
    huge = tuple(GattCharacteristic(handle, custom, 2) for handle in range(2, 4000))
    bench.devices.prepare = lambda device: setattr(device, "offered", (GattService(1, custom, huge),))
    assert await bench.ask(device_request(CONNECT)) == [RESERVED, "disconnected 02 error 133", FREE]


async def test_no_services_are_a_failure_and_no_list_to_remember(bench: Bench) -> None:
    await bench.subscribed()
    bench.devices.prepare = lambda device: setattr(device, "offered", ())
    assert await bench.ask(device_request(CONNECT)) == [RESERVED, "disconnected 02 error 133", FREE]
    assert bench.devices.made[0].disconnects == 1


def test_a_list_that_is_taken_fits_a_frame_though_it_is_one_service() -> None:
    assert MAX_SERVICES_BYTES <= MAX_BODY_BYTES


async def test_what_nobody_foresaw_is_logged_and_keeps_no_slot(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.failing["read"] = ValueError("oops")
    assert await bench.ask(READ) == ["error 02 42 -1", "disconnected 02 error 22", FREE]
    assert "oops" in caplog.text


async def test_what_is_cancelled_from_below_keeps_no_slot(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.failing["read"] = asyncio.CancelledError()
    assert await bench.ask(READ) == ["error 02 42 -1", "disconnected 02 error 22", FREE]


@pytest.mark.parametrize("slow", ["connect", "read"])
async def test_a_device_whose_name_is_heard_too_late_is_let_go(bench: Bench, slow: str) -> None:
    bench.proxy._rules = Rules(owned=[OWN], deny=["Toothbrush"])
    await bench.subscribed()
    bench.devices.prepare = slowly(slow)
    connected = [] if slow == "connect" else ["connected 02 mtu 247"]
    assert await bench.ask(device_request(CONNECT)) == [RESERVED, *connected]
    bench.air.say(address_number(TOY), b"\x0b\x09Toothbrush")
    await bench.settle()
    assert told(bench.client) == ["disconnected 02 error 6", FREE]
    assert await bench.ask(device_request(CONNECT)) == ["disconnected 02 error 6"]

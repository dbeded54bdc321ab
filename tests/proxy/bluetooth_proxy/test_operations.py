"""What is asked of connected devices: one answer each, in order, and never a late one."""

import asyncio

import pytest
from aioesphomeapi import api_pb2
from bluetooth_bench import LAMP, TOY, Bench, device_request, told
from bluetooth_doubles import BATTERY_LEVEL, CONTROL, Recorder

from blupow_proxy.ble import MAX_VALUE_BYTES, ConnectionParameters, GattCharacteristic, GattService
from blupow_proxy.bluetooth_proxy import ProxyLimits, address_number
from blupow_proxy.bluetooth_proxy.connection import MAX_NOTIFYING, MAX_WAITING, MAX_WAITING_WRITES
from blupow_proxy.errors import DeadlineExceededError, GattError, LinkLostError

ADDRESS = address_number(TOY)
PAIR, UNPAIR, CLEAR_CACHE = 2, 3, 6


def read(handle: int = BATTERY_LEVEL, address: str = TOY):
    return api_pb2.BluetoothGATTReadRequest(address=address_number(address), handle=handle)


def write(data: bytes, *, response: bool = True, handle: int = CONTROL):
    return api_pb2.BluetoothGATTWriteRequest(address=ADDRESS, handle=handle, response=response, data=data)


def notify(enable: bool, handle: int = BATTERY_LEVEL):
    return api_pb2.BluetoothGATTNotifyRequest(address=ADDRESS, handle=handle, enable=enable)


SERVICES = api_pb2.BluetoothGATTGetServicesRequest(address=ADDRESS)
READ_DESCRIPTOR = api_pb2.BluetoothGATTReadDescriptorRequest(address=ADDRESS, handle=0x2C)
WRITE_DESCRIPTOR = api_pb2.BluetoothGATTWriteDescriptorRequest(address=ADDRESS, handle=0x2B, data=b"\1\0")
PARAMETERS = api_pb2.BluetoothSetConnectionParamsRequest(address=ADDRESS, min_interval=6, max_interval=12, timeout=100)
EVERYTHING = {
    "services": (SERVICES, ["services 02 [40, 46]", "GATTGetServicesDone 02"], "error 02 0 {}"),
    "read": (read(), ["GATTRead 02 42 64"], "error 02 42 {}"),
    "write": (write(b"x"), ["GATTWrite 02 48"], "error 02 48 {}"),
    "read_descriptor": (READ_DESCRIPTOR, ["GATTRead 02 44 0400ad27010000"], "error 02 44 {}"),
    "write_descriptor": (WRITE_DESCRIPTOR, ["GATTWrite 02 43"], "error 02 43 {}"),
    "notify": (notify(True), ["GATTNotify 02 42"], "error 02 42 {}"),
    "pair": (device_request(PAIR), ["paired 02 True 0"], "paired 02 False {}"),
    "unpair": (device_request(UNPAIR), ["DeviceUnpairing 02 True 0"], "DeviceUnpairing 02 False {}"),
    "clear_cache": (device_request(CLEAR_CACHE), ["DeviceClearCache 02 True 0"], "DeviceClearCache 02 False {}"),
    "set_connection_parameters": (PARAMETERS, ["SetConnectionParams 02 0"], "SetConnectionParams 02 {}"),
}
STEPS = [name for name in EVERYTHING if name != "services"]


@pytest.mark.parametrize("name", EVERYTHING)
async def test_what_is_asked_is_done(bench: Bench, name: str) -> None:
    await bench.subscribed()
    device = await bench.connected()
    request, answer, _ = EVERYTHING[name]
    assert await bench.ask(request) == answer
    assert device.steps == ["connect"] + [name] * (name != "services")


@pytest.mark.parametrize("name", STEPS)
async def test_a_devices_refusal_keeps_the_link(bench: Bench, name: str) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.failing[name] = GattError(TOY, 5, "not paired")
    request, _, refusal = EVERYTHING[name]
    assert await bench.ask(request) == [refusal.format(5)]
    assert await bench.ask(SERVICES) == ["services 02 [40, 46]", "GATTGetServicesDone 02"]


@pytest.mark.parametrize("error", [LinkLostError(TOY, "gone"), DeadlineExceededError(TOY, "it", 1)])
@pytest.mark.parametrize("name", STEPS)
async def test_what_fails_otherwise_ends_the_link(bench: Bench, name: str, error: Exception) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.failing[name] = error
    request, _, refusal = EVERYTHING[name]
    reason = 8 if isinstance(error, DeadlineExceededError) else 0
    assert await bench.ask(request) == [refusal.format(-1), f"disconnected 02 error {reason}", "slots 01 of 3"]
    assert device.disconnects == 1


@pytest.mark.parametrize("name", EVERYTHING)
async def test_without_a_link_there_is_an_answer_too(bench: Bench, name: str) -> None:
    await bench.subscribed()
    request, _, refusal = EVERYTHING[name]
    assert await bench.ask(request) == [refusal.format(-1)]
    bench.devices.prepare = lambda device: device.slow.add("connect")
    await bench.ask(device_request(4))
    assert await bench.ask(request) == [refusal.format(-1)]


@pytest.mark.parametrize("name", EVERYTHING)
async def test_another_clients_device_is_not_connected(bench: Bench, name: str) -> None:
    await bench.subscribed()
    await bench.connected()
    request, _, refusal = EVERYTHING[name]
    assert await bench.ask(request, Recorder()) == [refusal.format(-1)]
    assert told(bench.client) == []


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("unpair", "clear_cache")])
async def test_what_is_under_way_when_the_link_is_lost(bench: Bench, name: str) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.slow.add(name)
    request, _, refusal = EVERYTHING[name]
    for message in (request, SERVICES, read(0x99), device_request(PAIR)):
        assert await bench.ask(message) == []
    device.lose()
    late = [refusal.format(-1), "error 02 0 -1", "error 02 153 -1", "paired 02 False -1", "disconnected 02 error 0"]
    assert told(bench.client) == late
    await bench.settle()
    assert told(bench.client) == ["slots 01 of 3"]


@pytest.mark.parametrize("name", ["unpair", "clear_cache"])
async def test_what_may_end_the_link_is_answered_before(bench: Bench, name: str) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.slow.add(name)
    request, answer, _ = EVERYTHING[name]
    assert await bench.ask(request) == []
    assert await bench.ask(read()) == []
    device.on_lost(LinkLostError(TOY, "forgotten"))
    assert told(bench.client) == []
    device.proceed(name)
    await bench.settle()
    assert told(bench.client) == [*answer, "error 02 42 -1", "disconnected 02 error 0", "slots 01 of 3"]


@pytest.mark.parametrize("late", ["answer", "error"])
async def test_a_late_result_answers_nothing(bench: Bench, late: str) -> None:
    await bench.subscribed()
    device = await bench.connected()

    async def stubborn(handle: int) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if late == "error":
                raise LinkLostError(TOY, "late") from None
        return b"late"

    device.read = stubborn
    await bench.ask(read())
    assert await bench.ask(device_request(1)) == ["error 02 42 -1", "disconnected 02 error 0", "slots 01 of 3"]
    await bench.connected()
    assert await bench.ask(read()) == ["GATTRead 02 42 64"]


async def test_answers_come_in_order_and_devices_never_wait_for_each_other(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    await bench.connected(LAMP)
    device.slow.add("read")
    for message in (read(), write(b"x"), read(0x2C)):
        assert await bench.ask(message) == []
    assert await bench.ask(read(address=LAMP)) == ["GATTRead 03 42 64"]
    device.proceed("read")
    await bench.settle()
    assert told(bench.client) == ["GATTRead 02 42 64", "GATTWrite 02 48"]
    device.proceed("read")
    await bench.settle()
    assert told(bench.client) == ["GATTRead 02 44 0400ad27010000"]


async def test_writes_without_response_are_answered_as_esphome_does(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    assert await bench.ask(write(b"abc", response=False)) == ["GATTWrite 02 48"]
    assert device.values[CONTROL] == b"abc"


async def test_notifications_while_they_are_wanted(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    assert await bench.ask(WRITE_DESCRIPTOR) == ["GATTWrite 02 43"]
    device.on_notified(BATTERY_LEVEL, b"\1")
    assert told(bench.client) == []
    assert await bench.ask(notify(True)) == ["GATTNotify 02 42"]
    assert await bench.ask(notify(True)) == ["GATTNotify 02 42"]
    device.say(BATTERY_LEVEL, b"\2")
    assert told(bench.client) == ["GATTNotifyData 02 42 02"]
    assert await bench.ask(write(b"\3")) == ["GATTNotifyData 02 42 03", "GATTWrite 02 48"]
    bench.client.lagging = True
    device.say(BATTERY_LEVEL, b"\4")
    bench.client.lagging = False
    assert await bench.ask(notify(False)) == ["GATTNotify 02 42"]
    device.on_notified(BATTERY_LEVEL, b"\5")
    assert told(bench.client) == []


async def test_notifications_before_they_are_confirmed(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.slow.add("notify")
    await bench.ask(notify(True))
    device.on_notified(BATTERY_LEVEL, b"\1")
    device.proceed("notify")
    await bench.settle()
    assert told(bench.client) == ["GATTNotifyData 02 42 01", "GATTNotify 02 42"]


async def test_notifications_that_are_refused(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    assert await bench.ask(notify(True, 0x99)) == ["error 02 153 1"]
    device.on_notified(0x99, b"\1")
    assert told(bench.client) == []


async def test_only_so_many_characteristics_notify(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.values |= dict.fromkeys(range(100, 200), b"")
    for handle in range(100, 100 + MAX_NOTIFYING):
        assert await bench.ask(notify(True, handle)) == [f"GATTNotify 02 {handle}"]
    assert await bench.ask(notify(True)) == ["error 02 42 17"]
    assert await bench.ask(notify(True, 100)) == ["GATTNotify 02 100"]
    await bench.ask(notify(False, 100))
    assert await bench.ask(notify(True)) == ["GATTNotify 02 42"]


async def test_only_so_many_bytes_are_written(bench: Bench) -> None:
    await bench.subscribed()
    await bench.connected()
    assert await bench.ask(write(bytes(MAX_VALUE_BYTES))) == ["GATTWrite 02 48"]
    assert await bench.ask(write(bytes(MAX_VALUE_BYTES + 1))) == ["error 02 48 13"]


async def test_only_so_many_requests_wait(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    device.slow.add("read")
    await bench.ask(read())
    for _ in range(MAX_WAITING):
        bench.proxy.asked(bench.client, write(b"x"))
    for _ in range(MAX_WAITING_WRITES):
        bench.proxy.asked(bench.client, write(b"y", response=False))
    assert told(bench.client) == []
    assert await bench.ask(write(b"z", response=False)) == ["error 02 48 143"]
    assert await bench.ask(read()) == ["error 02 42 132"]
    device.proceed("read")
    while device.steps.count("write") < MAX_WAITING + MAX_WAITING_WRITES:
        await bench.settle()
    assert told(bench.client) == ["GATTRead 02 42 64"] + ["GATTWrite 02 48"] * (MAX_WAITING + MAX_WAITING_WRITES)


async def test_only_so_many_requests_in_a_time() -> None:
    bench = Bench(limits=ProxyLimits(requests=3, requests_per_s=0.0))
    await bench.subscribed()
    await bench.connected()
    assert [await bench.ask(read()) for _ in range(4)] == [["GATTRead 02 42 64"]] * 3 + [["error 02 42 143"]]
    await bench.proxy.stop()


async def test_services_never_come_in_part(bench: Bench) -> None:
    await bench.subscribed()
    custom = "0f0e0d0c-0b0a-0908-0706-050403020100"
    many = tuple(
        GattService(start, custom, tuple(GattCharacteristic(start + at, custom, 2) for at in range(1, 20)))
        for start in range(1, 400, 20)
    )
    bench.devices.prepare = lambda device: setattr(device, "offered", many)
    device = await bench.connected()
    *batches, done = await bench.ask(SERVICES)
    assert len(batches) > 5
    assert done == "GATTGetServicesDone 02"
    device.slow.add("read")
    await bench.ask(read())
    await bench.ask(SERVICES)
    device.lose()
    assert told(bench.client) == ["error 02 42 -1", "error 02 0 -1", "disconnected 02 error 0"]


async def test_parameters_of_a_connection(bench: Bench) -> None:
    await bench.subscribed()
    assert await bench.ask(PARAMETERS) == ["SetConnectionParams 02 -1"]
    device = await bench.connected()
    assert await bench.ask(PARAMETERS) == ["SetConnectionParams 02 0"]
    assert device.parameters == ConnectionParameters(6, 12, 0, 100)
    assert await bench.ask(PARAMETERS, Recorder()) == ["SetConnectionParams 02 -1"]

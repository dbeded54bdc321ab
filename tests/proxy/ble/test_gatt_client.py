"""GattClient with unmodified bleak on a virtual link: handles, errors, subscriptions, ends."""

import asyncio
from typing import Any

import pytest
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError
from waiting import until

from blupow_proxy.ble import CCCD, GattClient, gatt_client
from blupow_proxy.ble.gatt_failures import att_code
from blupow_proxy.errors import AdapterLostError, BleError, DeviceNotFoundError, GattError, LinkLostError
from blupow_proxy.modbus import ReadRequest
from blupow_proxy.renogy import gatt
from blupow_proxy.simulator import VirtualRadio

ASKED = ReadRequest(0xFF, 256, 34).encode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatt_client, "FIND_S", 0.5)


class Connected:
    """A client of one of the demo's units, and what it was told."""

    def __init__(self, radio: VirtualRadio, number: int = 0) -> None:
        self.address = list(radio.peripherals)[number]
        self.peripheral = radio.peripherals[self.address]
        self.notified: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self.lost: list[BleError] = []
        self.client = GattClient(
            radio.adapter,
            self.address.lower(),
            on_notified=lambda handle, data: self.notified.put_nowait((handle, data)),
            on_lost=self.lost.append,
        )

    def handle(self, uuid: str) -> int:
        found = (one for service in self.client.services for one in service.characteristics)
        return next(one.handle for one in found if one.uuid == uuid)

    def cccd(self, uuid: str) -> int:
        found = (one for service in self.client.services for one in service.characteristics)
        descriptors = next(one.descriptors for one in found if one.uuid == uuid)
        return next(one.handle for one in descriptors if one.uuid == CCCD)

    async def until_notified(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            return await self.notified.get()


@pytest.fixture
async def one(radio: VirtualRadio) -> Connected:
    connected = Connected(radio)
    await connected.client.connect()
    return connected


async def test_the_table_is_the_devices_own(radio: VirtualRadio, one: Connected) -> None:
    table = {att.handle: att.type for att in one.peripheral._device.gatt_server.attributes}
    assert {service.uuid for service in one.client.services} >= {gatt.WRITE_SERVICE, gatt.NOTIFY_SERVICE}
    handles: list[int] = []
    for service in one.client.services:
        handles.append(service.handle)
        for characteristic in service.characteristics:
            handles.append(characteristic.handle)
            assert str(table[characteristic.handle].to_hex_str()).lower() in characteristic.uuid.replace("-", "")
            notifies = bool(characteristic.properties & 0x30)
            assert notifies == any(descriptor.uuid == CCCD for descriptor in characteristic.descriptors)
    assert handles == sorted(handles)
    assert one.client.mtu == 251
    assert radio.adapter.connected == 1
    await one.client.disconnect()
    assert radio.adapter.connected == 0
    assert not one.lost


@pytest.mark.parametrize("by_descriptor", [False, True])
async def test_request_and_notification(one: Connected, by_descriptor: bool) -> None:
    cccd = one.cccd(gatt.NOTIFY_CHARACTERISTIC)
    assert await one.client.read_descriptor(cccd) == b"\0\0"
    for _ in range(2):
        await one.client.notify(one.handle(gatt.NOTIFY_CHARACTERISTIC), enable=True)
        if by_descriptor:
            await one.client.write_descriptor(cccd, b"\1\0")
    assert await one.client.read_descriptor(cccd) == b"\1\0"
    await one.client.write(one.handle(gatt.WRITE_CHARACTERISTIC), ASKED, response=by_descriptor)
    handle, data = await one.until_notified()
    assert handle == one.handle(gatt.NOTIFY_CHARACTERISTIC)
    assert data[:3] == bytes((0xFF, 3, 68))
    await one.client.write_descriptor(cccd, b"\0\0")
    assert await one.client.read_descriptor(cccd) == b"\0\0"
    await one.client.notify(one.handle(gatt.NOTIFY_CHARACTERISTIC), enable=False)
    await one.client.write(one.handle(gatt.WRITE_CHARACTERISTIC), ASKED, response=True)
    assert await one.client.read(one.handle(gatt.WAKE_CHARACTERISTIC)) == b"\0"
    assert one.notified.empty()
    await one.client.disconnect()


async def test_refusals_leave_the_link_as_it_is(one: Connected) -> None:
    client, write = one.client, one.handle(gatt.WRITE_CHARACTERISTIC)
    cccd = one.cccd(gatt.NOTIFY_CHARACTERISTIC)
    for work, code in (
        (client.read(999), 0x01),
        (client.read(cccd), 0x01),
        (client.write(999, b"", response=True), 0x01),
        (client.notify(999, enable=True), 0x01),
        (client.read_descriptor(999), 0x01),
        (client.write_descriptor(999, b"\1\0"), 0x01),
        (client.write_descriptor(write, b"\1\0"), 0x01),
        (client.notify(write, enable=True), 0x06),
        (client.write(write, bytes(513), response=True), 0x0D),
        (client.write(write, bytes(client.mtu - 2), response=False), 0x0D),
        (client.write_descriptor(cccd, b"\1"), 0x0D),
    ):
        with pytest.raises(GattError) as raised:
            await work
        assert raised.value.code == code
    assert await client.read(one.handle(gatt.WAKE_CHARACTERISTIC)) == b"\0"
    await client.disconnect()
    with pytest.raises(LinkLostError) as ended:
        await client.read(write)
    assert ended.value.reason == 0x16


async def test_a_device_that_leaves_is_told_once(radio: VirtualRadio, one: Connected) -> None:
    await one.peripheral.drop()
    await until(lambda: one.lost, 5.0)
    assert not one.client.is_connected
    assert radio.adapter.links == set()
    with pytest.raises(LinkLostError) as raised:
        await one.client.read(one.handle(gatt.WAKE_CHARACTERISTIC))
    assert raised.value is one.lost[0]
    await one.client.disconnect()
    assert len(one.lost) == 1


async def test_an_adapter_that_goes_ends_what_is_in_flight(one: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(one.client._client._backend, "read_gatt_char", hang)
    reading = asyncio.create_task(one.client.read(one.handle(gatt.WAKE_CHARACTERISTIC)))
    await asyncio.sleep(0)
    error = AdapterLostError("adapter", "gone")
    one.client.lose(error)
    with pytest.raises(AdapterLostError):
        await reading
    assert one.lost == [error]


async def test_a_silent_device_is_given_up(
    radio: VirtualRadio, one: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gatt_client, "OPERATION_S", 0.05)
    monkeypatch.setattr(one.client._client._backend, "read_gatt_char", hang)
    with pytest.raises(BleError):
        await one.client.read(one.handle(gatt.WAKE_CHARACTERISTIC))
    assert [error.reason for error in one.lost if isinstance(error, LinkLostError)] == [0x08]
    assert radio.adapter.connected == 0
    await one.client.disconnect()
    await until(lambda: one.peripheral.connection is None, 5.0)


async def test_the_slot_is_free_once_a_link_that_was_given_up_is_down(
    one: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = asyncio.Event()

    async def disconnect(*_: Any) -> None:
        await down.wait()

    async def fail(*_: Any, **__: Any) -> None:
        raise BleakError("something about the link")

    backend = one.client._client._backend
    monkeypatch.setattr(backend, "read_gatt_char", fail)
    monkeypatch.setattr(backend, "disconnect", disconnect)
    with pytest.raises(LinkLostError):
        await one.client.read(one.handle(gatt.WAKE_CHARACTERISTIC))
    ending = asyncio.create_task(one.client.disconnect())
    assert not (await asyncio.wait([ending], timeout=0.05))[0]
    down.set()
    await ending


async def test_nothing_there(radio: VirtualRadio) -> None:
    lost: list[BleError] = []
    client = GattClient(radio.adapter, "00:00:00:00:00:01", on_notified=print, on_lost=lost.append)
    with pytest.raises(DeviceNotFoundError):
        await client.connect()
    assert not lost
    assert radio.adapter.links == set()
    await client.disconnect()


async def test_a_client_that_gives_up_leaves_nothing(radio: VirtualRadio) -> None:
    one = Connected(radio)
    connecting = asyncio.create_task(one.client.connect())
    await asyncio.sleep(0.05)
    connecting.cancel()
    await asyncio.wait([connecting])
    await one.client.disconnect()
    assert radio.adapter.links == set()
    again = Connected(radio)
    await again.client.connect()
    await again.client.disconnect()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BleakGATTProtocolError(0x80), 0x80),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]), 0x05),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["Write acquired"]), 0xFE),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["something new"]), 0x0E),
        (BleakDBusError("org.bluez.Error.InProgress", ["In Progress"]), 0xFE),
        (BleakDBusError("org.bluez.Error.InvalidOffset", []), 0x07),
        (BleakDBusError("org.bluez.Error.InvalidValueLength", []), 0x0D),
        (BleakDBusError("org.bluez.Error.AuthenticationFailed", []), 0x05),
        (BleakDBusError("org.bluez.Error.Failed", ["Failed to initiate write"]), 0x0E),
        (BleakDBusError("org.bluez.Error.Failed", ["Not connected"]), None),
        (BleakDBusError("org.bluez.Error.NotConnected", []), None),
        (BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", []), None),
        (BleakError("Not connected"), None),
    ],
)
def test_what_bluez_says(error: BleakError, code: int | None) -> None:
    assert att_code(error) == code

"""A simulated unit as a GATT peripheral on a virtual link."""

import asyncio
import time
from collections.abc import Coroutine
from math import inf
from typing import Any

from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from blupow_proxy.renogy import gatt

from .unit import SHUNT_PUSH_S, SimulatedUnit

_ATT_HEADER_BYTES = 3
_WRITABLE = Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE
_NOTIFYING = Characteristic.Properties.READ | Characteristic.Properties.NOTIFY


def make_device(link: LocalLink, name: str, address: str) -> Device:
    """Return a bumble device with a controller of its own on ``link``."""
    public = Address(f"{address}/P")
    controller = Controller(name, link=link, public_address=public)
    return Device(name=name, address=Address(address), host=Host(controller, AsyncPipeSink(controller)))


class Peripheral:
    """Puts a unit on the air: advertises, answers writes with notifications, takes one central at a time."""

    def __init__(self, unit: SimulatedUnit, link: LocalLink) -> None:
        self.unit = unit
        self.connection: Connection | None = None
        self.notifies = True
        self._link = link
        self._device = make_device(link, unit.name, unit.address)
        self._awake = False
        self._answering = False
        self._answered_at = -inf
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._notify: Characteristic[bytes]

    @property
    def advertisement(self) -> bytes:
        """The advertising data: services and the device's own address, no name."""
        service = gatt.SHUNT_SERVICE if self.unit.pushes else gatt.WRITE_SERVICE
        mac = bytes.fromhex(self.unit.address.replace(":", ""))
        return bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, bytes((0x06,))),
                    (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, UUID(service[4:8]).to_bytes()),
                    (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, mac),
                ]
            )
        )

    @property
    def scan_response(self) -> bytes:
        """The scan response: the name, padded as BT-2 modules do."""
        name = self.unit.name.ljust(18).encode() if self.unit.name.startswith("BT-TH") else self.unit.name.encode()
        return bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, name)]))

    async def start(self) -> None:
        """Power on and advertise."""
        self.set_max_mtu(self.unit.max_mtu)
        self._device.add_services(self._services())
        self._device.on(Device.EVENT_CONNECTION, self._connected)
        await self._device.power_on()
        await self.advertise()

    async def stop(self) -> None:
        """Drop the link and power off."""
        self._stopping = True
        await self.drop()
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._tasks)
        await self._device.power_off()

    def set_max_mtu(self, mtu: int) -> None:
        """Agree on no more than ``mtu`` bytes from the next connection on."""
        self._device.gatt_server.max_mtu = mtu

    async def drop(self) -> None:
        """End the link from the device's side."""
        if self.connection is not None:
            await self.connection.disconnect()

    async def advertise(self) -> None:
        """Advertise, unless connections are to be refused."""
        if not self.unit.faults.refuse_connections:
            await self._device.start_advertising(
                advertising_data=self.advertisement,
                scan_response_data=self.scan_response,
                advertising_interval_min=100,
                advertising_interval_max=100,
            )

    def notify(self, *notifications: bytes) -> None:
        """Send something to the central, asked for or not."""
        if self.connection is not None and self.notifies:
            self._run(self._send_fragments(self.connection, notifications))

    def _services(self) -> list[Service]:
        if self.unit.pushes:
            self._notify = _characteristic(gatt.SHUNT_NOTIFY_CHARACTERISTIC, _NOTIFYING)
            return [Service(UUID(gatt.SHUNT_SERVICE), [self._notify])]
        self._notify = _characteristic(gatt.NOTIFY_CHARACTERISTIC, _NOTIFYING)
        write: Characteristic[bytes] = Characteristic(
            UUID(gatt.WRITE_CHARACTERISTIC),
            Characteristic.Properties.READ | _WRITABLE,
            Characteristic.READABLE | Characteristic.WRITEABLE,
            CharacteristicValue(read=lambda _: b"", write=self._written),
        )
        wake: Characteristic[bytes] = Characteristic(
            UUID(gatt.WAKE_CHARACTERISTIC),
            Characteristic.Properties.READ,
            Characteristic.READABLE,
            CharacteristicValue(read=self._woken),
        )
        return [
            Service(UUID(gatt.WRITE_SERVICE), [write, wake]),
            Service(UUID(gatt.NOTIFY_SERVICE), [self._notify]),
        ]

    def _connected(self, connection: Connection) -> None:
        self.connection = connection
        self._awake = not self.unit.needs_wake
        self._answering = False
        self._answered_at = -inf
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        if self.unit.pushes:
            self._after(SHUNT_PUSH_S, self._push)

    def _disconnected(self, _reason: int) -> None:
        self.connection = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if not self._stopping:
            self._run(self.advertise())

    def _woken(self, _connection: Connection) -> bytes:
        self._awake = True
        return b"\0"

    def _written(self, _connection: Connection, value: bytes) -> None:
        if not self._awake:
            return
        unit, now = self.unit, time.monotonic()
        if unit.faults.gap_s is not None and (self._answering or now - self._answered_at < unit.faults.gap_s):
            unit.too_fast += 1
            self._awake = False
            return
        reply = unit.respond(bytes(value), now)
        if reply is not None:
            self._answering = True
            self._after(unit.latency_of(bytes(value)), lambda: self._answer(reply))

    def _answer(self, reply: bytes) -> None:
        self._answering = False
        self._answered_at = time.monotonic()
        self._send(reply)

    def _push(self) -> None:
        if not self.unit.faults.silent:
            self._send(self.unit.push(time.monotonic()))
        self._after(SHUNT_PUSH_S, self._push)

    def _send(self, frame: bytes) -> None:
        mangle = self.unit.faults.mangle
        self.notify(*((frame,) if mangle is None else mangle(frame)))

    async def _send_fragments(self, connection: Connection, notifications: tuple[bytes, ...]) -> None:
        size = connection.att_mtu - _ATT_HEADER_BYTES
        for data in notifications:
            for start in range(0, len(data), size):
                await self._device.notify_subscriber(connection, self._notify, data[start : start + size])
                if self.unit.faults.drop_within_reply:
                    self.unit.faults.drop_within_reply = False
                    await self.drop()
                    return

    def _after(self, delay_s: float, call: Any) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(delay_s, fire)
        self._timers.add(timer)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _characteristic(uuid: str, properties: Characteristic.Properties) -> Characteristic[bytes]:
    return Characteristic(UUID(uuid), properties, Characteristic.READABLE, b"")

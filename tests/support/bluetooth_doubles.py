"""Scripted parties of the Bluetooth proxy: a device, a scanner, a client; nothing of Bluetooth is in them."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any

from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO

from blupow_proxy.ble import (
    CCCD,
    AddressType,
    ConnectionParameters,
    GattCharacteristic,
    GattDescriptor,
    GattService,
    RawAdvertisement,
)
from blupow_proxy.errors import BleError, GattError, LinkLostError
from blupow_proxy.native_api import Packet

BATTERY_LEVEL, CONTROL, CUSTOM = 0x2A, 0x30, "0f0e0d0c-0b0a-0908-0706-050403020100"
SERVICES = (
    GattService(
        0x28,
        "0000180f-0000-1000-8000-00805f9b34fb",
        (
            GattCharacteristic(
                BATTERY_LEVEL,
                "00002a19-0000-1000-8000-00805f9b34fb",
                0x12,
                (GattDescriptor(0x2B, CCCD), GattDescriptor(0x2C, "00002904-0000-1000-8000-00805f9b34fb")),
            ),
        ),
    ),
    GattService(0x2E, CUSTOM, (GattCharacteristic(CONTROL, CUSTOM.replace("0f0e", "1f1e"), 0x0C),)),
)


class State(Enum):
    """A scanner's, as on the wire."""

    IDLE = 0
    STARTING = 1
    RUNNING = 2
    FAILED = 3
    STOPPING = 4
    STOPPED = 5


class Air:
    """A scanner whose advertisements the test makes."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.active = False
        self.runs: list[Run] = []

    @property
    def run(self) -> "Run | None":
        return next((run for run in self.runs if not run.stopped), None)

    def forward(self, heard: Callable[[RawAdvertisement], None], on_change: Callable[[], None]) -> "Run":
        assert self.run is None
        self.runs.append(Run(self, heard, on_change))
        return self.runs[-1]

    def become(self, state: State, *, active: bool | None = None) -> None:
        self.state = state
        if active is not None:
            self.active = active
        if self.run is not None:
            self.run.on_change()

    def say(self, address: int, data: bytes = b"\x02\x01\x06", *, rssi: int = -60, random: bool = False) -> None:
        if self.run is not None:
            self.run.heard(RawAdvertisement(address, AddressType(random), rssi, data))


class Run:
    """What is forwarded until it is stopped."""

    def __init__(self, air: Air, heard: Callable[[RawAdvertisement], None], on_change: Callable[[], None]) -> None:
        self.heard = heard
        self.on_change = on_change
        self.stopped = False
        self._air = air
        self._active = False

    @property
    def active(self) -> bool:
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        self._active = active
        self._air.become(self._air.state, active=active)

    def stop(self) -> None:
        self.stopped = True


class Device:
    """A peripheral that answers at once, or, with ``slow`` steps, when the test says so.

    ``steps`` has the name of each step that has begun, ``failing`` an error for each step that fails.
    """

    def __init__(
        self, address: str, *, on_notified: Callable[[int, bytes], None], on_lost: Callable[[BleError], None]
    ) -> None:
        self.address = address
        self.on_notified = on_notified
        self.on_lost = on_lost
        self.services: tuple[GattService, ...] = ()
        self.mtu = 23
        self.parameters: ConnectionParameters | None = None
        self.offered = SERVICES
        self.values = {BATTERY_LEVEL: b"\x64", CONTROL: b"", 0x2B: b"\0\0", 0x2C: b"\x04\0\xad\x27\x01\0\0"}
        self.notifying: set[int] = set()
        self.connected = False
        self.disconnects = 0
        self.steps: list[str] = []
        self.slow: set[str] = set()
        self.failing: dict[str, BleError] = {}
        self.waiting: dict[str, asyncio.Event] = {}

    async def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.slow:
            self.waiting[name] = asyncio.Event()
            try:
                await self.waiting[name].wait()
            finally:
                del self.waiting[name]
        if name in self.failing:
            raise self.failing[name]
        if name != "connect" and not self.connected:
            raise LinkLostError(self.address, "it is not connected")

    def proceed(self, name: str) -> None:
        """Let a slow step go on."""
        self.waiting[name].set()

    def lose(self, error: BleError | None = None) -> None:
        """Go out of reach."""
        self.connected = False
        self.on_lost(error or LinkLostError(self.address, "it went out of reach"))

    def say(self, handle: int, data: bytes) -> None:
        if handle in self.notifying:
            self.on_notified(handle, data)

    def _value(self, handle: int) -> bytes:
        if handle not in self.values:
            raise GattError(self.address, 1, "no such handle")
        return self.values[handle]

    async def connect(self) -> None:
        await self._step("connect")
        self.connected = True
        self.services, self.mtu = self.offered, 247

    async def read(self, handle: int) -> bytes:
        await self._step("read")
        return self._value(handle)

    async def write(self, handle: int, data: bytes, *, response: bool) -> None:
        await self._step("write")
        self._value(handle)
        self.values[handle] = data
        self.say(BATTERY_LEVEL, data)

    async def read_descriptor(self, handle: int) -> bytes:
        await self._step("read_descriptor")
        return self._value(handle)

    async def write_descriptor(self, handle: int, data: bytes) -> None:
        await self._step("write_descriptor")
        self._value(handle)
        self.values[handle] = data

    async def notify(self, handle: int, *, enable: bool) -> None:
        await self._step("notify")
        self._value(handle)
        (self.notifying.add if enable else self.notifying.discard)(handle)

    async def pair(self) -> None:
        await self._step("pair")

    async def unpair(self) -> None:
        await self._step("unpair")

    async def clear_cache(self) -> None:
        await self._step("clear_cache")

    async def set_connection_parameters(self, wanted: ConnectionParameters) -> None:
        await self._step("set_connection_parameters")
        self.parameters = wanted

    async def disconnect(self) -> None:
        self.disconnects += 1
        self.connected = False
        self.steps.append("disconnect")
        if "disconnect" in self.slow:
            self.waiting["disconnect"] = asyncio.Event()
            await self.waiting["disconnect"].wait()


class Devices:
    """Makes devices; ``prepare`` is given each one before it is used."""

    def __init__(self) -> None:
        self.made: list[Device] = []
        self.prepare: Callable[[Device], None] = lambda _: None

    def __call__(
        self, address: str, *, on_notified: Callable[[int, bytes], None], on_lost: Callable[[BleError], None]
    ) -> Device:
        device = Device(address, on_notified=on_notified, on_lost=on_lost)
        self.made.append(device)
        self.prepare(device)
        return device


class Recorder:
    """A client that keeps what it is sent."""

    def __init__(self, peer: str = "10.0.0.1", *, encrypted: bool = True) -> None:
        self.peer = peer
        self.label = f"test ({peer})"
        self.encrypted = encrypted
        self.lagging = False
        self.packets: list[Packet] = []

    def send(self, message: Packet) -> None:
        self.packets.append(message)

    def take(self) -> list[Any]:
        """Return the messages since the last time."""
        messages = [MESSAGE_TYPE_TO_PROTO[number].FromString(body) for number, body in self.packets]
        self.packets.clear()
        return messages

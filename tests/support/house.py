"""What Home Assistant knows of Bluetooth, without the rest of it: habluetooth and bleak-esphome, unmodified."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

import bleak
import bleak_retry_connector
from aioesphomeapi import APIClient
from bleak_esphome import connect_scanner
from bluetooth_adapters import BluetoothAdapters
from habluetooth import BluetoothManager, BluetoothServiceInfoBleak
from habluetooth.central_manager import CentralBluetoothManager
from waiting import until


class NoAdapters(BluetoothAdapters):
    """A host without Bluetooth of its own."""

    adapters: Any = {}  # noqa: RUF012 - nothing is added
    default_adapter = "hci0"


class House(BluetoothManager):
    """All that Home Assistant knows of Bluetooth."""

    def __init__(self) -> None:
        super().__init__(NoAdapters())
        self.heard: list[BluetoothServiceInfoBleak] = []

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Self]:
        """Be the one that bleak's classes go by, which habluetooth replaces."""
        house = cls()
        CentralBluetoothManager.manager = house
        await house.async_setup()
        try:
            yield house
        finally:
            house.async_stop()
            CentralBluetoothManager.manager = None

    async def hears(self, *addresses: str, within_s: float = 30.0) -> None:
        """Wait until devices are known that can be connected."""
        for address in addresses:
            await until(lambda address=address: self.async_scanner_devices_by_address(address, True), within_s)

    async def connected(self, address: str, *, attempts: int = 1, **options: Any) -> bleak.BleakClient:
        """Connect to a device as integrations do."""
        device = self.async_ble_device_from_address(address, True)
        kind = bleak_retry_connector.BleakClientWithServiceCache  # habluetooth's, by now
        return await bleak_retry_connector.establish_connection(kind, device, "Toy", max_attempts=attempts, **options)

    def _discover_service_info(self, service_info: BluetoothServiceInfoBleak) -> None:
        self.heard.append(service_info)


class Source:
    """A proxy as a source of Bluetooth: what the ESPHome integration does with it."""

    def __init__(self, client: APIClient, house: House) -> None:
        self.client = client
        self._house = house

    async def start(self) -> None:
        stopped = asyncio.Event()

        async def on_stop(_: bool) -> None:
            self._end()
            stopped.set()

        self.stopped = stopped
        await self.client.connect(login=True, on_stop=on_stop)
        info = await self.client.device_info()
        data = connect_scanner(self.client, info, available=True)
        self._data = data
        self.scanner = data.scanner
        self.device = data.bluetooth_device
        self._undo = [self._house.async_register_scanner(self.scanner), self.scanner.async_setup()]
        await until(lambda: self.device.ble_connections_limit and self.scanner._scanner_state_seen)

    @property
    def slots(self) -> tuple[int, int, list[str]]:
        """How many connections are free, how many there are, and whose the others are."""
        allocations = self.scanner.get_allocations()
        return allocations.free, allocations.slots, allocations.allocated

    async def restart(self) -> None:
        """Lose the connection without a word, and come again."""
        await self.client.disconnect(force=True)
        await self.stopped.wait()
        await self.start()

    def _end(self) -> None:
        self.device.async_set_unavailable()
        for disconnected in list(self._data.disconnect_callbacks):
            disconnected()
        for undo in self._undo:
            undo()


THEIRS = ("bleak_esphome", "habluetooth", "aioesphomeapi", "blupow_proxy", "asyncio", "bleak")


def complaints(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the warnings of everybody who has a part in this."""
    return [
        record.getMessage()
        for record in records
        if record.name.split(".")[0] in THEIRS and record.levelno >= logging.WARNING
    ]

"""A client that borrows the proxy's Bluetooth: whatever it is told, and when."""

import time
from collections import Counter
from contextlib import suppress
from typing import Any, Final, Self

from aioesphomeapi import (
    APIClient,
    APIConnectionError,
    BluetoothProxyFeature,
    BluetoothScannerMode,
)
from aioesphomeapi.api_pb2 import (
    BluetoothConnectionsFreeResponse,
    BluetoothDeviceConnectionResponse,
    BluetoothLERawAdvertisementsResponse,
    BluetoothScannerStateResponse,
)
from aioesphomeapi.core import TimeoutAPIError
from machine import KEY
from rig import ADDRESS
from waiting import until

from blupow_proxy.bluetooth_proxy import address_number, address_text
from proxy import PORT

RANDOM: Final = 1  # the address type of the devices in the room
RUNNING: Final = 2  # what a scanner does, as on the wire
FAILED: Final = 3
ANSWER_S: Final = 30.0  # what a client waits for an answer


class NotConnectedError(Exception):
    """The proxy has said that a device is not connected, with this reason."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"not connected: {reason}")
        self.reason = reason


class Borrower:
    """A context manager that is connected; it listens once ``subscribe`` is called."""

    def __init__(self) -> None:
        self.api = APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="borrower")
        self.heard: Counter[int] = Counter()  # advertisements, by address
        self.scanner: list[int] = []  # its states
        self.slots: tuple[int, int] = (0, 0)  # free, and how many there are
        self.told: list[tuple[str, bool, int]] = []  # of connections: address, whether it stands, the reason
        self.states = 0
        self.retries = 0  # of connecting

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.api.connect(login=True)
        connection = self.api._connection
        assert connection is not None
        connection.add_message_callback(
            self._received,
            (
                BluetoothLERawAdvertisementsResponse,
                BluetoothScannerStateResponse,
                BluetoothConnectionsFreeResponse,
                BluetoothDeviceConnectionResponse,
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect, without a word."""
        await self.api.disconnect(force=True)

    async def subscribe(self, within_s: float = 10.0) -> float:
        """Want everything that there is; returns the seconds until the first advertisement."""
        self.api.subscribe_bluetooth_connections_free(lambda *_: None)
        self.api.subscribe_bluetooth_le_raw_advertisements(lambda _: None)
        return await until(lambda: self.heard, within_s)

    def scan(self, *, actively: bool) -> None:
        """Want a mode of the scanner."""
        self.api.bluetooth_scanner_set_mode(BluetoothScannerMode.ACTIVE if actively else BluetoothScannerMode.PASSIVE)

    def follow(self) -> None:
        """Count states as well."""

        def received(_: Any) -> None:
            self.states += 1

        self.api.subscribe_states(received)

    async def connect(self, address: str) -> float:
        """Connect to a device in two attempts at most, and return how long it took; NotConnectedError."""
        start = time.monotonic()
        try:
            await self._attempt(address)
        except NotConnectedError:
            self.retries += 1
            await self._attempt(address)
        return time.monotonic() - start

    async def _attempt(self, address: str) -> None:
        before = len(self.told)
        await self.api.bluetooth_device_connect(
            address_number(address),
            lambda *_: None,
            timeout=ANSWER_S,
            feature_flags=BluetoothProxyFeature.REMOTE_CACHING,
            address_type=RANDOM,
        )
        _, stands, reason = next(one for one in self.told[before:] if one[0] == address)
        if not stands:
            raise NotConnectedError(reason)

    async def refused(self, address: str) -> tuple[float, int]:
        """Try to connect in vain; returns how long that took, and the reason."""
        start = time.monotonic()
        try:
            await self._attempt(address)
        except NotConnectedError as error:
            return time.monotonic() - start, error.reason
        raise AssertionError(f"{address} was connected")

    async def handle(self, address: str, uuid: str) -> int:
        """Return the handle of a characteristic."""
        offered = await self.api.bluetooth_gatt_get_services(address_number(address))
        characteristics = [one for service in offered.services for one in service.characteristics]
        return int(next(one.handle for one in characteristics if one.uuid == uuid))

    async def read(self, address: str, handle: int) -> bytes:
        """Read a characteristic."""
        return bytes(await self.api.bluetooth_gatt_read(address_number(address), handle, timeout=ANSWER_S))

    async def failed(self, asking: Any) -> float:
        """Await what can't succeed; returns how long it took to be answered."""
        start = time.monotonic()
        try:
            await asking
        except TimeoutAPIError:
            raise
        except APIConnectionError:
            return time.monotonic() - start
        raise AssertionError("it succeeded")

    def ends(self, address: str) -> int:
        """Return how often it was told that a device is not connected, since it was the last time."""
        stood = [stands for told, stands, _ in reversed(self.told) if told == address]
        return stood.index(True) if True in stood else len(stood)

    async def let_go(self, address: str) -> None:
        """Disconnect a device."""
        await self.api.bluetooth_device_disconnect(address_number(address))

    async def ping_s(self) -> float:
        """Return how long the proxy takes to answer."""
        start = time.monotonic()
        with suppress(APIConnectionError):
            await self.api.device_info()
        return time.monotonic() - start

    async def listens(self, within_s: float) -> float:
        """Return the seconds until scanning runs and something new was heard."""
        start = time.monotonic()
        await until(lambda: self.scanner and self.scanner[-1] == RUNNING, within_s)
        before = self.heard.total()
        await until(lambda: self.heard.total() > before, within_s)
        return time.monotonic() - start

    def _received(self, message: Any) -> None:
        match message:
            case BluetoothLERawAdvertisementsResponse():
                self.heard.update(one.address for one in message.advertisements)
            case BluetoothScannerStateResponse():
                self.scanner.append(message.state)
            case BluetoothConnectionsFreeResponse():
                self.slots = message.free, message.limit
            case BluetoothDeviceConnectionResponse():
                self.told.append((address_text(message.address), message.connected, message.error))

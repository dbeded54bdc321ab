"""A connection to a device that is none of our units, for somebody else: GATT by the handles of the device's table."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak_retry_connector import establish_connection

from blupow_proxy.errors import BleError, DeadlineExceededError, DeviceNotFoundError, GattError, LinkLostError

from .adapter import Adapter
from .attributes import MAX_VALUE_BYTES, GattService
from .bluez_device import BluezDevice
from .connection_parameters import ConnectionParameters
from .echoes import Notifications
from .failures import ENDED, HELD_OR_GONE, bleak_call
from .gatt_failures import INVALID_HANDLE, INVALID_VALUE_LENGTH, REQUEST_NOT_SUPPORTED, gatt_call
from .gatt_table import DEFAULT_MTU, INDICATE, NOTIFY, WRITE_HEADER_BYTES, GattTable

FIND_S: Final = 10.0  # most devices advertise every second or so
# For everything: found, connected, all services discovered. Clients wait for 20 s (bleak-retry-connector), or 30 s, and
# have to hear what it was.
CONNECT_S: Final = 18.0
GIVE_UP_S: Final = 5.0  # what bleak does when an attempt is ended may hang itself
OPERATION_S: Final = 20.0  # a client waits for 30 s
DISCONNECT_S: Final = 5.0  # BlueZ itself takes 2 to 3 s
CCCD_BYTES: Final = 2
BY_US: Final = 0x16  # HCI's reasons for the end of a connection
TIMEOUT: Final = 0x08
NOT_ESTABLISHED: Final = 0x3E
UNPAIRED: Final = "its bond was removed, and the connection with it"
NOT_CONNECTED: Final = "not connected"
HELD: Final = "another program of this machine is connected to it"
SILENT: Final = "the device does not answer any more"
BONDED: Final = "what is known of a paired device is kept with its bond: unpair it first"

_LOGGER = logging.getLogger(__name__)
_BACKGROUND: Final[set[asyncio.Task[None]]] = set()  # which the loop itself does not keep


class Visits(Protocol):
    """Addresses of devices that this program may have left connected; a set will do."""

    def __contains__(self, address: object, /) -> bool:
        """Whether a link that stands may be one of ours."""

    def add(self, address: str, /) -> None:
        """Note that there may be one from now on."""


class GattClient:
    """One connection to ``address``, made once; after ``on_lost``, or a failed ``connect``, it is spent.

    A link of the adapter that stands already is ended if it is among ``visited``; any other is another program's, and
    stays.
    ``on_notified`` is told of handles and values. ``on_lost`` is called once, unless ``disconnect`` was called before.
    """

    def __init__(
        self,
        adapter: Adapter,
        address: str,
        *,
        on_notified: Callable[[int, bytes], None],
        on_lost: Callable[[BleError], None],
        visited: Visits | None = None,
    ) -> None:
        self.address = address.upper()
        self._visited: Visits = set() if visited is None else visited
        self._adapter = adapter
        self._device = BluezDevice(adapter, self.address)
        self._on_notified = on_notified
        self._on_lost = on_lost
        self._client: BleakClient | None = None
        self._table: GattTable | None = None
        self._lost: BleError | None = None
        self._ending: BleError | None = None  # what the end will have come of, where we know it before
        self._connected = False
        self._closed = False
        self._dropping: asyncio.Task[None] | None = None  # a link that was given up
        self._forgets = False  # what BlueZ has cached, at the end of the link
        self._operations: set[asyncio.Timeout] = set()
        self._subscribing = asyncio.Lock()
        self._notifying: dict[int, Notifications] = {}

    @property
    def services(self) -> tuple[GattService, ...]:
        """Everything that the device offers and BlueZ shows, in the order of its handles."""
        return () if self._table is None else self._table.services

    @property
    def mtu(self) -> int:
        """The ATT MTU in bytes."""
        return DEFAULT_MTU if self._table is None else self._table.mtu

    @property
    def is_connected(self) -> bool:
        """Whether it takes one of the adapter's slots."""
        return self._client is not None and self._lost is None

    @property
    def is_asked(self) -> bool:
        """No: its client may leave it idle for hours, and nobody would find out."""
        return False

    async def connect(self) -> None:
        """Find the device, connect, discover everything; BleError."""
        try:
            async with (
                bleak_call(self.address, "connect", CONNECT_S + GIVE_UP_S),
                bleak_call(self.address, "connect", CONNECT_S),
            ):
                await self._connect()
        except BaseException as error:
            self._abandon(error if isinstance(error, BleError) else LinkLostError(self.address, NOT_CONNECTED))
            raise

    async def _connect(self) -> None:
        await self._adapter.ready()
        self._adapter.links.add(self)
        await self._device.offer_pairing()
        if await self._device.is_held(maybe_ours=self.address in self._visited):
            raise LinkLostError(self.address, HELD)
        await self._adapter.end_old_connection(self.address)
        self._check()
        found = await self._adapter.finder.find(self.address, FIND_S, named=False)
        if found is None:
            raise DeviceNotFoundError(self.address, HELD_OR_GONE)
        self._device.found(found[0])
        async with self._adapter.gate.foreign(self.address):
            self._check()
            self._visited.add(self.address)
            client = await self._establish(found[0])
        await self._device.check_services(client)
        table = GattTable(client.services, declared=self._adapter.is_system)
        table.mtu = await self._device.mtu(client) or table.mtu
        self._check()
        self._table = table
        self._connected = True

    async def _establish(self, device: BLEDevice) -> BleakClient:
        client = self._client = await establish_connection(
            self._adapter.client_class(),
            device,
            self.address,
            disconnected_callback=self._disconnected,
            max_attempts=1,  # its client tries again
            use_services_cache=False,  # bluetoothd forgets its own when it restarts
        )
        self._check()
        if not client.is_connected:
            raise LinkLostError(self.address, ENDED, reason=NOT_ESTABLISHED)
        return client

    async def read(self, handle: int) -> bytes:
        """Return the value of a characteristic; GattError, or the BleError that ended the link."""
        characteristic = self._characteristic(handle)
        notifications = self._notifying.get(handle)
        async with self._operation("read") as client:
            if notifications is None:
                return bytes(await client.read_gatt_char(characteristic))
            with notifications.read() as answered:
                value = bytes(await client.read_gatt_char(characteristic))
                answered(value)
                return value

    async def write(self, handle: int, data: bytes, *, response: bool) -> None:
        """Write a characteristic, without response in one packet; GattError, or the BleError that ended the link."""
        characteristic = self._characteristic(handle)
        most = MAX_VALUE_BYTES if response else min(self.mtu - WRITE_HEADER_BYTES, MAX_VALUE_BYTES)
        self._check_length(data, most)
        async with self._operation("write") as client:
            await client.write_gatt_char(characteristic, data, response=response)

    async def read_descriptor(self, handle: int) -> bytes:
        """Return the value of a descriptor; GattError, or the BleError that ended the link."""
        table = self._require_table()
        if (value := table.cccds.get(handle)) is not None:
            return self._cccd(value)
        if (descriptor := table.descriptors.get(handle)) is None:
            raise self._unknown(handle)
        async with self._operation("read of a descriptor") as client:
            return bytes(await client.read_gatt_descriptor(descriptor))

    async def write_descriptor(self, handle: int, data: bytes) -> None:
        """Write a descriptor; that of a subscription turns it on or off. GattError, or what ended the link."""
        table = self._require_table()
        if (value := table.cccds.get(handle)) is not None:
            if len(data) != CCCD_BYTES:
                raise GattError(self.address, INVALID_VALUE_LENGTH, f"a subscription has {CCCD_BYTES} bytes")
            await self.notify(value, enable=any(data))
            return
        if (descriptor := table.descriptors.get(handle)) is None:
            raise self._unknown(handle)
        self._check_length(data, MAX_VALUE_BYTES)
        async with self._operation("write of a descriptor") as client:
            await client.write_gatt_descriptor(descriptor, data)

    async def notify(self, handle: int, *, enable: bool) -> None:
        """Turn notifications or indications on or off; GattError, or the BleError that ended the link."""
        characteristic = self._characteristic(handle)
        if not self._require_table().properties[handle] & (NOTIFY | INDICATE):
            raise GattError(self.address, REQUEST_NOT_SUPPORTED, f"the characteristic {handle} does not notify")
        async with self._subscribing:
            if enable == (handle in self._notifying):
                return
            async with self._operation("subscription") as client:
                if not enable:
                    await client.stop_notify(characteristic)
                    del self._notifying[handle]
                    return
                notifications = Notifications(lambda data: self._notified(handle, data), echoes=self._adapter.is_system)
                await client.start_notify(characteristic, lambda _, data: notifications.received(bytes(data)))
                self._notifying[handle] = notifications

    async def pair(self) -> None:
        """Pair, with no display and no keys; GattError when the device does not, or what ended the link."""
        async with self._operation("pairing") as client:
            await self._device.pair(client)

    async def unpair(self) -> None:
        """Remove the bond, and with it the connection; BleError."""
        self._ending = LinkLostError(self.address, UNPAIRED, reason=BY_US)
        try:
            await self._device.remove()
        except BleError:
            self._ending = None
            raise

    async def clear_cache(self) -> None:
        """Let BlueZ discover everything anew at the next connection; GattError for a paired device."""
        if await self._device.is_paired():
            raise GattError(self.address, REQUEST_NOT_SUPPORTED, BONDED)
        if self._client is None:
            await self._device.remove()
        else:
            self._forgets = True

    async def set_connection_parameters(self, wanted: ConnectionParameters) -> None:
        """Ask for another interval; GattError where this machine can't, or the BleError that ended the link."""
        self._require_table()
        await self._device.set_parameters(wanted)

    async def disconnect(self) -> None:
        """End the connection, also one that was given up: the slot is free after that. Never raises."""
        if self._closed:
            return
        self._closed = True
        self._end_operations()
        client = self._client
        try:
            if client is not None:
                await self._end(client)
            if self._dropping is not None:
                await asyncio.wait({self._dropping})
            if self._forgets:
                await self._forget()
        finally:
            self._client = None
            self._leave()

    def lose(self, reason: BleError) -> None:
        """Note that the connection is gone, and why; what is in flight fails with that."""
        if self._lost is not None or self._closed:
            return
        self._lost = reason
        self._end_operations()
        self._leave()
        if self._connected:
            self._on_lost(reason)

    def _end_operations(self) -> None:
        now = asyncio.get_running_loop().time()
        for operation in self._operations:
            operation.reschedule(now)

    def _leave(self) -> None:
        self._adapter.links.discard(self)
        self._device.withdraw_offer()

    async def _forget(self) -> None:
        try:
            if not await self._device.is_paired():
                await self._device.remove()
        except BleError as error:
            _LOGGER.debug("%s", error)

    @asynccontextmanager
    async def _operation(self, op: str) -> AsyncIterator[BleakClient]:
        """Work on the link: a refusal leaves it as it is, any other failure ends it."""
        self._check()
        if self._client is None:
            raise LinkLostError(self.address, NOT_CONNECTED)
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._operations.add(scope)
                try:
                    async with gatt_call(self.address, op, OPERATION_S):
                        yield self._client
                finally:
                    self._operations.discard(scope)
        except GattError:
            raise
        except (TimeoutError, BleError) as error:
            self._check()
            if isinstance(error, DeadlineExceededError):
                self._abandon(LinkLostError(self.address, SILENT, reason=TIMEOUT))
            elif isinstance(error, BleError):
                self._abandon(error)
            raise

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._closed:
            raise LinkLostError(self.address, "disconnected", reason=BY_US)

    def _require_table(self) -> GattTable:
        self._check()
        if self._table is None:
            raise LinkLostError(self.address, NOT_CONNECTED)
        return self._table

    def _characteristic(self, handle: int) -> BleakGATTCharacteristic:
        found = self._require_table().characteristics.get(handle)
        if found is None:
            raise self._unknown(handle)
        return found

    def _unknown(self, handle: int) -> GattError:
        return GattError(self.address, INVALID_HANDLE, f"it has no such attribute {handle}")

    def _check_length(self, data: bytes, most: int) -> None:
        if len(data) > most:
            raise GattError(self.address, INVALID_VALUE_LENGTH, f"{len(data)} bytes at once are more than {most}")

    def _cccd(self, value: int) -> bytes:
        on = 0 if value not in self._notifying else 1 if self._require_table().properties[value] & NOTIFY else 2
        return on.to_bytes(CCCD_BYTES, "little")

    def _notified(self, handle: int, data: bytes) -> None:
        if self._lost is None and not self._closed:
            self._adapter.heard()
            self._on_notified(handle, data)

    def _disconnected(self, client: BleakClient) -> None:
        if client is self._client:
            self.lose(self._ending or LinkLostError(self.address, ENDED))

    def _abandon(self, error: BleError) -> None:
        """Drop a link that may still stand."""
        client = self._client
        self.lose(error)
        self._client = None
        if client is not None:
            task = self._dropping = asyncio.get_running_loop().create_task(self._end(client))
            _BACKGROUND.add(task)
            task.add_done_callback(_BACKGROUND.discard)

    async def _end(self, client: BleakClient) -> None:
        hanging_up = asyncio.get_running_loop().create_task(self._device.hang_up(client))
        try:
            async with bleak_call(self.address, "disconnect", DISCONNECT_S):
                await client.disconnect()
        except BleError as error:
            _LOGGER.debug("%s", error)
        finally:
            hanging_up.cancel()

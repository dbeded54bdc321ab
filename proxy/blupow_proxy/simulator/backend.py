"""A bleak backend on a virtual link: what BleakClient and BleakScanner use instead of BlueZ."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, ClassVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble.core import AdvertisingData, ProtocolError
from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt import Characteristic
from bumble.hci import Address

if TYPE_CHECKING:
    from .radio import VirtualRadio

_UNLIKELY = 0x0E  # ATT's error for all that has none of its own
_GIVE_UP_S = 1.0  # an emulated peripheral is connected within milliseconds, or not at all
_MTU = 251  # what phones and BlueZ agree on with these devices
_NAMES: dict[Characteristic.Properties, CharacteristicPropertyName] = {
    Characteristic.Properties.READ: "read",
    Characteristic.Properties.WRITE: "write",
    Characteristic.Properties.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Characteristic.Properties.NOTIFY: "notify",
    Characteristic.Properties.INDICATE: "indicate",
}


class VirtualScanner(BaseBleakScanner):
    """Hears the advertisements and scan responses of the link's peripherals."""

    radio: ClassVar["VirtualRadio"]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Listen."""
        self.seen_devices = {}
        self.radio.central.on(Device.EVENT_ADVERTISEMENT, self._heard)

    async def stop(self) -> None:
        """Stop listening."""
        self.radio.central.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)

    def _heard(self, advertisement: Advertisement) -> None:
        address = advertisement.address.to_string(with_type_qualifier=False)
        peripheral = self.radio.peripherals.get(address)
        if peripheral is None or peripheral.connection is not None or peripheral.unit.faults.refuse_connections:
            return
        parts = AdvertisingData.from_bytes(peripheral.advertisement)
        name = None
        if self._active:  # the emulated controller reports no scan responses of its own
            raw = AdvertisingData.from_bytes(peripheral.scan_response)
            name = str(raw.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME))
        services = parts.get(AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS) or []
        manufacturer = parts.get(AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA)
        data = AdvertisementData(
            local_name=name,
            manufacturer_data={} if manufacturer is None else {int(manufacturer[0]): bytes(manufacturer[1])},
            service_data={},
            service_uuids=[_uuid(uuid) for uuid in services],
            tx_power=None,
            rssi=peripheral.unit.rssi,
            platform_data=(),
        )
        if self.is_allowed_uuid(data.service_uuids):
            self.call_detection_callbacks(self.create_or_update_device(address, address, name, None, data), data)


class VirtualClient(BaseBleakClient):
    """One GATT connection over the link."""

    radio: ClassVar["VirtualRadio"]
    connecting: ClassVar[asyncio.Lock]

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=kwargs.pop("disconnected_callback", None),
            timeout=kwargs.pop("timeout", 10.0),
        )
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._leaving = False

    @property
    def name(self) -> str:
        """The device's address: names are the scanner's affair."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """The ATT MTU in bytes."""
        return 23 if self._connection is None else self._connection.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:  # noqa: ARG002 - nothing here pairs
        """Connect and discover services."""
        async with self.connecting:
            central = self.radio.central
            connecting = asyncio.ensure_future(central.connect_le(Address(self.address), timeout=self._timeout))
            try:
                connection = await asyncio.shield(connecting)
            except (BumbleTimeoutError, ProtocolError) as error:
                raise BleakDeviceNotFoundError(self.address, f"no answer from {self.address}") from error
            except asyncio.CancelledError:
                await _give_up(connecting)
                raise
        self._connection = connection
        self._leaving = False
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        try:
            self._peer = Peer(connection)
            await self._peer.request_mtu(_MTU)
            await self._peer.discover_all()  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            await self.disconnect()  # as bleak's own backends do
            raise
        self.services = self._collect(self._peer)

    async def disconnect(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._leaving = True
            await self._connection.disconnect()

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: these devices do not pair."""

    async def unpair(self) -> None:
        """Do nothing: these devices do not pair."""

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: Any) -> bytearray:
        """Read a characteristic."""
        return bytearray(await _refusable(self._require().read_value(characteristic.obj)))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: Any) -> bytearray:
        """Read a descriptor."""
        return bytearray(await _refusable(self._require().read_value(descriptor.obj)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a characteristic."""
        await _refusable(self._require().write_value(characteristic.obj, bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await _refusable(self._require().write_value(descriptor.obj, bytes(data), with_response=True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        """Subscribe."""
        await self._require().subscribe(characteristic.obj, lambda value: callback(bytearray(value)))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        await self._require().unsubscribe(characteristic.obj)

    def _require(self) -> Peer:
        if self._peer is None or self._connection is None:
            raise BleakError("Not connected")
        return self._peer

    def _disconnected(self, _reason: int) -> None:
        self._connection = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _collect(self, peer: Peer) -> BleakGATTServiceCollection:
        collection = BleakGATTServiceCollection()
        for service in peer.services:
            described = BleakGATTService(service, service.handle, _uuid(service.uuid))
            collection.add_service(described)
            for characteristic in service.characteristics:
                properties = [name for bit, name in _NAMES.items() if characteristic.properties & bit]
                described_characteristic = BleakGATTCharacteristic(
                    characteristic,
                    characteristic.handle,
                    _uuid(characteristic.uuid),
                    properties,
                    lambda: self.mtu_size - 3,
                    described,
                )
                collection.add_characteristic(described_characteristic)
                for descriptor in characteristic.descriptors:
                    uuid = _uuid(descriptor.type)
                    collection.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, uuid, described_characteristic)
                    )
        return collection


async def _refusable[T](work: Awaitable[T]) -> T:
    """Return what comes of a request; an ATT error as bleak's own backends raise it."""
    try:
        return await work
    except ProtocolError as error:
        raise BleakGATTProtocolError(error.error_code or _UNLIKELY) from error


async def _give_up(connecting: asyncio.Future[Connection]) -> None:
    """End a connection that nobody wants any more, which the emulated controller makes all the same."""
    await asyncio.wait([connecting], timeout=_GIVE_UP_S)
    if not connecting.done():
        connecting.cancel()
    elif connecting.exception() is None:
        await connecting.result().disconnect()


def _uuid(uuid: Any) -> str:
    text = str(uuid.to_hex_str("-")).lower()
    return f"0000{text}-0000-1000-8000-00805f9b34fb" if len(text) == 4 else text


def bind(radio: "VirtualRadio") -> tuple[type[VirtualClient], type[VirtualScanner]]:
    """Return backend classes that use ``radio``: bleak makes its own instances of a class."""

    class Client(VirtualClient):
        pass

    class Scanner(VirtualScanner):
        pass

    Client.radio = Scanner.radio = radio
    Client.connecting = asyncio.Lock()
    return Client, Scanner

"""A peripheral that is no Renogy unit: a table of everything that GATT has, and faults."""

import asyncio
from typing import Any, Final

from bumble import att
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType, Connection, Device
from bumble.gatt import Attribute, Characteristic, CharacteristicValue, Descriptor, Service
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink
from gatt_uuids import (
    COUNTER,
    ECHO,
    GREETING,
    INDICATED,
    LEVEL,
    LEVEL_SERVICE,
    LONG,
    MAKER,
    MAKER_SERVICE,
    REFUSING,
    SECRET,
    SERVICE,
    SIGNED,
    SLOW,
)

REFUSED: Final = 0x80
INTERVAL_MS: Final = 100
_DISCOVERING: Final = (
    att.ATT_Read_By_Group_Type_Request,
    att.ATT_Read_By_Type_Request,
    att.ATT_Find_Information_Request,
)
Properties = Characteristic.Properties
READABLE = Attribute.Permissions.READABLE
WRITEABLE = Attribute.Permissions.WRITEABLE


class GattPeripheral:
    """Advertises ``name`` and serves the table; ``address_type`` is "public" or "random"."""

    def __init__(self, link: LocalLink, address: str, name: str, address_type: str = "random", mtu: int = 247) -> None:
        self.connection: Connection | None = None
        self.asked = 0  # ATT requests in this connection
        self.discovered = 0  # those among them that ask what there is
        self.slow_s = 0.0
        self.ends_at: int | None = None  # with which ATT request it ends the connection
        self.silent = False  # hears requests, and answers none
        self.is_public = address_type == "public"
        self.written: list[bytes] = []  # without response, to the greeting
        self.controller = Controller(name, link=link, public_address=Address(f"{address}/P"))
        own = Address(f"{address}/P") if self.is_public else Address(address)
        self._device = Device(name=name, address=own, host=Host(self.controller, AsyncPipeSink(self.controller)))
        self._device.gatt_server.max_mtu = mtu
        self._device.pairing_config_factory = lambda _: PairingConfig(
            sc=True, mitm=False, bonding=True, delegate=PairingDelegate()
        )
        self._name = name
        self._long = bytes(range(256)) * 2
        self._count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._echo = self._make(ECHO, Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE | Properties.NOTIFY, None)
        self._echo.value = CharacteristicValue(write=self._echoed)
        self._indicated = self._make(INDICATED, Properties.WRITE | Properties.INDICATE, None)
        self._indicated.value = CharacteristicValue(write=self._indicate)
        self._counter = self._make(COUNTER, Properties.READ | Properties.NOTIFY, None)
        self._counter.value = CharacteristicValue(read=lambda _: self._count.to_bytes(2, "little"))

    async def start(self) -> None:
        """Power on and advertise."""
        self._device.add_services(self._services())
        self._listen_to_requests()
        self._device.on(Device.EVENT_CONNECTION, self._connected)
        await self._device.power_on()
        await self.advertise()

    async def advertise(self) -> None:
        """Advertise: the service, and in the scan response the name."""
        uuids = UUID(SERVICE).to_bytes()
        await self._device.start_advertising(
            advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            own_address_type=OwnAddressType.PUBLIC if self.is_public else OwnAddressType.RANDOM,
            advertising_data=bytes(
                AdvertisingData(
                    [
                        (AdvertisingData.FLAGS, bytes((0x06,))),
                        (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, uuids),
                    ]
                )
            ),
            scan_response_data=bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, self._name.encode())])),
            advertising_interval_min=INTERVAL_MS,
            advertising_interval_max=INTERVAL_MS,
        )

    async def drop(self) -> None:
        """End the link from the device's side."""
        if self.connection is not None:
            await self.connection.disconnect()

    async def count(self, times: int) -> None:
        """Notify of so many numbers."""
        for _ in range(times):
            self._count += 1
            if self.connection is not None:
                await self._device.notify_subscriber(self.connection, self._counter, self._count.to_bytes(2, "little"))

    async def forget_bonds(self) -> None:
        """Lose the keys, as after a factory reset."""
        if self._device.keystore is not None:
            await self._device.keystore.delete_all()

    @property
    def state(self) -> dict[str, Any]:
        """What is asked of the room."""
        connection = self.connection
        return {
            "connected": connection is not None,
            "mtu": None if connection is None else connection.att_mtu,
            "encrypted": connection is not None and bool(connection.encryption),
            "interval_ms": None if connection is None else connection.parameters.connection_interval,
            "asked": self.asked,
            "discovered": self.discovered,
            "written": [value.hex() for value in self.written],
            "subscribed": sorted(self._subscribed()),
            "table": [(one.handle, str(one.type)) for one in self._device.gatt_server.attributes],
        }

    def _subscribed(self) -> set[int]:
        if self.connection is None:
            return set()
        of_connection = self._device.gatt_server.subscribers.get(self.connection, {})
        return {handle for handle, value in of_connection.items() if any(value)}

    def _services(self) -> list[Service]:
        level = self._make(LEVEL, Properties.READ | Properties.NOTIFY, bytes((77,)))
        maker = self._make(MAKER, Properties.READ, b"Somebody")
        greeting = self._make(
            GREETING, Properties.READ | Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE, None, with_text=True
        )
        stored = bytearray(b"hello")

        def store(_: Connection, value: bytes) -> None:
            stored[:] = value
            self.written.append(value)

        greeting.value = CharacteristicValue(read=lambda _: bytes(stored), write=store)
        long = self._make(LONG, Properties.READ | Properties.WRITE, None)

        def lengthen(_: Connection, value: bytes) -> None:
            self._long = value

        long.value = CharacteristicValue(read=lambda _: self._long, write=lengthen)
        secret = Characteristic(
            UUID(SECRET),
            Properties.READ | Properties.WRITE,
            READABLE
            | WRITEABLE
            | Attribute.Permissions.READ_REQUIRES_ENCRYPTION
            | Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION,
            b"between us",
        )
        refusing = self._make(REFUSING, Properties.READ | Properties.WRITE, None)
        refusing.value = CharacteristicValue(read=_refuse, write=_refuse)
        slow = self._make(SLOW, Properties.READ, None)
        slow.value = CharacteristicValue(read=self._slowly)
        signed = self._make(SIGNED, Properties.READ | Properties.BROADCAST | Properties.EXTENDED_PROPERTIES, b"s")
        return [
            Service(UUID(LEVEL_SERVICE), [level]),
            Service(UUID(MAKER_SERVICE), [maker]),
            Service(
                UUID(SERVICE),
                [greeting, long, self._echo, self._indicated, self._counter, secret, refusing, slow, signed],
            ),
        ]

    @staticmethod
    def _make(uuid: str, properties: Properties, value: bytes | None, *, with_text: bool = False) -> Any:
        text = [Descriptor("2901", READABLE | WRITEABLE, b"what it says")] if with_text else []
        permissions = Attribute.Permissions(0)
        if properties & Properties.READ:
            permissions |= READABLE
        if properties & (Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE):
            permissions |= WRITEABLE
        return Characteristic(UUID(uuid), properties, permissions, value, text)

    async def _slowly(self, _: Connection) -> bytes:
        await asyncio.sleep(self.slow_s)
        return b"slow"

    async def _echoed(self, connection: Connection, value: bytes) -> None:
        await self._device.notify_subscriber(connection, self._echo, value)

    def _indicate(self, connection: Connection, value: bytes) -> None:
        self._run(self._device.indicate_subscriber(connection, self._indicated, value))

    def _listen_to_requests(self) -> None:
        """Count requests, and end the connection with the one that was chosen, or answer none."""
        server = self._device.gatt_server
        answer = server.on_gatt_pdu

        def heard(bearer: Any, pdu: att.ATT_PDU) -> None:
            self.asked += 1
            self.discovered += isinstance(pdu, _DISCOVERING)
            if self.ends_at is not None and self.asked >= self.ends_at:
                self.ends_at = None
                self._run(self.drop())
            elif not self.silent:
                answer(bearer, pdu)

        server.on_gatt_pdu = heard  # type: ignore[method-assign]

    def _connected(self, connection: Connection) -> None:
        self.connection = connection
        self.asked = self.discovered = 0
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)

    def _disconnected(self, _reason: int) -> None:
        self.connection = None
        self._run(self.advertise())

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(*_: Any) -> Any:
    raise att.ATT_Error(REFUSED)

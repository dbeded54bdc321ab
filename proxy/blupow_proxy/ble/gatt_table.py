"""A device's attributes by the handles of its own table, and bleak's objects behind them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection

from .attributes import CCCD, GattCharacteristic, GattDescriptor, GattService

if TYPE_CHECKING:
    from bleak.backends.descriptor import BleakGATTDescriptor

NOTIFY: Final = 0x10
INDICATE: Final = 0x20
LAST_HANDLE: Final = 0xFFFF
DEFAULT_MTU: Final = 23
WRITE_HEADER_BYTES: Final = 3  # of a write without response, and of a notification

_BITS: Final = {
    "broadcast": 0x01,
    "read": 0x02,
    "write-without-response": 0x04,
    "write": 0x08,
    "notify": NOTIFY,
    "indicate": INDICATE,
    "authenticated-signed-writes": 0x40,
    "extended-properties": 0x80,
}


class GattTable:
    """What was discovered; ``declared`` says that bleak's handles are those of declarations, as BlueZ's are."""

    def __init__(self, services: BleakGATTServiceCollection, *, declared: bool) -> None:
        self.characteristics: dict[int, BleakGATTCharacteristic] = {}  # by the handle of the value
        self.descriptors: dict[int, BleakGATTDescriptor] = {}
        self.cccds: dict[int, int] = {}  # the handle of a value, by that of the descriptor
        self.properties: dict[int, int] = {}  # by the handle of the value
        self._to_value = 1 if declared else 0
        self._taken = set(self._handles(services))
        ordered = sorted(services.services.values(), key=lambda service: service.handle)
        self.services = tuple(self._service(service) for service in ordered)
        sizes = (one.max_write_without_response_size for one in self.characteristics.values())
        self.mtu = max(sizes, default=DEFAULT_MTU - WRITE_HEADER_BYTES) + WRITE_HEADER_BYTES  # as bleak has it

    def _handles(self, services: BleakGATTServiceCollection) -> Iterator[int]:
        """Yield every handle that is in use."""
        yield from services.services
        yield from services.descriptors
        for characteristic in services.characteristics.values():
            yield characteristic.handle
            yield characteristic.handle + self._to_value

    def _service(self, service: BleakGATTService) -> GattService:
        ordered = sorted(service.characteristics, key=lambda one: one.handle)
        return GattService(service.handle, service.uuid, tuple(self._characteristic(one) for one in ordered))

    def _characteristic(self, characteristic: BleakGATTCharacteristic) -> GattCharacteristic:
        value = characteristic.handle + self._to_value
        properties = sum(_BITS.get(name, 0) for name in characteristic.properties)
        self.characteristics[value], self.properties[value] = characteristic, properties
        descriptors = [GattDescriptor(one.handle, one.uuid) for one in characteristic.descriptors]
        self.descriptors |= {one.handle: one for one in characteristic.descriptors}
        if properties & (NOTIFY | INDICATE) and all(one.uuid != CCCD for one in descriptors):
            descriptors.append(GattDescriptor(self._free_handle(value), CCCD))
        self.cccds |= {one.handle: value for one in descriptors if one.uuid == CCCD}
        ordered = tuple(sorted(descriptors, key=lambda one: one.handle))
        return GattCharacteristic(value, characteristic.uuid, properties, ordered)

    def _free_handle(self, value: int) -> int:
        """Return a handle for what BlueZ keeps to itself: behind the value, where nothing else is, or at the end."""
        last = (handle for handle in range(LAST_HANDLE, 0, -1) if handle not in self._taken)
        handle = value + 1 if value + 1 not in self._taken else next(last)
        self._taken.add(handle)
        return handle

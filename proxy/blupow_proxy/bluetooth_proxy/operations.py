"""What clients can ask of a connected device: how it is done, and how it is answered when it is not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from blupow_proxy.ble import ConnectionParameters
from blupow_proxy.native_api import Packet

from . import packets
from .parties import Peripheral

PAIR: Final = 2  # what a BluetoothDeviceRequest may ask of a connected device
UNPAIR: Final = 3
CLEAR_CACHE: Final = 6

type Perform = Callable[[Peripheral, Any], Awaitable[list[Packet]]]
type Refuse = Callable[[Any, int], Packet]


@dataclass(frozen=True, slots=True)
class Operation:
    """``perform`` does what a message asks and returns the answer; ``refuse`` is the answer that it failed."""

    perform: Perform
    refuse: Refuse
    ends_link: bool = False  # maybe, by what it does: its answer comes first


@dataclass(frozen=True, slots=True)
class Request:
    """A message of a client, and what it asks for."""

    operation: Operation
    message: Any

    @property
    def is_silent(self) -> bool:
        """Whether clients don't wait for the answer."""
        return self.operation is _WRITE and not self.message.response

    def refusal(self, error: int) -> Packet:
        """Return the answer that it failed."""
        return self.operation.refuse(self.message, error)


async def _services(peripheral: Peripheral, message: Any) -> list[Packet]:
    return packets.services(message.address, peripheral.services)


async def _read(peripheral: Peripheral, message: Any) -> list[Packet]:
    return [packets.value_read(message.address, message.handle, await peripheral.read(message.handle))]


async def _read_descriptor(peripheral: Peripheral, message: Any) -> list[Packet]:
    return [packets.value_read(message.address, message.handle, await peripheral.read_descriptor(message.handle))]


async def _write(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.write(message.handle, message.data, response=message.response)
    return [packets.value_written(message.address, message.handle)]


async def _write_descriptor(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.write_descriptor(message.handle, message.data)
    return [packets.value_written(message.address, message.handle)]


async def _notify(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.notify(message.handle, enable=message.enable)
    return [packets.notify_changed(message.address, message.handle)]


async def _pair(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.pair()
    return [packets.paired(message.address, 0)]


async def _unpair(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.unpair()
    return [packets.unpaired(message.address, 0)]


async def _clear_cache(peripheral: Peripheral, message: Any) -> list[Packet]:
    await peripheral.clear_cache()
    return [packets.cache_cleared(message.address, 0)]


async def _set_parameters(peripheral: Peripheral, message: Any) -> list[Packet]:
    wanted = ConnectionParameters(message.min_interval, message.max_interval, message.latency, message.timeout)
    await peripheral.set_connection_parameters(wanted)
    return [packets.parameters_set(message.address, 0)]


def _gatt_error(message: Any, error: int) -> Packet:
    return packets.gatt_error(message.address, message.handle, error)


def _no_services(message: Any, error: int) -> Packet:
    return packets.gatt_error(message.address, 0, error)


def _not_paired(message: Any, error: int) -> Packet:
    return packets.paired(message.address, error)


def _not_unpaired(message: Any, error: int) -> Packet:
    return packets.unpaired(message.address, error)


def _not_cleared(message: Any, error: int) -> Packet:
    return packets.cache_cleared(message.address, error)


def _parameters_not_set(message: Any, error: int) -> Packet:
    return packets.parameters_set(message.address, error)


_WRITE: Final = Operation(_write, _gatt_error)
NOTIFY: Final = Operation(_notify, _gatt_error)
LINK_OPERATIONS: Final[dict[str, Operation]] = {
    "BluetoothGATTGetServicesRequest": Operation(_services, _no_services),
    "BluetoothGATTReadRequest": Operation(_read, _gatt_error),
    "BluetoothGATTWriteRequest": _WRITE,
    "BluetoothGATTReadDescriptorRequest": Operation(_read_descriptor, _gatt_error),
    "BluetoothGATTWriteDescriptorRequest": Operation(_write_descriptor, _gatt_error),
    "BluetoothGATTNotifyRequest": NOTIFY,
    "BluetoothSetConnectionParamsRequest": Operation(_set_parameters, _parameters_not_set),
}
DEVICE_OPERATIONS: Final[dict[int, Operation]] = {
    PAIR: Operation(_pair, _not_paired),
    UNPAIR: Operation(_unpair, _not_unpaired, ends_link=True),
    CLEAR_CACHE: Operation(_clear_cache, _not_cleared, ends_link=True),
}

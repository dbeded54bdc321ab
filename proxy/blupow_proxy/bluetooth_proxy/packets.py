"""What a Bluetooth proxy tells its clients, as messages ready to be sent."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from aioesphomeapi import api_pb2

from blupow_proxy.ble import GattCharacteristic, GattService
from blupow_proxy.native_api import Packet, packet

SERVICES_BYTES: Final = 1360  # of services in a message, as ESPHome: it fits a packet of the network
_BASE_UUID: Final = "-0000-1000-8000-00805f9b34fb"  # of the UUIDs that have 16 or 32 bits of their own
_HALF: Final = (1 << 64) - 1


def scanner_state(state: int, *, active: bool, configured_active: bool) -> Packet:
    """Return what the scanner does now (a number of the wire), and in which mode; and the configured mode."""
    return packet(
        api_pb2.BluetoothScannerStateResponse(state=state, mode=int(active), configured_mode=int(configured_active))
    )


def slots(free: int, limit: int, allocated: Iterable[int]) -> Packet:
    """Return how many connections are free, of how many, and which addresses have the others."""
    return packet(api_pb2.BluetoothConnectionsFreeResponse(free=free, limit=limit, allocated=allocated))


def connected(address: int, mtu: int) -> Packet:
    """Return that a device is connected and known, with the ATT MTU in bytes."""
    return packet(api_pb2.BluetoothDeviceConnectionResponse(address=address, connected=True, mtu=mtu))


def disconnected(address: int, error: int) -> Packet:
    """Return that a device is not connected, or no longer, and why (see ``codes``)."""
    return packet(api_pb2.BluetoothDeviceConnectionResponse(address=address, error=error))


def gatt_error(address: int, handle: int, error: int) -> Packet:
    """Return that an operation on ``handle`` failed, and why."""
    return packet(api_pb2.BluetoothGATTErrorResponse(address=address, handle=handle, error=error))


def value_read(address: int, handle: int, value: bytes) -> Packet:
    """Return what was read of a characteristic or a descriptor."""
    return packet(api_pb2.BluetoothGATTReadResponse(address=address, handle=handle, data=value))


def value_written(address: int, handle: int) -> Packet:
    """Return that a characteristic or a descriptor was written."""
    return packet(api_pb2.BluetoothGATTWriteResponse(address=address, handle=handle))


def notify_changed(address: int, handle: int) -> Packet:
    """Return that notifications are now as was asked."""
    return packet(api_pb2.BluetoothGATTNotifyResponse(address=address, handle=handle))


def notified(address: int, handle: int, value: bytes) -> Packet:
    """Return what a device has notified or indicated."""
    return packet(api_pb2.BluetoothGATTNotifyDataResponse(address=address, handle=handle, data=value))


def paired(address: int, error: int) -> Packet:
    """Return how pairing ended; 0 is well."""
    return packet(api_pb2.BluetoothDevicePairingResponse(address=address, paired=not error, error=error))


def unpaired(address: int, error: int) -> Packet:
    """Return how unpairing ended; 0 is well."""
    return packet(api_pb2.BluetoothDeviceUnpairingResponse(address=address, success=not error, error=error))


def cache_cleared(address: int, error: int) -> Packet:
    """Return how clearing the cache of services ended; 0 is well."""
    return packet(api_pb2.BluetoothDeviceClearCacheResponse(address=address, success=not error, error=error))


def parameters_set(address: int, error: int) -> Packet:
    """Return how setting the connection's parameters ended; 0 is well."""
    return packet(api_pb2.BluetoothSetConnectionParamsResponse(address=address, error=error))


def services(address: int, offered: Iterable[GattService]) -> list[Packet]:
    """Return all services of a device, as few a message as fit, and that these are all."""
    found = [
        packet(api_pb2.BluetoothGATTGetServicesResponse(address=address, services=batch))
        for batch in _batches(map(_service, offered))
    ]
    return [*found, packet(api_pb2.BluetoothGATTGetServicesDoneResponse(address=address))]


def _batches(messages: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size = 0
    for message in messages:
        added = message.ByteSize()
        if batch and size + added > SERVICES_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += added
    if batch:
        yield batch


def _service(service: GattService) -> Any:
    characteristics = map(_characteristic, service.characteristics)
    return api_pb2.BluetoothGATTService(
        handle=service.handle, characteristics=characteristics, **_uuid_fields(service.uuid)
    )


def _characteristic(characteristic: GattCharacteristic) -> Any:
    return api_pb2.BluetoothGATTCharacteristic(
        handle=characteristic.handle,
        properties=characteristic.properties,
        descriptors=[
            api_pb2.BluetoothGATTDescriptor(handle=descriptor.handle, **_uuid_fields(descriptor.uuid))
            for descriptor in characteristic.descriptors
        ],
        **_uuid_fields(characteristic.uuid),
    )


def _uuid_fields(uuid: str) -> dict[str, Any]:
    """Return a UUID's short form where it has one that is not 0, which would be none."""
    uuid = uuid.lower()
    short = int(uuid[:8], 16) if uuid.endswith(_BASE_UUID) else 0
    if short:
        return {"short_uuid": short}
    number = int(uuid.replace("-", ""), 16)
    return {"uuid": [number >> 64, number & _HALF]}

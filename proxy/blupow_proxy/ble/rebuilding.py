"""Advertisements made anew from what BlueZ tells of a device, where their bytes can't be had."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from .advertisement import AddressType, RawAdvertisement, address_number
from .advertising_data import describe, encode

MAX_REMEMBERED: Final = 1024  # devices; who is forgotten is told of once more than needed

# what changes with a connection, and not with an advertisement
_OF_CONNECTIONS: Final = ("Connected", "ServicesResolved", "Paired", "Bonded", "Trusted", "Blocked", "Alias")


class Rebuilder:
    """Tells what each advertisement said, as far as BlueZ lets one know: names and services are of any until now."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[str, Any]] = {}

    def rebuild(self, device: BLEDevice, data: AdvertisementData, *, repeats: bool) -> RawAdvertisement | None:
        """Return an advertisement that a client reads the same of, or None: BlueZ told of something else.

        ``repeats`` says that BlueZ tells contents again that have not changed: what it does not tell now, was not said.
        """
        properties = data.platform_data[1] if len(data.platform_data) > 1 else None
        if properties is None:  # of a backend that has none
            return _raw(device, data, AddressType.PUBLIC)
        if "RSSI" not in properties:
            return None
        last = self._last.pop(device.address, {})
        self._last[device.address] = properties
        if len(self._last) > MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        if last and any(properties.get(key) != last.get(key) for key in _OF_CONNECTIONS):
            return None
        # what BlueZ tells anew is another object, also when it is equal
        if repeats and properties.get("ManufacturerData") is last.get("ManufacturerData"):
            data = data._replace(manufacturer_data={})
        if repeats and properties.get("ServiceData") is last.get("ServiceData"):
            data = data._replace(service_data={})
        address_type = AddressType.RANDOM if properties.get("AddressType") == "random" else AddressType.PUBLIC
        return _raw(device, data, address_type, properties)


def _raw(
    device: BLEDevice,
    data: AdvertisementData,
    address_type: AddressType,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> RawAdvertisement:
    parts = describe(
        name=data.local_name,
        service_uuids=data.service_uuids,
        manufacturer_data=data.manufacturer_data,
        service_data=data.service_data,
        tx_power=data.tx_power,
        appearance=more.get("Appearance"),
        flags=bytes(more.get("AdvertisingFlags", b"")),
    )
    return RawAdvertisement(address_number(device.address), address_type, data.rssi, encode(parts))

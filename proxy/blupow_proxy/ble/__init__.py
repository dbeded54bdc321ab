"""Bluetooth LE through bleak: the adapter, what is heard, and links to devices."""

from .adapter import Adapter
from .advertisement import AddressType, Advertisement, RawAdvertisement, address_number
from .advertising_data import NAME, SHORT_NAME, structures
from .attributes import CCCD, MAX_VALUE_BYTES, GattCharacteristic, GattDescriptor, GattService
from .bluez import AdapterFacts
from .connection_parameters import ConnectionParameters, can_set_parameters
from .gatt_client import GattClient
from .inspection import inspect_adapter, inspect_adapters
from .link import CONNECTING_S, Link, RawFrame
from .listening import listen
from .management import CAP_NET_RAW, has_right
from .rfkill import bluetooth_switches, why_blocked
from .scanner import scan
from .scanning import Forwarding, Scan, ScannerState, Source

__all__ = [
    "CAP_NET_RAW",
    "CCCD",
    "CONNECTING_S",
    "MAX_VALUE_BYTES",
    "NAME",
    "SHORT_NAME",
    "Adapter",
    "AdapterFacts",
    "AddressType",
    "Advertisement",
    "ConnectionParameters",
    "Forwarding",
    "GattCharacteristic",
    "GattClient",
    "GattDescriptor",
    "GattService",
    "Link",
    "RawAdvertisement",
    "RawFrame",
    "Scan",
    "ScannerState",
    "Source",
    "address_number",
    "bluetooth_switches",
    "can_set_parameters",
    "has_right",
    "inspect_adapter",
    "inspect_adapters",
    "listen",
    "scan",
    "structures",
    "why_blocked",
]

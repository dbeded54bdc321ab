"""A Bluetooth proxy for the whole house: what is heard and connected for clients, beside our own devices."""

from blupow_proxy.ble import address_number

from .addresses import address_text
from .parties import Client, Forwarding, MakePeripheral, Peripheral, Scanner
from .proxy import BluetoothProxy, ProxyLimits
from .rules import Rules, Verdict

__all__ = [
    "BluetoothProxy",
    "Client",
    "Forwarding",
    "MakePeripheral",
    "Peripheral",
    "ProxyLimits",
    "Rules",
    "Scanner",
    "Verdict",
    "address_number",
    "address_text",
]

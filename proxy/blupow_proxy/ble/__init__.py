"""Bluetooth LE through bleak: the adapter, what is heard, and links to devices."""

from .adapter import Adapter
from .advertisement import Advertisement
from .bluez import AdapterFacts
from .inspection import inspect_adapter, inspect_adapters
from .link import CONNECTING_S, Link, RawFrame
from .listening import listen
from .rfkill import bluetooth_switches, why_blocked
from .scanner import scan

__all__ = [
    "CONNECTING_S",
    "Adapter",
    "AdapterFacts",
    "Advertisement",
    "Link",
    "RawFrame",
    "bluetooth_switches",
    "inspect_adapter",
    "inspect_adapters",
    "listen",
    "scan",
    "why_blocked",
]

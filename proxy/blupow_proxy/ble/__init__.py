"""Bluetooth LE through bleak: the adapter, what is heard, and links to devices."""

from .adapter import Adapter
from .advertisement import Advertisement
from .inspection import inspect_adapter
from .link import CONNECTING_S, Link, RawFrame
from .rfkill import bluetooth_switches, why_blocked
from .scanner import scan

__all__ = [
    "CONNECTING_S",
    "Adapter",
    "Advertisement",
    "Link",
    "RawFrame",
    "bluetooth_switches",
    "inspect_adapter",
    "scan",
    "why_blocked",
]

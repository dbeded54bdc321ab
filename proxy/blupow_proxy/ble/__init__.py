"""Bluetooth LE through bleak: the adapter, what is heard, and links to devices."""

from .adapter import Adapter
from .advertisement import Advertisement
from .failures import BLOCKED
from .inspection import inspect_adapter
from .link import CONNECT_S, Link, RawFrame
from .scanner import scan

__all__ = ["BLOCKED", "CONNECT_S", "Adapter", "Advertisement", "Link", "RawFrame", "inspect_adapter", "scan"]

"""Bluetooth LE through bleak: the adapter, what is heard, and links to devices."""

from .adapter import Adapter
from .advertisement import Advertisement
from .link import CONNECT_S, Link, RawFrame
from .scanner import scan

__all__ = ["CONNECT_S", "Adapter", "Advertisement", "Link", "RawFrame", "scan"]

"""Reading any ESPHome device as a client: its entities, their latest states, and how to show them."""

from .errors import ClientError, KeyRefusedError, UnreachableError
from .snapshot import Group, Row, Snapshot
from .view import render
from .watcher import DEFAULT_PORT, Watcher

__all__ = [
    "DEFAULT_PORT",
    "ClientError",
    "Group",
    "KeyRefusedError",
    "Row",
    "Snapshot",
    "UnreachableError",
    "Watcher",
    "render",
]

"""Reading any ESPHome device as a client: its entities, their latest states, and how to show them."""

from .connection import DEFAULT_PORT
from .errors import ClientError, KeyRefusedError, UnreachableError
from .log import LogLine, LogReader
from .snapshot import Group, Row, Snapshot
from .view import render
from .watcher import Watcher

__all__ = [
    "DEFAULT_PORT",
    "ClientError",
    "Group",
    "KeyRefusedError",
    "LogLine",
    "LogReader",
    "Row",
    "Snapshot",
    "UnreachableError",
    "Watcher",
    "render",
]

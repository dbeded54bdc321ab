"""Whether Bluetooth can be used: in the words that the proxy itself has for it."""

import grp
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from blupow_proxy.errors import BleError

from .finding import Finding, fine, note, wrong

RFKILL: Final = Path("/sys/class/rfkill")
OLDEST_BLUEZ: Final = (5, 55)  # bleak's own demand
_TOOL_S: Final = 2.0  # it only prints its version, but may wait for a stuck bus


def bluez_version() -> str | None:
    """Return the version of BlueZ; None where there is none."""
    command = shutil.which("bluetoothctl")
    if command is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TOOL_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = done.stdout.decode(errors="replace").split()
    return words[-1] if words else None


def check_bluez(version: str | None) -> Finding:
    """Tell whether BlueZ is there, and new enough."""
    if version is None:
        return wrong("BlueZ", "is not installed: sudo apt install bluez")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST_BLUEZ:
        oldest = ".".join(map(str, OLDEST_BLUEZ))
        return wrong("BlueZ", f"{version} is too old, {oldest} is needed: update the system")
    return fine("BlueZ", version)


def check_rfkill(root: Path = RFKILL) -> Finding | None:
    """Tell whether Bluetooth is blocked; None where nothing can block it."""
    from blupow_proxy.ble import bluetooth_switches, why_blocked  # noqa: PLC0415 - bleak takes a while to import

    if not bluetooth_switches(root):
        return None
    blocked = why_blocked(root)
    return fine("rfkill", "Bluetooth is not blocked") if blocked is None else wrong("rfkill", blocked)


def check_group(find: Callable[[str], Any] = grp.getgrnam) -> Finding:
    """Tell whether there is the group that may use Bluetooth: the service is started in it."""
    try:
        members = find("bluetooth")
    except KeyError:
        return wrong("group bluetooth", "does not exist: sudo apt install bluez")
    mine = os.geteuid() == 0 or members.gr_gid in os.getgroups()
    return fine("group bluetooth", "exists, and this user is in it" if mine else "exists; the service is started in it")


async def check_adapter(wanted: str | None) -> Finding:
    """Tell whether bluetoothd answers and has the adapter ``wanted``, or any."""
    from blupow_proxy.ble import inspect_adapter  # noqa: PLC0415

    try:
        adapter = await inspect_adapter(wanted)
    except BleError as error:
        return wrong("Bluetooth adapter", error.message)
    if not adapter.powered:
        return note("Bluetooth adapter", f"{adapter.name} ({adapter.address}) is off: the proxy turns it on")
    return fine("Bluetooth adapter", f"{adapter.name} ({adapter.address}) is on")

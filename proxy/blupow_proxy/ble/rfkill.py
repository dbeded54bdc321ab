"""The kernel's switches for radios: BlueZ says no more than "Failed" where one of them keeps an adapter off."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from .failures import BLOCKED, SWITCHED_OFF

SWITCHES: Final = Path("/sys/class/rfkill")


def bluetooth_switches(root: Path = SWITCHES) -> list[Path]:
    """Return the switches for Bluetooth."""
    return [switch for switch in sorted(root.glob("*")) if _read(switch / "type") == "bluetooth"]


def why_blocked(root: Path = SWITCHES) -> str | None:
    """Return by what Bluetooth is blocked, and the remedy; None when it is not."""
    switches = bluetooth_switches(root)
    if any(_read(switch / "hard") == "1" for switch in switches):
        return SWITCHED_OFF
    if any(_read(switch / "soft") == "1" for switch in switches):
        return BLOCKED
    return None


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("ascii").strip()
    return ""

"""What the host knows of itself: its temperature and how well it hears its access point."""

from pathlib import Path
from typing import Final

THERMAL: Final = Path("/sys/class/thermal")
WIRELESS: Final = Path("/proc/self/net/wireless")  # the service has no /proc/net

_CPU_ZONES: Final = ("cpu", "soc", "x86_pkg", "package")  # how kernels call the processor's sensor
_RANGE_C: Final = (-40.0, 150.0)  # what a processor survives
_HEADER_LINES: Final = 2
_LEVEL_FIELD: Final = 3  # interface, status, quality, level in dBm, noise


def cpu_temperature_c(thermal: Path = THERMAL) -> float | None:
    """Return the processor's temperature in degrees Celsius; None where the kernel tells none."""
    zones = sorted(thermal.glob("thermal_zone*"), key=lambda zone: (len(zone.name), zone.name))
    named = [zone for zone in zones if _line(zone / "type").lower().startswith(_CPU_ZONES)]
    for zone in named or zones[:1]:
        try:
            celsius = int(_line(zone / "temp")) / 1000
        except ValueError:
            continue
        return celsius if _RANGE_C[0] <= celsius <= _RANGE_C[1] else None
    return None


def wifi_signal_dbm(wireless: Path = WIRELESS) -> float | None:
    """Return the signal of the first Wi-Fi link in dBm; None without one."""
    try:
        lines = wireless.read_text("ascii", "replace").splitlines()[_HEADER_LINES:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        try:
            level = float(fields[_LEVEL_FIELD])
        except (IndexError, ValueError):
            continue
        return level if level < 0 else None  # what has no link says 0
    return None


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""

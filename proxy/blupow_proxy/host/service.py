"""The systemd service: what belongs to it, and where."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blupow_proxy.storage import default_folder

NAME: Final = "blupow-proxy"
GROUP: Final = "blupow"
CONFIG_FOLDER: Final = Path("/etc/blupow")
CONFIG: Final = CONFIG_FOLDER / "proxy.yaml"
STATE: Final = Path("/var/lib/blupow-proxy")
PRIVATE_STATE: Final = Path("/var/lib/private/blupow-proxy")  # where systemd keeps that of a dynamic user

_TEMPLATES: Final = Path(__file__).parent / "pi"
_SYSTEM: Final = Path("/etc/systemd/system")
UNIT: Final = _SYSTEM / f"{NAME}.service"
BLUETOOTH: Final = _SYSTEM / "bluetooth.service.d" / f"{NAME}.conf"
RECOVERY: Final = _SYSTEM / f"{NAME}.service.d" / "auto-recovery.conf"
JOURNAL: Final = Path("/etc/systemd/journald.conf.d") / f"{NAME}.conf"
SYSUSERS: Final = Path("/etc/sysusers.d") / f"{GROUP}.conf"
NSSWITCH: Final = Path("/etc/nsswitch.conf")
NO_NAMES: Final = (
    "D-Bus would not know the service's user, which exists while it runs, and keep it from Bluetooth: "
    "sudo apt install libnss-systemd"
)
WRITTEN: Final = (UNIT, BLUETOOTH, RECOVERY, JOURNAL, SYSUSERS)

_PROGRAM: Final = "/usr/bin/blupow-proxy run"  # in the template, with the configuration behind it
_HOMES: Final = "ProtectHome=tmpfs\n"
# What the unit's ProtectHome= and PrivateTmp= hide: an installation below them is shown to it alone.
_HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - named, not used


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file for systemd, and what it holds."""

    path: Path
    content: str


def unit_files(python: Path, needs: Iterable[Path], *, volatile_log: bool, auto_recovery: bool) -> list[UnitFile]:
    """Return the files of a service that runs with ``python``, which ``needs`` the files below these paths."""
    template = (_TEMPLATES / "blupow-proxy.service").read_text()
    shown = "".join(f"BindReadOnlyPaths={_quoted(path, colons=True)}\n" for path in hidden(needs))
    unit = template.replace(_PROGRAM, f"{_quoted(python)} -m blupow_proxy run").replace(_HOMES, _HOMES + shown)
    files = [
        UnitFile(UNIT, unit),
        UnitFile(BLUETOOTH, (_TEMPLATES / "bluetooth.conf").read_text()),
        UnitFile(SYSUSERS, (_TEMPLATES / "sysusers.conf").read_text()),
    ]
    if auto_recovery:
        files.append(UnitFile(RECOVERY, (_TEMPLATES / "auto-recovery.conf").read_text()))
    if volatile_log:
        files.append(UnitFile(JOURNAL, (_TEMPLATES / "journald.conf").read_text()))
    return files


def needed_by_this_program(packages: Sequence[Path]) -> list[Path]:
    """Return the paths without which this installation, with these ``packages``, does not run."""
    needs = [Path(sys.prefix), Path(sys.base_prefix), *(package.parent for package in packages)]
    # a virtual environment's interpreter is a link, often to another link
    interpreter = Path(sys.executable)
    while interpreter.is_symlink():
        interpreter = Path(os.path.normpath(interpreter.parent / interpreter.readlink()))
        needs.append(interpreter)
    return needs


def hidden(paths: Iterable[Path]) -> list[Path]:
    """Return those of ``paths`` that the service would not see, without those that are below another."""
    found: list[Path] = []
    for path in sorted(set(paths)):
        if any(path.is_relative_to(place) for place in _HIDDEN) and not any(path.is_relative_to(one) for one in found):
            found.append(path)
    return found


def knows_dynamic_users(nsswitch: Path = NSSWITCH) -> bool:
    """Return whether programs find the users that systemd makes up: D-Bus turns others away."""
    try:
        lines = nsswitch.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.startswith("passwd:") and "systemd" in line.split() for line in lines)


def state_folder(file: Path, name: str) -> Path:
    """Return where a proxy of this name that runs with ``file`` keeps its state; ProxyError when nowhere."""
    return STATE if file.resolve() == CONFIG else default_folder(name)


def _quoted(path: Path, *, colons: bool = False) -> str:
    """Return ``path`` for a unit file, in which %, spaces and, in some places, colons mean something."""
    text = str(path).replace("%", "%%")
    if colons:
        text = text.replace(":", "\\:")
    return f'"{text}"' if " " in text else text

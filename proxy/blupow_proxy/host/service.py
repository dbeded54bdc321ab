"""The systemd service: what belongs to it, and where."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from blupow_proxy.storage import default_folder

NAME: Final = "blupow-proxy"
USER: Final = "blupow"  # and its group
CONFIG_FOLDER: Final = Path("/etc/blupow")
CONFIG: Final = CONFIG_FOLDER / "proxy.yaml"
STATE: Final = Path("/var/lib/blupow-proxy")

_TEMPLATES: Final = Path(__file__).parent / "pi"
_SYSTEM: Final = Path("/etc/systemd/system")
UNIT: Final = _SYSTEM / f"{NAME}.service"
BLUETOOTH: Final = _SYSTEM / "bluetooth.service.d" / f"{NAME}.conf"
RECOVERY: Final = _SYSTEM / f"{NAME}.service.d" / "auto-recovery.conf"
# of a name that `systemctl edit` comes after, so that whoever wants can take the rights away again
ADVERTISEMENTS: Final = RECOVERY.with_name("advertisements.conf")
SUBSTITUTIONS: Final = RECOVERY.with_name("substitutions.conf")
JOURNAL: Final = Path("/etc/systemd/journald.conf.d") / f"{NAME}.conf"
SYSUSERS: Final = Path("/etc/sysusers.d") / f"{USER}.conf"
WRITTEN: Final = (UNIT, BLUETOOTH, RECOVERY, ADVERTISEMENTS, SUBSTITUTIONS, JOURNAL, SYSUSERS)

# What the Debian package brings: systemd prefers a file of /etc to one of the same name in /usr.
PACKAGE: Final = Path("/usr/lib") / NAME
_PACKAGED_SYSTEM: Final = Path("/usr/lib/systemd/system")
PACKAGED_UNIT: Final = _PACKAGED_SYSTEM / UNIT.name
_PACKAGED_BLUETOOTH: Final = _PACKAGED_SYSTEM / BLUETOOTH.parent.name / BLUETOOTH.name
_PACKAGED_SYSUSERS: Final = Path("/usr/lib/sysusers.d") / SYSUSERS.name

_PROGRAM: Final = "/usr/bin/blupow-proxy run"  # in the template, with the configuration behind it
_HOMES: Final = "ProtectHome=tmpfs\n"
# What the unit's ProtectHome= and PrivateTmp= hide: an installation below them is shown to it alone.
_HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - named, not used


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file for systemd, and what it holds."""

    path: Path
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What only some want of a service: ``substitutions`` are those that `run` is given.

    ``raw_advertisements`` are those that the kernel gives to whom it trusts.
    """

    volatile_log: bool = False
    auto_recovery: bool = False
    raw_advertisements: bool = False
    substitutions: Mapping[str, str] = field(default_factory=dict)


def unit_files(python: Path, needs: Iterable[Path], options: Options) -> list[UnitFile]:
    """Return the files of a service that runs with ``python``, which ``needs`` the files below these paths."""
    template = _template("blupow-proxy.service")
    shown = "".join(f"BindReadOnlyPaths={_quoted(path, colons=True)}\n" for path in hidden(needs))
    program = f"{_quoted(python)} -m blupow_proxy run"
    unit = template.replace(_PROGRAM, program).replace(_HOMES, _HOMES + shown)
    return [
        UnitFile(UNIT, unit),
        UnitFile(BLUETOOTH, _template("bluetooth.conf")),
        UnitFile(SYSUSERS, _template("sysusers.conf")),
        *option_files(options, program),
    ]


def option_files(options: Options, program: str = _PROGRAM) -> list[UnitFile]:
    """Return the files that only some want, whoever brings the unit."""
    files = []
    if options.substitutions:
        given = " ".join(f"-s {_word(name)} {_word(value)}" for name, value in options.substitutions.items())
        files.append(UnitFile(SUBSTITUTIONS, f"[Service]\nExecStart=\nExecStart={program} {given} {CONFIG}\n"))
    if options.auto_recovery:
        files.append(UnitFile(RECOVERY, _template("auto-recovery.conf")))
    if options.raw_advertisements:
        files.append(UnitFile(ADVERTISEMENTS, _template("advertisements.conf")))
    if options.volatile_log:
        files.append(UnitFile(JOURNAL, _template("journald.conf")))
    return files


def packaged_files() -> list[UnitFile]:
    """Return the files that the Debian package brings, whose program is /usr/bin/blupow-proxy."""
    return [
        UnitFile(PACKAGED_UNIT, _template("blupow-proxy.service")),
        UnitFile(_PACKAGED_BLUETOOTH, _template("bluetooth.conf")),
        UnitFile(_PACKAGED_SYSUSERS, _template("sysusers.conf")),
    ]


def is_installed() -> bool:
    """Return whether this machine has the service, whoever has brought it."""
    return UNIT.exists() or PACKAGED_UNIT.exists()


def is_packaged() -> bool:
    """Return whether this program is that of the Debian package."""
    return Path(sys.prefix) == PACKAGE


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


def state_folder(file: Path, name: str) -> Path:
    """Return where a proxy of this name that runs with ``file`` keeps its state; ProxyError when nowhere."""
    return STATE if file.resolve() == CONFIG else default_folder(name)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text()


def _quoted(path: Path, *, colons: bool = False) -> str:
    """Return ``path`` for a unit file, in which %, spaces and, in some places, colons mean something."""
    text = str(path).replace("%", "%%")
    if colons:
        text = text.replace(":", "\\:")
    return f'"{text}"' if " " in text else text


def _word(text: str) -> str:
    """Return ``text`` as one word of a command in a unit file, where these characters mean something."""
    for character, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("%", "%%"), ("$", "$$")):
        text = text.replace(character, written)
    return f'"{text}"'

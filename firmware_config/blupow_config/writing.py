"""A configuration as a file: a new one, the lines of units, and the secrets beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yamlrocks

from .errors import ConfigErrors
from .language.files import Files
from .language.problems import Problems
from .language.secret import Secrets
from .schema.editor import SCHEMA_URL

KEY_SECRET: Final = "api_key"  # noqa: S105 - its name

_INDENT: Final = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnit:
    """A unit to be written; what is None is left for the proxy to find out."""

    address: str
    name: str
    family: str | None = None
    modbus_address: int | None = None


def new_file(*, name: str, friendly_name: str, adapter: str | None, units: Sequence[NewUnit], file: str) -> str:
    """Return a configuration whose key is the secret ``KEY_SECRET``; ``file`` is what it will be called."""
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_URL}",
        f"# After a change, `blupow-proxy config {file}` says whether all is well.",
        f"# More units? `blupow-proxy setup {file}` adds them.",
        "esphome:",
        f"  name: {_scalar(name)}",
        f"  friendly_name: {_text(friendly_name)}",
        "api:",
        "  encryption:",
        f"    key: !secret {KEY_SECRET}",
    ]
    if adapter is not None:
        lines += ["bluetooth:", f"  adapter: {_text(adapter)}"]
    return "\n".join([*lines, "renogy:", *unit_lines(units)]) + "\n"


def unit_lines(units: Iterable[NewUnit], indent: str = _INDENT) -> list[str]:
    """Return units as the lines of a YAML list."""
    return [
        f"{indent}{dash}{option}: {_text(value)}"
        for unit in units
        for dash, (option, value) in zip(("- ", *[_INDENT] * 9), _options(unit).items(), strict=False)
    ]


def stored_secret(path: Path, name: str) -> str | None:
    """Return the text of a secret beside the configuration in ``path``; None without one; ConfigErrors."""
    problems = Problems()
    try:
        value = Secrets(Files(path), problems).get(name, path)
    except LookupError:
        if problems.errors:
            raise ConfigErrors(problems.errors) from None
        return None
    return str(value) if isinstance(value, str) else None


def with_secret(source: bytes, name: str, value: str) -> bytes:
    """Return a secrets file with one more secret; all else stays as it is, and its line ends are kept."""
    ending = b"\r\n" if b"\r\n" in source else b"\n"
    head = source if not source or source.endswith(b"\n") else source + ending
    return head + f"{name}: {_scalar(value)}".encode() + ending


def _options(unit: NewUnit) -> dict[str, Any]:
    options = {
        "address": unit.address,
        "name": unit.name,
        "family": unit.family,
        "modbus_address": unit.modbus_address,
    }
    return {option: value for option, value in options.items() if value is not None}


def _text(value: Any) -> str:
    """Return a value that comes back as it is from a file with substitutions."""
    return f"!literal {_scalar(value)}" if isinstance(value, str) and "$" in value else _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and not value.isprintable():  # some of what does not print ends lines
        plain = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in plain) + '"'
    return yamlrocks.dumps(value).decode().strip()

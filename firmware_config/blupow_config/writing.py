"""A configuration as a file: a new one, or one that gets more units, with all that a person has written in it."""

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

_OPTIONS: Final = yamlrocks.OPT_ROUND_TRIP | yamlrocks.OPT_PASSTHROUGH_TAG
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
        f"  friendly_name: {_scalar(friendly_name)}",
        "api:",
        "  encryption:",
        f"    key: !secret {KEY_SECRET}",
    ]
    if adapter is not None:
        lines += ["bluetooth:", f"  adapter: {_scalar(adapter)}"]
    return "\n".join([*lines, "renogy:", *unit_lines(units)]) + "\n"


def unit_lines(units: Iterable[NewUnit], indent: str = _INDENT) -> list[str]:
    """Return units as the lines of a YAML list."""
    return [
        f"{indent}{dash}{option}: {_scalar(value)}"
        for unit in units
        for dash, (option, value) in zip(("- ", *[_INDENT] * 9), _options(unit).items(), strict=False)
    ]


def with_units(source: bytes, units: Sequence[NewUnit]) -> bytes:
    """Return ``source``, which is right, with ``units`` behind those that it has; all else stays as it is."""
    document = yamlrocks.loads(source, option=_OPTIONS)
    last = len(document.get("renogy", None) or ()) - 1
    where = document.locate(["renogy", last]) if last >= 0 else None
    if where is not None and where.style == "block" and document.locate(["renogy"]).style == "block":
        start = source.rfind(b"\n", 0, where.offset) + 1
        end = source.find(b"\n", where.end_offset)
        head, tail = (source, b"") if end < 0 else (source[:end], source[end:])
        indent = source[start : source.index(b"-", start)].decode()
        return head + "".join(f"\n{line}" for line in unit_lines(units, indent)).encode() + (tail or b"\n")
    known: list[Any] = document["renogy"].to_dict() if last >= 0 else []
    document["renogy"] = [*known, *map(_options, units)]
    return bytes(document.to_yaml())


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
    """Return a secrets file with one more secret; all else stays as it is."""
    head = source if not source or source.endswith(b"\n") else source + b"\n"
    return head + f"{name}: {_scalar(value)}\n".encode()


def _options(unit: NewUnit) -> dict[str, Any]:
    options = {
        "address": unit.address,
        "name": unit.name,
        "family": unit.family,
        "modbus_address": unit.modbus_address,
    }
    return {option: value for option, value in options.items() if value is not None}


def _scalar(value: Any) -> str:
    return yamlrocks.dumps(value).decode().strip()

"""Rules between values, checked on whatever of the file is well formed."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from probatio import Invalid

from . import fields
from .tree import Path_

_LOAD_FAMILIES: Final = ("auto", "controller")
_VARIANT_FAMILIES: Final = ("auto", "battery")


def related_mistakes(content: Any) -> Iterator[tuple[Path_, str]]:
    """Yield the mistakes that only show between several values, as path and message."""
    units = content.get("renogy") if isinstance(content, dict) else None
    if not isinstance(units, list):
        return
    numbered = [(number, unit) for number, unit in enumerate(units) if isinstance(unit, dict)]
    for number, unit in numbered:
        yield from _misplaced(("renogy", number), unit)
    yield from _taken(numbered)
    yield from _shared_links(numbered)


def _misplaced(path: Path_, unit: dict[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Options that the unit's family does not have."""
    family = str(unit.get("family", "auto")).lower()
    if _read(fields.boolean, unit.get("load_switch")) and family not in _LOAD_FAMILIES:
        yield (*path, "load_switch"), f"only a controller has a load output, this is a {family}"
    if unit.get("variant") is not None and family not in _VARIANT_FAMILIES:
        yield (*path, "variant"), f"only batteries have variants, this is a {family}"


def _taken(numbered: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Path_, str]]:
    """Names and ids that an earlier unit has."""
    for option in ("name", "id"):
        first: dict[str, int] = {}
        for number, unit in numbered:
            value = _read(fields.label, unit.get(option))
            if value is None:
                continue
            if value in first:
                yield ("renogy", number, option), f"{value!r} is taken by renogy.{first[value]}: each needs its own"
            first.setdefault(value, number)


def _shared_links(numbered: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Path_, str]]:
    """Units behind one Bluetooth address, which only their Modbus addresses tell apart."""
    links: dict[str, dict[Any, int]] = {}
    for number, unit in numbered:
        address = _read(fields.mac_address, unit.get("address"))
        if address is None:
            continue
        members = links.setdefault(address, {})
        modbus_address = _read(fields.modbus_address, unit.get("modbus_address"))
        if modbus_address in members:
            yield (
                ("renogy", number, "address"),
                (
                    f"renogy.{members[modbus_address]} is the same unit: of several units behind one Bluetooth module, "
                    "each needs its modbus_address"
                ),
            )
        elif members and None in {modbus_address, *members}:
            yield (
                ("renogy", number, "address"),
                (
                    f"renogy.{next(iter(members.values()))} is behind the same Bluetooth module: "
                    "each of them needs its modbus_address"
                ),
            )
        members.setdefault(modbus_address, number)


def _read(field: Callable[[Any], Any], value: Any) -> Any:
    try:
        return field(value)
    except Invalid:
        return None

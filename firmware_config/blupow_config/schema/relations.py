"""Rules between values, checked on whatever of the file is well formed; no message holds a value, it may be secret."""

from collections.abc import Iterator
from typing import Any, Final

from blupow_config.ids import area_id, device_number
from blupow_config.language.tree import Path_, dotted

from . import fields
from .entity_relations import entity_mistakes
from .entries import unit_id
from .field import read_or_none
from .forwarding import forwarding_mistakes

_LOAD_FAMILIES: Final = ("auto", "controller")
_VARIANT_FAMILIES: Final = ("auto", "battery")

type _Numbered = list[tuple[int, dict[str, Any]]]


def related_mistakes(content: Any) -> Iterator[tuple[Path_, str]]:
    """Yield the mistakes that only show between several values, as path and message."""
    if not isinstance(content, dict):
        return
    yield from entity_mistakes(content)
    yield from forwarding_mistakes(content)
    units = content.get("renogy")
    if not isinstance(units, list):
        return
    numbered = [(number, unit) for number, unit in enumerate(units) if isinstance(unit, dict)]
    for number, unit in numbered:
        yield from _misplaced(("renogy", number), unit)
    yield from _taken_names(numbered)
    yield from _taken_ids(numbered)
    yield from _shared_links(numbered)
    yield from _areas_twice(content, numbered)


def _misplaced(path: Path_, unit: dict[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Options that the unit's family does not have."""
    family = read_or_none(fields.family, unit.get("family", "auto"))
    if family is None:
        return
    if read_or_none(fields.boolean, unit.get("load_switch")) and family not in _LOAD_FAMILIES:
        yield (*path, "load_switch"), "only a controller has a load output, and `family` says that this is none"
    if unit.get("variant") is not None and family not in _VARIANT_FAMILIES:
        yield (*path, "variant"), "only batteries have variants, and `family` says that this is none"


def _taken_names(numbered: _Numbered) -> Iterator[tuple[Path_, str]]:
    """Names that an earlier unit has."""
    first: dict[str, int] = {}
    for number, unit in numbered:
        name = read_or_none(fields.label, unit.get("name"))
        if name in first:
            yield ("renogy", number, "name"), f"is taken by renogy.{first[name]}: each unit needs its own"
        elif name is not None:
            first[name] = number


def _taken_ids(numbered: _Numbered) -> Iterator[tuple[Path_, str]]:
    """Ids that another unit has, or that clients can't tell from another's: they know units by a hash of it."""
    first: dict[int, tuple[str, int]] = {}
    given = {number for number, unit in numbered if "id" in unit}
    # a unit that leaves its id out has no choice: the others come after it
    for number, unit in sorted(numbered, key=lambda item: item[0] in given):
        own = unit_id(unit)
        if own is None:
            continue
        device = device_number(own)
        path = ("renogy", number, "id")
        if device == 0:
            yield path, "has the number that stands for the proxy itself: choose another"
            continue
        other, holder = first.setdefault(device, (own, number))
        if holder == number:
            continue
        if other != own:
            yield path, f"has the same number as the id of renogy.{holder}: choose another"
        elif holder in given:
            yield path, f"is taken by renogy.{holder}: each unit needs its own"
        elif number in given:
            yield path, f"is the id that renogy.{holder} has by default: choose another"


def _shared_links(numbered: _Numbered) -> Iterator[tuple[Path_, str]]:
    """Units behind one Bluetooth address, which only their Modbus addresses tell apart."""
    links: dict[str, dict[int | None, int]] = {}
    for number, unit in numbered:
        address = read_or_none(fields.mac_address, unit.get("address"))
        modbus_address = read_or_none(fields.modbus_address, unit.get("modbus_address"))
        if address is None or (modbus_address is None and "modbus_address" in unit):
            continue
        members = links.setdefault(address, {})
        path = ("renogy", number, "address")
        if modbus_address in members:
            message = "is the same unit: of several behind one Bluetooth module, each needs a modbus_address of its own"
            yield path, f"renogy.{members[modbus_address]} {message}"
        elif members and None in {modbus_address, *members}:
            message = "is behind the same Bluetooth module: each of them needs its modbus_address"
            yield path, f"renogy.{next(iter(members.values()))} {message}"
        members.setdefault(modbus_address, number)


def _areas_twice(content: dict[str, Any], numbered: _Numbered) -> Iterator[tuple[Path_, str]]:
    """Areas that clients take for one, as only capitals and spaces tell them apart."""
    first: dict[str, tuple[str, Path_]] = {}
    holders: list[tuple[Path_, Any]] = [(("esphome",), content.get("esphome"))]
    holders += [(("renogy", number), unit) for number, unit in numbered]
    for path, options in holders:
        area = read_or_none(fields.label, options.get("area")) if isinstance(options, dict) else None
        if area is None:
            continue
        other, holder = first.setdefault(area_id(area), (area, path))
        if other != area:
            yield (*path, "area"), f"is the area of {dotted(holder)} in another spelling: write both alike"

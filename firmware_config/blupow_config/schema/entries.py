"""What stands in a configuration, however well formed it is: its units, its entities, and whose they are."""

from collections.abc import Iterator, Mapping
from typing import Any

from blupow_config.ids import default_id
from blupow_config.language.tree import Path_

from . import fields
from .field import read_or_none
from .readings import Family, Kind, all_keys


def unit_id(unit: Mapping[str, Any]) -> str | None:
    """Return the id that a unit will have; None when what it is made of is not well formed."""
    if "id" in unit:
        given: str | None = read_or_none(fields.identifier, unit["id"])
        return given
    address = read_or_none(fields.mac_address, unit.get("address"))
    modbus_address = read_or_none(fields.modbus_address, unit.get("modbus_address"))
    if address is None or (modbus_address is None and "modbus_address" in unit):
        return None
    return default_id(address, modbus_address)


def units_by_number(content: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the units by their place under ``renogy:``."""
    units = content.get("renogy")
    return (
        {number: unit for number, unit in enumerate(units) if isinstance(unit, dict)} if isinstance(units, list) else {}
    )


def blocks(content: Mapping[str, Any], kind: str) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Yield the entries of ``sensor:`` and such."""
    found = content.get(kind)
    for number, block in enumerate(found if isinstance(found, list) else ()):
        if isinstance(block, dict):
            yield (kind, number), block


def platform_of(block: Mapping[str, Any]) -> str:
    """Return an entry's platform; an empty text if it has none that is a word."""
    platform = block.get("platform")
    return platform if isinstance(platform, str) else ""


def unit_of(block: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the unit that an entry of platform renogy is about; None if that is not clear."""
    if "renogy_id" not in block:
        return next(iter(units.values())) if len(units) == 1 else None
    named = read_or_none(fields.identifier, block["renogy_id"])
    return next((unit for unit in units.values() if named is not None and unit_id(unit) == named), None)


def described_readings(block: Mapping[str, Any], kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the readings that an entry of platform renogy describes."""
    if platform_of(block) == "renogy":
        yield from ((key, block[key]) for key in block if key in all_keys(kind) and isinstance(block[key], dict))


def possible_families(unit: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the families that a unit may be of."""
    given = read_or_none(fields.family, unit.get("family", "auto"))
    return tuple(Family) if given in (None, "auto") else (given,)


def is_internal(entity: Mapping[str, Any]) -> bool:
    """Return whether an entity is not to be shown."""
    return read_or_none(fields.boolean, entity.get("internal")) is True

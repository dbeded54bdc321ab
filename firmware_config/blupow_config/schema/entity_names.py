"""Rules about the names of entities: which are taken, and which the companion relies on."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from blupow_config.language.tree import Path_, dotted

from . import fields
from .entities import OWN_PLATFORMS
from .entries import blocks, described_readings, is_internal, platform_of, possible_families, unit_of
from .field import read_or_none
from .readings import Family, Kind, of_family

LINK_NAMES: Final = (  # what the proxy itself says of each unit
    "Failed requests",
    "Last reading",
    "Link",
    "Link quality",
    "Link status",
    "Release link",
    "Signal strength",
)
LOAD_NAME: Final = "Load"  # the switch of a unit with `load_switch: true`
OWN_NAMES: Final = (  # what the proxy has by itself; one of `sensor:` takes Uptime's place
    "Bluetooth adapter",
    "Bluetooth adapter status",
    "Bluetooth advertisements",
    "Clock",
    "Restart",
    "Sessions",
    "Uptime",
)
KEPT_NAMES: Final = (  # by which the companion knows what a unit is, and what its battery takes and gives
    "Battery power",
    "Firmware version",
    "Hardware version",
    "Model",
    "Serial number",
    "Software version",
)


def renamed_kept(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Other names for what the companion knows by its own."""
    for kind in Kind:
        for path, block in blocks(content, kind):
            unit = unit_of(block, units) or {}
            for key, entity in described_readings(block, kind):
                wished = read_or_none(fields.label, entity.get("name"))
                if wished is None or is_internal(entity):
                    continue
                for name in sorted(_own_names(unit, key).intersection(KEPT_NAMES)):
                    if _object_id(wished) != _object_id(name):
                        why = "the companion knows it by that name, rename it in Home Assistant"
                        yield (*path, key, "name"), f"has to stay {name!r}: {why}"


def taken_names(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Names that Home Assistant can't tell from another's of the same device, or that mislead the companion."""
    yield from _twice(_own_entities(content))
    for unit in units.values():
        described = {
            (kind, key): ((*path, key, "name"), entity)
            for kind in Kind
            for path, block in blocks(content, kind)
            if unit_of(block, units) is unit
            for key, entity in described_readings(block, kind)
        }
        families = possible_families(unit)
        found: dict[tuple[Path_, str], list[str]] = {}
        for family in families:
            for mistake in _twice(_shown_names(unit, family, described)):
                found.setdefault(mistake, []).append(family)
        for (path, message), guilty in sorted(found.items()):
            possible = [family for family in families if path[-2] in of_family(family)]
            unless = f", or write its `family:` if it is no {' or '.join(guilty)}" if guilty != possible else ""
            yield path, message + unless
        told = {path for path, _ in found}
        for (kind, key), (path, entity) in described.items():
            if path not in told and _is_borrowed(unit, kind, key, entity):
                yield path, "is what another reading is called: choose another"


def _is_borrowed(unit: Mapping[str, Any], kind: Kind, key: str, entity: Mapping[str, Any]) -> bool:
    """Return whether a reading is to bear a name by which the companion knows another one, if there were one.

    It takes a number of that name for a power, and a text for one that identifies nothing.
    """
    name = read_or_none(fields.label, entity.get("name"))
    if name is None or is_internal(entity):
        return False
    own = set(map(_object_id, _own_names(unit, key)))
    reserved = KEPT_NAMES if kind is not Kind.TEXT_SENSOR else (*KEPT_NAMES, *OWN_NAMES, *all_text_names())
    kept = own & set(map(_object_id, KEPT_NAMES))
    return not kept and _object_id(name) not in own and _object_id(name) in map(_object_id, reserved)


def _own_names(unit: Mapping[str, Any], key: str) -> set[str]:
    """Return what a reading is called by itself, in the families that the unit may be of."""
    return {of_family(family)[key].name for family in possible_families(unit) if key in of_family(family)}


@cache
def all_text_names() -> frozenset[str]:
    """Return what the texts of any family are called."""
    readings = [reading for family in Family for reading in of_family(family).values()]
    return frozenset(reading.name for reading in readings if reading.kind is Kind.TEXT_SENSOR)


def _shown_names(
    unit: Mapping[str, Any], family: str, described: Mapping[tuple[Kind, str], tuple[Path_, dict[str, Any]]]
) -> list[tuple[Path_ | None, Any]]:
    """Return the names in use in a unit that is of ``family``, and where those that were given stand.

    A name that a reading has by itself stays its own, whatever it is called instead. The kinds share their names:
    numbers and texts are one kind to Home Assistant, and who reads two equal names can't tell them apart either.
    """
    own: list[tuple[Path_ | None, Any]] = [(None, name) for name in LINK_NAMES]
    if read_or_none(fields.boolean, unit.get("load_switch")):
        own.append((None, LOAD_NAME))
    shown = unit.get("entities")
    readings = {
        (reading.kind, key): reading.name
        for key, reading in of_family(family).items()
        if (not isinstance(shown, list) or key in shown)
        and not is_internal(described.get((reading.kind, key), (None, {}))[1])
    }
    given: list[tuple[Path_ | None, Any]] = []
    named: dict[tuple[Kind, str], str] = {}
    for reading, (path, entity) in described.items():
        name = read_or_none(fields.label, entity.get("name"))
        if name is not None and reading in readings and readings[reading] not in KEPT_NAMES:
            given.append((path, name))
            named[reading] = _object_id(name)
    own.extend((None, name) for reading, name in readings.items() if named.get(reading) != _object_id(name))
    return own + given


def _own_entities(content: Mapping[str, Any]) -> list[tuple[Path_ | None, Any]]:
    """Return the names of the proxy's own sensors, and where they stand."""
    given: list[tuple[Path_ | None, Any]] = []
    names = set(OWN_NAMES)
    for path, block in blocks(content, Kind.SENSOR):
        if platform_of(block) in OWN_PLATFORMS and not is_internal(block):
            given.append(((*path, "name"), block.get("name")))
            if platform_of(block) == "uptime":
                names.discard("Uptime")
    return [*((None, name) for name in sorted(names)), *given]


def _twice(named: list[tuple[Path_ | None, Any]]) -> Iterator[tuple[Path_, str]]:
    first: dict[str, Path_ | None] = {}
    for path, given in named:
        name = read_or_none(fields.label, given)
        if name is None:
            continue
        spelled = _object_id(name)
        if path is not None and spelled in first:
            holder = first[spelled]
            by = "another entity already" if holder is None else dotted(holder[:-1])
            yield path, f"is the name of {by}: choose another"
        first.setdefault(spelled, path)


def _object_id(name: str) -> str:
    """Return what ESPHome makes of a name to tell entities apart."""
    return re.sub(r"[^a-z0-9_-]", "_", name.lower())

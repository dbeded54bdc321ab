"""Rules between entities and units, checked on whatever of the file is well formed; no message holds a value."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from blupow_config.ids import default_id
from blupow_config.language.secret import Secret
from blupow_config.language.tree import Path_, dotted

from . import fields
from .entities import FORMULA, OWN_PLATFORMS
from .field import did_you_mean, read_or_none
from .readings import Family, Kind, all_keys, families_with, of_family

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


def entity_mistakes(content: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Yield what does not fit together, as path and message."""
    units = _units(content)
    yield from _listed_readings(units)
    yield from _unknown_units(content, units)
    yield from _readings_of_others(content, units)
    yield from _taken_ids(content, units)
    yield from _unknown_ids(content)
    yield from _renamed_kept(content, units)
    yield from _taken_names(content, units)
    clocks = content.get("time")
    if isinstance(clocks, list) and len(clocks) > 1:
        yield ("time", 1), "is a second clock: one counts, remove the other"


def _units(content: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    units = content.get("renogy")
    return (
        {number: unit for number, unit in enumerate(units) if isinstance(unit, dict)} if isinstance(units, list) else {}
    )


def _blocks(content: Mapping[str, Any], kind: str) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Yield the entries of ``sensor:`` and such."""
    blocks = content.get(kind)
    for number, block in enumerate(blocks if isinstance(blocks, list) else ()):
        if isinstance(block, dict):
            yield (kind, number), block


def _platform(block: Mapping[str, Any]) -> str:
    platform = block.get("platform")
    return platform if isinstance(platform, str) else ""


def _entities(content: Mapping[str, Any]) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Yield every entity of ``sensor:`` and such, those of units one by one."""
    for kind in Kind:
        for path, block in _blocks(content, kind):
            if _platform(block) != "renogy":
                yield path, block
                continue
            for key in all_keys(kind):
                if isinstance(block.get(key), dict):
                    yield (*path, key), block[key]


def _listed_readings(units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Readings that a unit's family does not have, under its ``entities``."""
    for number, unit in units.items():
        keys = unit.get("entities")
        for place, key in enumerate(keys if isinstance(keys, list) else ()):
            message = _not_of_family(unit, key)
            if message:
                yield ("renogy", number, "entities", place), message


def _not_of_family(unit: Mapping[str, Any], key: Any) -> str:
    """Return what is wrong with a reading that other families have; nothing if this one may have it."""
    family = read_or_none(fields.family, unit.get("family", "auto"))
    if family in (None, "auto") or not isinstance(key, str):
        return ""
    others = families_with(key)
    if not others or family in others:
        return ""
    return f"is a reading of {' and '.join(others)}, not of {family}{did_you_mean(key, of_family(family))}"


def _unit_of(block: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the unit that an entry of platform renogy is about; None if that is not clear."""
    if "renogy_id" not in block:
        return next(iter(units.values())) if len(units) == 1 else None
    named = read_or_none(fields.identifier, block["renogy_id"])
    return next((unit for unit in units.values() if named is not None and unit_id(unit) == named), None)


def _unknown_units(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    ids = {name: unit for unit in units.values() if (name := unit_id(unit)) is not None}
    unclear = None in map(unit_id, units.values())
    for kind in Kind:
        for path, block in _blocks(content, kind):
            if _platform(block) != "renogy" or unclear:
                continue
            if "renogy_id" not in block:
                if not units:
                    yield path, "there is no unit: list it under `renogy:`"
                elif len(units) > 1:
                    yield path, "of which unit? There are several: write its id as `renogy_id:`"
            elif read_or_none(fields.identifier, block["renogy_id"]) is not None and _unit_of(block, units) is None:
                shown = [name for name, unit in ids.items() if not _made_of_secrets(unit)]
                hint = did_you_mean(block["renogy_id"], shown)
                yield (*path, "renogy_id"), f"is no id of a unit{hint}"


def _made_of_secrets(unit: Mapping[str, Any]) -> bool:
    """Return whether a unit's id shows a secret; a number that is one can't be told from others."""
    return isinstance(unit["id"] if "id" in unit else unit["address"], Secret)


def _readings_of_others(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Readings that the unit does not have, that it does not show, or that were described before."""
    described: dict[tuple[str | None, str], Path_] = {}
    for kind in Kind:
        for path, block in _blocks(content, kind):
            unit = _unit_of(block, units) if _platform(block) == "renogy" else None
            if unit is None:
                continue
            shown = unit.get("entities")
            for key in block.keys() & all_keys(kind).keys():
                first = described.setdefault((unit_id(unit), key), path)
                if first != path:
                    yield (*path, key), f"is described in {dotted(first)} already: write all of it there"
                elif message := _not_of_family(unit, key):
                    yield (*path, key), message
                elif isinstance(shown, list) and key not in shown:
                    yield (*path, key), "is not shown: the unit's `entities` leave it out"


def _taken_ids(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Ids that something else has."""
    taken: dict[str, Path_] = {}
    for number, unit in units.items():
        name = unit_id(unit)
        if name is not None:
            taken.setdefault(name, ("renogy", number))
    named = [
        *_entities(content),
        *(block for kind in Kind for block in _blocks(content, kind)),
        *_blocks(content, "time"),
    ]
    for path, entity in named:
        name = read_or_none(fields.identifier, entity.get("id"))
        if name is not None:
            first = taken.setdefault(name, path)
            if first != path:
                yield (*path, "id"), f"is taken by {dotted(first)}: each needs its own"


def _unknown_ids(content: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Ids that formulas ask for and nothing has, or only what is no number."""
    ids: dict[str, Any] = {}
    texts: set[str] = set()
    for path, entity in _entities(content):
        name = read_or_none(fields.identifier, entity.get("id"))
        if name is not None and path[0] == Kind.TEXT_SENSOR:
            texts.add(name)
        elif name is not None:
            ids[name] = entity["id"]
    told = [name for name, given in ids.items() if not isinstance(given, Secret)]
    for path, block in _blocks(content, Kind.SENSOR):
        formula = read_or_none(FORMULA, block.get("lambda")) if _platform(block) == "template" else None
        for name in sorted(formula.ids - ids.keys()) if formula is not None else ():
            # the name is a word of the formula, which may be a secret
            secret = isinstance(block["lambda"], Secret)
            what = "an id" if secret else repr(name)
            if name in texts:
                yield (*path, "lambda"), f"asks for {what}, which is a text: a formula computes numbers"
            else:
                hint = "" if secret else did_you_mean(name, told)
                yield (*path, "lambda"), f"asks for {what}, which no sensor has as its `id`{hint}"
        if formula is not None and read_or_none(fields.identifier, block.get("id")) in formula.ids:
            yield (*path, "lambda"), "asks for itself"


def _renamed_kept(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Other names for what the companion knows by its own."""
    for kind in Kind:
        for path, block in _blocks(content, kind):
            unit = _unit_of(block, units) or {}
            for key, entity in _described(block, kind):
                wished = read_or_none(fields.label, entity.get("name"))
                if wished is None or read_or_none(fields.boolean, entity.get("internal")):
                    continue
                names = {of_family(family)[key].name for family in _families(unit) if key in of_family(family)}
                for name in sorted(names.intersection(KEPT_NAMES)):
                    if _object_id(wished) != _object_id(name):
                        why = "the companion knows it by that name, rename it in Home Assistant"
                        yield (*path, key, "name"), f"has to stay {name!r}: {why}"


def _described(block: Mapping[str, Any], kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the readings that an entry of platform renogy describes."""
    if block.get("platform") == "renogy":
        yield from ((key, block[key]) for key in block if key in all_keys(kind) and isinstance(block[key], dict))


def _families(unit: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the families that a unit may be of."""
    given = read_or_none(fields.family, unit.get("family", "auto"))
    return tuple(Family) if given in (None, "auto") else (given,)


def _taken_names(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    """Names that Home Assistant can't tell from another's of the same device."""
    yield from _twice(_own_entities(content))
    for unit in units.values():
        described = {
            (kind, key): ((*path, key, "name"), entity)
            for kind in Kind
            for path, block in _blocks(content, kind)
            if _unit_of(block, units) is unit
            for key, entity in _described(block, kind)
        }
        found = {mistake for family in _families(unit) for mistake in _twice(_shown_names(unit, family, described))}
        yield from sorted(found)


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
        if not isinstance(shown, list) or key in shown
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
    for path, block in _blocks(content, Kind.SENSOR):
        if _platform(block) in OWN_PLATFORMS and not read_or_none(fields.boolean, block.get("internal")):
            given.append(((*path, "name"), block.get("name")))
            if _platform(block) == "uptime":
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

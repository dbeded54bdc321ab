"""Rules between entities and units, checked on whatever of the file is well formed; no message holds a value."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from blupow_config.language.secret import Secret
from blupow_config.language.tree import Path_, dotted

from . import fields
from .entities import FORMULA
from .entity_names import renamed_kept, taken_names
from .entries import blocks, platform_of, unit_id, unit_of, units_by_number
from .field import did_you_mean, read_or_none
from .formula import Formula
from .readings import Kind, all_keys, families_with, of_family


def entity_mistakes(content: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Yield what does not fit together, as path and message."""
    units = units_by_number(content)
    yield from _listed_readings(units)
    yield from _unknown_units(content, units)
    yield from _readings_of_others(content, units)
    yield from _taken_ids(content, units)
    yield from _unknown_ids(content)
    yield from renamed_kept(content, units)
    yield from taken_names(content, units)
    clocks = content.get("time")
    if isinstance(clocks, list) and len(clocks) > 1:
        yield ("time", 1), "is a second clock: one counts, remove the other"


def _entities(content: Mapping[str, Any]) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Yield every entity of ``sensor:`` and such, those of units one by one."""
    for kind in Kind:
        for path, block in blocks(content, kind):
            if platform_of(block) != "renogy":
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


def _unknown_units(content: Mapping[str, Any], units: dict[int, dict[str, Any]]) -> Iterator[tuple[Path_, str]]:
    ids = {name: unit for unit in units.values() if (name := unit_id(unit)) is not None}
    unclear = None in map(unit_id, units.values())
    for kind in Kind:
        for path, block in blocks(content, kind):
            if platform_of(block) != "renogy" or unclear:
                continue
            if "renogy_id" not in block:
                if not units:
                    yield path, "there is no unit: list it under `renogy:`"
                elif len(units) > 1:
                    yield path, "of which unit? There are several: write its id as `renogy_id:`"
            elif read_or_none(fields.identifier, block["renogy_id"]) is not None and unit_of(block, units) is None:
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
        for path, block in blocks(content, kind):
            unit = unit_of(block, units) if platform_of(block) == "renogy" else None
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
        *(block for kind in Kind for block in blocks(content, kind)),
        *blocks(content, "time"),
    ]
    for path, entity in named:
        name = _own_id(entity)
        if name is not None:
            first = taken.setdefault(name, path)
            if first != path:
                yield (*path, "id"), f"is taken by {dotted(first)}: each needs its own"


def _unknown_ids(content: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Ids that formulas ask for and nothing has, or only what is no number."""
    ids: dict[str, Any] = {}
    texts: set[str] = set()
    for path, entity in _entities(content):
        name = _own_id(entity)
        if name is not None and path[0] == Kind.TEXT_SENSOR:
            texts.add(name)
        elif name is not None:
            ids[name] = entity["id"]
    told = [name for name, given in ids.items() if not isinstance(given, Secret)]
    templates = list(_templates(content))
    needs = {own: formula.ids for _, block, formula in templates if (own := _own_id(block)) is not None}
    for path, block, formula in templates:
        for name in sorted(formula.ids - ids.keys()):
            # the name is a word of the formula, which may be a secret
            secret = isinstance(block["lambda"], Secret)
            what = "an id" if secret else repr(name)
            if name in texts:
                yield (*path, "lambda"), f"asks for {what}, which is a text: a formula computes numbers"
            else:
                hint = "" if secret else did_you_mean(name, told)
                yield (*path, "lambda"), f"asks for {what}, which no sensor has as its `id`{hint}"
        own = _own_id(block)
        if own in formula.ids:
            yield (*path, "lambda"), "asks for itself"
        elif own in _needed(formula.ids, needs):
            yield (*path, "lambda"), "asks for itself, by way of others that ask for it"


def _own_id(entity: Mapping[str, Any]) -> str | None:
    name: str | None = read_or_none(fields.identifier, entity.get("id"))
    return name


def _templates(content: Mapping[str, Any]) -> Iterator[tuple[Path_, dict[str, Any], Formula]]:
    """Yield the templates that have a formula."""
    for path, block in blocks(content, Kind.SENSOR):
        formula = read_or_none(FORMULA, block.get("lambda")) if platform_of(block) == "template" else None
        if formula is not None:
            yield path, block, formula


def _needed(ids: Iterable[str], needs: Mapping[str, frozenset[str]]) -> set[str]:
    """Return ``ids`` and all that these need."""
    found: set[str] = set()
    waiting = list(ids)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found

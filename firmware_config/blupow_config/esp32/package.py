"""The registers and entities of one unit as an ESPHome package."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from blupow_proxy.renogy import (
    CHARGE_KEY,
    CURRENT_PER_CAPACITY,
    LOAD_SWITCH_REGISTER,
    ODD_MODELS,
    POWERS,
    PROBLEM_KEY,
    Block,
    Description,
    Family,
    Kind,
    Register,
    Schedule,
    ShownRow,
    blocks_for,
    daily_keys,
    describe,
    lifetime_keys,
    model_globs,
    register_map,
    shown_rows,
)

from .names import CLOCK

CELLS: Final = 4  # of a 12 V battery
_SYSTEM_VOLTAGE: Final = "system_voltage"
_COPIED: Final = ("shift", "mask", "millivolts_from", "missing", "range")

type Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EspUnit:
    """One unit to make firmware for; ``keys`` are the states it has, None is what its family is likely to have.

    ``shown`` are those of them to list, None is all. ``wishes`` are an entity's options in place of its own, by key,
    and speak for its being there. ``title`` is for messages, where its name may not be shown.
    """

    id: str
    name: str
    address: str
    family: Family
    variant: str | None = None
    modbus_address: int | None = None
    update_interval_s: float = 2.0
    area_id: str = ""
    load_switch: bool = False
    cells: int = CELLS
    keys: Collection[str] | None = None
    shown: Collection[str] | None = None
    wishes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hide: frozenset[str] = field(default_factory=frozenset)
    title: str = ""

    @property
    def called(self) -> str:
        """How messages call it."""
        return self.title or self.name

    def states(self) -> tuple[Description, ...]:
        """Return the states to list."""
        if self.keys is not None:
            keys = {*self.keys, PROBLEM_KEY}
        elif self.shown is not None:
            keys = set(self.shown)
        else:
            keys = {*_likely_keys(self), *self.wishes, PROBLEM_KEY}
        if self.shown is not None:
            keys &= set(self.shown)
        return describe(self.family, (keys - self.hide) & readable_keys(self.family))


def readable_keys(family: Family) -> frozenset[str]:
    """Return the keys of all states that can be listed."""
    return frozenset(_sources(family, _rows(family)))


def register_package(unit: EspUnit, stem: str = "") -> str:
    """Return the package: what to read, how to decode it, and its entities.

    The ids of its parts begin with ``stem``, which is the unit's own id unless given.
    """
    stem = stem or unit.id
    blocks = list(_blocks(unit.family))
    rows = _rows(unit.family)
    table = register_map(unit.family)
    addresses = table.addresses if unit.modbus_address is None else (unit.modbus_address,)
    device = {"id": unit.id, "name": unit.name} | ({"area_id": unit.area_id} if unit.area_id else {})
    lines = [
        f"# {unit.name}: what is read of a {unit.family}, and how it is shown. Made from its map; not to be edited.",
        "esphome:",
        "  devices:",
        f"    - {flow(device)}",
        "renogy:",
        f"  - id: {stem}_unit",
        f"    uart_id: {stem}_uart",
        f"    family: {unit.family}",
        f"    addresses: {flow(list(addresses))}",
        f"    update_interval: {unit.update_interval_s:g}s",
        f"    gap: {table.gap_s * 1000:g}ms",
        f"    timeout: {table.timeout_s:g}s",
        "    models:",
        *(f"      - {flow({'match': glob, 'family': str(family)})}" for glob, family in model_globs()),
        "    blocks:",
        *(f"      - {flow(block)}" for block in blocks),
        "    registers:",
        *(f"      - {flow(_register(shown, unit))}" for shown in rows),
    ]
    sources = _sources(unit.family, rows)
    for kind in Kind:
        entries = [
            _entity(state, sources[state.key]) | dict(unit.wishes.get(state.key, {}))
            for state in unit.states()
            if state.kind is kind
        ]
        lines += [f"{kind}:", *_entities(unit, stem, [*entries, *_LINK_ENTITIES[kind]])]
    if unit.load_switch and unit.family is Family.CONTROLLER:
        lines += ["switch:", *_entities(unit, stem, [_LOAD_SWITCH])]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return ``value`` as YAML in one line, in which ESPHome puts nothing in place of a ``$``."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str() if "$" in value:
            return f"!literal {json.dumps(value, ensure_ascii=False)}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _models(family: Family) -> tuple[str | None, ...]:
    """Return None and a model for each way in which devices of the family differ in their blocks."""
    return (None, ODD_MODELS[family].replace("*", "")) if family in ODD_MODELS else (None,)


def _blocks(family: Family) -> Iterator[Entry]:
    usual, *odd = (blocks_for(family, model) for model in _models(family))
    for block in usual:
        if block.schedule is not Schedule.ON_DEMAND:
            only_others = bool(odd) and block not in odd[0]
            yield _block(block) | ({"not_on": [ODD_MODELS[family]]} if only_others else {})
    for block in odd[0] if odd else ():
        if block not in usual:
            yield _block(block) | {"only_on": [ODD_MODELS[family]]}


def _block(block: Block) -> Entry:
    entry: Entry = {"register": block.register, "words": block.words, "schedule": str(block.schedule)}
    if block.plausible:
        entry["plausible"] = block.plausible
    return entry


def _rows(family: Family) -> list[ShownRow]:
    """Return the rows that some block holds."""
    blocks = [block for model in _models(family) for block in blocks_for(family, model)]
    read = [block for block in blocks if block.schedule is not Schedule.ON_DEMAND]
    return [shown for shown in shown_rows(family) if any(block.holds(shown.row) for block in read)]


def _register(shown: ShownRow, unit: EspUnit) -> Entry:
    """Return what decodes a row; what depends on the variant is settled here."""
    row = shown.row
    entry: Entry = {"row": row.key, "register": row.register, "type": row.type}
    if row.words > 1:
        entry["words"] = row.words
    scale = row.scale if unit.variant is None else row.scale_by_variant.get(unit.variant, row.scale)
    if scale is not None:
        entry["scale"] = scale
    entry |= {name: getattr(row, name) for name in _COPIED if getattr(row, name)}
    entry |= _references(row, unit.family)
    entry |= _names(row)
    if (unit.variant is None and row.scale_by_variant) or unit.variant in row.doubtful_on_variant:
        entry["unsure"] = True
    if shown.is_problem:
        entry["problem_bits"] = shown.problem_bits
    if row.key in lifetime_keys(unit.family):
        entry["total"] = "lifetime"
    elif row.key in daily_keys(unit.family):
        entry["total"] = "daily"
    if row.inverted_on:
        entry["inverted_on"] = [f"{prefix}*" for prefix in row.inverted_on]
    if row.doubtful_on_model:
        entry["doubtful_on"] = [f"*{part}*" for part in row.doubtful_on_model]
    return entry


def _references(row: Register, family: Family) -> Entry:
    entry: Entry = {}
    if row.count_from is not None:
        entry["count_from"] = row.count_from
    if row.per_12_volts:
        entry["bank_from"] = _SYSTEM_VOLTAGE
    if row.key == "battery_current" and any(other.key == "capacity" for other in register_map(family).registers):
        entry["at_most"] = ["capacity", CURRENT_PER_CAPACITY]
    return entry


def _names(row: Register) -> Entry:
    if row.pairs:
        return {"pairs": _in_words(row.pairs)}
    if row.bits:
        return {"bits": _in_words(row.bits)}
    if row.enum:
        return {"enum": row.enum if row.type.endswith("_array") else _in_words(row.enum)}
    return {}


def _in_words(names: Mapping[int, str]) -> dict[int, str]:
    return {code: name.replace("_", " ") for code, name in names.items()}


def _sources(family: Family, rows: list[ShownRow]) -> dict[str, Entry]:
    """Return what shows each state, by its key."""
    sources: dict[str, Entry] = {PROBLEM_KEY: {"problem": True}}
    for shown in rows:
        for item, key in enumerate(shown.keys, 1):
            sources[key] = {"row": shown.row.key} | ({"item": item} if shown.is_array else {})
    if family is Family.BATTERY:
        sources[CHARGE_KEY] = {"share": ["remaining_capacity", "capacity"]}
    if power := POWERS.get(family):
        sources[power.key] = {"product": [power.voltage, power.current]}
    return sources


def _likely_keys(unit: EspUnit) -> Iterator[str]:
    rows = _rows(unit.family)
    for shown in rows:
        yield from shown.keys[: unit.cells]
    yield from (key for key in _sources(unit.family, []) if key != PROBLEM_KEY)


def _entity(state: Description, source: Entry) -> Entry:
    entry = {**source, "name": state.name}
    if state.kind is Kind.SENSOR:
        entry |= {"unit_of_measurement": state.unit} if state.unit else {}
        entry |= {"state_class": state.state_class} if state.state_class else {}
        entry["accuracy_decimals"] = state.decimals
    for option, value in (
        ("device_class", state.device_class),
        ("icon", state.icon),
        ("entity_category", state.category),
        ("disabled_by_default", state.disabled),
    ):
        if value:
            entry[option] = value
    return entry


def _entities(unit: EspUnit, stem: str, entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        yield f"  - {flow({'platform': 'renogy', 'renogy_id': f'{stem}_unit', 'device_id': unit.id} | entry)}"


_LOAD_SWITCH: Final[Entry] = {
    "type": "register",
    "register": LOAD_SWITCH_REGISTER,
    "row": "load_status",
    "name": "Load",
    "device_class": "outlet",
}
_LINK_ENTITIES: Final[Mapping[Kind, list[Entry]]] = {
    Kind.SENSOR: [
        {
            "link": "link_quality",
            "name": "Link quality",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "accuracy_decimals": 0,
            "icon": "mdi:bluetooth-connect",
            "entity_category": "diagnostic",
        },
        {
            "link": "failed_requests",
            "name": "Failed requests",
            "state_class": "total_increasing",
            "accuracy_decimals": 0,
            "icon": "mdi:message-alert-outline",
            "entity_category": "diagnostic",
        },
    ],
    Kind.BINARY_SENSOR: [
        {"link": "link", "name": "Link", "device_class": "connectivity", "entity_category": "diagnostic"}
    ],
    Kind.TEXT_SENSOR: [
        {
            "link": "link_status",
            "name": "Link status",
            "icon": "mdi:bluetooth-settings",
            "entity_category": "diagnostic",
        },
        {
            "link": "last_reading",
            "name": "Last reading",
            "time_id": CLOCK,
            "device_class": "timestamp",
            "entity_category": "diagnostic",
        },
    ],
}

"""Register maps: the tables of ``data/*.toml`` as typed rows."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

LOAD_SWITCH_REGISTER: Final = 0x010A  # of a controller: 1 turns its load output on
_SHORT_WORDS: Final = 10


class Family(StrEnum):
    """A family of devices that share one register map."""

    CONTROLLER = "controller"
    DCC = "dcc"
    BATTERY = "battery"
    INVERTER = "inverter"
    SHUNT300 = "shunt300"


class Variant(StrEnum):
    """A kind of battery; they differ in the scale of some registers."""

    LEGACY = "legacy"
    PRO = "pro"
    RNGPRO = "rngpro"
    HUB = "hub"


class Schedule(StrEnum):
    """When a block is read."""

    STARTUP = "startup"
    POLL = "poll"
    SLOW = "slow"
    ON_DEMAND = "on_demand"


# Models, as globs, that answer other blocks than the rest of their family: see ``blocks_for``
ODD_MODELS: Final[Mapping[Family, str]] = {Family.INVERTER: "RIV4835*", Family.DCC: "*-G6"}


@dataclass(frozen=True, slots=True)
class Block:
    """A span of registers that one request reads; believed while the values in ``plausible`` are in their ranges."""

    name: str
    register: int
    words: int
    schedule: Schedule
    plausible: Mapping[str, tuple[float, float]] = field(default_factory=dict, compare=False)

    def holds(self, row: "Register") -> bool:
        """Whether ``row`` lies wholly in this block."""
        return self.register <= row.register and row.register + row.words <= self.register + self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One row of a register map; ``raw >> shift & mask`` is scaled, then held against ``range`` (inclusive).

    ``benign`` are the bits of a "problem" word that report no problem; ``disabled`` rows are of little use to most;
    ``daily`` totals start again each day, ``lifetime`` ones never;
    ``per_12_volts`` is meant for each 12 V of the system's voltage;
    ``doubtful_on_variant`` and ``doubtful_on_model`` (a part of its name) say where captures contradict the documents.
    """

    key: str
    register: int
    words: int = 1
    type: str
    name: str
    shift: int = 0
    mask: int | None = None
    scale: float | None = None
    scale_by_variant: Mapping[str, float] = field(default_factory=dict)
    inverted_on: tuple[str, ...] = ()
    millivolts_from: int | None = None
    count_from: str | None = None
    unit: str = ""
    device_class: str = ""
    state_class: str = ""
    category: str = ""
    range: tuple[float, float] | None = None
    missing: tuple[int, ...] = ()
    enum: Mapping[int, str] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    pairs: Mapping[int, str] = field(default_factory=dict)
    benign: tuple[int, ...] = ()
    disabled: bool = False
    daily: bool = False
    lifetime: bool = False
    per_12_volts: bool = False
    doubtful_on_variant: tuple[str, ...] = ()
    doubtful_on_model: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushField:
    """One field of a pushed frame; ``tag`` stands at the start of its 4-byte item."""

    key: str
    tag: int
    offset: int
    bytes: int
    type: str
    name: str
    scale: float | None = None
    unit: str = ""
    device_class: str = ""
    state_class: str = ""
    category: str = ""
    range: tuple[float, float] | None = None
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """All that is known of a family: addresses in probe order, blocks to read, rows, pacing in seconds."""

    family: Family
    title: str
    addresses: tuple[int, ...]
    gap_s: float
    timeout_s: float
    blocks: tuple[Block, ...]
    registers: tuple[Register, ...]
    history: tuple[Register, ...]
    push: tuple[PushField, ...]


def _row[Row: (Register, PushField)](kind: type[Row], table: dict[str, Any]) -> Row:
    values: dict[str, Any] = {}
    for item in fields(kind):
        if item.name not in table:
            continue
        value = table.pop(item.name)
        if isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, dict) and item.name != "scale_by_variant":
            value = {int(code): name for code, name in value.items()}
        values[item.name] = value
    if table:
        raise ValueError(f"unknown columns {sorted(table)} in row {values.get('key')}")
    return kind(**values)


def _block(table: dict[str, Any]) -> Block:
    plausible = {key: (low, high) for key, (low, high) in table.get("plausible", {}).items()}
    return Block(**{**table, "schedule": Schedule(table["schedule"]), "plausible": plausible})


@cache
def daily_keys(family: Family) -> frozenset[str]:
    """Return the keys of totals that start again each day and may fall in between by mistake."""
    return frozenset(row.key for row in register_map(family).registers if row.daily)


@cache
def lifetime_keys(family: Family) -> frozenset[str]:
    """Return the keys of totals that never fall."""
    return frozenset(row.key for row in register_map(family).registers if row.lifetime)


@cache
def register_map(family: Family) -> RegisterMap:
    """Return the register map of ``family``."""
    source = files(__package__).joinpath(f"data/{family}.toml").read_text("utf-8")
    table = tomllib.loads(source)
    return RegisterMap(
        family=family,
        title=table["title"],
        addresses=tuple(table["addresses"]),
        gap_s=table["gap_s"],
        timeout_s=table["timeout_s"],
        blocks=tuple(_block(block) for block in table["blocks"]),
        registers=tuple(_row(Register, row) for row in table.get("registers", ())),
        history=tuple(_row(Register, row) for row in table.get("history", ())),
        push=tuple(_row(PushField, row) for row in table.get("push", ())),
    )


def blocks_for(family: Family, model: str | None = None) -> tuple[Block, ...]:
    """Return the blocks that a device of this model answers."""
    blocks = register_map(family).blocks
    if model is None or family not in ODD_MODELS or not fnmatchcase(model, ODD_MODELS[family]):
        return blocks
    if family is Family.INVERTER:  # longer reads are answered with garbage, or not at all
        return tuple(block for block in blocks if block.words <= _SHORT_WORDS)
    # G6 chargers never answer a read at 0x0120; 34 words from 0x0100 hold its charging state as well
    return tuple(
        replace(block, words=34) if block.name == "live" else block for block in blocks if block.name != "status"
    )

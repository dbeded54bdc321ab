"""Register maps: the tables of ``data/*.toml`` as typed rows."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Family(StrEnum):
    """A family of devices that share one register map."""

    CONTROLLER = "controller"
    DCC = "dcc"
    BATTERY = "battery"
    INVERTER = "inverter"
    SHUNT300 = "shunt300"


class Schedule(StrEnum):
    """When a block is read."""

    STARTUP = "startup"
    POLL = "poll"
    SLOW = "slow"
    ON_DEMAND = "on_demand"


@dataclass(frozen=True, slots=True)
class Block:
    """A span of registers that one request reads."""

    name: str
    register: int
    words: int
    schedule: Schedule
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One row of a register map; ``raw >> shift & mask`` is scaled, then held against ``range`` (inclusive).

    ``benign`` are the bits of a "problem" word that report no problem; ``disabled`` rows are of little use to most.
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
        blocks=tuple(Block(**{**block, "schedule": Schedule(block["schedule"])}) for block in table["blocks"]),
        registers=tuple(_row(Register, row) for row in table.get("registers", ())),
        history=tuple(_row(Register, row) for row in table.get("history", ())),
        push=tuple(_row(PushField, row) for row in table.get("push", ())),
    )


def blocks_for(family: Family, model: str | None = None) -> tuple[Block, ...]:
    """Return the blocks that a device of this model answers."""
    blocks = register_map(family).blocks
    if family is Family.DCC and model is not None and model.endswith("-G6"):
        # G6 chargers never answer a read at 0x0120; 34 words from 0x0100 hold its charging state as well
        return tuple(
            replace(block, words=34) if block.name == "live" else block for block in blocks if block.name != "status"
        )
    return blocks

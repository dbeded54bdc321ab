"""What an advertisement allows to guess and what a model string proves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .gatt import SHUNT_SERVICE, WRITE_SERVICE
from .registers import Family


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Renogy device as its advertisement shows it: the families that it may be of, likeliest first."""

    label: str
    families: tuple[Family, ...]
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A read that an attached device of ``family`` answers with its model string; an absent one is silent."""

    address: int
    register: int
    words: int
    family: Family


# Order of the addresses: the universal one, then each family's own, then hub, daisy chain and the factory's 1.
PROBES: Final = (
    Probe(0xFF, 12, 8, Family.CONTROLLER),
    Probe(0xFF, 5122, 8, Family.BATTERY),
    Probe(0xFF, 4311, 8, Family.INVERTER),
    Probe(0x30, 5122, 8, Family.BATTERY),
    Probe(0x20, 4311, 8, Family.INVERTER),
    *(Probe(address, 12, 8, Family.CONTROLLER) for address in (0x60, 0x61, 0x10, 0x11, 0x01)),
)

_MODBUS: Final = (Family.CONTROLLER, Family.DCC, Family.BATTERY, Family.INVERTER)
_NAMES: Final = (
    ("BTRIC", Candidate("REGO inverter", (Family.INVERTER,))),
    ("RNGRIU", Candidate("RIV inverter", (Family.INVERTER,))),
    ("RNGRBP", Candidate("Battery Pro", (Family.BATTERY,), "pro")),
    ("RNGC", Candidate("Battery Pro", (Family.BATTERY,), "pro")),
    ("RNGPRO", Candidate("RNGPRO battery", (Family.BATTERY,), "rngpro")),
    ("RTMShunt300", Candidate("Smart Shunt 300", (Family.SHUNT300,))),
    ("BT-TH-", Candidate("BT-1, BT-2 or built-in Bluetooth", _MODBUS)),
)

# A DC-DC charger's model starts like a controller's: the chargers stand first.
_MODELS: Final = (
    (re.compile(r"RBC|DCC|DCDC"), Family.DCC),
    (re.compile(r"RBT"), Family.BATTERY),
    (re.compile(r"RIV|RINV|LYCAN"), Family.INVERTER),
    (re.compile(r"RNG-CTRL|RCC|ROVER|WND|ADV|ML\d|MT\d"), Family.CONTROLLER),
    (re.compile(r"RSHST"), Family.SHUNT300),
)


def identify_advertisement(name: str | None, service_uuids: Iterable[str]) -> Candidate | None:
    """Return what a device may be; None when it is no Renogy device.

    Manufacturer data is not looked at: its company id is the first half of the device's own address.
    """
    for prefix, candidate in _NAMES:
        if name is not None and name.startswith(prefix):
            return candidate
    services = {uuid.lower() for uuid in service_uuids}
    if SHUNT_SERVICE in services:
        return Candidate("Smart Shunt 300", (Family.SHUNT300,))
    if WRITE_SERVICE in services:
        return Candidate("Renogy device without a name", _MODBUS)
    return None


def model_globs() -> tuple[tuple[str, Family], ...]:
    """Return what ``identify_model`` knows, the first that matches counts: globs, in which # is a digit."""
    return tuple(
        (prefix.replace(r"\d", "#") + "*", family)
        for pattern, family in _MODELS
        for prefix in pattern.pattern.split("|")
    )


def identify_model(model: str) -> Family | None:
    """Return the family that a model string proves; None for a string that is not known."""
    for pattern, family in _MODELS:
        if pattern.match(model.strip().upper()):
            return family
    return None

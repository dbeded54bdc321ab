"""The Renogy units: ``renogy:``."""

from typing import Any, Final

from probatio import Invalid, MultipleInvalid, Optional, Required

from . import fields
from .field import EXPRESSION, Block, Field, List, did_you_mean
from .readings import Kind, all_keys


def _keys(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Invalid("expected a list of readings, such as `- battery_voltage`")
    known = {key for kind in Kind for key in all_keys(kind)}
    mistakes = [
        Invalid(f"not a reading of any family{did_you_mean(key, known)}", path=[place])
        for place, key in enumerate(value)
        if not isinstance(key, str) or key not in known
    ]
    if mistakes:
        raise MultipleInvalid(mistakes)
    return tuple(dict.fromkeys(map(str, value)))


_ENTITIES: Final = Field(
    _keys,
    {
        "type": "array",
        "items": {"anyOf": [{"enum": sorted({key for kind in Kind for key in all_keys(kind)})}, EXPRESSION]},
    },
    "list of readings",
)
UNIT: Final = Block(
    {
        Required("address", description="Its Bluetooth address; `blupow-proxy scan` lists them."): fields.mac_address,
        Required("name", description="How it is shown."): fields.label,
        Optional(
            "id", description="What Home Assistant's history hangs on; made of the addresses unless given."
        ): fields.identifier,
        Optional("family", default="auto", description="Found out by its model unless given."): fields.family,
        Optional("variant", description="Of batteries: known by the Bluetooth name unless given."): fields.variant,
        Optional(
            "modbus_address", description="Tells several units behind one Bluetooth module apart."
        ): fields.modbus_address,
        Optional("update_interval", default="2s", description="How often it is read."): fields.interval_s,
        Optional(
            "load_switch", default=False, description="Controllers: offer a switch for the load output."
        ): fields.boolean,
        Optional("area", description="Where it stands, as Home Assistant suggests it."): fields.label,
        Optional("entities", description="The readings to show; all that it answers unless given."): _ENTITIES,
    },
    bare=False,
    shared="unit",
)


UNITS: Final = List(UNIT, "address")

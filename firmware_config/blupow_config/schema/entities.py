"""Entities that are more than what a unit shows by itself: ``sensor:``, ``binary_sensor:``, ``text_sensor:``."""

from typing import Any, Final

from probatio import Invalid, Optional, Required

from blupow_config.language.secret import Secret

from . import fields
from .field import Block, Field, List, Options, Platforms
from .filters import filters
from .formula import Formula, FormulaError
from .readings import Kind, all_keys

CATEGORIES: Final = ("", "diagnostic")  # Home Assistant's sensors can't be settings
STATE_CLASSES: Final = ("", "measurement", "total", "total_increasing", "measurement_angle")

_ENTITY: Final[Options] = {
    Optional("id", description="What a template calls it."): fields.identifier,
    Optional("name", description="How it is shown. Home Assistant's history hangs on it."): fields.label,
    Optional("icon", description="Such as mdi:battery."): fields.icon,
    Optional("internal", default=False, description="Not shown; templates can use it."): fields.boolean,
    Optional("disabled_by_default", description="Shown once it is enabled in Home Assistant."): fields.boolean,
    Optional("entity_category", description="Where Home Assistant lists it."): fields.one_of(*CATEGORIES),
    Optional("device_class", description="What it measures, as Home Assistant calls it."): fields.word,
}
_SENSOR: Final[Options] = _ENTITY | {
    Optional("unit_of_measurement", description="Its unit; computes nothing."): fields.word,
    Optional("state_class", description="How Home Assistant keeps its statistics."): fields.one_of(*STATE_CLASSES),
    Optional("accuracy_decimals", description="How many decimals are shown."): fields.whole_number(0, 6),
    Optional("force_update", description="Each value is news, also an equal one."): fields.boolean,
    Optional("filters", description="What happens to a value before it is shown."): filters,
}


def _own(about: str, options: Options | None = None) -> Block:
    """Return a sensor of the proxy itself."""
    own: Options = {
        Required("name", description="How it is shown."): fields.label,
        **{option: part for option, part in _SENSOR.items() if option != "name"},
        Optional("update_interval", default="60s", description="How often it is read."): fields.slow_interval_s,
    }
    return Block(own | (options or {}), bare=False, about=about)


SENSOR_READING: Final = Block(_SENSOR, shared="sensor_reading")
READING: Final = Block(_ENTITY, shared="reading")


def _of_renogy(kind: Kind, entity: Block) -> Block:
    """Return what can be said of a unit's readings."""
    readings: Options = {Optional(key, description=shown): entity for key, shown in all_keys(kind).items()}
    whose = Optional("renogy_id", description="The id of the unit; not needed if there is one unit.")
    about = f"What is wished of the {kind.replace('_', ' ')}s that a unit shows by itself."
    own = Optional("id", description="Its id, for `!extend`.")
    return Block({own: fields.identifier, whose: fields.identifier, **readings}, about=about)


def _read_formula(value: Any) -> Formula:
    if not isinstance(value, str):
        raise Invalid("expected a formula, such as `return id(volts).state * 2;`")
    formula = Formula(str(value))
    try:
        formula.compiled()
    except FormulaError as error:
        what = "the formula, a secret, has a mistake" if isinstance(value, Secret) else error
        raise Invalid(f"can't be computed here: {what}") from None
    return formula


FORMULA: Final = Field(_read_formula, {"type": "string", "pattern": "return"}, "formula")

_SENSORS: Final = Platforms(
    {
        "renogy": _of_renogy(Kind.SENSOR, SENSOR_READING),
        "uptime": _own("How long the proxy has been running, in seconds."),
        "cpu_temperature": _own("The temperature of this machine's processor, in °C."),
        "internal_temperature": _own("The same, by the name that it has on boards."),
        "wifi_signal": _own("How well this machine hears its access point, in dBm."),
        "template": _own(
            "A number that is computed of others; missing while one that it needs is.",
            {
                Required(
                    "lambda", description="A formula, such as `return id(volts).state * id(amperes).state;`."
                ): FORMULA
            },
        ),
    }
)
SENSORS: Final = List(_SENSORS, "platform")
OWN_PLATFORMS: Final = _SENSORS.cases.keys() - {"renogy"}
BINARY_SENSORS: Final = List(Platforms({"renogy": _of_renogy(Kind.BINARY_SENSOR, READING)}), "platform")
TEXT_SENSORS: Final = List(Platforms({"renogy": _of_renogy(Kind.TEXT_SENSOR, READING)}), "platform")

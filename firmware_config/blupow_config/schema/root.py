"""What a configuration may hold, as a whole."""

from typing import Any, Final

from probatio import ExtraKeysInvalid, Invalid, MultipleInvalid, Optional, Required

from . import components
from .entities import BINARY_SENSORS, SENSORS, TEXT_SENSORS
from .field import Block, steps
from .hints import elsewhere
from .readings import Kind, all_keys
from .units import UNITS

ROOT: Final = Block(
    {
        Required("esphome", description="Who the proxy is."): components.ESPHOME,
        Optional("api", default=dict, description="The native API."): components.API,
        Optional("bluetooth", default=dict, description="The Bluetooth adapter."): components.BLUETOOTH,
        Optional(
            "bluetooth_proxy", description="Every other Bluetooth device, for Home Assistant; off unless written."
        ): components.BLUETOOTH_PROXY,
        Optional("zeroconf", default=dict, description="What is announced on the network."): components.ZEROCONF,
        Optional("logger", default=dict, description="What is logged."): components.LOGGER,
        Optional("time", default=list, description="Whose clock counts; Home Assistant's by default."): components.TIME,
        Optional("renogy", default=list, description="The Renogy units."): UNITS,
        Optional("sensor", default=list, description="More sensors, and other wishes for those of units."): SENSORS,
        Optional("binary_sensor", default=list, description="Other wishes for what units show."): BINARY_SENSORS,
        Optional("text_sensor", default=list, description="Other wishes for what units show."): TEXT_SENSORS,
    },
    bare=False,
)

_PLAIN_WORDS: Final = {
    "required key not provided": "is required",
    "expected a mapping": "expected options below it, indented",
}


def validate(content: Any) -> tuple[dict[str, Any] | None, list[tuple[list[Any], str]]]:
    """Return the validated content with its defaults, or every mistake as its path and what to say of it."""
    try:
        return ROOT(content), []
    except MultipleInvalid as invalid:
        return None, [(steps(error), _in_words(error)) for error in invalid.errors]


def _in_words(error: Invalid) -> str:
    if isinstance(error, ExtraKeysInvalid):
        path = steps(error)
        hint = elsewhere(path) or _other_kind(path)
        if hint:
            return f"not a valid option: {hint}"
    message: str = error.msg
    if message == "expected a mapping" and steps(error) == ["bluetooth_proxy"]:
        return "expected nothing behind it, or options below it, indented; to turn it off, leave it out"
    return _PLAIN_WORDS.get(message, message)


def _other_kind(path: list[Any]) -> str:
    """Return where a reading belongs that stands under the wrong kind; nothing if it is none."""
    if len(path) != 3 or path[0] not in tuple(Kind):
        return ""
    kind = next((kind for kind in Kind if path[2] in all_keys(kind)), None)
    return "" if kind is None else f"this reading is a {kind}, so it belongs under `{kind}:`"

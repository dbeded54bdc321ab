"""What a configuration may hold."""

from typing import Any, Final

from probatio import Invalid, MultipleInvalid, Optional, Required, Schema

from . import fields

VARIANTS: Final = ("legacy", "pro", "rngpro", "hub")
LEVELS: Final = ("NONE", "ERROR", "WARN", "INFO", "DEBUG", "VERBOSE", "VERY_VERBOSE")
POLICIES: Final = ("auto", "always", "never")

_ENCRYPTION: Final = Schema({Optional("key"): fields.key})


def _encryption(value: Any) -> dict[str, Any]:
    """Return the encryption's settings: off, on with a key, or on with a key to be set by a client."""
    if value is None:
        return {"enabled": True}
    if isinstance(value, dict):
        return {"enabled": True, **_ENCRYPTION(value)}
    try:
        return {"enabled": fields.boolean(value)}
    except Invalid:
        raise Invalid("expected `key: ...` below it, or false") from None


_UNIT: Final = Schema(
    {
        Required("address"): fields.mac_address,
        Required("name"): fields.label,
        Optional("id"): fields.identifier,
        Optional("family"): fields.family,
        Optional("variant"): fields.one_of(*VARIANTS),
        Optional("modbus_address"): fields.modbus_address,
        Optional("update_interval"): fields.interval_s,
        Optional("load_switch"): fields.boolean,
        Optional("area"): fields.label,
    }
)
_UNITS: Final = Schema([_UNIT])


def _block(options: dict[Any, Any]) -> Any:
    """Return a schema for a block whose options may all be left out, and the block's content with them."""
    schema = Schema(options)

    def block(value: Any) -> Any:
        return schema({} if value is None else value)

    return block


def _units(value: Any) -> list[dict[str, Any]]:
    if value is not None and not isinstance(value, list):
        raise Invalid("expected a list: start each unit with `- address:`")
    return list(_UNITS(value or []))


SCHEMA: Final = Schema(
    {
        Required("esphome"): Schema(
            {
                Required("name"): fields.node_name,
                Optional("friendly_name"): fields.label,
                Optional("area"): fields.label,
            }
        ),
        Optional("api"): _block({Optional("port"): fields.whole_number(1, 65535), Optional("encryption"): _encryption}),
        Optional("bluetooth"): _block({Optional("adapter"): fields.adapter, Optional("auto_recovery"): fields.boolean}),
        Optional("zeroconf"): _block(
            {Optional("disabled"): fields.boolean, Optional("esphome"): fields.one_of(*POLICIES)}
        ),
        Optional("logger"): _block({Optional("level"): fields.one_of(*LEVELS, upper=True)}),
        Optional("renogy"): _units,
    }
)

_PLAIN_WORDS: Final = {
    "required key not provided": "is required",
    "expected a mapping": "expected options below it, indented",
}


def validate(content: Any) -> tuple[dict[str, Any] | None, list[tuple[list[Any], str]]]:
    """Return the validated content, or every mistake as its path and what to say of it."""
    try:
        return SCHEMA(content), []
    except MultipleInvalid as invalid:
        return None, [(_steps(error), _PLAIN_WORDS.get(error.msg, error.msg)) for error in invalid.errors]


def _steps(error: Invalid) -> list[Any]:
    return [getattr(step, "schema", step) for step in error.path]

"""The parts of a configuration that have one block each."""

from typing import Any, Final

from probatio import Invalid, Optional, Required

from . import fields, forwarding
from .field import Block, Field, List, Options, Platforms, json_schema

LEVELS: Final = ("NONE", "ERROR", "WARN", "INFO", "DEBUG", "VERBOSE", "VERY_VERBOSE")
POLICIES: Final = ("auto", "always", "never")
# that have logs of their own
PARTS: Final = ("ble", "bluetooth_proxy", "poller", "server", "discovery", "keys", "storage", "host")
MAX_SLOTS: Final = 9  # ESPHome's own limit

_LEVEL: Final = fields.one_of(*LEVELS, upper=True)


def _encryption(value: Any) -> dict[str, Any]:
    """Return the encryption's settings: off, on with a key, or on with a key to be set by a client."""
    if value is None:
        return {"enabled": True}
    if isinstance(value, dict):
        return {"enabled": True, **_KEY(value)}
    try:
        return {"enabled": fields.boolean(value)}
    except Invalid:
        raise Invalid("expected `key: ...` below it, or false") from None


_KEY: Final = Block({Optional("key", description="32 bytes in base64, best as `!secret api_key`."): fields.key})
_ENCRYPTION: Final = Field(
    _encryption,
    lambda: {"anyOf": [*_KEY.definition()["anyOf"], *json_schema(fields.boolean)["anyOf"]]},
    "`key`, or `false` for none",
)

ESPHOME: Final = Block(
    {
        Required(
            "name", description="Its name on the network: lower-case letters, digits and hyphens."
        ): fields.node_name,
        Optional("friendly_name", description="How it is shown; made of the name unless given."): fields.label,
        Optional("area", description="Where it stands, as Home Assistant suggests it."): fields.label,
    },
    bare=False,
)
API: Final = Block(
    {
        Optional("port", default=6053, description="The TCP port."): fields.whole_number(1, 65535),
        Optional(
            "encryption",
            default=dict,
            description="On by default; without a `key`, Home Assistant sets one within ten minutes.",
        ): _ENCRYPTION,
    }
)
BLUETOOTH: Final = Block(
    {
        Optional("adapter", description="Such as hci0, or its address; any adapter unless given."): fields.adapter,
        Optional(
            "auto_recovery", default=False, description="Unblock and reset an adapter that nothing else brings back."
        ): fields.boolean,
    }
)
BLUETOOTH_PROXY: Final = Block(
    {
        Optional(
            "active", default=True, description="Let clients connect to them, over encrypted sessions; else only hear."
        ): fields.boolean,
        Optional(
            "connection_slots", default=3, description="Connections of clients at once, beside those of the units."
        ): fields.whole_number(1, MAX_SLOTS),
        Optional(
            "allow", description='Nothing but these is forwarded: addresses, names, `"Thermo*"`.'
        ): forwarding.allowed,
        Optional(
            "deny",
            default=list,
            description="These are not, whatever `allow` says; by name only once the name is known.",
        ): forwarding.denied,
    }
)
ZEROCONF: Final = Block(
    {
        Optional("disabled", default=False, description="Announce nothing: clients need the address."): fields.boolean,
        Optional(
            "esphome",
            default="auto",
            description="Announce an ESPHome device: `auto` until a BluPow companion has connected.",
        ): fields.one_of(*POLICIES),
    }
)
LOGGER: Final = Block(
    {
        Optional("level", default="INFO", description="The least that is logged."): _LEVEL,
        Optional("logs", default=dict, description="Levels of single parts, such as `ble: DEBUG`."): Block(
            {Optional(part, description=f"The level of `{part}`."): _LEVEL for part in PARTS}
        ),
    }
)


_CLOCK: Final[Options] = {Optional("id", description="Its id."): fields.identifier}
_TIME: Final = Platforms(
    {
        "homeassistant": Block(_CLOCK, about="That of clients, where this machine's own clock is wrong."),
        "host": Block(_CLOCK, about="That of this machine alone."),
    }
)
TIME: Final = List(_TIME, "platform")

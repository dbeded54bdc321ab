"""Single values: each function returns what it is given as it is used, or says what to write instead."""

import re
from base64 import b64decode
from difflib import get_close_matches
from typing import Any, Final

from probatio import Invalid

NAME_LENGTH: Final = 31  # ESPHome's limit: the name is a host name
KEY_BYTES: Final = 32
MIN_INTERVAL_S: Final = 0.5  # faster than this, devices stop answering

_PERIOD: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)", re.IGNORECASE)
_UNITS_S: Final = {
    "ms": 0.001,
    "millisecond": 0.001,
    "milliseconds": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "mins": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
}
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "enable": True} | {
    "false": False,
    "no": False,
    "off": False,
    "disable": False,
}


def text(value: Any) -> str:
    """Return a text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise Invalid("expected a text" if value not in ("", None) else "is empty: write a text or leave it out")


def node_name(value: Any) -> str:
    """Return a device name by ESPHome's rules."""
    name = text(value)
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", name) or len(name) > NAME_LENGTH:
        suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:NAME_LENGTH].strip("-")
        hint = f", such as {suggestion!r}" if suggestion else ""
        raise Invalid(f"use lower-case letters, digits and hyphens, at most {NAME_LENGTH}{hint}")
    return name


def boolean(value: Any) -> bool:
    """Return true or false; ESPHome's other words for them count as well."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise Invalid("expected true or false")


def whole_number(least: int, most: int) -> Any:
    """Return a function for whole numbers in ``least..most``; 0x10 counts."""

    def number(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", value):
            value = int(value, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"expected a whole number from {least} to {most}")
        return value

    return number


def one_of(*choices: str, upper: bool = False) -> Any:
    """Return a function for one of several words."""

    def word(value: Any) -> str:
        if isinstance(value, bool):
            value = "on" if value else "off"
        given = str(value).upper() if upper else str(value).lower()
        if given in choices:
            return given
        close = get_close_matches(given, choices, 1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise Invalid(f"expected one of {', '.join(choices)}{hint}")

    return word


def mac_address(value: Any) -> str:
    """Return a Bluetooth address as AA:BB:CC:DD:EE:FF."""
    digits = re.sub(r"[:-]", "", value) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9a-fA-F]{12}", digits):
        raise Invalid("expected a Bluetooth address such as C4:D3:6A:00:00:01: `blupow-proxy scan` lists them")
    return bytes.fromhex(digits).hex(":").upper()


def key(value: Any) -> bytes:
    """Return the 32 bytes of an encryption key; the message never holds the value."""
    try:
        decoded = b64decode(value if isinstance(value, str) else b"?", validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != KEY_BYTES or not any(decoded):
        raise Invalid("expected a key of 32 bytes in base64: `openssl rand -base64 32` makes one")
    return decoded


def interval_s(value: Any) -> float:
    """Return a time of at least half a second, in seconds."""
    match = _PERIOD.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = None if match is None else _UNITS_S.get(match[2].lower())
    if match is None or unit is None:
        raise Invalid("expected a time with its unit, such as 2s, 500ms or 1min")
    seconds = float(match[1]) * unit
    if not MIN_INTERVAL_S <= seconds <= _UNITS_S["h"]:
        raise Invalid("expected a time from 500ms to 1h")
    return seconds


def identifier(value: Any) -> str:
    """Return an id: letters, digits and underscores."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return value
    raise Invalid("an id has letters, digits and underscores, and starts with a letter")

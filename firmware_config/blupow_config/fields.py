"""Single values: each function returns what it is given as it is used, or says what to write instead."""

import re
import unicodedata
from base64 import b64decode
from difflib import get_close_matches
from typing import Any, Final

from probatio import Invalid

from .secret import Secret

NAME_LENGTH: Final = 31  # ESPHome's limit: the name is a host name
LABEL_BYTES: Final = 120  # ESPHome's limit of names that are shown, in UTF-8: they go into discovery's short records
KEY_BYTES: Final = 32
MIN_INTERVAL_S: Final = 0.5  # faster than this, devices stop answering

_NUMBER: Final = re.compile(r"0*([0-9]{1,9})")  # Python converts no endless ones
_HEX_NUMBER: Final = re.compile(r"0[xX]0*([0-9a-fA-F]{1,8})")
_PERIOD: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)", re.IGNORECASE)
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
_UNPRINTABLE: Final = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line ends
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "enable": True} | {
    "false": False,
    "no": False,
    "off": False,
    "disable": False,
}


def label(value: Any) -> str:
    """Return a name that is shown: one line of at most ``LABEL_BYTES``."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Invalid("is empty: write a text")
    if isinstance(value, (bool, int, float)):
        raise Invalid("expected a text: put it in quotes")
    if not isinstance(value, str):
        raise Invalid("expected a text")
    name = value.strip()
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise Invalid("expected one line without control characters")
    length = len(name.encode())
    if length > LABEL_BYTES:
        hint = "" if name.isascii() else ", where letters such as ä count as 2"
        raise Invalid(f"is {length} bytes long: shorten it to {LABEL_BYTES}{hint}")
    return name


def node_name(value: Any) -> str:
    """Return a device name by ESPHome's rules."""
    name = label(value)
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", name) or len(name) > NAME_LENGTH:
        suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:NAME_LENGTH].strip("-")
        hint = f", such as {suggestion!r}" if suggestion and not isinstance(value, Secret) else ""
        raise Invalid(f"use lower-case letters, digits and hyphens, at most {NAME_LENGTH}{hint}")
    return name


def adapter(value: Any) -> str:
    """Return a Bluetooth adapter: its name, as Linux gives it, or its address, which it keeps in any socket."""
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"hci[0-9]{1,5}", text):
        return text
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        return text.upper()
    raise Invalid("expected an adapter such as hci0, or its address: `bluetoothctl list` shows them")


def boolean(value: Any) -> bool:
    """Return true or false; ESPHome's other words for them count as well."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise Invalid("expected true or false")


def whole_number(least: int, most: int) -> Any:
    """Return a function for whole numbers in ``least..most``; 0x10 counts, and 010 is ten."""

    def number(value: Any) -> int:
        if isinstance(value, str):
            if decimal := _NUMBER.fullmatch(value.strip()):
                value = int(decimal[1])
            elif hexadecimal := _HEX_NUMBER.fullmatch(value.strip()):
                value = int(hexadecimal[1], 16)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"expected a whole number from {least} to {most}")
        return value

    return number


def one_of(*choices: str, upper: bool = False) -> Any:
    """Return a function for one of several words."""

    def word(value: Any) -> str:
        given = value.strip() if isinstance(value, str) else ""
        given = given.upper() if upper else given.lower()
        if given in choices:
            return given
        close = [] if isinstance(value, Secret) else get_close_matches(given, choices, 1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise Invalid(f"expected one of {', '.join(choices)}{hint}")

    return word


def mac_address(value: Any) -> str:
    """Return a Bluetooth address as AA:BB:CC:DD:EE:FF."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise Invalid("looks like a number to YAML: put the address in quotes")
    digits = re.sub(r"[:-]", "", value.strip()) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9a-fA-F]{12}", digits):
        raise Invalid("expected a Bluetooth address such as C4:D3:6A:00:00:01: `blupow-proxy scan` lists them")
    return bytes.fromhex(digits).hex(":").upper()


def key(value: Any) -> bytes:
    """Return the 32 bytes of an encryption key; the message never holds the value."""
    try:
        decoded = b64decode(value.strip() if isinstance(value, str) else b"?", validate=True)
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
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.strip()):
        return value.strip()
    raise Invalid("an id has letters, digits and underscores, and starts with a letter")


FAMILIES: Final = ("auto", "controller", "dcc", "battery", "inverter", "shunt300")

family: Final = one_of(*FAMILIES)
modbus_address: Final = whole_number(1, 247)  # the addresses of Modbus; 0 is for everyone, the rest is reserved

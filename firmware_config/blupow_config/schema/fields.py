"""Single values: each field returns what it is given as it is used, or says what to write instead."""

import math
import re
import unicodedata
from base64 import b64decode
from typing import Any, Final

from probatio import Invalid

from blupow_config.language.secret import Secret
from blupow_proxy.renogy import Family, Variant

from .field import Field, did_you_mean

NAME_LENGTH: Final = 31  # ESPHome's limit: the name is a host name
LABEL_BYTES: Final = 120  # ESPHome's limit of names that are shown, in UTF-8: they go into discovery's short records
KEY_BYTES: Final = 32

_NUMBER: Final = re.compile(r"0*([0-9]{1,9})")  # Python converts no endless ones
_HEX_NUMBER: Final = re.compile(r"0[xX]0*([0-9a-fA-F]{1,8})")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")
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


def line(value: Any) -> str:
    """Return a text of one line, without what surrounds it."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Invalid("is empty: write a text")
    if isinstance(value, (bool, int, float)):
        raise Invalid("expected a text: put it in quotes")
    if not isinstance(value, str):
        raise Invalid("expected a text")
    name = value.strip()
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise Invalid("expected one line without control characters")
    return name


def _read_label(value: Any) -> str:
    name = line(value)
    length = len(name.encode())
    if length > LABEL_BYTES:
        hint = "" if name.isascii() else ", where letters such as ä count as 2"
        raise Invalid(f"is {length} bytes long: shorten it to {LABEL_BYTES}{hint}")
    return name


def _read_node_name(value: Any) -> str:
    name = _read_label(value)
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", name) or len(name) > NAME_LENGTH:
        suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:NAME_LENGTH].strip("-")
        hint = f", such as {suggestion!r}" if suggestion and not isinstance(value, Secret) else ""
        raise Invalid(f"use lower-case letters, digits and hyphens, at most {NAME_LENGTH}{hint}")
    return name


def _read_adapter(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"hci[0-9]{1,5}", text):
        return text
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        return text.upper()
    raise Invalid("expected an adapter such as hci0, or its address: `bluetoothctl list` shows them")


def _read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise Invalid("expected true or false")


# an editor sees the name of a variable, with `!env_var`, where the number will be
_VARIABLE: Final = {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*( .*)?$"}


def whole_number(least: int, most: int) -> Field[int]:
    """Return a field for whole numbers in ``least..most``; 0x10 counts, and 010 is ten."""

    def read(value: Any) -> int:
        if isinstance(value, str):
            if decimal := _NUMBER.fullmatch(value.strip()):
                value = int(decimal[1])
            elif hexadecimal := _HEX_NUMBER.fullmatch(value.strip()):
                value = int(hexadecimal[1], 16)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"expected a whole number from {least} to {most}")
        return value

    written = {"type": "string", "pattern": r"^\s*([0-9]+|0[xX][0-9a-fA-F]+)\s*$"}
    return Field(
        read,
        {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, written, _VARIABLE]},
        f"whole number, {least} to {most}",
    )


def _read_number(value: Any) -> float:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid("expected a number, such as 0.5")
    return float(value)


def one_of(*choices: str, upper: bool = False) -> Field[str]:
    """Return a field for one of several words."""

    def read(value: Any) -> str:
        given = value.strip() if isinstance(value, str) else ""
        given = given.upper() if upper else given.lower()
        if given in choices:
            return given
        named = ", ".join(choice or "''" for choice in choices)
        raise Invalid(f"expected one of {named}{did_you_mean(value, choices)}")

    pattern = r"^\s*(" + "|".join(map(_any_case, choices)) + r")\s*$"
    return Field(
        read,
        {"anyOf": [{"enum": list(choices)}, {"type": "string", "pattern": pattern}]},
        " ".join(f"`{choice}`" for choice in choices if choice),
    )


def _any_case(word: str) -> str:
    """Return a pattern for ``word`` in capitals or not: JSON Schema's know no flags."""
    return "".join(f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else re.escape(letter) for letter in word)


def _read_mac_address(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise Invalid("looks like a number to YAML: put the address in quotes")
    digits = re.sub(r"[:-]", "", value.strip()) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9a-fA-F]{12}", digits):
        raise Invalid("expected a Bluetooth address such as C4:D3:6A:00:00:01: `blupow-proxy scan` lists them")
    return bytes.fromhex(digits).hex(":").upper()


def _read_key(value: Any) -> bytes:
    try:
        decoded = b64decode(value.strip() if isinstance(value, str) else b"?", validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != KEY_BYTES or not any(decoded):
        # the message never holds the value
        raise Invalid("expected a key of 32 bytes in base64: `openssl rand -base64 32` makes one")
    return decoded


def period_s(least: str, most: str) -> Field[float]:
    """Return a field for times, in seconds, from ``least`` to ``most``, such as "500ms"."""
    least_s, most_s = _in_seconds(least), _in_seconds(most)

    def read(value: Any) -> float:
        seconds = _in_seconds(value)
        if math.isnan(seconds):
            raise Invalid("expected a time with its unit, such as 2s, 500ms or 1min")
        if not least_s <= seconds <= most_s:
            raise Invalid(f"expected a time from {least} to {most}")
        return seconds

    units = "|".join(map(_any_case, _UNITS_S))
    pattern = rf"^\s*[0-9]+(\.[0-9]+)?\s*({units})\s*$"
    return Field(read, {"type": "string", "pattern": pattern}, f"time, {least} to {most}")


def _in_seconds(value: Any) -> float:
    match = _PERIOD.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = None if match is None else _UNITS_S.get(match[2].lower())
    return math.nan if match is None or unit is None else float(match[1]) * unit


def _read_identifier(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.strip()):
        return value.strip()
    raise Invalid("an id has letters, digits and underscores, and starts with a letter")


def _read_icon(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"|[a-z][a-z0-9-]*:[a-z0-9-]+", value.strip()):
        return value.strip()
    raise Invalid("expected an icon such as mdi:battery, or '' for none")


def _read_word(value: Any) -> str:
    """Return a short text that may be empty, such as a unit or a device class."""
    if value == "":
        return ""
    return _read_label(value)


# an editor sees the name of a secret where the value will be
_NAME: Final = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_LINE: Final = r"^\s*(?=\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+\s*$"
_HEX: Final = "[0-9A-Fa-f]"

label: Final = Field(_read_label, {"type": "string", "pattern": _LINE, "maxLength": LABEL_BYTES}, "text")
word: Final = Field(_read_word, {"type": "string", "maxLength": LABEL_BYTES}, "text")
node_name: Final = Field(
    _read_node_name,
    {"type": "string", "pattern": rf"^\s*(?=\S{{1,{NAME_LENGTH}}}\s*$)[a-z0-9]([a-z0-9-]*[a-z0-9])?\s*$"},
    "name of lower-case letters, digits and hyphens",
)
adapter: Final = Field(
    _read_adapter,
    {"type": "string", "pattern": rf"^\s*(hci[0-9]{{1,5}}|({_HEX}{{2}}:){{5}}{_HEX}{{2}})\s*$"},
    "adapter",
)
boolean: Final = Field(
    _read_boolean,
    {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^({'|'.join(map(_any_case, _BOOLEANS))})$"}]},
    "`true` or `false`",
)
number: Final = Field(
    _read_number,
    {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*$"}]},
    "number",
)
mac_address: Final = Field(
    _read_mac_address,
    {"anyOf": [{"type": "string", "pattern": rf"^\s*{_HEX}{{2}}([:-]?{_HEX}{{2}}){{5}}\s*$"}, _NAME]},
    "Bluetooth address",
)
key: Final = Field(
    _read_key,
    {"anyOf": [{"type": "string", "pattern": r"^\s*[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\s*$"}, _NAME]},
    "32 bytes in base64",
)
identifier: Final = Field(_read_identifier, {"type": "string", "pattern": r"^\s*[A-Za-z_][A-Za-z0-9_]*\s*$"}, "id")
icon: Final = Field(_read_icon, {"type": "string", "pattern": r"^\s*([a-z][a-z0-9-]*:[a-z0-9-]+)?\s*$"}, "icon")

FAMILIES: Final = ("auto", *map(str, Family))
family: Final = one_of(*FAMILIES)
variant: Final = one_of(*map(str, Variant))
modbus_address: Final = whole_number(1, 247)  # the addresses of Modbus; 0 is for everyone, the rest is reserved
interval_s: Final = period_s("500ms", "1h")  # of a unit: faster than half a second, devices stop answering
slow_interval_s: Final = period_s("1s", "24h")  # of what the host itself knows

"""Which other Bluetooth devices are forwarded: ``allow:`` and ``deny:``, by address or name."""

import re
from collections.abc import Iterator
from typing import Any, Final

from probatio import Invalid, MultipleInvalid

from blupow_config.language.tree import Path_

from . import fields
from .field import Field, Json, json_schema, read_or_none

MAX_ENTRIES: Final = 100  # of one list: each name that is heard is compared with all of them
MAX_NAME_BYTES: Final = 248  # Bluetooth's own limit of a device's name
MAX_STARS: Final = 3  # of one name, as `*kitchen*left*`: with many, comparing takes as long as whoever advertises likes

# What somebody meant as an address, right or not: as a name it would silently fit no device.
_ADDRESS_LIKE: Final = (
    r"[0-9A-Za-z*]{0,3}(:[0-9A-Za-z*]{0,3}){2,}",
    r"[0-9A-Fa-f*]{1,3}(-[0-9A-Fa-f*]{1,3}){3,}",
    r"[0-9A-Za-z]{2}(-[0-9A-Za-z]{2}){5}",
    r"[0-9A-Fa-f]{11,13}",
    r"[0-9A-Fa-f]{2}([^0-9A-Za-z][0-9A-Fa-f]{2}){5}",
    r"([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}",
    r"0[xX][0-9A-Fa-f]{12}",
)
# What begins with an address and goes on: several in a line, or a remark.
_MORE_THAN_ADDRESS: Final = (
    r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}[^0-9A-Za-z:-].*",
    r"[0-9A-Fa-f]{12}\s*[,;].*",
)
_MEANT_AS_ADDRESS: Final = re.compile("|".join(_ADDRESS_LIKE))
_GOES_ON: Final = re.compile("|".join(_MORE_THAN_ADDRESS))


def _read_device(value: Any) -> str:
    """Return an address as AA:BB:CC:DD:EE:FF, or a name, in which * stands for anything."""
    if isinstance(value, (bool, int, float)):
        what = "true or false" if isinstance(value, bool) else "a number"
        raise Invalid(f"looks like {what} to YAML: put it in quotes")
    text = fields.line(value)
    if _MEANT_AS_ADDRESS.fullmatch(text):
        address = read_or_none(fields.mac_address, text)
        if address is None:
            raise Invalid("looks like a Bluetooth address and is none: one is whole, such as C4:D3:6A:00:00:01")
        return str(address)
    if _GOES_ON.fullmatch(text):
        raise Invalid(
            "holds more than a Bluetooth address: write one alone, and each of several after a `-` of its own"
        )
    if len(text.encode()) > MAX_NAME_BYTES:
        raise Invalid(f"is longer than the {MAX_NAME_BYTES} bytes that a Bluetooth name may have")
    if text.count("*") > MAX_STARS:
        raise Invalid(f"expected at most {MAX_STARS} * in a name")
    return text


def _json_device() -> Json:
    none_of = [rf"({'|'.join((*_ADDRESS_LIKE, *_MORE_THAN_ADDRESS))})\s*$", rf"(.*\*){{{MAX_STARS + 1}}}"]
    one_line = r"(?=\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"
    no_mistake = r"^\s*" + "".join(f"(?!{pattern})" for pattern in none_of) + one_line
    name = {"type": "string", "pattern": no_mistake, "maxLength": MAX_NAME_BYTES}
    return {"anyOf": [name, *json_schema(fields.mac_address)["anyOf"]]}


_DEVICE: Final = Field(_read_device, _json_device, "Bluetooth address, or name with or without *")


def _listed(value: Any) -> list[Any]:
    """Return what is given as a list: one value is a list of it, as everywhere in ESPHome."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _read(value: Any, *, least: int) -> tuple[str, ...]:
    items = _listed(value)
    if len(items) > MAX_ENTRIES:
        raise Invalid(f"expected at most {MAX_ENTRIES} addresses and names: a name may stand for many, as `Thermo*`")
    if len(items) < least:
        raise Invalid("expected an address or a name: with none, nothing is forwarded; leave it out to forward all")
    found: dict[str, None] = {}
    mistakes = []
    for place, item in enumerate(items):
        try:
            found[_DEVICE(item)] = None
        except Invalid as invalid:
            mistakes.append(Invalid(invalid.msg, path=[place] if isinstance(value, list) else []))
    if mistakes:
        raise MultipleInvalid(mistakes)
    return tuple(found)


def _json(least: int) -> Json:
    one = json_schema(_DEVICE)
    several = {"type": "array", "minItems": least, "maxItems": MAX_ENTRIES, "items": one}
    return {"anyOf": [several, one] if least else [several, one, {"type": "null"}]}


_KIND: Final = "addresses and names"
allowed: Final = Field(lambda value: _read(value, least=1), lambda: _json(1), _KIND)
denied: Final = Field(lambda value: _read(value, least=0), lambda: _json(0), _KIND)


def forwarding_mistakes(content: dict[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Yield what is allowed in vain: what is denied as well, and units, which no client gets."""
    given = content.get("bluetooth_proxy")
    if not isinstance(given, dict):
        return
    units = content.get("renogy")
    own: dict[str, int] = {}
    for number, unit in enumerate(units if isinstance(units, list) else ()):
        address = read_or_none(fields.mac_address, unit.get("address")) if isinstance(unit, dict) else None
        if address is not None:
            own.setdefault(address, number)
    denied_ones = {device.casefold() for _, device in _devices(given, "deny")}
    for path, device in _devices(given, "allow"):
        if device in own:
            yield path, f"is renogy.{own[device]}, whose link is this proxy's own: nobody else can have it"
        elif device.casefold() in denied_ones:
            yield path, "is under `deny` as well: write it in one place"


def _devices(given: dict[str, Any], option: str) -> Iterator[tuple[Path_, str]]:
    """Yield the well-formed ones of a list, with where they are."""
    value = given.get(option)
    for place, item in enumerate(_listed(value)[:MAX_ENTRIES]):
        device = read_or_none(_DEVICE, item)
        if device is not None:
            yield ("bluetooth_proxy", option, *((place,) if isinstance(value, list) else ())), device

"""A state message as a value and as text, for every kind of entity."""

import datetime as dt
import math
from enum import Enum
from typing import Any, Final

from aioesphomeapi import (
    COMPONENT_TYPE_TO_INFO,
    ClimateState,
    CoverState,
    DateState,
    DateTimeState,
    EntityInfo,
    EntityState,
    Event,
    NumberState,
    SensorInfo,
    SensorState,
    TextInfo,
    TextMode,
    TimeState,
    UpdateState,
    ValveState,
    WaterHeaterState,
)

from .snapshot import Raw

MISSING: Final = "-"
_TEXT_CHARACTERS: Final = 255  # the longest state of ESPHome and Home Assistant
_NUMBER_DIGITS: Final = 7  # what a 32-bit float holds
_KINDS: Final = {info: kind for kind, info in COMPONENT_TYPE_TO_INFO.items()}
_WORDS: Final = {  # device class of a binary sensor: what off and on mean
    "problem": ("ok", "problem"),
    "connectivity": ("disconnected", "connected"),
}


def kind_of(info: EntityInfo) -> str:
    """Return ESPHome's word for the kind of an entity."""
    return _KINDS.get(type(info), "unknown")


def clean(text: str, limit: int = _TEXT_CHARACTERS) -> str:
    """Return a peer's text fit for a terminal: one line, no control characters, bounded."""
    return "".join(character if character.isprintable() else " " for character in text[:limit]).strip()


def read(info: EntityInfo, state: EntityState | None) -> tuple[Raw, str]:
    """Return the value and its text; (None, a dash) when it is missing."""
    value = None if state is None or getattr(state, "missing_state", False) else _value(info, state)
    if value is None:
        return None, MISSING
    return value, _text(info, value)


def _value(info: EntityInfo, state: EntityState) -> Raw:
    match state:
        case SensorState(state=number):
            return _rounded(number, info.accuracy_decimals if isinstance(info, SensorInfo) else _NUMBER_DIGITS)
        case NumberState(state=number):
            return float(f"{number:.{_NUMBER_DIGITS}g}") if math.isfinite(number) else None
        case CoverState(position=share) | ValveState(position=share):
            return f"{share:.0%} open"
        case (
            ClimateState(mode=mode, current_temperature=degrees)
            | WaterHeaterState(mode=mode, current_temperature=degrees)
        ):
            return f"{_word(mode)}, {degrees:.1f} °C" if math.isfinite(degrees) else _word(mode)
        case DateState():
            return f"{state.year:04d}-{state.month:02d}-{state.day:02d}"
        case TimeState():
            return f"{state.hour:02d}:{state.minute:02d}:{state.second:02d}"
        case DateTimeState(epoch_seconds=seconds):
            return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
        case Event(event_type=event):
            return clean(event)
        case UpdateState(current_version=version):
            return clean(version)
        case _:
            return _plain(getattr(state, "state", None))


def _plain(value: Any) -> Raw:
    match value:
        case Enum():
            return _word(value)
        case str():
            return clean(value)
        case bool() | int() | float():
            return value
        case _:
            return None


def _text(info: EntityInfo, value: Raw) -> str:
    match value:
        case bool():
            return _WORDS.get(getattr(info, "device_class", ""), ("off", "on"))[value]
        case int() | float() if isinstance(info, SensorInfo):
            return f"{value:.{max(0, info.accuracy_decimals)}f}"
        case float():
            return f"{value:g}"
        case str() if getattr(info, "device_class", "") == "timestamp":
            return _local(value)
        case _ if isinstance(info, TextInfo) and info.mode is TextMode.PASSWORD:
            return "*" * 8
        case _:
            return str(value)


def _local(text: str) -> str:
    """Return an ISO 8601 instant in local time; anything else as it is."""
    try:
        return dt.datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def _rounded(number: float, decimals: int) -> Raw:
    if not math.isfinite(number):
        return None
    return round(number, decimals) if decimals > 0 else round(number)


def _word(value: Any) -> str:
    return value.name.lower() if isinstance(value, Enum) else str(value)

"""``filters:`` of a sensor, as ESPHome has them."""

import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from probatio import Invalid, MultipleInvalid

from blupow_config.model import Delta, Filter, Linear, Throttle

from . import fields
from .field import Field, Json, did_you_mean, json_schema

MAX_FILTERS: Final = 16  # of one sensor
MAX_DATAPOINTS: Final = 100  # of one calibration

_ARROW: Final = re.compile(r"\s*([^\s>]+)\s*->\s*([^\s>]+)\s*")
_METHODS: Final = ("least_squares", "exact")
_PERIOD: Final = fields.period_s("1ms", "24h")
_NUMBER_TEXT: Final = {"type": ["number", "string"]}


def _difference(value: Any) -> tuple[float, float]:
    """Return a least or most difference as a number and a share of the last value."""
    share = isinstance(value, str) and value.strip().endswith("%")
    number: float = fields.number(value.strip()[:-1] if share else value)
    if number < 0:
        raise Invalid("expected a number of at least 0, or a share such as 5%")
    return (0.0, number / 100) if share else (number, 0.0)


def _delta(value: Any) -> Delta:
    if not isinstance(value, dict):
        return Delta(*_difference(value))
    for option in value:
        if option not in ("min_value", "max_value"):
            raise Invalid(f"not a valid option{did_you_mean(option, ('min_value', 'max_value'))}", path=[option])
    if not value:
        raise Invalid("expected `min_value`, `max_value` or both below it")
    least = _difference(value.get("min_value", 0))
    return Delta(*least, *_difference(value["max_value"])) if "max_value" in value else Delta(*least)


def _throttle(value: Any) -> Throttle:
    return Throttle(_PERIOD(value))


def _multiply(value: Any) -> Linear:
    return Linear(((-math.inf, fields.number(value), 0.0),))


def _offset(value: Any) -> Linear:
    return Linear(((-math.inf, 1.0, fields.number(value)),))


def _calibrate_linear(value: Any) -> Linear:
    method = "least_squares"
    if isinstance(value, dict):
        for option in value:
            if option not in ("datapoints", "method"):
                raise Invalid(f"not a valid option{did_you_mean(option, ('datapoints', 'method'))}", path=[option])
        method = fields.one_of(*_METHODS)(value.get("method", method))
        value = value.get("datapoints")
    if not isinstance(value, list) or not 2 <= len(value) <= MAX_DATAPOINTS:  # a line has two points
        raise Invalid(f"expected 2 to {MAX_DATAPOINTS} datapoints, each as `- 0.0 -> 1.0`")
    points = [_datapoint(point) for point in value]
    if method == "least_squares":
        return _fit(points)
    before = -math.inf
    for measured, _ in points:
        if measured <= before:
            raise Invalid("expected datapoints in ascending order, each measured value once")
        before = measured
    return _through(points)


def _datapoint(value: Any) -> tuple[float, float]:
    if isinstance(value, dict) and value.keys() == {"from", "to"}:
        return fields.number(value["from"]), fields.number(value["to"])
    arrow = _ARROW.fullmatch(value) if isinstance(value, str) else None
    if arrow is None:
        raise Invalid("expected datapoints such as `- 0.0 -> 1.0`: measured, then right")
    return fields.number(arrow[1]), fields.number(arrow[2])


def _fit(points: list[tuple[float, float]]) -> Linear:
    """Return the straight line that is nearest to all points."""
    mean = math.fsum(measured for measured, _ in points) / len(points)
    mean_right = math.fsum(right for _, right in points) / len(points)
    spread = math.fsum((measured - mean) ** 2 for measured, _ in points)
    if spread == 0:
        raise Invalid("expected datapoints of different measured values")
    slope = math.fsum((measured - mean) * (right - mean_right) for measured, right in points) / spread
    return Linear(((-math.inf, slope, mean_right - slope * mean),))


def _through(points: list[tuple[float, float]]) -> Linear:
    """Return straight lines from each point to the next; the outer ones go on."""
    pieces = []
    for (measured, right), (next_measured, next_right) in pairwise(points):
        slope = (next_right - right) / (next_measured - measured)
        pieces.append((measured, slope, right - slope * measured))
    return Linear(((-math.inf, *pieces[0][1:]), *pieces[1:]))


_KINDS: Final[Mapping[str, Callable[[Any], Filter]]] = {
    "delta": _delta,
    "throttle": _throttle,
    "calibrate_linear": _calibrate_linear,
    "multiply": _multiply,
    "offset": _offset,
}


def _read(value: Any) -> tuple[Filter, ...]:
    items = [value] if isinstance(value, dict) else value or []
    if not isinstance(items, list) or len(items) > MAX_FILTERS:
        raise Invalid(f"expected a list of at most {MAX_FILTERS} filters, such as `- delta: 0.1`")
    found: list[Filter] = []
    mistakes: list[Invalid] = []
    for place, item in enumerate(items):
        try:
            found.append(_one(item))
        except Invalid as invalid:
            step = [] if isinstance(value, dict) else [place]
            mistakes.append(Invalid(invalid.msg, path=[*step, *invalid.path]))
    if mistakes:
        raise MultipleInvalid(mistakes)
    return tuple(found)


def _one(item: Any) -> Filter:
    if not isinstance(item, dict) or len(item) != 1:
        raise Invalid("expected one filter, such as `delta: 0.1`")
    [(name, argument)] = item.items()
    if name not in _KINDS:
        raise Invalid(f"expected one of the filters {', '.join(_KINDS)}{did_you_mean(name, _KINDS)}", path=[name])
    try:
        return _KINDS[name](argument)
    except Invalid as invalid:
        raise Invalid(invalid.msg, path=[name, *invalid.path]) from None


_DELTA: Final = {
    "type": "object",
    "minProperties": 1,
    "properties": {"min_value": _NUMBER_TEXT, "max_value": _NUMBER_TEXT},
    "additionalProperties": False,
}
_POINT: Final = {
    "anyOf": [
        {"type": "string", "pattern": "->|\\$"},
        {
            "type": "object",
            "properties": {"from": _NUMBER_TEXT, "to": _NUMBER_TEXT},
            "required": ["from", "to"],
            "additionalProperties": False,
        },
    ]
}
_POINTS: Final = {"type": "array", "minItems": 2, "maxItems": MAX_DATAPOINTS, "items": _POINT}
_CALIBRATION: Final = {
    "type": "object",
    "required": ["datapoints"],
    "additionalProperties": False,
    "properties": {"datapoints": _POINTS, "method": {"enum": list(_METHODS)}},
}


def _json() -> Json:
    properties: Json = {
        "delta": {
            "description": "Pass on what differs from the last value by more than this, such as 0.1 or 5%.",
            "anyOf": [_NUMBER_TEXT, _DELTA],
        },
        "throttle": {"description": "Pass on one value in this time, such as 10s.", **json_schema(_PERIOD)},
        "calibrate_linear": {
            "description": "Correct values along a straight line through points `measured -> right`.",
            "anyOf": [_POINTS, _CALIBRATION],
        },
        "multiply": {"description": "Multiply by this number.", **json_schema(fields.number)},
        "offset": {"description": "Add this number.", **json_schema(fields.number)},
    }
    one = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": properties,
    }
    return {"anyOf": [{"type": "array", "maxItems": MAX_FILTERS, "items": one}, one, {"type": "null"}]}


filters: Final = Field(_read, _json, "list of filters")

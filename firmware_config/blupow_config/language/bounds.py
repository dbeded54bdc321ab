"""What an expression may make: each check refuses, before it is made, what would be too large."""

import re
from collections.abc import Iterable
from typing import Any, Final

from .expression import ExpressionError
from .limits import MAX_BITS, MAX_ITEMS, MAX_TEXT

MAX_WIDTH: Final = 1_000  # columns to which texts are filled up, or digits: a line is shorter
TOO_LARGE: Final = f"a text may have {MAX_TEXT:,} characters at most, a list {MAX_ITEMS:,} items"


def check_length(length: int) -> None:
    """Refuse a text that would be too long."""
    if length > MAX_TEXT:
        raise ExpressionError(TOO_LARGE)


def widths(given: Iterable[Any]) -> list[int]:
    """Return the numbers in arguments, and the lengths of their texts."""
    return [value for value in given if isinstance(value, int)] + [
        len(value) for value in given if isinstance(value, str)
    ]


def check_widths(given: Iterable[Any]) -> None:
    """Refuse a width that is too large."""
    if any(isinstance(value, int) and value > MAX_WIDTH for value in given):
        raise ExpressionError(f"a width may be {MAX_WIDTH:,} at most")


def check_replacement(text: str, old: str, new: str) -> None:
    """Refuse a replacement whose result would be too long."""
    check_length(len(text) + (text.count(old) if old else len(text) + 1) * len(new))


def check_format(text: str) -> None:
    """Refuse widths that are long, or not written there."""
    if re.search(r"%[^%a-zA-Z]*(?:[0-9]{4}|\*)", text):
        raise ExpressionError(f"a format's widths may be {MAX_WIDTH - 1} at most")


def size(value: Any) -> int:
    """Return how many characters and items a value has; ExpressionError if these are too many."""
    found, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        found += 1
        if isinstance(part, str):
            found += len(part)
        elif isinstance(part, int):
            if part.bit_length() > MAX_BITS:
                raise ExpressionError("the number is too large")
        elif isinstance(part, list | tuple | dict):
            if len(part) > MAX_ITEMS:
                raise ExpressionError(TOO_LARGE)
            waiting += part
            if isinstance(part, dict):
                waiting += part.values()
        if found > MAX_TEXT:
            raise ExpressionError(TOO_LARGE)
    return found

"""The readings of all families by their keys, as the register maps name them."""

from collections.abc import Mapping
from functools import cache

from blupow_proxy.renogy import Description, Family, Kind, descriptions

__all__ = ["Family", "Kind", "all_keys", "families_with", "of_family"]


@cache
def all_keys(kind: Kind) -> Mapping[str, str]:
    """Return the keys of every family's readings of ``kind``, and how each is shown."""
    shown: dict[str, str] = {}
    for family in Family:
        for key, description in of_family(family).items():
            if description.kind is kind:
                unit = f" ({description.unit})" if description.unit else ""
                shown.setdefault(key, f"{description.name}{unit}")
    return shown


@cache
def of_family(family: str) -> Mapping[str, Description]:
    """Return a family's readings by key."""
    return {description.key: description for description in descriptions(Family(family))}


def families_with(key: str) -> tuple[str, ...]:
    """Return the families that have a reading."""
    return tuple(family for family in Family if key in of_family(family))

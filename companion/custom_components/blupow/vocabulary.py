"""Which texts and icons this integration has, as its translation files say."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.icon import async_get_icons
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN

_LANGUAGE: Final = "en"  # the one that is complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Which entities have a name and an icon here, by platform and translation key, and the states of text sensors."""

    names: frozenset[tuple[str, str]]
    icons: frozenset[tuple[str, str]]
    states: dict[str, list[str]]  # by translation key


async def async_load_vocabulary(hass: HomeAssistant) -> Vocabulary:
    """Read the vocabulary; Home Assistant keeps the files' contents."""
    texts = await async_get_translations(hass, _LANGUAGE, "entity", [DOMAIN])
    names: set[tuple[str, str]] = set()
    states: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        match text.split("."):
            case ["component", _, "entity", platform, key, "name"]:
                names.add((platform, key))
            case ["component", _, "entity", "sensor", key, "state", state]:
                states[key].append(state)
    icons: dict[str, Any] = (await async_get_icons(hass, "entity", [DOMAIN])).get(DOMAIN, {})
    return Vocabulary(
        names=frozenset(names),
        icons=frozenset((platform, key) for platform, keys in icons.items() for key in keys),
        states=dict(states),
    )

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
    """The states that a text sensor is known to have, and the entities that have an icon of their own."""

    states: dict[str, list[str]]  # by translation key
    icons: dict[str, Any]  # by platform, then translation key


async def async_load_vocabulary(hass: HomeAssistant) -> Vocabulary:
    """Read the vocabulary; Home Assistant keeps the files' contents."""
    texts = await async_get_translations(hass, _LANGUAGE, "entity", [DOMAIN])
    states: defaultdict[str, list[str]] = defaultdict(list)
    for name in texts:
        match name.split("."):
            case ["component", _, "entity", "sensor", key, "state", state]:
                states[key].append(state)
    icons = await async_get_icons(hass, "entity", [DOMAIN])
    return Vocabulary(states=dict(states), icons=icons.get(DOMAIN, {}))

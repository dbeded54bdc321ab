"""The last list of a proxy, so that its entities exist before it is reached."""

from dataclasses import dataclass
from typing import Any, Final

from aioesphomeapi import COMPONENT_TYPE_TO_INFO, DeviceInfo, EntityInfo, UserService

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN, LOGGER
from .wire import KIND_NAMES

STORAGE_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a proxy has said of itself, its entities and its actions."""

    device_info: DeviceInfo
    infos: list[EntityInfo]
    actions: list[UserService]


class ListingStore:
    """Keeps the listing of one config entry on disk."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Keep it in a file of its own."""
        self._store: Store[dict[str, Any]] = Store(hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}")

    async def async_load(self) -> Listing | None:
        """Return the stored listing, if there is one that can be read."""
        try:
            stored = await self._store.async_load()
            return None if stored is None else _listing(stored)
        except Exception as error:  # noqa: BLE001 - whatever it is that is stored there: the proxy lists it anew
            LOGGER.warning("What is stored of a proxy can't be read (%r); it is asked again", error)
            return None

    async def async_save(self, listing: Listing) -> None:
        """Store ``listing``."""
        await self._store.async_save(
            {
                "device_info": listing.device_info.to_dict(),
                "infos": [(KIND_NAMES[type(info)], info.to_dict()) for info in listing.infos],
                "actions": [action.to_dict() for action in listing.actions],
            }
        )

    async def async_remove(self) -> None:
        """Delete what is stored."""
        await self._store.async_remove()


def _listing(stored: dict[str, Any]) -> Listing:
    return Listing(
        device_info=DeviceInfo.from_dict(stored["device_info"]),
        infos=[
            COMPONENT_TYPE_TO_INFO[kind].from_dict(info)
            for kind, info in stored["infos"]
            if kind in KIND_NAMES.values()  # a newer companion may have stored others
        ],
        actions=[UserService.from_dict(action) for action in stored["actions"]],
    )

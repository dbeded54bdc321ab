"""What was found out of the units, kept over restarts so that their entities are listed at once."""

from typing import Any, Final

from blupow_proxy.poller import Profile
from blupow_proxy.renogy import Family
from blupow_proxy.storage import Storage

_NAME: Final = "units"


class Profiles:
    """Profiles by unit id; a damaged or foreign file counts as none."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._content: dict[str, Any] = storage.read(_NAME) or {}

    def get(self, unit_id: str) -> Profile | None:
        """Return what is known of a unit."""
        stored: Any = self._content.get(unit_id)
        try:
            return Profile(
                family=Family(stored["family"]),
                variant=stored["variant"],
                model=stored["model"],
                modbus_address=stored["modbus_address"],
                keys=frozenset(stored["keys"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, unit_id: str, profile: Profile | None) -> None:
        """Remember what is known of a unit."""
        if profile is None:
            return
        self._content[unit_id] = {
            "family": str(profile.family),
            "variant": profile.variant,
            "model": profile.model,
            "modbus_address": profile.modbus_address,
            "keys": sorted(profile.keys),
        }
        self._storage.write_soon(_NAME, self._content)

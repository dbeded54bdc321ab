"""What all entities of this integration have in common."""

from collections.abc import Callable, Iterable
from typing import Any

from aioesphomeapi import APIConnectionError, EntityInfo, EntityState

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .coordinator import BluPowConfigEntry, BluPowCoordinator
from .wire import CATEGORY_OF, KIND_NAMES, PLATFORM_OF, STATE_OF, device_identifier, translation_key, unique_id

type Kinds = dict[type[EntityInfo], type[BluPowEntity[Any, Any]]]


class BluPowEntity[InfoT: EntityInfo, StateT: EntityState](Entity):
    """Shows one entity of the proxy; subclasses say how, in ``_describe`` and ``_show``."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, coordinator: BluPowCoordinator, info: InfoT) -> None:
        """Show what ``info`` lists."""
        self.coordinator = coordinator
        self._reach = coordinator.reach_of(info)
        mac = coordinator.mac
        self._attr_unique_id = unique_id(mac, info.device_id, KIND_NAMES[type(info)], info.object_id)
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, device_identifier(mac, info.device_id))})
        self._has_state = type(info) not in STATE_OF  # a button has none to wait for
        self._info = info
        key, placeholders = translation_key(info.object_id)
        self._attr_translation_key = key
        self._attr_translation_placeholders = placeholders
        text = PLATFORM_OF[type(info)], key
        if text not in coordinator.vocabulary.names:
            self._attr_name = info.name
        if text not in coordinator.vocabulary.icons:
            self._attr_icon = info.icon or None
        self._attr_entity_category = CATEGORY_OF.get(info.entity_category)
        self._attr_entity_registry_enabled_default = not info.disabled_by_default
        self._describe(info)

    @property
    def available(self) -> bool:
        """Whether the unit is reached and its state has come."""
        return self._has_state and self._reach.reached

    async def async_added_to_hass(self) -> None:
        """Listen to the proxy."""
        coordinator, info = self.coordinator, self._info
        self.async_on_remove(self._reach.async_listen(self._reached_or_lost))
        if (kind := STATE_OF.get(type(info))) is None:
            return
        state_key = kind, info.device_id, info.key
        self.async_on_remove(coordinator.async_listen_state(state_key, self._receive))
        state: Any = coordinator.states.get(state_key)
        if state is not None:
            self._has_state = True
            self._show(state)

    def _describe(self, info: InfoT) -> None:
        """Take over what is particular to the platform."""

    def _show(self, state: StateT) -> None:
        """Take over a state."""

    @callback
    def _receive(self, state: StateT | None) -> None:
        """Take a state; None when it does not hold any more."""
        if state is None:
            self._has_state = False
            return
        self._has_state = True
        self._show(state)
        if self._reach.reached:
            self.async_write_ha_state()

    @callback
    def _reached_or_lost(self) -> None:
        if self._has_state:
            self.async_write_ha_state()

    def _command(self, command: Callable[..., None], *arguments: Any) -> None:
        """Send a command for this entity; HomeAssistantError when there is no connection."""
        try:
            command(self._info.key, *arguments, device_id=self._info.device_id)
        except APIConnectionError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="not_connected",
                translation_placeholders={"name": self.coordinator.title},
            ) from error


async def async_setup_platform(
    hass: HomeAssistant,
    entry: BluPowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    *,
    kinds: Kinds,
) -> None:
    """Add the entities of ``kinds``, now and whenever the proxy lists new ones."""
    coordinator = entry.runtime_data

    @callback
    def add(infos: Iterable[EntityInfo]) -> None:
        async_add_entities([kinds[type(info)](coordinator, info) for info in infos if type(info) in kinds])

    entry.async_on_unload(coordinator.async_listen_new(add))
    add(coordinator.infos.values())

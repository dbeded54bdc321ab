"""What one proxy lists and says, and who is told of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
import json
from typing import Any

from aioesphomeapi import (
    APIClient,
    APIConnectionError,
    BinarySensorInfo,
    DeviceInfo,
    EntityInfo,
    EntityState,
    SwitchInfo,
    TextSensorInfo,
    TextSensorState,
    UserService,
)

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er

from . import devices, issues
from .bluetooth import BluetoothSource, offers_bluetooth
from .connection import Failure
from .const import (
    ADAPTER_PROBLEM,
    ADAPTER_STATUS,
    BATTERY_POWER,
    CLOCK_PROBLEM,
    CONF_BLUETOOTH_SOURCE,
    CONF_REPORT_AFTER,
    DEFAULT_REPORT_AFTER_MIN,
    DOMAIN,
    LINK,
    LINK_ENTITIES,
    LINK_STATUS,
    LOGGER,
    RELEASE_LINK,
)
from .esphome import async_has_proxy
from .reach import Reach
from .session import Session
from .store import Listing, ListingStore
from .vocabulary import Vocabulary, async_load_vocabulary
from .wire import PLATFORM_OF, STATE_OF, Direction, InfoKey, info_key, unique_id, value

type BluPowConfigEntry = ConfigEntry[BluPowCoordinator]
type StateKey = tuple[type[EntityState], int, int]  # of which kind, of which unit, with which key

DERIVED: dict[str, tuple[str, ...]] = {BATTERY_POWER: tuple(Direction)}


class BluPowCoordinator:
    """The runtime data of a config entry."""

    def __init__(self, hass: HomeAssistant, entry: BluPowConfigEntry, vocabulary: Vocabulary) -> None:
        """Know nothing yet; see ``async_create``."""
        assert entry.unique_id is not None  # noqa: S101 - the config flow sees to it
        self.hass = hass
        self.entry = entry
        self.mac = entry.unique_id
        self.title = entry.title
        self.vocabulary = vocabulary
        self.reach = Reach()
        self.units: dict[int, Reach] = {}
        self.listing: Listing | None = None
        self.infos: dict[InfoKey, EntityInfo] = {}
        self.states: dict[StateKey, EntityState] = {}
        self.session: Session
        report_after = int(entry.options.get(CONF_REPORT_AFTER, DEFAULT_REPORT_AFTER_MIN))  # forms give floats
        self.issues = issues.Issues(hass, entry.entry_id, entry.title, report_after)
        self.bluetooth = BluetoothSource(hass, entry.entry_id)
        self._store = ListingStore(hass, entry.entry_id)
        self._registry_ids: dict[int, str] = {}
        self._state_listeners: defaultdict[StateKey, list[Callable[[Any], None]]] = defaultdict(list)
        self._new_listeners: list[Callable[[Iterable[EntityInfo]], None]] = []
        self._watches: list[CALLBACK_TYPE] = []
        self._lost_units: set[int] = set()

    @classmethod
    async def async_create(cls, hass: HomeAssistant, entry: BluPowConfigEntry) -> BluPowCoordinator:
        """Return the coordinator of ``entry``, with what its proxy has listed the last time."""
        self = cls(hass, entry, await async_load_vocabulary(hass))
        self.session = await Session.async_create(hass, entry, self)
        if (listing := await self._store.async_load()) is not None:
            self._take_listing(listing)
        return self

    @property
    def client(self) -> APIClient:
        """What commands are sent with."""
        return self.session.client

    @callback
    def reach_of(self, info: EntityInfo) -> Reach:
        """Return whether that of which an entity tells can be reached."""
        if info.object_id in LINK_ENTITIES:
            return self.reach
        return self.units.get(info.device_id, self.reach)

    @callback
    def async_listen_new(self, listener: Callable[[Iterable[EntityInfo]], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with entities that are listed for the first time; returns what ends that."""
        self._new_listeners.append(listener)
        return partial(self._new_listeners.remove, listener)

    @callback
    def async_listen_state(self, key: StateKey, listener: Callable[[Any], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with each state of an entity, None once it does not hold; returns what ends that."""
        listeners = self._state_listeners[key]
        listeners.append(listener)
        return partial(listeners.remove, listener)

    def value_of(self, device_id: int, kind: type[EntityInfo], object_id: str) -> Any:
        """Return the value of an entity; None when it has none now."""
        info = self.infos.get(InfoKey(PLATFORM_OF[kind], device_id, object_id))
        if info is None or type(info) is not kind:
            return None
        return value(self.states.get((STATE_OF[kind], device_id, info.key)))

    def unit_name(self, device_id: int) -> str:
        """Return what the proxy calls a unit; empty when it has none with this id."""
        units = self.listing.device_info.devices if self.listing else ()
        return next((unit.name for unit in units if unit.device_id == device_id), "")

    async def async_execute(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Run an action of the proxy and return its answer; HomeAssistantError when that fails."""
        placeholders = {"name": self.title, "action": action}
        known = self.listing.actions if self.listing else ()
        service = next((service for service in known if service.name == action), None)
        if not self.reach.reached or service is None:
            key = "action_unknown" if self.reach.reached else "not_connected"
            raise HomeAssistantError(
                translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
            )
        try:
            response = await self.client.execute_service(service, arguments, return_response=True)
        except (APIConnectionError, TimeoutError) as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="no_answer",
                translation_placeholders=placeholders,
            ) from error
        reason = response.error_message if response else ""
        if response is not None and response.success:
            try:
                answer: dict[str, Any] = json.loads(response.response_data or b"{}")
            except ValueError as error:
                reason = str(error)
            else:
                return answer
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="action_failed",
            translation_placeholders=placeholders | {"error": reason},
        )

    # what the session brings

    async def async_listed(self, info: DeviceInfo, infos: list[EntityInfo], actions: list[UserService]) -> None:
        """Take what the proxy lists at the start of a connection."""
        known = {info_key(listed): listed for listed in infos if type(listed) in PLATFORM_OF}
        listing = Listing(device_info=info, infos=[*known.values(), *self._yet_to_find(info, known)], actions=actions)
        if listing != self.listing:
            changed = self._take_listing(listing)
            await self._store.async_save(listing)
            if changed:
                self.hass.config_entries.async_schedule_reload(self.entry.entry_id)
        for key in (issues.KEY_REMOVED, issues.WRONG_DEVICE):
            self.issues.async_show(key, wrong=False)
        self.issues.async_check_version(info.project_version)
        if self.session.connections:
            LOGGER.info("%s is connected again", self.title)
        self._offer_bluetooth(info)
        self.reach.async_set(reached=True)

    @callback
    def async_state(self, state: EntityState) -> None:
        """Take a state."""
        key = type(state), state.device_id, state.key
        self.states[key] = state
        for listener in self._state_listeners.get(key, ()):
            try:
                listener(state)
            except Exception:  # noqa: BLE001 - one entity's trouble must not end the connection of all
                LOGGER.exception("%s: a state could not be shown: %s", self.title, state)

    @callback
    def async_lost(self) -> None:
        """Take note that the connection has ended."""
        self.bluetooth.async_unregister()
        if self.hass.is_stopping or not self.reach.reached:
            return  # while Home Assistant stops, what was last known is kept
        LOGGER.info("The connection to %s is lost; its entities are unavailable until it is back", self.title)
        self.issues.async_wait()
        for unit in self.units.values():
            unit.async_set(reached=False)
        self.reach.async_set(reached=False)
        stale = tuple(self.states)
        self.states.clear()
        for key in stale:
            for listener in self._state_listeners.get(key, ()):
                listener(None)

    @callback
    def async_failed(self, failure: Failure, answered: str | None) -> None:
        """Take note of why there is no connection."""
        self.issues.async_show(issues.KEY_REMOVED, wrong=failure is Failure.NO_ENCRYPTION)
        self.issues.async_show(
            issues.WRONG_DEVICE,
            wrong=failure is Failure.ANOTHER_PROXY,
            host=self.entry.data[CONF_HOST],
            expected=self.mac,
            actual=answered,
        )

    async def async_stop(self) -> None:
        """End the connection for good."""
        await self.session.async_stop()
        self.bluetooth.async_unregister()
        self.issues.async_wait()
        if self.entry.disabled_by is not None:
            issues.async_clear(self.hass, self.entry.entry_id)

    # what is listed

    def _yet_to_find(self, info: DeviceInfo, listed: dict[InfoKey, EntityInfo]) -> Iterable[EntityInfo]:
        """Return what a proxy that lost its memory finds out anew of its units: it lists but their links until then."""
        found = {entity.device_id for entity in listed.values() if entity.object_id not in LINK_ENTITIES}
        vague = {unit.device_id for unit in info.devices} - found
        return [entity for key, entity in self.infos.items() if key.device_id in vague and key not in listed]

    def _take_listing(self, listing: Listing) -> bool:
        """Make devices and entities those of ``listing``; returns whether a known entity is another now."""
        before, self.listing = self.infos, listing
        self.infos = {info_key(info): info for info in listing.infos}
        linked = {
            info.device_id for info in listing.infos if info.object_id == LINK and isinstance(info, BinarySensorInfo)
        }
        # a unit of another firmware may have no link of its own to tell of
        self.units = {device_id: self.units.get(device_id, Reach()) for device_id in linked if device_id}
        self.issues.async_keep_units(self.units)
        self._registry_ids = devices.async_register(self.hass, self.entry.entry_id, self.mac, listing.device_info)
        self._remove_stale()
        self._watch()
        new = [info for key, info in self.infos.items() if key not in before]
        for listener in tuple(self._new_listeners):
            listener(new)
        return any(before.get(key, info) != info for key, info in self.infos.items())

    def _remove_stale(self) -> None:
        """Remove entities that are not listed any more."""
        listed = {
            (key.platform, unique_id(self.mac, info.device_id, name))
            for key, info in self.infos.items()
            for name in (info.object_id, *DERIVED.get(info.object_id, ()))
        }
        registry = er.async_get(self.hass)
        for entity in er.async_entries_for_config_entry(registry, self.entry.entry_id):
            if (entity.domain, entity.unique_id) not in listed:
                registry.async_remove(entity.entity_id)

    # what the states mean for the whole

    def _watch(self) -> None:
        """Listen to the states that tell of the proxy, or of a unit as a whole."""
        while self._watches:
            self._watches.pop()()
        for info in self.infos.values():
            if (react := self._reaction(info)) is not None:
                key = STATE_OF[type(info)], info.device_id, info.key
                self._watches.append(self.async_listen_state(key, partial(_react, react)))

    def _reaction(self, info: EntityInfo) -> Callable[[Any], None] | None:
        """Return what to do with the states of an entity, apart from showing them."""
        match info:
            case BinarySensorInfo() | TextSensorInfo() | SwitchInfo() if info.device_id in self.units and (
                info.object_id in (LINK, LINK_STATUS, RELEASE_LINK)
            ):
                return partial(self._unit_changed, info.device_id)
            case BinarySensorInfo() | TextSensorInfo() if info.object_id in (ADAPTER_PROBLEM, ADAPTER_STATUS):
                return self._adapter_changed
            case BinarySensorInfo(object_id=object_id) if object_id == CLOCK_PROBLEM:
                return self._clock_changed
            case TextSensorInfo() if info.device_id and info.object_id in devices.FIELDS:
                return partial(self._described, info)
        return None

    @callback
    def _unit_changed(self, device_id: int, _: EntityState) -> None:
        link = self.value_of(device_id, BinarySensorInfo, LINK)
        if link is None:
            return  # it is told next
        was_reached = self.units[device_id].reached
        self.units[device_id].async_set(reached=link)
        # a proxy that was started anew has its units out of reach at first, and has told why
        if not link and device_id not in self._lost_units and (was_reached or self.session.connections == 1):
            self._lost_units.add(device_id)
            self.hass.loop.call_soon(self._log_lost, device_id)  # why is told next
        elif link and device_id in self._lost_units:
            self._lost_units.discard(device_id)
            LOGGER.info("%s: %s is reached again", self.title, self.unit_name(device_id))
        status = self.value_of(device_id, TextSensorInfo, LINK_STATUS)
        if link or self.value_of(device_id, SwitchInfo, RELEASE_LINK):
            self.issues.async_unit(device_id, self.unit_name(device_id), None)
        elif status is not None or InfoKey(Platform.SENSOR, device_id, LINK_STATUS) not in self.infos:
            self.issues.async_unit(device_id, self.unit_name(device_id), status or "")

    def _log_lost(self, device_id: int) -> None:
        status = self.value_of(device_id, TextSensorInfo, LINK_STATUS)
        LOGGER.info("%s: %s is out of reach: %s", self.title, self.unit_name(device_id), status)

    @callback
    def _adapter_changed(self, _: EntityState) -> None:
        wrong = self.value_of(0, BinarySensorInfo, ADAPTER_PROBLEM) is True
        reason = self.value_of(0, TextSensorInfo, ADAPTER_STATUS) or ""
        self.issues.async_show(issues.ADAPTER_PROBLEM, wrong=wrong, reason=reason)

    @callback
    def _clock_changed(self, _: EntityState) -> None:
        self.issues.async_show(issues.CLOCK_WRONG, wrong=self.value_of(0, BinarySensorInfo, CLOCK_PROBLEM) is True)

    @callback
    def _described(self, info: TextSensorInfo, state: TextSensorState) -> None:
        if not state.missing_state:
            devices.async_describe(self.hass, self._registry_ids[info.device_id], info.object_id, state.state)

    def _offer_bluetooth(self, info: DeviceInfo) -> None:
        """Let Home Assistant use the proxy's Bluetooth, if it may and nobody else offers it."""
        wanted = self.entry.options.get(CONF_BLUETOOTH_SOURCE)  # unless told, where nobody else does
        possible = offers_bluetooth(info) and "bluetooth" in self.hass.config.components
        taken = async_has_proxy(self.hass, self.mac)
        duplicate = False
        if possible and wanted is not False and (wanted or not taken):
            duplicate = taken or not self.bluetooth.async_register(self.client, info, self._registry_ids[0])
        self.issues.async_show(issues.DUPLICATE_SCANNER, wrong=duplicate)


def _react(react: Callable[[Any], None], state: EntityState | None) -> None:
    """Call ``react`` with a state; that none holds any more, after the connection has ended, is no news."""
    if state is not None:
        react(state)

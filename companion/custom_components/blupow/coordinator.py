"""What one proxy lists and says, and who is told of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
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
    UserService,
)

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.const import CONF_HOST, CONF_PORT, EVENT_COMPONENT_LOADED
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.setup import EventComponentLoaded

from . import devices, issues
from .bluetooth import BluetoothSource, async_forget_source, offers_bluetooth, source_of
from .connection import Failure, async_is_at
from .const import (
    CONF_BLUETOOTH_SOURCE,
    CONF_DEVICE_NAME,
    CONF_NOISE_PSK,
    CONF_REPORT_AFTER,
    DEFAULT_REPORT_AFTER_MIN,
    DOMAIN,
    FAILED_REQUESTS,
    LINK,
    LOGGER,
)
from .esphome import async_has_proxy
from .reach import Reach
from .session import Session
from .store import Listing, ListingStore
from .vocabulary import Vocabulary, async_load_vocabulary
from .watch import Watch
from .wire import PLATFORM_OF, STATE_OF, InfoKey, info_key, is_known, tells_of_link, unique_ids, value

type BluPowConfigEntry = ConfigEntry[BluPowCoordinator]
type StateKey = tuple[type[EntityState], int, int]  # of which kind, of which unit, with which key


class BluPowCoordinator:
    """The runtime data of a config entry."""

    def __init__(self, hass: HomeAssistant, entry: BluPowConfigEntry, vocabulary: Vocabulary) -> None:
        """Know nothing yet; see ``async_create``."""
        assert entry.unique_id is not None  # noqa: S101 - the config flow sees to it
        self.hass = hass
        self.entry = entry
        self.mac = entry.unique_id
        self.vocabulary = vocabulary
        self.reach = Reach()
        self.units: dict[int, Reach] = {}
        self.listing: Listing | None = None
        self.infos: dict[InfoKey, EntityInfo] = {}
        self.states: dict[StateKey, EntityState] = {}
        self.session: Session
        self._announced: dict[str, Any] | None = None  # where, while it was connected
        report_after = int(entry.options.get(CONF_REPORT_AFTER, DEFAULT_REPORT_AFTER_MIN))  # forms give floats
        self.issues = issues.Issues(hass, entry, report_after)
        self.bluetooth = BluetoothSource(hass, entry, self._source_changed)
        self._store = ListingStore(hass, entry.entry_id)
        self.registry_ids: dict[int, str] = {}  # by unit, the proxy's own by 0
        self._state_listeners: defaultdict[StateKey, list[Callable[[Any], None]]] = defaultdict(list)
        self._new_listeners: list[Callable[[Iterable[EntityInfo]], None]] = []
        self._watch = Watch(self)

    @classmethod
    async def async_create(cls, hass: HomeAssistant, entry: BluPowConfigEntry) -> BluPowCoordinator:
        """Return the coordinator of ``entry``, with what its proxy has listed the last time."""
        self = cls(hass, entry, await async_load_vocabulary(hass))
        self.session = await Session.async_create(hass, entry, self)
        await self.bluetooth.async_prepare()
        entry.async_on_unload(async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed))
        entry.async_on_unload(hass.bus.async_listen(EVENT_COMPONENT_LOADED, self._async_component_loaded))
        if (listing := await self._store.async_load()) is not None:
            self._take_listing(listing)
        return self

    @property
    def title(self) -> str:
        """What the user calls the proxy."""
        return self.entry.title

    @property
    def client(self) -> APIClient:
        """What commands are sent with."""
        return self.session.client

    @callback
    def reach_of(self, info: EntityInfo) -> Reach:
        """Return whether that of which an entity tells can be reached."""
        if tells_of_link(info):
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
        info = self.infos.get(InfoKey(kind, device_id, object_id))
        if info is None:
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
        except KeyError as error:  # a newer proxy asks for more
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="action_changed",
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
        known = {info_key(listed): listed for listed in infos if is_known(listed)}
        listing = Listing(device_info=info, infos=[*known.values(), *self._yet_to_find(info, known)], actions=actions)
        before, is_news = self.listing, listing != self.listing
        if is_news and self._take_listing(listing):
            self.hass.config_entries.async_schedule_reload(self.entry.entry_id)
        for key in (issues.KEY_REMOVED, issues.WRONG_DEVICE):
            self.issues.async_show(key, wrong=False)
        self.issues.async_check_version(info.project_version)
        if self.session.connections:
            LOGGER.info("%s is connected again", self.title)
        if self.entry.data[CONF_DEVICE_NAME] != info.name:
            data = self.entry.data | {CONF_DEVICE_NAME: info.name}
            self.hass.config_entries.async_update_entry(self.entry, data=data)
        self._announced = None
        if before is not None and source_of(before.device_info) != source_of(info):
            async_forget_source(self.hass, self.entry.entry_id, before.device_info)
        self._offer_bluetooth(info)
        self.reach.async_set(reached=True)
        if is_news:
            await self._store.async_save(listing)

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
        self.bluetooth.async_unregister()
        if self._announced is not None:
            self.entry.async_create_background_task(self.hass, self._async_follow(self._announced), f"{DOMAIN} follow")

    @callback
    def async_announced(self, host: str, port: int) -> None:
        """Take note of where the proxy says it is, though it is connected: it may be about to move there."""
        self._announced = {CONF_HOST: host, CONF_PORT: port}

    async def _async_follow(self, place: dict[str, Any]) -> None:
        """Connect to where the proxy has said it is, if it is there."""
        data = self.entry.data
        if place.items() <= data.items():
            return
        if await async_is_at(self.hass, place[CONF_HOST], place[CONF_PORT], data[CONF_NOISE_PSK], self.mac):
            self.hass.config_entries.async_update_entry(self.entry, data=data | place)
            self.hass.config_entries.async_schedule_reload(self.entry.entry_id)

    @callback
    def async_failed(self, failure: Failure, answered: str | None) -> None:
        """Take note of why there is no connection; what says nothing of the key or the address leaves them open."""
        if failure not in (Failure.NO_ENCRYPTION, Failure.ANOTHER_PROXY):
            return
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
        self.bluetooth.async_stop()
        await self.session.async_stop()
        self.issues.async_wait()

    # what is listed

    def _yet_to_find(self, info: DeviceInfo, listed: dict[InfoKey, EntityInfo]) -> Iterable[EntityInfo]:
        """Return what a proxy that lost its memory finds out anew of its units: it lists but their links until then."""
        found = {
            entity.device_id
            for entity in listed.values()
            if not tells_of_link(entity) or entity.object_id == FAILED_REQUESTS  # counted once it is found
        }
        vague = {unit.device_id for unit in info.devices} - found
        return [entity for key, entity in self.infos.items() if key.device_id in vague and key not in listed]

    def _take_listing(self, listing: Listing) -> bool:
        """Make devices and entities those of ``listing``; returns whether a known entity is another now."""
        before = self.listing, self.infos
        try:
            return self._take(listing)
        except Exception:
            self.listing, self.infos = before  # or the next connection would find nothing new in it
            raise

    def _take(self, listing: Listing) -> bool:
        before, self.listing = self.infos, listing
        self.infos = {info_key(info): info for info in listing.infos}
        known_units = {key.device_id for key in before} & {key.device_id for key in self.infos}
        linked = {key.device_id for key in self.infos if (key.kind, key.object_id) == (BinarySensorInfo, LINK)}
        # a unit of another firmware may have no link of its own to tell of
        units = {device_id: self.units.get(device_id, Reach()) for device_id in linked if device_id}
        changed = any((device_id in self.units) != (device_id in units) for device_id in known_units)
        self.units = units
        self.issues.async_keep_units(self.units)
        self.registry_ids = devices.async_register(self.hass, self.entry.entry_id, self.mac, listing.device_info)
        devices.async_forget(self.hass, self.registry_ids, self.infos.values())
        self._remove_stale()
        self._watch.async_watch(self.infos.values())
        new = [info for key, info in self.infos.items() if key not in before]
        for listener in tuple(self._new_listeners):
            listener(new)
        return changed or any(before.get(key, info) != info for key, info in self.infos.items())

    def _remove_stale(self) -> None:
        """Remove entities that are not listed any more."""
        listed = {
            (PLATFORM_OF[type(info)], name) for info in self.infos.values() for name in unique_ids(self.mac, info)
        }
        registry = er.async_get(self.hass)
        for entity in er.async_entries_for_config_entry(registry, self.entry.entry_id):
            if (entity.domain, entity.unique_id) not in listed:
                registry.async_remove(entity.entity_id)

    def _offer_bluetooth(self, info: DeviceInfo) -> None:
        """Let Home Assistant use the proxy's Bluetooth, if it may and nobody else offers it."""
        wanted = self.entry.options.get(CONF_BLUETOOTH_SOURCE)  # unless told, where nobody else does
        may = offers_bluetooth(info) and wanted is not False
        possible = may and self.bluetooth.possible
        taken = async_has_proxy(self.hass, self.mac)
        duplicate = possible and taken and wanted is True
        if not possible or taken:
            self.bluetooth.async_unregister()
        elif not self.bluetooth.registered:
            duplicate = not self.bluetooth.async_register(self.client, info, self.registry_ids[0])
        if not may:
            async_forget_source(self.hass, self.entry.entry_id, info)
        self.issues.async_show(issues.DUPLICATE_SCANNER, wrong=duplicate)

    @callback
    def _entry_changed(self, _: ConfigEntryChange, entry: ConfigEntry[Any]) -> None:
        """Look again who offers the proxy's Bluetooth, when the ESPHome integration has it or does not any more."""
        if (entry.domain, entry.unique_id) == ("esphome", self.mac):
            self._offer_bluetooth_anew()

    @callback
    def _source_changed(self, source: str) -> None:
        """Look again once somebody else has registered the proxy's scanner, or has taken it back."""
        if self.listing and source == source_of(self.listing.device_info):
            self._offer_bluetooth_anew()

    async def _async_component_loaded(self, event: Event[EventComponentLoaded]) -> None:
        """Look again once Home Assistant's Bluetooth is set up."""
        if event.data["component"] == "bluetooth":
            await self.bluetooth.async_prepare()
            self._offer_bluetooth_anew()

    def _offer_bluetooth_anew(self) -> None:
        if self.listing and self.reach.reached:
            with suppress(APIConnectionError):  # it has just ended: the next one brings all of this
                self._offer_bluetooth(self.listing.device_info)

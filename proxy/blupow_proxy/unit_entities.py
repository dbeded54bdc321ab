"""A unit's face towards clients: its sub-device, its entities and their states."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from blupow_config import EntityConfig
from blupow_proxy.filters import HELD, Filters
from blupow_proxy.native_api import (
    BinarySensorEntity,
    Entity,
    Node,
    SensorEntity,
    State,
    SubDevice,
    SwitchEntity,
    TextSensorEntity,
)
from blupow_proxy.poller import Profile, Unit
from blupow_proxy.renogy import Description, Family, Kind, describe

# Every change is a row in Home Assistant's database: while a unit is read every two seconds, a minute will do.
LAST_READING_STEP: Final = timedelta(minutes=1)

_LOGGER = logging.getLogger(__name__)

_NO_WISH: Final = EntityConfig()


@dataclass(slots=True, eq=False)
class _Reading:
    """A reading's entity, and what the configuration wishes of it; ``seen`` is the state that was taken last."""

    entity: Entity
    wish: EntityConfig
    filters: Filters
    seen: tuple[int, State | None] | None = None


class UnitEntities:
    """Keeps the entities of ``unit`` on ``node`` current; ``relist`` after the unit has become better known.

    ``wishes`` are what the configuration says of single readings, ``shown`` the keys of all that it wants, None of any.
    """

    def __init__(
        self,
        node: Node,
        unit: Unit,
        *,
        wishes: Mapping[str, EntityConfig] | None = None,
        shown: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._unit = unit
        self._wishes = wishes or {}
        self._shown = shown
        self._clock = clock
        self.named: dict[str, State | None] = {}
        self._device = SubDevice(unit.spec.id, unit.spec.name, unit.spec.area)
        self._family: Family | None = None  # of what is listed
        self._readings: dict[str, _Reading] = {}
        self._shown_reading: datetime | None = None
        device_id = self._device.device_id
        self._link = BinarySensorEntity(
            name="Link", device_id=device_id, device_class="connectivity", entity_category="diagnostic"
        )
        self._status = TextSensorEntity(
            name="Link status", device_id=device_id, icon="mdi:bluetooth-settings", entity_category="diagnostic"
        )
        self._rssi = SensorEntity(
            name="Signal strength",
            device_id=device_id,
            unit_of_measurement="dBm",
            device_class="signal_strength",
            state_class="measurement",
            entity_category="diagnostic",
        )
        self._quality = SensorEntity(
            name="Link quality",
            device_id=device_id,
            unit_of_measurement="%",
            state_class="measurement",
            icon="mdi:bluetooth-connect",
            entity_category="diagnostic",
        )
        self._last_reading = TextSensorEntity(
            name="Last reading", device_id=device_id, device_class="timestamp", entity_category="diagnostic"
        )
        self._failed = SensorEntity(
            name="Failed requests",
            device_id=device_id,
            state_class="total_increasing",
            icon="mdi:message-alert-outline",
            entity_category="diagnostic",
        )
        self.release = SwitchEntity(
            name="Release link", device_id=device_id, icon="mdi:cellphone-link", entity_category="config"
        )
        self.load: SwitchEntity | None = None
        self._own: tuple[Entity, ...] = ()
        node.add_device(self._device)
        self._add()

    def relist(self, *, released: bool) -> None:
        """List the entities anew, after the unit's profile has changed."""
        for entity in self._all():
            self._node.remove(entity)
        self._add()
        self.publish(released=released)

    def publish(self, *, released: bool) -> None:
        """Publish every state that has changed, and what was read anew to whom equal states are news.

        What is listed is shown also while the unit is better known; of a device of another family, nothing is left.
        """
        unit, node = self._unit, self._node
        now = self._clock()
        states = unit.states if unit.profile is not None and unit.profile.family is self._family else {}
        for key, reading in self._readings.items():
            taken = unit.times_read[key], states.get(key)
            if taken != reading.seen:
                reading.seen = taken
                self._publish_reading(reading, taken[1], now)
        if self.load is not None:
            node.set_state(self.load, states.get("load_status"))
        node.set_state(self._link, unit.connected)
        node.set_state(self._status, unit.status)
        node.set_state(self._rssi, unit.rssi)
        if self._failed in self._own:
            node.set_state(self._quality, unit.link_quality)
            node.set_state(self._failed, unit.failed_requests)
        node.set_state(self.release, released)
        node.set_state(self._last_reading, self._last_reading_state())

    def _publish_reading(self, reading: _Reading, state: State | None, now: float) -> None:
        if isinstance(reading.entity, SensorEntity) and not isinstance(state, str):
            passed = reading.filters.apply(state, now)
            if passed is HELD:
                return
            state = passed
        if reading.wish.id is not None:
            self.named[reading.wish.id] = state
        if not reading.wish.internal:
            self._node.set_state(reading.entity, state)

    def _last_reading_state(self) -> str | None:
        """Return the time of the last reading: to the minute while readings come, exact once they don't."""
        last, shown = self._unit.last_reading, self._shown_reading
        if last is None:
            return None
        if shown is None or not self._unit.connected or abs(last - shown) >= LAST_READING_STEP:  # clocks are set back
            self._shown_reading = shown = last
        return shown.isoformat(timespec="seconds")

    def _add(self) -> None:
        profile = self._unit.profile
        self._family = None if profile is None else profile.family
        self.load = None
        if self._unit.load_switchable:
            self.load = SwitchEntity(name="Load", device_id=self._device.device_id, device_class="outlet")
        self._readings = {}
        self.named.clear()
        if profile is not None:
            self._readings = self._as_wished(profile)
        # a shunt answers no requests
        answers = profile is not None and profile.family is not Family.SHUNT300
        self._own = (
            self._link,
            self._status,
            self._rssi,
            *((self._quality, self._failed) if answers else ()),
            self._last_reading,
            self.release,
        )
        for entity in self._all():
            self._node.add(entity)

    def _as_wished(self, profile: Profile) -> dict[str, _Reading]:
        """Return the readings as the configuration wishes, but for a name that another entity has.

        The configuration was held against the family in it, and a device may prove to be of another.
        """
        keys = profile.keys if self._shown is None else profile.keys & frozenset(self._shown)
        plain = {each.key: _entity(each, self._device.device_id) for each in describe(profile.family, keys)}
        own = (self._link, self._status, self._rssi, self._quality, self._last_reading, self._failed, self.release)
        load = () if self.load is None else (self.load,)
        listed = [entity for key, entity in plain.items() if not self._wishes.get(key, _NO_WISH).internal]
        taken = {entity.key for entity in (*own, *load, *listed)}
        readings = {}
        for key, entity in plain.items():
            wish = self._wishes.get(key, _NO_WISH)
            shown = entity_as_wished(entity, wish)
            if not wish.internal and shown.key != entity.key and shown.key in taken:
                _LOGGER.warning(
                    "%s: another entity is called %s, so %s is not", self._device.name, wish.name, entity.name
                )
                shown = entity_as_wished(entity, replace(wish, name=None))
            if not wish.internal:
                taken.add(shown.key)
            readings[key] = _Reading(shown, wish, Filters(wish.filters))
        return readings

    def _all(self) -> Iterator[Entity]:
        yield from (reading.entity for reading in self._readings.values() if not reading.wish.internal)
        if self.load is not None:
            yield self.load
        yield from self._own


def entity_as_wished[Shown: Entity](entity: Shown, wish: EntityConfig) -> Shown:
    """Return ``entity`` with what is configured in place of what it is by itself."""
    changes = wish.looks
    if wish.name is not None:
        changes["object_id"] = ""  # it follows from the name
    return replace(entity, **changes) if changes else entity


def _entity(description: Description, device_id: int) -> Entity:
    """Return the entity that shows a reading."""
    common: dict[str, Any] = {
        "name": description.name,
        "device_id": device_id,
        "icon": description.icon,
        "entity_category": description.category,
        "disabled_by_default": description.disabled,
        "device_class": description.device_class,
    }
    match description.kind:
        case Kind.SENSOR:
            return SensorEntity(
                **common,
                unit_of_measurement=description.unit,
                accuracy_decimals=description.decimals,
                state_class=description.state_class,
            )
        case Kind.BINARY_SENSOR:
            return BinarySensorEntity(**common)
        case Kind.TEXT_SENSOR:
            return TextSensorEntity(**common)

"""The energy that a battery takes and gives: its power, added up over time."""

from datetime import datetime, timedelta
from math import isfinite
from time import monotonic
from typing import Any, Final

from aioesphomeapi import SensorInfo, SensorState

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntityDescription,
    SensorExtraStoredData,
    SensorStateClass,
)
from homeassistant.const import UnitOfEnergy, UnitOfPower
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util.unit_conversion import PowerConverter

from .const import DOMAIN
from .coordinator import BluPowCoordinator
from .wire import ENERGY, Direction, device_identifier, info_key, is_battery_power, unique_id

DIGITS: Final = 3  # watt-hours: finer is below what the power's own error adds up to
UPDATE: Final = timedelta(minutes=1)  # not with each power: a battery under load would fill the recorder
W_S_PER_KWH: Final = 3_600_000.0


class BatteryEnergySensor(RestoreSensor):
    """The kWh of one direction; counts only while the power is known, and goes on after a restart."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, coordinator: BluPowCoordinator, power: SensorInfo, direction: Direction) -> None:
        """Add up what ``power`` tells, in whatever unit of power, positive while charging."""
        self._coordinator = coordinator
        self._power = info_key(power)
        self._power_key = SensorState, power.device_id, power.key
        self._reach = coordinator.reach_of(power)
        self._sign = 1 if direction is Direction.CHARGED else -1
        self._w_s = 0.0
        self._power_w: float | None = None
        self._since_s = 0.0
        self._shown: Any = None
        self._attr_unique_id = unique_id(coordinator.mac, power.device_id, ENERGY, direction)
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, device_identifier(coordinator.mac, power.device_id))})
        self.entity_description = SensorEntityDescription(
            key=direction,
            translation_key=direction,
            device_class=SensorDeviceClass.ENERGY,
            state_class=SensorStateClass.TOTAL,  # after a crash it goes on from the last total that was stored
            native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
            suggested_display_precision=1,
        )

    @property
    def available(self) -> bool:
        """Whether the unit is reached."""
        return self._reach.reached

    @property
    def extra_restore_state_data(self) -> SensorExtraStoredData:
        """What is stored when Home Assistant stops or the entity goes: the total of this moment."""
        self._add_up()
        return super().extra_restore_state_data

    async def async_added_to_hass(self) -> None:
        """Take up the total where it was left, and listen to the power."""
        last = await self.async_get_last_sensor_data()
        if last is not None and isinstance(last.native_value, int | float):
            self._w_s = last.native_value * W_S_PER_KWH
        self._attr_native_value = self._kwh
        coordinator = self._coordinator
        self.async_on_remove(coordinator.async_listen_state(self._power_key, self._take))
        self.async_on_remove(self._reach.async_listen(self._reached_or_lost))
        self.async_on_remove(async_track_time_interval(self.hass, self._update, UPDATE))
        if (state := coordinator.states.get(self._power_key)) is not None:
            self._take(state)

    @property
    def _kwh(self) -> float:
        return round(self._w_s / W_S_PER_KWH, DIGITS)

    @callback
    def _reached_or_lost(self) -> None:
        """Count from now on, or up to now."""
        self._take(self._coordinator.states.get(self._power_key))
        self.async_write_ha_state()

    @callback
    def _update(self, _: datetime) -> None:
        """Write the total if it has changed."""
        self._add_up()
        if self._attr_native_value != self._shown:
            self._shown = self._attr_native_value
            self.async_write_ha_state()

    @callback
    def _take(self, state: Any) -> None:
        """Add up what the last power has brought, and go on with that of ``state``."""
        self._add_up()
        known = state is not None and self._reach.reached and not state.missing_state and isfinite(state.state)
        self._power_w = self._in_watts(state.state) if known else None

    def _in_watts(self, power: float) -> float | None:
        """Return a power in W; None when the proxy lists it in no unit of power any more."""
        info = self._coordinator.infos.get(self._power)  # may be another since this entity was made
        if info is None or not is_battery_power(info):
            return None
        return PowerConverter.convert(power, info.unit_of_measurement, UnitOfPower.WATT)

    def _add_up(self) -> None:
        now_s = monotonic()
        if self._power_w is not None:
            self._w_s += max(0.0, self._sign * self._power_w) * (now_s - self._since_s)
        self._since_s = now_s
        self._attr_native_value = self._kwh

"""What single states mean for the whole: whether a unit is reached, what is wrong, who a unit is."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from aioesphomeapi import BinarySensorInfo, EntityInfo, EntityState, SwitchInfo, TextSensorInfo, TextSensorState

from homeassistant.core import CALLBACK_TYPE, callback

from . import devices, issues
from .const import ADAPTER_PROBLEM, ADAPTER_STATUS, CLOCK_PROBLEM, LINK, LINK_STATUS, LOGGER, RELEASE_LINK
from .wire import STATE_OF, InfoKey

if TYPE_CHECKING:
    from .coordinator import BluPowCoordinator


class Watch:
    """Draws the conclusions from the states of one proxy."""

    def __init__(self, coordinator: BluPowCoordinator) -> None:
        """Watch nothing yet."""
        self._coordinator = coordinator
        self._watches: list[CALLBACK_TYPE] = []
        self._lost_units: set[int] = set()

    @callback
    def async_watch(self, infos: Iterable[EntityInfo]) -> None:
        """Watch those of the listed entities that tell of the proxy, or of a unit as a whole."""
        while self._watches:
            self._watches.pop()()
        for info in infos:
            if (react := self._reaction(info)) is not None:
                key = STATE_OF[type(info)], info.device_id, info.key
                self._watches.append(self._coordinator.async_listen_state(key, partial(_react, react)))

    def _reaction(self, info: EntityInfo) -> Callable[[Any], None] | None:
        """Return what to do with the states of an entity, apart from showing them."""
        match info:
            case BinarySensorInfo() | TextSensorInfo() | SwitchInfo() if (
                info.device_id in self._coordinator.units and info.object_id in (LINK, LINK_STATUS, RELEASE_LINK)
            ):
                return partial(self._unit_changed, info.device_id)
            case BinarySensorInfo() | TextSensorInfo() if info.object_id in (ADAPTER_PROBLEM, ADAPTER_STATUS):
                return self._adapter_changed
            case BinarySensorInfo(object_id=object_id) if object_id == CLOCK_PROBLEM:
                return self._clock_changed
            case TextSensorInfo() if info.device_id and info.object_id in devices.FIELDS:
                return partial(self._described, info)
        return None

    def _unit_changed(self, device_id: int, _: EntityState) -> None:
        coordinator = self._coordinator
        link = coordinator.value_of(device_id, BinarySensorInfo, LINK)
        if link is None:
            return  # it is told next
        unit, name = coordinator.units[device_id], coordinator.unit_name(device_id)
        was_reached = unit.reached
        unit.async_set(reached=link)
        # a proxy that was started anew has its units out of reach at first, and has told why
        if not link and device_id not in self._lost_units and (was_reached or coordinator.session.connections == 1):
            self._lost_units.add(device_id)
            coordinator.hass.loop.call_soon(self._log_lost, device_id)  # why is told next
        elif link and device_id in self._lost_units:
            self._lost_units.discard(device_id)
            LOGGER.info("%s: %s is reached again", coordinator.title, name)
        self._report(device_id)

    def _report(self, device_id: int) -> None:
        """Let a unit become an issue, unless it is fine, released, or out of reach for want of an adapter."""
        coordinator = self._coordinator
        name = coordinator.unit_name(device_id)
        status = coordinator.value_of(device_id, TextSensorInfo, LINK_STATUS)
        if (
            coordinator.value_of(device_id, BinarySensorInfo, LINK)
            or coordinator.value_of(device_id, SwitchInfo, RELEASE_LINK)
            or coordinator.value_of(0, BinarySensorInfo, ADAPTER_PROBLEM)
        ):
            coordinator.issues.async_unit(device_id, name, None)
        elif status is not None or InfoKey(TextSensorInfo, device_id, LINK_STATUS) not in coordinator.infos:
            coordinator.issues.async_unit(device_id, name, status or "")

    def _log_lost(self, device_id: int) -> None:
        coordinator = self._coordinator
        status = coordinator.value_of(device_id, TextSensorInfo, LINK_STATUS)
        LOGGER.info("%s: %s is out of reach: %s", coordinator.title, coordinator.unit_name(device_id), status)

    def _adapter_changed(self, _: EntityState) -> None:
        coordinator = self._coordinator
        wrong = coordinator.value_of(0, BinarySensorInfo, ADAPTER_PROBLEM) is True
        reason = coordinator.value_of(0, TextSensorInfo, ADAPTER_STATUS) or ""
        coordinator.issues.async_show(issues.ADAPTER_PROBLEM, wrong=wrong, reason=reason)
        for device_id in coordinator.units:
            if coordinator.value_of(device_id, BinarySensorInfo, LINK) is not None:
                self._report(device_id)

    def _clock_changed(self, _: EntityState) -> None:
        wrong = self._coordinator.value_of(0, BinarySensorInfo, CLOCK_PROBLEM) is True
        self._coordinator.issues.async_show(issues.CLOCK_WRONG, wrong=wrong)

    def _described(self, info: TextSensorInfo, state: TextSensorState) -> None:
        if not state.missing_state:
            registry_id = self._coordinator.registry_ids[info.device_id]
            devices.async_describe(self._coordinator.hass, registry_id, info.object_id, state.state)


def _react(react: Callable[[Any], None], state: EntityState | None) -> None:
    """Call ``react`` with a state; that none holds any more, after the connection has ended, is no news."""
    if state is not None:
        react(state)

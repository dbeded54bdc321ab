"""The proxy's own entities: how it does, and its Restart button."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from blupow_proxy.errors import AdapterUnavailableError
from blupow_proxy.native_api import BinarySensorEntity, ButtonEntity, Node, SensorEntity, TextSensorEntity

UPTIME_STEP_S: Final = 60.0  # as ESPHome's uptime sensor
UPTIME: Final[Mapping[str, Any]] = {  # what it is, whatever it is called
    "unit_of_measurement": "s",
    "device_class": "duration",
    "state_class": "total_increasing",
    "icon": "mdi:timer-outline",
    "entity_category": "diagnostic",
}

_LOGGER = logging.getLogger(__name__)


class ProxyEntities:
    """Keeps the node's own entities current; with ``uptime`` false, the configuration has one of its own.

    ``forwards``: whether it is a Bluetooth proxy as well.
    """

    def __init__(self, node: Node, *, uptime: bool = True, forwards: bool = False) -> None:
        self._node = node
        self._adapter_told: str | None = None
        self._uptime = SensorEntity(name="Uptime", **UPTIME)
        self._adapter_problem = BinarySensorEntity(
            name="Bluetooth adapter", device_class="problem", entity_category="diagnostic"
        )
        self._adapter_status = TextSensorEntity(
            name="Bluetooth adapter status", icon="mdi:bluetooth", entity_category="diagnostic"
        )
        self._scanner = TextSensorEntity(
            name="Bluetooth advertisements", icon="mdi:bluetooth-transfer", entity_category="diagnostic"
        )
        self._sessions = SensorEntity(
            name="Sessions", state_class="measurement", icon="mdi:lan-connect", entity_category="diagnostic"
        )
        self._clock_problem = BinarySensorEntity(
            name="Clock", device_class="problem", icon="mdi:clock-alert-outline", entity_category="diagnostic"
        )
        self.restart = ButtonEntity(name="Restart", device_class="restart", entity_category="config")
        self._has_uptime = uptime
        self._forwards = forwards
        for entity in (
            *((self._uptime,) if uptime else ()),
            self._adapter_problem,
            self._adapter_status,
            *((self._scanner,) if forwards else ()),
            self._sessions,
            self._clock_problem,
            self.restart,
        ):
            node.add(entity)

    def show_adapter(self, error: AdapterUnavailableError | None) -> None:
        """Publish the adapter's state, and log it when it has changed."""
        told = None if error is None else error.message
        if told != self._adapter_told:
            self._adapter_told = told
            if told is None:
                _LOGGER.info("Bluetooth is ready again")
            else:
                _LOGGER.warning("Bluetooth: %s", told)
        self._node.set_state(self._adapter_problem, error is not None)
        self._node.set_state(self._adapter_status, "ready" if error is None else error.message)

    def show_scanner(self, heard_how: str | None) -> None:
        """Publish where forwarded advertisements come from; None is no news."""
        if self._forwards and heard_how is not None:
            self._node.set_state(self._scanner, heard_how)

    def show_process(self, uptime_s: float, sessions: int) -> None:
        """Publish the uptime, to the minute, and the number of clients."""
        if self._has_uptime:
            self._node.set_state(self._uptime, uptime_s // UPTIME_STEP_S * UPTIME_STEP_S)
        self._node.set_state(self._sessions, sessions)

    def show_clock(self, *, wrong: bool) -> None:
        """Publish whether the host's clock is wrong."""
        self._node.set_state(self._clock_problem, wrong)

"""The sensors of the proxy itself that the configuration asks for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from blupow_config import SensorConfig
from blupow_proxy.filters import HELD, Filters
from blupow_proxy.native_api import Node, SensorEntity, State
from blupow_proxy.proxy_entities import UPTIME
from blupow_proxy.unit_entities import entity_as_wished

type Source = Callable[[], float | None]
type Numbers = Mapping[str, float | bool | None]

_TEMPERATURE: Final[Mapping[str, Any]] = {
    "unit_of_measurement": "°C",
    "accuracy_decimals": 1,
    "device_class": "temperature",
    "state_class": "measurement",
    "entity_category": "diagnostic",
}
# what they are by themselves, as ESPHome's sensors of these names
_KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "uptime": UPTIME,
    "cpu_temperature": _TEMPERATURE,
    "internal_temperature": _TEMPERATURE,
    "wifi_signal": {
        "unit_of_measurement": "dBm",
        "device_class": "signal_strength",
        "state_class": "measurement",
        "entity_category": "diagnostic",
    },
    "template": {"accuracy_decimals": 1},
}


@dataclass(slots=True)
class _Sensor:
    config: SensorConfig
    entity: SensorEntity
    source: Callable[[Numbers], float | None]
    filters: Filters
    needs: frozenset[str] = frozenset()
    due_s: float = -inf
    missing: frozenset[str] = frozenset()  # of what it needs, when it was computed


class OwnSensors:
    """Keeps them current; ``sources`` read the values of platforms, templates compute theirs of ``states`` by id."""

    def __init__(self, node: Node, configs: Iterable[SensorConfig], sources: Mapping[str, Source]) -> None:
        self._node = node
        self._named: dict[str, float | None] = {}
        self._sensors = [self._build(config, sources) for config in configs]
        for sensor in self._sensors:
            if not sensor.config.entity.internal:
                node.add(sensor.entity)

    def update(self, now_s: float, states: Mapping[str, State | None]) -> None:
        """Publish what is due; of templates at once what lacks, or no longer lacks, a state that it needs."""
        numbers: dict[str, float | bool | None] = {
            name: state for name, state in states.items() if not isinstance(state, str)
        }
        numbers |= self._named
        for sensor in self._sensors:
            missing = frozenset(name for name in sensor.needs if numbers.get(name) is None)
            if now_s < sensor.due_s and missing == sensor.missing:
                continue
            sensor.due_s = now_s + sensor.config.update_interval_s
            sensor.missing = missing
            passed = sensor.filters.apply(sensor.source(numbers), now_s)
            if passed is HELD:
                continue
            if sensor.config.entity.id is not None:
                numbers[sensor.config.entity.id] = self._named[sensor.config.entity.id] = passed
            if not sensor.config.entity.internal:
                self._node.set_state(sensor.entity, passed)

    def _build(self, config: SensorConfig, sources: Mapping[str, Source]) -> _Sensor:
        entity = SensorEntity(name=config.entity.name or "", **_KINDS[config.platform])
        shown, filters = entity_as_wished(entity, config.entity), Filters(config.entity.filters)
        if config.formula is None:
            return _Sensor(config, shown, _reading(sources[config.platform]), filters)
        return _Sensor(config, shown, config.formula.compiled(), filters, config.formula.ids)


def _reading(source: Source) -> Callable[[Numbers], float | None]:
    return lambda _: source()

"""Whether Home Assistant shows what the proxy serves: its states beside those of a client of our own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
import statistics
import time
from typing import Any, Final, Self

from aioesphomeapi import (
    COMPONENT_TYPE_TO_INFO,
    APIClient,
    BinarySensorInfo,
    ButtonInfo,
    EntityInfo,
    EntityState,
    SensorInfo,
    SwitchInfo,
    TextSensorInfo,
)

from home_assistant_api import States
from homeassistant.util import slugify

PLATFORM: Final = {
    SensorInfo: "sensor",
    TextSensorInfo: "sensor",
    BinarySensorInfo: "binary_sensor",
    SwitchInfo: "switch",
    ButtonInfo: "button",
}
KIND: Final = {info: name for name, info in COMPONENT_TYPE_TO_INFO.items()}
LATE_S: Final = 2.0  # how long Home Assistant may show something else


@dataclass(slots=True)
class Served:
    """One entity as the proxy lists it, and the states it has sent: (monotonic seconds, value)."""

    info: EntityInfo
    device: str
    states: list[tuple[float, Any]] = field(default_factory=list)

    @property
    def platform(self) -> str:
        """The platform of Home Assistant that shows it."""
        return PLATFORM[type(self.info)]

    @property
    def kind(self) -> str:
        """What it is on the wire."""
        return KIND[type(self.info)]

    def equals(self, value: Any, shown: str, attributes: dict[str, Any]) -> bool:
        """Whether ``shown`` is how Home Assistant shows ``value``."""
        if value is None:
            return shown in ("unknown", "")
        if shown in ("unknown", "unavailable"):
            return False
        match self.info:
            case SensorInfo():
                difference = abs(float(shown) - value)
                return difference <= 0.5 * 10.0**-self.info.accuracy_decimals + 1e-6 * abs(value)
            case TextSensorInfo():
                if attributes.get("device_class") == "timestamp":
                    return datetime.fromisoformat(shown) == datetime.fromisoformat(value)
                return shown in (value, slugify(value)) if "options" in attributes else shown == value
            case _:
                return shown == ("on" if value else "off")


class Client:
    """A client of the proxy; ``served`` by kind, device and key."""

    def __init__(self, host: str, key: str) -> None:
        self.served: dict[tuple[str, int, int], Served] = {}
        self.mac = ""
        self._client = APIClient(host, 6053, None, noise_psk=key, client_info="end-to-end test")

    async def __aenter__(self) -> Self:
        """Connect, list and listen."""
        await self._client.connect(login=True)
        info, entities, _ = await self._client.device_info_and_list_entities()
        self.mac = info.mac_address.lower()
        devices = {device.device_id: device.name for device in info.devices} | {0: info.friendly_name}
        for entity in entities:
            kind = type(entity).__name__.removesuffix("Info")
            self.served[kind, entity.device_id, entity.key] = Served(entity, devices[entity.device_id])
        self._client.subscribe_states(self._received)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._client.disconnect()

    def _received(self, state: EntityState) -> None:
        served = self.served[type(state).__name__.removesuffix("State"), state.device_id, state.key]
        missing = getattr(state, "missing_state", False)
        served.states.append((time.monotonic(), None if missing else state.state))


@dataclass(slots=True)
class Outcome:
    """How a comparison ended."""

    compared: int = 0
    changes: int = 0
    latencies_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        slowest, median = max(self.latencies_s, default=0.0), statistics.median(self.latencies_s or [0.0])
        return (
            f"{self.compared} entities equal, {self.changes} changes seen: "
            f"after {1000 * median:.0f} ms (median), {1000 * slowest:.0f} ms (slowest)"
        )


def compare(client: Client, states: States, entity_id_of: Callable[[Served], str | None], until: float) -> Outcome:
    """Compare what was served up to ``until`` with what was shown; entities that are disabled have no state."""
    outcome = Outcome()
    for served in client.served.values():
        if isinstance(served.info, ButtonInfo):
            continue
        entity_id = entity_id_of(served)
        if entity_id is None or states.now(entity_id) is None:
            if not served.info.disabled_by_default:
                outcome.wrong.append(f"{served.device} {served.info.name}: Home Assistant has no {entity_id}")
            continue
        outcome.compared += 1
        _compare_one(served, states, entity_id, until, outcome)
    return outcome


def _compare_one(served: Served, states: States, entity_id: str, until: float, outcome: Outcome) -> None:
    history = states.history[entity_id]
    unit = getattr(served.info, "unit_of_measurement", "")
    if (shown := history[-1].attributes.get("unit_of_measurement", "")) != unit:
        outcome.wrong.append(f"{entity_id}: {shown!r} instead of {unit!r}")
    for number, (at, value) in enumerate(served.states):
        later = served.states[number + 1][0] if number + 1 < len(served.states) else float("inf")
        if at > until or later - at < LATE_S:
            continue  # too short-lived to be missed
        times = [
            (change.at, history[position + 1].at if position + 1 < len(history) else float("inf"))
            for position, change in enumerate(history)
            if change.state is not None and served.equals(value, change.state, change.attributes)
        ]
        # shown at some time between just before we heard of it and soon after
        fitting = [begin for begin, end in times if begin <= at + LATE_S and end >= at]
        if not fitting:
            near = [change.state for change in history if change.at <= at + LATE_S][-1:]
            outcome.wrong.append(f"{entity_id}: {near} instead of {value!r}")
        elif number and max(fitting) > at - LATE_S:
            outcome.changes += 1
            outcome.latencies_s.append(max(0.0, max(fitting) - at))

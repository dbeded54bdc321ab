"""A client of the proxy as Home Assistant is one: it listens, and connects again whenever the connection has ended."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Self

from aioesphomeapi import APIClient, APIConnectionError, EntityInfo, ReconnectLogic, SensorInfo, SwitchInfo
from entities import Entity, follow, listed
from waiting import until
from zeroconf.asyncio import AsyncZeroconf

KEY: Final = "dGhlIGtleSBvZiB0aGUgZmF1bHQgdGVzdHMhISEhISE="
NAME: Final = "shed"
MEASURED: Final = frozenset({"voltage", "current", "power", "battery", "temperature", "energy", "frequency"})


class Client:
    """States by entity, and everything that was ever shown; a context manager that is connected, or tries to be."""

    def __init__(
        self,
        address: str,
        port: int = 6053,
        *,
        key: str = KEY,
        name: str = NAME,
        expected_mac: str | None = None,
        zeroconf: AsyncZeroconf | None = None,
    ) -> None:
        self.infos: dict[Entity, EntityInfo] = {}
        self.states: dict[Entity, Any] = {}  # None is missing
        self.shown: dict[Entity, Counter[Any]] = {}  # how often each value has come
        self.received = 0  # states
        self.last_s: dict[Entity, float] = {}  # when a state last came, and
        self.connected_s: list[float] = []  # when it was connected, and
        self.lost_s: list[float] = []  # when no more, all monotonic
        self.goodbyes = 0  # how often the proxy has ended the connection in good order
        self.errors: list[Exception] = []
        self.mac: str | None = None
        self.api = APIClient(
            address,
            port,
            None,
            client_info="fault test",
            noise_psk=key,
            expected_name=name,
            expected_mac=expected_mac,
            zeroconf_instance=zeroconf,
        )
        self._connecting = ReconnectLogic(
            client=self.api,
            on_connect=self._connected,
            on_disconnect=self._disconnected,
            on_connect_error=self._failed,
            name=name,
            zeroconf_instance=zeroconf,
            zeroconf_wake=zeroconf is not None,
        )

    async def __aenter__(self) -> Self:
        """Start to connect."""
        await self._connecting.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop to, and disconnect."""
        await self._connecting.stop()
        await self.api.disconnect(force=True)

    @property
    def is_connected(self) -> bool:
        """Whether a session stands, as far as is known here."""
        return len(self.connected_s) > len(self.lost_s)

    def voltage(self, unit: str) -> Entity:
        """Return the entity that is read with each poll of whatever family, as long as the unit answers."""
        return unit, next((key for name, key in self.infos if name == unit and key.endswith("battery_voltage")), "")

    def measurements(self, *units: str) -> dict[Entity, Any]:
        """Return what some units (all unless given) measure."""
        return {
            entity: state
            for entity, state in self.states.items()
            if (info := self.infos[entity]) and (not units or entity[0] in units) and _is_measured(info)
        }

    async def until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> float:
        """Return the seconds until a condition came true; TimeoutError says ``what`` did not."""
        try:
            return await until(condition, timeout_s)
        except TimeoutError:
            status = {unit: state for (unit, key), state in self.states.items() if key == "link_status"}
            raise TimeoutError(f"in vain for {timeout_s:g} s: {what}; {status}, errors {self.errors[-3:]}") from None

    async def until_connected(self, timeout_s: float, after: int = 0) -> float:
        """Return the seconds until it was connected more than ``after`` times, and is now."""
        return await self.until(
            lambda: len(self.connected_s) > after and self.is_connected and bool(self.states), timeout_s, "connection"
        )

    async def until_read(self, *units: str, timeout_s: float) -> float:
        """Return the seconds until each unit is linked and shows its voltage."""

        def is_read(unit: str) -> bool:
            has_link = self.is_connected and self.states.get((unit, "link"))
            return bool(has_link) and self.states.get(self.voltage(unit)) is not None

        return await self.until(lambda: all(map(is_read, units)), timeout_s, f"readings of {units}")

    async def ping_s(self, timeout_s: float = 10.0) -> float:
        """Return how long the proxy takes to answer."""
        start = time.monotonic()
        async with asyncio.timeout(timeout_s):
            await self.api.device_info()
        return time.monotonic() - start

    async def refresh(self) -> None:
        """Let the proxy read everything, and wait for it."""
        _, actions = await self.api.list_entities_services()
        (refresh,) = (action for action in actions if action.name == "refresh")
        answer = await self.api.execute_service(refresh, {}, return_response=True)
        assert answer is not None
        assert answer.success, answer.error_message
        await self.ping_s()  # what was read has left before

    def switch(self, unit: str, object_id: str, on: bool) -> None:
        """Send a command."""
        info = self.infos[unit, object_id]
        assert isinstance(info, SwitchInfo)
        self.api.switch_command(info.key, on, device_id=info.device_id)

    async def _connected(self) -> None:
        info, self.infos = await listed(self.api)
        self.mac = info.mac_address
        self.states = {}
        follow(self.api, self.infos, self._take)
        self.connected_s.append(time.monotonic())

    def _take(self, entity: Entity, state: Any) -> None:
        self.received += 1
        self.states[entity] = state
        self.shown.setdefault(entity, Counter())[state] += 1
        self.last_s[entity] = time.monotonic()

    async def _disconnected(self, expected: bool) -> None:
        self.goodbyes += expected
        if self.is_connected:
            self.lost_s.append(time.monotonic())

    async def _failed(self, error: Exception) -> None:
        assert isinstance(error, APIConnectionError)
        self.errors.append(error)


def _is_measured(info: EntityInfo) -> bool:
    return isinstance(info, SensorInfo) and info.device_class in MEASURED

"""The unmodified proxy in the guest, and a real client of it outside."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from aioesphomeapi import APIClient, APIConnectionError, EntityInfo, SensorInfo
from entities import Entity, follow, listed
from machine import KEY
from rig import ADDRESS, ROOT, Rig
from waiting import until

PORT: Final = 6053
PROGRAM: Final = ROOT / ".venv" / "bin" / "blupow-proxy"
LOOK_S: Final = 0.05
STOPPED_S: Final = 15.0  # the service's TimeoutStopSec; half of eight links' end is the starved guest's
MEASURED: Final = {"voltage", "current", "power", "battery"}  # device classes


class Proxy:
    """`blupow-proxy run` in the guest."""

    def __init__(
        self,
        rig: Rig,
        units: dict[str, str],
        *,
        interval: str = "2s",
        adapter: str | None = None,
        bluetooth_proxy: dict[str, Any] | None = None,
    ) -> None:
        """Read ``units``, address by name."""
        self.rig = rig
        self._file = rig.folder / "proxy.yaml"
        config: dict[str, Any] = {
            "esphome": {"name": "shed"},
            "api": {"port": PORT, "encryption": {"key": KEY}},
            "renogy": [
                {"address": address, "name": name, "update_interval": interval} for name, address in units.items()
            ],
        }
        if adapter is not None:
            config["bluetooth"] = {"adapter": adapter}
        if bluetooth_proxy is not None:
            config["bluetooth_proxy"] = bluetooth_proxy
        self._file.write_text(json.dumps(config))  # which is YAML

    async def start(self) -> None:
        """Start it."""
        state = self.rig.folder / "state"
        await self.rig.start("proxy", sys.executable, PROGRAM, "run", self._file, "--state-dir", state)

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = STOPPED_S) -> int | None:
        """Signal it, and return how it has ended."""
        await self.rig.signal("proxy", number)
        return await self.rig.wait("proxy", timeout_s)

    async def open_files(self) -> int:
        """Return how many files it has open."""
        return len((await self.rig.run("ls", f"/proc/{self.rig.pids['proxy']}/fd")).split())


class Watcher:
    """A client that listens, and connects again whenever the proxy has ended the connection."""

    def __init__(self) -> None:
        self.infos: dict[Entity, EntityInfo] = {}
        self.states: dict[Entity, Any] = {}  # None is missing
        self.lost = 0  # how often a unit's link went
        self.goodbyes = 0  # how often the proxy has ended the connection in good order
        self._read_s: dict[str, float] = {}  # when a unit's last measurement came
        self._client: APIClient | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start to connect."""
        self._task = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._close()

    def value(self, unit: str, object_id: str) -> Any:
        """Return the last state."""
        return self.states[unit, object_id]

    @property
    def linked(self) -> set[str]:
        """The units whose link is up, and of which more is listed than that."""
        links = {unit for (unit, object_id), state in self.states.items() if object_id == "link" and state}
        return links & {unit for unit, object_id in self.infos if _is_voltage(object_id)}

    @property
    def shown(self) -> set[str]:
        """The units whose battery voltage is shown: all have one, and it is read in every cycle."""
        states = self.states.items()
        return {unit for (unit, object_id), state in states if _is_voltage(object_id) and state is not None}

    async def until(self, condition: Callable[[], bool], timeout_s: float, what: str = "") -> float:
        """Return the seconds that it took for a condition to come true; TimeoutError."""
        try:
            return await until(condition, timeout_s)
        except TimeoutError:
            states = {unit: state for (unit, object_id), state in self.states.items() if object_id == "link_status"}
            raise TimeoutError(f"in vain for {timeout_s:.0f} s {what}: {states}, shown {self.shown}") from None

    async def until_linked(self, units: Iterable[str], timeout_s: float) -> float:
        """Return the seconds that it took for all of these units to be linked."""
        return await self.until(lambda: self.linked >= set(units), timeout_s, "for links")

    async def until_read(self, units: Iterable[str], timeout_s: float) -> float:
        """Return the seconds that it took for a measurement made from now on to come of all of these units."""
        start = time.monotonic()
        return await self.until(
            lambda: all(self._read_s.get(unit, 0.0) > start for unit in units) and self.linked >= set(units),
            timeout_s,
            "for readings",
        )

    async def ping_s(self, timeout_s: float = 10.0) -> float | None:
        """Return how long the proxy takes to answer; None while it is listing again."""
        start = time.monotonic()
        async with asyncio.timeout(timeout_s):
            if self._client is None:
                return None
            try:
                await self._client.device_info()
            except APIConnectionError:
                return None
        return time.monotonic() - start

    async def _keep_connected(self) -> None:
        while True:
            with contextlib.suppress(APIConnectionError):
                await self._connect()
                await self._ended.wait()
            await self._close()
            await asyncio.sleep(LOOK_S)

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect(force=True)

    async def _connect(self) -> None:
        self._ended.clear()
        self._client = client = APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="real BlueZ test")

        async def stopped(expected: bool) -> None:
            self.goodbyes += expected
            self._ended.set()

        await client.connect(on_stop=stopped, login=True)
        _, self.infos = await listed(client)
        self.states = {}
        follow(client, self.infos, self._take)

    def _take(self, entity: Entity, state: Any) -> None:
        unit, object_id = entity
        if object_id == "link" and self.states.get(entity) and not state:
            self.lost += 1
        self.states[entity] = state
        if state is not None and _is_measured(self.infos[entity]):
            self._read_s[unit] = time.monotonic()


def _is_voltage(object_id: str) -> bool:
    return object_id in ("battery_voltage", "house_battery_voltage")


def _is_measured(info: EntityInfo) -> bool:
    return isinstance(info, SensorInfo) and info.device_class in MEASURED

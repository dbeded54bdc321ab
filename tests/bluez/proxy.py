"""The unmodified proxy in the guest, and a real client of it outside."""

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aioesphomeapi import APIClient, BinarySensorInfo, EntityInfo, SensorInfo, TextSensorInfo
from rig import ADDRESS, ROOT, Rig

PORT: Final = 6053
KEY: Final = "dGhlIGtleSBvZiB0aGUgcmVhbCBCbHVlWiEhISEhISE="
PROGRAM: Final = ROOT / ".venv" / "bin" / "blupow-proxy"


class Proxy:
    """`blupow-proxy run` in the guest."""

    def __init__(self, rig: Rig, units: dict[str, str], *, interval: str = "2s", adapter: str | None = None) -> None:
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
        self._file.write_text(json.dumps(config))  # which is YAML

    async def start(self) -> None:
        """Start it."""
        state = self.rig.folder / "state"
        await self.rig.start("proxy", sys.executable, PROGRAM, "run", self._file, "--state-dir", state)

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = 10.0) -> int | None:
        """Signal it, and return how it has ended."""
        await self.rig.signal("proxy", number)
        return await self.rig.wait("proxy", timeout_s)


@dataclass(slots=True)
class Value:
    """One entity and its last state: when it came, and what it was; None is missing."""

    info: EntityInfo
    at_s: float = 0.0
    value: Any = None


@dataclass(slots=True)
class Watcher:
    """A client that lists, and goes on listening."""

    values: dict[tuple[str, str], Value] = field(default_factory=dict)  # by unit and object id
    lost: int = 0  # how often a unit's link went
    _client: APIClient | None = None

    @classmethod
    async def connected(cls, timeout_s: float = 30.0) -> Self:
        """Return one that has connected, as soon as that works."""
        end = time.monotonic() + timeout_s
        while True:
            watcher = cls()
            try:
                await watcher._connect()
            except Exception:
                await watcher.close()
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)
            else:
                return watcher

    @classmethod
    async def of_linked(cls, units: set[str], timeout_s: float) -> Self:
        """Return one that sees these units linked, and all that they have, which the proxy may have to find out."""
        end = time.monotonic() + timeout_s
        while True:
            watcher = await cls.connected()
            while watcher.is_connected:
                if watcher.linked >= units and watcher.known >= units:
                    return watcher
                if time.monotonic() > end:
                    raise TimeoutError(f"after {timeout_s:.0f} s linked are {watcher.linked}, known {watcher.known}")
                await asyncio.sleep(0.1)
            await watcher.close()

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.disconnect(force=True)

    def value(self, unit: str, object_id: str) -> Any:
        """Return the last value."""
        return self.values[unit, object_id].value

    @property
    def is_connected(self) -> bool:
        """Whether the proxy has not sent it away."""
        return self._client is not None and self._client.api_version is not None

    @property
    def known(self) -> set[str]:
        """The units of which more is listed than their link."""
        return {unit for unit, object_id in self.values if object_id.endswith("battery_voltage")}

    @property
    def linked(self) -> set[str]:
        """The units whose link is up."""
        return {unit for (unit, object_id), value in self.values.items() if object_id == "link" and value.value}

    async def _connect(self) -> None:
        self._client = client = APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="real BlueZ test")
        await client.connect(login=True)
        info, entities, _ = await client.device_info_and_list_entities()
        names = {device.device_id: device.name for device in info.devices} | {0: ""}
        by_key: dict[tuple[int, int, str], Value] = {}
        for entity in entities:
            value = Value(entity)
            self.values[names[entity.device_id], entity.object_id] = value
            by_key[entity.device_id, entity.key, type(entity).__name__.removesuffix("Info")] = value

        def take(state: Any) -> None:
            kind = type(state).__name__.removesuffix("State")
            value = by_key.get((state.device_id, state.key, kind))
            if value is None or not isinstance(value.info, BinarySensorInfo | SensorInfo | TextSensorInfo):
                return
            new = None if state.missing_state else state.state
            if value.info.object_id == "link" and value.value and not new:
                self.lost += 1
            value.at_s, value.value = time.monotonic(), new

        client.subscribe_states(take)

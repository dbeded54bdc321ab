"""The demo's five units around a guest with a real bluetoothd, the proxy in it, and a client outside."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machine import ADAPTER, UNITS
from rig import Rig, booted

from proxy import Proxy, Watcher

SPEED: Final = 10.0  # of the simulated world: each reading differs from the last, and it stays day
SETTLED_S: Final = 60.0


@dataclass
class RadioRoom:
    """What the tests of a module share."""

    rig: Rig
    proxy: Proxy
    watcher: Watcher
    _seen: int = 0

    async def settle(self) -> None:
        """Wait until all is well: every unit linked and read."""
        await self.watcher.until_read(UNITS, SETTLED_S)
        self._seen = len(self.rig.log("proxy"))

    def warnings(self) -> list[str]:
        """Return what the proxy has warned of since all was well."""
        return [line for line in self.rig.log("proxy")[self._seen :].splitlines() if " W " in line or " E " in line]

    def status(self, unit: str) -> str:
        """Return what the client is told of a unit's link."""
        return str(self.watcher.value(unit, "link_status"))

    @property
    def bluetooth(self) -> tuple[bool, str]:
        """Whether Bluetooth has a problem, and what it is, as the client is told."""
        where = self.watcher.value
        return where("", "bluetooth_adapter"), where("", "bluetooth_adapter_status")

    async def adapter(self, **knobs: Any) -> None:
        """Turn knobs of the adapter's controller."""
        name = await self.adapter_name()
        await self.rig.room("adapter", adapter=name, **knobs)

    async def adapter_name(self) -> str:
        """Return what the adapter is called now."""
        return await self.rig.adapter_of(ADAPTER)

    async def adapter_state(self) -> dict[str, Any]:
        """Return what the adapter's controller does."""
        state: dict[str, Any] = (await self.rig.room("state"))["adapters"][await self.adapter_name()]
        return state

    async def drop(self, *units: str) -> None:
        """Let units end their links."""
        for unit in units:
            await self.rig.room("drop", address=UNITS[unit])
        await self.watcher.until(lambda: not self.watcher.linked & set(units), 10.0, "for the loss")


@contextlib.asynccontextmanager
async def radio_room(folder: Path, **options: Any) -> AsyncIterator[RadioRoom]:
    """Boot, and have everything linked; the options are the proxy's."""
    async with booted(folder) as rig:
        await rig.populate(adapters=2, units="demo", speed=SPEED)
        proxy = Proxy(rig, UNITS, adapter=ADAPTER, **options)
        await proxy.start()
        async with Watcher() as watcher:
            yield RadioRoom(rig, proxy, watcher)


@contextlib.asynccontextmanager
async def pinging(watcher: Watcher) -> AsyncIterator[list[float]]:
    """Ask the proxy again and again meanwhile; yields how long each answer took."""
    took: list[float] = []

    async def ping() -> None:
        while True:
            if (answered := await watcher.ping_s()) is not None:
                took.append(answered)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(ping())
    try:
        yield took
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

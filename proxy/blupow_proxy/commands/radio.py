"""The adapter of a command that uses Bluetooth for as long as it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from blupow_proxy.errors import BusLostError, LinkLostError

if TYPE_CHECKING:
    from blupow_proxy.ble import Adapter

TAKEN: Final = "connected to this machine already: stop the proxy that reads it (systemctl stop blupow-proxy)"


@asynccontextmanager
async def adapter_in_use(name: str | None, *, demo: bool) -> AsyncIterator["Adapter"]:
    """The adapter of that name or address, or any, kept usable as the proxy does; or one that hears simulated units."""
    if demo:
        from blupow_proxy.simulator import VirtualRadio, demo_units  # noqa: PLC0415 - bumble takes a while to import

        async with VirtualRadio(demo_units()) as radio:
            yield radio.adapter
        return
    from blupow_proxy.ble import Adapter  # noqa: PLC0415 - as does bleak

    adapter = Adapter(name)
    watching = asyncio.create_task(adapter.run(), name="adapter")
    await asyncio.sleep(0)  # from here on it is watched over
    try:
        yield adapter
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError, BusLostError):  # what was tried over that bus has said so
            await watching


async def require_free(adapter: "Adapter", address: str) -> None:
    """See that nobody on this machine reads a unit: connecting anew would take it away; LinkLostError, BleError."""
    if address in await adapter.connected_devices():
        raise LinkLostError(address, TAKEN)

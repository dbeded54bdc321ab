"""A look at the adapters, for who does not use them."""

from blupow_proxy.errors import AdapterUnavailableError

from .bluez import AdapterFacts, Bluez
from .failures import NO_SERVICE, no_adapter
from .supervisor import choose


async def inspect_adapter(wanted: str | None) -> AdapterFacts:
    """Return the adapter of that name or address, or the one that would be used; BleError says why there is none."""
    async with Bluez.opened(lambda: None) as bluez:
        await bluez.load()
        adapter = choose(bluez.adapters, wanted, None)
        if adapter is None:
            raise AdapterUnavailableError("adapter", NO_SERVICE if bluez.owner is None else no_adapter(wanted))
        return adapter


async def inspect_adapters() -> list[AdapterFacts]:
    """Return the adapters that links can be made with, in the order of their names; BleError says why there is none."""
    async with Bluez.opened(lambda: None) as bluez:
        await bluez.load()
        adapters = sorted((one for one in bluez.adapters.values() if one.central), key=lambda one: one.index)
        if not adapters:
            raise AdapterUnavailableError("adapter", NO_SERVICE if bluez.owner is None else no_adapter(None))
        return adapters

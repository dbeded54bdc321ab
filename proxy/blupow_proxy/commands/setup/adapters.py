"""Which adapter to use."""

from pathlib import Path
from typing import Final

from blupow_proxy.ble import AdapterFacts, inspect_adapters, why_blocked
from blupow_proxy.errors import AdapterUnavailableError

from .questions import Questions

_ADAPTERS: Final = Path("/sys/class/bluetooth")


async def choose_adapter(wanted: str | None, questions: Questions) -> tuple[AdapterFacts, bool]:
    """Return the adapter to use, and whether there are others; AdapterUnavailableError says what to do about none."""
    adapters = await inspect_adapters()
    if wanted is not None:
        chosen = next((one for one in adapters if wanted.lower() in (one.name, one.address.lower())), None)
        if chosen is None:
            there = ", ".join(f"{one.name} ({one.address})" for one in adapters)
            raise AdapterUnavailableError("adapter", f"there is no Bluetooth adapter {wanted}, but {there}")
    elif len(adapters) > 1:
        question = "Which Bluetooth adapter? One that is plugged in often reaches farther than the built-in one."
        chosen = adapters[await questions.choose(question, [_described(one) for one in adapters])]
    else:
        chosen = adapters[0]
    if not chosen.powered and (blocked := why_blocked()) is not None:
        raise AdapterUnavailableError("adapter", blocked)
    return chosen, len(adapters) > 1


def _described(adapter: AdapterFacts) -> str:
    place = str((_ADAPTERS / adapter.name).resolve())
    where = "on USB" if "/usb" in place else "built in" if "/serial" in place or "/tty" in place else ""
    return "  ".join(part for part in (adapter.name, adapter.address, where) if part)

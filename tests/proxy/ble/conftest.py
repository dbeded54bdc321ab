from collections.abc import AsyncIterator

import pytest

from blupow_proxy.ble import finder, link
from blupow_proxy.simulator import VirtualRadio, demo_units


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses that real devices need, shorter."""
    monkeypatch.setattr(link, "WAKE_S", 0.0)
    monkeypatch.setattr(link, "QUIET_S", 0.2)
    monkeypatch.setattr(link, "LATE_S", 0.6)
    monkeypatch.setattr(link, "FIND_S", 0.5)
    monkeypatch.setattr(finder, "NAME_S", 0.2)


@pytest.fixture
async def radio() -> AsyncIterator[VirtualRadio]:
    units = demo_units()
    for unit in units:
        unit.latency_s = 0.0
    async with VirtualRadio(units) as radio:
        yield radio

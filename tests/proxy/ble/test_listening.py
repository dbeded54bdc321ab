"""Hearing all that is on the air, over what happens to the adapter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak.exc import BleakDBusError
from waiting import until

from blupow_proxy.ble import Adapter, Advertisement, listen, listening
from blupow_proxy.ble.failures import HANGS, OFF
from blupow_proxy.errors import BleError
from blupow_proxy.simulator import VirtualRadio


class Ears:
    """What was told."""

    def __init__(self) -> None:
        self.heard: list[Advertisement] = []
        self.troubles: list[str | None] = []

    def trouble(self, error: BleError | None) -> None:
        self.troubles.append(None if error is None else error.message)

    @asynccontextmanager
    async def open(self, adapter: Adapter) -> AsyncIterator[None]:
        task = asyncio.create_task(listen(adapter, self.heard.append, self.trouble))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


class Scanner:
    """One that fails as it is told."""

    def __init__(self, start: Callable[[], Any] = lambda: None) -> None:
        self._start = start
        self.stopped = False

    async def start(self) -> None:
        await asyncio.sleep(0)
        if (failure := self._start()) is not None:
            raise failure

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "RETRY_S", 0.0)


async def test_every_advertisement_is_told(radio: VirtualRadio) -> None:
    ears = Ears()
    async with ears.open(radio.adapter):
        await until(lambda: sum(one.address == "C4:D3:6A:00:00:01" for one in ears.heard) >= 3)
    assert ears.troubles == [None]
    count = len(ears.heard)
    await asyncio.sleep(0.3)  # three advertisements of each
    assert len(ears.heard) == count


async def test_trouble_is_told_and_overcome(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter()
    failures = [BleakDBusError("org.bluez.Error.NotReady", ["x"]), None]
    scanners: list[Scanner] = []

    def make_scanner(_detected: Any, *, every: bool) -> Scanner:
        assert every
        scanners.append(Scanner(lambda: failures.pop(0)))
        return scanners[-1]

    monkeypatch.setattr(adapter, "make_scanner", make_scanner)
    ears = Ears()
    async with ears.open(adapter):
        await until(lambda: None in ears.troubles)
    assert ears.troubles == [OFF, None]
    assert all(scanner.stopped for scanner in scanners)


async def test_a_scan_that_hears_nothing_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter()
    monkeypatch.setattr(listening, "DEAF_S", 0.05)
    monkeypatch.setattr(adapter, "make_scanner", lambda _detected, *, every: Scanner())
    ears = Ears()
    async with ears.open(adapter):
        await until(lambda: len(ears.troubles) >= 3)
    assert set(ears.troubles) == {None}


async def test_a_bluetoothd_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter()

    class Stuck(Scanner):
        async def start(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(listening, "START_S", 0.05)
    monkeypatch.setattr(adapter, "make_scanner", lambda _detected, *, every: Stuck())
    ears = Ears()
    async with ears.open(adapter):
        await until(lambda: bool(ears.troubles))
    assert ears.troubles[0] == HANGS

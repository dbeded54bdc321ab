"""When an adapter that hears, and connects nothing, is to be reset."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from blupow_proxy.ble import Adapter
from blupow_proxy.ble.adapter import IN_VAIN, IN_VAIN_AT_MOST, REFUSALS, REFUSALS_AT_MOST
from blupow_proxy.ble.bluez import AdapterFacts
from blupow_proxy.errors import BleError


@dataclass
class Watch:
    """The supervisor, as far as it is asked for resets."""

    reasons: list[str] = field(default_factory=list)
    adapter: Any = None
    bluez: Any = None

    def reset(self, reason: str) -> None:
        self.reasons.append(reason)

    def heard(self) -> None:
        """Take note."""


@dataclass(eq=False)
class Standing:
    """A link that stands; ``is_asked`` if it is a unit's."""

    is_asked: bool
    address: str = "C4:D3:6A:00:00:01"
    is_connected: bool = True
    lost: int = 0

    def lose(self, _reason: BleError) -> None:
        self.lost += 1


class BreakingDown:
    """A supervisor that finds an adapter, and then something that nobody foresaw."""

    def __init__(self, _wanted: str | None, on_change: Callable[[Any], None], _recover: object) -> None:
        self.generation = 0
        self.adapter: AdapterFacts | None = None
        self.problem = None
        self._on_change = on_change

    async def run(self) -> None:
        self.generation += 1
        self.adapter = AdapterFacts("/org/bluez/hci0", "B8:27:EB:00:00:01", powered=True)
        self._on_change(self)
        raise RuntimeError("nobody foresaw it")


async def test_what_was_made_before_it_broke_down_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[int | None] = []
    monkeypatch.setattr("blupow_proxy.ble.adapter.Supervisor", BreakingDown)
    adapter = Adapter()
    monkeypatch.setattr(adapter._forgotten_links, "follow", followed.append)
    link = Standing(is_asked=True)
    adapter.links.add(link)
    for lost in (0, 1):
        with pytest.raises(RuntimeError, match="nobody foresaw it"):
            await adapter.run()
        assert link.lost == lost
    assert followed == [0, None] * 2


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def adapter(watch: Watch) -> Adapter:
    adapter = Adapter()
    adapter._supervisor = watch  # type: ignore[assignment]
    return adapter


def in_vain(adapter: Adapter, times: int) -> None:
    for _ in range(times):
        adapter.connected_in_vain()


def test_units_that_are_heard_and_never_connected(adapter: Adapter, watch: Watch) -> None:
    in_vain(adapter, IN_VAIN - 1)
    assert watch.reasons == []
    in_vain(adapter, 1)
    assert watch.reasons == ["What is heard could not be connected"]


def test_where_a_reset_does_not_help_the_next_comes_later(adapter: Adapter, watch: Watch) -> None:
    waits = []
    for _ in range(8):
        before, times = len(watch.reasons), 0
        while len(watch.reasons) == before:
            in_vain(adapter, 1)
            times += 1
        waits.append(times)
    assert waits == [3, 6, 12, 24, 48, IN_VAIN_AT_MOST, IN_VAIN_AT_MOST, IN_VAIN_AT_MOST]
    adapter.connected_in_time()
    in_vain(adapter, IN_VAIN)
    assert len(watch.reasons) == len(waits) + 1


def test_one_that_can_be_connected_shows_that_it_works(adapter: Adapter, watch: Watch) -> None:
    for _ in range(5):
        in_vain(adapter, IN_VAIN - 1)
        adapter.connected_in_time()
    assert watch.reasons == []


@pytest.mark.parametrize(("is_asked", "resets"), [(True, 0), (False, 1)])
def test_a_reset_would_cost_the_links_of_units(adapter: Adapter, watch: Watch, is_asked: bool, resets: int) -> None:
    adapter.links.add(Standing(is_asked))  # type: ignore[arg-type]
    in_vain(adapter, IN_VAIN)
    assert len(watch.reasons) == resets


def refused(adapter: Adapter, watch: Watch) -> int:
    """Let scans be refused until that leads to a reset, and return how often."""
    before, times = len(watch.reasons), 0
    while len(watch.reasons) == before:
        times += 1
        adapter._scan_refused(times)
    return times


def test_scans_that_are_refused_while_links_stand_cost_these_links_seldom(adapter: Adapter, watch: Watch) -> None:
    assert refused(adapter, watch) == REFUSALS
    adapter.links.add(Standing(is_asked=True))  # type: ignore[arg-type]
    assert [refused(adapter, watch) for _ in range(8)] == [6, 12, 24, 48, 96, 192, REFUSALS_AT_MOST, REFUSALS_AT_MOST]
    adapter._scan_heard()
    assert refused(adapter, watch) == 6

"""How the proxy does, for systemd: a sentence when it changes, the watchdog's food while its readers get on."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from blupow_proxy.poller import Progress, Unit

from .boots import GOOD_S
from .notify import Notifier

TURN_S: Final = 2.0  # how soon news are told
TURNS_PER_WATCHDOG: Final = 4  # one or two may come late on a busy machine

_LOGGER = logging.getLogger(__name__)


class Reader(Protocol):
    """What the report needs of a poller."""

    units: Sequence[Unit]
    progress: Progress


class Report:
    """Tells ``notifier`` about ``readers``; ``on_good`` is called once the start has proven to be a good one.

    ``troubles`` are what is wrong with the whole, by what they are about; they are said before anything else.
    """

    def __init__(self, notifier: Notifier, readers: Sequence[Reader], on_good: Callable[[], None]) -> None:
        self.troubles: dict[str, str] = {}
        self._notifier = notifier
        self._readers = readers
        self._on_good = on_good
        self._stuck: set[str] = set()

    async def run(self) -> None:
        """Tell until cancelled."""
        loop = asyncio.get_running_loop()
        good_at: float | None = loop.time() + GOOD_S
        watchdog_s = self._notifier.watchdog_s
        turn_s = TURN_S if watchdog_s is None else min(TURN_S, watchdog_s / TURNS_PER_WATCHDOG)
        while True:
            stuck = {reader.units[0].spec.name for reader in self._readers if reader.progress.is_late}
            for name in sorted(stuck - self._stuck):
                _LOGGER.error("%s: reading is stuck: the watchdog, where there is one, starts the proxy anew", name)
            self._stuck = stuck
            if not stuck:
                self._notifier.alive()
                if good_at is not None and loop.time() >= good_at:
                    good_at = None
                    self._on_good()
            self._notifier.status(self._sentence())
            due = loop.time() + turn_s
            await asyncio.sleep(turn_s)
            if loop.time() > due + turn_s:  # this process was stopped, and its readers with it: they come first
                await asyncio.sleep(turn_s)

    def _sentence(self) -> str:
        """Return how the units do, such as "1 of 2 units connected; Battery: not heard"."""
        units = [unit for reader in self._readers for unit in reader.units]
        parts = list(self.troubles.values())
        parts += [f"{name}: reading is stuck" for name in sorted(self._stuck)]
        if units:
            connected = sum(unit.connected for unit in units)
            parts.append(f"{connected} of {len(units)} units connected")
            parts += [f"{unit.spec.name}: {unit.status}" for unit in units if not unit.connected]
        elif not parts:
            parts.append("no units to read")
        return "; ".join(parts)

"""Which block to read next; no I/O, the clock is an argument."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from math import inf
from typing import Final

from blupow_proxy.renogy import Block, Schedule

SLOW_S: Final = 300.0  # settings and totals: they change a few times a day
RETRIES: Final = 2  # of what was answered before: a reply that got lost on the air need not cost a reading
LEFT_OUT_S: Final = 3600.0  # a block that the device refused; a firmware update may bring it
FAILURES: Final = 3  # refusals or silences in a row before a block is left out

_UNSUPPORTED: Final = frozenset({1, 2, 3})  # exception codes: no such function, address, count


@dataclass(slots=True)
class _Entry:
    block: Block
    period_s: float | None  # None: once
    due_s: float
    not_before_s: float = -inf  # though it is due
    failures: int = 0
    tried: bool = False
    answered: bool = False
    heard_at_first_failure: int = 0

    @property
    def turn_s(self) -> float:
        """When it may be read."""
        return max(self.due_s, self.not_before_s)


class Plan:
    """The schedule of one device's blocks over one connection; times in monotonic seconds."""

    def __init__(
        self, blocks: Iterable[Block], interval_s: float, now: float, *, answered: Container[Block] = frozenset()
    ) -> None:
        """Read live blocks each ``interval_s``, slow ones each 5 minutes, the others once; all from ``now`` on.

        Those ``answered`` over an earlier connection are there: their silence is a reply that got lost.
        """
        periods = {Schedule.POLL: interval_s, Schedule.SLOW: SLOW_S, Schedule.STARTUP: None}
        self._entries = [
            _Entry(block, periods[block.schedule], now, answered=block in answered)
            for block in blocks
            if block.schedule in periods
        ]
        self._entries.sort(key=lambda entry: list(periods).index(entry.block.schedule))  # of two due, live ones first
        self._heard = 0

    @property
    def complete(self) -> bool:
        """Whether each block was tried since the start of the connection, or since a refresh was asked for."""
        return all(entry.tried for entry in self._entries)

    def refresh(self, now: float) -> None:
        """Make every block due, those left out as well."""
        for entry in self._entries:
            entry.due_s = now
            entry.tried = False

    def next(self, not_before: Callable[[Block], float] = lambda _: 0.0) -> tuple[Block, float]:
        """Return the block whose turn it is, and when that is: ``not_before`` a time of its own."""
        times = ((max(entry.turn_s, not_before(entry.block)), entry) for entry in self._entries)
        due, entry = min(times, key=lambda choice: choice[0])
        return entry.block, due

    def due(self, now: float) -> list[Block]:
        """Return the blocks whose turn it is by ``now``."""
        return [entry.block for entry in self._entries if entry.turn_s <= now]

    def expects(self, block: Block) -> bool:
        """Whether silence would say something of the link: the block was answered before, or nothing was yet."""
        return not self._heard or any(entry.answered for entry in self._entries if entry.block == block)

    def answered(self, block: Block, now: float) -> None:
        """Plan the next reading of a block that was answered; readings that were missed are not made up for."""
        entry = self._tried(block)
        self._heard += 1
        entry.answered = True
        entry.failures = 0
        entry.due_s = inf if entry.period_s is None else max(entry.due_s + entry.period_s, now)

    def refused(self, block: Block, code: int, now: float) -> None:
        """Plan around a block that was answered with exception ``code``."""
        entry = self._tried(block)
        self._heard += 1
        entry.failures = FAILURES if code in _UNSUPPORTED and not entry.answered else entry.failures + 1
        self._postpone(entry, now)

    def silent(self, block: Block, now: float) -> None:
        """Plan around a block that was not answered.

        Silence counts against a block only while others are answered: otherwise it is the link's.
        """
        entry = self._tried(block)
        if entry.failures == 0:
            entry.heard_at_first_failure = self._heard
        entry.failures = min(entry.failures + 1, FAILURES)
        if self._heard == entry.heard_at_first_failure:
            entry.failures = min(entry.failures, FAILURES - 1)
        if entry.answered and entry.period_s is not None and entry.failures <= RETRIES:
            self._repeat(entry, now)
        else:
            self._postpone(entry, now)

    def _repeat(self, entry: _Entry, now: float) -> None:
        """Have a block read again once the live ones have had their turn, before all others."""
        for other in self._entries:
            if other is entry or other.block.schedule is not Schedule.POLL:
                other.not_before_s = now

    def _postpone(self, entry: _Entry, now: float) -> None:
        if entry.failures >= FAILURES and (entry.period_s is None or not entry.answered):
            entry.due_s = now + LEFT_OUT_S
        elif entry.period_s is None:
            entry.due_s = now + 1.0  # not at the expense of live blocks
        else:
            entry.due_s = max(entry.due_s + entry.period_s, now)

    def _tried(self, block: Block) -> _Entry:
        entry = next(entry for entry in self._entries if entry.block == block)
        entry.tried = True
        return entry

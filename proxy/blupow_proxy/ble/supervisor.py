"""Keeping one adapter of the system usable: found by name or address, turned on, turned off and on when it is stuck."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Final

from blupow_proxy.errors import AdapterUnavailableError, BleError, BusLostError, DeadlineExceededError

from .bluez import AdapterFacts, Bluez
from .failures import HANGS, NO_SERVICE, OFF, no_adapter
from .rfkill import why_blocked

HEARTBEAT_S: Final = 5.0  # a bluetoothd that hangs is known within this and a call's deadline
ADAPTERS_S: Final = 3.0  # what a bluetoothd takes after its start to tell of its adapters, on a slow machine
RETRY_S: Final = 5.0  # what is missing may be back
RESET_AFTER_S: Final = 90.0  # habluetooth's figure; power cycles more often help nobody
CYCLES: Final = 2  # turning it off and on in vain, before the last resort
RESET_AT_MOST_AFTER_S: Final = 3600.0  # where nothing is to be heard, as at night beside a unit that is off

_LOGGER = logging.getLogger(__name__)


class Supervisor:
    """Watches over the adapter ``wanted`` (a name, an address, or None for any).

    ``adapter`` is the one to use, None while there is none; ``generation`` grows whenever everything that was made with
    it has become worthless; ``problem`` says why Bluetooth can't be used. ``on_change`` is called after each change.
    ``recover`` is the last resort, for what BlueZ itself can't mend.
    """

    def __init__(
        self,
        wanted: str | None,
        on_change: Callable[["Supervisor"], None],
        recover: Callable[[AdapterFacts], Awaitable[bool]] | None = None,
    ) -> None:
        self.adapter: AdapterFacts | None = None
        self.problem: AdapterUnavailableError | None = None
        self.generation = 0
        self._wanted = wanted
        self._on_change = on_change
        self._recover = recover
        self.bluez: Bluez | None = None  # while D-Bus can be used
        self._owner: str | None = None
        self._last_address: str | None = None
        self._news = asyncio.Event()
        self._adapters_due = -inf
        self._refusals = 0  # to be turned on, in a row
        self._reset_reason: str | None = None
        self._resets = 0
        self._reset_at = -inf

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            BusLostError: D-Bus went away; nothing of this process can use it again.
        """
        while True:
            try:
                async with Bluez.opened(self._news.set) as self.bluez:
                    await self._watch(self.bluez)
            except BleError as error:
                self._settle(None, error.message)
            finally:
                self.bluez = None
            await asyncio.sleep(RETRY_S)

    async def disconnect(self, address: str) -> None:
        """End what an earlier process has left connected: such a device is not heard; BleError."""
        if self.bluez is not None:
            await self.bluez.disconnect(address)

    async def connected_devices(self) -> dict[str, str]:
        """Return what is connected to this machine, by whomever, name by address; BleError."""
        return {} if self.bluez is None else await self.bluez.connected_devices()

    def reset(self, reason: str) -> None:
        """Ask for a power cycle: at most every 90 s, and less and less often until something is ``heard``."""
        if self.adapter is not None and asyncio.get_running_loop().time() >= self._reset_at:
            self._reset_reason = reason
            self._news.set()

    def heard(self) -> None:
        """Note that the adapter works."""
        self._reset_reason = None
        if self._resets:
            self._resets = 0
            self._reset_at = min(self._reset_at, asyncio.get_running_loop().time() + RESET_AFTER_S)

    async def _watch(self, bluez: Bluez) -> None:
        owner = None
        while True:
            self._news.clear()
            try:
                if owner is None or owner != bluez.owner:
                    await bluez.load()
                    owner = bluez.owner
                else:
                    await bluez.ping()
                await self._mend(bluez)
            except DeadlineExceededError:
                # its links may outlive that: they find out themselves
                self._settle(self.adapter, HANGS, self._owner)
            except BleError as error:
                if not self._news.is_set() and not bluez.is_closed:  # else there is more to it
                    self._settle(None, error.message, bluez.owner)
            if not bluez.is_closed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self._news.wait()
            if bluez.is_closed:
                raise BusLostError("the system's message bus (D-Bus) went away, and Bluetooth with it")

    async def _mend(self, bluez: Bluez) -> None:
        """Settle on the adapter, after turning it on where it is off, or off and on where that was asked for."""
        in_vain = self._refusals > 1 or self._resets > CYCLES
        adapter = choose(bluez.adapters, self._wanted, self._last_address, last_is_bad=in_vain)
        if adapter is None:
            self._settle(None, self._why_none(bluez.owner), bluez.owner)
            return
        if adapter.address != self._last_address:
            self._last_address = adapter.address
            self._refusals = self._resets = 0
        if not adapter.powered:
            await self._turn_on(bluez, adapter)
        elif self._reset_reason is not None:
            await self._power_cycle(bluez, adapter)
        else:
            self._refusals = 0
            self._settle(adapter, None, bluez.owner)

    def _why_none(self, owner: str | None) -> str | None:
        if owner is None:
            return NO_SERVICE
        now = asyncio.get_running_loop().time()
        if owner != self._owner:
            self._adapters_due = now + ADAPTERS_S
        if now < self._adapters_due:
            return self._message
        return no_adapter(self._wanted)

    async def _turn_on(self, bluez: Bluez, adapter: AdapterFacts) -> None:
        self._settle(None, self._message, bluez.owner)
        try:
            await bluez.power(adapter.path, on=True)
        except BleError as error:
            self._refusals += 1
            if self._refusals > 1:  # at first BlueZ may be about to do it itself
                self._settle(None, _why_off(error), bluez.owner)
                if self._recover is not None and asyncio.get_running_loop().time() >= self._reset_at:
                    self._count_reset()
                    await self._recover(adapter)
        else:
            _LOGGER.info("The Bluetooth adapter %s was off: turned it on", adapter.name)

    async def _power_cycle(self, bluez: Bluez, adapter: AdapterFacts) -> None:
        reason = self._reset_reason
        self._count_reset()
        self._settle(None, self._message, bluez.owner)
        if self._recover is not None and self._resets > CYCLES and await self._recover(adapter):
            return
        _LOGGER.info("%s: turning the Bluetooth adapter %s off and on", reason, adapter.name)
        await bluez.power_cycle(adapter.path)

    def _count_reset(self) -> None:
        pause_s = min(RESET_AFTER_S * 2**self._resets, RESET_AT_MOST_AFTER_S)
        self._reset_at = asyncio.get_running_loop().time() + pause_s
        self._resets += 1

    @property
    def _message(self) -> str | None:
        return None if self.problem is None else self.problem.message

    def _settle(self, adapter: AdapterFacts | None, problem: str | None, owner: str | None = None) -> None:
        before = self.adapter, self._owner, self._message
        if before == (adapter, owner, problem):
            return
        if (self.adapter, self._owner) != (adapter, owner):
            self.generation += 1
            self._reset_reason = None  # of what is no more
        self.adapter, self._owner = adapter, owner
        self.problem = None if problem is None else AdapterUnavailableError("adapter", problem)
        self._on_change(self)


def choose(
    adapters: Mapping[str, AdapterFacts], wanted: str | None, last_address: str | None, *, last_is_bad: bool = False
) -> AdapterFacts | None:
    """Return the adapter of that name or address; of any, the one of ``last_address``, or the first that is on.

    Where the last one ``is_bad``, any other comes before it.
    """
    rank = {last_address: 1 if last_is_bad else -1}
    usable = (one for one in adapters.values() if one.central and wanted in (None, one.name, one.address))
    return min(usable, key=lambda one: (rank.get(one.address, 0), not one.powered, one.index), default=None)


def _why_off(error: BleError) -> str:
    if isinstance(error, DeadlineExceededError):
        return HANGS
    return why_blocked() or (error.message if isinstance(error, AdapterUnavailableError) else OFF)

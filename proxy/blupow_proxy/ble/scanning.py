"""The one run of the scanner, for everybody who wants to hear something: an adapter has no second."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from enum import Enum, IntEnum, auto
from typing import Final, Protocol

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.errors import AdapterUnavailableError, BleError, DeadlineExceededError

from .advertisement import RawAdvertisement, address_number
from .advertising_data import says_something
from .failures import HANGS, bleak_call
from .management import BusyError, Management
from .rebuilding import Rebuilder

START_S: Final = 15.0  # starting discovery on a busy BlueZ takes seconds, a stuck one never ends
STOP_S: Final = 5.0
SILENT_S: Final = 90.0  # habluetooth's figure: beside the quietest of devices, something is heard in that time
TICK_S: Final = 15.0  # how often silence is looked for
RETRY_S: Final = 2.0  # BlueZ refuses a scan for a moment after the last one
RETRY_AT_MOST_AFTER_S: Final = 10.0  # scanning again is promised within a minute: six refusals and a reset
MANAGE_AGAIN_S: Final = 30.0  # a connection takes the kernel 20 s at most

_LOGGER = logging.getLogger(__name__)


class ScannerState(IntEnum):
    """What the scanner is doing, as on the wire."""

    IDLE = 0
    STARTING = 1
    RUNNING = 2
    FAILED = 3
    STOPPING = 4
    STOPPED = 5


class Source(Enum):
    """Where the bytes of an advertisement come from."""

    RAW = auto()
    """The kernel: as received."""
    REBUILT = auto()
    """BlueZ's properties of the device."""


class Search(Protocol):
    """Somebody who waits for one device; scanning is active meanwhile, since names come in scan responses."""

    @property
    def address(self) -> str:
        """The device's, in upper case."""

    @property
    def is_over(self) -> bool:
        """Whether the wait has ended."""

    def heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        """Note the device."""

    def fail(self, error: BleError) -> None:
        """Note that the scan has failed, unless the wait is over."""


class MakeScanner(Protocol):
    """What makes an active scanner; ``every`` asks BlueZ to repeat what has not changed."""

    def __call__(self, detected: Callable[[BLEDevice, AdvertisementData], None], *, every: bool = ...) -> BleakScanner:
        """Return one that has not started."""


class Forwarding:
    """Somebody who is told every advertisement until ``stop``."""

    def __init__(self, scan: "Scan", heard: Callable[[RawAdvertisement], None], on_change: Callable[[], None]) -> None:
        self.heard = heard
        self.on_change = on_change
        self._scan = scan
        self._active = True

    @property
    def active(self) -> bool:
        """Whether scan responses are wanted; others may want them as well."""
        return self._active

    @active.setter
    def active(self, wanted: bool) -> None:
        self._active = wanted
        self._scan.look_again()

    def stop(self) -> None:
        """Be told no more."""
        self._scan.end(self)


class Scan:
    """Scans while there is a forwarding or a search.

    ``usable`` says whether a start is worth trying, ``index`` which controller of the kernel it is, if it is one.
    ``on_heard`` is called with each advertisement that says something, ``on_silence`` with the seconds listened without
    any, ``on_refusal`` with how often in a row scanning could not be started. ``force_stop`` ends what a start that
    failed may have begun.
    """

    def __init__(
        self,
        make_scanner: MakeScanner,
        *,
        usable: Callable[[], bool] = lambda: True,
        index: Callable[[], int | None] = lambda: None,
        force_stop: Callable[[], Awaitable[None]] | None = None,
        on_heard: Callable[[], None] = lambda: None,
        on_silence: Callable[[float], None] = lambda _: None,
        on_refusal: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.state = ScannerState.IDLE
        self.active = False
        self.source = Source.REBUILT
        self._task: asyncio.Task[None] | None = None
        self.searching = asyncio.Event()  # while devices that are searched for can be heard
        self._make_scanner = make_scanner
        self._usable = usable
        self._index = index
        self._force_stop = force_stop
        self._on_heard = on_heard
        self._on_silence = on_silence
        self._on_refusal = on_refusal
        self._forwardings: tuple[Forwarding, ...] = ()
        self._searches: list[Search] = []
        self._searched: dict[int, list[Search]] = {}
        self._rebuilder = Rebuilder()
        self._renew = asyncio.Event()
        self._scanner: BleakScanner | None = None
        self._management: Management | None = None
        self._unmanaged: int | None = None  # the controller whose advertisements can't be had from the kernel
        self._repeats = False
        self._pausing = False
        self._is_stale = False  # the kernel's channel: what was asked of it may be forgotten
        self._told: object = None
        self._started_s: float | None = None
        self._life_s = 0.0  # when something was heard
        self._told_s = 0.0  # when BlueZ has told of a device
        self._restarts = 0  # after silence, in a row
        self._listened_s = 0.0
        self._refusals = 0

    @property
    def forwards(self) -> bool:
        """Whether somebody is told every advertisement, or would be."""
        return bool(self._forwardings)

    def forward(self, heard: Callable[[RawAdvertisement], None], on_change: Callable[[], None]) -> Forwarding:
        """Tell every advertisement to ``heard``, and with ``on_change`` that state, mode or source are others."""
        forwarding = Forwarding(self, heard, on_change)
        self._forwardings = (*self._forwardings, forwarding)
        self._go()
        return forwarding

    def end(self, forwarding: Forwarding) -> None:
        """Forget a forwarding."""
        self._forwardings = tuple(one for one in self._forwardings if one is not forwarding)
        self.look_again()

    def join(self, search: Search) -> asyncio.Future[None]:
        """Scan actively from now on, in what is returned; what is heard of the device is told to ``search``."""
        self._searches.append(search)
        self._searched.setdefault(address_number(search.address), []).append(search)
        if self._scanner is not None and not self._forwardings:
            # BlueZ tells what this scan has heard already only anew when its signal is much stronger or weaker; of a
            # scan that goes on for long, that may be long ago, and everything is told again anyway
            for device, data in self._scanner.discovered_devices_and_advertisement_data.values():
                self._tell(device, data)
        return self._go()

    def leave(self, search: Search, since_s: float) -> None:
        """Forget a search, which has heard nothing until now if it is not over."""
        self._searches.remove(search)
        others = self._searched[address_number(search.address)]
        others.remove(search)
        if not others:
            del self._searched[address_number(search.address)]
        # also when others go on: a scanner that lost its bluetoothd hears nothing and says nothing
        if not search.is_over and self._is_doubtful(since_s):
            self._renew.set()
        self.look_again()

    def start_anew(self, error: BleError) -> None:
        """Forget what was before, and end every search with ``error``."""
        self._refusals = self._restarts = 0
        self._listened_s = 0.0
        self._unmanaged = None
        self._is_stale = True
        self._fail(error)

    def look_again(self) -> None:
        """End the run that does not serve any more what is wanted now, or can be had."""
        if self._pausing or (self._started_s is not None and not self._serves()):
            self._renew.set()

    def _go(self) -> asyncio.Task[None]:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)
        self.look_again()
        return self._task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Start again after what nobody foresaw: who searches hears of it, and others never would."""
        if not task.cancelled() and (error := task.exception()) is not None and self._forwardings:
            _LOGGER.error("The scan broke down; it starts again in %g s", RETRY_AT_MOST_AFTER_S, exc_info=error)
            asyncio.get_running_loop().call_later(RETRY_AT_MOST_AFTER_S, self._again)

    def _again(self) -> None:
        if self._is_wanted:
            self._go()

    @property
    def _is_wanted(self) -> bool:
        return bool(self._forwardings) or self._is_searching

    @property
    def _is_searching(self) -> bool:
        return any(not search.is_over for search in self._searches)

    @property
    def _wants_active(self) -> bool:
        return self._is_searching or any(forwarding.active for forwarding in self._forwardings)

    def _serves(self) -> bool:
        """Whether the run is what would be started now."""
        if not self._is_wanted:
            return False
        if not self._forwardings:
            return self._scanner is not None
        managed = self._management
        if (None if managed is None else managed.index) != self._manageable:
            return False
        if managed is None and self.active and not self._repeats:
            return False  # it was started for searches alone
        return self.active != self._is_to_be_passive and (not self._is_searching or self._scanner is not None)

    @property
    def _is_to_be_passive(self) -> bool:
        managed = self._management
        return not self._wants_active and managed is not None and managed.passive

    @property
    def _manageable(self) -> int | None:
        """The controller whose advertisements are to come from the kernel."""
        index = self._index() if self._forwardings else None
        return None if index == self._unmanaged else index

    def _is_doubtful(self, since_s: float) -> bool:
        """Whether the run may be why a search from ``since_s`` on was in vain."""
        if not self._forwardings:
            return True
        young = self._started_s is None or time.monotonic() - self._started_s < SILENT_S
        return self._told_s < since_s and not young

    def _fail(self, error: BleError) -> None:
        """End every search with ``error``, and the scan with them."""
        for search in self._searches:
            search.fail(error)
        self._renew.set()

    async def _run(self) -> None:
        try:
            while self._is_wanted or self._management is not None:
                if self._is_wanted:
                    await self._once()
                else:
                    await self._unmanage()
        finally:
            self._task = None
            await self._unmanage()  # after what nobody foresaw
            if self._task is None:
                self._note(ScannerState.FAILED if self._forwardings else ScannerState.STOPPED)

    async def _once(self) -> None:
        self._renew.clear()
        if self._is_searching or self._usable():
            await self._manage()
            await self._listen()
        else:
            at_first = self.state is ScannerState.IDLE  # the adapter is being looked for
            self._note(ScannerState.STARTING if at_first else ScannerState.FAILED)
            await self._pause(None)

    async def _pause(self, at_most_s: float | None) -> None:
        self._pausing = True
        try:
            async with asyncio.timeout(at_most_s):
                await self._renew.wait()
        except TimeoutError:
            pass
        finally:
            self._pausing = False

    async def _listen(self) -> None:
        """Scan until something else is wanted, or nothing was heard for long."""
        managed = self._management
        self.active = not self._is_to_be_passive
        self.source = Source.REBUILT if managed is None else Source.RAW
        self._note(ScannerState.STARTING)
        if not self.active:
            await self._stay()  # the kernel scans by itself
            return
        try:
            await self._discover()
        except BleError as error:
            await self._refused(error)

    async def _discover(self) -> None:
        """Scan with BlueZ; BleError when that can't start."""
        self._repeats = bool(self._forwardings) and self._management is None
        options = {"every": True} if self._repeats else {}
        scanner = self._make_scanner(self._detected, **options)
        started = False
        try:
            async with bleak_call("adapter", "scan", START_S):
                await scanner.start()
            started = True
            self._scanner = scanner
            self._refusals = 0
            self.searching.set()
            if self._management is not None:
                # bluetoothd has not noticed where the kernel stopped while a connection was set up, and does nothing
                await self._management.begin_discovery()
            await self._stay()
        finally:
            self.searching.clear()
            self._scanner = None
            with contextlib.suppress(BleError):  # it is not used again, whether it has stopped or not
                async with bleak_call("adapter", "end of scan", STOP_S):
                    await scanner.stop()
                    if not started and self._force_stop is not None:
                        await self._force_stop()

    async def _stay(self) -> None:
        """Be running until the run is to end."""
        started_s = self._started_s = time.monotonic()
        self._note(ScannerState.RUNNING)
        self.look_again()  # what is wanted may have changed meanwhile
        try:
            while not self._renew.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await self._renew.wait()
                silent_s = time.monotonic() - max(started_s, self._life_s)
                if self._forwardings and silent_s >= SILENT_S and not self._renew.is_set():
                    self._restarts += 1
                    self._is_stale = True
                    _LOGGER.info("Nothing was heard for %.0f s: scanning anew", silent_s)
                    break
        finally:
            self._note(ScannerState.STOPPING)
            self._started_s = None
            self._listened_s += time.monotonic() - started_s
            if self._restarts != 1:  # a new start may help, and costs less than what comes next
                self._on_silence(self._listened_s)

    async def _refused(self, error: BleError) -> None:
        if isinstance(error, DeadlineExceededError):
            error = AdapterUnavailableError("adapter", HANGS)
        elif not isinstance(error, AdapterUnavailableError):
            error = AdapterUnavailableError("adapter", error.message)
        self._refusals += 1
        if self._management is not None:  # what a bluetoothd that was killed has begun goes on for ten seconds
            await self._management.end_discovery()
        self._on_refusal(self._refusals)
        self._fail(error)
        if not self._forwardings:
            return
        self._note(ScannerState.FAILED)
        self._renew.clear()
        await self._pause(min(RETRY_S * 2 ** min(self._refusals - 1, 8), RETRY_AT_MOST_AFTER_S))

    async def _manage(self) -> None:
        """Open the kernel's channel where that is wanted and can be."""
        index = self._manageable
        stale, self._is_stale = self._is_stale, False
        if self._management is not None and (stale or self._management.index != index):
            await self._unmanage()
        if index is None or self._management is not None:
            return
        try:
            self._management = await Management.open(index, self._received, self._lost)
        except AdapterUnavailableError as error:
            self._unmanaged = index
            _LOGGER.info("Advertisements are told from what BlueZ makes of them: %s", error.message)
            if isinstance(error, BusyError):
                asyncio.get_running_loop().call_later(MANAGE_AGAIN_S, self._manage_again)

    def _manage_again(self) -> None:
        self._unmanaged = None
        self.look_again()

    async def _unmanage(self) -> None:
        management, self._management = self._management, None
        if management is not None:
            await management.close()

    def _lost(self) -> None:
        self._management = None
        self._renew.set()

    def _note(self, state: ScannerState) -> None:
        self.state = state
        told, self._told = self._told, (state, self.active, self.source)
        if told == self._told:
            return
        for forwarding in self._forwardings:
            forwarding.on_change()

    def _received(self, advertisement: RawAdvertisement) -> None:
        """Take what the kernel has heard."""
        if says_something(advertisement.data):
            self._alive()
        searches = self._searched.get(advertisement.address)
        if searches and self._scanner is not None:
            known = self._scanner.discovered_devices_and_advertisement_data
            if (found := known.get(searches[0].address)) is not None:
                self._tell(found[0], found[1]._replace(rssi=advertisement.rssi))
        for forwarding in self._forwardings:
            forwarding.heard(advertisement)

    def _detected(self, device: BLEDevice, data: AdvertisementData) -> None:
        """Take what BlueZ tells of a device."""
        self._told_s = time.monotonic()
        if data.local_name or data.service_uuids or data.manufacturer_data or data.service_data:
            self._alive()  # some adapters, once stuck, go on with empty advertisements
        self._tell(device, data)
        if self._forwardings and self._management is None:
            advertisement = self._rebuilder.rebuild(device, data, repeats=self._repeats)
            if advertisement is not None:
                for forwarding in self._forwardings:
                    forwarding.heard(advertisement)

    def _alive(self) -> None:
        self._life_s = time.monotonic()
        self._listened_s = 0.0
        self._restarts = 0
        self._on_heard()

    def _tell(self, device: BLEDevice, data: AdvertisementData) -> None:
        for search in self._searched.get(address_number(device.address), ()):
            search.heard(device, data)

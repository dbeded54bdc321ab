"""The composition root: builds the parts, connects them, ends them in order."""

import asyncio
import contextlib
import logging
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from blupow_config import ConfigErrors, ProxyConfig, UnitConfig, area_id, config_hash
from blupow_proxy import __version__
from blupow_proxy.actions import CAPTURE_FRAMES, REFRESH, run_action
from blupow_proxy.ble import CONNECTING_S, Adapter, Link
from blupow_proxy.clock import Clock
from blupow_proxy.discovery import Announcer
from blupow_proxy.errors import AdapterUnavailableError, BleError, BusLostError, NativeApiError
from blupow_proxy.forwarding import bluetooth_info, heard_how, make_bluetooth_proxy
from blupow_proxy.host import SAFE_MODE_S, Notifier, Report, cpu_temperature_c, wifi_signal_dbm
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.native_api import Area, Command, Entity, Mode, Node, NodeInfo, State
from blupow_proxy.own_sensors import OwnSensors, Source
from blupow_proxy.poller import ATTEMPT_S, Poller, Unit, UnitSpec
from blupow_proxy.profiles import Profiles
from blupow_proxy.proxy_entities import ProxyEntities
from blupow_proxy.renogy import Family
from blupow_proxy.server import ApiServer, LogForwarder
from blupow_proxy.storage import Storage, stable_mac
from blupow_proxy.unit_entities import UnitEntities
from blupow_proxy.visited import Visited

ESPHOME_VERSION: Final = "2026.10.0"  # whose behaviour ours equals; Home Assistant warns of versions that are too old
PROJECT_NAME: Final = "blupow.renogy-proxy"
COMPANION: Final = "blupow companion"  # how the companion's client info starts, in whatever case
TICK_S: Final = 1.0  # how exactly a stale value goes
ASK_TIME_S: Final = 3600.0  # a clock that nobody sets drifts seconds a day
KEYS_S: Final = 5.0  # how soon a request to pair is noticed
RELIST_AFTER_S: Final = 3.0  # quiet after the last news, so that units found together are listed together
RELIST_WITHIN_S: Final = 15.0  # and no client waits longer for a unit that was found
LOOK_AGAIN_S: Final = 30.0  # for what was left connected, while Bluetooth can't be asked: its users miss it
FAILED_PAUSE_S: Final = 5.0  # before a part that broke down starts again
SHUTDOWN_S: Final = 6.0  # for links, which BlueZ ends within 3 s, clients and the goodbye, all at once

_LOGGER = logging.getLogger(__name__)


class Outcome(Enum):
    """Why the proxy ended."""

    STOPPED = auto()
    RESTART = auto()
    BUS_LOST = auto()
    SAFE_MODE_OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the proxy runs; the defaults are those of a real host, without systemd.

    ``safe_mode`` says why Bluetooth is left alone; ``on_good`` is called once the start has proven to be a good one.
    ``read_config`` returns the configuration that a new start would take, or raises ConfigErrors; None: the same one.
    """

    storage: Storage
    adapter: Adapter | None = None
    host: str | None = None
    interfaces: Sequence[str] | None = None
    notifier: Notifier = field(default_factory=lambda: Notifier({}))
    safe_mode: str | None = None
    on_good: Callable[[], None] = lambda: None
    read_config: Callable[[], ProxyConfig] | None = None


class Proxy:
    """One proxy: ``start`` it, let it ``serve`` until stopped; what it serves is on ``server.port``."""

    def __init__(self, config: ProxyConfig, around: Surroundings) -> None:
        storage = around.storage
        self.config = config
        self.keys = FileKeyStore(storage, encryption=config.api.encryption, configured=config.api.key)
        self.node = Node(_node_info(config, stable_mac(storage, config.esphome.name)))
        self.node.actions += [REFRESH, CAPTURE_FRAMES]
        self.node.bluetooth = bluetooth_info(config, self.node.info.mac)
        self.server = ApiServer(self.node, self.keys, host=around.host, port=config.api.port)
        self.server.on_command = self._command
        self.server.on_action = self._action
        self.server.on_proven = self._proven
        self.server.on_time = self._time_received
        self._clock = Clock()
        self.pollers: list[Poller[Link]] = []
        self.units: list[Unit] = []
        self._profiles = Profiles(storage)
        self._started_s = time.monotonic()
        self._entities = ProxyEntities(
            self.node,
            uptime=all(one.platform != "uptime" for one in config.sensors),
            forwards=config.bluetooth_proxy is not None,
        )
        self._own_sensors = OwnSensors(self.node, config.sensors, self._sources())
        self._unit_entities: dict[str, UnitEntities] = {}
        self._poller_of: dict[str, Poller[Link]] = {}
        self._started = asyncio.Event()
        self._stop = asyncio.Event()
        self._outcome = Outcome.STOPPED
        self._relist: set[str] = set()
        self._listed = asyncio.Event()
        self._relist_at = 0.0
        self._relist_asked = 0.0
        bluetooth = config.bluetooth
        self._adapter = around.adapter or Adapter(bluetooth.adapter, auto_recovery=bluetooth.auto_recovery)
        self._adapter.on_change = self._adapter_changed
        self._adapter_trouble: AdapterUnavailableError | None = None  # that a link has met
        self._adapter.left_alone = around.safe_mode is not None
        self._build_units(config.renogy, self._adapter)
        self._visited = Visited(storage, self._adapter.has_link)
        self._bluetooth_proxy = make_bluetooth_proxy(
            config, self._adapter, self._visited, active=around.safe_mode is None
        )
        if self._bluetooth_proxy is not None:
            self.server.on_bluetooth = self._bluetooth_proxy.asked
            self.server.on_gone = self._bluetooth_proxy.gone
        self._notifier = around.notifier
        self._safe_mode = around.safe_mode
        self.report = Report(around.notifier, self.pollers, around.on_good)
        self._announcer = Announcer(
            self.node.info,
            self.keys,
            port=config.api.port,
            esphome=config.zeroconf.esphome,
            config_hash=config_hash(config) if config.given else None,  # a demo's configuration stands in no file
            companion_seen=(storage.read("companion") or {}).get("seen") is True,
            interfaces=around.interfaces,
            on_renamed=self._renamed,
        )
        self.server.on_key_changed = self._announcer.update
        self._storage = storage
        self._read_config = around.read_config or (lambda: config)

    def config_again(self, done: str) -> ProxyConfig | None:
        """Return what a new start would take; None when it has mistakes, which are said: nothing is ``done`` then."""
        try:
            config = self._read_config()
        except ConfigErrors as errors:
            for error in errors.errors:
                _LOGGER.error("Not %s: %s", done, error)  # noqa: TRY400 - foreseen
            self.report.troubles["reload"] = f"not {done}, the configuration before is in use: {errors.errors[0]}"
            return None
        self.report.troubles.pop("reload", None)
        return config

    def stop(self, outcome: Outcome = Outcome.STOPPED) -> None:
        """Make ``serve`` return; who is told to end for good does not start again."""
        if outcome is Outcome.STOPPED or not self._stop.is_set():
            self._outcome = outcome
        self._stop.set()

    async def all_listed(self) -> None:
        """Wait until every unit is known and its entities are listed."""
        await self._listed.wait()

    async def start(self) -> None:
        """Listen; OSError when the port is taken."""
        asyncio.get_running_loop().set_exception_handler(self.server.loop_failed)
        await self.server.start()
        self._announcer.port = self.server.port
        self._started.set()
        self._notifier.ready()

    async def serve(self) -> Outcome:
        """Read, announce and serve until ``stop``; whatever breaks down starts again. May precede ``start``."""
        self._show_adapter()
        for unit in self.units:
            self._show(unit)
        self._note_listed()
        forwarder = LogForwarder(self.server.log)
        root = logging.getLogger("blupow_proxy")
        root.addHandler(forwarder)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_supervise(name, run)) for name, run in self._parts()]
                await self._stop.wait()
                if self._outcome is Outcome.STOPPED:
                    self._notifier.stopping()
                elif self._outcome is not Outcome.BUS_LOST:
                    self._notifier.reloading()
                await self._end(tasks)
        finally:
            root.removeHandler(forwarder)
        return self._outcome

    def _parts(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("The clock", self._tick),
            ("The report", self.report.run),
        ]
        if self.config.zeroconf.enabled:
            parts.append(("The announcement", self._announce))
        if self._safe_mode is not None:
            return [("Safe mode", self._stay_in_safe_mode), *parts]
        parts.append(("Bluetooth", self._watch_adapter))
        parts.append(("What was left connected", self._end_old_connections))
        return parts + [(poller.units[0].spec.name, poller.run) for poller in self.pollers]

    async def _stay_in_safe_mode(self) -> None:
        """Say so; the units stay listed, since Home Assistant forgets what is not, with the names that users gave."""
        reason = f"Bluetooth is {self._safe_mode}"
        self.report.troubles["safe mode"] = reason
        self._adapter_failed(AdapterUnavailableError("adapter", str(self._safe_mode)))
        for unit in self.units:
            unit.down(reason, quiet=True)
        while not self._stop.is_set():
            await asyncio.sleep(SAFE_MODE_S)
            if self.config_again("restarted") is not None:
                self.stop(Outcome.SAFE_MODE_OVER)

    async def _watch_adapter(self) -> None:
        try:
            await self._adapter.run()
        except BusLostError as error:
            _LOGGER.error("%s: ending, to be started again", error)  # noqa: TRY400 - foreseen
            self.stop(Outcome.BUS_LOST)

    async def _end_old_connections(self) -> None:
        """Free the devices that an earlier process has left connected for clients, whenever the adapter is another."""
        while True:
            try:
                await self._adapter.ready()
                await self._visited.let_go(self._adapter.end_old_connections)
            except BleError as error:
                _LOGGER.debug("%s", error)
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                await self._adapter.renewed()

    def _adapter_changed(self) -> None:
        if self._adapter.usable:
            self._adapter_trouble = None
            for poller in self.pollers:
                poller.adapter_back()
        self._show_adapter()

    def _adapter_failed(self, error: AdapterUnavailableError | None) -> None:
        self._adapter_trouble = error
        self._show_adapter()

    def _show_adapter(self) -> None:
        problem = self._adapter.problem or self._adapter_trouble
        if problem is not None or self._adapter.usable:  # else it is about to be known
            self._entities.show_adapter(problem)

    async def _announce(self) -> None:
        await self._started.wait()
        await self._announcer.run()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Give the links back, tell the clients, say goodbye."""
        for task in tasks:
            task.cancel()
        ends = [asyncio.wait(tasks), self.server.stop(), self._announcer.stop(), asyncio.to_thread(self._storage.flush)]
        if self._bluetooth_proxy is not None:
            ends.append(self._bluetooth_proxy.stop())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_S):
                await asyncio.gather(*ends)

    def _build_units(self, configs: Sequence[UnitConfig], adapter: Adapter) -> None:
        by_address = sorted(configs, key=lambda config: config.address)
        # set-ups are one at a time: each other unit may take its time first
        connect_s = ATTEMPT_S + CONNECTING_S * (len({config.address for config in configs}) - 1)
        for address, members in groupby(by_address, key=lambda config: config.address):
            units = [self._build_unit(config) for config in members]

            def open_link(on_push: Callable[[bytes], None], address: str = address) -> Link:
                return Link(adapter, address, on_push=on_push)

            poller = Poller(open_link, units, on_adapter=self._adapter_failed, connect_s=connect_s)
            self.pollers.append(poller)
            self._poller_of.update({unit.spec.id: poller for unit in units})
        # listed as configured, whichever address comes first
        built = {unit.spec.id: unit for poller in self.pollers for unit in poller.units}
        self.units = [built[config.id] for config in configs]
        for unit, config in zip(self.units, configs, strict=True):
            wishes = {one.key: one.entity for one in self.config.readings if one.unit_id == unit.spec.id}
            self._unit_entities[unit.spec.id] = UnitEntities(self.node, unit, wishes=wishes, shown=config.entities)

    def _build_unit(self, config: UnitConfig) -> Unit:
        spec = UnitSpec(
            id=config.id,
            name=config.name,
            address=config.address,
            family=None if config.family == "auto" else Family(config.family),
            variant=config.variant,
            modbus_address=config.modbus_address,
            interval_s=config.update_interval_s,
            load_switch=config.load_switch,
            area=area_id(config.area),
        )
        return Unit(
            spec,
            self._profiles.get(spec.id),
            on_change=self._show,
            on_profile=self._learned,
            wall_clock=self._clock.now,
        )

    def _show(self, unit: Unit) -> None:
        entities = self._unit_entities.get(unit.spec.id)
        if entities is not None:
            entities.publish(released=self._poller_of[unit.spec.id].released)

    def _learned(self, unit: Unit) -> None:
        """A unit is better known: remember it, and list it anew soon."""
        now = asyncio.get_running_loop().time()
        if not self._relist:
            self._relist_asked = now
        self._relist.add(unit.spec.id)
        self._relist_at = min(now + RELIST_AFTER_S, self._relist_asked + RELIST_WITHIN_S)
        self._profiles.put(unit.spec.id, unit.profile)
        if not self.server.session_count:
            self._list_anew()

    def _list_anew(self) -> None:
        units = [unit for unit in self.units if unit.spec.id in self._relist]
        self._relist.clear()
        for unit in units:
            self._unit_entities[unit.spec.id].relist(released=self._poller_of[unit.spec.id].released)
            _LOGGER.info("%s: %d readings", unit.spec.name, len(unit.profile.keys) if unit.profile else 0)
        self.server.list_again()
        self._note_listed()

    def _note_listed(self) -> None:
        if all(unit.profile is not None and unit.profile.keys for unit in self.units):
            self._listed.set()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        keys_at = ask_time_at = loop.time()
        while True:
            now = loop.time()
            for unit in self.units:
                unit.expire(now)
            if self._relist and now >= self._relist_at and not self._had_better_wait(now):
                self._list_anew()
            if now >= keys_at:
                keys_at = now + KEYS_S
                if self.keys.poll():
                    self.server.disconnect_all()
                    self._announcer.update()
            if now >= ask_time_at:
                ask_time_at = now + ASK_TIME_S
                self.server.ask_time()
            self._entities.show_process(self._uptime_s(), self.server.session_count)
            self._entities.show_scanner(heard_how(self._adapter))
            self._own_sensors.update(now, self._named_states())
            self._visited.save(now)
            self._entities.show_clock(wrong=self._clock.wrong)
            await asyncio.sleep(TICK_S)

    def _had_better_wait(self, now: float) -> bool:
        """Whether clients that have to go now would lose devices that they use: for a while, they may go on."""
        in_use = self._bluetooth_proxy is not None and self._bluetooth_proxy.in_use
        return in_use and now < self._relist_asked + RELIST_WITHIN_S

    def _uptime_s(self) -> float:
        return time.monotonic() - self._started_s

    def _sources(self) -> dict[str, Source]:
        return {
            "uptime": lambda: float(int(self._uptime_s())),
            "cpu_temperature": cpu_temperature_c,
            "internal_temperature": cpu_temperature_c,
            "wifi_signal": wifi_signal_dbm,
        }

    def _named_states(self) -> dict[str, State | None]:
        """Return the states that formulas may ask for."""
        named: dict[str, State | None] = {}
        for entities in self._unit_entities.values():
            named |= entities.named
        return named

    async def _command(self, entity: Entity, command: Command) -> None:
        if entity == self._entities.restart:
            _LOGGER.info("Restart was pressed")
            if self.config_again("restarted") is not None:
                self.stop(Outcome.RESTART)
            return
        for unit in self.units:
            entities, poller = self._unit_entities[unit.spec.id], self._poller_of[unit.spec.id]
            if entity == entities.release:
                poller.release(released=bool(command))
                for member in poller.units:
                    self._show(member)
            elif entity == entities.load:
                await poller.switch_load(unit, on=bool(command))

    async def _action(self, action: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._safe_mode is not None:
            raise NativeApiError(f"Bluetooth is {self._safe_mode}")
        return await run_action(self.pollers, action, arguments)

    @property
    def _trusting(self) -> bool:
        """Whether clients are trusted: they have the key, or the user wants none."""
        return self.keys.mode in (Mode.ENCRYPTED, Mode.PLAINTEXT)

    def _time_received(self, epoch_s: int) -> None:
        if self._trusting and self.config.time.platform == "homeassistant":
            self._clock.heard(epoch_s)

    def _proven(self, client_info: str) -> None:
        if self._trusting and client_info.casefold().startswith(COMPANION):
            self._storage.write_soon("companion", {"seen": True})
            self._announcer.companion_authenticated()

    def _renamed(self, name: str) -> None:
        self.node.info = replace(self.node.info, name=name)


async def _supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a part for ever; the one place that catches what nobody foresaw."""
    breakdowns = 0
    while True:
        try:
            await run()
        except Exception:
            breakdowns += 1
            _LOGGER.exception("%s broke down (%d times); starting it again", name, breakdowns)
        await asyncio.sleep(FAILED_PAUSE_S)


def _node_info(config: ProxyConfig, mac: str) -> NodeInfo:
    areas = (config.esphome.area, *(unit.area for unit in config.renogy))
    names = dict.fromkeys(area for area in areas if area)
    return NodeInfo(
        name=config.esphome.name,
        friendly_name=config.esphome.friendly_name,
        mac=mac,
        model=_host_model(),
        manufacturer="BluPow",
        esphome_version=ESPHOME_VERSION,
        project_name=PROJECT_NAME,
        project_version=__version__,
        suggested_area=config.esphome.area,
        areas=tuple(Area(area_id(name), name) for name in names),
    )


def _host_model() -> str:
    """Return what this host is, such as "Raspberry Pi 4 Model B Rev 1.5"."""
    try:
        return Path("/sys/firmware/devicetree/base/model").read_text("ascii").strip("\0 \n")
    except (OSError, UnicodeDecodeError):
        return f"{platform.system()} {platform.machine()}"

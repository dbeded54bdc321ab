"""Proxies that are there only for the client: what the real one's library would find on the wire."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import MagicMock

from aioesphomeapi import (
    APIVersion,
    BadMACAddressAPIError,
    BinarySensorInfo,
    BinarySensorState,
    BluetoothScannerMode,
    BluetoothScannerState,
    BluetoothScannerStateResponse,
    DeviceInfo,
    EncryptionPlaintextAPIError,
    EntityInfo,
    EntityState,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
    SelectInfo,
    SelectState,
    SensorInfo,
    SensorState,
    SensorStateClass,
    SocketAPIError,
    SwitchInfo,
    SwitchState,
    TextInfo,
    TextSensorInfo,
    TextSensorState,
    TextState,
    UserService,
)
from aioesphomeapi.api_pb2 import BluetoothLERawAdvertisementsResponse
from aioesphomeapi.core import ConnectionNotEstablishedAPIError
from aioesphomeapi.model import ButtonInfo, EntityCategory, ExecuteServiceResponse

from custom_components.blupow.wire import unique_id
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir

MAC = "02:00:00:00:00:01"
OTHER_MAC = "02:00:00:00:00:02"
HOST = "192.0.2.1"
PORT = 6053
KEY = b64encode(bytes(range(32))).decode()
OTHER_KEY = b64encode(bytes(range(1, 33))).decode()
ZERO_KEY = b64encode(bytes(32)).decode()

ROVER = 0x1001  # ids of units on the wire
BATTERY = 0x1002


def device_info(**changes: Any) -> DeviceInfo:
    """What a proxy with two units says of itself."""
    info = DeviceInfo(
        name="solar-shed",
        friendly_name="Solar shed",
        mac_address=MAC.upper(),
        model="Raspberry Pi 4 Model B",
        manufacturer="BluPow",
        esphome_version="2026.10.0",
        project_name="blupow.renogy-proxy",
        project_version="0.1.0",
        suggested_area="Garden",
        areas=[{"area_id": 7, "name": "Shed"}],
        devices=[
            {"device_id": ROVER, "name": "Rover", "area_id": 7},
            {"device_id": BATTERY, "name": "Battery", "area_id": 0},
        ],
    )
    return replace(info, **changes)


def key_of(object_id: str) -> int:
    """ESPHome's FNV-1 of an object id."""
    key = 2166136261
    for byte in object_id.encode():
        key = (key * 16777619 & 0xFFFFFFFF) ^ byte
    return key


def info[InfoT: EntityInfo](kind: type[InfoT], name: str, device_id: int = 0, **more: Any) -> InfoT:
    """List an entity as the client does."""
    object_id = "".join(char if char.isalnum() or char in "-_" else "_" for char in name.lower())
    return kind(object_id=object_id, key=key_of(object_id), name=name, device_id=device_id, **more)


DIAGNOSTIC = {"entity_category": EntityCategory.DIAGNOSTIC}


def link_infos(device_id: int) -> list[EntityInfo]:
    """List what every unit has."""
    return [
        info(BinarySensorInfo, "Link", device_id, device_class="connectivity", **DIAGNOSTIC),
        info(TextSensorInfo, "Link status", device_id, icon="mdi:bluetooth-settings", **DIAGNOSTIC),
        info(
            SensorInfo,
            "Signal strength",
            device_id,
            unit_of_measurement="dBm",
            device_class="signal_strength",
            state_class=SensorStateClass.MEASUREMENT,
            **DIAGNOSTIC,
        ),
        info(TextSensorInfo, "Last reading", device_id, device_class="timestamp", **DIAGNOSTIC),
        info(SwitchInfo, "Release link", device_id, entity_category=EntityCategory.CONFIG),
    ]


def measurement(name: str, device_id: int, unit: str, device_class: str, decimals: int = 1) -> SensorInfo:
    """List a measured value."""
    return info(
        SensorInfo,
        name,
        device_id,
        unit_of_measurement=unit,
        device_class=device_class,
        state_class=SensorStateClass.MEASUREMENT,
        accuracy_decimals=decimals,
    )


def entity_infos() -> list[EntityInfo]:
    """List what the proxy and its two units have."""
    return [
        info(BinarySensorInfo, "Bluetooth adapter", device_class="problem", **DIAGNOSTIC),
        info(TextSensorInfo, "Bluetooth adapter status", icon="mdi:bluetooth", **DIAGNOSTIC),
        info(BinarySensorInfo, "Clock", device_class="problem", **DIAGNOSTIC),
        info(ButtonInfo, "Restart", device_class="restart", entity_category=EntityCategory.CONFIG),
        info(TextSensorInfo, "Model", ROVER, **DIAGNOSTIC),
        info(TextSensorInfo, "Serial number", ROVER, **DIAGNOSTIC),
        measurement("Battery voltage", ROVER, "V", "voltage"),
        measurement("PV power", ROVER, "W", "power", 0),
        info(
            SensorInfo,
            "Energy generated total",
            ROVER,
            unit_of_measurement="kWh",
            device_class="energy",
            state_class=SensorStateClass.TOTAL_INCREASING,
            accuracy_decimals=3,
        ),
        info(TextSensorInfo, "Charging state", ROVER),
        info(SwitchInfo, "Load", ROVER, device_class="outlet"),
        *link_infos(ROVER),
        measurement("Battery power", BATTERY, "W", "power"),
        measurement("Cell voltage 1", BATTERY, "V", "voltage"),
        measurement("Cell voltage 2", BATTERY, "V", "voltage"),
        *link_infos(BATTERY),
    ]


def state_of(listed: EntityInfo, value: Any) -> EntityState:
    """Give an entity a value; None is a missing one."""
    kinds: dict[type[EntityInfo], type[EntityState]] = {
        BinarySensorInfo: BinarySensorState,
        SelectInfo: SelectState,
        SensorInfo: SensorState,
        SwitchInfo: SwitchState,
        TextInfo: TextState,
        TextSensorInfo: TextSensorState,
    }
    state: dict[str, Any] = {"missing_state": True} if value is None else {"state": value}
    return kinds[type(listed)](key=listed.key, device_id=listed.device_id, **state)


VALUES: dict[tuple[int, str], Any] = {
    (0, "bluetooth_adapter"): False,
    (0, "bluetooth_adapter_status"): "ready",
    (0, "clock"): False,
    (ROVER, "model"): "RNG-CTRL-RVR40",
    (ROVER, "serial_number"): "15010421",
    (ROVER, "battery_voltage"): 13.199999809265137,
    (ROVER, "pv_power"): 332.0,
    (ROVER, "energy_generated_total"): 412.3720092773437,
    (ROVER, "charging_state"): "mppt",
    (ROVER, "load"): True,
    (BATTERY, "battery_power"): 360.0,
    (BATTERY, "cell_voltage_1"): 3.299999952316284,
    (BATTERY, "cell_voltage_2"): None,
    **{
        (unit, object_id): value
        for unit in (ROVER, BATTERY)
        for object_id, value in {
            "link": True,
            "link_status": "connected",
            "signal_strength": -61.0,
            "last_reading": "2026-11-25T12:00:00+00:00",
            "release_link": False,
        }.items()
    },
}


@dataclass
class FakeProxy:
    """A proxy; its attributes may be changed at any time."""

    info: DeviceInfo = field(default_factory=device_info)
    infos: list[EntityInfo] = field(default_factory=entity_infos)
    actions: list[UserService] = field(
        default_factory=lambda: [
            UserService(name="refresh", key=1),
            UserService(name="capture_frames", key=2, args=[{"name": "unit", "type": 3}]),
        ]
    )
    values: dict[tuple[int, str], Any] = field(default_factory=lambda: dict(VALUES))
    key: str = KEY  # empty: plaintext
    reachable: bool = True
    closed: bool = False  # says hello and goodbye, as one that nobody has paired in time
    hangs: bool = False  # says nothing
    silent: bool = False  # says hello, and nothing more
    accepts_key: bool = True
    answer: ExecuteServiceResponse | None = field(
        default_factory=lambda: ExecuteServiceResponse(success=True, response_data=b'{"units": {"Rover": "refreshed"}}')
    )
    clients: list[FakeClient] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)  # the commands and actions that came
    asked: list[str] = field(default_factory=list)  # what of its Bluetooth was ever subscribed
    modes: list[BluetoothScannerMode] = field(default_factory=list)  # how it was told to scan

    @property
    def connected(self) -> list[FakeClient]:
        return [client for client in self.clients if client.is_connected]

    @property
    def subscribed(self) -> list[str]:
        """What of its Bluetooth is subscribed now."""
        return sorted(what for client in dict.fromkeys(self.connected) for what in client.subscribed)

    def advertise(self, address: int, data: bytes) -> None:
        """Forward an advertisement to whoever has subscribed."""
        message = BluetoothLERawAdvertisementsResponse()
        message.advertisements.add(address=address, rssi=-60, address_type=1, data=data)
        for client in dict.fromkeys(self.connected):
            if "advertisements" in client.subscribed:
                client.subscribed["advertisements"](message)

    def listed(self, object_id: str, device_id: int = 0) -> EntityInfo:
        return next(info for info in self.infos if (info.device_id, info.object_id) == (device_id, object_id))

    def push(self, object_id: str, value: Any, device_id: int = 0) -> None:
        """Change a value, and tell the clients."""
        self.values[device_id, object_id] = value
        state = state_of(self.listed(object_id, device_id), value)
        self.push_state(state)

    def push_state(self, state: EntityState) -> None:
        for client in self.connected:
            client.on_state(state)

    def unit_link(self, up: bool, device_id: int, status: str = "connected") -> None:
        """Let a unit's link come or go, as the proxy tells it."""
        self.push("link", up, device_id)
        self.push("link_status", status, device_id)

    async def drop(self, *, expected: bool = False) -> None:
        """End every connection."""
        for client in self.connected:
            await client.end(expected=expected)


class FakeClient:
    """What aioesphomeapi's client does, as far as the companion and the real ReconnectLogic use it."""

    def __init__(self, proxies: dict[tuple[str, int], FakeProxy], address: str, port: int, **options: Any) -> None:
        self.address = address
        self.port = port
        self.options = options
        self.noise_psk = options.get("noise_psk")
        self.api_version = APIVersion(1, 19)
        self.zeroconf_manager = MagicMock(async_close=self._nothing)
        self.log_name = address
        self.cached_device_has_deep_sleep = False
        self.connected_address: str | None = None
        self.is_connected = False
        self.subscribed: dict[str, Callable[..., None]] = {}
        self.on_state: Callable[[EntityState], None] = lambda _: None
        self.on_log: Callable[[Any], None] | None = None
        self._proxies = proxies
        self._on_stop: Callable[[bool], Awaitable[None]] | None = None
        self._ended = asyncio.Event()

    async def _nothing(self) -> None:
        pass

    @property
    def proxy(self) -> FakeProxy:
        proxy = self._proxies.get((self.address, self.port))
        if proxy is None or not proxy.reachable:
            raise SocketAPIError(f"Error connecting to {self.address}")
        return proxy

    def set_cached_name_if_unset(self, name: str) -> None:
        pass

    def register_addresses_changed_callback(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    async def connect(self, on_stop: Any = None, login: bool = False, log_errors: bool = True) -> None:
        await self.start_resolve_host(on_stop)
        await self.start_connection()
        await self.finish_connection(login)

    async def start_resolve_host(self, on_stop: Any = None, log_errors: bool = True) -> None:
        self._on_stop = on_stop

    async def start_connection(self) -> None:
        if self.proxy.hangs:
            await asyncio.Event().wait()

    async def finish_connection(self, login: bool = False) -> None:
        proxy = self.proxy
        mac = proxy.info.mac_address.lower().replace(":", "")
        expected = self.options.get("expected_mac")
        if not self.noise_psk:
            if proxy.key:
                raise RequiresEncryptionAPIError("The device requires encryption")
        elif not proxy.key and not proxy.info.api_encryption_supported:
            raise EncryptionPlaintextAPIError("The device is using plaintext protocol")
        elif expected is not None and expected != mac:
            raise BadMACAddressAPIError("Expected another MAC", proxy.info.name, mac)
        elif self.noise_psk != (proxy.key or ZERO_KEY):
            raise InvalidEncryptionKeyAPIError("Invalid encryption key", proxy.info.name, mac)
        self.is_connected = True
        self._ended.clear()
        proxy.clients.append(self)

    async def disconnect(self, force: bool = False) -> None:
        await self.end(expected=True)

    def force_disconnect(self) -> None:
        self.is_connected = False

    async def end(self, *, expected: bool) -> None:
        """End the connection, and tell ReconnectLogic."""
        if not self.is_connected:
            return
        self.is_connected = False
        self.subscribed.clear()
        self._ended.set()
        if self._on_stop is not None:
            # as the real client does: whoever ends the connection may hold what this waits for
            self._stopping = asyncio.create_task(self._on_stop(expected))
            await asyncio.sleep(0)

    def _alive(self) -> FakeProxy:
        if not self.is_connected or self.proxy.closed:
            raise ConnectionNotEstablishedAPIError("Connection is closed")
        return self.proxy

    async def device_info(self) -> DeviceInfo:
        return self._alive().info

    async def device_info_and_list_entities(self) -> tuple[DeviceInfo, list[EntityInfo], list[UserService]]:
        if self._alive().silent:
            await self._ended.wait()
        proxy = self._alive()
        return proxy.info, list(proxy.infos), list(proxy.actions)

    def subscribe_states(self, on_state: Callable[[EntityState], None]) -> None:
        self.on_state = on_state
        proxy = self._alive()
        for listed in proxy.infos:
            if (listed.device_id, listed.object_id) not in proxy.values:
                continue
            if listed is proxy.listed(listed.object_id, listed.device_id):  # another of that name has no value
                on_state(state_of(listed, proxy.values[listed.device_id, listed.object_id]))

    # its Bluetooth

    def subscribe_bluetooth_connections_free(self, on_slots: Callable[[int, int, list[int]], None]) -> Any:
        unsubscribe = self._subscribe("slots", on_slots)
        on_slots(2, 3, [0xC4D36A000001])
        return unsubscribe

    def subscribe_bluetooth_scanner_state(self, on_state: Callable[[Any], None]) -> Any:
        return self._subscribe("scanner state", on_state)

    def subscribe_bluetooth_le_raw_advertisements(self, on_advertisements: Callable[[Any], None]) -> Any:
        unsubscribe = self._subscribe("advertisements", on_advertisements)
        self._tell_scanner_state(BluetoothScannerMode.ACTIVE)
        return unsubscribe

    def bluetooth_scanner_set_mode(self, mode: BluetoothScannerMode) -> None:
        self._alive().modes.append(mode)
        self._tell_scanner_state(mode)

    def _tell_scanner_state(self, mode: BluetoothScannerMode) -> None:
        if "scanner state" in self.subscribed:
            told = BluetoothScannerStateResponse(BluetoothScannerState.RUNNING, mode, BluetoothScannerMode.ACTIVE)
            self.subscribed["scanner state"](told)

    def _subscribe(self, what: str, on_message: Callable[..., None]) -> Callable[[], None]:
        self._alive().asked.append(what)
        self.subscribed[what] = on_message

        def unsubscribe() -> None:
            self.subscribed.pop(what, None)
            self._alive()

        return unsubscribe

    def subscribe_logs(self, on_log: Callable[[Any], None], **options: Any) -> None:
        self.on_log = on_log

    async def noise_encryption_set_key(self, key: bytes) -> bool:
        proxy = self._alive()
        if not proxy.accepts_key:
            return False
        proxy.key = key.decode()
        proxy.info = replace(proxy.info, api_encryption_provisionable=not key)
        return True

    async def execute_service(self, service: UserService, data: dict[str, Any], **_: Any) -> Any:
        proxy = self._alive()
        proxy.calls.append((service.name, data))
        if proxy.answer is None:
            raise TimeoutError
        return proxy.answer

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.endswith("_command"):
            raise AttributeError(name)

        def command(*arguments: Any, **more: Any) -> None:
            self._alive().calls.append((name, *arguments, more))

        return command


async def settle() -> None:
    """Let what was started go on to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def issues(hass: HomeAssistant) -> dict[str | None, dict[str, str]]:
    """Return what the repair issues are filled with, by translation key."""
    found = [issue for issue in ir.async_get(hass).issues.values() if issue.domain == "blupow"]
    return {issue.translation_key: issue.translation_placeholders or {} for issue in found}


async def lose(hass: HomeAssistant, proxy: FakeProxy) -> None:
    """Let the proxy vanish from the network."""
    proxy.reachable = False
    await proxy.drop()
    await hass.async_block_till_done()


async def try_again(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Let the client of an entry try to connect now, whatever it waits for."""
    logic = entry.runtime_data.session._logic
    await logic.stop()
    await logic.start()
    await hass.async_block_till_done()


def entity_id(hass: HomeAssistant, platform: str, object_id: str, device_id: int = 0, mac: str = MAC) -> str:
    """Return how Home Assistant calls an entity of the proxy."""
    kinds = ("sensor", "text_sensor", "energy") if platform == "sensor" else (platform,)
    ids = [unique_id(mac, device_id, kind, object_id) for kind in kinds]
    found = [
        name for each in ids if (name := er.async_get(hass).async_get_entity_id(platform, "blupow", each)) is not None
    ]
    assert len(found) == 1, f"{found} for the {platform} {object_id} of {device_id:x}"
    return found[0]


def shown(hass: HomeAssistant, platform: str, object_id: str, device_id: int = 0) -> str:
    """Return the state that Home Assistant shows for an entity of the proxy."""
    state = hass.states.get(entity_id(hass, platform, object_id, device_id))
    assert state is not None
    return state.state

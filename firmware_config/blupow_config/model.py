"""The configuration as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any, Literal

from .schema.formula import Formula

type ConfigPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EsphomeConfig:
    """Who the proxy is on the network."""

    name: str
    friendly_name: str
    area: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """The native API; ``encryption`` without a ``key`` (32 bytes) lets the first client set one."""

    port: int = 6053
    encryption: bool = True
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BluetoothConfig:
    """The adapter, such as hci0, or its address; None is any. ``auto_recovery`` resets it below BlueZ, if need be."""

    adapter: str | None = None
    auto_recovery: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BluetoothProxyConfig:
    """What of other Bluetooth devices is forwarded; ``active`` is connections as well, ``connection_slots`` at once.

    ``allow`` and ``deny`` are addresses as AA:BB:CC:DD:EE:FF and names, in which * stands for anything; ``allow`` is
    all unless some are given, ``deny`` comes first.
    """

    active: bool = True
    connection_slots: int = 3
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroconfConfig:
    """What is announced on the network."""

    enabled: bool = True
    esphome: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerConfig:
    """The least level that is logged, by ESPHome's names; ``logs`` are levels of single parts."""

    level: str = "INFO"
    logs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeConfig:
    """Whose clock counts: that of "homeassistant", or the "host"'s own."""

    platform: str = "homeassistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitConfig:
    """One Renogy unit; ``address`` as AA:BB:CC:DD:EE:FF, ``family`` "auto" is found out by its model.

    ``entities`` are the keys of the readings to show; None is all.
    """

    id: str
    address: str
    name: str
    family: str = "auto"
    variant: str | None = None
    modbus_address: int | None = None
    update_interval_s: float = 2.0
    load_switch: bool = False
    area: str = ""
    entities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """Holds back what differs by no more than the least, or by more than the most; shares are of the last value."""

    least: float = 0.0
    least_share: float = 0.0
    most: float = inf
    most_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Throttle:
    """Holds back what comes within ``period_s`` of the last value."""

    period_s: float


@dataclass(frozen=True, slots=True)
class Linear:
    """Straight lines: (from which value on, slope, intercept), the first from minus infinity on."""

    pieces: tuple[tuple[float, float, float], ...]


type Filter = Delta | Throttle | Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityConfig:
    """What is said of one entity; None is what it is by itself."""

    id: str | None = None
    name: str | None = None
    icon: str | None = None
    internal: bool = False
    disabled_by_default: bool | None = None
    entity_category: str | None = None
    device_class: str | None = None
    unit_of_measurement: str | None = None
    state_class: str | None = None
    accuracy_decimals: int | None = None
    force_update: bool | None = None
    filters: tuple[Filter, ...] = ()

    @property
    def looks(self) -> dict[str, Any]:
        """What clients are to see in place of what it is by itself, by the names that ESPHome has for it."""
        others = ("id", "internal", "filters")
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in others}
        return {option: value for option, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """What is said of the reading ``key`` of a unit."""

    unit_id: str
    key: str
    entity: EntityConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """A sensor of the proxy itself: "uptime", "cpu_temperature", "wifi_signal", or a "template" with its lambda."""

    platform: str
    entity: EntityConfig
    update_interval_s: float
    formula: Formula | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """A whole configuration; values at ``secret_paths``, such as ("renogy", 0, "address"), show a secret.

    ``given`` is what the user has written, resolved: without defaults, in plain types, secrets included.
    """

    esphome: EsphomeConfig
    api: ApiConfig = ApiConfig()
    bluetooth: BluetoothConfig = BluetoothConfig()
    bluetooth_proxy: BluetoothProxyConfig | None = None
    zeroconf: ZeroconfConfig = ZeroconfConfig()
    logger: LoggerConfig = LoggerConfig()
    time: TimeConfig = TimeConfig()
    renogy: tuple[UnitConfig, ...] = ()
    readings: tuple[ReadingConfig, ...] = ()
    sensors: tuple[SensorConfig, ...] = ()
    secret_paths: frozenset[ConfigPath] = field(default=frozenset(), compare=False)
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

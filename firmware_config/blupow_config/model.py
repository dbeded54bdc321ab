"""The configuration as typed values."""

from dataclasses import dataclass, field
from typing import Literal

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
class ZeroconfConfig:
    """What is announced on the network."""

    enabled: bool = True
    esphome: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerConfig:
    """The least level that is logged, by ESPHome's names."""

    level: str = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitConfig:
    """One Renogy unit; ``address`` as AA:BB:CC:DD:EE:FF, ``family`` "auto" is found out by its model."""

    id: str
    address: str
    name: str
    family: str = "auto"
    variant: str | None = None
    modbus_address: int | None = None
    update_interval_s: float = 2.0
    load_switch: bool = False
    area: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """A whole configuration; values at ``secret_paths``, such as ("renogy", 0, "address"), show a secret."""

    esphome: EsphomeConfig
    api: ApiConfig = ApiConfig()
    bluetooth: BluetoothConfig = BluetoothConfig()
    zeroconf: ZeroconfConfig = ZeroconfConfig()
    logger: LoggerConfig = LoggerConfig()
    renogy: tuple[UnitConfig, ...] = ()
    secret_paths: frozenset[ConfigPath] = field(default=frozenset(), compare=False)

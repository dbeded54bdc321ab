"""The configuration: ESPHome's YAML vocabulary, checked with positions, as typed values."""

from .errors import ConfigError, ConfigErrors
from .load import load_config
from .model import (
    ApiConfig,
    BluetoothConfig,
    EsphomeConfig,
    LoggerConfig,
    ProxyConfig,
    UnitConfig,
    ZeroconfConfig,
)
from .redact import HIDDEN, to_yaml
from .secret import SECRETS_FILE, secrets_exposed

__all__ = [
    "HIDDEN",
    "SECRETS_FILE",
    "ApiConfig",
    "BluetoothConfig",
    "ConfigError",
    "ConfigErrors",
    "EsphomeConfig",
    "LoggerConfig",
    "ProxyConfig",
    "UnitConfig",
    "ZeroconfConfig",
    "load_config",
    "secrets_exposed",
    "to_yaml",
]

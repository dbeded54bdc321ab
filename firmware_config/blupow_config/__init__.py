"""The configuration: ESPHome's YAML vocabulary, checked with positions, as typed values."""

from .errors import ConfigError, ConfigErrors
from .extending import NotExtendableError, with_units
from .ids import area_id, default_id
from .language.secret import SECRETS_FILE, secrets_exposed
from .load import configuration_files, environment_variables, load_config
from .model import (
    ApiConfig,
    BluetoothConfig,
    BluetoothProxyConfig,
    Delta,
    EntityConfig,
    EsphomeConfig,
    Filter,
    Linear,
    LoggerConfig,
    ProxyConfig,
    ReadingConfig,
    SensorConfig,
    Throttle,
    TimeConfig,
    UnitConfig,
    ZeroconfConfig,
)
from .redact import HIDDEN, config_hash, to_yaml
from .schema.editor import SCHEMA_URL, editor_schema
from .schema.formula import Formula
from .writing import KEY_SECRET, NewUnit, new_file, stored_secret, unit_lines, with_secret

__all__ = [
    "HIDDEN",
    "KEY_SECRET",
    "SCHEMA_URL",
    "SECRETS_FILE",
    "ApiConfig",
    "BluetoothConfig",
    "BluetoothProxyConfig",
    "ConfigError",
    "ConfigErrors",
    "Delta",
    "EntityConfig",
    "EsphomeConfig",
    "Filter",
    "Formula",
    "Linear",
    "LoggerConfig",
    "NewUnit",
    "NotExtendableError",
    "ProxyConfig",
    "ReadingConfig",
    "SensorConfig",
    "Throttle",
    "TimeConfig",
    "UnitConfig",
    "ZeroconfConfig",
    "area_id",
    "config_hash",
    "configuration_files",
    "default_id",
    "editor_schema",
    "environment_variables",
    "load_config",
    "new_file",
    "secrets_exposed",
    "stored_secret",
    "to_yaml",
    "unit_lines",
    "with_secret",
    "with_units",
]

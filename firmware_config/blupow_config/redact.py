"""A configuration as YAML to show: complete, and without its secrets."""

from base64 import b64encode
from typing import Any, Final

import yamlrocks

from .model import ConfigPath, ProxyConfig, UnitConfig

HIDDEN: Final = "<hidden>"


def to_yaml(config: ProxyConfig, *, show_secrets: bool = False) -> str:
    """Return ``config`` with its defaults filled in; the key and the values from secrets only on request."""
    api: dict[str, Any] = {"port": config.api.port, "encryption": False}
    if config.api.encryption:
        api["encryption"] = {}
    if config.api.key is not None:
        api["encryption"] = {"key": b64encode(config.api.key).decode() if show_secrets else HIDDEN}
    content: dict[str, Any] = {
        "esphome": _given(
            name=config.esphome.name, friendly_name=config.esphome.friendly_name, area=config.esphome.area
        ),
        "api": api,
        "bluetooth": _given(adapter=config.bluetooth.adapter) | {"auto_recovery": config.bluetooth.auto_recovery},
        "zeroconf": {"disabled": not config.zeroconf.enabled, "esphome": config.zeroconf.esphome},
        "logger": {"level": config.logger.level},
        "renogy": [_unit(unit) for unit in config.renogy],
    }
    if not show_secrets:
        for path in config.secret_paths:
            _hide(content, path)
    return yamlrocks.dumps(content).decode()


def _hide(content: Any, path: ConfigPath) -> None:
    """Replace the value at ``path``, if it is there."""
    for step in path[:-1]:
        content = content[step]
    content[path[-1]] = HIDDEN


def _unit(unit: UnitConfig) -> dict[str, Any]:
    return _given(
        id=unit.id,
        address=unit.address,
        name=unit.name,
        family=unit.family,
        variant=unit.variant,
        modbus_address=unit.modbus_address,
        update_interval=f"{unit.update_interval_s:g}s",
        load_switch=unit.load_switch,
        area=unit.area,
    )


def _given(**options: Any) -> dict[str, Any]:
    return {option: value for option, value in options.items() if value not in (None, "")}

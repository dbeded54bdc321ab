"""A file to a configuration, or to everything that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ConfigErrors
from .ids import default_id
from .model import (
    ApiConfig,
    BluetoothConfig,
    ConfigPath,
    EsphomeConfig,
    LoggerConfig,
    ProxyConfig,
    UnitConfig,
    ZeroconfConfig,
)
from .relations import related_mistakes
from .schema import validate
from .tree import Tree


def load_config(path: Path) -> ProxyConfig:
    """Return the configuration in ``path``; ConfigErrors holds every mistake."""
    tree = Tree(path)
    content, mistakes = validate(tree.content)
    errors = [
        tree.error(where, what, at_key=what.startswith(("not a valid option", "is required")))
        for where, what in mistakes
    ]
    errors += [tree.error(where, what) for where, what in related_mistakes(tree.content)]
    # a secret that is missing, or a tag, has left nothing to check: what the schema says of it is beside the point
    unresolved = {problem.path for problem in tree.problems}
    errors = [error for error in errors if error.path not in unresolved] + tree.problems
    if errors or content is None:
        raise ConfigErrors(errors)
    return _config(content, frozenset(tree.secret_paths | set(_made_of_secrets(content, tree.secret_paths))))


def _made_of_secrets(content: dict[str, Any], secret_paths: set[ConfigPath]) -> Iterator[ConfigPath]:
    """Yield the paths of the defaults that show a secret."""
    if ("esphome", "name") in secret_paths and "friendly_name" not in content["esphome"]:
        yield "esphome", "friendly_name"
    for number, unit in enumerate(content.get("renogy", ())):
        parts = {("renogy", number, "address"), ("renogy", number, "modbus_address")}
        if "id" not in unit and parts & secret_paths:
            yield "renogy", number, "id"


def _config(content: dict[str, Any], secret_paths: frozenset[ConfigPath]) -> ProxyConfig:
    esphome, api = content["esphome"], content.get("api", {})
    encryption = api.get("encryption", {"enabled": True})
    zeroconf = content.get("zeroconf", {})
    name = esphome["name"]
    return ProxyConfig(
        esphome=EsphomeConfig(
            name=name,
            friendly_name=esphome.get("friendly_name", name.replace("-", " ").capitalize()),
            area=esphome.get("area", ""),
        ),
        api=ApiConfig(
            port=api.get("port", ApiConfig().port),
            encryption=encryption["enabled"],
            key=encryption.get("key"),
        ),
        bluetooth=BluetoothConfig(**content.get("bluetooth", {})),
        zeroconf=ZeroconfConfig(enabled=not zeroconf.get("disabled", False), esphome=zeroconf.get("esphome", "auto")),
        logger=LoggerConfig(level=content.get("logger", {}).get("level", LoggerConfig().level)),
        renogy=tuple(_unit(unit) for unit in content.get("renogy", ())),
        secret_paths=secret_paths,
    )


def _unit(unit: dict[str, Any]) -> UnitConfig:
    modbus_address = unit.get("modbus_address")
    return UnitConfig(
        id=unit.get("id", default_id(unit["address"], modbus_address)),
        address=unit["address"],
        name=unit["name"],
        family=unit.get("family", "auto"),
        variant=unit.get("variant"),
        modbus_address=modbus_address,
        update_interval_s=unit.get("update_interval", 2.0),
        load_switch=unit.get("load_switch", False),
        area=unit.get("area", ""),
    )

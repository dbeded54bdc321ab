"""A file to a configuration, or to everything that is wrong with it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import ConfigErrors
from .ids import default_id
from .language.tree import Tree
from .model import (
    ApiConfig,
    BluetoothConfig,
    BluetoothProxyConfig,
    ConfigPath,
    EntityConfig,
    EsphomeConfig,
    LoggerConfig,
    ProxyConfig,
    ReadingConfig,
    SensorConfig,
    TimeConfig,
    UnitConfig,
    ZeroconfConfig,
)
from .schema.readings import Kind, all_keys
from .schema.relations import related_mistakes
from .schema.root import validate


def load_config(
    path: Path, substitutions: Mapping[str, str] | None = None, drafts: Mapping[Path, bytes] | None = None
) -> ProxyConfig:
    """Return the configuration in ``path``; ConfigErrors holds every mistake.

    ``substitutions`` take the place of those in the file, ``drafts`` that of what is in files: in ``path`` itself,
    or in the secrets beside it.
    """
    tree = Tree(path, substitutions, drafts)
    content, mistakes = validate(tree.content)
    errors = [
        tree.error(where, what, at_key=what.startswith(("not a valid option", "is required")))
        for where, what in [*mistakes, *related_mistakes(tree.content)]
        if tree.is_known(where)  # else a mistake is told already, and what follows from it is beside the point
    ]
    errors += tree.problems
    if errors or content is None:
        raise ConfigErrors(errors)
    secret_paths = frozenset(tree.secret_paths | set(_made_of_secrets(tree.content, tree.secret_paths)))
    return _config(content, tree.content, secret_paths)


def configuration_files(path: Path, substitutions: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return the files that make up the configuration in ``path``: itself, what it includes, and its secrets."""
    return Tree(path, substitutions).files


def environment_variables(path: Path, substitutions: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the variables of the environment that the configuration in ``path`` asks for, by `!env_var`."""
    return Tree(path, substitutions).variables


def _made_of_secrets(given: dict[str, Any], secret_paths: set[ConfigPath]) -> Iterator[ConfigPath]:
    """Yield the paths of the defaults that show a secret."""
    if ("esphome", "name") in secret_paths and "friendly_name" not in given["esphome"]:
        yield "esphome", "friendly_name"
    for number, unit in enumerate(given.get("renogy") or ()):
        parts = {("renogy", number, "address"), ("renogy", number, "modbus_address")}
        if "id" not in unit and parts & secret_paths:
            yield "renogy", number, "id"


def _config(content: dict[str, Any], given: dict[str, Any], secret_paths: frozenset[ConfigPath]) -> ProxyConfig:
    esphome, api = content["esphome"], content["api"]
    encryption = api["encryption"]
    zeroconf = content["zeroconf"]
    forwarding = content.get("bluetooth_proxy")
    units = tuple(_unit(unit) for unit in content["renogy"])
    name = esphome["name"]
    return ProxyConfig(
        esphome=EsphomeConfig(
            name=name,
            friendly_name=esphome.get("friendly_name", name.replace("-", " ").capitalize()),
            area=esphome.get("area", ""),
        ),
        api=ApiConfig(port=api["port"], encryption=encryption["enabled"], key=encryption.get("key")),
        bluetooth=BluetoothConfig(**content["bluetooth"]),
        bluetooth_proxy=None if forwarding is None else BluetoothProxyConfig(**forwarding),
        zeroconf=ZeroconfConfig(enabled=not zeroconf["disabled"], esphome=zeroconf["esphome"]),
        logger=LoggerConfig(**content["logger"]),
        time=TimeConfig(platform=content["time"][0]["platform"]) if content["time"] else TimeConfig(),
        renogy=units,
        readings=tuple(_readings(content, units)),
        sensors=tuple(_sensor(sensor) for sensor in content["sensor"] if sensor["platform"] != "renogy"),
        secret_paths=secret_paths,
        given=given,
    )


def _unit(unit: dict[str, Any]) -> UnitConfig:
    modbus_address = unit.get("modbus_address")
    return UnitConfig(
        id=unit.get("id", default_id(unit["address"], modbus_address)),
        address=unit["address"],
        name=unit["name"],
        family=unit["family"],
        variant=unit.get("variant"),
        modbus_address=modbus_address,
        update_interval_s=unit["update_interval"],
        load_switch=unit["load_switch"],
        area=unit.get("area", ""),
        entities=unit.get("entities"),
    )


def _readings(content: dict[str, Any], units: tuple[UnitConfig, ...]) -> Iterator[ReadingConfig]:
    for kind in Kind:
        for block in content[kind]:
            if block["platform"] == "renogy":
                unit_id = block["renogy_id"] if "renogy_id" in block else units[0].id
                for key in all_keys(kind):
                    if key in block:
                        yield ReadingConfig(unit_id=unit_id, key=key, entity=EntityConfig(**block[key]))


def _sensor(sensor: dict[str, Any]) -> SensorConfig:
    own = {"platform", "update_interval", "lambda"}
    return SensorConfig(
        platform=sensor["platform"],
        entity=EntityConfig(**{option: value for option, value in sensor.items() if option not in own}),
        update_interval_s=sensor["update_interval"],
        formula=sensor.get("lambda"),
    )

"""The project's own rules: who may import whom, how large a module grows, what must stand twice."""

import ast
import contextlib
import dataclasses
import importlib
import json
import re
import statistics
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

import blupow_proxy
from blupow_config import ApiConfig
from blupow_config.schema.entity_names import KEPT_NAMES, LINK_NAMES, LOAD_NAME, OWN_NAMES, all_text_names
from blupow_proxy import app
from blupow_proxy.actions import CAPTURE_FRAMES, REFRESH
from blupow_proxy.ble.failures import HELD_OR_GONE
from blupow_proxy.client import DEFAULT_PORT as CLIENT_PORT
from blupow_proxy.discovery import BLUPOW_TYPE
from blupow_proxy.native_api import (
    BinarySensorEntity,
    Node,
    NodeInfo,
    SensorEntity,
    SwitchEntity,
    TextSensorEntity,
    object_id_of,
)
from blupow_proxy.poller import Profile, Unit, UnitSpec
from blupow_proxy.proxy_entities import ProxyEntities
from blupow_proxy.renogy import Family, Kind, describe
from blupow_proxy.server.listener import DEFAULT_PORT as SERVER_PORT
from blupow_proxy.unit_entities import UnitEntities

ROOT = Path(__file__).parents[1]
PROXY = ROOT / "proxy"
CONFIG = ROOT / "firmware_config"
COMPANION = ROOT / "companion" / "custom_components" / "blupow"
MODULES = sorted([*(PROXY / "blupow_proxy").rglob("*.py"), *CONFIG.rglob("*.py")])
SANS_IO = ("modbus", "renogy", "native_api")
IO_MODULES = {"asyncio", "socket", "selectors", "threading", "subprocess", "time", "os", "bleak", "zeroconf", "bumble"}

# package of blupow_proxy: the packages that it may import, itself and errors aside
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "allowance": set(),
    "modbus": set(),
    "renogy": set(),
    "native_api": set(),
    "ble": {"modbus", "renogy"},
    "poller": {"modbus", "renogy"},
    "server": {"allowance", "native_api"},
    "bluetooth_proxy": {"allowance", "ble", "native_api"},
    "client": set(),
    "storage": set(),
    "host": {"poller", "storage"},
    "keys": {"native_api", "storage"},
    "discovery": {"native_api"},
    "profiles": {"poller", "renogy", "storage"},
    "filters": set(),
    "own_sensors": {"filters", "native_api", "proxy_entities", "unit_entities"},
    "unit_entities": {"filters", "native_api", "poller", "renogy"},
    "proxy_entities": {"native_api"},
    "visited": {"allowance", "storage"},
    "forwarding": {"ble", "bluetooth_proxy", "native_api", "visited"},
    "actions": {"ble", "native_api", "poller"},
    "simulator": {"ble", "modbus", "renogy"},
}
ANYTHING = {"app", "cli", "commands", "__main__", "__init__"}
CONFIGURED = ANYTHING | {"filters", "forwarding", "own_sensors", "unit_entities"}
OWNERS = {  # library: the packages that may import it
    "bleak": {"ble", "simulator"},
    "bleak_retry_connector": {"ble"},
    "bumble": {"simulator"},
    "zeroconf": {"discovery"},
    "yamlrocks": set(),
    "yaml": set(),
    "jinja2": set(),
    "btsocket": {"ble"},
    "rich": {"client", "commands"},
}
TRANSPORTS = {"Protocol", "Transport", "BaseTransport", "Server", "StreamReader", "StreamWriter", "start_server"}
WORN_NAMES = re.compile(r"manager|helper|util|common|misc|base2", re.IGNORECASE)


def package(path: Path) -> str:
    return path.relative_to(PROXY / "blupow_proxy").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute names of all imported modules."""
    here = path.relative_to(PROXY if path.is_relative_to(PROXY) else CONFIG).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_type_only(path: Path, module: str) -> bool:
    """Whether ``module`` is only imported for annotations."""
    return f"if TYPE_CHECKING:\n    from {module}" in path.read_text()


PROXY_MODULES = [path for path in MODULES if path.is_relative_to(PROXY)]


@pytest.mark.parametrize("path", PROXY_MODULES, ids=lambda path: str(path.relative_to(PROXY)))
def test_imports(path: Path) -> None:
    own = package(path)
    for name in imports(path):
        top, *rest = name.split(".")
        assert top != "homeassistant"
        if top in OWNERS and not is_type_only(path, top):
            assert own in OWNERS[top], f"{name} belongs to {OWNERS[top]}"
        if top == "aioesphomeapi":
            assert not any(part.startswith("_") for part in rest), f"{name} is private"
        if own in SANS_IO:
            assert top not in IO_MODULES, f"{name} does I/O"
        if top == "blupow_config":
            assert own in CONFIGURED
        if top == "blupow_proxy" and rest and own not in ANYTHING:
            assert rest[0] in {own, "errors", *MAY_IMPORT[own]}, f"{own} may not import {name}"


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("*.py")), ids=lambda path: path.name)
def test_the_configuration_knows_the_register_maps_alone(path: Path) -> None:
    assert all(name.startswith("blupow_proxy.renogy") for name in imports(path) if name.startswith("blupow_proxy"))


@pytest.mark.parametrize("path", sorted((CONFIG / "esp32").rglob("*.py")), ids=lambda path: path.name)
def test_firmware_components_need_only_esphome(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path)} <= {"esphome", "esp32", *sys.stdlib_module_names}


def test_only_the_server_touches_transports() -> None:
    for path in PROXY_MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "asyncio":
                assert node.attr not in TRANSPORTS or package(path) == "server", path


def test_one_catch_all() -> None:
    """Nobody but the supervisor catches what nobody foresaw."""
    found = [
        path.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert found == ["app.py"]


def test_the_service_sees_what_is_read_of_proc() -> None:
    """Its unit leaves the processes in /proc, and nothing else."""
    assert "\nProcSubset=pid\n" in (CONFIG / "pi" / "blupow-proxy.service").read_text()
    for path in PROXY_MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/proc"):
                assert node.value.startswith(("/proc/self/", "/proc/thread-self/")), f"{path}: {node.value}"


def test_modules_are_small() -> None:
    lines = [len(path.read_text().splitlines()) for path in MODULES if path.name != "__init__.py"]
    assert max(lines) <= 500
    assert statistics.quantiles(lines, n=10)[-1] <= 350
    assert statistics.median(lines) <= 160


def test_names_say_something() -> None:
    for path in MODULES:
        names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        for name in (path.stem, *names):
            assert not WORN_NAMES.search(name), name


def test_what_stands_twice_is_equal() -> None:
    assert ApiConfig().port == SERVER_PORT == CLIENT_PORT
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[?([\d.]+)", changes, re.MULTILINE)[1] == blupow_proxy.__version__


def companion_constants(module: str) -> dict[str, Any]:
    """Return the plain constants of a companion's module, which can't be imported without Home Assistant."""
    found: dict[str, Any] = {}
    for node in ast.parse((COMPANION / f"{module}.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            with contextlib.suppress(NameError):
                code = compile(ast.Expression(node.value), module, "eval")
                found[node.target.id] = eval(code, {"frozenset": frozenset}, found)  # noqa: S307 - our own code
    return found


def test_the_companion_speaks_the_proxys_vocabulary(every_key: Collection[str]) -> None:
    const = companion_constants("const")
    node = Node(NodeInfo(name="a", friendly_name="A", mac="", model="", manufacturer="", esphome_version=""))
    ProxyEntities(node, forwards=True)
    spec = UnitSpec(id="rover", name="Rover", address="C4:D3:6A:00:00:09")
    # a profile without keys: what is left are the entities of the link
    UnitEntities(node, Unit(spec, Profile(family=Family.CONTROLLER)))
    kinds = {
        BinarySensorEntity: "binary_sensor",
        SensorEntity: "sensor",
        SwitchEntity: "switch",
        TextSensorEntity: "text_sensor",
    }
    of_links = {(kinds[type(entity)], entity.object_id) for entity in node.entities if entity.device_id}
    assert of_links == const["LINK_ENTITIES"]
    assert {const["LINK"], const["LINK_STATUS"], const["RELEASE_LINK"]} <= {name for _, name in of_links}
    own = {entity.object_id for entity in node.entities if not entity.device_id}
    assert {const["ADAPTER_PROBLEM"], const["ADAPTER_STATUS"], const["CLOCK_PROBLEM"]} <= own
    assert const["HELD_BY_ANOTHER"] in HELD_OR_GONE
    assert app.PROJECT_NAME.startswith(const["PROJECT"])
    assert const["DEFAULT_PORT"] == SERVER_PORT
    readings = {description.name for family in Family for description in describe(family, every_key)}
    texts = (const["MODEL"], const["SERIAL_NUMBER"], const["HARDWARE_VERSION"], *const["SOFTWARE_VERSIONS"])
    assert {*texts, const["BATTERY_POWER"]} <= set(map(object_id_of, readings))
    assert set(KEPT_NAMES) <= readings
    assert sorted(map(object_id_of, KEPT_NAMES)) == sorted([*texts, const["BATTERY_POWER"]])
    words = json.loads((COMPANION / "translations" / "en.json").read_text())["entity"]["sensor"]
    free_texts = {
        object_id_of(description.name)
        for family in Family
        for description in describe(family, every_key)
        if description.kind is Kind.TEXT_SENSOR and "state" not in words[object_id_of(description.name)]
    }
    assert free_texts - const["HARMLESS_TEXTS"] == {"serial_number", "pack_serial_number", "unique_id"}
    assert const["HARMLESS_TEXTS"] <= set(map(object_id_of, (*all_text_names(), *LINK_NAMES, *OWN_NAMES)))
    client_info = (COMPANION / "connection.py").read_text()
    assert re.search(r'CLIENT_INFO: Final = f"([^(]+) \(', client_info)[1].casefold() == app.COMPANION
    manifest = json.loads((COMPANION / "manifest.json").read_text())
    assert manifest["zeroconf"] == [BLUPOW_TYPE]
    assert manifest["version"] == blupow_proxy.__version__
    actions = companion_constants("services")
    assert (actions["CAPTURE_FRAMES"], actions["REFRESH"]) == (CAPTURE_FRAMES.name, REFRESH.name)


def test_the_configuration_knows_the_names_that_the_proxy_gives() -> None:
    node = Node(NodeInfo(name="a", friendly_name="A", mac="", model="", manufacturer="", esphome_version=""))
    ProxyEntities(node, forwards=True)
    spec = UnitSpec(id="rover", name="Rover", address="C4:D3:6A:00:00:09", load_switch=True)
    UnitEntities(node, Unit(spec, Profile(family=Family.CONTROLLER, model="RNG-CTRL-RVR40")))
    assert {entity.name for entity in node.entities if entity.device_id} == {*LINK_NAMES, LOAD_NAME}
    assert {entity.name for entity in node.entities if not entity.device_id} == set(OWN_NAMES)


def test_the_project_speaks_of_itself_alone() -> None:
    """No path of a developer's machine in what is shipped."""
    shipped = [*MODULES, *COMPANION.rglob("*.py"), *ROOT.glob("*.md"), *ROOT.glob("companion/*.md")]
    for path in [*shipped, *(path for path in (ROOT / "script").iterdir() if path.is_file())]:
        assert not re.search(r"/(?:work|root|home/(?!pi\b)\w+)/", path.read_text()), path


UNITS = {"KiB": 1024, "MB": 1_000_000, "%": 0.01}
NAMED_LIMITS = re.findall(
    r"^\| [^|]+ \| ([\d,.]+)(?: (KiB|MB|%))?[^|]* \| [^|]*\| `([\w/]+\.py)`: `(\w+)` \|$",
    (ROOT / "SECURITY.md").read_text(),
    re.MULTILINE,
)


def test_every_limit_with_a_name_is_found() -> None:
    assert len(NAMED_LIMITS) == (ROOT / "SECURITY.md").read_text().count(".py`: `") - 1  # "as many as are sent in 6 s"


@pytest.mark.parametrize("file", ["language/limits", "schema/filters", "schema/formula", "schema/forwarding"])
def test_every_limit_of_a_configuration_is_in_security_md(file: str) -> None:
    module = importlib.import_module(f"blupow_config.{file.replace('/', '.')}")
    limits = {name for name in vars(module) if name.startswith("MAX_")}
    assert limits == {name for _, _, where, name in NAMED_LIMITS if where == f"blupow_config/{file}.py"}


@pytest.mark.parametrize(("number", "unit", "file", "name"), NAMED_LIMITS, ids=lambda part: part)
def test_a_limit_is_what_security_md_says(number: str, unit: str, file: str, name: str) -> None:
    package = "" if file.startswith("blupow_config/") else "blupow_proxy."
    module = importlib.import_module(package + file.removesuffix(".py").replace("/", "."))
    found = getattr(module, name, None)
    if found is None:
        (found,) = [
            field.default
            for kind in vars(module).values()
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
            for field in dataclasses.fields(kind)
            if field.name == name
        ]
    assert found == pytest.approx(float(number.replace(",", "")) * UNITS.get(unit, 1))

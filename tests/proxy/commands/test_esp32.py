import stat
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from blupow_config.esp32 import BOARDS, EspUnit, register_package
from blupow_proxy.cli import main
from blupow_proxy.host.service import state_folder
from blupow_proxy.poller import Profile
from blupow_proxy.profiles import Profiles
from blupow_proxy.renogy import Family, Kind
from blupow_proxy.storage import Storage

UNIT = ("--unit", "c4:d3:6a:00:00:01", "--family", "controller")
BATTERY = ("--unit", "C4:D3:6A:00:00:01", "--family", "battery")


class Loader(yaml.SafeLoader):
    """ESPHome's tags as what stands behind them."""


for tag in ("!secret", "!include", "!extend", "!lambda"):
    Loader.add_constructor(
        tag,
        lambda loader, node: (
            loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else loader.construct_scalar(node)
        ),
    )


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)  # noqa: S506 - it is a SafeLoader


def new(folder: Path, *arguments: str, board: str = "esp32-c3") -> int:
    return main(["esp32", "new", str(folder), "--board", board, *arguments])


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Van_shed"
    assert new(folder, *UNIT, "--name", "Rover", "--area", "Van shed") == 0
    assert f"esphome run {folder}/van-shed.yaml" in capsys.readouterr().out
    project = load(folder / "van-shed.yaml")
    assert project["esphome"]["name"] == "van-shed"
    assert project["substitutions"]["free_links"] == "2"
    for package in project["packages"].values():
        assert (folder / (package if isinstance(package, str) else package["file"])).is_file()
    unit = load(folder / "packages" / "renogy_c4d36a000001.yaml")
    assert unit["esphome"]["devices"] == [{"id": "renogy_c4d36a000001", "name": "Rover", "area_id": "van_shed"}]
    assert project["esphome"]["areas"] == [{"id": "van_shed", "name": "Van shed"}]
    assert (folder / "components" / "renogy" / "decode.cpp").is_file()
    assert "/secrets.yaml" in (folder / ".gitignore").read_text().splitlines()


def test_the_key_is_fresh_and_nobody_elses(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        assert new(tmp_path / name, "--plain") == 0
        path = tmp_path / name / "secrets.yaml"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys.add(load(path)["api_encryption_key"])
    assert len(keys) == 2
    assert {len(b64decode(key)) for key in keys} == {32}


def test_writes_the_same_again_but_nothing_over_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "van", *UNIT) == 0
    before = contents(tmp_path / "van")
    assert new(tmp_path / "van", *UNIT) == 0
    assert contents(tmp_path / "van") == before
    main_file = tmp_path / "van" / "van.yaml"
    main_file.write_text("# mine\n")
    (tmp_path / "van" / "own.yaml").write_text("logger: {level: DEBUG}\n")
    assert new(tmp_path / "van", *UNIT, "--id", "rover") == 73
    assert "has other contents in van.yaml" in capsys.readouterr().err
    assert not (tmp_path / "van" / "packages" / "rover.yaml").exists()
    assert new(tmp_path / "van", *UNIT, "--overwrite") == 0
    after = contents(tmp_path / "van")
    assert after.pop(tmp_path / "van" / "own.yaml") == b"logger: {level: DEBUG}\n"
    del before[tmp_path / "van" / "own.yaml"]
    assert after == before


def test_secrets_that_lack_something_are_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secrets.yaml").write_text("api_encryption_key: mine\n")
    assert new(tmp_path, "--plain", "--overwrite") == 73
    assert "lacks wifi_password, wifi_ssid" in capsys.readouterr().err
    assert new(tmp_path, "--plain", board="wt32-eth01") == 0
    assert (tmp_path / "secrets.yaml").read_text() == "api_encryption_key: mine\n"


@pytest.mark.parametrize("board", BOARDS)
def test_a_plain_proxy_needs_no_component_of_ours(tmp_path: Path, board: str) -> None:
    assert new(tmp_path / "plain", "--plain", board=board) == 0
    assert not (tmp_path / "plain" / "components").exists()
    assert "renogy" not in (tmp_path / "plain" / "plain.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "board", "said"),
    [
        (UNIT[:2], "esp32", "--family controller | dcc | battery | inverter"),
        (UNIT, "pico-w", "can't read units itself"),
        ((*UNIT, "--hide", "pv_volt"), "esp32", "no reading 'pv_volt', did you mean pv_voltage"),
        ((*BATTERY, "--load-switch"), "esp32", "only a controller has a load output"),
        (BATTERY, "esp32", "--variant pro if `scan` shows it as RNGRBP"),
    ],
)
def test_says_what_does_not_fit(
    tmp_path: Path, arguments: tuple[str, ...], board: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "new", *arguments, board=board) in (64, 73)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "option", [("--unit", "x"), ("--node", "Van 1"), ("--update-interval", "1ms"), ("--cells", "0")]
)
def test_checks_options_as_the_configuration_is(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as left:
        new(tmp_path / "new", *UNIT, *option)
    assert left.value.code == 64


def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: str) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "proxy.yaml"
    file.write_text(
        "esphome: {name: shed, friendly_name: The shed, area: Garden}\n"
        "api: {encryption: {key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}\n"
        f"renogy:\n{units}"
    )
    return file


def test_takes_over_a_pis_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, ids, key, and of each unit exactly the entities that the Pi lists."""
    file = pi(
        tmp_path,
        monkeypatch,
        "  - {address: C4:D3:6A:00:00:01, name: Rover, id: rover, area: Roof, update_interval: 5s}\n"
        "  - {address: C4:D3:6A:00:00:03, name: Pack}\n",
    )
    keys = frozenset({"battery_voltage", "battery_current", "cell_voltage_1", "cell_voltage_2", "battery_power"})
    profiles = Profiles(Storage(state_folder(file, "shed")))
    profiles.put("rover", Profile(family=Family.CONTROLLER, model="RNG", keys=frozenset({"pv_power"})))
    pack = Profile(family=Family.BATTERY, variant="pro", model="RBT", modbus_address=48, keys=keys)
    profiles.put("renogy_c4d36a000003", pack)
    assert new(tmp_path / "new", "--from", str(file)) == 0
    project = load(tmp_path / "new" / "shed.yaml")
    assert project["esphome"] | {"areas": 0} == {
        "name": "shed",
        "friendly_name": "The shed",
        "area": "Garden",
        "areas": 0,
    }
    secrets = load(tmp_path / "new" / "secrets.yaml")
    assert secrets["api_encryption_key"] == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    rover = load(tmp_path / "new" / "packages" / "rover.yaml")
    assert rover["renogy"][0]["update_interval"] == "5s"
    assert [entity["name"] for entity in rover["sensor"] if "link" not in entity] == ["Charging power"]
    battery = load(tmp_path / "new" / "packages" / "renogy_c4d36a000003.yaml")
    listed = {entity["name"] for entity in battery["sensor"] if "link" not in entity}
    assert listed == {"Battery voltage", "Battery current", "Battery power", "Cell voltage 1", "Cell voltage 2"}
    current = next(row for row in battery["renogy"][0]["registers"] if row["row"] == "battery_current")
    assert current["scale"] == 0.1


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("  - {address: C4:D3:6A:00:00:01, name: Rover}\n", "Rover: set its family in"),
        ("  - {address: C4:D3:6A:00:00:01, name: Shunt, family: shunt300}\n", "which only the Pi understands so far"),
        (
            "".join(
                f"  - {{address: C4:D3:6A:00:00:01, name: N{n}, family: dcc, modbus_address: {n}}}\n" for n in (1, 2)
            ),
            "an ESP32 reads one unit over each link",
        ),
        (
            "".join(f"  - {{address: C4:D3:6A:00:00:0{n}, name: N{n}, family: dcc}}\n" for n in range(4)),
            "holds 3 links at once, these are 4 units",
        ),
    ],
)
def test_what_an_esp32_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "new", "--from", str(pi(tmp_path, monkeypatch, units))) in (64, 73)
    assert said in capsys.readouterr().err


def test_a_mistake_in_the_pis_configuration_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "proxy.yaml").write_text("esphome: {name: A}\n")
    assert new(tmp_path / "new", "--from", str(tmp_path / "proxy.yaml")) == 78
    assert "esphome.name" in capsys.readouterr().err


def test_lists_what_is_likely_to_be_there() -> None:
    """As many cells as said, nothing that is not read, and nothing that is not wanted."""
    unit = EspUnit(id="pack", name="Pack", address="", family=Family.BATTERY, variant="legacy", cells=8)
    keys = {state.key for state in unit.states()}
    assert {"cell_voltage_8", "temperature_8", "state_of_charge", "battery_power", "problem"} <= keys
    assert not {"cell_voltage_9", "env_temperature_1", "limit_5200"} & keys
    other = EspUnit(
        id="pack",
        name="Pack",
        address="",
        family=Family.BATTERY,
        variant="legacy",
        hide=frozenset({"cell_voltage_4"}),
    )
    assert "cell_voltage_3" in {state.key for state in other.states()}
    assert "cell_voltage_4" not in {state.key for state in other.states()}


def test_without_its_variant_a_batterys_current_is_unsure() -> None:
    unit = EspUnit(id="pack", name="Pack", address="", family=Family.BATTERY)
    rows = {row["row"]: row for row in yaml.safe_load(register_package(unit))["renogy"][0]["registers"]}
    assert rows["battery_current"]["unsure"] is True
    assert "unsure" not in rows["battery_voltage"]


@pytest.mark.parametrize("family", [Family.CONTROLLER, Family.DCC, Family.BATTERY, Family.INVERTER])
def test_every_state_has_a_source(family: Family) -> None:
    """What is listed is read: each row that an entity shows is in a block."""
    unit = EspUnit(id="unit", name="Unit", address="", family=family, variant="legacy")
    package = yaml.safe_load(register_package(unit))
    (block,) = package["renogy"]
    rows = {row["row"] for row in block["registers"]}
    entities = [entity for kind in Kind for entity in package[kind] if "link" not in entity]
    assert len(entities) == len(unit.states())
    for entity in entities:
        assert {entity.get("row"), *entity.get("product", ()), *entity.get("share", ())} - {None} <= rows


def test_the_load_is_switched_only_when_asked_to_be(tmp_path: Path) -> None:
    for name, options in (("read", ()), ("switch", ("--load-switch",))):
        assert new(tmp_path / name, *UNIT, "--id", "rover", *options) == 0
    assert "switch" not in load(tmp_path / "read" / "packages" / "rover.yaml")
    (switch,) = load(tmp_path / "switch" / "packages" / "rover.yaml")["switch"]
    assert (switch["register"], switch["row"], switch["name"]) == (0x010A, "load_status", "Load")

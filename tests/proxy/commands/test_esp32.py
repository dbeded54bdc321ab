import stat
from base64 import b64decode
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from blupow_config.esp32 import BOARDS, EspUnit, register_package
from blupow_config.esp32.names import TAKEN
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


for tag in ("!secret", "!include", "!extend", "!lambda", "!literal"):
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
    assert (project["substitutions"]["lends_links"], project["substitutions"]["lent_links"]) == (True, "2")
    for package in project["packages"].values():
        assert (folder / (package if isinstance(package, str) else package["file"])).is_file()
    unit = load(folder / "packages" / "unit_1.yaml")
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
    assert "has other contents in packages/unit_1.yaml, van.yaml: choose" in capsys.readouterr().err
    assert "rover" not in (tmp_path / "van" / "packages" / "unit_1.yaml").read_text()
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
        (UNIT, "pico-w", "Pico W is a plain proxy"),
        ((*UNIT, "--hide", "pv_volt"), "esp32", "no reading 'pv_volt', did you mean 'pv_voltage'?"),
        ((*BATTERY, "--load-switch"), "esp32", "only a controller has a load output"),
        (BATTERY, "esp32", "--variant pro if `scan` shows it as RNGRBP"),
    ],
)
def test_says_what_does_not_fit(
    tmp_path: Path, arguments: tuple[str, ...], board: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "new", *arguments, board=board) == 64
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "option", [("--unit", "x"), ("--node", "Van 1"), ("--update-interval", "1ms"), ("--cells", "0")]
)
def test_checks_options_as_the_configuration_is(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as left:
        new(tmp_path / "new", *UNIT, *option)
    assert left.value.code == 64


KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ROVER = "  - {address: C4:D3:6A:00:00:01, name: Rover, id: rover, family: controller}\n"


def pi(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    units: str = ROVER,
    *,
    more: str = "",
    api: str = f"{{encryption: {{key: {KEY}}}}}",
    esphome: str = "{name: shed, friendly_name: The shed, area: Garden}",
) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "proxy.yaml"
    file.write_text(f"esphome: {esphome}\napi: {api}\nrenogy:\n{units}{more}")
    return file


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "proxy.yaml", "--variant", "pro"), "--variant does not go with --from"),
        (("--from", "proxy.yaml", "--name", "Rover"), "--name does not go with --from"),
        (("--from", "proxy.yaml", "--node", "van"), "--node does not go with --from"),
        (("--from", "proxy.yaml", "--id", "rover"), "--id does not go with --from"),
        (("--from", "proxy.yaml", "--area", "Van"), "--area does not go with --from"),
        (("--from", "proxy.yaml", "--family", "dcc"), "--family does not go with --from"),
        (("--from", "proxy.yaml", "--update-interval", "2s"), "--update-interval does not go with --from"),
        (("--from", "proxy.yaml", "--modbus-address", "1"), "--modbus-address does not go with --from"),
        (("--from", "proxy.yaml", "--load-switch"), "--load-switch does not go with --from"),
        (("--plain", "--hide", "pv_power"), "--hide does not go with --plain"),
        (("--plain", "--cells", "4"), "--cells does not go with --plain"),
        ((*UNIT, "-s", "a", "b"), "-s does not go with --unit"),
    ],
)
def test_options_that_would_say_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        new(tmp_path / "new", *arguments)
    assert left.value.code == 64
    assert said in capsys.readouterr().err


def test_takes_over_a_pis_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, ids, key, and of each unit exactly the entities that the Pi lists."""
    file = pi(
        tmp_path,
        monkeypatch,
        "  - {address: C4:D3:6A:00:00:01, name: Rover, id: rover, area: Roof, update_interval: 5s}\n"
        "  - {address: C4:D3:6A:00:00:03, name: Pack}\n",
    )
    keys = frozenset({"battery_voltage", "battery_current", "cell_voltage_1", "cell_voltage_2", "battery_power"})
    storage = Storage(state_folder(file, "shed"))
    profiles = Profiles(storage)
    profiles.put("rover", Profile(family=Family.CONTROLLER, model="RNG", keys=frozenset({"pv_power"})))
    pack = Profile(family=Family.BATTERY, variant="pro", model="RBT", modbus_address=48, keys=keys)
    profiles.put("renogy_c4d36a000003", pack)
    storage.flush()
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
    rover = load(tmp_path / "new" / "packages" / "unit_1.yaml")
    assert rover["renogy"][0]["update_interval"] == "5s"
    assert [entity["name"] for entity in rover["sensor"] if "link" not in entity] == ["Charging power"]
    battery = load(tmp_path / "new" / "packages" / "unit_2.yaml")
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
    assert new(tmp_path / "new", "--from", str(pi(tmp_path, monkeypatch, units))) == 64
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
    assert "switch" not in load(tmp_path / "read" / "packages" / "unit_1.yaml")
    (switch,) = load(tmp_path / "switch" / "packages" / "unit_1.yaml")["switch"]
    assert (switch["register"], switch["row"], switch["name"]) == (0x010A, "load_status", "Load")


SECOND_KEY = "HxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4="
EVERYTHING = """\
logger: {level: DEBUG, logs: {ble: INFO}}
bluetooth: {adapter: hci1}
bluetooth_proxy: {active: false, deny: "Thermo*"}
time: [{platform: host}]
sensor:
  - platform: renogy
    id: wishes
    pv_voltage:
      {name: Panels, icon: "mdi:solar-panel", accuracy_decimals: 2, id: volts, filters: [delta: 0.2], internal: true}
    pv_power: {disabled_by_default: true}
  - {platform: cpu_temperature, name: CPU}
"""


def test_takes_over_what_it_can_and_names_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pi(tmp_path, monkeypatch, more=EVERYTHING, api=f"{{port: 6055, encryption: {{key: {KEY}}}}}")
    folder = tmp_path / "new"
    assert new(folder, "--from", str(file)) == 0
    said = [line.removeprefix("blupow-proxy esp32: not taken over: ") for line in capsys.readouterr().err.splitlines()]
    assert [line.split(": ")[0] for line in said] == [
        "logger.logs",
        "bluetooth.adapter",
        "bluetooth_proxy.deny",
        "time",
        "sensor.0.pv_voltage.filters",
        "sensor.0.pv_voltage.id",
        "sensor.1",
    ]
    assert said[-1] == "sensor.1: write it into own.yaml, in ESPHome's words"
    assert load(folder / "shed.yaml")["substitutions"]["api_port"] == "6055"
    assert load(folder / "own.yaml")["logger"]["level"] == "DEBUG"
    entities = {entity.get("row"): entity for entity in load(folder / "packages" / "unit_1.yaml")["sensor"]}
    assert entities["pv_voltage"] | {"name": "Panels", "icon": "mdi:solar-panel"} == entities["pv_voltage"]
    assert entities["pv_voltage"] | {"accuracy_decimals": 2, "internal": True} == entities["pv_voltage"]
    assert not {"filters", "id"} & entities["pv_voltage"].keys()
    assert entities["pv_power"]["disabled_by_default"] is True
    assert new(folder, "--from", str(file)) == 0
    assert "logger.level" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("forwarding", "units", "expected", "said"),
    [
        ("{}", 1, (True, "2"), []),
        ("{connection_slots: 1}", 1, (True, "1"), []),
        ("{connection_slots: 2}", 1, (True, "2"), []),
        ("{connection_slots: 3}", 1, (True, "2"), ["connection_slots: the board has fewer links that no unit takes"]),
        ("{active: false, connection_slots: 3}", 1, (False, "2"), []),
        ("{active: false, deny: []}", 1, (False, "2"), []),
        ("{deny: Thermo}", 3, (False, "1"), ["active: the units take all", "deny: a board forwards all"]),
        ("{active: false, allow: ['T*']}", 3, (False, "1"), ["allow: a board forwards all that it hears"]),
        ("", 3, (False, "1"), ["active: the units take all links of this board, so it only hears"]),
    ],
)
def test_forwards_other_devices_as_the_pi_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    forwarding: str,
    units: int,
    expected: tuple[bool, str],
    said: list[str],
) -> None:
    listed = "".join(f"  - {{address: C4:D3:6A:00:00:0{n}, name: N{n}, family: dcc}}\n" for n in range(units))
    file = pi(tmp_path, monkeypatch, listed, more=f"bluetooth_proxy: {forwarding}\n")
    assert new(tmp_path / "new", "--from", str(file)) == 0
    project = load(tmp_path / "new" / "shed.yaml")
    assert "bluetooth_proxy" in project["packages"]
    assert (project["substitutions"]["lends_links"], project["substitutions"]["lent_links"]) == expected
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(said)
    for line, words in zip(lines, said, strict=True):
        assert f"not taken over: bluetooth_proxy.{words}" in line


def test_units_leave_nothing_to_a_proxy_that_nobody_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = "".join(f"  - {{address: C4:D3:6A:00:00:0{n}, name: N{n}, family: dcc}}\n" for n in range(3))
    assert new(tmp_path / "new", "--from", str(pi(tmp_path, monkeypatch, units))) == 0
    assert "bluetooth_proxy" not in load(tmp_path / "new" / "shed.yaml")["packages"]


def test_lists_the_readings_that_the_pi_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = ROVER.replace("}", ", entities: [pv_power, battery_voltage]}")
    file = pi(tmp_path, monkeypatch, unit)
    storage = Storage(state_folder(file, "shed"))
    for name, profile in (("guessed", None), ("known", frozenset({"pv_power", "pv_voltage", "battery_voltage"}))):
        if profile is not None:
            Profiles(storage).put("rover", Profile(family=Family.CONTROLLER, model="RNG", keys=profile))
            storage.flush()
        assert new(tmp_path / name, "--from", str(file)) == 0
        package = load(tmp_path / name / "packages" / "unit_1.yaml")
        shown = {entity["row"] for kind in Kind for entity in package[kind] if "row" in entity}
        assert shown == {"pv_power", "battery_voltage"}
        assert not any("problem" in entity for entity in package["binary_sensor"])
    assert capsys.readouterr().err == ""


def test_substitutions_as_config_and_run_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = pi(tmp_path, monkeypatch, ROVER.replace("Rover", "'${who}'"), more="substitutions: {who: Nobody}\n")
    assert new(tmp_path / "new", "--from", str(file), "-s", "who", "Wanderer") == 0
    assert load(tmp_path / "new" / "packages" / "unit_1.yaml")["esphome"]["devices"][0]["name"] == "Wanderer"


def test_another_key_than_the_pis_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Home Assistant would not get in; what is there stays as it is, and neither key is shown."""
    file = pi(tmp_path, monkeypatch)
    assert new(tmp_path / "new", "--from", str(file)) == 0
    before = contents(tmp_path / "new")
    file.write_text(file.read_text().replace(KEY, SECOND_KEY))
    capsys.readouterr()
    assert new(tmp_path / "new", "--from", str(file), "--overwrite") == 73
    said = capsys.readouterr().err
    assert "secrets.yaml has another key than the Pi" in said
    assert not any(key in said for key in (KEY, SECOND_KEY))
    assert contents(tmp_path / "new") == before
    (tmp_path / "new" / "secrets.yaml").write_text("[")
    assert new(tmp_path / "new", "--from", str(file)) == 73
    assert "is no list of secrets" in capsys.readouterr().err


def test_a_pi_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for api, said in (("{}", "api.encryption.key: the Pi has none yet"), ("{encryption: false}", "api.encryption: a")):
        assert new(tmp_path / said[15:18], "--from", str(pi(tmp_path, monkeypatch, api=api))) == 0
        assert said in capsys.readouterr().err


def test_what_the_pi_knows_and_nobody_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another key would be made, and units guessed."""
    file = pi(tmp_path, monkeypatch, api="{}")
    folder = state_folder(file, "shed")
    folder.mkdir(parents=True)
    (folder / "key.json").write_text("{")
    assert new(tmp_path / "new", "--from", str(file)) == 64
    assert "the key that the Pi has stored can't be read" in capsys.readouterr().err
    for error, code in ((PermissionError(13, "Permission denied"), 77), (OSError(5, "Input/output error"), 66)):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "iterdir", Mock(side_effect=error))
            assert new(tmp_path / "new", "--from", str(file)) == code
        assert f"can't read what the Pi knows of its units: {error.strerror}" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_wish_is_for_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Pi has not seen the unit, what it is said to have is listed as well; empty sections are none."""
    pack = "  - {address: C4:D3:6A:00:00:01, name: Pack, family: battery, variant: pro}\n"
    more = "sensor: [{platform: renogy, cell_voltage_7: {name: Seventh}, cell_voltage_8: }]\ntext_sensor:\nbluetooth:\n"
    assert new(tmp_path / "new", "--from", str(pi(tmp_path, monkeypatch, pack, more=more))) == 0
    names = {entity["name"] for entity in load(tmp_path / "new" / "packages" / "unit_1.yaml")["sensor"]}
    assert {"Cell voltage 4", "Seventh", "Cell voltage 8"} <= names
    assert "Cell voltage 5" not in names


def test_overwriting_removes_what_was_generated_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "van"
    assert new(folder, *UNIT, "--node", "first") == 0
    mine = [folder / "notes.yaml", folder / "packages" / "mine.yaml", folder / "components" / "renogy" / "mine.h"]
    for path in mine:
        path.write_text("# mine: Made by `blupow-proxy esp32 new`\n")
    assert new(folder, "--plain", "--overwrite", board="pico-w") == 0
    left = {path for path in contents(folder) if path.name not in (".gitignore", "own.yaml", "secrets.yaml")}
    packages = {folder / "packages" / f"{name}.yaml" for name in ("base", "node", "wifi")}
    assert left == {*mine, *packages, folder / "van.yaml", folder / "board.yaml"}
    mine[-1].unlink()
    assert new(folder, "--plain", "--overwrite", board="pico-w") == 0


@pytest.mark.parametrize("name", ["secrets", "own", "board"])
def test_no_file_has_the_name_of_another(tmp_path: Path, name: str) -> None:
    assert new(tmp_path, *UNIT, "--id", name, "--node", name) == 0
    assert load(tmp_path / f"{name}-board.yaml")["esphome"]["name"] == name
    assert load(tmp_path / "secrets.yaml").keys() >= {"api_encryption_key", "wifi_ssid"}
    assert load(tmp_path / "packages" / "unit_1.yaml")["esphome"]["devices"][0]["id"] == name


@pytest.mark.parametrize("unit_id", ["int", "wifi", "template", "blupow_clock", "uart", "esp32_ble"])
def test_an_id_that_esphome_has_is_refused(tmp_path: Path, unit_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It can't be changed silently: its hash is how Home Assistant knows the unit."""
    assert new(tmp_path / "new", *UNIT, "--id", unit_id) == 64
    assert "Charge controller: ESPHome keeps its id for itself: choose another" in capsys.readouterr().err


def ids_in(folder: Path) -> list[str]:
    """Return every id that the generated files declare."""
    declared = []
    for file in [*folder.glob("*.yaml"), *folder.glob("packages/unit_*.yaml")]:
        content = load(file)
        esphome = content.get("esphome", {})
        declared += [each["id"] for key in ("devices", "areas") for each in esphome.get(key, ())]
        declared += [each["id"] for each in content.get("renogy", ())]
    for package in load(folder / "shed.yaml")["packages"].values():
        if not isinstance(package, str):
            declared += [f"{package['vars']['stem']}_{part}" for part in ("uart", "ble", "ble_enabled")]
    return declared


def test_ids_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the parts of another unit, nor with an area; a unit's own id stays, whatever it is."""
    ids = ("a", "a_unit", "a_", "a__uart")
    units = "".join(
        f"  - {{address: C4:D3:6A:00:00:0{n}, name: N{n}, id: {unit_id}, family: dcc, area: {area}}}\n"
        for n, (unit_id, area) in enumerate(zip(ids, ("a", "Wifi", "Küche", "a uart"), strict=True))
    )
    assert new(tmp_path / "new", "--from", str(pi(tmp_path, monkeypatch, units)), board="wt32-eth01") == 0
    declared = ids_in(tmp_path / "new")
    assert len(declared) == 4 * 6
    assert len({*declared}) == len(declared)
    assert not TAKEN & {*declared}
    assert {*ids} < {*declared}
    devices = [load(tmp_path / "new" / "packages" / f"unit_{n}.yaml")["esphome"]["devices"][0] for n in range(1, 5)]
    areas = {area["id"]: area["name"] for area in load(tmp_path / "new" / "shed.yaml")["esphome"]["areas"]}
    assert [areas[device["area_id"]] for device in devices] == ["a", "Wifi", "Küche", "a uart"]


def test_nothing_secret_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secrets.yaml").write_text("who: hushed\nhost: hushed-host\n")
    esphome = "{name: !secret host}"
    auto = "  - {address: C4:D3:6A:00:00:01, name: !secret who, id: hushed_id}\n"
    file = str(pi(tmp_path, monkeypatch, auto, esphome=esphome))
    assert new(tmp_path / "new", "--from", file) == 64
    pi(tmp_path, monkeypatch, auto.replace("hushed_id", "rover, family: dcc"), esphome=esphome)
    assert new(tmp_path / "new", "--from", file) == 0
    (tmp_path / "new" / "hushed-host.yaml").write_text("# changed\n")
    assert new(tmp_path / "new", "--from", file) == 73
    out, said = capsys.readouterr()
    assert "renogy.0: set its family in" in said
    assert "has other contents in the main file" in said
    assert "NAME.yaml, NAME being its `esphome: name`" in out
    assert "hushed" not in out + said


@pytest.mark.parametrize("way", ["", "packages", "own.yaml", "van.yaml"])
def test_a_folder_that_can_not_be_written(tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in the way is of another kind: a file for a folder, a folder for a file."""
    folder = tmp_path / "van"
    blocked = folder / way
    if blocked.suffix:
        blocked.mkdir(parents=True)
        (blocked / "mine").touch()
    else:
        blocked.parent.mkdir(exist_ok=True)
        blocked.touch()
    code = new(folder, *UNIT, "--overwrite")
    said = capsys.readouterr().err
    if way == "own.yaml":  # it is the user's, and a matter between ESPHome and them
        assert code == 0
    else:
        assert code == 73
        assert ("is no folder: choose another name\n" if not way else "Choose another folder, or make") in said
    assert said.count("\n") <= 1


def test_a_name_is_no_substitution(tmp_path: Path) -> None:
    """ESPHome would put the number of links into it."""
    assert new(tmp_path / "new", *UNIT, "--name", "Cash $links ${links}") == 0
    assert 'name: !literal "Cash $links ${links}"' in (tmp_path / "new" / "packages" / "unit_1.yaml").read_text()


def test_slashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path / "new", *UNIT, "--name", "12/24 V") == 64
    assert new(tmp_path / "new", *UNIT, "--area", "Shed/Van") == 64
    assert capsys.readouterr().err.count("ESPHome allows no / in names: write another sign") == 2

import json
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml import safe_dump

from blupow_config import (
    BluetoothConfig,
    BluetoothProxyConfig,
    ConfigErrors,
    ProxyConfig,
    UnitConfig,
    ZeroconfConfig,
    config_hash,
    load_config,
    to_yaml,
)

KEY = b64encode(bytes(range(32))).decode()
BASE = "esphome: {name: shed}\n"
UNIT = BASE + "renogy:\n  - address: C4:D3:6A:00:00:01\n    name: Rover\n    "


def write(folder: Path, text: str, secrets: str | None = None) -> Path:
    path = folder / "proxy.yaml"
    path.write_text(text)
    if secrets is not None:
        (folder / "secrets.yaml").write_text(secrets)
    return path


def mistakes(folder: Path, text: str, secrets: str | None = None) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load_config(write(folder, text, secrets))
    return [str(error).removeprefix(f"{folder}/proxy.yaml").removeprefix(":") for error in caught.value.errors]


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "esphome:\n  name: solar-shed\n"))
    assert config.esphome.friendly_name == "Solar shed"
    assert (config.api.port, config.api.encryption, config.api.key) == (6053, True, None)
    assert config.zeroconf == ZeroconfConfig(enabled=True, esphome="auto")
    assert config.logger.level == "INFO"
    assert config.renogy == ()


def test_everything(tmp_path: Path) -> None:
    text = """
esphome: {name: shed, friendly_name: My shed, area: Garden}
api: {port: 6054, encryption: {key: !secret api_key}}
bluetooth: {adapter: hci1, auto_recovery: true}
zeroconf: {disabled: yes, esphome: never}
logger: {level: debug}
renogy:
  - {address: c4-d3-6a-00-00-01, name: Rover, family: Controller, load_switch: on, update_interval: 500ms}
  - {address: C4:D3:6A:00:00:02, name: Left, modbus_address: 0x30, variant: hub, id: left, area: Van}
  - {address: C4:D3:6A:00:00:02, name: Right, modbus_address: 49, update_interval: 1min}
"""
    config = load_config(write(tmp_path, text, f"api_key: {KEY}\n"))
    assert config.api.key == bytes(range(32))
    assert config.bluetooth == BluetoothConfig(adapter="hci1", auto_recovery=True)
    assert config.zeroconf == ZeroconfConfig(enabled=False, esphome="never")
    assert config.logger.level == "DEBUG"
    assert config.renogy == (
        UnitConfig(
            id="renogy_c4d36a000001",
            address="C4:D3:6A:00:00:01",
            name="Rover",
            family="controller",
            load_switch=True,
            update_interval_s=0.5,
        ),
        UnitConfig(id="left", address="C4:D3:6A:00:00:02", name="Left", modbus_address=48, variant="hub", area="Van"),
        UnitConfig(
            id="renogy_c4d36a000002_49",
            address="C4:D3:6A:00:00:02",
            name="Right",
            modbus_address=49,
            update_interval_s=60.0,
        ),
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", BluetoothProxyConfig()),
        ("{}", BluetoothProxyConfig(active=True, connection_slots=3, allow=(), deny=())),
        ("{active: no, connection_slots: '0x9'}", BluetoothProxyConfig(active=False, connection_slots=9)),
        (
            "{allow: [a4-c1-38-00-00-02, A4C138000003, 'Thermo*', Thermo*, '*', 11:22:33:44:55:10]}",
            BluetoothProxyConfig(
                allow=("A4:C1:38:00:00:02", "A4:C1:38:00:00:03", "Thermo*", "*", "11:22:33:44:55:10"),
            ),
        ),
        ("{deny: ' LYWSD03MMC '}", BluetoothProxyConfig(deny=("LYWSD03MMC",))),
        ("{deny: , allow: [12-34, Küche, a-b-c, 12:34, 1234567890*]}", BluetoothProxyConfig(
            allow=("12-34", "Küche", "a-b-c", "12:34", "1234567890*"))),
        ("{allow: c4-d3-6a-00-00-02, deny: [C4:D3:6A:00:00:01]}", BluetoothProxyConfig(
            allow=("C4:D3:6A:00:00:02",), deny=("C4:D3:6A:00:00:01",))),
    ],
)  # fmt: skip
def test_other_devices(tmp_path: Path, written: str, expected: BluetoothProxyConfig) -> None:
    config = load_config(write(tmp_path, f"{UNIT}\nbluetooth_proxy: {written}\n"))
    assert config.bluetooth_proxy == expected
    again = load_config(write(tmp_path, to_yaml(config)))
    assert again == config
    assert load_config(write(tmp_path, BASE)).bluetooth_proxy is None


def test_many_other_devices(tmp_path: Path) -> None:
    most = ", ".join(f"A{number}" for number in range(100))
    config = load_config(write(tmp_path, f"{BASE}bluetooth_proxy: {{deny: [{most}], allow: {'ä' * 124}}}\n"))
    assert config.bluetooth_proxy is not None
    assert len(config.bluetooth_proxy.deny) == 100
    found = mistakes(tmp_path, f"{BASE}bluetooth_proxy: {{deny: [{most}, B], allow: {'ä' * 125}}}\n")
    assert [mistake.split(": ", 1)[1] for mistake in found] == [
        "bluetooth_proxy.deny: expected at most 100 addresses and names: a name may stand for many, as `Thermo*`",
        "bluetooth_proxy.allow: is longer than the 248 bytes that a Bluetooth name may have",
    ]


@pytest.mark.parametrize(
    ("encryption", "expected"),
    [
        ("encryption:", (True, None)),
        ("encryption: {}", (True, None)),
        ("encryption: true", (True, None)),
        ("encryption: false", (False, None)),
        (f"encryption: {{key: {KEY}}}", (True, bytes(range(32)))),
    ],
)
def test_encryption(tmp_path: Path, encryption: str, expected: tuple[bool, bytes | None]) -> None:
    config = load_config(write(tmp_path, f"{BASE}api:\n  {encryption}\n"))
    assert (config.api.encryption, config.api.key) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [" empty: start with `esphome:` and a `name:` in it"]),
        ("- a\n", [" expected options, as `esphome:`"]),
        ("just text\n", [" expected options, as `esphome:`"]),
        ("esphome: {name: a\nb: [\n", [" not valid YAML"]),
        ("esphome:\n  name: a\n  name: b\n", ["3:3: not valid YAML: duplicate mapping key: name"]),
        ("esphome:\n\tname: a\n", [" not valid YAML"]),
        ("api:\n", ["1:1: esphome: is required"]),
        ("esphome:\n", ["1:1: esphome: expected options below it"]),
        ("esphome: shed\n", ["1:10: esphome: expected options below it"]),
        ("esphome: {}\n", ["1:1: esphome.name: is required"]),
        ("esphome:\n  name: Solar Shed\n", ["2:9: esphome.name: use lower-case letters, digits and hyphens", "'solar-shed'"]),
        ("esphome:\n  name: -a-\n", ["2:9: esphome.name: use lower-case", "'a'"]),
        ("esphome:\n  name: ___\n", ["2:9: esphome.name: use lower-case"]),
        (f"esphome:\n  name: {'a' * 32}\n", ["2:9: esphome.name: use lower-case", "at most 31"]),
        ("esphome:\n  name: 5\n", ["2:9: esphome.name: expected a text"]),
        ("esphome:\n  name: ''\n", ["2:9: esphome.name: is empty"]),
        ("esphome:\n  name:\n", ["2:3: esphome.name: is empty"]),
        ("esphome:\n  name: [a]\n", ["2:9: esphome.name: expected a text"]),
        ("esphome:\n  name: a\n  frendly_name: b\n", ["3:3: esphome.frendly_name: not a valid option", "'friendly_name'"]),
        (BASE + "apy:\n  port: 1\n", ["2:1: apy: not a valid option"]),
        (BASE + "api:\n  port: 0\n", ["3:9: api.port: expected a whole number from 1 to 65535"]),
        (BASE + "api:\n  port: 70000\n", ["3:9: api.port: expected a whole number"]),
        (BASE + "api:\n  port: abc\n", ["3:9: api.port: expected a whole number"]),
        (BASE + "api:\n  port: 1.5\n", ["3:9: api.port: expected a whole number"]),
        (BASE + "api:\n  port: true\n", ["3:9: api.port: expected a whole number"]),
        (BASE + "api: 6053\n", ["2:6: api: expected options below it"]),
        (BASE + "api:\n  encryption: maybe\n", ["3:15: api.encryption: expected `key: ...` below it, or false"]),
        (BASE + "api:\n  encryption:\n    key: abc\n", ["4:10: api.encryption.key: expected a key of 32 bytes"]),
        (BASE + "api:\n  encryption:\n    key: 5\n", ["4:10: api.encryption.key: expected a key of 32 bytes"]),
        (BASE + f"api:\n  encryption:\n    key: {b64encode(bytes(32)).decode()}\n", ["4:10: api.encryption.key: expected a key"]),
        (BASE + "api:\n  encryption:\n    keys: x\n", ["4:5: api.encryption.keys: not a valid option", "'key'"]),
        (BASE + "api:\n  encryption:\n    key: !secret nope\n", ["4:10: api.encryption.key: there is no secret 'nope' in secrets.yaml"]),
        (BASE + "api:\n  port: !env_var PORT\n", ["3:9: api.port: the environment has no variable 'PORT': set it, or write a default after its name"]),
        (BASE + "bluetooth: {adapter: b8:27:eb:00:00}\n", ["2:22: bluetooth.adapter: expected an adapter such as hci0, or its address"]),
        (BASE + "bluetooth:\n  adapter: [1]\n", ["3:12: bluetooth.adapter: expected an adapter such as hci0, or its address"]),
        (BASE + "zeroconf:\n  esphome: sometimes\n", ["3:12: zeroconf.esphome: expected one of auto, always, never"]),
        (BASE + "zeroconf:\n  disabled: 3\n", ["3:13: zeroconf.disabled: expected true or false"]),
        (BASE + "logger:\n  level: INF\n", ["3:10: logger.level: expected one of NONE", "did you mean 'INFO'?"]),
        (BASE + "renogy: 5\n", ["2:9: renogy: expected a list"]),
        (BASE + "renogy:\n  address: C4:D3:6A:00:00:01\n", ["2:1: renogy: expected a list: start each entry with `- address:`"]),
        (BASE + "renogy:\n  - 5\n", ["3:5: renogy.0: expected options below it"]),
        (BASE + "renogy:\n  - name: a\n", ["3:5: renogy.0.address: is required"]),
        (BASE + "renogy:\n  - address: C4:D3:6A:00:00:01\n", ["3:5: renogy.0.name: is required"]),
        (BASE + "renogy:\n  - address: C4:D3:6A:00:00\n    name: a\n", ["3:14: renogy.0.address: expected a Bluetooth address"]),
        (UNIT + "family: inverterr\n", ["5:13: renogy.0.family: expected one of auto", "did you mean 'inverter'?"]),
        (UNIT + "update_interval: 2\n", ["5:22: renogy.0.update_interval: expected a time with its unit"]),
        (UNIT + "update_interval: 2 lightyears\n", ["5:22: renogy.0.update_interval: expected a time with its unit"]),
        (UNIT + "update_interval: 100ms\n", ["5:22: renogy.0.update_interval: expected a time from 500ms to 1h"]),
        (UNIT + "update_interval: 2h\n", ["5:22: renogy.0.update_interval: expected a time from 500ms to 1h"]),
        (UNIT + "modbus_address: 248\n", ["5:21: renogy.0.modbus_address: expected a whole number from 1 to 247"]),
        (UNIT + "load_switch: perhaps\n", ["5:18: renogy.0.load_switch: expected true or false"]),
        (UNIT + "family: inverter\n    load_switch: true\n", ["6:18: renogy.0.load_switch: only a controller has a load output"]),
        (UNIT + "family: dcc\n    variant: pro\n", ["6:14: renogy.0.variant: only batteries have variants"]),
        (UNIT + "id: 5 a\n", ["5:9: renogy.0.id: an id has letters, digits and underscores"]),
        (UNIT + "yes: 1\n    1: 2\n", ["5:5: renogy.0.yes: not a valid option", "renogy.0: expected an option, which is a word, instead of 1"]),
        (UNIT + "\n  - address: C4-D3-6A-00-00-01\n    name: Other\n", ["6:14: renogy.1.address: renogy.0 is the same unit"]),
        (
            UNIT + "\n  - address: C4-D3-6A-00-00-01\n    name: Other\n    modbus_address: 3\n",
            ["6:14: renogy.1.address: renogy.0 is behind the same Bluetooth module"],
        ),
        (UNIT + "\n  - address: C4:D3:6A:00:00:02\n    name: Rover\n", ["7:11: renogy.1.name: is taken by renogy.0"]),
        ("esphome:\n  name: |\n    a\n    b\n", ["2:9: esphome.name: expected one line"]),
        ('esphome: {name: a, friendly_name: "a\\nb"}\n', ["1:35: esphome.friendly_name: expected one line without control characters"]),
        ('esphome: {name: a, area: "\\e[31m"}\n', ["1:26: esphome.area: expected one line without control characters"]),
        ('esphome: {name: a, area: "a\\u2028b"}\n', ["1:26: esphome.area: expected one line"]),
        (f"esphome: {{name: a, friendly_name: {'ä' * 61}}}\n", ["1:35: esphome.friendly_name: is 122 bytes long: shorten it to 120"]),
        (UNIT + f"area: {'a' * 121}\n", ["5:11: renogy.0.area: is 121 bytes long"]),
        (BASE + f"renogy: [{{address: C4:D3:6A:00:00:01, name: {'a' * 121}}}]\n", ["2:45: renogy.0.name: is 121 bytes long"]),
        ("esphome: {name: a, area: 5}\n", ["1:26: esphome.area: expected a text: put it in quotes"]),
        (BASE + f"api: {{port: {'9' * 5000}}}\n", ["2:13: api.port: expected a whole number from 1 to 65535"]),
        (BASE + f"api: {{port: '{'9' * 5000}'}}\n", ["2:13: api.port: expected a whole number from 1 to 65535"]),
        (BASE + f"api: {{port: '0x{'F' * 5000}'}}\n", ["2:13: api.port: expected a whole number from 1 to 65535"]),
        (BASE + "api: {port: '\u0663'}\n", ["2:13: api.port: expected a whole number"]),
        (UNIT + f"modbus_address: '{'9' * 5000}'\n", ["5:21: renogy.0.modbus_address: expected a whole number"]),
        (BASE + "logger: {level: ~}\n", ["2:10: logger.level: expected one of NONE"]),
        (BASE + "bluetooth: {adapter: hci 0}\n", ["2:22: bluetooth.adapter: expected an adapter such as hci0, or its address"]),
        (BASE + "renogy: Rover\n", ["2:9: renogy: expected a list: start each entry with `- address:`"]),
        (BASE + "renogy: [{address: 123456789012, name: a}]\n", ["2:20: renogy.0.address: looks like a number to YAML"]),
        (UNIT + "modbus_address: 900\n  - address: C4:D3:6A:00:00:01\n    name: B\n", ["5:21: renogy.0.modbus_address: expected a whole"]),
        (UNIT + "family: inverterr\n    load_switch: true\n", ["5:13: renogy.0.family: expected one of"]),
        (BASE + "---\napi: {}\n", ["3:1: a second document starts here: a file holds one"]),
        (BASE + "---\n", ["2:1: a second document starts here"]),
        (BASE + "...\napi: {}\n", ["3:1: a second document starts here"]),
        ("---\n---\n" + BASE, ["3:1: a second document starts here"]),
        (BASE + "api: !secret\n", ["2:6: api: expected the name of a secret after !secret"]),
        (BASE + "api: !secret [a]\n", ["2:6: api: expected the name of a secret after !secret"]),
        (BASE + "~: 1\n", ["2:1: expected an option, which is a word, instead of nothing"]),
        (BASE + "!secret a: 1\n", ["2:1: expected an option, which is a word, instead of a tag"]),
        (BASE + "1.5: 1\n", ["2:1: expected an option, which is a word, instead of 1.5"]),
        (BASE + "? [a]\n: 1\n", ["2:1: not valid YAML: complex mapping key"]),
        (BASE + '"\\e[2J\\n": 1\n', ["2:1: \\x1b[2J\\n: not a valid option"]),
        (BASE + f"{'a' * 300}: 1\n", [f"2:1: {'a' * 40}...: not a valid option"]),
        (BASE + f"api: {'[' * 900}{']' * 900}\n", ["2:6: api: nested too deeply"]),
        (
            UNIT + "id: a\n  - address: C4:D3:6A:00:00:02\n    name: B\n    id: a\n",
            ["8:9: renogy.1.id: is taken by renogy.0"],
        ),
    ],
)  # fmt: skip
def test_one_mistake(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = mistakes(tmp_path, text)
    for part in expected:
        assert any(part in mistake for mistake in found), found
    if expected[0][0].isdigit() and "instead of" not in expected[-1]:
        assert len(found) == 1


@pytest.mark.parametrize(
    ("written", "number"), [("010", 10), ("'010'", 10), ("0x10", 16), ("'0x10'", 16), ("0xF0", 240), ("'00000000000047'", 47)]
)  # fmt: skip
def test_numbers_are_decimal_or_hexadecimal(tmp_path: Path, written: str, number: int) -> None:
    config = load_config(write(tmp_path, UNIT + f"modbus_address: {written}\napi: {{port: {written}}}\n"))
    assert (config.renogy[0].modbus_address, config.api.port) == (number, number)


def test_names_of_120_bytes(tmp_path: Path) -> None:
    name = "ä" * 60
    config = load_config(write(tmp_path, f"esphome: {{name: a, friendly_name: {name}, area: 👩‍🚀}}\n"))
    assert (config.esphome.friendly_name, config.esphome.area) == (name, "👩‍🚀")


@pytest.mark.parametrize("text", ["---\n" + BASE, "# a\n---\n" + BASE + "...\n# b\n", "%YAML 1.2\n---\n" + BASE])
def test_one_document_may_be_marked(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text)).esphome.name == "shed"


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """esphome:
  name: Solar Shed
api:
  port: 70000
  encryption: {key: !secret nope}
logger: {level: INF}
renogy:
  - address: x
    name: a
"""
    found = mistakes(tmp_path, text)
    assert [mistake.split(": ")[1] for mistake in found] == [
        "esphome.name",
        "api.port",
        "api.encryption.key",
        "logger.level",
        "renogy.0.address",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x00\n", b"esphome: {name: \xc3\x28}\n"])
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors):
        load_config(path)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="no such file"):
        load_config(tmp_path / "gone.yaml")
    with pytest.raises(ConfigErrors, match="is a directory"):
        load_config(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigErrors, match="too large"):
        load_config(large)


def test_what_is_printed_is_the_same_configuration(tmp_path: Path) -> None:
    text = (
        UNIT
        + f"load_switch: true\n    area: Van\napi: {{encryption: {{key: {KEY}}}}}\nbluetooth: {{adapter: hci1, auto_recovery: true}}\n"
    )
    config = load_config(write(tmp_path, text))
    again = load_config(write(tmp_path, to_yaml(config, show_secrets=True)))
    assert again == config
    assert config_hash(again) == config_hash(config)
    plain: ProxyConfig = load_config(write(tmp_path, BASE + "api: {encryption: false}\n"))
    assert load_config(write(tmp_path, to_yaml(plain))) == plain


def test_what_is_hidden_has_no_name_to_be_taken(tmp_path: Path) -> None:
    wishes = "battery_voltage: {internal: true, id: v}, pv_voltage: {name: Battery voltage}"
    config = load_config(write(tmp_path, f"{UNIT}family: controller\nsensor: [{{platform: renogy, {wishes}}}]\n"))
    assert len(config.readings) == 2


@pytest.mark.parametrize("area", ["\u2028x", "x\u0085", "  x\u2028 "])
def test_what_surrounds_a_text_is_not_printed(tmp_path: Path, area: str) -> None:
    config = load_config(write(tmp_path, UNIT + f"area: {json.dumps(area)}\n"))
    again = load_config(write(tmp_path, to_yaml(config)))
    assert again.renogy[0].area == "x"
    assert config_hash(again) == config_hash(config)


def test_a_literal_text_is_printed_as_one(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, UNIT + "area: !literal 'a ${b} $c'\n"))
    again = load_config(write(tmp_path, to_yaml(config)))
    assert again.renogy[0].area == "a ${b} $c"
    assert config_hash(again) == config_hash(config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPTIONS = st.sampled_from(
    ["esphome", "api", "bluetooth", "zeroconf", "logger", "renogy", "name", "address", "key", "encryption", "port"]
)
TREES = st.dictionaries(OPTIONS, JSON | st.dictionaries(OPTIONS, JSON, max_size=3) | st.lists(
    st.dictionaries(OPTIONS, JSON, max_size=3), max_size=2), max_size=4)  # fmt: skip


@given(tree=TREES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_tree_is_a_configuration_or_mistakes(tmp_path: Path, tree: object) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(safe_dump(tree, allow_unicode=True), encoding="utf-8")
    with suppress(ConfigErrors):
        load_config(path)


@given(text=st.text(alphabet="ab:-[]{}!&*|>'\"#%@`, \n\t?", max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_configuration_or_mistakes(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigErrors):
        load_config(write(tmp_path, text))

from base64 import b64encode
from pathlib import Path

import pytest

from blupow_config import ConfigErrors, load_config, secrets_exposed, to_yaml

KEY = b64encode(bytes(range(32))).decode()
BASE = "esphome: {name: shed}\n"
UNIT = BASE + "renogy:\n  - address: C4:D3:6A:00:00:01\n    name: Rover\n    "


def write(folder: Path, text: str, secrets: str) -> Path:
    path = folder / "proxy.yaml"
    path.write_text(text)
    (folder / "secrets.yaml").write_text(secrets)
    return path


def mistakes(folder: Path, text: str, secrets: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load_config(write(folder, text, secrets))
    return str(caught.value).replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ("", ["there is no secret 'api_key' in secrets.yaml beside this file"]),
        ("other: x\n", ["there is no secret 'api_key' in secrets.yaml beside this file"]),
        ("api_key: [\n", ["can't be read: secrets.yaml has a mistake", "secrets.yaml:2:1: not valid YAML"]),
        ("- a\n", ["can't be read", "secrets.yaml:1:1: expected one secret a line, as `name: value`"]),
        ("a: 1\n---\n", ["can't be read", "secrets.yaml:2:1: a second document starts here"]),
        ("api_key: 1\napi_key: 2\n", ["can't be read", "secrets.yaml:2:1: not valid YAML: duplicate mapping key"]),
        ("api_key: {a: b}\n", ["the secret 'api_key' in secrets.yaml is not a single value"]),
        ("api_key: !secret other\n", ["the secret 'api_key' in secrets.yaml is not a single value"]),
    ],
)  # fmt: skip
def test_secrets_that_do_not_help(tmp_path: Path, secrets: str, expected: list[str]) -> None:
    found = mistakes(tmp_path, BASE + "api: {encryption: {key: !secret api_key}}\n", secrets)
    assert len(found) == len(expected)
    for mistake, part in zip(found, expected, strict=True):
        assert part in mistake


def test_a_secret_never_shows(tmp_path: Path) -> None:
    text = BASE + "api: {port: !secret s, encryption: {key: !secret s}}\nrenogy: [{address: !secret s, name: a}]\n"
    found = "\n".join(mistakes(tmp_path, text, "s: hunter2-hunter2\n"))
    assert "hunter2" not in found
    config = load_config(write(tmp_path, BASE + "api: {encryption: {key: !secret s}}\n", f"s: {KEY}\n"))
    assert KEY not in to_yaml(config)
    assert "<hidden>" in to_yaml(config)
    assert KEY in to_yaml(config, show_secrets=True)
    assert "key=" not in repr(config.api)


@pytest.mark.parametrize(
    "text",
    [
        "esphome: {name: !secret s}\n",
        BASE + "logger: {level: !secret s}\n",
        BASE + "zeroconf: {esphome: !secret s, disabled: !secret s}\n",
        BASE + "bluetooth: {adapter: !secret s}\napi: !secret s\n",
        BASE + "api: {port: !secret s, encryption: !secret s}\nrenogy: !secret s\n",
        UNIT + "family: !secret s\n    load_switch: true\n    variant: !secret s\n",
        UNIT + "id: !secret s\n    update_interval: !secret s\n    modbus_address: !secret s\n",
        UNIT + "id: !secret s\n  - {address: C4:D3:6A:00:00:02, name: Two, id: !secret s}\n",
        UNIT
        + "\n  - {address: C4:D3:6A:00:00:02, name: !secret s}\n  - {address: C4:D3:6A:00:00:03, name: !secret s}\n",
        UNIT + "area: !secret s\n  - {address: C4:D3:6A:00:00:02, name: Two, area: !secret t}\n",
    ],
)
def test_messages_are_the_same_whatever_the_secret_is(tmp_path: Path, text: str) -> None:
    found = {
        "\n".join(mistakes(tmp_path, text, f"s: {secret}\nt: {secret.swapcase()}\n"))
        for secret in ("TOPsecret_9", "Inverter_", "Debug_", "Always_", "Controller_", "Legacy_")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    "secret", ["*hunter2", "!hunter2! x", "!hunter2", "'hunter2' hunter2", "[hunter2", "{hunter2: 1}"]
)
def test_nor_does_one_on_the_secrets_file(tmp_path: Path, secret: str) -> None:
    found = mistakes(tmp_path, BASE + "api: {encryption: {key: !secret s}}\n", f"s: {secret}\n")
    assert not any("hunter2" in mistake for mistake in found)


def test_what_shows_a_secret_is_hidden(tmp_path: Path) -> None:
    text = """
esphome: {name: !secret name}
api: {port: !secret port}
renogy:
  - {address: !secret address, name: One}
  - {address: C4:D3:6A:00:00:02, name: !secret unit, id: two, modbus_address: !secret modbus}
  - {address: C4:D3:6A:00:00:03, name: Three, modbus_address: !secret modbus, update_interval: 5s}
"""
    secrets = "name: hideout\nport: '06054'\naddress: C4:D3:6A:0A:0B:0C\nunit: Lair\nmodbus: 77\n"
    config = load_config(write(tmp_path, text, secrets))
    shown = to_yaml(config)
    for value in ("hideout", "6054", "c4:d3:6a:0a", "c4d36a0a", "lair", "77", "c4d36a000003"):
        assert value not in shown.lower()
    for value in ("One", "C4:D3:6A:00:00:02", "id: two", "Three", "update_interval: 5s", "level: INFO"):
        assert value in shown
    assert load_config(write(tmp_path, to_yaml(config, show_secrets=True), "")) == config


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    assert not secrets_exposed(path)
    secrets = tmp_path / "secrets.yaml"
    secrets.write_text("a: b")
    secrets.chmod(0o640)
    assert not secrets_exposed(path)
    secrets.chmod(0o644)
    assert secrets_exposed(path)

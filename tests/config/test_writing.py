from pathlib import Path

import pytest

from blupow_config import (
    KEY_SECRET,
    ConfigErrors,
    NewUnit,
    load_config,
    new_file,
    stored_secret,
    with_secret,
    with_units,
)

KEY = "dGhlIGtleSBvZiB0aGUgcmVhbCBCbHVlWiEhISEhISE="
ROVER = NewUnit(address="C4:D3:6A:00:00:01", name="Rover", family="controller")
HUB = NewUnit(address="11:22:33:44:55:59", name="Küche: # 2", modbus_address=48)


def write(folder: Path, source: str | bytes) -> Path:
    path = folder / "proxy.yaml"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    (folder / "secrets.yaml").write_bytes(with_secret(b"", KEY_SECRET, KEY))
    return path


def test_a_new_file_is_read_as_it_was_meant(tmp_path: Path) -> None:
    text = new_file(
        name="yes", friendly_name="Yes: a 'shed'", adapter="AA:BB:CC:DD:EE:FF", units=[ROVER, HUB], file="p"
    )
    assert text.startswith("# yaml-language-server: $schema=https://")
    config = load_config(write(tmp_path, text))
    assert (config.esphome.name, config.esphome.friendly_name) == ("yes", "Yes: a 'shed'")
    assert config.bluetooth.adapter == "AA:BB:CC:DD:EE:FF"
    assert config.api.key is not None
    assert KEY not in text
    read = [(unit.address, unit.name, unit.family, unit.modbus_address) for unit in config.renogy]
    assert read == [
        ("C4:D3:6A:00:00:01", "Rover", "controller", None),
        ("11:22:33:44:55:59", "Küche: # 2", "auto", 48),
    ]


def test_names_come_back_as_they_were_given(tmp_path: Path) -> None:
    names = ["$foo", "${foo} $", "$", "a\u00a0b: $x", '"$\\', "yes", "0x1F", "# no", "\U0001f50b\u200d", "${ 1 + 1 }"]
    units = [NewUnit(address=f"AA:BB:CC:DD:EE:{at:02}", name=name) for at, name in enumerate(names)]
    text = new_file(name="s", friendly_name="${foo}: $", adapter=None, units=units[:1], file="p").encode()
    config = load_config(write(tmp_path, with_units(text, units[1:])))
    assert [unit.name for unit in config.renogy] == names
    assert config.esphome.friendly_name == "${foo}: $"


def test_secrets_are_added_to_and_read(tmp_path: Path) -> None:
    path = write(tmp_path, "esphome: {name: shed}\n")
    secrets = tmp_path / "secrets.yaml"
    secrets.write_bytes(with_secret(b"wifi: 'x' # mine", KEY_SECRET, KEY))
    assert secrets.read_text().startswith("wifi: 'x' # mine\n")
    assert with_secret(b"a: b\r\n", "c", "$d") == b"a: b\r\nc: $d\r\n"
    assert stored_secret(path, KEY_SECRET) == KEY
    assert stored_secret(path, "other") is None
    secrets.write_text("a: [1]\nb: 5\n")
    assert stored_secret(path, "a") is None
    assert stored_secret(path, "b") is None
    secrets.write_text("a: [hunter2\n")
    with pytest.raises(ConfigErrors, match="not valid YAML") as found:
        stored_secret(path, "a")
    assert "hunter2" not in str(found.value)

import json
from pathlib import Path

import pytest

from blupow_config import editor_schema
from blupow_proxy.cli import main


def test_prints_the_configuration_without_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("esphome: {name: shed}\napi: {encryption: {key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}\n")
    assert main(["config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "AAECAwQ" not in shown
    assert main(["config", str(path), "--show-secrets"]) == 0
    assert "AAECAwQ" in capsys.readouterr().out


def test_one_line_for_each_mistake_and_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("esphome: {name: A}\napi: {port: x}\n")
    for command in ("config", "run"):
        assert main([command, str(path)]) == 78
        out, err = capsys.readouterr()
        assert not out
        assert [line.split(": ")[1] for line in err.splitlines()] == ["esphome.name", "api.port"]


def test_shows_what_is_in_the_secrets_only_when_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("esphome: {name: shed, area: !secret place}\n")
    (tmp_path / "secrets.yaml").write_text("place: Hideout\n")
    assert main(["config", str(path)]) == 0
    assert "area: <hidden>" in capsys.readouterr().out
    assert main(["config", str(path), "--show-secrets"]) == 0
    assert "area: Hideout" in capsys.readouterr().out


def test_prints_what_was_given_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("esphome: {name: !secret name}\nlogger: {level: debug}\n")
    (tmp_path / "secrets.yaml").write_text("name: hideout\n")
    assert main(["config", str(path), "--no-defaults"]) == 0
    assert capsys.readouterr().out == "esphome:\n  name: <hidden>\nlogger:\n  level: debug\n"


def test_the_hash_changes_with_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proxy.yaml"
    hashes = []
    for text in ("esphome: {name: shed}\n", "esphome:\n  name: shed # the same\n", "esphome: {name: shed2}\n"):
        path.write_text(text)
        assert main(["config-hash", str(path)]) == 0
        hashes.append(capsys.readouterr().out)
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0].startswith("0x")
    assert len(hashes[0]) == len("0x00000000\n")


def test_a_substitution_on_the_command_line_takes_the_place_of_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("substitutions: {place: shed}\nesphome: {name: $place}\n")
    assert main(["config", str(path), "--no-defaults", "-s", "place", "barn"]) == 0
    assert capsys.readouterr().out == "esphome:\n  name: barn\n"


def test_prints_the_schema_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == editor_schema()

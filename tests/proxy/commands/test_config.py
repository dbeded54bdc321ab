from pathlib import Path

import pytest

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

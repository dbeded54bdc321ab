"""``version``: what runs here."""

import json
import platform
import subprocess
from pathlib import Path

import pytest

from blupow_proxy import __version__
from blupow_proxy.cli import build_parser
from blupow_proxy.commands import version
from blupow_proxy.commands.doctor import bluetooth


def run(*arguments: str) -> int:
    args = build_parser().parse_args(["version", *arguments])
    code: int = args.run(args)
    return code


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty search path for commands."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def bluetoothctl(folder: Path, body: str) -> None:
    file = folder / "bluetoothctl"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def test_lines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["blupow-proxy"] == __version__
    assert lines["Python"] == platform.python_version()
    assert lines["BlueZ"] == "not found"
    assert set(lines) >= {"bleak", "aioesphomeapi", "zeroconf", "platform"}


def test_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bluetoothctl(path, "echo 'bluetoothctl: 5.82'")
    assert run("--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["BlueZ"] == "5.82"
    assert document["bleak"][0].isdigit()


@pytest.mark.parametrize("body", ["exit 1", "exit 0", "while :; do :; done"], ids=["fails", "silent", "hangs"])
def test_bluez_that_does_not_tell(
    path: Path, body: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluetooth, "_TOOL_S", 0.2)
    bluetoothctl(path, body)
    assert run() == 0
    assert "not found" in capsys.readouterr().out


def test_package_that_is_not_installed(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "_PACKAGES", ("no-such-distribution",))
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["no-such-distribution"] is None


def test_command_that_cannot_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    bluetoothctl(path, "echo 5")
    monkeypatch.setattr(subprocess, "run", refuse)
    assert run() == 0

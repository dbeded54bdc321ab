"""``scan`` on a virtual radio, and on adapters that do not work."""

import io
import json
import sys
from typing import Any

import pytest

from blupow_proxy import ble
from blupow_proxy.ble import Advertisement
from blupow_proxy.cli import build_parser
from blupow_proxy.errors import AdapterUnavailableError
from blupow_proxy.simulator import demo_units

RENOGY = Advertisement("AA:BB:CC:DD:EE:01", "BT-TH-6A000001", -72, ())
WEAK = Advertisement("AA:BB:CC:DD:EE:02", "RTMShunt300\x1b[2J", -95, ())
PHONE = Advertisement("AA:BB:CC:DD:EE:03", "Phone", -40, ())


def run(*arguments: str) -> int:
    args = build_parser().parse_args(["scan", *arguments])
    code: int = args.run(args)
    return code


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_air(monkeypatch: pytest.MonkeyPatch) -> list[Advertisement]:
    """What an adapter hears; the adapter that was asked for is the last one's name."""
    heard: list[Advertisement] = []

    async def scan(adapter: Any, duration_s: float) -> list[Advertisement]:
        assert adapter.name in (None, "hci1")
        assert duration_s > 0
        return heard

    monkeypatch.setattr(ble, "scan", scan)
    return heard


def test_simulated_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--demo", "--json", "--seconds", "0.3") == 0
    found = {device["address"]: device for device in json.loads(capsys.readouterr().out)}
    assert set(found) == {unit.address for unit in demo_units()}
    assert found["D8:B6:73:00:00:04"] == {
        "address": "D8:B6:73:00:00:04",
        "name": "BTRIC134000004",
        "rssi": -61,
        "label": "REGO inverter",
        "families": ["inverter"],
    }


def test_lines_of_renogy_devices_only(on_air: list[Advertisement], capsys: pytest.CaptureFixture[str]) -> None:
    on_air += [PHONE, RENOGY, WEAK]
    assert run("--adapter", "hci1") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [RENOGY.address, WEAK.address]
    assert " -72 dBm  BT-TH-6A000001" in lines[0]
    assert "controller or dcc or battery or inverter" in lines[0]
    assert "\x1b" not in out
    assert err == ""


def test_table_on_a_terminal(on_air: list[Advertisement], monkeypatch: pytest.MonkeyPatch) -> None:
    on_air += [RENOGY, WEAK]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert run("--seconds", "0.1") == 0
    words = out.getvalue().split()
    assert words[words.index(RENOGY.address) + 1 :][:2] == ["▂▄▆", "-72"]
    assert words[words.index(WEAK.address) + 1 :][:2] == ["▂", "-95"]
    assert "Listening" in err.getvalue()


def test_nothing_found(on_air: list[Advertisement], capsys: pytest.CaptureFixture[str]) -> None:
    on_air.append(PHONE)
    assert run() == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("metres", "phone app", "adapter"))
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_adapter_trouble_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def scan(adapter: Any, _duration_s: float) -> list[Advertisement]:
        raise AdapterUnavailableError(adapter.name, "the Bluetooth adapter does not work: NotReady")

    monkeypatch.setattr(ble, "scan", scan)
    assert run("--adapter", "hci7") == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err == "blupow-proxy scan: the Bluetooth adapter does not work: NotReady\n"


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def scan(_adapter: Any, _duration_s: float) -> list[Advertisement]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ble, "scan", scan)
    assert run() == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "601", "x"])
def test_useless_duration(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(f"--seconds={seconds}")
    assert stop.value.code == 64

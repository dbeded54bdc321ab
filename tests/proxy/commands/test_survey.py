"""``survey`` with simulated units, and what it says of signals that come and go."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from blupow_proxy.ble import Advertisement
from blupow_proxy.cli import main
from blupow_proxy.commands.radio import TAKEN
from blupow_proxy.commands.signal import Verdict, bars, judge_replies, judge_signal
from blupow_proxy.commands.survey import link_test
from blupow_proxy.commands.survey.link_test import LinkTest
from blupow_proxy.commands.survey.survey import MAX_UNITS, NEVER, Line, Survey, link_line
from blupow_proxy.commands.survey.view import View
from blupow_proxy.commands.survey.window import HISTORY_S, WINDOW_S, Window

Capture = pytest.CaptureFixture[str]
ROVER, SHUNT = "C4:D3:6A:00:00:01", "4C:E1:74:00:00:05"


def heard(survey: Survey, rssi: int, now: float, *, name: str | None = "BT-TH-6A000001", address: str = ROVER) -> None:
    survey.heard(Advertisement(address, name, rssi, ()), now)


def test_a_window_forgets() -> None:
    window = Window()
    assert window.summary(0.0) is None
    for second, rssi in enumerate((-50, -60, -70)):
        window.heard(rssi, float(second))
    summary = window.summary(2.0)
    assert summary is not None
    assert (summary.latest, summary.mean, summary.worst, summary.best) == (-70, -60.0, -70, -50)
    assert summary.per_s == pytest.approx(1.5)
    for second in range(3, 30):
        window.heard(-80, float(second))
    summary = window.summary(29.0)
    assert summary is not None
    assert (summary.mean, summary.best, summary.silent_s) == (-80.0, -80, 0.0)
    assert summary.per_s == pytest.approx(1.0, abs=0.1)
    assert window.summary(29.0 + WINDOW_S + 0.1) is None
    assert window.silent_s(39.0) == 10.0


def test_a_chart_has_a_column_a_second() -> None:
    window = Window()
    window.heard(-40, 0.0)
    window.heard(-100, 0.5)  # the strongest counts
    window.heard(-100, 2.0)
    chart = window.chart(2.5)
    assert len(chart) == HISTORY_S
    assert chart.endswith("█ ▁")
    window.heard(-60, 1000.0)
    assert window.chart(1000.0).strip() == "▇"


@pytest.mark.parametrize(
    ("dbm", "verdict", "shown"),
    [
        (-40, Verdict.EXCELLENT, "▂▄▆█"),
        (-65, Verdict.EXCELLENT, "▂▄▆█"),
        (-66, Verdict.GOOD, "▂▄▆ "),
        (-80, Verdict.USABLE, "▂▄  "),
        (-86, Verdict.TOO_WEAK, "▂   "),
    ],
)
def test_signals_in_words(dbm: float, verdict: Verdict, shown: str) -> None:
    assert judge_signal(dbm) is verdict
    assert bars(dbm) == shown


def test_replies_in_words() -> None:
    verdicts = [judge_replies(percent) for percent in (100.0, 97.0, 70.0, 60.0)]
    assert verdicts == [Verdict.EXCELLENT, Verdict.GOOD, Verdict.USABLE, Verdict.TOO_WEAK]


def test_a_unit_that_comes_and_goes() -> None:
    survey = Survey({ROVER: "Rover"})
    (line,) = survey.lines(0.0)
    assert (line.verdict, line.trouble) == (None, NEVER)
    assert survey.is_missing_any(0.0)
    for second in range(12):
        heard(survey, -60, float(second))
        heard(survey, -60, float(second), address=SHUNT)  # nobody has asked for it
    (line,) = survey.lines(11.0)
    assert (line.verdict, line.trouble) == (Verdict.EXCELLENT, None)
    assert line.text == (
        f"Rover ({ROVER}): excellent: -60 dBm, worst -60, best -60, heard 1.0 times a second; this is a good place"
    )
    assert not survey.is_missing_any(11.0)
    (line,) = survey.lines(18.0)
    assert line.verdict is None
    assert "not heard for 7 s" in line.text
    assert survey.is_missing_any(18.0)
    survey.connected = {ROVER: "BT-TH-6A000001"}
    (line,) = survey.lines(40.0)
    assert line.trouble == TAKEN
    assert line.to_json()["mean_dbm"] is None
    heard(survey, -90, 41.0)
    (line,) = survey.lines(41.0)
    assert (line.verdict, line.trouble) == (Verdict.TOO_WEAK, None)


def test_all_units_nearby() -> None:
    survey = Survey({})
    heard(survey, -60, 1.0, name="Phone")
    assert survey.lines(1.0) == []
    survey.heard(Advertisement(ROVER, None, -60, ("0000ffd0-0000-1000-8000-00805f9b34fb",)), 1.0)
    assert survey.lines(1.0)[0].text.startswith(f"{ROVER}: excellent")
    heard(survey, -60, 2.0, name="BT-TH-\x1b[2J")
    assert [line.name for line in survey.lines(2.0)] == ["BT-TH- [2J"]
    for number in range(100):
        heard(survey, -60, 2.0, address=f"AA:BB:CC:DD:EE:{number:02X}")
    assert len(survey.lines(2.0)) == MAX_UNITS


def shown(lines: list[Line], *, trouble: str | None = None, height: int = 40, width: int = 80) -> list[str]:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(View(lines, trouble))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_view() -> None:
    survey = Survey({ROVER: "Rover", SHUNT: "Shunt"})
    for second in range(20):
        heard(survey, -80, float(second))
    lines = shown(survey.lines(19.0))
    assert lines[1].startswith("Rover                █████████")
    assert lines[1].endswith("-80 dBm  usable")
    assert lines[2].endswith("▃▃▃  40 s")
    assert "worst -80, best -80" in lines[3]
    assert lines[4].startswith("  it works, with replies lost")
    assert lines[6].endswith("no signal")
    assert lines[7].startswith("  not heard yet")
    assert len(shown(survey.lines(19.0), height=8)) == 3
    assert max(map(len, shown(survey.lines(19.0), width=40))) <= 40
    assert "Bluetooth is off" in shown([], trouble="Bluetooth is off")
    assert "Listening for Renogy units ..." in shown([])


def test_simulated_units_as_json(capsys: Capture) -> None:
    assert main(["survey", "--demo", "--json", "--seconds", "1.5", ROVER.lower()]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["address"], found["name"]) == (ROVER, "BT-TH-6A000001")
    assert (found["verdict"], found["mean_dbm"], found["trouble"]) == ("excellent", -61.0, None)


def test_simulated_units_as_lines(capsys: Capture) -> None:
    assert main(["survey", "--demo", "--seconds", "1.5"]) == 0
    out = capsys.readouterr().out
    assert out.count("excellent") == 5
    assert "\x1b" not in out


def test_a_unit_that_is_not_there(capsys: Capture) -> None:
    assert main(["survey", "--demo", "--seconds", "1.5", "AA:BB:CC:DD:EE:FF"]) == 69
    assert "not heard yet" in capsys.readouterr().out


def test_links_of_a_file(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_test, "PAUSE_S", 0.05)
    file = tmp_path / "shed.yaml"
    units = [f"{{address: '{ROVER}', name: $name}}", f"{{address: '{SHUNT}', name: Shunt}}"]
    file.write_text(f"esphome: {{name: shed}}\nrenogy: [{', '.join(units)}]\n")
    assert main(["survey", "--demo", "--json", "--link", "--seconds", "4.5", "-s", "name", "Rover", str(file)]) == 0
    last = {}
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)
        last[found["name"]] = found
    rover, shunt = last["Rover"], last["Shunt"]
    assert (rover["verdict"], rover["answered_percent"], rover["losses"], rover["dbm"]) == ("excellent", 100.0, 0, -61)
    assert rover["requests"] >= 3
    assert 200 <= rover["reply_median_ms"] <= rover["reply_slowest_ms"]
    assert (shunt["verdict"], shunt["state"], shunt["reply_median_ms"]) == (
        "excellent",
        "linked; it sends unasked",
        None,
    )


def test_a_link_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("blupow_proxy.ble.link.FIND_S", 0.3)
    assert main(["survey", "--demo", "--link", "--seconds", "1.5", "AA:BB:CC:DD:EE:FF"]) == 69
    assert "no signal: not heard: out of range" in capsys.readouterr().out


def test_figures_of_a_link() -> None:
    test = LinkTest(ROVER, "Rover", state="linked", rssi=-70, losses=2)
    assert link_line(test).text == f"Rover ({ROVER}): no signal: linked"
    test._answered.extend([True, True, False, True])
    test._times_s.extend([0.2, 0.3, 0.25])
    line = link_line(test)
    assert line.verdict is Verdict.USABLE
    assert "75 % of the last 4 requests answered, within 250 ms, the slowest 300 ms" in line.text
    assert "-70 dBm when it connected, 2 links lost" in line.text
    assert "75 %  usable" in shown([line])[1]
    test.state = "the device ended the connection"
    assert link_line(test).trouble == "the device ended the connection"


def test_usage(capsys: Capture, tmp_path: Path) -> None:
    assert main(["survey", "--link"]) == 64
    assert "--link needs a unit" in capsys.readouterr().err
    assert main(["survey", str(tmp_path / "none.yaml")]) == 78
    with pytest.raises(SystemExit) as stop:
        main(["survey", "--seconds", "0"])
    assert stop.value.code == 64


def test_no_bluetooth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert main(["survey", "--seconds", "5"]) == 69
    assert "D-Bus" in capsys.readouterr().err

"""Every project that can be made is accepted by real ESPHome."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from driver import FAMILIES, VARIANTS
from real_esphome import run, taken_names

from blupow_config.esp32 import BOARDS
from blupow_config.esp32.names import TAKEN
from blupow_proxy.cli import main

UNIT = ("--unit", "C4:D3:6A:00:00:01", "--id", "unit", "--name", "Unit", "--area", "Van shed")
PARALLEL = 2


def make(folder: Path, board: str, *arguments: str) -> Path:
    assert main(["esp32", "new", str(folder), "--board", board, *arguments]) == 0
    return folder / f"{folder.name}.yaml"


def arguments(family: str) -> tuple[str, ...]:
    return (*UNIT, "--family", family, *(("--variant", VARIANTS[family]) if family in VARIANTS else ()))


@pytest.mark.timeout(300)
def test_every_board_and_family(tmp_path: Path) -> None:
    projects = {f"{board}-plain": (board, "--plain") for board in BOARDS}
    for (name, board), family in product(BOARDS.items(), FAMILIES):
        if board.owns_units:
            projects[f"{name}-{family}"] = (name, *arguments(family))
    files = {name: make(tmp_path / name[:31], *rest) for name, rest in projects.items()}

    def check(file: Path) -> str:
        done = run(file.parent, "config", file.name)
        return "" if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-1000:]

    with ThreadPoolExecutor(PARALLEL) as pool:
        outcomes = dict(zip(files, pool.map(check, files.values()), strict=True))
    assert not {name: outcome for name, outcome in outcomes.items() if outcome}
    assert len(outcomes) == len(BOARDS) + len(FAMILIES) * 7


def test_names_that_esphome_keeps_for_itself(tmp_path: Path) -> None:
    """It refuses no id that a project is made with: by radio, by cable, with a light that tells how it does."""
    for board in ("esp32-c3", "gl-s10"):
        file = make(tmp_path / board, board, *arguments(FAMILIES[0]))
        assert not taken_names(file.parent, file.name) - TAKEN


def test_takes_ids_names_and_wishes_of_any_kind(tmp_path: Path) -> None:
    """Ids that look like another's parts, areas that are no words, options that are taken away."""
    units = [
        {
            "address": f"C4:D3:6A:00:00:0{number}",
            "name": f'Unit "${number}" of ${{links}}',
            "id": unit_id,
            "family": "dcc",
            "area": area,
        }
        for number, (unit_id, area) in enumerate([("a", "Küche"), ("a_unit", "2nd floor"), ("secrets", "Wifi")])
    ]
    none = dict.fromkeys(("icon", "device_class", "state_class", "unit_of_measurement", "entity_category"), "")
    wish = {"name": "Volts", "accuracy_decimals": 2, "force_update": True, "disabled_by_default": False}
    readings = {"battery_voltage": none | wish, "output_power": {"internal": True}}
    configuration = {
        "esphome": {"name": "own", "area": "Küche"},
        "api": {"port": 6055},
        "logger": {"level": "debug"},
        "bluetooth_proxy": {"deny": "Thermo*"},  # which the units leave no link to
        "renogy": units,
        "sensor": [{"platform": "renogy", "renogy_id": "secrets"} | readings],
    }
    (tmp_path / "proxy.yaml").write_text(json.dumps(configuration).replace('"Unit', '!literal "Unit'))
    assert main(["esp32", "new", str(tmp_path / "new"), "--board", "esp32-s3", "--from", f"{tmp_path}/proxy.yaml"]) == 0
    done = run(tmp_path / "new", "config", "own-board.yaml", quiet=False)
    assert done.returncode == 0, done.stdout[-3000:]
    (forwarding,) = re.findall(r"^bluetooth_proxy:\n((?:  .*\n)+)", done.stdout, re.MULTILINE)
    assert "  active: false\n" in forwarding
    assert all(f'Unit "${number}" of ${{links}}' in done.stdout for number in range(3))


def test_wires_as_documented(tmp_path: Path) -> None:
    """The documentation's example on each board that its table of pins has."""
    text = (Path(__file__).parents[2] / "firmware_config" / "docs" / "esp32.md").read_text()
    (example,) = re.findall(r"^uart:\n(?:  .*\n)+", text, re.MULTILINE)
    pins = re.findall(r"^\| `([a-z0-9-]+)` \| (GPIO\d+) \| (GPIO\d+) \|$", text, re.MULTILINE)
    assert len(pins) == 6
    assert "rx_pin: GPIO6\n    tx_pin: GPIO7" in example

    def check(board: str, rx: str, tx: str) -> str:
        file = make(tmp_path / board, board, *UNIT[:2], "--id", "rover", "--family", "controller")
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("  link_1:")))
        (file.parent / "own.yaml").write_text(example.replace("GPIO6", rx).replace("GPIO7", tx))
        done = run(file.parent, "config", file.name)
        return "" if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-1000:]

    with ThreadPoolExecutor(PARALLEL) as pool:
        outcomes = dict(zip(pins, pool.map(check, *zip(*pins, strict=True)), strict=True))
    assert not {board: outcome for board, outcome in outcomes.items() if outcome}


def test_generates_code(tmp_path: Path) -> None:
    """All of ESPHome but the compiler: two units, three links, on a real ESP32."""
    file = tmp_path / "proxy.yaml"
    units = [
        {"address": f"C4:D3:6A:00:00:0{number}", "name": str(family), "family": str(family), "id": f"unit_{family}"}
        for number, family in enumerate(FAMILIES[:2])
    ]
    file.write_text(json.dumps({"esphome": {"name": "van"}, "renogy": units}))
    make(tmp_path / "made", "esp32-c3", "--from", str(file))
    done = run(tmp_path / "made", "compile", "--only-generate", "van.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    code = next((tmp_path / "made").glob(".esphome/build/*/src/main.cpp")).read_text()
    assert code.count("new(") > 100
    for text in ("renogy_map_unit_controller_unit", "renogy_bt::RenogyBT()", "unit_dcc_unit", "set_has_link("):
        assert text in code, text

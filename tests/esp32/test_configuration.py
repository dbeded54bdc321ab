"""Every project that can be made is accepted by real ESPHome."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from driver import FAMILIES, VARIANTS
from real_esphome import run

from blupow_config.esp32 import BOARDS
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
    for text in ("renogy_map_unit_controller_unit", "renogy_bt::RenogyBT()", "unit_dcc_unit"):
        assert text in code, text

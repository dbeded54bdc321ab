"""`setup` on a terminal, beside three units; `survey` while a signal changes; the proxy with what was written."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from machine import GUEST, UNITS
from rig import ADDRESS, Rig
from terminal import ENTER, Screen
from waiting import until

from blupow_config import load_config
from proxy import PROGRAM, Watcher

PORT = 7002
NEAR = {"Rover": -58, "Battery": -72, "Smart Shunt": -90}  # dBm; the radio adds up to 3 either way
STEP_S = 60.0


def address(name: str) -> str:
    return UNITS[name.removeprefix("Smart ")]


@pytest.fixture(scope="module")
async def room(rig: Rig) -> Rig:
    """Three units in reach, at three distances."""
    await rig.populate(adapters=2, units="demo")
    for name in ("Charger", "Inverter"):
        await rig.room("range", address=UNITS[name], within=False)
    for name, rssi in NEAR.items():
        await rig.room("unit", address=address(name), rssi=rssi)
    return rig


@asynccontextmanager
async def on_terminal(rig: Rig, *arguments: object) -> AsyncIterator[Screen]:
    """The program on a terminal in the guest."""
    await rig.start("terminal", sys.executable, GUEST / "terminal.py", PORT, sys.executable, PROGRAM, *arguments)
    await until(lambda: "ready" in rig.log("terminal"), STEP_S)
    reader, writer = await asyncio.open_connection(ADDRESS, PORT)
    screen = Screen(writer.write)

    async def see() -> None:
        while data := await reader.read(65536):
            screen.feed(data)

    seeing = asyncio.create_task(see())
    try:
        yield screen
    finally:
        seeing.cancel()
        await asyncio.wait([seeing])
        writer.close()


async def test_setup_beside_three_units(room: Rig) -> None:
    file = room.folder / "shed.yaml"
    async with on_terminal(room, "setup", file) as screen:
        await screen.expect("Which Bluetooth adapter?", STEP_S)
        await screen.expect("Number [1]:", STEP_S)
        screen.type(ENTER)
        await until(
            lambda: all(name in screen.text for name in ("BT-TH-6A000001", "BT-TH-6A000003", "RTMShunt")), STEP_S
        )
        screen.type("1", "2", "3")
        await screen.expect("these 3", STEP_S)
        assert "BTRIC" not in screen.text
        screen.type(ENTER)
        await screen.expect("Name of this proxy", STEP_S)
        assert "Rover 40 A (RNG-CTRL-RVR40)" in screen.text
        assert "Battery 100 Ah (RBT100LFP12S-G1)" in screen.text
        screen.type("Solar shed", ENTER)
        for _ in NEAR:
            await screen.expect("Name of", STEP_S)
            await screen.expect("]:", STEP_S)
            screen.type(ENTER)
        await screen.expect("The key, for Home Assistant:", STEP_S)
        await screen.expect(f" survey {file}", STEP_S)
    assert await room.wait("terminal", STEP_S) == 0
    config = load_config(file)
    assert {unit.name: (unit.address, unit.family) for unit in config.renogy} == {
        "Rover": (UNITS["Rover"], "controller"),
        "Battery": (UNITS["Battery"], "battery"),
        "Smart Shunt": (UNITS["Shunt"], "shunt300"),
    }
    assert config.bluetooth.adapter == "B8:27:EB:00:00:01"
    units = (await room.room("state"))["units"]
    assert not any(unit["connected"] for unit in units.values())


def key_beside(file: Path) -> str:
    return file.with_name("secrets.yaml").read_text().split()[1]


def lines(rig: Rig, name: str) -> list[dict[str, Any]]:
    """Return the complete lines that a program has printed."""
    found = []
    with contextlib.suppress(json.JSONDecodeError):
        for line in rig.log(name).splitlines():
            found.append(json.loads(line))  # noqa: PERF401 - up to the first that is not complete
    return found


async def test_survey_while_a_signal_changes(room: Rig) -> None:
    rover = UNITS["Rover"]
    await room.start("survey", sys.executable, PROGRAM, "survey", "--json", room.folder / "shed.yaml")

    async def until_said(verdict: str | None, trouble: str = "", unit: str = rover) -> None:
        def said() -> bool:
            found = [line for line in lines(room, "survey") if line["address"] == unit]
            return bool(found) and found[-1]["verdict"] == verdict and trouble in (found[-1]["trouble"] or "")

        await until(said, STEP_S)

    await until_said("excellent")
    await until_said("too weak", unit=address("Smart Shunt"))
    await room.room("unit", address=rover, rssi=-92)
    await until_said("too weak")
    await room.room("range", address=rover, within=False)
    await until_said(None, "not heard for")
    await room.room("range", address=rover, within=True)
    await room.room("unit", address=rover, rssi=-70)
    await until_said("good")
    steady = [line for line in lines(room, "survey") if line["name"] == "Battery"][-1]
    assert 0.3 < steady["per_s"] < 3.0  # the radio reports a unit once a second
    assert -75 <= steady["worst_dbm"] <= steady["mean_dbm"] <= steady["best_dbm"] <= -69  # it wavers by 3 dB
    await room.signal("survey", 2)
    assert await room.wait("survey", STEP_S) == 0


async def test_the_proxy_runs_with_what_was_written(room: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = room.folder / "shed.yaml"
    monkeypatch.setattr("proxy.KEY", key_beside(file))
    await room.start("proxy", sys.executable, PROGRAM, "run", file, "--state-dir", room.folder / "state")
    async with Watcher() as watcher:
        await watcher.until_read(NEAR, STEP_S)
        world = await room.room("world")
        for name in NEAR:
            assert abs(watcher.value(name, "battery_voltage") - world["battery_v"]) < 0.15, name
        await room.start("silence", sys.executable, PROGRAM, "survey", "--seconds", "8", file)
        await room.wait("silence", STEP_S)
        assert room.log("silence").count("connected to this machine already") >= len(NEAR)
        await room.start("test", sys.executable, PROGRAM, "survey", "--link", "--seconds", "5", file)
        await room.wait("test", STEP_S)
        assert room.log("test").count("connected to this machine already") >= len(NEAR)
        assert watcher.lost == 0
    await room.signal("proxy", 15)
    assert await room.wait("proxy", STEP_S) == 0

import re
from pathlib import Path

import pytest

from blupow_config import ConfigErrors, load_config
from blupow_config.ids import area_id, device_number
from blupow_proxy.native_api.identity import fnv1a_32

ONE, TWO = "address: C4:D3:6A:00:00:01, name: One", "address: C4:D3:6A:00:00:02, name: Two"


def check(folder: Path, *units: str, area: str = "Shed") -> list[str]:
    path = folder / "proxy.yaml"
    path.write_text(
        f"esphome: {{name: shed, area: {area}}}\nrenogy:\n" + "".join(f"  - {{{unit}}}\n" for unit in units)
    )
    try:
        load_config(path)
    except ConfigErrors as errors:
        return [f"{error.line}: {error.path}: {error.message}" for error in errors.errors]
    return []


@pytest.mark.parametrize("unit_id", ["a", "renogy_c4d36a000001_48", "fxdsatwp", "battery_843639"])
def test_numbers_are_those_on_the_wire(unit_id: str) -> None:
    assert device_number(unit_id) == fnv1a_32(unit_id)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ((ONE, TWO), []),
        ((f"{ONE}, id: renogy_c4d36a000001", TWO), []),
        ((f"{ONE}, id: renogy_c4d36a000002", f"{TWO}, id: renogy_c4d36a000001"), []),
        ((f"{ONE}, id: renogy_c4d36a000002", TWO), ["3: renogy.0.id: is the id that renogy.1 has by default"]),
        ((ONE, f"{TWO}, id: renogy_c4d36a000001"), ["4: renogy.1.id: is the id that renogy.0 has by default"]),
        (
            (f"{ONE}, modbus_address: '0x30'", f"{TWO}, id: renogy_c4d36a000001_48"),
            ["4: renogy.1.id: is the id that renogy.0 has by default"],
        ),
        ((f"{ONE}, id: a", f"{TWO}, id: a"), ["4: renogy.1.id: is taken by renogy.0"]),
        ((f"{ONE}, id: battery_843639", f"{TWO}, id: battery_1045102"), ["4: renogy.1.id: has the same number"]),
        ((f"{ONE}, id: fxdsatwp", TWO), ["3: renogy.0.id: has the number that stands for the proxy itself"]),
        ((f"{ONE}, id: fxdsatwp", f"{TWO}, id: fxdsatwp"), ["3: renogy.0.id: has the", "4: renogy.1.id: has the"]),
        ((ONE, ONE.replace("One", "Same")), ["4: renogy.1.address: renogy.0 is the same unit"]),
    ],
)  # fmt: skip
def test_each_unit_has_an_id_and_a_number_of_its_own(
    tmp_path: Path, units: tuple[str, ...], expected: list[str]
) -> None:
    found = check(tmp_path, *units)
    assert len(found) == len(expected), found
    for mistake, part in zip(found, expected, strict=True):
        assert part in mistake


def test_ids_of_areas_are_words_and_differ() -> None:
    """What was a word before keeps its id; all else is made one."""
    assert (area_id("Back  yard"), area_id("_x1")) == ("back_yard", "_x1")
    areas = (
        "Küche",
        "Kuche",
        "Kü che",
        "K-che",
        "2nd floor",
        "area 2nd floor",
        "3",
        "3/4",
        "3-4",
        "庭",
        "家",
        "Öl",
        "öl",
    )
    ids = [area_id(area) for area in areas]
    assert len(set(ids)) == len(areas) - 1
    assert ids[-1] == ids[-2]
    assert area_id("Ku\u0308che") == area_id("Küche")
    assert all(re.fullmatch("[a-z_][a-z0-9_]*", each) for each in ids), ids


def test_areas_that_clients_take_for_one(tmp_path: Path) -> None:
    assert check(tmp_path, f"{ONE}, area: Back yard", f"{TWO}, area: Back yard") == []
    assert area_id("Back yard") == area_id("back  Yard")
    found = check(tmp_path, f"{ONE}, area: Back yard", f"{TWO}, area: back  Yard")
    assert found == ["4: renogy.1.area: is the area of renogy.0 in another spelling: write both alike"]
    found = check(tmp_path, f"{ONE}, area: back  Yard", area="Back yard")
    assert found == ["3: renogy.0.area: is the area of esphome in another spelling: write both alike"]

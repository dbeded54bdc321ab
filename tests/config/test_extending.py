"""Units that come into files which people have written."""

import itertools
from pathlib import Path

import pytest

from blupow_config import NewUnit, NotExtendableError, ProxyConfig, load_config, with_units

UNITS = [
    NewUnit(address="C4:D3:6A:00:00:01", name="Rover", family="controller"),
    NewUnit(address="11:22:33:44:55:59", name="Küche: # $2", modbus_address=48),
]
NAMES = [unit.name for unit in UNITS]
HEADS = {
    "plain": "esphome: # here\n  name: s\n",
    "start": "# yaml\n---\nesphome:\n  name: s\n",
    "anchors": ".base: &base\n  family: battery\nesphome:\n  name: &n s\n  friendly_name: *n\n",
    "package": "packages:\n  one: !include parts/one.yaml\nesphome: {name: s}\n",
    "text": "esphome:\n  name: s\n  friendly_name: |-\n    # renogy:\n",
}
LISTS = {
    "none": "",
    "empty": "renogy:\n",
    "comment": "renogy: # none yet\n# really\n",
    "0": "renogy:\n- address: AA:BB:CC:DD:EE:01\n  name: Ä # - mine\n  # of Ä\n\n# below\n",
    "2": "renogy: # - these\n  - # - first\n    address: AA:BB:CC:DD:EE:01\n    name: !secret roof\n",
    "4": "renogy:\n    -   name: 'Ä\n         b'\n        address: AA:BB:CC:DD:EE:01\n\n    # - address: old\n",
    "secret": "renogy:\n  - {name: !env_var 'NOWHERE Roof', address: 'AA:BB:CC:DD:EE:01'} # short\n# end\n",
    "block": "renogy:\n  - address: AA:BB:CC:DD:EE:01\n    name: >-\n      Ä\n      # no comment\n\n",
    "lines": "renogy:\n  - {\n  address: AA:BB:CC:DD:EE:01, name: Ä # {\n  } # over\n  # end\n",
    "anchor": 'renogy: &units\n  - &one\n    address: AA:BB:CC:DD:EE:01\n    name: "Ä"\n',
    "include": "renogy:\n  - !include parts/unit.yaml\n",
    "quoted": '"renogy":\n  - address: AA:BB:CC:DD:EE:01\n    name: Ä\n',
}
TAILS = {
    "end": "",
    "more": "api:\n  port: 6054\n",
    "comments": "\n# the end\n  # of it\n",
    "sensors": "sensor:\n  - platform: uptime\n    name: Up\n",
    "over": "...\n",
}
FILES = {
    "secrets.yaml": "roof: Roof\n",
    "parts/unit.yaml": "address: AA:BB:CC:DD:EE:01\nname: Ä\n",
    "parts/one.yaml": "renogy:\n  - address: AA:BB:CC:DD:EE:02\n    name: Of a package\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are that the others name."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def load(folder: Path, text: bytes) -> ProxyConfig:
    """Return what a text says that is in no file."""
    file = folder / "proxy.yaml"
    return load_config(file, drafts={file: text})


def added(old: bytes, new: bytes) -> bytes:
    """Return what has come into ``old``, in one piece."""
    at = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(old))
    length = len(new) - len(old)
    # lines may start as those behind them do
    starts = [start for start in range(at + 1) if new[:start] + new[start + length :] == old]
    assert starts
    return new[starts[-1] : starts[-1] + length]


@pytest.mark.parametrize("units", LISTS)
def test_lines_come_in_and_nothing_else_changes(units: str, folder: Path) -> None:
    ways = itertools.cycle(itertools.product(("\n", "\r\n"), ("", "\ufeff"), (True, False)))
    for (head, tail), (ending, bom, whole) in zip(
        itertools.product(HEADS.values(), TAILS.values()),
        itertools.islice(ways, list(LISTS).index(units), None),
        strict=False,
    ):
        text = (head + LISTS[units] + tail).replace("\n", ending)
        old = f"{bom}{text if whole else text.rstrip()}".encode()
        before = load(folder, old)
        new = with_units(old, UNITS)
        lines = added(old, new)
        assert lines.count(b"\n") - lines.count(ending.encode()) == 0
        assert new.count(b"\r") == (new.count(b"\n") if ending == "\r\n" else 0)
        assert new.startswith(bom.encode())
        after = load(folder, new)
        kept = [unit for unit in after.renogy if unit.name not in NAMES]
        assert kept == list(before.renogy)
        assert [unit.name for unit in after.renogy if unit.name in NAMES] == NAMES
        assert after.api == before.api
        assert after.sensors == before.sensors


@pytest.mark.parametrize("nothing", ["[]", "[ ]", "~", "null"])
def test_a_word_for_nothing_makes_way(nothing: str, folder: Path) -> None:
    new = with_units(f"esphome: {{name: s}}\nrenogy: {nothing} # none yet\napi:\n".encode(), UNITS[:1])
    assert new.startswith(b"esphome: {name: s}\nrenogy: # none yet\n  - address: C4")
    assert [unit.name for unit in load(folder, new).renogy] == ["Rover"]


@pytest.mark.parametrize(
    ("units", "place", "reason"),
    [
        ("renogy: [{address: 'AA:BB:CC:DD:EE:01', name: !secret roof}]", (2, 9), "is a list in brackets"),
        ("renogy: !include units.yaml", (2, 9), r"comes from units\.yaml \(!include\).*: add them there"),
        ("renogy: !include {file: units.yaml}", (2, 9), "comes from elsewhere"),
        ("renogy: !include_dir_list units", (2, 9), r"comes from units \(!include_dir_list\)"),
        (".u: &u\n  - name: x\nrenogy: *u", (4, 9), "stands elsewhere, as `&u`"),
        ("renogy: &u\n  - name: x\n.u: *u", (2, 9), r"is used elsewhere as well, as `\*u`"),
        ("renogy: !literal\n  - name: x", (2, 9), "has the tag !literal"),
        ("renogy: ${units}", (2, 9), "is no list"),
    ],
)
def test_what_only_a_person_can_add_to(units: str, place: tuple[int, int], reason: str) -> None:
    text = f"esphome: {{name: s}}\n{units}\n".encode()
    with pytest.raises(NotExtendableError, match=reason) as found:
        with_units(text, UNITS)
    assert (found.value.line, found.value.column) == place


@pytest.mark.parametrize("text", ["{esphome: {name: s}, renogy: []}", "!include other.yaml", "", "- a"])
def test_a_file_without_options_below_each_other(text: str) -> None:
    with pytest.raises(NotExtendableError, match="leaves it as it is"):
        with_units(text.encode(), UNITS)

"""``setup`` on a terminal and without one, with simulated units."""

import argparse
import asyncio
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from terminal import CTRL_C, DOWN, ENTER, Terminal, on_terminal

from blupow_config import ConfigErrors, ProxyConfig, load_config
from blupow_proxy.ble import AdapterFacts
from blupow_proxy.cli import main
from blupow_proxy.commands.setup import adapters, ending, files, finish, wizard
from blupow_proxy.commands.setup.adapters import choose_adapter
from blupow_proxy.commands.setup.names import node_name, unit_name
from blupow_proxy.commands.setup.outcome import Draft
from blupow_proxy.commands.setup.questions import Questions
from blupow_proxy.errors import AdapterUnavailableError
from blupow_proxy.host import service
from blupow_proxy.renogy import Family

Capture = pytest.CaptureFixture[str]
Run = Callable[..., AbstractAsyncContextManager[Terminal]]
LIST = "Which units shall this proxy read?"
ROVER, CHARGER = "C4:D3:6A:00:00:01", "C4:D3:6A:00:00:02"
OLD = f"""# mine
esphome: {{name: old}}
api:
  encryption:
    key: !secret api_key
renogy:
  - address: {ROVER} # the first
    name: Rover
# the end
"""
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.fixture
def setup(tmp_path: Path) -> Run:
    """Runs `setup` with simulated units on a terminal."""

    def run(*options: str, term: str = "xterm") -> AbstractAsyncContextManager[Terminal]:
        argv = [sys.executable, "-m", "blupow_proxy", "setup", "--demo", "shed.yaml", *options]
        # none answers where the cursor is
        return on_terminal(argv, tmp_path, {**os.environ, "TERM": term, "PROMPT_TOOLKIT_NO_CPR": "1"})

    return run


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A configuration that is there already."""
    (tmp_path / "secrets.yaml").write_text(f"wifi: x\napi_key: {KEY}\n")
    file = tmp_path / "shed.yaml"
    file.write_text(OLD)
    return file


def written(file: Path) -> str:
    return file.read_text()


def touch(file: Path) -> None:
    file.touch()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_units_are_picked_from_a_list_proven_and_written(setup: Run, tmp_path: Path) -> None:
    async with setup() as screen:
        await screen.expect("BTRIC134000004")
        await screen.expect("Enter: go on with BT-TH-6A000001")
        screen.type(DOWN, " ", "4", ENTER)
        await screen.expect("DC-DC charger 50 A (RBC50D1S-G1)")
        await screen.expect("Inverter 3000 W (RIV1230RCH-SPS)")
        await screen.expect("Name of this proxy")
        screen.type("Schönau Hütte", ENTER)
        await screen.expect("[DC-DC charger]:")
        screen.type(ENTER)
        await screen.expect("[Inverter]:")
        screen.type("DC-DC charger", ENTER)
        await screen.expect("there is a unit of that name already")
        screen.type("\x15", "Big one", ENTER)
        await screen.expect("shed.yaml is written, with 2 units")
        await screen.expect("The key, for Home Assistant:")
        await screen.expect("▀▀▀")
        assert await screen.ended() == 0
    config = load_config(tmp_path / "shed.yaml")
    assert (config.esphome.name, config.esphome.friendly_name) == ("schonau-hutte", "Schönau Hütte")
    assert [(unit.name, unit.family) for unit in config.renogy] == [("DC-DC charger", "dcc"), ("Big one", "inverter")]
    assert config.api.key is not None
    assert stat.S_IMODE((tmp_path / "secrets.yaml").stat().st_mode) == 0o600
    assert left(tmp_path) == {"shed.yaml", "secrets.yaml"}


async def _until_the_list(screen: Terminal) -> None:
    await screen.expect("Enter: go on with")


async def _until_connecting(screen: Terminal) -> None:
    await _until_the_list(screen)
    screen.type("4", ENTER)  # which needs a second to wake
    await screen.expect("connecting, to see what it is")


async def _until_names(screen: Terminal) -> None:
    await _until_connecting(screen)
    screen.type(ENTER)
    await screen.expect("Skipped")
    await screen.expect("Name of this proxy")


async def test_ctrl_c_leaves_nothing(setup: Run, tmp_path: Path) -> None:
    async def interrupted(until: Callable[[Terminal], object]) -> int:
        async with setup() as screen:
            await until(screen)  # type: ignore[misc]
            screen.type(CTRL_C)
            await screen.expect("Ended. Nothing was written.")
            return await screen.ended()

    stages = (_until_the_list, _until_connecting, _until_names)
    assert await asyncio.gather(*map(interrupted, stages)) == [130, 130, 130]
    assert left(tmp_path) == set()


async def test_a_dumb_terminal_has_numbers(setup: Run, tmp_path: Path) -> None:
    async with setup("--no-check", term="dumb") as screen:
        await screen.expect("Numbers, or: all, again [all]:")
        screen.type("1 9", ENTER)
        await screen.expect("numbers from 1 to 5")
        screen.type("1, 5", ENTER)
        for _ in range(3):
            await screen.expect("Name of")
            await screen.expect("]:")
            screen.type(ENTER)
        assert await screen.ended() == 0
        assert "▀" not in screen.text
    assert [unit.name for unit in load_config(tmp_path / "shed.yaml").renogy] == ["BT-TH-6A000001", "Smart Shunt"]


async def test_units_are_added_to_a_file(setup: Run, old: Path) -> None:
    async with setup("--no-check") as screen:
        await screen.expect("shed.yaml is there already, for Old (Rover):")
        await screen.expect("Number [1]:")
        screen.type(ENTER)
        await screen.expect("Enter: go on with BT-TH-6A000002")  # the first is in it
        screen.type(ENTER)
        await screen.expect("[BT-TH-6A000002]:")
        screen.type("Charger", ENTER)
        await screen.expect("with 1 more unit")
        await screen.expect(KEY)
        assert await screen.ended() == 0
    assert written(old) == OLD.replace("name: Rover\n", f"name: Rover\n  - address: {CHARGER}\n    name: Charger\n")
    assert (old.parent / "secrets.yaml").read_text() == f"wifi: x\napi_key: {KEY}\n"


async def test_a_file_is_replaced_only_on_a_second_word(setup: Run, old: Path) -> None:
    async with setup("--no-check") as screen:
        await screen.expect("Number [1]:")
        screen.type("2", ENTER)
        await screen.expect("Really replace shed.yaml?")
        screen.type(ENTER)
        await screen.expect("shed.yaml stays as it is")
        assert await screen.ended() == 0
    assert written(old) == OLD
    async with setup("--no-check", "--name", "New") as screen:
        await screen.expect("Number [1]:")
        screen.type("2", ENTER)
        await screen.expect("Really replace shed.yaml?")
        screen.type("y", ENTER)
        await screen.expect("Enter: go on with BT-TH-6A000001")
        screen.type(ENTER)
        await screen.expect("[BT-TH-6A000001]:")
        screen.type(ENTER)
        await screen.expect(KEY)  # Home Assistant knows it
        assert await screen.ended() == 0
    assert load_config(old).esphome.friendly_name == "New"


@pytest.fixture
def wrong(old: Path) -> Path:
    """One with a mistake."""
    old.write_text("esphome: {nme: x}\n")
    return old


async def test_a_file_with_mistakes_is_not_lost(setup: Run, wrong: Path) -> None:
    async with setup() as screen:
        await screen.expect("did you mean 'name'?")
        await screen.expect("What is in it now is lost")
        screen.type(ENTER)
        assert await screen.ended() == 78
    assert written(wrong) == "esphome: {nme: x}\n"


def test_a_file_with_mistakes_is_for_a_person_to_correct(wrong: Path, capsys: Capture) -> None:
    assert main(["setup", "--demo", "--yes", str(wrong)]) == 78
    assert "did you mean 'name'?" in capsys.readouterr().err
    assert written(wrong) == "esphome: {nme: x}\n"


def test_without_a_terminal_everything_nearby_is_taken(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "shed.yaml"
    assert main(["setup", "--demo", "--yes", "--no-check", "--name", "Shed", str(file)]) == 0
    out = capsys.readouterr().out
    key = (tmp_path / "secrets.yaml").read_text().split()[1]
    assert key not in out
    assert "\x1b" not in out
    assert len(load_config(file).renogy) == 5


def test_without_a_terminal_units_are_named(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "shed.yaml"
    named = ["--unit", f"{ROVER}=Roof", "--unit", "c4d36a000009=Not there", "--name", "Shed"]
    assert main(["setup", "--demo", "--yes", "--no-check", *named, str(file)]) == 0
    units = [(unit.address, unit.name) for unit in load_config(file).renogy]
    assert units == [(ROVER, "Roof"), ("C4:D3:6A:00:00:09", "Not there")]
    before = file.read_text()
    assert main(["setup", "--demo", "--yes", "--no-check", *named, str(file)]) == 64
    assert "this unit is there already" in capsys.readouterr().err
    assert main(["setup", "--demo", "--yes", "--no-check", "--unit", f"{CHARGER}=Roof", str(file)]) == 64
    assert "there is a unit of that name already" in capsys.readouterr().err
    assert file.read_text() == before


def test_a_unit_that_does_not_answer_is_written_all_the_same(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blupow_proxy.ble.link.FIND_S", 0.3)
    file = tmp_path / "shed.yaml"
    units = ["--unit", "AA:BB:CC:DD:EE:FF=Gone", "--unit", f"{ROVER}=Roof"]
    assert main(["setup", "--demo", "--yes", *units, str(file)]) == 0
    out = capsys.readouterr().out
    assert "! Gone: not heard" in out
    assert "✓ Roof: Rover 40 A (RNG-CTRL-RVR40)" in out
    assert [unit.family for unit in load_config(file).renogy] == ["auto", "controller"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 64, "there is no terminal to ask on"),
        (["--yes", "--unit", "x=y"], 64, "expected a Bluetooth address"),
        (["--yes", "--unit", ROVER], 64, "expected ADDRESS=NAME"),
        (["--yes", "--name", " "], 64, "is empty"),
        (["--yes", "/proc/nowhere/shed.yaml"], 73, "can't write to /proc/nowhere"),
    ],
)
def test_what_can_not_be(options: list[str], code: int, message: str, capsys: Capture) -> None:
    try:
        found = main(["setup", "--demo", *options])
    except SystemExit as stop:
        found = stop.code  # type: ignore[assignment]
    assert found == code
    assert message in capsys.readouterr().err


def test_a_secret_that_is_no_key_is_said_before_anything_is_asked(old: Path, capsys: Capture) -> None:
    (old.parent / "secrets.yaml").write_text("api_key: hunter2\n")
    old.unlink()
    assert main(["setup", "--demo", "--yes", str(old)]) == 78
    err = capsys.readouterr().err
    assert "is not a key" in err
    assert "hunter2" not in err
    assert not old.exists()


def test_no_bluetooth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert main(["setup", "--yes", str(tmp_path / "shed.yaml")]) == 69
    assert "D-Bus" in capsys.readouterr().err
    assert left(tmp_path) == set()


HCI = [AdapterFacts(f"/org/bluez/hci{number}", f"B8:27:EB:00:00:0{number}", number != 1) for number in range(3)]


@pytest.mark.parametrize(
    ("there", "wanted", "chosen", "several"),
    [
        (HCI, None, "hci0", True),
        (HCI[1:], "hci2", "hci2", True),
        (HCI, "b8:27:eb:00:00:01", "hci1", True),
        (HCI[1:2], None, "hci1", False),
    ],
)
async def test_the_adapter(
    there: list[AdapterFacts], wanted: str | None, chosen: str, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inspect() -> list[AdapterFacts]:
        return there

    monkeypatch.setattr(adapters, "inspect_adapters", inspect)
    monkeypatch.setattr(adapters, "why_blocked", lambda: None)
    found, others = await choose_adapter(wanted, Questions(interactive=False))
    assert (found.name, others) == (chosen, several)


async def test_an_adapter_that_is_blocked_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inspect() -> list[AdapterFacts]:
        return HCI

    monkeypatch.setattr(adapters, "inspect_adapters", inspect)
    monkeypatch.setattr(adapters, "why_blocked", lambda: "blocked: rfkill unblock bluetooth")
    with pytest.raises(AdapterUnavailableError, match="rfkill unblock"):
        await choose_adapter("hci1", Questions(interactive=False))
    with pytest.raises(AdapterUnavailableError, match=r"no Bluetooth adapter hci7, but hci0 \("):
        await choose_adapter("hci7", Questions(interactive=False))


@pytest.mark.parametrize(
    ("friendly", "node"),
    [
        ("Solar shed", "solar-shed"),
        ("Großer Bär / 2", "grosser-bar-2"),
        ("小屋", "blupow"),
        ("-", "blupow"),
        ("a" * 30 + " bc", "a" * 30),
    ],
)
def test_node_name(friendly: str, node: str) -> None:
    assert node_name(friendly) == node


def test_unit_names() -> None:
    assert unit_name(Family.CONTROLLER, "RNG-CTRL-RVR40", "BT-TH-1", ()) == "Rover"
    assert unit_name(Family.BATTERY, "RBT100LFP12S-G1", None, {"Battery", "Battery 2"}) == "Battery 3"
    assert unit_name(Family.DCC, "strange", None, ()) == "DC-DC charger"
    assert unit_name(None, None, "BT-TH-1", ()) == "BT-TH-1"
    assert unit_name(None, None, None, {"Renogy unit"}) == "Renogy unit 2"


def test_an_interrupt_waits_until_both_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write

    def interrupted(file: Path, content: bytes, key: str | None) -> ProxyConfig:
        signal.raise_signal(signal.SIGINT)
        return write(file, content, key)

    monkeypatch.setattr(files, "write", interrupted)
    draft = Draft(
        file=tmp_path / "shed.yaml",
        content=b"esphome: {name: shed}\napi: {encryption: {key: !secret api_key}}\n",
        key=KEY,
        units="",
        service=False,
        replace=False,
    )
    with pytest.raises(KeyboardInterrupt):
        finish(argparse.Namespace(demo=True), draft, Questions(interactive=False))
    assert left(tmp_path) == {"shed.yaml", "secrets.yaml"}


def test_what_would_not_be_right_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=f"^{tmp_path}/shed.yaml:1:"):
        files.write(tmp_path / "shed.yaml", b"esphome: {nme: x}\n", KEY)
    assert left(tmp_path) == set()


ONE_MORE = ["setup", "--demo", "--yes", "--no-check", "--unit", f"{CHARGER}=$Charger"]
BY_HAND = f"""\
Nothing was written. To be added by hand:
  - address: {CHARGER}
    name: !literal $Charger
"""


@pytest.mark.parametrize(
    ("units", "told"),
    [
        (f"renogy: [{{address: '{ROVER}', name: !secret wifi}}]\n", ":6:9: `renogy` is a list in brackets"),
        ("renogy: !include_dir_list units\n", ":6:9: `renogy` comes from units (!include_dir_list)"),
        (
            (
                f"sensor:\n  - platform: uptime\n    name: Up\nrenogy:\n  - {{address: '{ROVER}', name: x, id: rover}}"
                "\ntext_sensor:\n  - platform: renogy\n    model: {name: Model}\n"
            ),
            ":12:5: text_sensor.0: with more than one unit, this needs to say whose it is: add `renogy_id: rover`",
        ),
        ("<<: !include base.yaml\n", "other files have a part in its `renogy`"),
    ],
)
def test_what_only_a_person_can_add_to_is_told_and_stays(units: str, told: str, old: Path, capsys: Capture) -> None:
    (old.parent / "units").mkdir()
    (old.parent / "units" / "one.yaml").write_text(f"address: {ROVER}\nname: x\n")
    (old.parent / "base.yaml").write_text(f"renogy: [{{address: '{ROVER}', name: x}}]\n")
    old.write_text(text := f"# mine\nesphome: {{name: old}}\napi:\n  encryption:\n    key: !secret api_key\n{units}")
    before = left(old.parent)
    assert main([*ONE_MORE, str(old)]) == 78
    err = capsys.readouterr().err
    assert f"{old}" in err
    assert told in err
    assert err.endswith(BY_HAND)
    assert written(old) == text
    assert left(old.parent) == before


@pytest.fixture
def in_brackets(old: Path) -> Path:
    """One whose units no lines can be added to."""
    old.write_text(f"esphome: {{name: old}}\nrenogy: [{{address: '{ROVER}', name: x}}]\n")
    return old


async def test_what_only_a_person_can_add_to_is_told_at_once(setup: Run, in_brackets: Path) -> None:
    before = written(in_brackets)
    async with setup("--no-check") as screen:
        await screen.expect("Number [1]:")
        screen.type(ENTER)
        await screen.expect("is a list in brackets")
        await screen.expect("are shown at the end")
        await screen.expect("Enter: go on with BT-TH-6A000002")
        screen.type(ENTER)
        await screen.expect("[BT-TH-6A000002]:")
        screen.type("Charger", ENTER)
        await screen.expect("name: Charger")
        assert await screen.ended() == 78
    assert written(in_brackets) == before


def test_a_file_that_is_made_of_others_gets_more_units(old: Path) -> None:
    parts = old.parent / "parts"
    parts.mkdir()
    (parts / "battery.yaml").write_text("renogy:\n  - address: ${address}\n    name: Bank\n    id: bank\n")
    old.write_text(
        'packages:\n  one: !include {file: parts/battery.yaml, vars: {address: "C4:D3:6A:00:00:05"}}\n'
        "esphome: {name: old}\nrenogy:\n  - id: !extend bank\n    update_interval: 2s"
    )
    assert main([*ONE_MORE, str(old)]) == 0
    assert {unit.name for unit in load_config(old).renogy} == {"Bank", "$Charger"}


def test_a_link_to_a_file_stays_one(old: Path) -> None:
    (folder := old.parent / "etc").mkdir()
    link = folder / "shed.yaml"
    link.symlink_to("../shed.yaml")
    (folder / "secrets.yaml").symlink_to("../secrets.yaml")
    assert main([*ONE_MORE, str(link)]) == 0
    assert link.is_symlink()
    assert len(load_config(old).renogy) == 2
    assert left(old.parent) == {"etc", "shed.yaml", "secrets.yaml"}
    assert left(folder) == {"shed.yaml", "secrets.yaml"}


def test_when_all_units_are_there_already_it_says_so(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "shed.yaml"
    assert main(["setup", "--demo", "--yes", "--no-check", "--name", "Shed", str(file)]) == 0
    before = written(file)
    assert main(["setup", "--demo", "--yes", "--no-check", str(file)]) == 0
    assert (
        f"Every Renogy unit that is heard is in the file already: 4C:E1:74:00:00:05, {ROVER}" in capsys.readouterr().err
    )
    assert written(file) == before


class Answers(Questions):
    """A person who always says the same."""

    def __init__(self, *, yes: bool) -> None:
        super().__init__(interactive=True)
        self.asked: list[str] = []
        self._yes = yes

    async def confirm(self, question: str, *, proposed: bool) -> bool:
        self.asked.append(question)
        return self._yes


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Root on a machine with systemd; where the service's configuration would be."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(wizard, "SYSTEMD", tmp_path)
    for name in ("CONFIG", "UNIT"):
        monkeypatch.setattr(service, name, tmp_path / name)
    return tmp_path / "CONFIG"


@pytest.mark.parametrize("yes", [True, False])
async def test_the_service_is_offered(root: Path, yes: bool) -> None:
    args = argparse.Namespace(demo=False, service=False)
    answers = Answers(yes=yes)
    assert await wizard._wants_service(args, root.with_name("shed.yaml"), answers) == (yes, False)
    touch(root)
    assert await wizard._wants_service(args, root.with_name("shed.yaml"), answers) == (yes, True)
    touch(root.with_name("UNIT"))
    assert await wizard._wants_service(args, root, answers) == (yes, False)
    assert [question.split()[0] for question in answers.asked] == ["Keep", "Let", "Restart"]


async def test_the_service_is_not_offered_where_it_can_not_be(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(yes=True)
    assert await wizard._wants_service(argparse.Namespace(demo=True, service=True), root, answers) == (False, False)
    assert await wizard._wants_service(argparse.Namespace(demo=False, service=True), root, answers) == (True, False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert await wizard._wants_service(argparse.Namespace(demo=False, service=False), root, answers) == (False, False)
    assert answers.asked == []


@pytest.mark.parametrize(("code", "asked"), [(0, True), (69, True), (0, False)])
def test_the_service_is_installed_when_it_is_wanted(
    code: int, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    installed: list[argparse.Namespace] = []

    def run_install(args: argparse.Namespace) -> int:
        installed.append(args)
        return code

    monkeypatch.setattr("blupow_proxy.commands.service.run_install", run_install)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/opt/blupow-proxy"])
    monkeypatch.setattr(ending, "SYSTEMD", tmp_path)
    content = b"esphome: {name: shed}\napi: {encryption: {key: !secret api_key}}\n"
    file = tmp_path / "a b.yaml"
    draft = Draft(file=file, content=content, key=KEY, units="1 unit", service=asked, replace=True)
    assert finish(argparse.Namespace(demo=False), draft, Questions(interactive=False)) == code
    assert file.read_bytes() == content
    out = capsys.readouterr().out
    assert [(args.file, args.replace, args.dry_run) for args in installed] == [(file, True, False)] * asked
    command = f"sudo /opt/blupow-proxy install-service '{file}' --replace"
    assert (command in out) is (not asked or code != 0)
    assert '"Shed" as discovered' in out
    assert "the key, which is in secrets.yaml" in out

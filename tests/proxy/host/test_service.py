import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blupow_proxy.host import service

ROOT = Path(__file__).parents[3]
MOST_EXPOSURE = 17  # tenths; 12 when it was written
MOST_EXPOSURE_LISTENING = 24  # with the rights for other devices; 20 when it was written


@pytest.fixture
def analyze() -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing")
        pytest.skip("systemd-analyze is missing")
    return tool


LISTENING = service.Options(raw_advertisements=True)


def unit(folder: Path, python: str = sys.executable, needs: tuple[Path, ...] = ()) -> Path:
    path = folder / "blupow-proxy.service"
    (content,) = [
        file.content
        for file in service.unit_files(Path(python), needs, service.Options())
        if file.path.name == path.name
    ]
    path.write_text(content)
    return path


def test_little_is_exposed(tmp_path: Path, analyze: str) -> None:
    file = unit(tmp_path, needs=(Path("/home/pi/blupow"),))
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_little_more_is_exposed_where_other_devices_are_heard(tmp_path: Path, analyze: str) -> None:
    file = unit(tmp_path)
    (drop_in,) = service.option_files(LISTENING)
    file.write_text(file.read_text() + drop_in.content)
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSURE_LISTENING}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.findall(r"✗ CapabilityBoundingSet=~(\S+)", done.stdout) == [
        "CAP_NET_ADMIN",
        "CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
    ]
    done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in (done.stdout + done.stderr).splitlines() if "blupow-proxy" in line]


def test_a_user_can_take_the_right_away_again() -> None:
    """`systemctl edit` writes override.conf, and the last one counts."""
    assert service.ADVERTISEMENTS.name < "override.conf"


def test_systemd_understands_it(tmp_path: Path, analyze: str) -> None:
    """Also where the paths hold what means something in a unit file."""
    odd = tmp_path / "50 %n of $HOME: here"
    odd.mkdir()
    (odd / "python").symlink_to(sys.executable)
    file = unit(tmp_path, str(odd / "python"), (Path("/home/pi/50 %n: a folder"),))
    done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "blupow-proxy" in line]
    assert not ours
    file.write_text(file.read_text().replace("ExecStart=", "ExecStart=/missing"))
    done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, check=False)
    assert "/missing" in done.stdout + done.stderr, "it would say so"


def test_substitutions_reach_the_program_as_they_were_given(tmp_path: Path, analyze: str) -> None:
    given = {"area": "Shed", "name": '50 % of "$HOME"; \\n', "nothing": ""}
    python = Path("/usr/bin/python3")
    drop_in = {
        file.path: file.content for file in service.unit_files(python, [], service.Options(substitutions=given))
    }[service.SUBSTITUTIONS]
    words = r"""-s "area" "Shed" -s "name" "50 %% of \"$$HOME\"; \\n" -s "nothing" "" /etc/blupow/proxy.yaml"""
    assert drop_in == f"[Service]\nExecStart=\nExecStart={python} -m blupow_proxy run {words}\n"
    [packaged] = service.option_files(service.Options(substitutions=given))
    assert f"ExecStart=/usr/bin/blupow-proxy run {words}" in packaged.content
    file = unit(tmp_path)
    file.write_text(file.read_text() + drop_in.replace(str(python), sys.executable))
    done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in (done.stdout + done.stderr).splitlines() if "blupow-proxy" in line]


def test_what_the_service_would_not_see() -> None:
    paths = map(Path, ["/usr", "/home/pi/blupow/.venv", "/home/pi/blupow", "/home/pi/.local/share/uv", "/homes/x"])
    assert service.hidden(paths) == [Path("/home/pi/.local/share/uv"), Path("/home/pi/blupow")]


def test_this_installation_runs_with_what_it_says_it_needs() -> None:
    import blupow_config  # noqa: PLC0415
    import blupow_proxy  # noqa: PLC0415

    packages = [Path(package.__file__).parent for package in (blupow_proxy, blupow_config)]
    needs = service.needed_by_this_program(packages)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and module.__name__.startswith(("blupow", "bleak", "asyncio", "zeroconf")):
            assert any(Path(file).is_relative_to(path) for path in needs), file
    interpreter = Path(sys.executable).resolve()
    assert any(interpreter.is_relative_to(path) for path in needs)


def test_where_the_state_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.state_folder(Path("/etc/../etc/blupow/proxy.yaml"), "shed") == service.STATE
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert service.state_folder(tmp_path / "proxy.yaml", "shed") == tmp_path


def test_every_template_is_written_somewhere() -> None:
    options = service.Options(
        volatile_log=True, auto_recovery=True, raw_advertisements=True, substitutions={"area": "Shed"}
    )
    files = service.unit_files(Path("/usr/bin/python3"), [], options)
    assert {file.content for file in files if file.path not in (service.UNIT, service.SUBSTITUTIONS)} == {
        path.read_text() for path in (ROOT / "firmware_config" / "pi").iterdir() if path.suffix == ".conf"
    }
    assert {file.path for file in files} == set(service.WRITTEN)


def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.cache' / 'uv' / 'bin'}")
    if uv is None:
        pytest.skip("uv is missing")
    command = [uv, "build", "--wheel", "--offline", "--quiet", "--out-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "network was disabled" in done.stderr:
        pytest.skip("the build's own requirements are not at hand")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "unpacked"
    shutil.unpack_archive(wheel, target, "zip")
    templates = (ROOT / "firmware_config" / "pi").iterdir()
    wanted = {path.name: path.read_text() for path in templates if path.suffix in (".service", ".conf")}
    shipped = (target / "blupow_proxy" / "host" / "pi").iterdir()
    assert {path.name: path.read_text() for path in shipped} == wanted

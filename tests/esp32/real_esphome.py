"""Real ESPHome: checks a project's configuration, and builds one as a program of this machine."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest
from driver import FAMILIES, unit

from blupow_config.esp32 import EspProject

PORT: Final = 16061
FIRST_UNIT_PORT: Final = 16070
FOLDER: Final = Path(
    os.environ.get("BLUPOW_REFERENCE", Path(__file__).resolve().parents[2] / ".cache" / "esphome-host")
)
CACHE: Final = FOLDER / "esp32-parity"
_PYTHON: Final = FOLDER / "venv" / "bin" / "python"


def run(folder: Path, *arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``esphome`` in a folder; skips the test where there is none."""
    return _python("-m", "esphome", *(("-q",) if quiet else ()), *arguments, folder=folder)


def _python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if not _PYTHON.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("ESPHome is not here; run tests/reference/build")
    path = f"{_PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [_PYTHON, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


def taken_names(folder: Path, file: str) -> set[str]:
    """Return what ESPHome refuses as an id in a project."""
    script = (
        "import json, sys; from pathlib import Path; from esphome import config; from esphome.core import CORE; "
        "from esphome.config_validation import RESERVED_IDS; CORE.config_path = Path(sys.argv[1]); "
        "assert config.read_config({}) is not None; print(json.dumps([*RESERVED_IDS, *CORE.loaded_integrations]))"
    )
    done = _python("-c", script, file, folder=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def build_parity() -> Path:
    """Build the generated packages of all families for this machine, over TCP; does nothing when that is done."""
    units = [unit(family, address=f"C4:D3:6A:00:00:0{number}") for number, family in enumerate(FAMILIES)]
    project = EspProject(board="wt32-eth01", name="parity", friendly_name="Parity", areas={}, units=units)
    content = project.files() | {"parity.yaml": _main()}
    wanted = hashlib.sha256(repr((content, _PYTHON)).encode()).hexdigest()
    program = CACHE / "program"
    known = CACHE / "inputs"
    if program.exists() and known.exists() and known.read_text() == wanted:
        return program
    for path, text in content.items():
        target = CACHE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    known.unlink(missing_ok=True)
    done = run(CACHE, "compile", "parity.yaml")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    (built,) = CACHE.glob(".esphome/build/*/.pioenvs/*/program")
    program.unlink(missing_ok=True)
    program.hardlink_to(built)
    known.write_text(wanted)
    return program


def _main() -> str:
    refreshes = ", ".join(f"renogy.refresh: {family}_unit" for family in FAMILIES)
    actions = f"{{action: refresh, then: [{refreshes}, api.respond: ]}}"
    lines = [
        "esphome: {name: parity, friendly_name: Parity}",
        'host: {mac_address: "02:00:00:00:00:07"}',
        "logger: {level: DEBUG}",
        f"api: {{port: {PORT}, reboot_timeout: 0s, actions: [{actions}]}}",
        "time: [{platform: homeassistant, id: blupow_clock}]",
        "external_components: [{source: components}]",
        "tcp_uart:",
    ]
    for number, family in enumerate(FAMILIES):
        port = FIRST_UNIT_PORT + number
        lines.append(f"  - {{id: {family}_uart, host: 127.0.0.1, port: {port}, reconnect_interval: 500ms}}")
    lines.append("switch:")
    lines += [
        f"  - {{platform: renogy, type: release, renogy_id: {family}_unit, device_id: {family}, name: Release link, "
        "icon: 'mdi:cellphone-link', entity_category: config}"
        for family in FAMILIES
    ]
    lines += ["packages:", "  node: !include packages/node.yaml"]
    lines += [f"  {family}: !include packages/unit_{number}.yaml" for number, family in enumerate(FAMILIES, 1)]
    return "\n".join(lines) + "\n"

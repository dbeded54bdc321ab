"""The Bluetooth pipe, compiled for this machine on stand-ins of what it is built on."""

import subprocess
from pathlib import Path

from driver import COMPONENT, FLAGS, HERE


def test_the_pipe(tmp_path: Path) -> None:
    pipe = COMPONENT.parent / "renogy_bt"
    program = tmp_path / "test_renogy_bt"
    sources = [HERE / "test_renogy_bt.cpp", pipe / "renogy_bt.cpp"]
    # ESPHome leaves most parameters of its handlers unnamed or unused
    flags = [*FLAGS, "-Wno-unused-parameter", "-DUSE_ESP32", f"-I{HERE / 'stand_ins'}", f"-I{pipe}"]
    subprocess.run(["g++", *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

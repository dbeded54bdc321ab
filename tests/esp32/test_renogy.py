"""The component, compiled for this machine on stand-ins of what it is built on, and a clock that is set."""

import subprocess
from pathlib import Path

from driver import COMPONENT, FLAGS, HERE, SOURCES


def test_links_that_hang(program: Path, tmp_path: Path) -> None:
    tested = tmp_path / "test_renogy"
    folder = program.parent
    sources = [HERE / "test_renogy.cpp", COMPONENT / "renogy.cpp"]
    objects = [(folder / source).with_suffix(".o") for source in SOURCES]
    flags = [*FLAGS, "-Wno-unused-variable", f"-I{HERE / 'stand_ins'}", f"-I{COMPONENT}", f"-I{folder}"]
    subprocess.run(["g++", *flags, *map(str, [*sources, *objects]), "-o", str(tested)], check=True)
    done = subprocess.run([tested], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

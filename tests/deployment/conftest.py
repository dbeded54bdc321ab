import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import debian
import pytest

NEWER = "0.9.9"


@dataclass(frozen=True)
class Packages:
    """The packages that the tests look at and install, and what the one for this machine depends on."""

    arm64: Path
    amd64: Path
    again: Path
    newer: Path
    depends: str
    lintian: subprocess.Popen[str]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packages]:
    """As script/package-deb makes them; one of them twice, at different places."""
    if shutil.which("dpkg-deb") is None or shutil.which("readelf") is None:
        unable("needs dpkg-deb and readelf")
    wanted = {
        "arm64": ("--arch", "arm64"),
        "amd64": ("--arch", "amd64"),
        "again": ("--arch", "amd64"),
        "newer": ("--arch", "amd64", "--version", NEWER),
    }

    folders = {name: tmp_path_factory.mktemp(name) for name in wanted}

    def build(name: str) -> Path:
        folder = folders[name]
        command = [sys.executable, debian.ROOT / "script/debian/build.py", *wanted[name], "--into", folder, "--level=0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(folder)})
        (made,) = folder.glob("*.deb")
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = dict(zip(wanted, pool.map(build, wanted), strict=True))
    depends = debian.run("dpkg-deb", "--field", str(made["amd64"]), "Depends").strip()
    command = ["lintian", "--fail-on=error,warning", "--no-cfg", "--allow-root", str(made["amd64"])]
    if shutil.which("lintian") is None:
        command = ["/bin/false"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lintian:  # beside the tests that wait
        try:
            yield Packages(**made, depends=depends, lintian=lintian)
        finally:
            lintian.terminate()


@pytest.fixture(scope="module")
def machine(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[debian.Machine]:
    """A Debian 13 that runs, with what the package depends on; the packages are in its /mnt."""
    lacking = debian.missing()
    if lacking:
        unable(f"needs {lacking}")
    shared = tmp_path_factory.mktemp("shared")
    shutil.copy(packages.amd64, shared / "first.deb")
    shutil.copy(packages.newer, shared / "newer.deb")
    tree = debian.bare_tree(packages.depends)
    with debian.machine(tree, shared, tmp_path_factory.mktemp("room") / "room", packages.depends) as machine:
        yield machine


def unable(reason: str) -> None:
    """Skip, where it is not the purpose of the machine to test this."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

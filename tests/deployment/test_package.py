"""What is in the packages, of both architectures."""

import re
import shutil
import struct
import subprocess
from email.parser import HeaderParser
from pathlib import Path

import pytest
from debian import ROOT, run

from blupow_proxy.host import service
from conftest import Packages, unable

MACHINES = {"amd64": 62, "arm64": 183}  # as ELF numbers them
GLIBC = (2, 41)  # Debian 13's


@pytest.fixture(scope="module", params=MACHINES)
def unpacked(request: pytest.FixtureRequest, packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked") / request.param
    run("dpkg-deb", "--raw-extract", str(getattr(packages, request.param)), str(folder))
    return folder


def test_the_same_input_makes_the_same_bytes(packages: Packages) -> None:
    assert packages.amd64.read_bytes() == packages.again.read_bytes()


def test_compiled_modules_fit_the_machine(unpacked: Path) -> None:
    compiled = [
        path
        for path in unpacked.rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"
    ]
    assert len(compiled) > 20
    newest = (0, 0)
    for path in compiled:
        content = path.read_bytes()
        assert content[4] == 2, "64 bit"
        assert struct.unpack_from("<H", content, 18)[0] == MACHINES[unpacked.name], path
        assert re.search(r"\.(cpython-313-\w+-linux-gnu|abi3)\.so$", path.name), path
        newest = max(newest, *(tuple(map(int, it)) for it in re.findall(rb"GLIBC_(\d+)\.(\d+)", content)), (0, 0))
    assert newest <= GLIBC
    control = HeaderParser().parsestr((unpacked / "DEBIAN/control").read_text())
    assert f"libc6 (>= {newest[0]}.{newest[1]})" in control["Depends"]
    assert control["Architecture"] == unpacked.name


def test_libraries_are_for_this_python(unpacked: Path) -> None:
    checked = 0
    for path in unpacked.rglob("*.dist-info/METADATA"):
        wanted = HeaderParser().parsestr(path.read_text())["Requires-Python"]
        for least in re.findall(r">=\s*3\.(\d+)", wanted or ""):
            assert int(least) <= 13, path
        for most in re.findall(r"<\s*3\.(\d+)", wanted or ""):
            assert int(most) > 13, path
        checked += 1
    assert checked > 20


def test_nothing_tells_where_it_was_built(unpacked: Path) -> None:
    places = (str(ROOT).encode(), str(Path.home() / ".cache").encode(), b"/tmp/pytest")
    for path in unpacked.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(place in content for place in places), path


def test_what_is_bundled_is_named_with_its_licence(unpacked: Path) -> None:
    said = (unpacked / "usr/share/doc/blupow-proxy/copyright").read_text()
    for path in unpacked.rglob("*.dist-info"):
        if not path.name.startswith("blupow_proxy-"):
            assert f"/{path.name}" in said
    texts = re.findall(r"The text is in (/usr/lib/\S+)", said)
    assert len(texts) > 20
    assert all((unpacked / text.lstrip("/")).is_file() for text in texts)
    assert "License: unknown" not in said


def test_the_unit_is_that_of_install_service(unpacked: Path) -> None:
    for file in service.packaged_files():
        assert (unpacked / str(file.path).lstrip("/")).read_text() == file.content
    template = (ROOT / "firmware_config/pi/blupow-proxy.service").read_text()
    assert (unpacked / str(service.PACKAGED_UNIT).lstrip("/")).read_text() == template


def test_scripts_are_filled_in(unpacked: Path) -> None:
    for name in ("postinst", "prerm", "postrm"):
        path = unpacked / "DEBIAN" / name
        assert not re.search("@[A-Z_]+@", path.read_text())
        subprocess.run(["sh", "-n", path], check=True)


def test_owners_and_rights(packages: Packages) -> None:
    said = run("dpkg-deb", "--contents", str(packages.amd64)).splitlines()
    assert {line.split()[1] for line in said} == {"root/root"}
    assert {line[:10] for line in said} == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}
    assert [line.split()[5] for line in said if line.startswith("-rwx")] == ["./usr/lib/blupow-proxy/bin/blupow-proxy"]


def test_lintian(packages: Packages) -> None:
    if shutil.which("lintian") is None:
        unable("needs lintian")
    said, _ = packages.lintian.communicate(timeout=120)
    assert packages.lintian.returncode == 0, said

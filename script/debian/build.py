"""Makes the Debian package: the project's wheel and its locked dependencies, in a virtual environment of their own.

Debian 13 has none of the libraries in a version that is new enough. In an environment they meet neither Debian's nor
the user's, and `sys.executable -m blupow_proxy` means there what it means in any other installation.
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from documents import HOMEPAGE, MAINTAINER, changelog, commands, copyright_file, manual

from blupow_proxy import __version__
from blupow_proxy.host import service

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
PLATFORMS: Final = {"amd64": "x86_64-manylinux_2_40", "arm64": "aarch64-manylinux_2_40"}  # Debian 13 has glibc 2.41
PYTHON: Final = "3.13"  # Debian 13's: the compiled modules are for no other
NEXT_PYTHON: Final = "3.14"
MODULES: Final = service.PACKAGE / "lib" / f"python{PYTHON}" / "site-packages"
PROGRAM: Final = service.PACKAGE / "bin" / service.NAME
SCRIPTS: Final = ("postinst", "prerm", "postrm")
SOURCE_ONLY: Final = "pyric"  # pure Python, published without a wheel
# What bumble needs for real controllers and for its own programs: the simulated radio uses none of it.
UNUSED: Final = (
    *("click", "libusb-package", "libusb1", "platformdirs"),
    *("pyserial", "pyserial-asyncio", "pyusb", "websockets"),
)
# Programs, what wheels and uv put beside the modules, and a list of manufacturers that nobody looks into.
NOT_MODULES: Final = ("bin", "bench", "examples", ".lock", "bumble/apps", "pyric/utils/data")
# What uninstallers need, and what tells where and with what something was built.
NOT_INFORMATION: Final = ("RECORD", "REQUESTED", "INSTALLER", "WHEEL", "direct_url.json", "uv_cache.json")
DEPENDS: Final = (
    f"python3 (>= {PYTHON}~)",
    f"python3 (<< {NEXT_PYTHON}~)",
    "bluez",
    "default-dbus-system-bus | dbus-system-bus",
    "systemd",
    "passwd",
)
PROVIDERS: Final = {  # which package has a library that compiled modules need
    r"lib(c|m|dl|pthread|rt|util)\.so\.\d|ld-linux-.*": "libc6",
    r"libgcc_s\.so\.1": "libgcc-s1",
    r"libstdc\+\+\.so\.6": "libstdc++6",
}
STARTER: Final = f"""#!{service.PACKAGE}/bin/python3 -sP
from blupow_proxy.__main__ import main

main()
"""
FILLED_IN: Final = {
    "NAME": service.NAME,
    "USER": service.USER,
    "PACKAGE": service.PACKAGE,
    "CONFIG": service.CONFIG,
    "CONFIG_FOLDER": service.CONFIG_FOLDER,
    "STATE": service.STATE,
    "UNIT": service.UNIT,
    "WRITTEN_BY": "-m blupow_proxy run",
    "WANTED": service.UNIT.parent / "multi-user.target.wants" / service.UNIT.name,
    "DROP_INS": service.RECOVERY.parent,
    "BLUETOOTH": service.BLUETOOTH,
    "BLUETOOTH_FOLDER": service.BLUETOOTH.parent,
    "SYSUSERS": service.SYSUSERS,
    "SYSUSERS_FOLDER": service.SYSUSERS.parent,
    "SYSUSERS_NAME": service.SYSUSERS.name,
    "JOURNAL": service.JOURNAL,
    "JOURNAL_FOLDER": service.JOURNAL.parent,
}


class RefusedError(Exception):
    """Why there can be no package."""


def run(*command: str | Path) -> str:
    """Run a tool in the project and return what it prints; RefusedError with what it complains of."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RefusedError(f"{command[0]} is missing: sudo apt install dpkg binutils git") from None
    if done.returncode:
        raise RefusedError(f"{Path(command[0]).name} {command[1]}: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Make the package and say where it is."""
    parser = argparse.ArgumentParser(prog="package-deb", description="Make a Debian package of the proxy.")
    parser.add_argument("--arch", choices=PLATFORMS, help="whose package it is (default: this machine's)")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER", help="where it goes (dist/)")
    parser.add_argument("--version", default=version(), help=argparse.SUPPRESS)  # for the test of an update
    parser.add_argument("--level", type=int, default=9, help=argparse.SUPPRESS)  # of compression, for tests in a hurry
    args = parser.parse_args()
    try:
        package = build(
            args.arch or run("dpkg", "--print-architecture").strip(), args.into.absolute(), args.version, args.level
        )
    except RefusedError as error:
        print(f"package-deb: {error}", file=sys.stderr)
        return 1
    print(f"{package}: {package.stat().st_size / 1e6:.1f} MB")
    return 0


def build(arch: str, into: Path, its_version: str, level: int) -> Path:
    """Make the package for ``arch`` in the folder ``into``."""
    if arch not in PLATFORMS:
        raise RefusedError(f"there is no package for {arch}: install with pipx")
    epoch_s = int(os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct"))
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch_s)  # for the tools
    into.mkdir(parents=True, exist_ok=True)
    package = into / f"{service.NAME}_{its_version}_{arch}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        lay_out(tree, arch, Path(folder), its_version, epoch_s)
        describe(tree, arch, its_version)
        programs = {tree / PROGRAM.relative_to("/"), *(tree / "DEBIAN" / name for name in SCRIPTS)}
        for path in [tree, *tree.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
            os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
        # one thread: how many there are changes the bytes
        run("dpkg-deb", "--root-owner-group", "-Zxz", f"-z{level}", "--threads-max=1", "--build", tree, package)
    return package


def lay_out(tree: Path, arch: str, work: Path, its_version: str, epoch_s: int) -> None:
    """Fill ``tree`` with what the package brings."""
    modules = tree / MODULES.relative_to("/")
    modules.mkdir(parents=True)
    install_modules(modules, arch, work)
    documents = tree / "usr/share/doc" / service.NAME
    remove(*(modules / name for name in NOT_MODULES), *modules.rglob("__pycache__"))
    write(documents / "copyright", copyright_file(modules, MODULES))
    remove(*(information / name for information in modules.glob("*.dist-info") for name in NOT_INFORMATION))
    home = tree / service.PACKAGE.relative_to("/")
    write(home / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    write(tree / PROGRAM.relative_to("/"), STARTER)
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    command = tree / "usr/bin" / service.NAME
    command.parent.mkdir()
    command.symlink_to(f"../lib/{service.NAME}/bin/{service.NAME}")
    for file in service.packaged_files():
        write(tree / file.path.relative_to("/"), file.content)
    write(tree / "usr/share/lintian/overrides" / service.NAME, (HERE / "lintian-overrides").read_text())
    write(documents / "examples/proxy.yaml", (HERE / "proxy.yaml").read_text())
    compress(documents / "changelog.gz", changelog(its_version, epoch_s))
    compress(tree / f"usr/share/man/man1/{service.NAME}.1.gz", manual(its_version, epoch_s))


def install_modules(modules: Path, arch: str, work: Path) -> None:
    """Put the project and what it needs at run time into ``modules``, as they are locked."""
    uv = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.cache/uv/bin'}")
    if uv is None:
        raise RefusedError("uv is missing: script/setup brings it")
    prune = [word for name in UNUSED for word in ("--prune", name)]
    options = ("--quiet", "--locked", "--no-dev", "--no-emit-project", "--extra", "recovery", *prune)
    requirements = work / "requirements.txt"
    requirements.write_text(run(uv, "export", *options))
    run(uv, "build", "--quiet", "--wheel", "--out-dir", work)
    (wheel,) = work.glob("*.whl")
    # copies, since links would be to uv's cache, which is not ours to change
    there = ("--quiet", "--target", modules, "--link-mode", "copy")
    meant = ("--python-platform", PLATFORMS[arch], "--python-version", PYTHON, "--no-deps")
    binary = ("--only-binary", ":all:", "--no-binary", SOURCE_ONLY)
    run(uv, "pip", "install", *there, *meant, *binary, "--require-hashes", "--requirements", requirements)
    run(uv, "pip", "install", *there, *meant, wheel)


def remove(*paths: Path) -> None:
    """Remove those that are there."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def libraries_needed(compiled: list[Path]) -> list[str]:
    """Return the packages that have what modules link to; RefusedError for a library of none."""
    said = run("readelf", "--dynamic", "--version-info", "--wide", *compiled)
    packages = set()
    for library in sorted(set(re.findall(r"\(NEEDED\)[^[]*\[(.+)\]", said))):
        found = [package for pattern, package in PROVIDERS.items() if re.fullmatch(pattern, library)]
        if not found:
            raise RefusedError(f"no package is known to have {library}")
        packages.update(found)
    newest = max(tuple(map(int, it.split("."))) for it in re.findall(r"Name: GLIBC_([\d.]+)", said))
    return [f"libc6 (>= {'.'.join(map(str, newest))})", *sorted(packages - {"libc6"})]


def describe(tree: Path, arch: str, its_version: str) -> None:
    """Write what dpkg reads."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [f"{hashlib.md5(it.read_bytes()).hexdigest()}  {it.relative_to(tree)}\n" for it in files]  # noqa: S324 - dpkg's
    control = tree / "DEBIAN"
    depends = [*DEPENDS, *libraries_needed([path for path in files if ".so" in path.suffixes])]
    fields = {
        "Package": service.NAME,
        "Version": its_version,
        "Architecture": arch,
        "Maintainer": MAINTAINER,
        "Installed-Size": sum(path.stat().st_size + 1023 >> 10 for path in files),
        "Depends": ", ".join(depends),
        "Section": "net",
        "Priority": "optional",
        "Homepage": HOMEPAGE,
        "Description": "Renogy power gear as an ESPHome device\n"
        " Reads Renogy inverters, solar charge controllers, DC-DC chargers, batteries\n"
        " and shunts over Bluetooth LE, and serves every value as an ESPHome device,\n"
        " which Home Assistant finds by itself.",
    }
    write(control / "control", "".join(f"{name}: {value}\n" for name, value in fields.items()))
    write(control / "md5sums", "".join(sums))
    for name in SCRIPTS:
        text = (HERE / name).read_text()
        for key, value in (FILLED_IN | {"NEXT": next_step()}).items():
            text = text.replace(f"@{key}@", str(value))
        write(control / name, text)


def next_step() -> str:
    """Return what a user does first."""
    by_hand = (
        f"write {service.CONFIG} (an example is in /usr/share/doc/{service.NAME}/examples, and "
        f"{service.NAME} scan lists the addresses), then run: sudo {service.NAME} install-service {service.CONFIG}"
    )
    return f"Next: sudo {service.NAME} setup. Or {by_hand}" if "setup" in commands() else f"Next: {by_hand}"


def write(path: Path, content: str) -> None:
    """Write a file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def compress(path: Path, content: str) -> None:
    """Write a file compressed, without the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode(), 9, mtime=0))


def version() -> str:
    """Return the version as Debian orders it: what comes before 1.0 has a tilde, as 1.0~rc1."""
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", __version__)


if __name__ == "__main__":
    sys.exit(main())

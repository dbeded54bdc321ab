"""``install-service`` and ``uninstall-service``: the proxy as a systemd service.

The service has a configuration of its own in /etc, a copy of what the user has written: in a home folder, which is
0700 on Raspberry Pi OS, the service's user could read neither the file nor its secrets, and what systemd can pass on at
the start (credentials, a mounted file) would not follow a change on reload. The program is run from where it was
installed, so that an update stays an update: the unit shows these folders of the home to the service, and no others.

The Debian package brings a unit itself. Its ``install-service`` adds the configuration and what the options ask for,
and removes what another installation has left in /etc, which would hide it; that of any other installation refuses.
"""

import argparse
import grp
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import blupow_config
import blupow_proxy
from blupow_config import ProxyConfig, configuration_files, environment_variables, load_config
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.host import service
from blupow_proxy.host.service import UnitFile
from blupow_proxy.storage import folder_in_home

from .machine import Machine, RefusedError
from .program import program_as_root

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_SYSTEMD: Final = Path("/run/systemd/system")  # sd_booted(3)
_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o640
_PRIVATE_FOLDER: Final = 0o750
_KEY: Final = "key.json"


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``install-service`` and ``uninstall-service`` and their options."""
    install = subparsers.add_parser(
        "install-service",
        help="keep the proxy running, also after a restart of the machine",
        description=f"Install the proxy as a systemd service and start it. Its configuration is {service.CONFIG}, a "
        "copy of FILE; its key and what it has learned are taken over from the user who calls sudo.",
    )
    install.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    add_substitutions(install)
    install.add_argument("--replace", action="store_true", help="let FILE replace another configuration in /etc")
    install.add_argument(
        "--volatile-log", action="store_true", help="keep the log of the whole machine in memory: spares an SD card"
    )
    uninstall = subparsers.add_parser(
        "uninstall-service",
        help="undo install-service",
        description="Stop the service and remove what install-service has written; the configuration and the key stay.",
    )
    uninstall.add_argument("--purge", action="store_true", help="remove the configuration and the key as well")
    for parser in (install, uninstall):
        parser.add_argument("--dry-run", action="store_true", help="print what would be done")
        parser.add_argument(
            "--root", type=Path, default=Path("/"), help="where the file system is, such as an SD card's"
        )
    install.set_defaults(run=run_install)
    uninstall.set_defaults(run=run_uninstall)


def run_install(args: argparse.Namespace) -> int:
    """Install; 78 a mistake in the configuration, 77 not root, 69 no systemd or BlueZ, 73 another one is there."""
    config = load_config(args.file, dict(args.substitutions))
    host = Machine(args.root.absolute(), args.dry_run)
    what = shlex.join(["install-service", *_given(dict(args.substitutions)), str(args.file)])
    try:
        _require_root(host, what)
        _require_one_installation(host, what)
        _require_room(host, config)
        _install(host, args, config)
    except RefusedError as error:
        print(f"blupow-proxy install-service: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        raise  # whoever reads what is printed has seen enough
    except OSError as error:
        print(f"blupow-proxy install-service: {error.filename}: {error.strerror}", file=sys.stderr)
        return os.EX_IOERR
    return os.EX_OK


def _given(substitutions: Mapping[str, str]) -> list[str]:
    """Return the options that give these substitutions to a command."""
    return [word for name, value in substitutions.items() for word in ("-s", name, value)]


def run_uninstall(args: argparse.Namespace) -> int:
    """Remove what was installed; 77 not root."""
    host = Machine(args.root.absolute(), args.dry_run)
    try:
        _require_root(host, "uninstall-service" + " --purge" * args.purge)
        _require_one_installation(host, "uninstall-service" + " --purge" * args.purge)
        _uninstall(host, purge=args.purge)
    except RefusedError as error:
        print(f"blupow-proxy uninstall-service: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"blupow-proxy uninstall-service: {error.filename}: {error.strerror}", file=sys.stderr)
        return os.EX_IOERR
    return os.EX_OK


def _require_root(host: Machine, what: str) -> None:
    if os.geteuid() != 0 and not host.dry_run:
        raise RefusedError(os.EX_NOPERM, f"only root may do that: {program_as_root()} {what}")
    if host.is_running and not host.dry_run and not _SYSTEMD.is_dir():
        raise RefusedError(os.EX_UNAVAILABLE, "this machine is not run by systemd: start `blupow-proxy run` your way")


def _require_one_installation(host: Machine, what: str) -> None:
    """Refuse to have two programs in the place of one service."""
    if host.at(service.PACKAGED_UNIT).exists() and not service.is_packaged():
        raise RefusedError(
            os.EX_UNAVAILABLE,
            f"the service is the Debian package's here: sudo /usr/bin/{service.NAME} {what} "
            f"(or, to go on without the package: sudo apt remove {service.NAME})",
        )


def _require_room(host: Machine, config: ProxyConfig) -> None:
    """Refuse what would only fail later, and less clearly."""
    if not host.is_running or host.dry_run:
        return
    try:
        grp.getgrnam("bluetooth")
    except KeyError:
        raise RefusedError(os.EX_UNAVAILABLE, "BlueZ is not installed: sudo apt install bluez") from None
    if host.at(service.UNIT).exists() or (service.is_packaged() and _is_active()):
        return  # who listens is it
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", config.api.port))
        except OSError:
            message = "something listens on the proxy's port: if it is `blupow-proxy run` in a terminal, end that first"
            raise RefusedError(os.EX_UNAVAILABLE, message) from None


def _install(host: Machine, args: argparse.Namespace, config: ProxyConfig) -> None:
    substitutions = dict(args.substitutions)
    copies = _copies(host, args.file, substitutions, replace=args.replace)
    options = service.Options(
        volatile_log=args.volatile_log,
        auto_recovery=config.bluetooth.auto_recovery,
        raw_advertisements=config.bluetooth_proxy is not None,
        substitutions=substitutions,
    )
    _warn_of_variables(sorted(environment_variables(args.file, substitutions)))
    if not substitutions:
        _warn_of_substitutions(host.at(service.SUBSTITUTIONS))
    changed = _write_units(host, _files(options))
    offline = () if host.is_running else (f"--root={host.root}",)
    host.command("systemd-sysusers", *offline, service.SYSUSERS.name)
    _configure(host, copies, substitutions)
    _take_over_state(host, config, substitutions)
    if host.is_running:
        _reload(host, journal=service.JOURNAL in changed)
    # also in the place of a link of another installation's
    host.command("systemctl", *offline, "enable", "--force", service.NAME)
    if host.is_running:
        host.command("systemctl", "restart", service.NAME)
    if not host.dry_run:
        _say_installed(host, args.file)


def _warn_of_substitutions(before: Path) -> None:
    """Say which the service had until now."""
    with suppress(FileNotFoundError):
        given = before.read_text().strip().rpartition(" run ")[2].removesuffix(str(service.CONFIG))
        print(f"The service runs without a substitution now. Before, it had: {given.strip()}", file=sys.stderr)


def _warn_of_variables(names: list[str]) -> None:
    """Say what the service does not have of this shell."""
    if names:
        print(
            f"The configuration takes {', '.join(names)} from the environment, and the service does not have this "
            f"shell's. Give them to it, unless it has them:\n    sudo systemctl edit {service.NAME}\n    [Service]\n"
            + "".join(f"    Environment={name}=...\n" for name in names)
            + f"    and then: sudo systemctl restart {service.NAME}",
            file=sys.stderr,
        )


def _files(options: service.Options) -> list[UnitFile]:
    """Return what this installation has to write: all of the service, or what its package does not bring."""
    if service.is_packaged():
        return service.option_files(options)
    packages = [Path(package.__file__).parent for package in (blupow_config, blupow_proxy) if package.__file__]
    needs = service.needed_by_this_program(packages)
    return service.unit_files(Path(sys.executable), needs, options)


def _is_active() -> bool:
    """Return whether the service runs."""
    tool = shutil.which("systemctl")
    command = (tool or "systemctl", "--quiet", "is-active", service.NAME)
    return tool is not None and subprocess.run(command, check=False).returncode == 0  # noqa: S603 - ours


def _reload(host: Machine, *, journal: bool) -> None:
    """Have systemd read its files, and the journal its own where that is concerned."""
    host.command("systemctl", "daemon-reload")
    if journal:
        host.command("systemctl", "restart", "systemd-journald")


def _write_units(host: Machine, files: list[UnitFile]) -> set[Path]:
    """Write these and remove what is left of others; returns which are not as before."""
    changed = set()
    for file in files:
        if host.dry_run:
            print(f"write: {host.at(file.path)}", *(f"    {line}" for line in file.content.splitlines()), sep="\n")
        elif host.write(file.path, file.content.encode(), _PUBLIC):
            changed.add(file.path)
    for path in service.WRITTEN:
        if path != service.JOURNAL and path not in {file.path for file in files}:
            host.remove(path)
    return changed


def _copies(host: Machine, file: Path, substitutions: Mapping[str, str], *, replace: bool) -> dict[Path, Path]:
    """Return which file of /etc becomes a copy of which, with all that it includes; the one in /etc itself is none."""
    if host.at(service.CONFIG).exists() and file.resolve() == host.at(service.CONFIG).resolve():
        return {}
    copies = {service.CONFIG: file}
    for part in configuration_files(file, substitutions)[1:]:
        target = service.CONFIG_FOLDER / part.relative_to(file.parent)
        if target in copies:
            raise RefusedError(
                os.EX_CANTCREAT, f"{part} would take the place of {file}, which becomes {target}: rename {part.name}"
            )
        copies[target] = part
    for target, source in copies.items():
        there = host.at(target)
        if not replace and there.exists() and there.read_bytes() != source.read_bytes():
            raise RefusedError(
                os.EX_CANTCREAT,
                f"{there} is there already, and differs from {source}: keep it, by naming {service.CONFIG} instead, "
                "or have it replaced, with --replace",
            )
    return copies


def _write_private(host: Machine, path: Path, data: bytes) -> None:
    """Write what root and the service may read."""
    group = _group(host)
    inner = [parent for parent in path.parents if parent.is_relative_to(service.CONFIG_FOLDER)]
    for folder in map(host.at, reversed(inner)):
        folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        _open_to(group, folder)
    host.write(path, data, _PRIVATE, group)


def _open_to(group: int, folder: Path) -> None:
    """Let root and this group into a folder, and nobody else, whatever the umask is."""
    os.chown(folder, -1, group)
    folder.chmod(_PRIVATE_FOLDER)


def _configure(host: Machine, copies: Mapping[Path, Path], substitutions: Mapping[str, str]) -> None:
    """Give the service its configuration: copies, or what was written in /etc itself."""
    for target, source in copies.items():
        if host.dry_run:
            print(f"copy: {source} to {host.at(target)}, readable by root and the group {service.USER}")
        else:
            _write_private(host, target, source.read_bytes())
    if host.dry_run or copies:
        return
    group = _group(host)
    there = configuration_files(host.at(service.CONFIG), substitutions)
    for folder in {parent for path in there for parent in path.parents if parent.is_relative_to(there[0].parent)}:
        _open_to(group, folder)
    for path in there:
        os.chown(path, -1, group)
        path.chmod(_PRIVATE)


def _group(host: Machine) -> int:
    """Return the number of the service's group, as the machine that it is installed on has it."""
    for line in host.at(Path("/etc/group")).read_text().splitlines():
        name, _, number, *_ = [*line.split(":"), "", ""]
        if name == service.USER:
            return int(number)
    raise RefusedError(os.EX_SOFTWARE, f"systemd-sysusers has made no group {service.USER}")


def _take_over_state(host: Machine, config: ProxyConfig, substitutions: Mapping[str, str]) -> None:
    """Let the service go on with the key, the identity and the units of a proxy that the user has run before."""
    if not host.is_running:
        return
    user = os.environ.get("SUDO_UID", str(os.geteuid()))
    try:
        before = folder_in_home(Path(pwd.getpwuid(int(user)).pw_dir), config.esphome.name)
    except (KeyError, ValueError):
        return
    documents = [path for path in sorted(before.glob("*.json")) if path.is_file() and not path.is_symlink()]
    state = host.at(service.STATE)
    if state.exists():
        if config.api.encryption and config.api.key is None:
            _warn_of_keys(state, documents, substitutions)
        return
    if not documents:
        return
    if host.dry_run:
        print(f"copy: the key and what was learned, from {before} to {service.STATE}")
        return
    state.mkdir(mode=0o700, parents=True)  # systemd gives it, with what is in it, to the service's user
    for path in documents:
        host.write(service.STATE / path.name, path.read_bytes(), 0o600)


def _warn_of_keys(state: Path, documents: Iterable[Path], substitutions: Mapping[str, str]) -> None:
    """Say that the service has a key of its own, where the user's proxy, with its ``documents``, has another."""
    for path in documents:
        with suppress(OSError):  # in a dry run, the service's is not everybody's to read
            if path.name == _KEY and path.read_bytes() != (state / _KEY).read_bytes():
                what = shlex.join(["pair", "--forget", *_given(substitutions), str(service.CONFIG)])
                print(
                    f"The service goes on with its own key, in {service.STATE}, and not with the one in {path.parent}. "
                    "If Home Assistant has that one, have the service forget its own, and pair again within ten "
                    f"minutes:\n    {program_as_root()} {what}",
                    file=sys.stderr,
                )


def _say_installed(host: Machine, file: Path) -> None:
    if host.at(service.CONFIG).resolve() != file.resolve():
        print(f"The service has a configuration of its own, a copy of {file}: {service.CONFIG}.")
    print(f"To change it:     sudo nano {service.CONFIG}, then sudo systemctl reload {service.NAME}")
    print(f"How it does:      systemctl status {service.NAME}")
    print(f"What it has said: journalctl -u {service.NAME} -f")


def _uninstall(host: Machine, *, purge: bool) -> None:
    packaged = service.is_packaged()
    if packaged or host.at(service.UNIT).exists():
        offline = ("disable", "--now") if host.is_running else (f"--root={host.root}", "disable")
        host.command("systemctl", *offline, service.NAME)
    removed = [path for path in service.WRITTEN if host.remove(path)]
    if host.is_running and removed:
        _reload(host, journal=service.JOURNAL in removed)
    if purge:
        _purge(host)
    if host.dry_run:
        return
    if packaged:
        print(
            f"The service is stopped, and does not start again. To remove the program: sudo apt remove {service.NAME}"
        )
    else:
        print("The service is removed." if removed else "There was no service.")
    kept = [place for place in (service.CONFIG_FOLDER, service.STATE) if host.at(place).exists()]
    if kept:
        print(f"Its configuration and its key stay, in {' and '.join(map(str, kept))}: --purge removes them as well.")


def _purge(host: Machine) -> None:
    for folder in (service.CONFIG_FOLDER, service.STATE):
        place = host.at(folder)
        if place.exists() and host.dry_run:
            print(f"remove: {place}")
        elif place.exists():
            shutil.rmtree(place)
    if host.is_running and not service.is_packaged():
        with suppress(KeyError):
            pwd.getpwnam(service.USER)
            host.command("userdel", service.USER)
        with suppress(KeyError):  # where userdel leaves groups
            grp.getgrnam(service.USER)
            host.command("groupdel", service.USER)

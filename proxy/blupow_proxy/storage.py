"""The little that the proxy keeps on disk: written atomically and only when it changes, never needed to run."""

import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from blupow_proxy.errors import ProxyError

MAX_BYTES: Final = 1_000_000  # far above what 100 units need; a file this large is not ours

_OURS: Final = "blupow-proxy"
_IDENTITY: Final = "identity"
_MAC: Final = re.compile("(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
_MACHINE_ID: Final = re.compile("[0-9a-f]{32}")  # systemd writes "uninitialized" before the first boot is over
_LOGGER = logging.getLogger(__name__)


class Storage:
    """JSON documents by name in one folder, readable by nobody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._warned = False
        self._due: dict[str, bytes] = {}
        self._writer = ThreadPoolExecutor(1, "storage")

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a document; None when there is none, or it is damaged."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                content = json.loads(file.read(MAX_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            _LOGGER.warning("%s is not readable (%s); going on without it", path, error)
            return None
        if not isinstance(content, dict):
            _LOGGER.warning("%s does not hold what it should; going on without it", path)
            return None
        return content

    def write(self, name: str, content: Mapping[str, Any]) -> bool:
        """Keep a document durably; False when the disk does not let us, which is logged once."""
        return self._put(self._path(name), _to_bytes(content))

    def write_soon(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a document without waiting: a memory card can take seconds. What comes later wins; exit waits for it."""
        self._due[name] = _to_bytes(content)
        self._writer.submit(self._write_due, name)

    def flush(self) -> None:
        """Wait until all is written that was to be."""
        self._writer.submit(bool).result()

    def _write_due(self, name: str) -> None:
        data = self._due.pop(name, None)
        if data is not None:
            self._put(self._path(name), data)

    def _put(self, path: Path, data: bytes) -> bool:
        try:
            with suppress(FileNotFoundError):
                if path.read_bytes() == data:
                    return True
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._replace(path, data)
        except OSError as error:
            if not self._warned:
                self._warned = True
                _LOGGER.warning("Can't write to %s (%s); keys and units are forgotten at exit", self.folder, error)
            return False
        return True

    def take(self, name: str) -> bool:
        """Remove a document; whether there was one."""
        try:
            self._path(name).unlink()
        except OSError:
            return False
        return True

    def discard(self, name: str) -> bool:
        """Make sure, durably, that there is no such document; False when the disk does not let us."""
        try:
            self._path(name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # no folder, no document
                self._sync_folder()
        except OSError:
            return False
        return True

    def has(self, name: str) -> bool:
        """Whether there is a document, readable or not."""
        return os.path.lexists(self._path(name))

    def _replace(self, path: Path, data: bytes) -> None:
        """Put ``data`` in place of ``path`` such that a power cut leaves the old file or the new one."""
        temporary = path.with_name(f".{path.name}.new")  # always the same: what a power cut leaves is used up
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def _sync_folder(self) -> None:
        """Have on the disk which documents there are."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _to_bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode()


def default_folder(name: str) -> Path:
    """Return where a proxy of this name keeps its state: systemd's folder, or the user's; ProxyError without one."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    states = os.environ.get("XDG_STATE_HOME", "")
    if states:
        return Path(states) / _OURS / name
    try:
        return folder_in_home(Path.home(), name)
    except RuntimeError:
        raise ProxyError("this user has no home folder to keep the state in: choose one with --state-dir") from None


def folder_in_home(home: Path, name: str) -> Path:
    """Return where a proxy of this name keeps its state when the user with this ``home`` runs it."""
    return home / ".local" / "state" / _OURS / name


def stable_mac(
    storage: Storage,
    name: str,
    interfaces: Path = Path("/sys/class/net"),
    machine_id: Path = Path("/etc/machine-id"),
) -> str:
    """Return the proxy's own MAC, AA:BB:CC:DD:EE:FF: locally administered, the same at each start.

    Made of ``name`` and the host's first physical interface, or else its machine id, so that two proxies on a host
    differ and a lost disk changes nothing; kept, so that a new network card changes nothing either.
    """
    kept = storage.read(_IDENTITY)
    if kept is not None:
        mac = str(kept.get("mac")).upper()
        if _MAC.fullmatch(mac):
            return mac
        _LOGGER.warning("%s holds no MAC; making it anew", storage.folder / f"{_IDENTITY}.json")
    seed = _host_mac(interfaces) or _host_id(machine_id) or secrets.token_hex(6)
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    mac = bytes(((digest[0] & 0xFC) | 0x02, *digest[1:6])).hex(":").upper()
    storage.write(_IDENTITY, {"mac": mac})
    return mac


def _host_mac(interfaces: Path) -> str | None:
    for interface in sorted(interfaces.glob("*")):
        with suppress(OSError):
            address = (interface / "address").read_text("ascii").strip()
            if (interface / "device").exists() and address.strip("0:"):
                return address
    return None


def _host_id(machine_id: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        content = machine_id.read_text("ascii").strip()
        if _MACHINE_ID.fullmatch(content):
            return content
    return None

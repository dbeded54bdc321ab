"""The machine that the service is installed on: its files, or those of an SD card's, and its tools."""

import os
import shlex
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blupow_proxy.errors import ProxyError


class RefusedError(ProxyError):
    """It can not be done; ``code`` is the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Machine:
    """The file system below ``root``, and the tools of the machine; one that is not running has no services."""

    root: Path
    dry_run: bool

    @property
    def is_running(self) -> bool:
        """Whether this is the machine that we run on."""
        return self.root == Path("/")

    def at(self, path: Path) -> Path:
        """Return where a file of the machine is for us."""
        return self.root / path.relative_to("/")

    def command(self, *words: str) -> None:
        """Run a tool; RefusedError with what it said."""
        if self.dry_run:
            print(f"run: {shlex.join(words)}")
            return
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
            raise RefusedError(os.EX_SOFTWARE, f"`{shlex.join(words)}` failed: {said}")

    def write(self, path: Path, data: bytes, mode: int, group: int | None = None) -> bool:
        """Have a file with this content, mode and group (None is any); whether that was a change."""
        place = self.at(path)
        with suppress(FileNotFoundError):
            there = place.stat()
            same = there.st_mode & 0o777 == mode and group in (None, there.st_gid)
            if same and place.read_bytes() == data:
                return False
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if group is not None:
                os.fchown(file.fileno(), -1, group)
        Path(temporary).replace(place)
        return True

    def remove(self, path: Path) -> bool:
        """Remove a file, and its folder if only this was in it; whether there was one."""
        place = self.at(path)
        if not place.exists():
            return False
        if self.dry_run:
            print(f"remove: {place}")
            return True
        place.unlink()
        if place.parent.suffix == ".d":
            with suppress(OSError):  # other drop-ins are in it
                place.parent.rmdir()
        return True

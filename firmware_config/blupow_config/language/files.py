"""The files of a configuration: all within its folder, each read once and within bounds."""

import os
import stat
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from blupow_config.errors import ConfigError, ConfigErrors

from .limits import MAX_ALL_BYTES, MAX_BYTES, MAX_FILES, TooMuchError
from .source import Node, parse

MAX_NAMES: Final = 500  # of a folder are looked at for a name like the one that is missing


class FileError(Exception):
    """A file that can't be part of the configuration; the text says why, to who has named it."""


class Files:
    """Reads the main file and those that it names; ``read`` are all of them so far, the main one first.

    ``drafts`` are texts that are to be in files, and count in place of what is in them now.
    """

    def __init__(self, main: Path, drafts: Mapping[Path, bytes] | None = None) -> None:
        self.main = main
        self._drafts = drafts or {}
        self.read: dict[Path, None] = {}
        self._root = Path(os.path.realpath(main.parent))
        self._parsed: dict[tuple[Path, bool], Node | ConfigErrors | None] = {}
        self._found: dict[tuple[Path, str], Path | FileError] = {}
        self._bytes = 0

    def find(self, name: str, base: Path) -> Path:
        """Return where a file or folder is that ``base`` names; FileError if it is not in the configuration."""
        asked = (base.parent, name)
        if asked not in self._found:
            try:
                self._found[asked] = self._find(name, base)
            except FileError as error:
                self._found[asked] = error
        found = self._found[asked]
        if isinstance(found, FileError):
            raise found
        return found

    def _find(self, name: str, base: Path) -> Path:
        if not name or "\0" in name:
            raise FileError("expected the name of a file")
        path = self.path_of(name, base)
        real = Path(os.path.realpath(base.parent / name))
        if Path(name).is_absolute() or not real.is_relative_to(self._root):
            raise FileError("is outside the configuration's folder: copy it there, and name it from here")
        if Path(os.path.realpath(path)) != real:
            raise FileError("goes through a link and back with `..`: name it directly")
        if not _exists(real):
            raise FileError(f"there is no {self.relative(path)}{self._near(path)}")
        return path

    def path_of(self, name: str, base: Path) -> Path:
        """Return the path of a file that ``base`` names, as seen from where the main file is seen from."""
        return self.main.parent / os.path.relpath(base.parent / name, self.main.parent)

    def relative(self, path: Path) -> str:
        """Return a file's name as seen from the configuration's folder."""
        return os.path.relpath(path, self.main.parent)

    def exists(self, path: Path) -> bool:
        """Return whether there is a file, or is to be."""
        return path in self._drafts or path.exists()

    def parse(self, path: Path, *, secret: bool = False) -> Node | None:
        """Return the root of a file, None if it is empty; FileError or ConfigErrors say why there is none."""
        if (path, secret) not in self._parsed:
            try:
                self._parsed[path, secret] = parse(self._text(path), str(path), secret=secret)
            except ConfigErrors as errors:
                self._parsed[path, secret] = errors
        parsed = self._parsed[path, secret]
        if isinstance(parsed, ConfigErrors):
            raise parsed
        return parsed

    def _text(self, path: Path) -> bytes:
        if path not in self.read and len(self.read) >= MAX_FILES:
            raise TooMuchError(f"is made of more than {MAX_FILES} files")
        if path in self._drafts:
            return self._counted(path, self._drafts[path])
        try:
            # a pipe that nobody writes to must not hold it up; the main file may be one, as it is named by the user
            flags = os.O_NONBLOCK if self.read else 0
            with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
                kind = os.fstat(file.fileno()).st_mode
                if self.read and not stat.S_ISREG(kind):
                    raise FileError("is a folder" if stat.S_ISDIR(kind) else "is no file that holds text")
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or "not readable").lower()
            raise FileError(f"{reason}: check the name and its permissions") from None
        return self._counted(path, text)

    def _counted(self, path: Path, text: bytes) -> bytes:
        self.read[path] = None
        self._bytes += len(text)
        if len(text) > MAX_BYTES:
            raise ConfigErrors([ConfigError(str(path), 0, 0, "", "too large to be a configuration")])
        if self._bytes > MAX_ALL_BYTES:
            raise TooMuchError(f"is made of more than {MAX_ALL_BYTES:,} bytes")
        return text

    def _near(self, path: Path) -> str:
        try:
            with os.scandir(path.parent) as found:
                names = [entry.name for entry, _ in zip(found, range(MAX_NAMES), strict=False) if entry.name[0] != "."]
        except OSError:
            return ""
        alike = [name for name in names if Path(name).suffix == path.suffix]
        close = get_close_matches(path.stem, [Path(name).stem for name in alike], 1)
        return f", did you mean {close[0] + path.suffix!r}?" if close else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False

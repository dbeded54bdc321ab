"""Writing a project without losing anything of the user's."""

import binascii
import os
from base64 import b64decode
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import yamlrocks

from .marks import mark
from .project import KEY_NAME, OWN_FILE, SECRETS_FILE, EspProject, ProjectError

_GENERATED: Final = ("*.yaml", "packages/*.yaml", "components/renogy/*", "components/renogy_bt/*")
_FOLDERS: Final = ("packages", "components/renogy", "components/renogy_bt", "components")


def write_project(folder: Path, project: EspProject, *, overwrite: bool = False) -> None:
    """Write the project but the user's own files that are there; ProjectError, and nothing is, when others differ.

    What another project has left behind is removed with ``overwrite``. OSError when it can't be written.
    """
    content = project.files()
    differing = sorted(path for path, text in content.items() if _differs(folder / path, text))
    if differing and not overwrite:
        shown = ", ".join(project.shown_main_file if path == project.main_file else path for path in differing)
        raise ProjectError(f"{folder} has other contents in {shown}: choose another folder, or --overwrite")
    kept = folder / SECRETS_FILE
    wanted = project.secrets()
    if os.path.lexists(kept):
        _check_secrets(kept, wanted, project.key)
    for path, text in content.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    if overwrite:
        _remove_left_behind(folder, content.keys())
    if not (folder / OWN_FILE).exists():
        (folder / OWN_FILE).write_text(project.own(), "utf-8")
    if not os.path.lexists(kept):
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(wanted)


def _differs(path: Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != text.encode())


def _check_secrets(kept: Path, wanted: str, key: bytes | None) -> None:
    """Hold the secrets that are there against those that are ``wanted``, and their key against the Pi's."""
    there = _secrets(kept)
    if missing := sorted(yamlrocks.loads(wanted.encode()).keys() - there.keys()):
        raise ProjectError(f"{kept} lacks {', '.join(missing)}: add it, or choose another folder")
    if key is None:
        return
    with suppress(binascii.Error, ValueError):
        if b64decode(str(there[KEY_NAME])) == key:
            return
    raise ProjectError(
        f"{kept} has another key than the Pi, so Home Assistant would not get in: write the Pi's as "
        f"{KEY_NAME} there, or choose another folder"
    )


def _secrets(path: Path) -> dict[str, object]:
    try:
        content = yamlrocks.loads(path.read_bytes())
    except yamlrocks.YAMLRocksError:
        content = None
    if not isinstance(content, dict):
        raise ProjectError(f"{path} is no list of secrets: mend it, or choose another folder")
    return content


def _remove_left_behind(folder: Path, wanted: Collection[str]) -> None:
    """Remove what was generated before and is none of what is ``wanted`` now."""
    for path in _generated(folder):
        if path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for name in _FOLDERS:
        with suppress(OSError):  # something of the user's is in it
            (folder / name).rmdir()


def _generated(folder: Path) -> Iterator[Path]:
    """Yield the files that bear the mark."""
    for pattern in _GENERATED:
        for path in sorted(folder.glob(pattern)):
            line = mark(path.name)
            if line is None or path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                if file.readline().rstrip(b"\r\n") == line.encode():
                    yield path

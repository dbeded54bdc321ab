"""The configuration and its secrets on the disk: both, or none; never one that is not right."""

import base64
import binascii
import os
import secrets
import stat
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from blupow_config import KEY_SECRET, SECRETS_FILE, ProxyConfig, load_config, stored_secret, with_secret

from .outcome import StoppedError

_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o600
_KEY_BYTES: Final = 32


def kept_key(file: Path) -> str | None:
    """Return the key that is among the secrets beside ``file``, in base64; None when there is none; StoppedError."""
    text = stored_secret(file, KEY_SECRET)
    if text is None:
        return None
    with suppress(binascii.Error, ValueError):
        if len(base64.b64decode(text, validate=True)) == _KEY_BYTES:
            return text
    secrets_file = file.parent / SECRETS_FILE
    raise StoppedError(os.EX_CONFIG, f"{KEY_SECRET} in {secrets_file} is not a key: correct it, or remove that line")


def new_key() -> str:
    """Return a new key, in base64."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def require_writable(file: Path) -> None:
    """Have the folder of ``file``, and be allowed to write there; StoppedError says what to do."""
    folder = file.absolute().parent
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StoppedError(
            os.EX_CANTCREAT, f"can't write to {folder} ({reason}): name a file elsewhere, or use sudo"
        ) from None
    secrets_file = folder / SECRETS_FILE
    if secrets_file.exists() and not os.access(secrets_file, os.R_OK):
        raise StoppedError(os.EX_NOPERM, f"{secrets_file} can't be read: use sudo, or chown it to this user")


def write(file: Path, content: bytes, key: str | None) -> ProxyConfig:
    """Put ``content`` in place of ``file``, after adding ``key`` to the secrets beside it; returns what it says.

    A link stays one: the file that it leads to is written.

    Raises:
        ConfigErrors: it would not be right; nothing has been written.
        StoppedError: the disk does not let us.
    """
    secrets_file = file.parent / SECRETS_FILE
    drafts = {file: content}
    try:
        if key is not None:
            before = secrets_file.read_bytes() if secrets_file.exists() else b""
            drafts = {secrets_file: with_secret(before, KEY_SECRET, key), file: content}
        config = load_config(file, drafts=drafts)
        with ExitStack() as stack:
            staged = [
                (
                    _staged(path.resolve(), text, stack, mode=_PRIVATE if path == secrets_file else _PUBLIC),
                    path.resolve(),
                )
                for path, text in drafts.items()
            ]
            for draft, path in staged:
                draft.replace(path)
        for _, path in staged:
            _sync(path.parent)
    except OSError as error:
        raise StoppedError(os.EX_IOERR, f"can't write {error.filename or file}: {error.strerror}") from None
    return config


def _staged(path: Path, data: bytes, stack: ExitStack, *, mode: int) -> Path:
    """Write a file on the disk of ``path``, whose place it can take until ``stack`` is over."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent, prefix=".blupow-"))
    staged = Path(folder) / path.name
    _stage(staged, data, like=path, mode=mode)
    return staged


def _stage(path: Path, data: bytes, *, like: Path, mode: int) -> None:
    """Write a file that is to take the place of ``like``: its mode and its owner stay, or are the folder's."""
    owner = like if like.exists() else like.absolute().parent
    about = owner.stat()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        with suppress(PermissionError):  # only root gives files away
            os.fchown(file.fileno(), about.st_uid, about.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(about.st_mode) if like.exists() else mode)
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

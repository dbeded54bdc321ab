"""More units for a configuration that is there already: checked before anything is written, or left to its owner."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from blupow_config import (
    ConfigError,
    ConfigErrors,
    NewUnit,
    NotExtendableError,
    ProxyConfig,
    load_config,
    unit_lines,
    with_units,
)

from .outcome import StoppedError

_TRIAL: Final = NewUnit(address="02:00:00:00:00:00", name="\u2026")  # an address that no maker gives


class _RefusedError(Exception):
    """The file can't get more units by itself; the text says where and why."""


def extended(file: Path, before: ProxyConfig, units: Sequence[NewUnit]) -> bytes:
    """Return the text of ``file``, which says ``before``, with ``units``; StoppedError has the lines to add by hand."""
    try:
        return _extended(file, before, units)
    except _RefusedError as error:
        lines = "\n".join(unit_lines(units))
        what = f"{error}\nNothing was written. To be added by hand:\n{lines}"
        raise StoppedError(os.EX_CONFIG, what) from None


def why_not_extended(file: Path, before: ProxyConfig) -> str | None:
    """Return why ``file`` can't get more units by itself, before anybody is asked for them; None when it can."""
    try:
        _extended(file, before, [_TRIAL])
    except _RefusedError as error:
        return str(error)
    return None


def _extended(file: Path, before: ProxyConfig, units: Sequence[NewUnit]) -> bytes:
    text = file.read_bytes()
    try:
        new = with_units(text, units)
    except NotExtendableError as error:
        raise _RefusedError(ConfigError(str(file), error.line, error.column, "", str(error))) from None
    try:
        after = load_config(file, drafts={file: new})
    except ConfigErrors as errors:
        raise _RefusedError(_complaints(file, before, text, new, errors)) from None
    if not _has_more(before, after, units):
        raise _RefusedError(
            f"{file}: with more units in it, it would not say what it does now, so setup leaves it as it is: "
            "other files have a part in its `renogy`"
        )
    return new


def _has_more(before: ProxyConfig, after: ProxyConfig, units: Sequence[NewUnit]) -> bool:
    """Return whether ``after`` says all that ``before`` does, and has the units, exactly as they are."""
    known = {unit.id for unit in before.renogy}
    kept = tuple(unit for unit in after.renogy if unit.id in known)
    added = [
        (unit.address, unit.name, unit.family, unit.modbus_address) for unit in after.renogy if unit.id not in known
    ]
    wanted = [(unit.address, unit.name, unit.family or "auto", unit.modbus_address) for unit in units]
    same = replace(after, renogy=kept, given=before.given, secret_paths=before.secret_paths)
    return added == wanted and same == before


def _complaints(file: Path, before: ProxyConfig, text: bytes, new: bytes, errors: ConfigErrors) -> str:
    """Return what is wrong with more units, by the lines of the file as it is now."""
    first, added = _added_lines(text, new)
    told = []
    for error in errors.errors:
        line, message = error.line, error.message
        if error.file == str(file) and line > first:
            line = max(first, line - added)
        if _lacks_unit(before, error):
            own = (
                f"<the id of {before.renogy[0].name}>"
                if ("renogy", 0, "id") in before.secret_paths
                else before.renogy[0].id
            )
            message = f"with more than one unit, this needs to say whose it is: add `renogy_id: {own}`"
        told.append(replace(error, line=line, message=message))
    return str(ConfigErrors(told))


def _lacks_unit(before: ProxyConfig, error: ConfigError) -> bool:
    """Return whether ``error`` is about readings of the only unit, which did not have to name it."""
    kind, _, number = error.path.partition(".")
    blocks = before.given.get(kind)
    if len(before.renogy) != 1 or not number.isdecimal() or not isinstance(blocks, list) or int(number) >= len(blocks):
        return False
    block = blocks[int(number)]
    return isinstance(block, dict) and block.get("platform") == "renogy" and "renogy_id" not in block


def _added_lines(text: bytes, new: bytes) -> tuple[int, int]:
    """Return how many lines are the same at the start, and how many there are more."""
    before, after = text.splitlines(), new.splitlines()
    same = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(before))
    return same, len(after) - len(before)

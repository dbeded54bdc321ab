"""A configuration that is there already: kept, added to, or replaced; never silently."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blupow_config import ConfigErrors, ProxyConfig, load_config

from .outcome import StoppedError
from .questions import Questions

_CHOICES: Final = (
    "add units to it; all else in it stays",
    "replace it by a new one; what is in it now is lost, the key stays",
    "leave it as it is",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of the file: ``config`` gets more units, or None for a new one."""

    config: ProxyConfig | None = None


async def plan_for(file: Path, questions: Questions) -> Plan:
    """Return what to do about ``file``; StoppedError when it stays, ConfigErrors when only a person may say."""
    stays = f"{file} stays as it is"
    try:
        config = _load(file)
    except ConfigErrors as errors:
        if not questions.interactive:
            raise
        questions.warn(f"{file} is there already, and has mistakes:")
        questions.say(str(errors))
        if await questions.confirm(f"Replace {file}? What is in it now is lost", proposed=False):
            return Plan()
        raise StoppedError(os.EX_CONFIG, f"{stays}: correct it, and run setup again") from None
    if config is None:
        return Plan()
    units = ", ".join(unit.name for unit in config.renogy) or "no unit yet"
    question = f"{file} is there already, for {config.esphome.friendly_name} ({units}):"
    match await questions.choose(question, _CHOICES):
        case 0:
            return Plan(config)
        case 1 if await questions.confirm(f"Really replace {file}?", proposed=False):
            return Plan()
    raise StoppedError(os.EX_OK, stays)


def _load(file: Path) -> ProxyConfig | None:
    """Return what ``file`` says; None when there is none; ConfigErrors."""
    return load_config(file) if file.exists() else None

"""The steps of a set-up: what is asked and found out, before anything is written."""

import argparse
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from probatio import Invalid

from blupow_config import NewUnit, new_file
from blupow_config.schema import fields
from blupow_proxy.commands.radio import adapter_in_use
from blupow_proxy.host import service

from .adapters import choose_adapter
from .checking import Checker
from .existing import plan_for
from .extension import extended, why_not_extended
from .files import kept_key, new_key, require_writable
from .names import node_name, proxy_name, unit_name
from .nearby import HeardUnit
from .outcome import Draft, StoppedError
from .picking import named, pick
from .proving import Proof
from .questions import Questions

SYSTEMD: Final = Path("/run/systemd/system")  # sd_booted(3)


async def set_up(args: argparse.Namespace, file: Path, questions: Questions) -> Draft:
    """Ask and look; StoppedError, BleError or ConfigErrors when that leads to nothing."""
    require_writable(file)
    if questions.interactive:
        questions.say(f"This writes {file}, after a few questions. Ctrl-C ends it, with nothing written.")
    before = (await plan_for(file, questions)).config
    if before is not None and questions.interactive and (why := why_not_extended(file, before)) is not None:
        questions.warn(f"{why}\nThe lines to add by hand are shown at the end.")
    old_key = kept_key(file)  # what is wrong there is said before anything is asked
    known = {unit.address for unit in before.renogy} if before is not None else set()
    wanted = args.adapter or (before.bluetooth.adapter if before is not None else None)
    adapter_address = None
    if not args.demo:
        facts, several = await choose_adapter(wanted, questions)
        questions.done(f"Bluetooth adapter {facts.name} ({facts.address})")
        adapter_address = facts.address if several else None
        wanted = facts.address
    async with adapter_in_use(wanted, demo=args.demo) as adapter:
        await adapter.ready()
        picked = named(args.unit, known) if args.unit else await pick(adapter, known, questions, demo=args.demo)
        checker = Checker(adapter, questions)
        proofs = [[] if args.no_check else await checker.check(unit) for unit in picked]
    friendly_name = "" if before is not None else await _proxy_name(args.name, questions)
    taken = {unit.name for unit in before.renogy} if before is not None else set()
    units = await _units(picked, proofs, dict(args.unit), taken, questions)
    if before is not None:
        content, key = extended(file, before, units), None
    else:
        content = new_file(
            name=node_name(friendly_name),
            friendly_name=friendly_name,
            adapter=adapter_address,
            units=units,
            file=file.name,
        ).encode()
        key = new_key() if old_key is None else None
    install, replace = await _wants_service(args, file, questions)
    more = " more" if before is not None else ""
    counted = f"{len(units)}{more} unit{'s' * (len(units) != 1)}"
    return Draft(file=file, content=content, key=key, units=counted, service=install, replace=replace)


async def _proxy_name(given: str | None, questions: Questions) -> str:
    if given is not None:
        return given
    return await questions.text("Name of this proxy, such as Solar shed", proxy_name(), _label)


def _label(text: str) -> str | None:
    """Return what is wrong with a name; None when nothing is."""
    try:
        fields.label(text)
    except Invalid as error:
        return error.msg
    return None


async def _units(
    picked: list[HeardUnit],
    proofs: list[list[Proof]],
    given: dict[str, str],
    taken: Collection[str],
    questions: Questions,
) -> list[NewUnit]:
    """Return what is to be written of each device that was picked, or found behind what was."""
    units: list[NewUnit] = []
    names = set(taken)

    def check(name: str) -> str | None:
        return _label(name) or ("there is a unit of that name already" if name in names else None)

    for heard, found in zip(picked, proofs, strict=True):
        answered: list[Proof | None] = [*found] or [None]
        for proof in answered:
            family, model = (heard.family, None) if proof is None else (proof.family, proof.model)
            proposed = unit_name(family, model, heard.title, names)
            if given:
                name = given[heard.address] if len(found) < 2 else f"{given[heard.address]} {proposed}"
                if (complaint := check(name)) is not None:
                    raise StoppedError(os.EX_USAGE, f"--unit {heard.address}={name}: {complaint}")
            else:
                what = "" if proof is None else f" {proof.label}"
                name = await questions.text(f"Name of{what} {heard.address}", proposed, check)
            names.add(name)
            modbus_address = None if proof is None else proof.modbus_address
            written = None if proof is None else str(proof.family)
            units.append(NewUnit(address=heard.address, name=name, family=written, modbus_address=modbus_address))
    return units


async def _wants_service(args: argparse.Namespace, file: Path, questions: Questions) -> tuple[bool, bool]:
    """Return whether to install the service, and whether the file is to replace another configuration of it."""
    other = _is_other_than_the_services(file)
    if args.demo:
        return False, False
    if args.service:
        return True, False
    if os.geteuid() != 0 or not SYSTEMD.is_dir() or not questions.interactive:
        return False, other
    if other:
        question = f"Let {file} replace the service's configuration, {service.CONFIG}, and restart it?"
        return await questions.confirm(question, proposed=False), True
    question = "Restart the service with it?" if service.UNIT.exists() else "Keep it running, also after a restart?"
    return await questions.confirm(question, proposed=True), False


def _is_other_than_the_services(file: Path) -> bool:
    """Whether there is a configuration of the service, and it is another file."""
    return service.CONFIG.exists() and file.resolve() != service.CONFIG.resolve()

"""Finding out what a unit is: by its model string, which only a device of the right kind answers."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from blupow_proxy.errors import UnexpectedResponseError
from blupow_proxy.modbus import UNIVERSAL_ADDRESS, ExceptionResponse, ReadRequest, Response
from blupow_proxy.renogy import (
    PROBES,
    Candidate,
    Family,
    Probe,
    Schedule,
    Variant,
    decode_block,
    identify_advertisement,
    identify_model,
    is_plausible,
    register_map,
)

from .unit import Profile, UnitSpec

type Ask = Callable[[ReadRequest], Awaitable[Response | ExceptionResponse | None]]
"""Sends a request; None when it was not answered."""

# Register 12 is read alike on controllers and DC-DC chargers, whose other registers differ: there the model decides.
_SHARED_REGISTER: Final = 12
MODEL_REGISTERS: Final = {
    Family.CONTROLLER: 12,
    Family.DCC: 12,
    Family.BATTERY: 5122,
    Family.INVERTER: 4311,
}
MODEL_WORDS: Final = 8
_KNOWN_ATTEMPTS: Final = 3  # a reply may get lost, and at a weak signal two
_USUAL_ADDRESSES: Final = 2  # the universal one and the family's own
_USUAL_VARIANT: Final = Variant.LEGACY  # of a battery whose name says nothing else

_LOGGER = logging.getLogger(__name__)


async def identify(spec: UnitSpec, known: Profile | None, name: str | None, ask: Ask, *, shared_link: bool) -> Profile:
    """Return what answers on this link; UnexpectedResponseError says what to do when that can't be told.

    On a ``shared_link`` several devices answer the universal address at once, so it is never used there.
    """
    candidate = None if name is None else identify_advertisement(name, ())
    likely = candidate.families if candidate else ()
    answered = False
    for probe in _probes(spec, known, likely, shared_link=shared_link):
        reply = await ask(ReadRequest(probe.address, probe.register, probe.words))
        answered = answered or reply is not None
        if not isinstance(reply, Response):
            continue
        model = decode_block(probe.family, probe.register, reply.data).get("model")
        if not isinstance(model, str) or not model:
            continue
        family = _family(spec, probe, model)
        variant = _variant(spec, family, name, candidate, known)
        return Profile(family=family, variant=variant, model=model, modbus_address=reply.address)
    if spec.family is not None:
        address = await _without_model(spec, spec.family, ask, shared_link=shared_link)
        if address is not None:
            variant = _variant(spec, spec.family, name, candidate, known)
            return Profile(family=spec.family, variant=variant, modbus_address=address)
        if answered:
            raise UnexpectedResponseError(f"{spec.name} answers, but not as a {spec.family}: is its family right?")
    if answered:
        raise UnexpectedResponseError(f"{spec.name} answers, but gives no model: set its family in the configuration")
    raise UnexpectedResponseError(
        f"{spec.name} is connected but answers no request: check modbus_address, and the cable of a Bluetooth module"
    )


def _family(spec: UnitSpec, probe: Probe, model: str) -> Family:
    proven = identify_model(model)
    if proven is None:
        if spec.family is None and probe.register == _SHARED_REGISTER:
            raise UnexpectedResponseError(
                f"{spec.name} is of an unknown model {model!r}: set its family in the configuration"
            )
        return spec.family or probe.family
    if spec.family not in (None, proven):
        _LOGGER.warning("%s is configured as %s, but its model %s is a %s", spec.name, spec.family, model, proven)
    return proven


def _variant(
    spec: UnitSpec, family: Family, name: str | None, candidate: Candidate | None, known: Profile | None
) -> str | None:
    """Return a battery's variant, by the name that is heard now if there is one; None when nothing tells."""
    if family is not Family.BATTERY:
        return None
    if spec.variant is not None:
        return spec.variant
    if name is None:
        return None if known is None else known.variant
    return _USUAL_VARIANT if candidate is None or candidate.variant is None else candidate.variant


async def _without_model(spec: UnitSpec, family: Family, ask: Ask, *, shared_link: bool) -> int | None:
    """Return the address at which a device that has no model string answers as one of ``family``."""
    blocks = (block for block in register_map(family).blocks if block.schedule is Schedule.POLL)
    block = next(blocks, None)
    if block is None:
        return None
    usual = register_map(family).addresses[:_USUAL_ADDRESSES]
    for address in usual if spec.modbus_address is None else (spec.modbus_address,):
        if shared_link and address == UNIVERSAL_ADDRESS:
            continue
        reply = await ask(ReadRequest(address, block.register, block.words))
        if isinstance(reply, Response):
            readings = decode_block(family, block.register, reply.data)
            if is_plausible(block, reply.data, readings):
                return reply.address
    return None


def _probes(spec: UnitSpec, known: Profile | None, likely: tuple[Family, ...], *, shared_link: bool) -> Iterable[Probe]:
    if known is not None and known.modbus_address is not None and _may_ask(known.modbus_address, spec, shared_link):
        return [_probe(known.modbus_address, known.family)] * _KNOWN_ATTEMPTS
    probes: list[Probe] = []
    if spec.modbus_address is not None:
        families = (spec.family,) if spec.family else tuple(MODEL_REGISTERS)
        probes += [_probe(spec.modbus_address, family) for family in families]
    else:
        if spec.family is not None:
            probes += [_probe(address, spec.family) for address in register_map(spec.family).addresses]
        # a family that is configured wrongly, or not at all
        probes += sorted(PROBES, key=lambda probe: probe.family not in likely)
    return dict.fromkeys(probe for probe in probes if not (shared_link and probe.address == UNIVERSAL_ADDRESS))


def _may_ask(known_address: int, spec: UnitSpec, shared_link: bool) -> bool:
    """Whether the address that a unit had may still be its own: the user's word counts more."""
    if spec.modbus_address is not None:
        return known_address == spec.modbus_address
    return not (shared_link and known_address == UNIVERSAL_ADDRESS)


def _probe(address: int, family: Family) -> Probe:
    return Probe(address, MODEL_REGISTERS[family], MODEL_WORDS, family)

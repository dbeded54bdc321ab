"""What Renogy's registers mean: register maps as data, decoding, identification; no I/O."""

from .decode import decode_block, decode_history, is_plausible
from .describe import Description, describe, descriptions
from .identify import PROBES, Candidate, Probe, identify_advertisement, identify_model
from .product import product_name
from .push import PushParser, decode_push
from .registers import (
    Block,
    Family,
    PushField,
    Register,
    RegisterMap,
    Schedule,
    Variant,
    blocks_for,
    daily_keys,
    lifetime_keys,
    register_map,
)
from .shown import Kind
from .states import PROBLEM_KEY, State, problem_state, to_states
from .values import EnumValue, Flags, Readings, Value, to_json

__all__ = [
    "PROBES",
    "PROBLEM_KEY",
    "Block",
    "Candidate",
    "Description",
    "EnumValue",
    "Family",
    "Flags",
    "Kind",
    "Probe",
    "PushField",
    "PushParser",
    "Readings",
    "Register",
    "RegisterMap",
    "Schedule",
    "State",
    "Value",
    "Variant",
    "blocks_for",
    "daily_keys",
    "decode_block",
    "decode_history",
    "decode_push",
    "describe",
    "descriptions",
    "identify_advertisement",
    "identify_model",
    "is_plausible",
    "lifetime_keys",
    "problem_state",
    "product_name",
    "register_map",
    "to_json",
    "to_states",
]

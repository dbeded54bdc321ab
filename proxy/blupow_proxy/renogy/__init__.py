"""What Renogy's registers mean: register maps as data, decoding, identification; no I/O."""

from .decode import CURRENT_PER_CAPACITY, decode_block, decode_history, is_plausible
from .describe import Description, describe, descriptions
from .identify import PROBES, Candidate, Probe, identify_advertisement, identify_model, model_globs
from .product import product_name
from .push import PushParser, decode_push
from .registers import (
    LOAD_SWITCH_REGISTER,
    ODD_MODELS,
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
from .shown import Kind, ShownRow, shown_rows
from .states import CHARGE_KEY, POWERS, PROBLEM_KEY, State, problem_state, to_states
from .values import EnumValue, Flags, Readings, Value, to_json

__all__ = [
    "CHARGE_KEY",
    "CURRENT_PER_CAPACITY",
    "LOAD_SWITCH_REGISTER",
    "ODD_MODELS",
    "POWERS",
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
    "ShownRow",
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
    "model_globs",
    "problem_state",
    "product_name",
    "register_map",
    "shown_rows",
    "to_json",
    "to_states",
]

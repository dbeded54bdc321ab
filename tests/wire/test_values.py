"""Filters and formulas make of values what a real ESPHome device makes of them."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from yaml import SafeLoader, load

from blupow_config.schema.entities import FORMULA
from blupow_config.schema.filters import filters
from blupow_proxy.filters import HELD, Filters

RECORDER = Path(__file__).parent / "values_record.py"
DEVICE = Path(__file__).parents[1] / "reference" / "values.yaml"
UNAVAILABLE = 69


class Loader(SafeLoader):
    """YAML with !lambda, whose text does not matter here."""


Loader.add_constructor("!lambda", lambda loader, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call]

SENSORS = {sensor["name"]: sensor for sensor in load(DEVICE.read_text(), Loader)["sensor"]}  # noqa: S506
FILTERED = {name: sensor["filters"] for name, sensor in SENSORS.items() if "filters" in sensor}
FORMULAS = {name: sensor["lambda"] for name, sensor in SENSORS.items() if "lambda" in sensor}


# What ours does otherwise: a throttled value that goes missing is missing at once, and the next one is shown.
DELIBERATE = {"F9"}
# What is compared with a missing value, or chosen by it, is missing; ESPHome shows a number.
DECIDED_BY_NOTHING = {"L3", "L5", "L7"}


def inputs() -> list[float | None]:
    spec = importlib.util.spec_from_file_location("values_record", RECORDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.INPUTS)


INPUTS = inputs()


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, float | None]]:
    done = subprocess.run([sys.executable, RECORDER], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, float | None]] = json.loads(done.stdout)
    return answers


def close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-4)  # ESPHome's are single precision


@pytest.mark.reference
@pytest.mark.parametrize("name", FILTERED)
def test_filters(name: str, recorded: list[dict[str, float | None]]) -> None:
    ours = Filters(filters(FILTERED[name]))
    shown: float | None = None
    theirs: float | None = None
    for now_s, (value, published) in enumerate(zip(INPUTS, recorded, strict=True)):
        passed = ours.apply(value, now_s)
        shown = shown if passed is HELD else passed
        theirs = published.get(name, theirs)
        if name in DELIBERATE and value is None:
            assert shown is None
            assert theirs is not None, "no longer different: take it off the list"
            break
        assert close(shown, theirs), (now_s, value, shown, theirs)


@pytest.mark.reference
@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str, recorded: list[dict[str, float | None]]) -> None:
    compute = FORMULA(FORMULAS[name]).compiled()
    before: float | None = None
    decided_by_nothing = False
    for value, published in zip(INPUTS, recorded, strict=True):
        result = compute({"a": value, "b": before})
        if None in (value, before) and result is None and published.get(name) is not None:
            decided_by_nothing = True
        elif name in published:
            assert close(result, published[name]), (value, before)
        else:
            assert result is None, (value, before)
        before = value
    assert decided_by_nothing is (name in DECIDED_BY_NOTHING)

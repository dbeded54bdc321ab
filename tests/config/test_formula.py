"""Formulas of templates; tests/wire/test_values.py compares them with ESPHome's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_config import Formula
from blupow_config.schema.formula import MAX_CHARACTERS, FormulaError

STATES = {"volts": 13.2, "amps": -5, "off": False, "gone": None}


def value(text: str) -> float | None:
    return Formula(text).compiled()(STATES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("return id(volts).state * id(amps).state;", -66.0),
        ("return id(volts).get_state();", 13.2),
        ("return 7 / 2;", 3.0),
        ("return -7 / 2;", -3.0),
        ("return 7 / 2.0;", 3.5),
        ("return id(amps).state / 2;", -2.5),
        ("return 1 / 0;", None),
        ("return 1.0 / 0;", None),
        ("return 2147483647 + 1;", None),
        ("return 2147483648 + 1;", 2147483649.0),
        ("return sqrt(-1);", None),
        ("return pow(2, 10);", 1024.0),
        ("return pow(10, 400);", None),
        ("return pow(-1, 0.5);", None),
        ("return fmod(7.5, 2);", 1.5),
        ("return fmod(7.5, 0);", None),
        ("return round(2.5) + round(-2.5) * 10;", -27.0),
        ("return floor(-1.5) + ceil(1.2) * 100;", 198.0),
        ("return floor(id(gone).state);", None),
        ("return round(id(gone).state);", None),
        ("return clamp(id(volts).state, 0, 12);", 12.0),
        ("return std::clamp(-1.0f, 0, 12);", 0.0),
        ("return id(gone).state;", None),
        ("return id(nowhere).state;", None),
        ("return id(gone).state + 1;", None),
        ("return id(gone).has_state() ? 1 : 2;", 2.0),
        ("return isnan(id(gone).state) ? 1 : 2;", 1.0),
        ("return id(off).state ? 1 : 2;", 2.0),
        ("return !id(off).state;", 1.0),
        ("return id(volts).state > 13 && id(amps).state < 0;", 1.0),
        ("return false || true;", 1.0),
        ("return true != false;", 1.0),
        ("return +1 - -1 - (2 - 3);", 3.0),
        ("return M_PI > 3.14 ? NAN : 1;", None),
        ("return {};", None),
        ("if (id(amps).state < 0) return {}; return 1;", None),
        ("if (id(amps).state < 0) { return -1; } else if (1 > 2) { return 0; } else { return 1; }", -1.0),
        ("// volts\nreturn /* now */ 1.5e1;", 15.0),
        ("return 1 ? 2 : 3 ? 4 : 5;", 2.0),
        ("return max(id(volts).state, id(gone).state);", None),
        ("return max(id(gone).state, id(volts).state);", None),
        ("return clamp(id(gone).state, 0, 1);", None),
        ("return id(gone).state > 10 ? 1 : 0;", None),
        ("return id(gone).state != id(gone).state;", None),
        ("if (id(gone).state < 1) return 1; return 0;", None),
        ("return !id(gone).state;", None),
        ("return id(gone).state > 1 || id(volts).state > 1;", None),
        ("return id(gone).has_state() && id(gone).state > 1;", 0.0),
        ("return isnan(id(gone).state) ? id(volts).state : max(id(gone).state, id(volts).state);", 13.2),
        ("return isnan(1.0 / 0);", 1.0),
        ("return pow(10, 200) * pow(10, 200) > 1;", None),
        ("return round(0.49999999999999994);", 0.0),
        ("return round(4503599627370497.0);", 4503599627370497.0),
        ("return " + "1 + " * 990 + "1;", 991.0),
        ("if (id(amps).state > 9) return 9; " * 60 + "return 1;", 1.0),
        ("if (0) { return 0; } else " * 60 + "return 1;", 1.0),
        ("return " + "id(amps).state > 9 ? 9 : " * 60 + "1;", 1.0),
        ("return " + "1 && " * 700 + "1;", 1.0),
    ],
)
def test_value(text: str, expected: float | None) -> None:
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `return` and a formula, not 'the end'"),
        ("return", "ends in the middle of a formula"),
        ("return 1", "expected ';', not 'the end'"),
        ("return 1; return 2;", "has 'return' after its end"),
        ("return x;", "'x' is not understood here"),
        ("return id(volts);", "expected '.', not ';'"),
        ("return id(5).state;", "expected an id"),
        ("return id(volts).raw_state;", "expected 'state', not 'raw_state'"),
        ("return max(1);", "max takes 2 values, not 1"),
        ("return round(1e999);", "has a number that is too large"),
        ("return 5 % 2;", "'%' is not understood here"),
        ("int x; return x;", "expected `return` and a formula, not 'int'"),
        ("return " + "(" * 40 + "1" + ")" * 40 + ";", "is nested too deeply"),
        ("return " + "-" * 40 + "1;", "is nested too deeply"),
        ("return 1;" + " " * MAX_CHARACTERS, f"is longer than {MAX_CHARACTERS} characters"),
        ("return 1 $ 2;", "'$' is not understood here"),
    ],
)
def test_mistake(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        Formula(text).compiled()
    assert message in str(caught.value)


def test_the_states_that_it_needs() -> None:
    assert Formula("return id(a).state > 0 ? id(b).state : id(a).state;").ids == {"a", "b"}


@given(st.text(alphabet="return id(a).state;+-*/<>=!?:{}&|0123456789.e ", max_size=60))
def test_anything_is_computed_or_refused(text: str) -> None:
    try:
        result = Formula(f"return {text};").compiled()({"a": 1.5})
    except FormulaError:
        return
    assert result is None or isinstance(result, float)

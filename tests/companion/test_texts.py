"""The texts: complete in every language, and alike in what they leave open."""

from pathlib import Path
import re
from string import Formatter
from typing import Any

from check_integration import read_json
import pytest

from custom_components.blupow.connection import Failure
from custom_components.blupow.wire import translation_key

INTEGRATION = Path(__file__).parents[2] / "companion" / "custom_components" / "blupow"
TRANSLATIONS = INTEGRATION / "translations"
ENGLISH = read_json(TRANSLATIONS / "en.json")
LANGUAGES = ("de", "es", "fr")


def flat(tree: dict[str, Any], path: str = "") -> dict[str, str]:
    """Return every text by its path."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


def test_the_languages_are_those_of_the_documentation() -> None:
    assert {path.stem for path in TRANSLATIONS.iterdir()} == {"en", *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    texts, english = flat(read_json(TRANSLATIONS / f"{language}.json")), flat(ENGLISH)
    assert texts.keys() == english.keys()
    assert [path for path, text in texts.items() if placeholders(text) != placeholders(english[path])] == []


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_texts_are_no_markup_and_not_empty(language: str) -> None:
    texts = flat(read_json(TRANSLATIONS / f"{language}.json"))
    assert [path for path, text in texts.items() if not text.strip() or re.search(r"</?\w+[^>]*>", text)] == []


def test_every_failure_can_be_shown() -> None:
    assert ENGLISH["config"]["error"].keys() == set(Failure)


def test_keys_of_entities_are_as_the_wire_makes_them() -> None:
    for entities in ENGLISH["entity"].values():
        for key in entities:
            made, _ = translation_key(re.sub(r"_n$", "_1", key))
            assert made == key


def test_icons_are_of_entities_and_states_that_have_texts() -> None:
    icons = read_json(INTEGRATION / "icons.json")
    for platform, entities in icons["entity"].items():
        for key, icon in entities.items():
            text = ENGLISH["entity"][platform][key]
            if platform == "sensor":
                assert icon.get("state", {}).keys() <= text.get("state", {}).keys()
            else:
                assert icon.get("state", {}).keys() <= {"on", "off"}


@pytest.mark.parametrize(
    ("object_id", "key", "number"),
    [
        ("battery_voltage", "battery_voltage", None),
        ("cell_voltage_12", "cell_voltage_n", "12"),
        ("limit__charge_over-current_2", "limit_charge_over-current_n", "2"),
        ("inverter_output___mode", "inverter_output_mode", None),
        ("_odd_", "odd", None),
    ],
)
def test_translation_key(object_id: str, key: str, number: str | None) -> None:
    assert translation_key(object_id) == (key, {} if number is None else {"number": number})

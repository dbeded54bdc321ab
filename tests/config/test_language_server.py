"""A real yaml-language-server, with the schema and the modeline, sees what the proxy sees."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from language_server import FOLDER, LanguageServer

CONFIG = Path(__file__).parents[2] / "firmware_config"
EXAMPLES = sorted((CONFIG / "examples").glob("*.yaml"))
BEYOND = "# beyond JSON Schema: "
LANGUAGE = f"{BEYOND}what the language makes of it"  # editors may see it or not
BROKEN = [
    case for case in sorted((Path(__file__).parent / "broken").glob("*.yaml")) if LANGUAGE not in case.read_text()
]


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    if not (FOLDER / "version").exists():
        assert not os.environ.get("CI"), "run tests/config/fetch_language_server"
        pytest.skip("there is no yaml-language-server; run tests/config/fetch_language_server")
    with LanguageServer() as running:
        yield running


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_examples(example: Path, server: LanguageServer) -> None:
    assert server.check(example, example.read_text()) == []


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.stem)
def test_broken_ones(case: Path, server: LanguageServer) -> None:
    text = case.read_text()
    modeline = f"# yaml-language-server: $schema={(CONFIG / 'schema.json').as_uri()}\n"
    assert bool(server.check(case, modeline + text)) == (BEYOND not in text)


def test_a_mistake_is_shown_where_it_is(server: LanguageServer) -> None:
    modeline = f"# yaml-language-server: $schema={(CONFIG / 'schema.json').as_uri()}\n"
    text = modeline + "esphome:\n  name: Shed\napi:\n  port: !env_var PORT\n  encryption:\n    key: !secret api_key\n"
    assert server.check(CONFIG / "x.yaml", text) == ["3:9: Expected name of lower-case letters, digits and hyphens."]

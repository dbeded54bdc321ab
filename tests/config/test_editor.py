"""The schema for editors accepts and rejects what the proxy does."""

import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from yaml import SafeLoader, load

from blupow_config import editor_schema, load_config

FOLDER = Path(__file__).parent
EXAMPLES = sorted((FOLDER.parents[1] / "firmware_config" / "examples").glob("*.yaml"))
KEY = b64encode(bytes(range(32))).decode()
BEYOND = "# beyond JSON Schema: "
LANGUAGE = f"{BEYOND}what the language makes of it"  # editors may see it or not
BROKEN = [case for case in sorted((FOLDER / "broken").glob("*.yaml")) if LANGUAGE not in case.read_text()]


class Editor(SafeLoader):
    """YAML as an editor sees it: a tag may stand for any text, and on and off are words."""


def _anything(loader: Editor, _suffix: str, node: Any) -> str:
    return f"${{{node.tag}}}"


Editor.add_multi_constructor("!", _anything)  # type: ignore[no-untyped-call]
Editor.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = editor_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.stem)
def test_broken_ones(case: Path, validator: Draft7Validator) -> None:
    text = case.read_text()
    accepted = validator.is_valid(load(text, Editor))  # noqa: S506
    assert accepted == (BEYOND in text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_examples(example: Path, validator: Draft7Validator, tmp_path: Path) -> None:
    shutil.copytree(example.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "secrets.yaml").write_text(f"api_key: {KEY}\n")
    load_config(tmp_path / example.name)
    content = load(example.read_text(), Editor)  # noqa: S506
    assert [error.message for error in validator.iter_errors(content)] == []

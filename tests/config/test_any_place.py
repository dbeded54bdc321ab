"""Every value of the corpus and the examples replaced by what does not belong there, and by a secret."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from yaml import MappingNode, Node, ScalarNode, SequenceNode, compose
from yaml.error import YAMLError

from blupow_config import ConfigErrors, load_config

ROOT = Path(__file__).parents[2]
FILES = sorted((*Path(__file__).parent.glob("broken/*.yaml"), *(ROOT / "firmware_config" / "examples").glob("*.yaml")))
MISPLACED = ("[a]", "{a: b}", "[[a]]", "{platform: [a]}", "null", "''", "1e999", "!lambda x")
MARK = "Zq7"
ADDRESS = "C4:D3:6A:00:EE:77"


def values(node: Node | None) -> Iterator[ScalarNode]:
    """Yield the single values, not the options' names."""
    match node:
        case ScalarNode() if node.tag.startswith("tag:yaml.org") and node.start_mark.index < node.end_mark.index:
            yield node
        case MappingNode():
            for _, value in node.value:
                yield from values(value)
        case SequenceNode():
            for item in node.value:
                yield from values(item)


def parsed(path: Path) -> list[ScalarNode]:
    try:
        return list({id(node): node for node in values(compose(path.read_text()))}.values())
    except YAMLError:
        return []


def replaced(text: str, node: ScalarNode, by: str) -> str:
    end = node.end_mark.index
    kept = text[node.start_mark.index : end]
    return text[: node.start_mark.index] + by + ("\n" if kept.endswith("\n") else "") + text[end:]


def secret_forms(value: str) -> Iterator[tuple[str, str]]:
    """Yield secrets that resemble ``value``, and what must not be said of each."""
    yield value + MARK, MARK.lower()
    if value.count(":") == ADDRESS.count(":"):
        yield ADDRESS, ADDRESS.lower()
        yield ADDRESS, ADDRESS.replace(":", "").lower()  # ids are made of it


def messages(path: Path) -> list[str]:
    try:
        load_config(path)
    except ConfigErrors as errors:
        return [error.message for error in errors.errors]
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with everything that the files include."""
    for example in (ROOT / "firmware_config" / "examples").rglob("*"):
        copy = tmp_path / example.relative_to(ROOT / "firmware_config" / "examples")
        if example.is_dir():
            copy.mkdir()
        else:
            copy.write_bytes(example.read_bytes())
    return tmp_path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_does_not_belong_there_is_told_or_taken(path: Path, folder: Path) -> None:
    text, draft = path.read_text(), folder / "draft.yaml"
    for node in parsed(path):
        for other in MISPLACED:
            draft.write_text(replaced(text, node, other))
            messages(draft)  # anything else than ConfigErrors would be a traceback to users


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_message_holds_a_secret(path: Path, folder: Path) -> None:
    text, draft, secrets = path.read_text(), folder / "draft.yaml", folder / "secrets.yaml"
    others = secrets.read_text() if secrets.exists() else ""
    for node in parsed(path):
        draft.write_text(replaced(text, node, "!secret that_one"))
        for secret, hidden in secret_forms(str(node.value)):
            secrets.write_text(f"{others}\nthat_one: {json.dumps(secret)}\n")
            for message in messages(draft):
                assert hidden not in message.lower(), (node.start_mark.line + 1, message)


def test_the_corpus_is_read() -> None:
    assert sum(bool(parsed(path)) for path in FILES) > 80  # the others are no YAML

"""The integration's own rules: what it imports, how large its modules grow."""

import ast
from pathlib import Path
import re

import pytest

INTEGRATION = Path(__file__).parents[2] / "companion" / "custom_components" / "blupow"
MODULES = sorted(INTEGRATION.glob("*.py"))


def imported(path: Path) -> list[str]:
    """Return the absolute names of what a module imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_knows_the_proxy_by_the_wire_alone(path: Path) -> None:
    """The proxy's packages are never imported, the own ones only relatively: the folder may stand anywhere."""
    assert not [name for name in imported(path) if re.match("blupow|custom_components|companion", name)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_names_say_something() -> None:
    for path in MODULES:
        classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        for name in (path.stem, *classes):
            assert not re.search("manager|helper|util|common|misc", name, re.IGNORECASE), name

"""Configurations of several files at random, in the parts of the language that ESPHome and this loader share.

They are trees that can be made smaller, so that a difference is shown by the least that has it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

NAMES = ["a", "b", "c", "d", "n"]  # of substitutions; n is a block, d a list
KEYS = ["k", "m", "r", "api"]
IDS = ["u", "v", "w"]
FILES = ["main.yaml", "f1.yaml", "p/f2.yaml", "p/f3.yaml"]  # each includes only those after it
OPERATORS = ["+", "-", "*", "/", "//", "%", "<", "in", *4 * ["~", "==", "and", "or"]]
FILTERS = [
    "upper", "int", "length", "join('-')", "list", "float", "first", "abs", "round", *3 * ["default('q')", "string", "lower"]
]  # fmt: skip
OPERANDS = [
    *NAMES,
    *NAMES,
    *NAMES,
    *NAMES,
    "1",
    "'q'",
    "2.5",
    "true",
    "d[0]",
    "n.x",
    "n['y']",
    "z",
    "[1, 'q']",
    "{'x': 1}",
]
WORDS = ["x", "y z", "5", "", "true", "1e3", "é"]
# What is of the kind that each substitution is of, so that most projects are right
TYPED = {
    "a": [0, 1, 7, -3, "${ a + 1 }", "${ a * 2 - d[0] }", "${ d | length }", "${ d[0] }", "${ n.x }", "${ math.floor(2.5) }"],
    "b": ["x", "y z", "5", "", "é", "x${a}", "${b}y", "$b", "${ b | upper }", "${ b ~ a }", "${ n.y }", "${ b if a else n.y }"],
    "c": [{}, {"k": {"m": "${b}"}}, {"list": [{"id": "u", "r": "${a}"}]}, {"k": ["${ d[0] }"], "r": None}, "${c}"],
    "d": [[1], [7, "${a}"], ["${ a - 1 }", 2], "${ [a, 3] }", "${ d + [a] }", "$d", "${ range(1, 3) | list }"],
    "n": [{"x": 1, "y": "x"}, {"x": "${a}", "y": "${b}"}, {"x": "${ d[0] }", "y": "${ n.x }z"}, "${n}"],
    "e": ["x", "${b}", "${ b ~ 1 }"],
}  # fmt: skip
OWN = {  # each may need those before it, so that there are no circles
    "d": [[1], [7, 2], [1, "5"]],
    "a": [0, 1, 7, -3, "${ d | length }", "${ d[0] }", "${ d[0] + 1 }"],
    "b": ["x", "y z", "5", "", "é", "x${a}", "${ 'q' ~ a }", "$d"],
    "n": [{"x": 1, "y": "x"}, {"x": "${a}", "y": "${b}"}, {"x": "${ d[0] }", "y": "${n.x}z"}, {"y": "${b}", "x": 2}],
    "c": [{}, {"k": {"m": "${b}"}}, {"list": [{"id": "u", "r": "${a}"}]}, {"k": ["${ d[0] }", "${n}"], "r": None}],
    "e": ["x", "${b}", "${ b ~ 1 }", "${ n.y }"],
}
ANY = [value for values in TYPED.values() for value in values]
MIXED = [
    "${a}${b}", "${ a }${ b }", "${a} ${ a + 1 }", "${ a > 1 }", "${ b in ['x'] }", "${ z | default(a) }", "${ a / 2 }",
    "${ n }", "${ {'p': a, 'q': [b]} }", "${ d | join('-') }", "${ '%03d' % a }", "${ b.upper() }", "${ [1, 2.5, none] }",
    "${ not a }", "${ n['y'] | length }", "<% if a %>${ a }<% else %>none<% endif %>", "${ d | map('string') | list }",
    "${a}.${a}", "0x${a}", "[${a}, ${ a }]", "${ n.get('w', b) }", "${ d | first if d else '' }", "$a-$b",
]  # fmt: skip


@dataclass(frozen=True)
class Tagged:
    """A value with a tag, or with an anchor, before it."""

    tag: str
    value: Any


@dataclass(frozen=True)
class Alias:
    """The value of an anchor."""

    name: str


@dataclass(frozen=True)
class Project:
    """Files by their names, and substitutions of the command line."""

    files: dict[str, Any] = field(default_factory=dict)
    substitutions: dict[str, str] = field(default_factory=dict)

    def texts(self) -> dict[str, str]:
        return {name: text_of(content) for name, content in self.files.items()}

    def write(self, folder: Path) -> Path:
        for name, text in self.texts().items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return folder / FILES[0]

    def __str__(self) -> str:
        texts = "".join(f"--- {name}\n{text}" for name, text in self.texts().items())
        return f"\n{texts}--- command line: {self.substitutions}\n"


def text_of(content: Any) -> str:
    if isinstance(content, dict) and content:
        return "".join(f"{_key(key)}: {written(value)}\n" for key, value in content.items())
    return f"{written(content)}\n"


def written(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, Tagged):
        plain = isinstance(value.value, str) and value.tag not in ("!lambda", "!literal") and "$" not in value.value
        return f"{value.tag} {value.value if plain else written(value.value)}"
    if isinstance(value, Alias):
        return f"*{value.name}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if key.isidentifier() or key in ("<<", ".base") else json.dumps(key)


def smaller(project: Project) -> Iterator[Project]:
    """Yield projects that are a little smaller, the smallest first."""
    if project.substitutions:
        yield replace(project, substitutions={})
    for name in reversed(FILES):
        for content in _smaller(project.files.get(name, {})):
            if name in project.files and (name != FILES[0] or (isinstance(content, dict) and content)):
                yield replace(project, files={**project.files, name: content})
        if name != FILES[0] and name in project.files:
            yield replace(project, files={other: text for other, text in project.files.items() if other != name})


def _smaller(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in value:
            yield {other: inner for other, inner in value.items() if other != key}
        for key, inner in value.items():
            yield from ({**value, key: less} for less in _smaller(inner))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield from ([*value[:at], less, *value[at + 1 :]] for less in _smaller(inner))
    elif isinstance(value, Tagged):
        yield from (Tagged(value.tag, less) for less in _smaller(value.value) if value.value != less)
        if not value.tag.startswith("&"):
            yield 1
    elif isinstance(value, str) and value not in ("", "x") and not value.endswith(".yaml"):
        yield "x"
    elif value not in (1, "x", ""):
        yield 1


class Maker:
    """Makes a project out of a random number generator."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._careful = self._one_in(1.4)
        self._file = 0
        self._anchors = 0
        self._in_variables = False  # where !extend and !remove are no values

    def project(self) -> Project:
        files: dict[str, Any] = {}
        for self._file, name in enumerate(FILES):
            files[name] = self._body(0) if self._file == 0 or self._careful or self._one_in(1.1) else self._value(1)
        files[FILES[0]] = {"esphome": {"name": "x"}, **files[FILES[0]]}
        given = {name: self._text() for name in ("a", "b") if self._one_in(3)} if self._one_in(4) else {}
        return Project(files, given)

    def _one_in(self, number: float) -> bool:
        return self._random.random() * number < 1

    def _any(self, options: Any) -> Any:
        return self._random.choice(options)

    def _up_to(self, most: int) -> range:
        return range(self._random.randint(0, most))

    def _expression(self) -> str:
        shapes = [*6 * ["{}", "{} {} {}", "{} | {}", "{} if {} else {}"], "math.floor({})", "len({})"]
        shape = self._any(shapes)
        second = self._any({"{} {} {}": OPERATORS, "{} | {}": FILTERS}.get(shape, OPERANDS))
        return shape.format(self._any(OPERANDS), second, self._any(OPERANDS))  # type: ignore[no-any-return]

    def _reference(self) -> str:
        kind = self._random.randint(0, 11)
        name = self._any(NAMES)
        if kind == 0:
            return "${}" if self._one_in(40) else "$$"
        return f"${{{name}}}" if kind < 5 else f"${name}" if kind < 6 else f"${{ {self._expression()} }}"

    def _text(self) -> str:
        kind = self._random.randint(0, 6)
        if kind < 2:
            return self._any(WORDS)  # type: ignore[no-any-return]
        if kind < 5:
            return self._reference()
        return (self._any(WORDS) if kind == 5 else self._reference()) + self._reference() + self._any(WORDS)  # type: ignore[no-any-return]

    def _variables(self, names: Any) -> dict[str, Any]:
        """Return variables, if careful, of the kind that each is of."""
        return {name: self._any(TYPED[name]) if self._careful else self._value(2) for name in names}

    def _scalar(self) -> Any:
        if self._careful and not self._one_in(4):
            return self._any(self._any([ANY, MIXED, [1, "x", True, None, Tagged("!lambda", "return ${a};")]]))
        kind = self._random.randint(0, 11)
        if kind < 3:
            return self._any([0, 1, 7, -3, 1.5])
        if kind == 3:
            return self._any([True, False, None])
        if kind == 4:
            return Tagged("!literal" if self._in_variables else self._any(["!lambda", "!literal"]), self._text())
        return self._text()

    def _value(self, depth: int) -> Any:
        kind = self._random.randint(0, 8)
        if depth >= 3 or kind < 3:
            return self._scalar()
        if kind == 3:
            return self._include(depth)
        if kind == 4:
            return Tagged("!literal", self._block(depth + 1)) if self._one_in(8) else self._block(depth + 1)
        return self._block(depth + 1) if kind < 7 else self._items(depth + 1)

    def _block(self, depth: int) -> dict[str, Any]:
        keys = [
            self._any(["k${a}", "${b}x", "x${b}"] if self._one_in(8) and not self._in_variables else KEYS)
            for _ in self._up_to(3)
        ]
        return {
            key: Tagged("!remove", "") if self._one_in(9) and not self._in_variables else self._value(depth)
            for key in keys
        }

    def _items(self, depth: int) -> list[Any]:
        known = [{"id": name} | self._block(depth) for name in IDS if self._one_in(1.3)] if self._one_in(1.3) else []
        return known + [self._item(depth, [item["id"] for item in known]) for _ in self._up_to(2)]

    def _item(self, depth: int, known: list[str]) -> Any:
        if self._one_in(3):
            value = self._value(depth)
            return 7 if isinstance(value, bool) else value
        name = "${a}" if self._one_in(12) else self._any(IDS)
        if self._one_in(2) and not self._in_variables:
            name = Tagged(self._any(["!extend", "!extend", "!remove"]), name)
            if self._careful:
                name = Tagged(name.tag, self._any(known)) if known else "v"
        item = {"id": name, **self._block(depth)}
        return {self._any(KEYS): item} if self._one_in(6) else item

    def _include(self, depth: int, *, merged: bool = False) -> Any:
        if self._file + 1 >= len(FILES):
            return {} if merged else self._scalar()
        name = self._any(FILES[self._file + 1 :])
        if self._file > 1:  # from their folder
            name = name.removeprefix("p/")
        if self._one_in(8) and not merged:
            name = name.replace("f3", "f${ 1 + 1 + 1 }").replace("f2", "f${ 1 + 1 }")
        if self._one_in(2):
            return Tagged("!include", name if "$" not in name else {"file": name})
        options: dict[str, Any] = {"file": name}
        if self._one_in(1.5):
            before, self._in_variables = self._in_variables, True
            options["vars"] = self._variables([self._any([*NAMES, "e"]) for _ in self._up_to(2)])
            self._in_variables = before
        if self._one_in(4) and not merged:
            options["condition"] = self._any([True, False, "true", "${a}", "off", "${ a == 1 }", "${ a != b }"])
            options["file"] = options["file"].replace("${ 1 + 1 + 1 }", "3").replace("${ 1 + 1 }", "2")
        return Tagged("!include", options)

    def _substitutions(self, *, included: bool) -> dict[str, Any]:
        if self._careful:
            names = [*NAMES, "e"] if not self._file else self._random.sample([*NAMES, "e"], 2)
            return {name: self._any(OWN[name]) for name in names}
        self._in_variables = True
        block = {"x": self._scalar(), "y": self._any(["${n.x}", "${ n.x ~ 1 }", self._scalar()])}
        options = {
            "a": self._scalar(),
            "b": self._scalar(),
            "c": self._include(2) if included and self._one_in(6) else self._any([self._block, self._items])(3),
            "d": [self._scalar() for _ in self._up_to(3)],
            "n": block,
            "$e": self._scalar(),
        }
        self._in_variables = False
        return {name: value for name, value in options.items() if self._one_in(1.4 if self._file else 1.02)}

    def _packages(self, depth: int) -> Any:
        names = [self._any(["one", "two", "three", "${a}"]) for _ in self._up_to(3)]
        each = [self._package(depth) for _ in names]
        return dict(zip(names, each, strict=True)) if self._one_in(2) else each

    def _package(self, depth: int) -> Any:
        kind = self._random.randint(0, 9)
        if kind == 0:
            return "${c}"
        return self._include(depth) if kind < 7 else self._body(depth + 1)

    def _body(self, depth: int) -> dict[str, Any]:
        """Return the options of a file or of a package."""
        body: dict[str, Any] = {}
        has_packages = depth < 2 and self._one_in(2 + depth + self._file)
        if self._file and self._one_in(5):
            body["defaults"] = self._variables([self._any([*NAMES, "e"]) for _ in self._up_to(2)])
        if self._one_in(3 if self._file or depth else 1 if self._careful else 1.05):
            body["substitutions"] = self._substitutions(included=not has_packages and not depth and not self._file)
        if has_packages:
            body["packages"] = self._packages(depth)
        if self._one_in(4):
            self._anchors += 1
            base = Alias(f"base{self._anchors}")
            body[".base"] = Tagged(f"&{base.name}", self._block(2))
            body[self._any(KEYS)] = {"<<": self._any([base, [base, {"k": 1}]]), **self._block(2)}
        if self._one_in(6):
            body[self._any(KEYS)] = {"<<": self._include(2, merged=True), **self._block(2)}
        for _ in self._up_to(3):
            top = self._random.randint(0, 4)
            body[self._any([*KEYS, "list", "list"])] = (
                self._block(1)
                if top < 2
                else self._items(1)
                if top < 4 or self._careful or not self._one_in(6)
                else self._value(1)
            )
        return body

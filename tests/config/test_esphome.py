"""The language is ESPHome's: thousands of configurations become what ESPHome's own passes make of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blupow_config import BluetoothProxyConfig, ConfigErrors, load_config
from blupow_config.language.nodes import Lambda
from blupow_config.language.tree import Tree
from blupow_config.schema.hints import elsewhere

sys.path.insert(0, str(Path(__file__).parent))
from projects import FILES, Maker, Project, smaller

ORACLE = Path(__file__).parent / "esphome_oracle.py"
BUILT = Path(os.environ.get("BLUPOW_REFERENCE", Path(__file__).parents[2] / ".cache" / "esphome-host"))
MAX_STEPS = 3_000  # while a difference is made smaller
PART = 250

# What is otherwise than ESPHome has it, with its reason; each has a test of its own below.
DELIBERATE = {
    "missing": "ESPHome leaves a text whose variables are missing as it is and warns of it; here it is a mistake, with its place",
    "unused": "ESPHome takes no notice of mistakes in variables that nothing uses; here they are told as well",
    "numbers": "addresses such as 11:22:33:44:55:10 and dates stay texts, and 010 is ten: YAML 1.1 makes wrong values of them",
    "keys": "an option's name is a word; ESPHome makes 'True' of `on:` and takes numbers",
    "documents": "a second document is a mistake; ESPHome ignores the first one",
    "confinement": "files outside the configuration's folder are not read",
    "circle": "a file that includes itself is told with the files in between; ESPHome exceeds Python's stack",
    "secrets": "a secret and a variable of the environment are taken as they are; ESPHome replaces a $name in them",
    "one object": "items of a list stay apart; where it extends or removes, ESPHome drops those that are one object in memory",
    "folders": "the files of a folder come in the order of their names, and a missing folder is a mistake",
    "sandbox": "expressions have no way to Python's inside, to texts by chance, and to what has no bound",
    "lists": "a tuple is a list: a configuration knows no difference",
    "included substitutions": "a package's `substitutions: !include` works; ESPHome breaks on it",
    "depth": "nothing may be nested deeper than 16 levels",
    "remote": "packages from the network are not fetched",
}
NO_VALUE = ("is no value", "a text as code", "no value that YAML has", "nested too deeply")  # "unused" and "depth"
MISSING = ("there is no substitution", "can't need itself", "needs what there is not")


class Oracle:
    """Real ESPHome, which answers as long as the tests run."""

    def __init__(self) -> None:
        python = BUILT / "venv" / "bin" / "python"
        if not python.exists():
            if os.environ.get("CI"):
                pytest.fail("real ESPHome is not there: see tests/reference/build")
            pytest.skip("real ESPHome is not there; run tests/reference/build")
        self._process = subprocess.Popen(
            [python, ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, path: Path, substitutions: dict[str, str] | None = None, *, as_it_is: bool = False) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"path": str(path), "substitutions": substitutions or {}, "as_it_is": as_it_is}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = Oracle()
    yield oracle
    oracle.end()


def ours(path: Path, substitutions: dict[str, str] | None = None) -> tuple[Any, list[str]]:
    """Return the content, with code as the oracle tells it, and the mistakes."""
    try:
        tree = Tree(path, substitutions)
    except ConfigErrors as errors:
        return None, [str(error).replace(f"{path.parent}/", "") for error in errors.errors]
    return encoded(tree.content), [str(error).replace(f"{path.parent}/", "") for error in tree.problems]


def encoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: encoded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list(map(encoded, value))
    return {"!lambda": str(value)} if isinstance(value, Lambda) else value


def difference(oracle: Oracle, folder: Path, project: Project) -> tuple[str, str] | None:
    """Return what kind of difference there is, and what it is."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    path = project.write(folder)
    answer = oracle.ask(path, project.substitutions)
    content, mistakes = ours(path, project.substitutions)
    if "error" in answer:
        return None if mistakes else ("accepted", f"ESPHome: {answer['error']}\nours: {content}")
    if "warnings" in answer:
        told = any(part in mistake for mistake in mistakes for part in MISSING)
        return None if told else ("not missed", f"ESPHome: {answer['warnings']}\nours: {mistakes} {content}")
    if "!keys" in json.dumps(answer):
        return None if any("expected an option" in mistake for mistake in mistakes) else ("keys", str(answer))
    if mistakes:
        if all(any(part in mistake for part in NO_VALUE) for mistake in mistakes):
            return None
        return "rejected", f"ours: {mistakes}\nESPHome: {answer['content']}"
    theirs, here = (json.dumps(value, sort_keys=True) for value in (answer["content"], content))
    return None if theirs == here else ("other", f"ESPHome: {theirs}\nours:    {here}")


def smallest(oracle: Oracle, folder: Path, project: Project, kind: str) -> Project:
    """Return the smallest project found that has a difference of this kind."""
    steps = 0
    candidates = smaller(project)
    while steps < MAX_STEPS and (candidate := next(candidates, None)) is not None:
        steps += 1
        found = difference(oracle, folder, candidate)
        if found is not None and found[0] == kind:
            project, candidates = candidate, smaller(candidate)
    return project


@pytest.mark.reference
@pytest.mark.parametrize("start", range(0, 2_000, PART))
def test_configurations_become_what_esphome_makes_of_them(oracle: Oracle, tmp_path: Path, start: int) -> None:
    for seed in range(start, start + PART):
        project = Maker(seed).project()
        found = difference(oracle, tmp_path, project)
        if found is not None:
            project = smallest(oracle, tmp_path, project, found[0])
            found = difference(oracle, tmp_path, project)
            assert found is not None
            pytest.fail(f"seed {seed}: {found[0]}{project}{found[1]}", pytrace=False)


ALIKE: list[dict[str, str]] = [  # what is not made at random
    {
        "main.yaml": "substitutions: {v: 1}\npackages: !include {file: p.yaml, vars: {v: 2}}\nk: {a: '${v}'}\n",
        "p.yaml": "one: {k: {b: '${v}'}}\ntwo: !include q.yaml\n",
        "q.yaml": "k: {c: '${v}'}\n",
    },
    {"main.yaml": "packages: !include 'p${n}.yaml'\nsubstitutions: {n: 1}\n", "p1.yaml": "- k: [a]\n- {k: [b]}\n"},
    {"main.yaml": "substitutions: !include s.yaml\nk: '${a}'\n", "s.yaml": "a: [1, '${b}']\nb: x\n"},
    {"main.yaml": "substitutions: !include s.yaml\npackages: [{k: ['${a}']}]\n", "s.yaml": "a: 1\n"},
    {
        "main.yaml": "a: !include_dir_named d\nb: !include_dir_merge_named d\nc: !include_dir_list e\nd: !include_dir_merge_list e\n",
        "d/x.yaml": "defaults: {q: 1}\nr: 1\n",
        "e/y.yaml": "[1, 2]\n",
        "e/secrets.yaml": "s: 1\n",
        "e/.hidden.yaml": "[3]\n",
    },
    {
        "main.yaml": "substitutions: {v: out}\nk: {<<: !include {file: i.yaml, vars: {v: in}}, b: '${v}'}\n",
        "i.yaml": "defaults: {w: 5}\na: '${v}${w}'\nc: {d: ['${v}'], defaults: {v: deep}}\n'${v}': 1\n",
    },
    {
        "main.yaml": "k: [!secret a, !include d/i.yaml, !include f/i.yaml]\nn: !secret n\n",
        "secrets.yaml": "a: 1\nn:\n",
        "d/i.yaml": "x: !secret a\n",
        "d/secrets.yaml": "a: two\n",
        "f/i.yaml": "x: !secret a\n",
    },
    {"main.yaml": "k: !secret a\n", "secrets.yaml": "b: 1\n"},
    {"main.yaml": "k: !include d/i.yaml\n", "secrets.yaml": "a: 1\n", "d/i.yaml": "x: !secret a\n", "d/secrets.yaml": "b: 1\n"},
    {"main.yaml": "k: [!env_var SHED_NOPE a  b, !env_var PATH x]\n"},
    {"main.yaml": "k: !env_var SHED_NOPE\n"},
    {"main.yaml": "!include {file: r.yaml, vars: {v: 1}}\n", "r.yaml": "k: '${v}'\n"},
    {"main.yaml": "k: !include r.yaml\n", "r.yaml": "!include {file: t.yaml, vars: {v: 1, w: 2}}\n", "t.yaml": "defaults: {w: 3}\na: '${v}${w}'\n"},
    {"main.yaml": "k: !include e.yaml\nl: !include f.yaml\n", "e.yaml": "", "f.yaml": "0\n"},
    {"main.yaml": "a: 1\na: 2\n"},
    {"main.yaml": "a: &x 1\nb: &x 2\n"},
    {"main.yaml": "a: !nope 1\n"},
    {"main.yaml": "a: [\n"},
    {"main.yaml": "a: REPLACEME\n"},
    {"main.yaml": "a: !literal REPLACEME\n"},
    {"main.yaml": "a: [yes, Off, ~, null, 0x1F, 0b11, 1_000, +5, .5, 1., 1e3, 1.5e+3, .inf, -.INF, '5', \"5\", !!str 5, !!int '5', y, n]\n"},
    {"main.yaml": "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: \"a\\tb\\u00e9\"\nd: 'it''s'\n"},
    {"main.yaml": "substitutions: {1a: 1}\n"},
    {"main.yaml": "substitutions: [a]\n"},
    {"main.yaml": "substitutions:\n"},
    {"main.yaml": "packages:\n"},
    {"main.yaml": "packages: {a: 5}\n"},
    {"main.yaml": "k: !include nope.yaml\n"},
    {"main.yaml": "k: !include {vars: {a: 1}}\n"},
    {"main.yaml": "k: !include {file: f.yaml, condition: perhaps}\n", "f.yaml": "a: 1\n"},
    {"main.yaml": "k: !include {file: nope.yaml, condition: no}\n"},
    {"main.yaml": "k: {<<: 5}\n"},
    {"main.yaml": "k: {<<: !include f.yaml}\n", "f.yaml": "[1]\n"},
]  # fmt: skip


@pytest.mark.reference
@pytest.mark.parametrize("files", ALIKE, ids=lambda files: str(files)[15:50])
def test_what_is_alike(oracle: Oracle, tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    answer = oracle.ask(tmp_path / "main.yaml")
    content, mistakes = ours(tmp_path / "main.yaml")
    if "error" in answer:
        assert mistakes, f"ESPHome: {answer['error']}\nours: {content}"
    else:
        assert (content, mistakes) == (answer["content"], [])


OPTIONS = """
import json
from esphome.components import bluetooth_proxy
shape = bluetooth_proxy._esp32_config_schema().validators[0].schema
bounds = bluetooth_proxy.CONFIG_SCHEMA.validators[1]
def accepts(value):
    try:
        bounds({"connection_slots": value})
    except Exception:
        return False
    return True
defaults = {str(option): option.default() for option in shape if option in ("active", "connection_slots")}
print(json.dumps([sorted(map(str, shape)), defaults, [value for value in range(-1, 20) if accepts(value)]]))
"""


@pytest.mark.reference
def test_a_bluetooth_proxys_options_are_those_of_esphome_or_say_what_to_do_instead(
    tmp_path: Path, oracle: Oracle
) -> None:
    done = subprocess.run([BUILT / "venv/bin/python", "-c", OPTIONS], capture_output=True, text=True, check=True)
    options, defaults, slots = json.loads(done.stdout)
    ours = BluetoothProxyConfig()
    assert defaults == {"active": ours.active, "connection_slots": ours.connection_slots}
    path = tmp_path / "proxy.yaml"
    for value in range(-1, 20):
        path.write_text(f"esphome: {{name: shed}}\nbluetooth_proxy: {{connection_slots: {value}}}\n")
        if value in slots:
            load_config(path)
        else:
            with pytest.raises(ConfigErrors):
                load_config(path)
    assert {"active", "connection_slots", "cache_services", "connections"} < set(options)
    for option in {*options} - {"active", "connection_slots"}:
        assert elsewhere(["bluetooth_proxy", option]), option


OTHERWISE: list[tuple[str, dict[str, str], Any, Any]] = [  # reason, files, what ESPHome makes of it, what we do
    ("missing", {"main.yaml": "k: ${nope}\n"}, {"k": "${nope}"}, "main.yaml:1:4: k: there is no substitution 'nope'"),
    (
        "unused",
        {"main.yaml": "substitutions: {a: '${ [b] }'}\nk: 1\n"},
        {"k": 1},
        "main.yaml:1:20: substitutions.a: there is no substitution 'b'",
    ),
    (
        "numbers",
        {"main.yaml": "a: 11:22:33\nb: 010\nc: 2026-11-29\n"},
        "is no value",
        {"a": "11:22:33", "b": 10, "c": "2026-11-29"},
    ),
    ("numbers", {"main.yaml": "a: 11:22:33\nb: 010\n"}, {"a": 40953, "b": 8}, {"a": "11:22:33", "b": 10}),
    ("keys", {"main.yaml": "on: 1\n"}, {"True": 1}, {"on": 1}),
    ("keys", {"main.yaml": "5: 1\n"}, {"5": 1}, "main.yaml:1:1: expected an option, which is a word, instead of 5"),
    ("documents", {"main.yaml": "a: 1\n---\nb: 1\n"}, {"b": 1}, "main.yaml:3:1: a second document starts here"),
    (
        "confinement",
        {"in/main.yaml": "a: !include ../b.yaml\n", "b.yaml": "b: 1\n"},
        {"a": {"b": 1}},
        "main.yaml:1:4: a: ../b.yaml: is outside the configuration's folder",
    ),
    (
        "circle",
        {"main.yaml": "a: !include b.yaml\n", "b.yaml": "b: !include b.yaml\n"},
        "RecursionError",
        "b.yaml:1:4: a.b: a file can't include itself: main.yaml -> b.yaml -> b.yaml",
    ),
    (
        "secrets",
        {"main.yaml": "substitutions: {b: X}\na: !secret s\n", "secrets.yaml": "s: a$b\n"},
        {"a": "aX"},
        {"a": "a$b"},
    ),
    ("one object", {"main.yaml": "a: [true, ~, true, false]\n"}, {"a": [True, False]}, {"a": [True, True, False]}),
    ("folders", {"main.yaml": "a: !include_dir_list nope\n"}, {"a": []}, "main.yaml:1:4: a: nope: there is no nope"),
    (
        "sandbox",
        {"main.yaml": "a: ${ ''.__class__.__name__ }\n"},
        {"a": "str"},
        "main.yaml:1:4: a: the expression is not allowed: access to attribute '__class__'",
    ),
    (
        "lists",
        {"main.yaml": "a: [{id: b, c: '${ (1, 2) }'}, {id: !extend b, c: [3]}]\n"},
        {"a": [{"id": "b", "c": [3]}]},
        {"a": [{"id": "b", "c": [1, 2, 3]}]},
    ),
    (
        "included substitutions",
        {
            "main.yaml": "packages: [!include b.yaml]\n",
            "b.yaml": "substitutions: !include c.yaml\nk: ['${a}']\n",
            "c.yaml": "a: 1\n",
        },
        "AttributeError",
        {"k": [1]},
    ),
    ("depth", {"main.yaml": f"a: {'[' * 20}{']' * 20}\n"}, None, "main.yaml:1:4: a: nested too deeply"),
]


@pytest.mark.reference
@pytest.mark.parametrize(("reason", "files", "theirs", "expected"), OTHERWISE, ids=lambda value: str(value)[:20])
def test_what_is_otherwise_on_purpose(
    oracle: Oracle, tmp_path: Path, reason: str, files: dict[str, str], theirs: Any, expected: Any
) -> None:
    assert reason in DELIBERATE
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / next(iter(files))
    answer = oracle.ask(path, as_it_is=True)
    if isinstance(theirs, str):
        assert theirs in answer["error"]
    elif theirs is not None:
        assert answer["content"] == theirs
    content, mistakes = ours(path)
    if isinstance(expected, str):
        assert [expected in mistake for mistake in mistakes] == [True], mistakes
    else:
        assert (content, mistakes) == (expected, [])


def test_each_difference_has_its_test() -> None:
    assert {reason for reason, *_ in OTHERWISE} == set(DELIBERATE) - {"remote"}  # which no test fetches

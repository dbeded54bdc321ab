"""Each part of the language: what it makes, and the exact line for each mistake in it."""

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from blupow_config import ConfigErrors, configuration_files, load_config, to_yaml
from blupow_config.language.nodes import Lambda
from blupow_config.language.tree import Tree

BASE = "esphome: {name: shed}\n"
Files = dict[str, str]


def write(folder: Path, main: str, **files: str) -> Path:
    """Write files; two underscores of a name stand for a slash, the ending is yaml."""
    for name, text in {"main": main, **files}.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.yaml"


def content(folder: Path, main: str, *, given: dict[str, str] | None = None, **files: str) -> Any:
    tree = Tree(write(folder, main, **files), given)
    assert not tree.problems, list(map(str, tree.problems))
    return tree.content


def mistakes(folder: Path, main: str, **files: str) -> list[str]:
    """Return every mistake of a whole configuration."""
    with pytest.raises(ConfigErrors) as caught:
        load_config(write(folder, main, **files))
    return [str(error).replace(f"{folder}/", "") for error in caught.value.errors]


def test_substitutions(tmp_path: Path) -> None:
    text = """
substitutions: {place: Shed, count: 2, unit: {name: Rover, full: "${unit.name} in the ${place}"}, $old: 1, list: [4, 5]}
whole: ["${ count }", $count, "${count}", "x$count", "${place} ${count}", "${unit}", "${old}"]
made: ["${ count + 1 }", "${ place | upper }", "${ unit.full }", "${ list[1] * count }", "${ count > 1 }", "${ math.sqrt(16) }"]
"${place}_key": $$
code: !lambda "return ${count};"
as is: !literal "${count}"
"""
    made = content(tmp_path, text)
    assert made["whole"] == [2, 2, 2, "x2", "Shed 2", {"name": "Rover", "full": "Rover in the Shed"}, 1]
    assert made["made"] == [3, "SHED", "Rover in the Shed", 10, True, 4.0]
    assert (made["Shed_key"], made["as is"]) == ("$$", "${count}")
    assert (made["code"], type(made["code"])) == ("return 2;", Lambda)
    assert "substitutions" not in made


def test_substitutions_of_the_command_line_come_first(tmp_path: Path) -> None:
    text = "substitutions: {a: 1, b: '${a}0'}\nk: ['${a}', '${b}', '${c}']\n"
    assert content(tmp_path, text, given={"a": "7", "c": "${b}!"}) == {"k": ["7", "70", "70!"]}


def test_the_library_for_expressions_is_loaded_only_for_them(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from blupow_config.language.tree import Tree; Tree(Path(sys.argv[1])); "
    )
    program += "sys.exit('jinja2' in sys.modules)"
    for text, loaded in ((f"substitutions: {{a: x}}\n{BASE}k: $a-${{a}}\n", 0), ("k: ${ 1 + 1 }\n", 1)):
        path = write(tmp_path, text)
        assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == loaded


def test_packages(tmp_path: Path) -> None:
    text = """
substitutions: {name: main}
packages:
  first: !include {file: parts/first.yaml, vars: {port: 1}}
  second: {api: {port: 2, reboot: 5}, renogy: [{id: b}]}
  third: !include
    file: parts/third.yaml
    condition: ${ name == 'other' }
api: {key: x}
renogy: [{id: !extend a, name: "${name}"}, {id: !remove b}, {id: c}]
logger: !remove
"""
    first = """
defaults: {port: 9, kind: rover}
substitutions: {name: first, extra: "${kind}${port}"}
packages: [{renogy: [{id: z}]}]
api: {port: "${port}", host: h}
logger: {level: DEBUG}
renogy: [{id: a, kind: "${kind}", extra: "${extra}"}]
"""
    assert content(tmp_path, text, parts__first=first) == {
        "api": {"port": 2, "host": "h", "reboot": 5, "key": "x"},
        "renogy": [{"id": "z"}, {"id": "a", "kind": "rover", "extra": "rover1", "name": "main"}, {"id": "c"}],
    }


def test_includes(tmp_path: Path) -> None:
    text = """
.hidden: &base {a: 1, b: 2}
merged: {<<: *base, b: 3}
several: {<<: [!include inner/one.yaml, *base], c: 4}
one: !include inner/one.yaml
given: !include {file: "inner/${ 'two' }.yaml", vars: {what: "${ 1 + 1 }"}}
list: !include_dir_list inner
named: !include_dir_named inner
merge: !include_dir_merge_named inner
lists: !include_dir_merge_list lists
"""
    files = {
        "inner__one": "a: 7\nfrom: one\n",
        "inner__two": "what: ${what}\n",
        "inner__deep__three": "x: 1\n",
        "inner__secrets": "a: b\n",
        "lists__a": "[1, 2]\n",
        "lists__b": "[3]\n",
    }
    made = content(tmp_path, "substitutions: {what: 5}\n" + text, **files)
    assert made["merged"] == {"a": 1, "b": 3}
    assert made["several"] == {"c": 4, "a": 7, "from": "one", "b": 2}
    assert made["one"] == {"a": 7, "from": "one"}
    assert made["given"] == {"what": 2}
    assert made["list"] == [{"a": 7, "from": "one"}, {"what": 5}, {"x": 1}]
    assert made["named"] == {"one": {"a": 7, "from": "one"}, "two": {"what": 5}, "three": {"x": 1}}
    assert made["merge"] == {"a": 7, "from": "one", "what": 5, "x": 1}
    assert made["lists"] == [1, 2, 3]
    assert ".hidden" not in made


def test_secrets_beside_the_including_file_come_first(tmp_path: Path) -> None:
    files = {
        "secrets": "a: main\n",
        "in__one": "[!secret a]\n",
        "in__secrets": "a: inner\n",
        "out__two": "[!secret a]\n",
    }
    text = "k: [!secret a, !include in/one.yaml, !include out/two.yaml]\n"
    assert content(tmp_path, text, **files) == {"k": ["main", ["inner"], ["main"]]}
    names = [str(path.relative_to(tmp_path)) for path in configuration_files(tmp_path / "main.yaml")]
    assert names == ["main.yaml", "secrets.yaml", "in/one.yaml", "in/secrets.yaml", "out/two.yaml"]


def test_variables_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHED_PORT", "${x} $y")
    text = "substitutions: {d: 1}\nk: [!env_var SHED_PORT, !env_var SHED_PORT no, !env_var 'SHED_NOPE a  ${d}']\n"
    tree = Tree(write(tmp_path, text))
    assert tree.content == {"k": ["${x} $y", "${x} $y", "a 1"]}
    assert tree.secret_paths == {("k", 0), ("k", 1), ("k", 2)}


MISTAKES: list[tuple[str, Files, list[str]]] = [
    (
        "substitutions: {place: Shed}\nesphome: {name: shed, area: '${palce}'}\n",
        {},
        ["main.yaml:2:29: esphome.area: there is no substitution 'palce', did you mean 'place'?"],
    ),
    (
        "substitutions: {a: $b, b: '${ c }', c: $a}\nesphome: {name: shed, area: $a}\n",
        {},
        ["main.yaml:1:40: substitutions.c: a substitution can't need itself: a -> b -> c -> a"],
    ),
    ("substitutions: [a]\n" + BASE + "logger: {level: $a}\n", {}, ["main.yaml:1:1: substitutions: expected names and values below it"]),
    ("substitutions: {1a: x}\n" + BASE, {}, ["main.yaml:1:17: substitutions.1a: a substitution's name has letters, digits and underscores, and starts with no digit"]),
    (
        BASE + "api: {port: \"${ 1 + 'a' }\"}\n",
        {},
        ["main.yaml:2:13: api.port: the expression can't be computed: unsupported operand type(s) for +: 'int' and 'str'"],
    ),
    (BASE + "api: {port: '${ 1 + }'}\n", {}, ["main.yaml:2:13: api.port: the expression can't be read: unexpected 'end of print statement'"]),
    (BASE + "api: {port: '${ 1 | random }'}\n", {}, ["main.yaml:2:13: api.port: the expression can't be read: No filter named 'random'."]),
    (BASE + "api: {port: '${ 1 / 0 }'}\n", {}, ["main.yaml:2:13: api.port: the expression can't be computed: division by zero"]),
    (
        BASE + "api: {port: \"${ ''.__class__ }\"}\n",
        {},
        ["main.yaml:2:13: api.port: the expression is not allowed: access to attribute '__class__' of 'str' object is unsafe."],
    ),
    (BASE + "api: !include nope.yaml\n", {"nape": "port: 1\n"}, ["main.yaml:2:6: api: nope.yaml: there is no nope.yaml, did you mean 'nape.yaml'?"]),
    (BASE + "api: !include /etc/passwd\n", {}, ["main.yaml:2:6: api: /etc/passwd: is outside the configuration's folder: copy it there, and name it from here"]),
    (BASE + "api: !include ''\n", {}, ["main.yaml:2:6: api: expected the name of a file after !include"]),
    (BASE + "api: !include {fil: a}\n", {}, ["main.yaml:2:16: api: an !include has no 'fil': write `file:`, `vars:` and `condition:`"]),
    (BASE + "api: !include {file: a.yaml, condition: perhaps}\n", {}, ["main.yaml:2:41: api: expected true or false as the include's condition"]),
    (BASE + "api: {<<: !include '$a.yaml'}\n", {}, ["main.yaml:2:11: an !include after `<<` is read before there are substitutions: name a file"]),
    (BASE + "api: {<<: 5}\n", {}, ["main.yaml:2:11: only options can be merged by `<<`: a block, a list of blocks, or a file's"]),
    (BASE + "api: {port: !sekret a}\n", {}, ["main.yaml:2:13: api.port: !sekret is not understood here, did you mean '!secret'?"]),
    (BASE + "api: {port: !!int a}\n", {}, ["main.yaml:2:13: api.port: is not what its tag !!int says"]),
    (BASE + "packages: 5\n", {}, ["main.yaml:2:11: packages: expected packages below it, as `name: !include FILE`"]),
    (
        BASE + "packages: {esphome.bluetooth-proxy: github://esphome/bluetooth-proxies/esp32-generic.yaml@main}\n",
        {},
        [
            "main.yaml:2:37: packages.esphome.bluetooth-proxy: is of boards: leave it out here, and write `bluetooth_proxy:`",
        ],
    ),
    (
        BASE + "packages: [github://a/b/c.yaml@main, {url: 'https://a.b/c', files: [d]}]\n",
        {},
        [
            "main.yaml:2:12: packages.0: comes from the network: copy its files beside this one, and write `!include FILE` instead",
            "main.yaml:2:38: packages.1: comes from the network: copy its files beside this one, and write `!include FILE` instead",
        ],
    ),
    (
        BASE + "packages: {a: !include a.yaml}\n",
        {"a": "port: 5\n"},
        ["a.yaml:1:1: packages.a.port: a package's options are blocks and lists: there is nothing that a single value could be merged into"],
    ),
    (BASE + "renogy: [{id: !extend a}]\n", {}, ["main.yaml:2:15: renogy.0: there is no item with the id 'a' to extend"]),
    (BASE + "api: {port: !extend a}\n", {}, ["main.yaml:2:13: api.port: !extend has to be the `id` of an item in a list, of which another item has that id"]),
    (BASE + "renogy: [!remove a]\n", {}, ["main.yaml:2:10: renogy.0: there is nothing to remove here: write `!remove` after an option, or `- id: !remove ID`"]),
    ("esphome: {name: REPLACEME}\n", {}, ["main.yaml:1:17: esphome.name: is only a placeholder: put your own value in its place"]),
    (BASE + "api: *nope\n", {}, ["main.yaml:2:6: not valid YAML: there is no anchor `&nope` above it"]),
    (BASE + "api: &a {a: *a}\n", {}, ["main.yaml:2:13: an anchor's block can't hold itself"]),
    (
        "packages: [!include a.yaml]\n",
        {"a": "packages: {b: !include b.yaml}\n", "b": "packages: [!include a.yaml]\n"},
        ["b.yaml:1:12: packages.0.packages.b.packages.0: a file can't include itself: main.yaml -> a.yaml -> b.yaml -> a.yaml"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("main", "files", "expected"), MISTAKES, ids=lambda value: str(value)[:40])
def test_one_mistake_is_one_line(tmp_path: Path, main: str, files: Files, expected: list[str]) -> None:
    assert mistakes(tmp_path, main, **files) == expected


def test_every_mistake_of_all_files_is_told_at_once_and_nothing_that_follows_from_it(tmp_path: Path) -> None:
    main = """
substitutions: {port: "${ nope + 1 }", other: "${port}"}
packages:
  b: !include parts/b.yaml
  c: !include parts/c.yaml
api: {port: "${port}", ports: 5}
logger: {level: "${other}"}
esphome: !include parts/a.yaml
renogy:
  - !include parts/gone.yaml
  - {address: !secret address, name: 5}
"""
    files = {
        "parts__a": "name: [\n",
        "parts__b": "zeroconf:\n  esphome: someday\nbluetooth: {adapter: !env_var SHED_NOPE}\n",
        "parts__c": "renogy:\n  - {name: One, '${key}': 2}\n",
    }
    assert mistakes(tmp_path, main, **files) == [
        "main.yaml:2:23: substitutions.port: there is no substitution 'nope': "
        "write it below `substitutions:`, or `!literal` before a text that has a $",
        "main.yaml:6:24: api.ports: not a valid option, did you mean 'port'?",
        "main.yaml:10:5: renogy.0: parts/gone.yaml: there is no parts/gone.yaml",
        "main.yaml:11:15: renogy.1.address: there is no secret 'address' in secrets.yaml beside this file",
        "main.yaml:11:38: renogy.2.name: expected a text: put it in quotes",
        "parts/a.yaml:2:1: not valid YAML: did not find expected node content",
        "parts/b.yaml:2:12: zeroconf.esphome: expected one of auto, always, never",
        "parts/b.yaml:3:22: bluetooth.adapter: the environment has no variable 'SHED_NOPE': "
        "set it, or write a default after its name",
        "parts/c.yaml:2:17: renogy.0: there is no substitution 'key': "
        "write it below `substitutions:`, or `!literal` before a text that has a $",
    ]


def test_a_mistake_is_where_it_is_written(tmp_path: Path) -> None:
    main = "substitutions: {p: 70000}\npackages: [!include b.yaml]\n.x: &x {prot: 1}\napi: {<<: *x, port: '${p}'}\n"
    assert mistakes(tmp_path, main, b="esphome:\n  name: Big\n") == [
        "b.yaml:2:9: esphome.name: use lower-case letters, digits and hyphens, at most 31, such as 'big'",
        "main.yaml:3:9: api.prot: not a valid option, did you mean 'port'?",
        "main.yaml:4:21: api.port: expected a whole number from 1 to 65535",
    ]


def test_files_outside_are_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("port: 1\n")
    inside = tmp_path / "inside"
    path = write(
        inside,
        BASE + "api: !include link.yaml\nlogger: !include dir/outside.yaml\nzeroconf: !include in/../link.yaml\n",
    )
    (inside / "link.yaml").symlink_to(outside)
    (inside / "dir").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe.yaml")
    with pytest.raises(ConfigErrors) as caught:
        load_config(path)
    assert [error.message.partition(":")[2].strip() for error in caught.value.errors] == [
        "is outside the configuration's folder: copy it there, and name it from here"
    ] * 3
    path.write_text(BASE + "api: !include pipe.yaml\nlogger: !include dir2\n")
    (inside / "dir2").mkdir()
    with pytest.raises(ConfigErrors) as caught:
        load_config(path)
    assert [error.message for error in caught.value.errors] == [
        "pipe.yaml: is no file that holds text",
        "dir2: is a directory: check the name and its permissions",
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("esphome: {name: shed, area: !secret s}\n", ("esphome", "area")),
        ("substitutions: {a: !secret s}\nesphome: {name: shed, area: $a}\n", ("esphome", "area")),
        ("substitutions: {a: !secret s}\nesphome: {name: shed, area: 'x ${a} y'}\n", ("esphome", "area")),
        (
            "substitutions: {a: !secret s, b: '${ a | upper }'}\nesphome: {name: shed, area: 'x${b}'}\n",
            ("esphome", "area"),
        ),
        (
            "substitutions: {a: {b: !secret s, c: x}}\nesphome: {name: shed, area: '${ a.b[:3] }'}\n",
            ("esphome", "area"),
        ),
        ("substitutions: {a: !secret s}\nesphome: {name: shed, area: '${a} ${ 1 + 1 }'}\n", ("esphome", "area")),
        ("packages: [!include {file: p.yaml, vars: {v: !secret s}}]\nesphome: {name: shed}\n", ("esphome", "area")),
        ("packages: [{substitutions: {w: !secret s}}]\nesphome: {name: shed, area: '${w}'}\n", ("esphome", "area")),
        (".a: &a {area: !secret s}\nesphome: {<<: *a, name: shed}\n", ("esphome", "area")),
        ("esphome: {name: shed, area: !env_var SHED_SECRET}\n", ("esphome", "area")),
    ],
)
def test_what_is_made_of_a_secret_stays_secret(
    tmp_path: Path, text: str, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHED_SECRET", "hunter2")
    file = write(tmp_path, text, secrets="s: hunter2\n", p="esphome: {area: 'x${v}'}\n")
    config = load_config(file)
    assert path in config.secret_paths
    assert "hun" in config.esphome.area.lower()
    assert "hun" not in to_yaml(config).lower()
    wrong = text.replace("area", "friendly_nam")
    found = "\n".join(mistakes(tmp_path, wrong, secrets="s: hunter2\n", p="esphome: {friendly_nam: 'x${v}'}\n"))
    assert "hunter" not in found.lower()


@pytest.mark.parametrize(
    "text",
    [
        "'${a}': 1\n",
        "api: {'x${a}': 1}\n",
        "api: !include '${a}.yaml'\n",
        "api: !include {file: x.yaml, condition: '${a}'}\n",
        "api: {port: '${ a + 1 }'}\n",
        "api: {port: '${ {}[a] }'}\n",
        "api: {port: '${ a.nope }'}\n",
        "api: {port: '${ [1, 2] | join(a) | int(a) + a }'}\n",
        "api: {port: '${ \"$a\" }'}\n",
        "api: {port: '${ a | map(a) | list }'}\n",
        "api: {port: '${a}', encryption: '${ a ~ a }'}\n",
        "logger: {level: '${ a | upper }'}\n",
        "renogy: [{id: !extend '${a}'}, {id: !remove '${a}'}]\n",
        "renogy: '${a}'\n",
        "packages: ['${a}']\n",
        "packages: ['x${ a }']\n",
    ],
)
def test_no_message_holds_a_secret(tmp_path: Path, text: str) -> None:
    for secret in ("hunter2", "it's ${b} hunter2", "<% hunter2 %>", "${ hunter2"):
        found = "\n".join(
            mistakes(tmp_path, f"substitutions: {{a: !secret s}}\n{BASE}{text}", secrets=f's: "{secret}"\n')
        )
        assert "hunter" not in found


def test_a_secret_is_no_expression(tmp_path: Path) -> None:
    text = "substitutions: {a: !secret s, c: 1}\nk: ['${a}', '$a', 'x$a', '${a}${ c + 1 }', '${ a ~ c }']\n"
    secret = "$c ${c} ${ c } <% if %> {{"
    assert content(tmp_path, text, secrets=f"s: '{secret}'\n") == {
        "k": [secret, secret, f"x{secret}", f"{secret}2", f"{secret}1"]
    }


def chained(count: int, first: str, line: str) -> str:
    return first + "".join(line.format(number=number, before=number - 1) for number in range(1, count))


BOMBS: dict[str, Files] = {
    "anchors": {"main": BASE + chained(30, "a0: &a0 [x]\n", "a{number}: &a{number} [*a{before}, *a{before}, *a{before}]\n")},
    "merges": {"main": BASE + chained(4000, "a0: &a0 {k: 1}\n", "a{number}: &a{number} {{<<: *a{before}, k{number}: 1}}\n")},
    "values": {"main": BASE + chained(30, "substitutions:\n  a0: [x]\n", "  a{number}: ['${{a{before}}}', '${{a{before}}}']\n") + "k: $a29\n"},
    "texts": {"main": BASE + chained(30, "substitutions:\n  a0: xxxx\n", "  a{number}: '${{a{before}}}${{a{before}}}'\n") + "k: $a29\n"},
    "needs": {"main": BASE + "substitutions:\n  a0: 1\n" + "".join(f"  a{n}: '${{ a{n - 1} + 1 }}'\n" for n in range(900, 0, -1))},
    "includes": {"main": BASE + "k: [!include a0.yaml]\n"} | {f"a{n}": f"[!include a{n + 1}.yaml, !include a{n + 1}.yaml]\n" for n in range(18)} | {"a18": "[x]"},
    "packages": {"main": BASE + "packages: [!include a0.yaml]\n"} | {f"a{n}": f"packages: [!include a{n + 1}.yaml, !include a{n + 1}.yaml]\n" for n in range(18)} | {"a18": ""},
    "files": {"main": BASE + "k: !include_dir_list many\n"} | {f"many__{n}": "x: 1\n" for n in range(300)},
    "bytes": {"main": BASE + "k: !include_dir_list many\n"} | {f"many__{n}": f"#{'x' * 900_000}\n" for n in range(4)},
    "one text": {"main": BASE + f"substitutions: {{a: &a ['{'x' * 900_000}'], b: [{'*a, ' * 999}]}}\nk: 'x$b'\n"},
    "deep": {"main": BASE + "k: " + "[" * 300_000},
    "flat": {"main": BASE + "k: [" + "1, " * 300_000 + "]\n"},
    "variables": {"main": BASE + "k: '" + "$a" * 300_000 + "'\n"},
    "names": {"main": "substitutions:\n" + "".join(f"  a{n}: 1\n" for n in range(4000)) + BASE + "".join(f"k{n}: $b{n}\n" for n in range(4000))},
    "braces": {"main": BASE + "k: '" + "${" * 300_000 + "${nope}'\n"},
    "blocks": {"main": BASE + "k: '$" + "<%" * 300_000 + "${nope}'\n"},
    "expressions": {"main": BASE + "".join(f"k{n}: '${{ {n} + 1 }}'\n" for n in range(9_000))},
    "long expressions": {"main": BASE + "".join(f"k{n}: '${{ {n}{' + 1' * 900} }}'\n" for n in range(200))},
} | {
    expression: {"main": f'substitutions: {{a: {'x' * 3_000}}}\n{BASE}k: "{expression}"\n'}
    for expression in (
        "${ 'a' * 10 ** 9 }", "${ [1] * 10 ** 9 }", "${ (9 ** 999) ** 999 }", "${ '%999999999d' % 1 }", "${ '%*d' % (10 ** 9, 1) }",
        "${ '{:>999999999}'.format(1) }", "${ 'a' | center(10 ** 9) }", "${ 'a'.ljust(10 ** 9) }", "${ math.factorial(10 ** 8) }",
        "${ math.comb(10 ** 8, 10 ** 7) }", "${ range(10 ** 12) | list }", "${ range(10 ** 12) | sum }", "${ [1] | batch(10 ** 9, 0) | list }",
        "${ a | replace('x', a) }", "${ range(999) | join(a) }", "${ a | indent(10 ** 9) }", "${ a.replace('', a) }", "${ a.join(a) }",
        "${ range(999) | map('string') | map('replace', '1', a) | list }", "${ (a ~ a) ~ (a ~ a) ~ (a ~ a) }",
        "<% for i in range(999) %><% for j in range(999) %><% for k in range(999) %><% endfor %><% endfor %><% endfor %>${ 1 }",
        "<% macro m(x) %>${ m(x) }${ m(x) }<% endmacro %>${ m(1) }",
        "<% set n = namespace(s=a) %><% for i in range(99) %><% set n.s = n.s ~ n.s %><% endfor %>${ n.s }",
        "${ " + "(" * 1_500 + "1" + ")" * 1_500 + " }", "${ " + "[" * 1_500 + "1" + "]" * 1_500 + " }", "${ 1" + " | abs" * 600 + " }",
    )
}  # fmt: skip


BOMB_S = 5.0  # an explosion takes minutes; none takes more than one second where nothing counts branches


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_with_a_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, **BOMBS[name])
    Tree(write(tmp_path / "warm", "k: ${ 1 + 1 }\n"))  # the library for expressions is loaded once
    started = time.thread_time()
    with pytest.raises(ConfigErrors) as caught:
        load_config(path)
    assert time.thread_time() - started < BOMB_S
    assert all(len(str(error)) < 1_000 for error in caught.value.errors)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigErrors):
            load_config(path)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()

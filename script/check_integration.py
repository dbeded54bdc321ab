"""What hassfest and HACS would say of the integration in a release tree, from Home Assistant's wheel alone.

usage: companion/.venv/bin/python script/check_integration.py TREE      prints problems, ends with 1 when there are any
"""

import ast
import json
import re
import struct
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeGuard

import homeassistant
from awesomeversion import AwesomeVersion, AwesomeVersionException, AwesomeVersionStrategy
from homeassistant.const import Platform
from homeassistant.generated.zeroconf import ZEROCONF
from homeassistant.util.yaml import load_yaml

CORE = Path(homeassistant.__file__).parent
COMPONENTS = CORE / "components"
REQUIRED_KEYS = {
    *("domain", "name", "codeowners", "config_flow", "documentation", "integration_type", "iot_class"),
    *("issue_tracker", "version"),
}
OPTIONAL_KEYS = {
    *("after_dependencies", "bluetooth", "dependencies", "dhcp", "disabled", "homekit", "import_executor", "loggers"),
    *("mqtt", "preview_features", "quality_scale", "requirements", "single_config_entry", "ssdp", "usb", "zeroconf"),
}
IOT_CLASSES = {"assumed_state", "calculated", "cloud_polling", "cloud_push", "local_polling", "local_push"}
TYPES = {"device", "entity", "hardware", "helper", "hub", "service", "system"}
VERSION_STRATEGIES = [
    AwesomeVersionStrategy.CALVER,
    AwesomeVersionStrategy.SEMVER,
    AwesomeVersionStrategy.SIMPLEVER,
    AwesomeVersionStrategy.BUILDVER,
    AwesomeVersionStrategy.PEP440,
]
TEXT_SECTIONS = {
    *("title", "common", "config", "options", "config_subentries", "device", "device_automation", "entity"),
    *("exceptions", "issues", "selector", "services", "system_health", "triggers", "conditions"),
}
HACS_KEYS = {
    **dict.fromkeys(("country", "filename", "hacs", "homeassistant", "name", "persistent_directory"), str),
    **dict.fromkeys(("content_in_root", "hide_default_branch", "render_readme", "zip_release"), bool),
}
TEXT_KEY = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
ICON_SIZES = {"icon.png": (256, 256), "icon@2x.png": (512, 512)}
# Set up before every integration, or without being set up at all.
ALWAYS_THERE = {"diagnostics", "repairs", "system_health", *(platform.value for platform in Platform)}


def check(tree: Path) -> Iterator[str]:
    """Yield what is wrong with a release tree."""
    yield from check_hacs(tree)
    folders = [path for path in (tree / "custom_components").iterdir() if (path / "manifest.json").exists()]
    if len(folders) != 1:
        yield "custom_components: HACS manages one integration a repository"
    for folder in folders:
        manifest = read_json(folder / "manifest.json")
        yield from check_manifest(folder, manifest)
        yield from check_imports(folder, manifest)
        yield from check_brand(folder / "brand")
        yield from check_texts(folder)
        yield from check_icons(folder)
        yield from check_quality_scale(folder / "quality_scale.yaml")


def check_hacs(tree: Path) -> Iterator[str]:
    """Yield what HACS would refuse."""
    if not (tree / "hacs.json").exists():
        yield "hacs.json: missing"
        return
    hacs = read_json(tree / "hacs.json")
    if "name" not in hacs:
        yield "hacs.json: name is missing"
    for key, value in hacs.items():
        if key not in HACS_KEYS:
            yield f"hacs.json: {key} is not a key"
        elif not isinstance(value, HACS_KEYS[key]):
            yield f"hacs.json: {key} has to be of type {HACS_KEYS[key].__name__}"
    if hacs.get("zip_release") and not hacs.get("filename"):
        yield "hacs.json: zip_release needs a filename"
    if not (tree / "README.md").exists():
        yield "README.md: missing"


def check_manifest(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what hassfest would say of the manifest, and the loader of its version."""
    for problem in _manifest_problems(folder, manifest):
        yield f"manifest.json: {problem}"


def _manifest_problems(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key} is missing" for key in sorted(REQUIRED_KEYS - manifest.keys()))
    yield from (f"{key} is not a key" for key in sorted(manifest.keys() - REQUIRED_KEYS - OPTIONAL_KEYS))
    documentation = manifest.get("documentation", "")
    rules = {
        "keys are not in order: domain, name, then by the alphabet": list(manifest)
        == sorted(manifest, key=lambda key: (key != "domain", key != "name", key)),
        "domain is not the folder's name": manifest.get("domain") == folder.name,
        "domain is that of a built-in integration": not (COMPONENTS / folder.name).is_dir(),
        "iot_class is not known": manifest.get("iot_class") in IOT_CLASSES,
        "integration_type is not known": manifest.get("integration_type") in TYPES,
        "documentation is not the integration's own https page": documentation.startswith("https://")
        and "www.home-assistant.io/integrations" not in documentation,
    }
    yield from (problem for problem, kept in rules.items() if not kept)
    try:
        AwesomeVersion(manifest.get("version", ""), ensure_strategy=VERSION_STRATEGIES)
    except AwesomeVersionException as error:
        yield f"the loader would refuse the version: {error}"
    for matcher in manifest.get("zeroconf", []):
        yield from _zeroconf_problems({"type": matcher} if isinstance(matcher, str) else matcher)
    yield from _dependency_problems(manifest)


def _dependency_problems(manifest: dict[str, Any]) -> Iterator[str]:
    for domain in manifest.get("dependencies", []) + manifest.get("after_dependencies", []):
        if not (COMPONENTS / domain).is_dir():
            yield f"{domain} is not an integration"
    pins = _pins()
    for requirement in manifest.get("requirements", []):
        name, _, pinned = requirement.partition("==")
        if pinned and pins.get(_normal(name), pinned) != pinned:
            yield f"{requirement} fights with Home Assistant's =={pins[_normal(name)]}: ask for a range"


def _zeroconf_problems(matcher: dict[str, Any]) -> Iterator[str]:
    kind = matcher["type"]
    if not kind.endswith(("._tcp.local.", "._udp.local.")):
        yield f"{kind} is no zeroconf type"
    if kind in ZEROCONF:
        yield f"{kind} is matched by {', '.join(other['domain'] for other in ZEROCONF[kind])} too"
    for value in (*matcher.get("properties", {}).values(), matcher.get("name", "")):
        if value != value.lower():
            yield f"{value} would never match: what is announced is compared in lower case"


def _normal(package: str) -> str:
    return package.lower().replace("_", "-").partition("[")[0]


def _pins() -> dict[str, str]:
    """Return the version of each package that Home Assistant or one of its integrations pins."""
    constraints = (CORE / "package_constraints.txt").read_text()
    pins = {_normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", constraints, re.MULTILINE)}
    for path in COMPONENTS.glob("*/manifest.json"):
        for requirement in read_json(path).get("requirements", []):
            name, _, version = requirement.partition("==")
            pins.setdefault(_normal(name), version)
    return pins


def check_imports(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield which integrations are used without being declared."""
    declared = {*manifest.get("dependencies", []), *manifest.get("after_dependencies", []), *ALWAYS_THERE}
    for path, tree in modules(folder):
        for node in ast.walk(tree):
            used = set()
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("homeassistant.components."):
                used = {(node.module or "").split(".")[2]}
            elif isinstance(node, ast.ImportFrom) and node.module == "homeassistant.components":
                used = {alias.name for alias in node.names}
            for domain in sorted(used - declared):
                yield f"{path.name}: uses {domain}, which the manifest does not declare"


def check_brand(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the pictures."""
    for name, size in ICON_SIZES.items():
        if not (folder / name).exists():
            yield f"brand/{name}: missing"
        elif (found := png_size(folder / name)) != size:
            yield f"brand/{name}: {found[0]} x {found[1]} pixels instead of {size[0]} x {size[1]}"
    if not (folder / "logo.png").exists():
        yield "brand/logo.png: missing"


def check_texts(folder: Path) -> Iterator[str]:
    """Yield which texts are missing, not used, or not allowed."""
    path = folder / "translations" / "en.json"
    if not path.exists():
        yield "translations/en.json: missing"
        return
    for problem in chain(_text_problems(folder, read_json(path)), _form_problems(read_json(path))):
        yield f"translations/en.json: {problem}"


def _text_problems(folder: Path, texts: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key} is not a section" for key in sorted(texts.keys() - TEXT_SECTIONS))
    yield from (f"{key} is no valid key" for key in keys_of(texts) if not TEXT_KEY.fullmatch(key))
    config, options = texts.get("config", {}), texts.get("options", {})
    known = {
        "step": {**config.get("step", {}), **options.get("step", {})},
        "error": config.get("error", {}),
        "abort": config.get("abort", {}),
        "exceptions": texts.get("exceptions", {}),
        "issues": texts.get("issues", {}),
    }
    for section, keys in used_keys(folder).items():
        yield from (f"{section}.{key} is used and has no text" for key in sorted(keys - known[section].keys()))
        if section in ("step", "error", "issues"):
            yield from (f"{section}.{key} has a text and is not used" for key in sorted(known[section].keys() - keys))
    yield from (f"entity.{key} is no platform" for key in texts.get("entity", {}) if key not in set(Platform))
    path = folder / "services.yaml"
    for service, content in (load_yaml(path) if path.exists() else {}).items():
        text = texts.get("services", {}).get(service, {})
        if not {"name", "description"} <= text.keys():
            yield f"services.{service} needs a name and a description"
        for field in (content or {}).get("fields", {}):
            if not {"name", "description"} <= text.get("fields", {}).get(field, {}).keys():
                yield f"services.{service}.fields.{field} needs a name and a description"


def _form_problems(texts: dict[str, Any]) -> Iterator[str]:
    for dialogue in ("config", "options"):
        for step, text in texts.get(dialogue, {}).get("step", {}).items():
            for field in text.get("data", {}).keys() - text.get("data_description", {}).keys():
                yield f"{dialogue}.step.{step}.data_description.{field} is missing"


def used_keys(folder: Path) -> dict[str, set[str]]:
    """Return the keys of texts that the code names, by section.

    Forms are shown by ``async_show_form``, or by a method ``_form`` whose first argument is the step; what can go wrong
    in a dialogue are the members of ``Failure``; what can be repaired are the constants of ``issues.py``.
    """
    used: dict[str, set[str]] = {key: set() for key in ("step", "error", "abort", "exceptions", "issues")}
    for path, tree in modules(folder):
        for node in ast.walk(tree):
            match node:
                case ast.Call():
                    _collect(node, used)
                case ast.ClassDef(name="Failure"):
                    used["error"] |= {line.value.value for line in node.body if is_text_constant(line)}
                case ast.AnnAssign() if path.name == "issues.py" and is_text_constant(node):
                    used["issues"].add(node.value.value)
    return used


def is_text_constant(node: ast.AST) -> TypeGuard[Any]:
    """Whether a statement gives a name to a literal text."""
    return (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _collect(call: ast.Call, used: dict[str, set[str]]) -> None:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    constants = {
        keyword.arg: keyword.value.value
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }
    match name:
        case "_form" if call.args:
            used["step"] |= {leaf.value for leaf in ast.walk(call.args[0]) if isinstance(leaf, ast.Constant)}
        case "async_show_form" | "async_show_menu" if "step_id" in constants:
            used["step"].add(constants["step_id"])
        case "async_abort" if "reason" in constants:
            used["abort"].add(constants["reason"])
        case "_abort_if_unique_id_configured":
            used["abort"].add(constants.get("error", "already_configured"))
        case _ if name.endswith(("Error", "NotReady", "Failed")) and "translation_key" in constants:
            used["exceptions"].add(constants["translation_key"])


def check_icons(folder: Path) -> Iterator[str]:
    """Yield which icons are none, or say what is said already."""
    path = folder / "icons.json"
    if not path.exists():
        yield "icons.json: missing"
        return
    icons = read_json(path)
    for icon in values_of(icons):
        if not icon.startswith("mdi:"):
            yield f"icons.json: {icon} does not start with mdi:"
    for platform, entities in icons.get("entity", {}).items():
        for key, icon in entities.items():
            for state, other in icon.get("state", {}).items():
                if other == icon.get("default"):
                    yield f"icons.json: {platform}.{key}.{state} is the default"
    path = folder / "services.yaml"
    for service in load_yaml(path) if path.exists() else {}:
        if service not in icons.get("services", {}):
            yield f"icons.json: services.{service} is missing"


def check_quality_scale(path: Path) -> Iterator[str]:
    """Yield which rules of the quality scale have no answer, or not a good one."""
    if not path.exists():
        yield "quality_scale.yaml: missing"
        return
    answers = load_yaml(path)["rules"]
    rules = quality_rules()
    yield from (f"quality_scale.yaml: {rule} is not answered" for rule in sorted(rules - answers.keys()))
    yield from (f"quality_scale.yaml: {rule} is not a rule" for rule in sorted(answers.keys() - rules))
    for rule, answer in answers.items():
        status = answer if isinstance(answer, str) else answer.get("status")
        if status not in ("done", "exempt"):
            yield f"quality_scale.yaml: {rule} is {status}"
        if status == "exempt" and not (isinstance(answer, dict) and answer.get("comment")):
            yield f"quality_scale.yaml: {rule} is exempt without a reason"


def quality_rules() -> set[str]:
    """Return the names of all rules: those that some built-in integration answers."""
    return {rule for path in COMPONENTS.glob("*/quality_scale.yaml") for rule in load_yaml(path).get("rules", {})}


def modules(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module and what it says."""
    for path in sorted(folder.glob("*.py")):
        yield path, ast.parse(path.read_text())


def read_json(path: Path) -> dict[str, Any]:
    """Return an object of JSON."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def keys_of(tree: dict[str, Any]) -> Iterator[str]:
    """Yield every key at every level."""
    for key, value in tree.items():
        yield key
        if isinstance(value, dict):
            yield from keys_of(value)


def values_of(tree: dict[str, Any]) -> Iterator[str]:
    """Yield every text at every level."""
    for value in tree.values():
        if isinstance(value, dict):
            yield from values_of(value)
        else:
            yield str(value)


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


if __name__ == "__main__":
    found = list(check(Path(sys.argv[1])))
    print("\n".join(found) or "no problems")
    sys.exit(bool(found))

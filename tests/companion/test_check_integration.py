"""The check of the release tree finds what it is there to find: one thing is broken at a time."""

from collections.abc import Callable
import json
from pathlib import Path
import shutil
import struct
from typing import Any

from check_integration import check, read_json
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A release tree in which nothing is wrong, made of the work tree's integration."""
    shutil.copytree(
        ROOT / "companion" / "custom_components" / "blupow",
        tmp_path / "custom_components" / "blupow",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (tmp_path / "README.md").write_text("# BluPow\n")
    (tmp_path / "hacs.json").write_text('{"name": "BluPow"}')
    return tmp_path


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = read_json(path)
    change(content)
    path.write_text(json.dumps(content))


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)


def test_nothing_is_wrong_with_the_integration(tree: Path) -> None:
    assert list(check(tree)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.pop("codeowners"), "codeowners is missing"),
        (lambda m: m.update(zzz=1), "zzz is not a key"),
        (lambda m: m.update(name=m.pop("name")), "keys are not in order"),
        (lambda m: m.update(domain="other"), "domain is not the folder's name"),
        (lambda m: m.update(iot_class="local"), "iot_class is not known"),
        (lambda m: m.update(integration_type="thing"), "integration_type is not known"),
        (lambda m: m.update(documentation="http://example.com"), "documentation is not"),
        (lambda m: m.update(version="one"), "the loader would refuse the version"),
        (lambda m: m.update(zeroconf=["_blupow._tcp"]), "_blupow._tcp is no zeroconf type"),
        (lambda m: m.update(zeroconf=["_esphomelib._tcp.local."]), "is matched by esphome"),
        (lambda m: m.update(zeroconf=[{"type": "_a._tcp.local.", "name": "BluPow*"}]), "would never match"),
        (lambda m: m.update(requirements=["aioesphomeapi==1.0"]), "ask for a range"),
        (lambda m: m.update(dependencies=["zeroconfig"]), "zeroconfig is not an integration"),
        (lambda m: m.update(after_dependencies=[]), "uses bluetooth, which the manifest does not declare"),
    ],
)
def test_manifest(tree: Path, change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    edit(tree / "custom_components" / "blupow" / "manifest.json", change)
    assert complaint in "\n".join(check(tree))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.update(words={}), "words is not a section"),
        (lambda t: t["config"]["step"].pop("key"), "step.key is used and has no text"),
        (lambda t: t["config"]["step"].update(other={}), "step.other has a text and is not used"),
        (lambda t: t["config"]["error"].pop("wrong_key"), "error.wrong_key is used and has no text"),
        (lambda t: t["config"]["abort"].pop("no_identity"), "abort.no_identity is used and has no text"),
        (lambda t: t["exceptions"].pop("not_connected"), "exceptions.not_connected is used and has no text"),
        (lambda t: t["issues"].pop("clock_wrong"), "issues.clock_wrong is used and has no text"),
        (lambda t: t["services"].pop("refresh"), "services.refresh needs a name and a description"),
        (lambda t: t["services"]["refresh"]["fields"].clear(), "services.refresh.fields.device_id needs"),
        (lambda t: t["config"]["step"]["user"]["data_description"].pop("host"), "data_description.host is missing"),
        (lambda t: t["entity"].update(gauge={}), "entity.gauge is no platform"),
        (lambda t: t["entity"]["sensor"].update({"Bad Key": {}}), "Bad Key is no valid key"),
    ],
)
def test_texts(tree: Path, change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    edit(tree / "custom_components" / "blupow" / "translations" / "en.json", change)
    assert complaint in "\n".join(check(tree))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda i: i["services"].pop("refresh"), "services.refresh is missing"),
        (lambda i: i["services"].update(refresh={"service": "refresh"}), "refresh does not start with mdi:"),
        (
            lambda i: i.update(entity={"sensor": {"a": {"default": "mdi:sun", "state": {"b": "mdi:sun"}}}}),
            "sensor.a.b is the default",
        ),
    ],
)
def test_icons(tree: Path, change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    edit(tree / "custom_components" / "blupow" / "icons.json", change)
    assert complaint in "\n".join(check(tree))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda h: h.pop("name"), "name is missing"),
        (lambda h: h.update(colour="blue"), "colour is not a key"),
        (lambda h: h.update(content_in_root="yes"), "content_in_root has to be of type bool"),
        (lambda h: h.update(zip_release=True), "zip_release needs a filename"),
    ],
)
def test_hacs(tree: Path, change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    edit(tree / "hacs.json", change)
    assert [f"hacs.json: {complaint}"] == list(check(tree))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  brands: done\n", "", "brands is not answered"),
        ("  brands: done\n", "  brands: todo\n", "brands is todo"),
        ("  brands: done\n", "  brands: done\n  beauty: done\n", "beauty is not a rule"),
        ("  brands: done\n", "  brands:\n    status: exempt\n", "brands is exempt without a reason"),
    ],
)
def test_quality_scale(tree: Path, old: str, new: str, complaint: str) -> None:
    path = tree / "custom_components" / "blupow" / "quality_scale.yaml"
    path.write_text(path.read_text().replace(old, new))
    assert [f"quality_scale.yaml: {complaint}"] == list(check(tree))


@pytest.mark.parametrize(
    "name",
    [
        "hacs.json",
        "README.md",
        *(
            f"custom_components/blupow/{name}"
            for name in (
                *("brand/icon.png", "brand/icon@2x.png", "brand/logo.png"),
                *("icons.json", "quality_scale.yaml", "translations/en.json"),
            )
        ),
    ],
)
def test_what_is_missing(tree: Path, name: str) -> None:
    (tree / name).unlink()
    assert [f"{name.removeprefix('custom_components/blupow/')}: missing"] == list(check(tree))


def test_the_size_of_icons(tree: Path) -> None:
    (tree / "custom_components" / "blupow" / "brand" / "icon.png").write_bytes(png(128, 128))
    assert list(check(tree)) == ["brand/icon.png: 128 x 128 pixels instead of 256 x 256"]


def test_one_integration_a_repository(tree: Path) -> None:
    shutil.copytree(tree / "custom_components" / "blupow", tree / "custom_components" / "second")
    assert "custom_components: HACS manages one integration a repository" in list(check(tree))

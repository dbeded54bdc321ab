"""The tree that HACS installs from, as script/release builds it from the last commit."""

from collections.abc import Callable
import hashlib
import json
from pathlib import Path
import re
import subprocess
import zipfile

from check_integration import check, read_json
import pytest

ROOT = Path(__file__).parents[2]
INTEGRATION = ROOT / "companion" / "custom_components" / "blupow"


def release(into: Path) -> None:
    subprocess.run([ROOT / "script" / "release", "--into", into], check=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "tree"
    release(folder)
    return folder


def test_hacs_and_hassfest_have_nothing_to_say(tree: Path) -> None:
    assert list(check(tree)) == []


def test_hacs_finds_one_integration_at_the_root(tree: Path) -> None:
    assert [path.name for path in (tree / "custom_components").iterdir()] == ["blupow"]
    assert read_json(tree / "hacs.json")["homeassistant"] == "2026.8.0"
    assert read_json(tree / "custom_components" / "blupow" / "manifest.json")["domain"] == "blupow"


def test_the_integration_is_complete_and_nothing_but_that(tree: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD:companion/custom_components/blupow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    released = tree / "custom_components" / "blupow"
    assert sorted(str(path.relative_to(released)) for path in released.rglob("*") if path.is_file()) == sorted(listed)


def test_all_versions_agree(tree: Path) -> None:
    version = read_json(INTEGRATION / "manifest.json")["version"]
    assert f'__version__ = "{version}"' in (ROOT / "proxy" / "blupow_proxy" / "__init__.py").read_text()
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    assert (tree / f"blupow-{version}.zip").exists()


def test_the_zip_is_the_folder_and_the_same_each_time(tree: Path, tmp_path: Path) -> None:
    release(tmp_path / "again")
    (one,), (other,) = tree.glob("*.zip"), (tmp_path / "again").glob("*.zip")
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    with zipfile.ZipFile(one) as zipped:
        assert json.loads(zipped.read("manifest.json"))["domain"] == "blupow"
        assert "translations/en.json" in zipped.namelist()
        assert "brand/icon.png" in zipped.namelist()


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Git in a clone of the project, at tmp_path / "clone"."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)

    def run(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=clone, capture_output=True, text=True, check=True).stdout

    run("config", "user.name", "Test")
    run("config", "user.email", "test@example.invalid")
    return run


def change_changelog(tmp_path: Path, git: Callable[..., str], pattern: str, replacement: str) -> None:
    changelog = tmp_path / "clone" / "CHANGELOG.md"
    changelog.write_text(re.sub(pattern, replacement, changelog.read_text(), count=1, flags=re.MULTILINE))
    git("commit", "--quiet", "--all", "--allow-empty", "-m", "Change")


def refusal(tmp_path: Path) -> str:
    script = tmp_path / "clone" / "script" / "release"
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_versions_that_disagree_are_refused(tmp_path: Path, git: Callable[..., str]) -> None:
    change_changelog(tmp_path, git, r"^## \[", "## [9")
    assert "the versions differ" in refusal(tmp_path)
    assert not git("tag")


def test_a_changelog_without_a_day_is_refused(tmp_path: Path, git: Callable[..., str]) -> None:
    change_changelog(tmp_path, git, r"^(## \[[\d.]+\]) - .*", r"\1 - unreleased")
    assert "write the day of the release" in refusal(tmp_path)
    assert not git("tag")


def test_a_release_is_a_tag_and_leaves_the_work_tree_alone(tmp_path: Path, git: Callable[..., str]) -> None:
    change_changelog(tmp_path, git, r"^(## \[[\d.]+\]) - .*", r"\1 - 2026-12-01")
    head = git("rev-parse", "HEAD")
    subprocess.run([tmp_path / "clone" / "script" / "release"], check=True, capture_output=True)
    (tag,) = git("tag").split()
    assert git("rev-parse", f"{tag}^", "HEAD") == head * 2
    assert not git("status", "--porcelain")
    assert "hacs.json" in git("ls-tree", "--name-only", tag).split()
    assert "hacs.json" not in git("ls-tree", "--name-only", "HEAD").split()
    assert "exists" in refusal(tmp_path)

"""install-service and uninstall-service: into a folder with systemd's own tools, and on a host with fake ones."""

import grp
import os
import pwd
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from blupow_config import load_config
from blupow_proxy.cli import main
from blupow_proxy.commands import service
from blupow_proxy.host import service as installed
from blupow_proxy.storage import folder_in_home

Capture = pytest.CaptureFixture[str]
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Shed:
    """A user's folder with a configuration, and the file system that the service goes into."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "home" / "shed.yaml"
        self.root = folder / "root"
        self.file.parent.mkdir()
        (self.root / "etc").mkdir(parents=True)
        self.file.write_text("esphome: {name: shed}\napi: {encryption: {key: !secret api_key}}\n")
        (self.file.parent / "secrets.yaml").write_text(f"api_key: {KEY}\n")

    def install(self, *options: str, file: Path | None = None) -> int:
        return main(["install-service", str(file or self.file), "--root", str(self.root), *options])

    def uninstall(self, *options: str) -> int:
        return main(["uninstall-service", "--root", str(self.root), *options])

    def at(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.name not in ("group", "gshadow", "passwd", "shadow", ".pwd.lock")
        }


@pytest.fixture
def shed(tmp_path: Path) -> Shed:
    return Shed(tmp_path)


@pytest.fixture
def tools() -> None:
    """Those of systemd, which can work on a file system that is not running, as root."""
    if os.geteuid() != 0 or not (shutil.which("systemctl") and shutil.which("systemd-sysusers")):
        if os.environ.get("CI"):
            pytest.fail("needs root, systemctl and systemd-sysusers")
        pytest.skip("needs root, systemctl and systemd-sysusers")


@pytest.mark.usefixtures("tools")
class TestIntoAFolder:
    def test_install_twice_and_remove(self, shed: Shed, capsys: Capture) -> None:
        before = shed.files()
        assert shed.install() == 0
        first = shed.files()
        assert shed.install() == 0
        assert shed.files() == first
        assert first["etc/blupow/proxy.yaml"] == shed.file.read_bytes()
        assert set(first) >= {str(path.relative_to("/")) for path in (installed.UNIT, installed.BLUETOOTH)}
        assert "etc/systemd/journald.conf.d/blupow-proxy.conf" not in first
        assert "etc/systemd/system/multi-user.target.wants/blupow-proxy.service" in [
            str(path.relative_to(shed.root)) for path in shed.root.rglob("*.service")
        ]
        out = capsys.readouterr().out
        assert f"a copy of {shed.file}: /etc/blupow/proxy.yaml" in out
        assert "journalctl -u blupow-proxy -f" in out
        assert shed.uninstall() == 0
        assert shed.files().keys() - before.keys() == {"etc/blupow/proxy.yaml", "etc/blupow/secrets.yaml"}
        assert "--purge" in capsys.readouterr().out
        assert shed.uninstall("--purge") == 0
        assert shed.files() == before
        assert not shed.at(installed.CONFIG_FOLDER).exists()
        assert not shed.at(installed.BLUETOOTH).parent.exists()

    def test_what_others_have_put_there_stays(self, shed: Shed) -> None:
        others = shed.at(installed.BLUETOOTH).with_name("experimental.conf")
        others.parent.mkdir(parents=True)
        others.write_text("[Service]\n")
        shed.install("--volatile-log")
        shed.uninstall("--purge")
        assert shed.files() == {str(others.relative_to(shed.root)): b"[Service]\n"}

    def test_who_can_read_the_secrets(self, shed: Shed) -> None:
        shed.install()
        entries = (line.split(":") for line in shed.at(Path("/etc/group")).read_text().splitlines())
        (group,) = [int(number) for name, _, number, *_ in entries if name == "blupow"]
        for name in ("proxy.yaml", "secrets.yaml"):
            state = (shed.at(installed.CONFIG_FOLDER) / name).stat()
            assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (0, group, 0o640)
        state = shed.at(installed.CONFIG_FOLDER).stat()
        assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (0, group, 0o750)

    def test_the_same_content_of_another_group_is_the_services_again(self, shed: Shed) -> None:
        shed.install()
        secrets = shed.at(installed.CONFIG_FOLDER) / "secrets.yaml"
        group = secrets.stat().st_gid
        os.chown(secrets, -1, 0)
        assert group != 0
        assert shed.install() == 0
        state = secrets.stat()
        assert (state.st_gid, stat.S_IMODE(state.st_mode)) == (group, 0o640)

    def test_who_can_read_what_was_written_in_etc_itself(self, shed: Shed) -> None:
        folder = shed.at(installed.CONFIG_FOLDER)
        folder.mkdir(mode=0o750)
        for source, name in ((shed.file, "proxy.yaml"), (shed.file.parent / "secrets.yaml", "secrets.yaml")):
            (folder / name).write_bytes(source.read_bytes())
            (folder / name).chmod(0o600)
        assert shed.install(file=shed.at(installed.CONFIG)) == 0
        group = folder.stat().st_gid
        assert group != 0
        for name in ("proxy.yaml", "secrets.yaml"):
            state = (folder / name).stat()
            assert (state.st_gid, stat.S_IMODE(state.st_mode)) == (group, 0o640)

    def test_a_configuration_that_was_changed_since_is_not_lost(self, shed: Shed, capsys: Capture) -> None:
        shed.install()
        changed = shed.at(installed.CONFIG)
        changed.write_text("esphome: {name: shed, area: Garden}\n")
        before = shed.files()
        assert shed.install() == 73
        assert shed.files() == before
        err = capsys.readouterr().err
        assert "keep it, by naming /etc/blupow/proxy.yaml instead" in err
        assert shed.install(file=changed) == 0
        assert "Garden" in changed.read_text()
        assert shed.install("--replace") == 0
        assert changed.read_bytes() == shed.file.read_bytes()

    def test_what_a_configuration_includes_comes_along(self, shed: Shed, capsys: Capture) -> None:
        folder = shed.file.parent
        (folder / "parts" / "inner").mkdir(parents=True)
        (folder / "parts" / "van.yaml").write_text("packages: [!include inner/api.yaml]\nesphome: {area: Van}\n")
        (folder / "parts" / "inner" / "api.yaml").write_text("api: {port: !secret port}\n")
        (folder / "parts" / "secrets.yaml").write_text("port: 6055\n")
        (folder / "parts" / "inner" / "secrets.yaml").write_text("port: 6056\n")
        (folder / "other.yaml").write_text("nobody: {includes: me}\n")
        shed.file.write_text("packages: [!include parts/van.yaml]\nesphome: {name: shed}\n")
        assert shed.install(file=folder / "parts" / ".." / shed.file.name) == 0
        copied = {name.removeprefix("etc/blupow/") for name in shed.files() if name.startswith("etc/blupow/")}
        assert copied == {"proxy.yaml", "parts/van.yaml", "parts/inner/api.yaml", "parts/inner/secrets.yaml"}
        config = load_config(shed.at(installed.CONFIG))
        assert (config.esphome.area, config.api.port) == ("Van", 6056)
        for path in (shed.at(installed.CONFIG_FOLDER) / "parts").rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640)
            assert path.stat().st_gid == shed.at(installed.CONFIG).stat().st_gid
        (folder / "parts" / "van.yaml").write_text("esphome: {area: Boat}\n")
        before = shed.files()
        assert shed.install() == 73
        assert "parts/van.yaml is there already" in capsys.readouterr().err
        assert shed.files() == before
        assert shed.install("--replace") == 0
        assert load_config(shed.at(installed.CONFIG)).esphome.area == "Boat"

    def test_the_log_stays_in_memory_only_where_asked_for(self, shed: Shed) -> None:
        shed.install("--volatile-log")
        assert "Storage=volatile" in shed.at(installed.JOURNAL).read_text()


def test_a_mistake_in_the_configuration_installs_nothing(shed: Shed, capsys: Capture) -> None:
    shed.file.write_text("esphome: {}\n")
    assert shed.install() == 78
    assert not shed.files()
    assert "esphome.name: is required" in capsys.readouterr().err


def test_the_right_to_recover_an_adapter_comes_and_goes_with_the_option(shed: Shed) -> None:
    plain = shed.file.read_text()
    shed.file.write_text(plain + "bluetooth: {auto_recovery: true}\n")
    assert shed.install() == 0
    assert "CAP_NET_ADMIN" in shed.at(installed.RECOVERY).read_text()
    shed.file.write_text(plain)
    assert shed.install("--replace") == 0
    assert not shed.at(installed.RECOVERY).exists()


def test_the_right_to_hear_advertisements_comes_and_goes_with_the_proxy_for_others(shed: Shed) -> None:
    plain = shed.file.read_text()
    shed.file.write_text(plain + "bluetooth_proxy:\n")
    assert shed.install() == 0
    rights = shed.at(installed.ADVERTISEMENTS).read_text()
    assert "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW\n" in rights
    assert "DeviceAllow" not in rights
    assert not shed.at(installed.RECOVERY).exists()
    shed.file.write_text(plain)
    assert shed.install("--replace") == 0
    assert not shed.at(installed.ADVERTISEMENTS).exists()


def test_a_file_that_would_take_the_place_of_the_configuration(shed: Shed, capsys: Capture) -> None:
    shed.file.with_name("proxy.yaml").write_text("esphome: {area: Van}\n")
    shed.file.write_text("packages: [!include proxy.yaml]\nesphome: {name: shed}\n")
    assert shed.install() == 73
    assert "which becomes /etc/blupow/proxy.yaml: rename proxy.yaml" in capsys.readouterr().err
    assert not shed.files()


def test_a_dry_run_prints_everything_but_secrets(shed: Shed, capsys: Capture) -> None:
    shed.file.write_text(shed.file.read_text() + "bluetooth: {auto_recovery: true}\nbluetooth_proxy:\n")
    assert shed.install("--dry-run", "--volatile-log") == 0
    assert not shed.files()
    out = capsys.readouterr().out
    assert f"ExecStart={sys.executable} -m blupow_proxy run /etc/blupow/proxy.yaml" in out
    written = set(installed.WRITTEN) - {installed.SUBSTITUTIONS}
    for path in (*written, installed.CONFIG, installed.CONFIG_FOLDER / "secrets.yaml"):
        assert str(shed.at(path)) in out
    assert "enable --force blupow-proxy" in out
    assert KEY not in out


def test_who_is_not_root_is_told_what_to_type(shed: Shed, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/home/pi/blupow/.venv/bin/blupow-proxy"])
    assert main(["install-service", "my shed.yaml"]) == 78
    shed.file = shed.file.rename(shed.file.with_name("my shed.yaml"))
    assert main(["install-service", str(shed.file)]) == 77
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.endswith(f": sudo /home/pi/blupow/.venv/bin/blupow-proxy install-service '{shed.file}'")
    assert main(["uninstall-service", "--purge"]) == 77
    assert capsys.readouterr().err.endswith("blupow-proxy uninstall-service --purge\n")


def test_substitutions_are_those_of_the_service(
    shed: Shed, host: "Host", capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shed.file.parent / "shed.inc").write_text("{name: $name}\n")
    shed.file.write_text("esphome: !include $part.inc\n")
    assert shed.install() == 78
    assert shed.install("-s", "part", "shed", "-s", "name", "boat") == 0
    drop_in = shed.at(installed.SUBSTITUTIONS)
    assert f'run -s "part" "shed" -s "name" "boat" {installed.CONFIG}' in drop_in.read_text()
    assert shed.at(installed.CONFIG_FOLDER / "shed.inc").exists()
    assert shed.install("-s", "part", "shed", "-s", "name", "van", file=shed.at(installed.CONFIG)) == 0
    assert '"van"' in drop_in.read_text()
    shed.file.write_text("esphome: {name: shed}\n")
    capsys.readouterr()
    assert shed.install("--replace") == 0
    assert not drop_in.exists()
    assert 'Before, it had: -s "part" "shed" -s "name" "van"\n' in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["install-service", "-s", "area", "My shed", str(shed.file)]) == 77
    assert capsys.readouterr().err.endswith(f"install-service -s area 'My shed' {shed.file}\n")


def test_variables_that_the_service_does_not_have_are_said(
    shed: Shed, host: "Host", capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shed.install() == 0
    assert "environment" not in capsys.readouterr().err
    monkeypatch.setenv("SHED_KEY", KEY)
    shed.file.write_text(
        "esphome: {name: shed, area: !include area.inc}\napi: {encryption: {key: !env_var SHED_KEY}}\n"
    )
    (shed.file.parent / "area.inc").write_text("!env_var SHED_AREA Garden\n")
    assert shed.install("--replace") == 0
    err = capsys.readouterr().err
    assert "takes SHED_AREA, SHED_KEY from the environment" in err
    assert "    Environment=SHED_AREA=...\n    Environment=SHED_KEY=...\n" in err
    assert "systemctl edit blupow-proxy" in err
    assert KEY not in err


class Host:
    """A machine that runs, with ``root`` for its file system and tools that only note that they were called."""

    def __init__(self, shed: Shed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = folder / "calls"
        tools = folder / "bin"
        tools.mkdir()
        for name in ("systemctl", "systemd-sysusers", "userdel", "groupdel"):
            (tools / name).write_text(
                f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n'
                f'case "$* $(echo {folder}/brok*)" in restart*blupow*/broken) echo "Job failed." >&2; exit 1;; esac\n'
            )
            (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tools), prepend=":")
        # the running machine's own file system is not for tests
        monkeypatch.setattr(service.Machine, "is_running", True)
        monkeypatch.setattr(service, "_SYSTEMD", folder)
        monkeypatch.setattr(service.os, "geteuid", lambda: 0)
        monkeypatch.setattr(service.os, "chown", lambda *_: None)
        monkeypatch.setattr(service.os, "fchown", lambda *_: None)
        monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=7))
        monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=7))
        monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir=str(folder / "home")))
        shed.at(Path("/etc/group")).write_text("blupow:x:990:\n")

    def take_calls(self) -> list[str]:
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return calls


@pytest.fixture
def host(shed: Shed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(shed, tmp_path, monkeypatch)


def test_a_running_machine_is_told_in_order(shed: Shed, host: Host) -> None:
    assert shed.install("--volatile-log") == 0
    assert host.take_calls() == [
        "systemd-sysusers blupow.conf",
        "systemctl daemon-reload",
        "systemctl restart systemd-journald",
        "systemctl enable --force blupow-proxy",
        "systemctl restart blupow-proxy",
    ]
    assert shed.install("--volatile-log") == 0
    assert "systemctl restart systemd-journald" not in host.take_calls()
    assert shed.uninstall("--purge") == 0
    assert host.take_calls() == [
        "systemctl disable --now blupow-proxy",
        "systemctl daemon-reload",
        "systemctl restart systemd-journald",
        "userdel blupow",
        "groupdel blupow",
    ]


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("host", "strict_umask")
def test_the_service_gets_to_its_configuration_whatever_roots_umask_is(shed: Shed) -> None:
    (shed.file.parent / "parts").mkdir()
    (shed.file.parent / "parts" / "van.yaml").write_text("esphome: {area: Van}\n")
    shed.file.write_text("packages: [!include parts/van.yaml]\nesphome: {name: shed}\n")
    folders = [shed.at(installed.CONFIG_FOLDER), shed.at(installed.CONFIG_FOLDER / "parts")]
    assert shed.install() == 0
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o750, 0o750]
    for folder in folders:
        folder.chmod(0o700)
    assert shed.install(file=shed.at(installed.CONFIG)) == 0
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o750, 0o750]


def test_the_service_goes_on_with_the_users_key(shed: Shed, host: Host, tmp_path: Path) -> None:
    before = folder_in_home(tmp_path / "home", "shed")
    before.mkdir(parents=True)
    (before / "key.json").write_text('{"key": "mine"}')
    (before / "link.json").symlink_to("/etc/shadow")
    assert shed.install("--dry-run") == 0
    assert not shed.at(installed.STATE).exists()
    assert shed.install() == 0
    state = shed.at(installed.STATE)
    assert [path.name for path in state.iterdir()] == ["key.json"]
    assert (state / "key.json").read_text() == '{"key": "mine"}'
    assert stat.S_IMODE((state / "key.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    (state / "key.json").write_text('{"key": "newer"}')
    assert shed.install() == 0
    assert "newer" in (state / "key.json").read_text(), "what the service has learned since is its own"
    assert shed.uninstall() == 0
    assert (state / "key.json").exists()


def test_a_service_that_has_another_key_than_the_user_says_so(
    shed: Shed, host: Host, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/pi/blupow/.venv/bin/blupow-proxy"])
    monkeypatch.setenv("SUDO_UID", "1000")
    home, state = folder_in_home(tmp_path / "home", "shed"), shed.at(installed.STATE)
    home.mkdir(parents=True)
    state.mkdir(parents=True)
    (home / "key.json").write_text('{"key": "mine"}')
    shed.file.write_text("esphome: {name: $name}\n")
    command = "sudo /home/pi/blupow/.venv/bin/blupow-proxy pair --forget -s name shed /etc/blupow/proxy.yaml\n"

    def said(*options: str) -> str:
        assert shed.install("-s", "name", "shed", *options) == 0
        return capsys.readouterr().err

    assert not said(), "a key that the service has not can't differ"
    (state / "key.json").write_text('{"key": "mine"}')
    assert not said()
    (state / "key.json").write_text('{"key": "another"}')
    for options in ((), ("--dry-run",)):
        err = said(*options)
        assert f"its own key, in /var/lib/blupow-proxy, and not with the one in {home}" in err
        assert err.endswith(command)
        assert "mine" not in err
    assert '"another"' in (state / "key.json").read_text()
    assert '"mine"' in (home / "key.json").read_text()
    shed.file.write_text(f"esphome: {{name: $name}}\napi: {{encryption: {{key: {KEY}}}}}\n")
    assert not said("--replace"), "with a key in the configuration, no other counts"


def test_a_service_that_does_not_start_is_said(shed: Shed, host: Host, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "broken").touch()
    assert shed.install() == 70
    assert "`systemctl restart blupow-proxy` failed: Job failed." in capsys.readouterr().err


def test_a_proxy_in_a_terminal_is_in_the_way(shed: Shed, host: Host, capsys: Capture) -> None:
    with socket.create_server(("", 0)) as terminal:
        shed.file.write_text(f"esphome: {{name: shed}}\napi: {{port: {terminal.getsockname()[1]}}}\n")
        assert shed.install() == 69
    assert "end that first" in capsys.readouterr().err
    assert not host.take_calls()


def test_no_bluez(shed: Shed, host: Host, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def missing(_name: str) -> None:
        raise KeyError

    monkeypatch.setattr(grp, "getgrnam", missing)
    assert shed.install() == 69
    assert "sudo apt install bluez" in capsys.readouterr().err


def test_no_systemd(shed: Shed, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    monkeypatch.setattr(service, "_SYSTEMD", tmp_path / "nowhere")
    assert shed.install() == 69
    assert "not run by systemd" in capsys.readouterr().err


def test_a_disk_that_takes_nothing(shed: Shed, host: Host, capsys: Capture) -> None:
    shed.at(installed.UNIT).parent.parent.mkdir(parents=True)
    shed.at(installed.UNIT).parent.write_text("a file where the folder should be")
    assert shed.install() == 74
    assert capsys.readouterr().err.startswith("blupow-proxy install-service: /")

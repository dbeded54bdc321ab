import os
import pwd
import socket
from pathlib import Path

import pytest
from ports import free_port

from blupow_config import ProxyConfig, load_config
from blupow_proxy.app import Proxy
from blupow_proxy.cli import main
from blupow_proxy.host.boots import CRASHES
from blupow_proxy.storage import Storage

Capture = pytest.CaptureFixture[str]


def configuration(folder: Path, text: str = "") -> str:
    path = folder / "shed.yaml"
    path.write_text("esphome: {name: shed}\nzeroconf: {disabled: true}\n" + text)
    return str(path)


@pytest.mark.parametrize("command", ["run", "pair"])
def test_a_user_without_a_home(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for variable in ("HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert main([command, configuration(tmp_path)]) == 78
    out, err = capsys.readouterr()
    assert not out
    assert err == (
        f"blupow-proxy {command}: this user has no home folder to keep the state in: choose one with --state-dir\n"
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", ["No units to read"]),
        ("bluetooth_proxy:\n", []),
        ("api: {encryption: false}\nbluetooth_proxy: {active: false}\n", []),
        ("api: {encryption: false}\nbluetooth_proxy:\n", ["`bluetooth_proxy:` lets no client connect while"]),
    ],
)
def test_what_is_odd_about_a_configuration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: str, said: list[str]
) -> None:
    with socket.create_server(("", 0)) as taken:
        port = f"port: {taken.getsockname()[1]}"
        text = more.replace("api: {", f"api: {{{port}, ") if "api:" in more else f"{more}api: {{{port}}}\n"
        assert main(["run", configuration(tmp_path, text), "--state-dir", str(tmp_path / "state")]) == 78
    logged = [record.getMessage() for record in caplog.records if record.name == "blupow_proxy.commands.run"]
    assert len(logged) == len(said)
    assert all(words in message for words, message in zip(said, logged, strict=True))


@pytest.mark.parametrize("secret", [False, True])
def test_a_port_that_is_taken(tmp_path: Path, capsys: Capture, *, secret: bool) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "secrets.yaml").write_text(f"port: {port}\n")
        path = configuration(tmp_path, f"api: {{port: {'!secret port' if secret else port}}}\n")
        assert main(["run", path, "--state-dir", str(tmp_path / "state")]) == 78
    err = capsys.readouterr().err
    assert f"can't listen on port {'<hidden>' if secret else port}: Address already in use" in err
    assert (str(port) in err) is not secret


@pytest.mark.parametrize("pressed", [False, True])
def test_it_starts_anew_with_a_right_configuration_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, pressed: bool
) -> None:
    """A start with a mistake would end the service for good: no Restart, and no end of safe mode, leads to one."""
    path = Path(configuration(tmp_path, f"api: {{port: {free_port()}}}\n"))
    right = path.read_text()
    contents = iter([right + "apy: 1\n", right])  # of the file, once it has been read
    real_start = Proxy.start

    def load(file: Path, substitutions: dict[str, str]) -> ProxyConfig:
        try:
            return load_config(file, substitutions)
        finally:
            path.write_text(next(contents, right))

    async def start(self: Proxy) -> None:
        await real_start(self)
        for _ in range(2 if pressed else 0):
            await self.server.on_command(self._entities.restart, None)

    started_with: list[str] = []
    monkeypatch.setattr("blupow_proxy.commands.run.load_config", load)
    monkeypatch.setattr(Proxy, "start", start)
    monkeypatch.setattr("blupow_proxy.app.SAFE_MODE_S", 60.0 if pressed else 0.05)
    monkeypatch.setattr(os, "execv", lambda *_: started_with.append(path.read_text()))
    Storage(tmp_path / "state").write("boots", {"crashes": CRASHES})
    assert main(["run", str(path), "--state-dir", str(tmp_path / "state")]) == 0
    assert started_with == [right]
    assert [message for message in caplog.messages if message.startswith("Not restarted: ")] == [
        f"Not restarted: {path}:4:1: apy: not a valid option"
    ]

import pwd
import socket
from pathlib import Path

import pytest

from blupow_proxy.cli import main

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

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from blupow_config import ApiConfig, BluetoothProxyConfig, EsphomeConfig, ProxyConfig
from blupow_proxy.ble.failures import BLOCKED, DBUS_AWAY
from blupow_proxy.cli import main
from blupow_proxy.commands.doctor.bluetooth import check_adapter, check_bluez, check_group, check_rfkill
from blupow_proxy.commands.doctor.configuration import check_configuration
from blupow_proxy.commands.doctor.finding import Finding, Verdict
from blupow_proxy.commands.doctor.forwarding import check_connections, check_rights
from blupow_proxy.commands.doctor.network import check_mdns, check_port
from blupow_proxy.commands.doctor.system import check_clock, check_service, check_state
from blupow_proxy.host import service

Capture = pytest.CaptureFixture[str]
FINE, NOTE, WRONG = Verdict.FINE, Verdict.NOTE, Verdict.WRONG


@pytest.mark.parametrize(
    ("version", "verdict", "words"),
    [("5.66", FINE, "5.66"), ("5.50", WRONG, "5.55 is needed"), ("6.0", FINE, ""), (None, WRONG, "apt install bluez")],
)
def test_bluez(version: str | None, verdict: Verdict, words: str) -> None:
    finding = check_bluez(version)
    assert finding.verdict is verdict
    assert words in finding.message


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ([], None),
        ([("wlan", "1", "1")], None),
        ([("bluetooth", "0", "0"), ("wlan", "1", "1")], (FINE, "not blocked")),
        ([("wlan", "0", "0"), ("bluetooth", "1", "0")], (WRONG, BLOCKED)),
        ([("bluetooth", "1", "1")], (WRONG, "by a switch")),
    ],
)
def test_rfkill(tmp_path: Path, switches: list[tuple[str, str, str]], expected: tuple[Verdict, str] | None) -> None:
    for number, (kind, soft, hard) in enumerate(switches):
        folder = tmp_path / f"rfkill{number}"
        folder.mkdir()
        for name, content in (("type", kind), ("soft", soft), ("hard", hard)):
            (folder / name).write_text(f"{content}\n")
    finding = check_rfkill(tmp_path)
    assert (finding is None) is (expected is None)
    if finding is not None and expected is not None:
        assert finding.verdict is expected[0]
        assert expected[1] in finding.message


def test_the_group() -> None:
    assert check_group(lambda _: SimpleNamespace(gr_gid=-1)).verdict is FINE

    def missing(name: str) -> None:
        raise KeyError(name)

    finding = check_group(missing)
    assert finding.verdict is WRONG
    assert "apt install bluez" in finding.message


def test_the_adapter_in_the_words_of_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    assert asyncio.run(check_adapter(None)) == Finding(WRONG, "Bluetooth adapter", DBUS_AWAY)


@contextmanager
def listener(answers: dict[bytes, bytes]) -> Iterator[int]:
    """Somebody on a port, who answers a greeting."""
    with socket.create_server(("", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(answers.get(connection.recv(100), b"\0"))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ({b"\x01\x00\x00": b"\x01\x00\x07\x01shed\0"}, FINE),
        ({b"\x00\x00\x01": b"\x00\x06\x02\x1a\x04shed"}, FINE),
        ({b"\x01\x00\x00": b"\x01\x00\x07\x01barn\0"}, WRONG),
        ({}, WRONG),
    ],
)
def test_who_is_on_the_port(answers: dict[bytes, bytes], verdict: Verdict) -> None:
    with listener(answers) as port:
        finding = check_port(port, "shed")
    assert finding.verdict is verdict
    if verdict is WRONG:
        assert f"can't listen on port {port}: Address already in use" in finding.message
        assert f"ss -ltnp sport = :{port}" in finding.message


def test_a_port_that_is_free() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    assert check_port(port, "shed").verdict is FINE


def test_mdns_is_shared_or_not() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as selfish:
        selfish.bind(("", 0))
        port = selfish.getsockname()[1]
        finding = check_mdns(port)
        assert finding.verdict is WRONG
        assert f"ss -lunp sport = :{port}" in finding.message
    assert check_mdns(port).verdict is not WRONG


@pytest.mark.parametrize(
    ("said", "there", "verdict"),
    [("yes", False, FINE), ("no", True, FINE), ("no", False, NOTE), (None, False, NOTE), (None, True, FINE)],
)
def test_the_clock(tmp_path: Path, said: str | None, there: bool, verdict: Verdict) -> None:
    file = tmp_path / "synchronized"
    if there:
        file.touch()
    assert check_clock(file, lambda *_: said).verdict is verdict


@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [
        (None, NOTE, "not run by systemd"),
        ("LoadState=not-found\nActiveState=inactive", NOTE, "install-service FILE"),
        ("LoadState=loaded\nActiveState=active\nNRestarts=0\nStatusText=all well", FINE, "runs: all well"),
        ("LoadState=loaded\nActiveState=active\nNRestarts=3\nStatusText=", FINE, "started anew 3 times"),
        ("LoadState=loaded\nActiveState=inactive", WRONG, "sudo systemctl start blupow-proxy"),
        (
            "LoadState=loaded\nActiveState=failed\nResult=exit-code\nStatusText=shed.yaml: empty",
            WRONG,
            "does not run: shed.yaml: empty; `journalctl -u blupow-proxy -n 20` says more",
        ),
        ("LoadState=loaded\nActiveState=activating\nResult=watchdog\nNRestarts=2", WRONG, "2 times: watchdog"),
    ],
)
def test_the_service(tmp_path: Path, said: str | None, verdict: Verdict, words: str) -> None:
    config = tmp_path / "proxy.yaml"
    config.touch()
    finding = check_service(lambda *_: said, config)
    assert finding.verdict is verdict
    assert words in finding.message


def test_a_package_that_has_just_been_installed(tmp_path: Path) -> None:
    finding = check_service(lambda *_: "LoadState=loaded\nActiveState=inactive", tmp_path / "proxy.yaml")
    assert finding.verdict is NOTE
    assert "install-service FILE" in finding.message


@pytest.mark.parametrize(
    ("forwarding", "encryption", "verdict", "words"),
    [
        (BluetoothProxyConfig(connection_slots=2), True, FINE, "2 connections"),
        (BluetoothProxyConfig(), False, NOTE, "or write `active: false`"),
        (BluetoothProxyConfig(active=False), False, FINE, "nobody connects"),
    ],
)
def test_connections_to_other_devices(
    forwarding: BluetoothProxyConfig, encryption: bool, verdict: Verdict, words: str
) -> None:
    esphome = EsphomeConfig(name="shed", friendly_name="Shed")
    config = ProxyConfig(esphome=esphome, api=ApiConfig(encryption=encryption), bluetooth_proxy=forwarding)
    finding = check_connections(config)
    assert finding.verdict is verdict
    assert words in finding.message


@pytest.mark.parametrize(
    ("file", "said", "capabilities", "sockets", "verdict", "words"),
    [
        (service.CONFIG, "LoadState=loaded\nAmbientCapabilities=cap_net_admin cap_net_raw", 0, True, FINE, "service"),
        (service.CONFIG, "LoadState=loaded\nAmbientCapabilities=cap_net_admin", 0, False, NOTE, "can't end a link"),
        (service.CONFIG, "LoadState=loaded\nAmbientCapabilities=", 1 << 12, True, NOTE, "install-service /etc/blupow/"),
        (service.CONFIG, "LoadState=not-found\nAmbientCapabilities=", 3 << 12, True, FINE, "this user"),
        (service.CONFIG, "LoadState=not-found\nAmbientCapabilities=", 1 << 12, True, NOTE, "that takes the capability"),
        (service.CONFIG, None, 0, True, NOTE, "compose.yaml says how a container gets it"),
        (Path("a.yaml"), "LoadState=loaded\nAmbientCapabilities=cap_net_admin", 1 << 13, True, NOTE, "has the right"),
        (Path("shed.yaml"), "", (1 << 41) - 1, True, FINE, "this user"),
        (Path("shed.yaml"), "", 1 << 12, False, NOTE, "no Bluetooth"),
    ],
)
def test_who_hears_advertisements_as_they_were_sent(
    tmp_path: Path, file: Path, said: str | None, capabilities: int, sockets: bool, verdict: Verdict, words: str
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapPrm:\t{2**41 - 1:016x}\nCapEff:\t{capabilities:016x}\nCapBnd:\t0\n")
    finding = check_rights(file, lambda *_: said, status, lambda: sockets)
    assert finding.verdict is verdict
    assert words in finding.message


def test_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    assert check_state(folder).verdict is FINE
    assert not folder.exists()
    (tmp_path / "key.json").write_text("{}")
    (tmp_path / "key.json").chmod(0o644)
    finding = check_state(tmp_path)
    assert finding.verdict is WRONG
    assert finding.message == f"others can read the key: chmod 600 {tmp_path / 'key.json'}"
    (tmp_path / "key.json").chmod(0o600)
    assert check_state(tmp_path).verdict is FINE
    finding = check_state(tmp_path / "key.json" / "folder")
    assert finding.verdict is WRONG
    assert "can't be written to" in finding.message


def test_the_secrets_in_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "shed.yaml"
    file.write_text("esphome: {name: shed}\napi: {encryption: {key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}\n")
    for mode, verdicts in ((0o644, [FINE, WRONG]), (0o640, [FINE])):
        file.chmod(mode)
        config, findings = check_configuration(file)
        assert config is not None
        assert [finding.verdict for finding in findings] == verdicts
    file.write_text("esphome: {nam: shed}\n")
    config, findings = check_configuration(file)
    assert config is None
    assert [finding.verdict for finding in findings] == [WRONG, WRONG]


@pytest.mark.parametrize("bus", [True, False])
def test_the_command(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, bus: bool) -> None:
    """On this machine as it is; without a bus, something is wrong for sure."""
    if not bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    file = tmp_path / "shed.yaml"
    file.write_text("esphome: {name: $name}\n")
    given = ["doctor", "-s", "name", "shed", str(file), "--state-dir", str(tmp_path / "s")]
    code = main([*given, "--json"])
    found = {it["subject"]: it for it in json.loads(capsys.readouterr().out)}
    assert found["configuration"]["message"] == f"{file} is right, with 0 units"
    assert {"BlueZ", "group bluetooth", "Bluetooth adapter", "port", "mDNS", "clock", "state", "service"} <= set(found)
    assert code == (1 if any(it["verdict"] == "wrong" for it in found.values()) else os.EX_OK)
    if not bus:
        assert found["Bluetooth adapter"] == {
            "verdict": "wrong",
            "subject": "Bluetooth adapter",
            "message": DBUS_AWAY,
        }
    assert "advertisements" not in found
    file.write_text("esphome: {name: $name}\nbluetooth_proxy:\n")
    main([*given, "--json"])
    found = {it["subject"]: it for it in json.loads(capsys.readouterr().out)}
    assert found["Bluetooth proxy"]["verdict"] == "fine"
    assert found["advertisements"]["verdict"] in ("fine", "note")
    main(given)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found)
    assert lines[0].split() == ["fine", "configuration", *found["configuration"]["message"].split()]

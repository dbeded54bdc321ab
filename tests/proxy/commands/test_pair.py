from pathlib import Path

import pytest

from blupow_proxy.cli import main
from blupow_proxy.host import service
from blupow_proxy.keys import PROVISIONING_S, FileKeyStore, forget_key
from blupow_proxy.native_api import Mode, encode_key
from blupow_proxy.storage import Storage, default_folder, stable_mac

KEY = bytes(range(32))
Capture = pytest.CaptureFixture[str]


class Proxy:
    """What a proxy keeps on disk, and its view of it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.state = folder / "shed.yaml", folder / "state"
        self.configure("esphome: {name: shed}\n")
        self.now = 100.0

    def configure(self, text: str) -> None:
        self.file.write_text(text)

    def start(self) -> FileKeyStore:
        stable_mac(Storage(self.state), "shed")
        return FileKeyStore(Storage(self.state), encryption=True, configured=None, clock=lambda: self.now)

    def pair(self, *options: str) -> int:
        return main(["pair", str(self.file), "--state-dir", str(self.state), *options])


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path)


def test_opens_the_time_to_pair_again(proxy: Proxy, capsys: Capture) -> None:
    keys = proxy.start()
    proxy.now += PROVISIONING_S
    assert keys.poll()
    assert proxy.pair() == 0
    assert capsys.readouterr().out == "A client may set the key within the next 10 minutes.\n"
    assert keys.poll()
    assert keys.mode is Mode.PROVISIONING


def test_the_configuration_is_read_with_the_proxys_substitutions(proxy: Proxy) -> None:
    proxy.start()
    proxy.configure("esphome: {name: $name}\n")
    assert proxy.pair() == 78
    assert proxy.pair("-s", "name", "shed") == 0


def test_a_key_is_only_forgotten_when_asked_to(proxy: Proxy, capsys: Capture) -> None:
    keys = proxy.start()
    keys.store(KEY)
    keys.poll()
    assert proxy.pair() == 64
    out, err = capsys.readouterr()
    assert not out
    assert "paired already" in err
    assert "--forget" in err
    assert not keys.poll()
    assert keys.key == KEY
    assert proxy.pair("--forget") == 0
    assert keys.poll()
    assert (keys.mode, keys.key) == (Mode.PROVISIONING, None)
    assert proxy.pair("--forget") == 0


@pytest.mark.parametrize(
    ("api", "advice"),
    [
        (f"encryption: {{key: {encode_key(KEY)}}}", "the key is in"),
        ("encryption: false", "there is no key to set"),
    ],
)
def test_a_configuration_that_lets_nobody_set_a_key(proxy: Proxy, capsys: Capture, api: str, advice: str) -> None:
    proxy.start()
    proxy.configure(f"esphome: {{name: shed}}\napi: {{{api}}}\n")
    for options in ([], ["--forget"]):
        assert proxy.pair(*options) == 78
        out, err = capsys.readouterr()
        assert not out
        assert advice in err
        assert str(proxy.file) in err
        assert encode_key(KEY) not in err
    assert not (proxy.state / "pair.json").exists()


def test_mistakes_are_those_of_config(proxy: Proxy, capsys: Capture) -> None:
    proxy.configure("esphome: {name: A}\napi: {port: x}\n")
    assert main(["config", str(proxy.file)]) == 78
    expected = capsys.readouterr().err
    assert proxy.pair() == 78
    assert capsys.readouterr().err == expected
    proxy.file.unlink()
    assert proxy.pair() == 78
    assert "no such file" in capsys.readouterr().err
    assert not proxy.state.exists()


def test_a_folder_that_no_proxy_has_run_with(proxy: Proxy, capsys: Capture) -> None:
    assert proxy.pair() == 69
    assert not proxy.state.exists()
    proxy.state.write_text("a file, not a folder")
    assert proxy.pair() == 69
    out, err = capsys.readouterr()
    assert not out
    for line in err.splitlines():
        assert str(proxy.state) in line
        assert "--state-dir" in line


def test_a_folder_of_another_user(proxy: Proxy, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.start()
    (proxy.state / "pair.json").mkdir()  # as good as not writable, and root is refused as well
    assert proxy.pair() == 77

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    assert proxy.pair() == 77
    out, err = capsys.readouterr()
    assert not out
    assert err.count("run it as the user that the proxy runs as") == 2


def test_a_full_disk_forgets_no_key(proxy: Proxy, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = proxy.start()
    keys.store(KEY)
    monkeypatch.setattr(Storage, "write", lambda *_: False)
    assert proxy.pair("--forget") == 77
    assert "can't write to" in capsys.readouterr().err
    assert not keys.poll()
    assert proxy.start().key == KEY


@pytest.mark.parametrize("full", [False, True])
def test_a_proxy_that_looks_before_the_key_is_gone(
    proxy: Proxy, capsys: Capture, monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    keys = proxy.start()
    keys.store(KEY)

    def looked_at_before(storage: Storage) -> bool:
        assert not keys.poll()
        assert keys.key == KEY
        if full:
            (storage.folder / "pair.json").mkdir()  # as good as not writable, and root is refused as well
        return forget_key(storage)

    monkeypatch.setattr("blupow_proxy.keys.forget_key", looked_at_before)
    assert proxy.pair("--forget") == (74 if full else 0)
    out, err = capsys.readouterr()
    if full:
        assert not out
        assert "the key is forgotten" in err
        assert "restart it, and a client may set the key within 10 minutes" in err
        keys = proxy.start()
    else:
        assert keys.poll()
    assert (keys.mode, keys.key) == (Mode.PROVISIONING, None)


def test_the_service_is_another_proxy(
    tmp_path: Path, proxy: Proxy, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(service, "UNIT", tmp_path / "blupow-proxy.service")
    proxy.state = default_folder("shed")
    proxy.start().store(KEY)
    for installed in (False, True):
        if installed:
            service.UNIT.touch()
        assert main(["pair", str(proxy.file), "--forget"]) == 0
        said = capsys.readouterr().out
        assert ("pair --forget /etc/blupow/proxy.yaml" in said) is installed
    assert proxy.pair() == 0  # whoever names the folder knows which proxy it is
    assert "/etc" not in capsys.readouterr().out

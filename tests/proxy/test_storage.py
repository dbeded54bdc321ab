import os
import stat
import threading
from pathlib import Path

import pytest

from blupow_proxy import storage as module
from blupow_proxy.storage import Storage, default_folder, stable_mac


def test_what_is_written_is_read_again_by_others_too(tmp_path: Path) -> None:
    assert Storage(tmp_path / "a" / "b").write("units", {"x": [1]})
    assert Storage(tmp_path / "a" / "b").read("units") == {"x": [1]}
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["units.json"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    Storage(tmp_path / "state").write("key", {"key": "x"})
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "key.json").stat().st_mode) == 0o600


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    one = Storage(tmp_path)
    one.write("units", {"x": 1})
    before = (tmp_path / "units.json").stat().st_ino
    assert one.write("units", {"x": 1})
    assert (tmp_path / "units.json").stat().st_ino == before
    one.write("units", {"x": 2})
    assert (tmp_path / "units.json").stat().st_ino != before


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff", b'{"a": 1', b"[" * 100_000])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "units.json").write_bytes(damage)
    assert Storage(tmp_path).read("units") is None
    assert len(caplog.records) == 1


def test_nothing_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Storage(tmp_path / "none").read("units") is None
    assert not Storage(tmp_path).take("units")
    assert not caplog.records


def test_what_is_discarded_is_gone_now_whoever_has_deleted_it(tmp_path: Path) -> None:
    one = Storage(tmp_path)
    one.write("key", {"key": "x"})
    assert one.discard("key")
    assert one.read("key") is None
    assert one.discard("key")
    (tmp_path / "key.json").mkdir()
    assert not one.discard("key")


def test_what_is_discarded_stays_gone_without_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, synced = Storage(tmp_path / "state"), []
    assert one.discard("key"), "where there is no folder, there is no document"
    one.write("key", {"key": "x"})

    def fsync(descriptor: int) -> None:
        assert os.fstat(descriptor).st_ino == one.folder.stat().st_ino
        synced.append(one.has("key"))
        if len(synced) == 1:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "fsync", fsync)
    assert not one.discard("key")
    assert one.discard("key"), "the second time, it is no longer there, but only now that is certain"
    assert synced == [False, False]


@pytest.mark.parametrize("failing", ["fsync", "fdopen"])
def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch, caplog, failing: str) -> None:
    one = Storage(tmp_path)
    one.write("units", {"x": 1})

    def full(descriptor: int, *_: object) -> None:
        if failing == "fdopen":
            os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, failing, full)
    assert not one.write("units", {"x": 2})
    assert not one.write("units", {"x": 3})
    assert one.read("units") == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["units.json"]
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1]


def test_what_is_written_soon_waits_for_nobody_and_the_latest_stays(tmp_path: Path, monkeypatch) -> None:
    one, goes_on, synced = Storage(tmp_path), threading.Event(), []

    def slow(descriptor: int) -> None:
        synced.append(descriptor)
        assert goes_on.wait(10)

    monkeypatch.setattr(module.os, "fsync", slow)
    for number in range(100):
        one.write_soon("units", {"x": number})
        one.write_soon("visited", {"x": number})
    goes_on.set()
    one.flush()
    assert one.read("units") == one.read("visited") == {"x": 99}
    assert len(synced) <= 6  # a file and its folder: at most one each that came too early


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/blupow:/other")
    assert default_folder("shed") == Path("/var/lib/blupow")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder("shed") == tmp_path / "blupow-proxy" / "shed"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/pi")
    assert default_folder("shed") == Path("/home/pi/.local/state/blupow-proxy/shed")


def interface(folder: Path, name: str, mac: str, *, physical: bool = True) -> None:
    (folder / name).mkdir()
    (folder / name / "address").write_text(mac + "\n")
    if physical:
        (folder / name / "device").mkdir()


def test_the_mac_is_the_hosts_own_and_stable(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    interface(net, "lo", "00:00:00:00:00:00")
    interface(net, "docker0", "02:42:00:00:00:01", physical=False)
    interface(net, "eth0", "dc:a6:32:00:00:01")
    first = stable_mac(Storage(tmp_path / "a"), "shed", net)
    assert int(first[:2], 16) & 3 == 2
    assert stable_mac(Storage(tmp_path / "lost"), "shed", net) == first
    assert stable_mac(Storage(tmp_path / "b"), "van", net) != first
    (net / "eth0" / "address").write_text("dc:a6:32:00:00:02\n")
    assert stable_mac(Storage(tmp_path / "a"), "shed", net) == first


def test_a_host_without_interfaces_keeps_a_random_mac(tmp_path: Path) -> None:
    none = tmp_path / "none"
    kept = Storage(tmp_path / "a")
    first = stable_mac(kept, "shed", none, none)
    assert stable_mac(kept, "shed", none, none) == first
    assert stable_mac(Storage(tmp_path / "b"), "shed", none, none) != first


@pytest.fixture
def no_disk(tmp_path: Path) -> Storage:
    """A folder that nobody can make, not even root."""
    (tmp_path / "file").write_text("")
    return Storage(tmp_path / "file" / "state")


def test_without_interfaces_and_disk_the_machine_id_keeps_the_mac(tmp_path: Path, no_disk: Storage) -> None:
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")
    first = stable_mac(no_disk, "shed", tmp_path / "none", machine_id)
    assert int(first[:2], 16) & 3 == 2
    assert stable_mac(no_disk, "shed", tmp_path / "none", machine_id) == first
    assert stable_mac(no_disk, "van", tmp_path / "none", machine_id) != first
    machine_id.write_text("0123456789abcdef0123456789abcdee\n")
    assert stable_mac(no_disk, "shed", tmp_path / "none", machine_id) != first


@pytest.mark.parametrize("content", [b"", b"uninitialized\n", b"\xff" * 32, b"0123"])
def test_what_is_no_machine_id_makes_no_mac(tmp_path: Path, no_disk: Storage, content: bytes) -> None:
    machine_id = tmp_path / "machine-id"
    machine_id.write_bytes(content)
    first = stable_mac(no_disk, "shed", tmp_path / "none", machine_id)
    assert stable_mac(no_disk, "shed", tmp_path / "none", machine_id) != first


@pytest.mark.parametrize("mac", ["zz", "", "02:AA:BB:CC:DD", "02:AA:BB:CC:DD:EE:FF", "02-AA-BB-CC-DD-EE", 5, None])
def test_a_damaged_identity_is_made_anew(tmp_path: Path, mac: object, caplog: pytest.LogCaptureFixture) -> None:
    net, state = tmp_path / "net", Storage(tmp_path / "a")
    net.mkdir()
    interface(net, "eth0", "dc:a6:32:00:00:01")
    right = stable_mac(Storage(tmp_path / "b"), "shed", net)
    state.write("identity", {"mac": mac})
    assert stable_mac(state, "shed", net) == right
    assert state.read("identity") == {"mac": right}
    assert [record.getMessage().count("holds no MAC") for record in caplog.records] == [1]


def test_an_identity_may_be_set_by_hand(tmp_path: Path) -> None:
    state = Storage(tmp_path)
    state.write("identity", {"mac": "02:aa:bb:cc:dd:ee"})
    assert stable_mac(state, "shed") == "02:AA:BB:CC:DD:EE"

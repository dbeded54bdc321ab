from pathlib import Path

import pytest

from blupow_proxy.keys import PROVISIONING_S, FileKeyStore, forget_key, request_pairing
from blupow_proxy.native_api import Mode
from blupow_proxy.storage import Storage

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys(folder: Path, clock: Clock, *, encryption: bool = True, configured: bytes | None = None) -> FileKeyStore:
    return FileKeyStore(Storage(folder), encryption=encryption, configured=configured, clock=clock)


def test_plaintext(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock, encryption=False)
    assert (store.mode, store.key, store.changeable) == (Mode.PLAINTEXT, None, False)


def test_a_configured_key_can_not_be_changed(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock, configured=KEY)
    assert (store.mode, store.key, store.changeable) == (Mode.ENCRYPTED, KEY, False)


def test_a_client_may_set_the_key_for_ten_minutes(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    assert (store.mode, store.changeable) == (Mode.PROVISIONING, True)
    clock.now += PROVISIONING_S - 1
    assert store.mode is Mode.PROVISIONING
    clock.now += 1
    assert (store.mode, store.changeable) == (Mode.CLOSED, False)
    assert store.poll()
    assert not store.poll()


def test_a_key_that_was_set_survives_a_restart_and_can_be_changed(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    assert store.store(KEY)
    assert not store.poll()
    assert (store.mode, store.key) == (Mode.ENCRYPTED, KEY)
    again = keys(tmp_path, clock)
    assert (again.mode, again.key, again.changeable) == (Mode.ENCRYPTED, KEY, True)
    assert again.store(OTHER)
    assert keys(tmp_path, clock).key == OTHER


def test_a_key_that_is_forgotten_may_be_set_again(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    store.store(KEY)
    clock.now += PROVISIONING_S
    assert store.store(None)
    assert store.mode is Mode.PROVISIONING
    assert keys(tmp_path, clock).key is None


def test_no_answer_of_success_without_the_disk(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keys(tmp_path, clock)
    assert not store.store(b"short")
    monkeypatch.setattr(Storage, "write", lambda *_: False)
    assert not store.store(KEY)
    assert store.key is None
    monkeypatch.undo()
    store.store(KEY)
    monkeypatch.setattr(Storage, "discard", lambda *_: False)
    assert not store.store(None)
    assert store.key == KEY


@pytest.mark.parametrize("content", [{}, {"key": "x"}, {"key": 5}, {"key": "A" * 43 + "="}])
def test_a_damaged_key_lets_nobody_in(tmp_path: Path, clock: Clock, content: dict) -> None:
    storage = Storage(tmp_path)
    storage.write("key", content)
    store = keys(tmp_path, clock)
    assert (store.mode, store.changeable, store.damaged) == (Mode.CLOSED, False, True)
    assert request_pairing(storage)
    assert not store.poll()
    assert forget_key(storage)
    assert request_pairing(storage)
    assert store.poll()
    assert store.mode is Mode.PROVISIONING


def test_what_changes_nothing_is_no_reason_to_wait_longer(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    clock.now += PROVISIONING_S - 1
    assert store.store(None)
    clock.now += 1
    assert store.mode is Mode.CLOSED


def test_a_key_that_was_forgotten_by_hand_is_noticed(tmp_path: Path, clock: Clock) -> None:
    storage = Storage(tmp_path)
    store = keys(tmp_path, clock)
    store.store(KEY)
    assert not store.poll()
    assert forget_key(storage)
    assert request_pairing(storage)
    assert store.poll()
    assert (store.mode, store.key) == (Mode.PROVISIONING, None)


def test_a_key_whose_file_is_gone_can_be_forgotten(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    store.store(KEY)
    Storage(tmp_path).discard("key")
    assert store.store(None)
    assert store.key is None


def test_a_configured_key_hides_a_stored_one(tmp_path: Path, clock: Clock) -> None:
    keys(tmp_path, clock).store(OTHER)
    assert keys(tmp_path, clock, configured=KEY).key == KEY


def test_pairing_opens_the_time_again(tmp_path: Path, clock: Clock) -> None:
    store = keys(tmp_path, clock)
    clock.now += PROVISIONING_S
    assert store.poll()
    assert request_pairing(Storage(tmp_path))
    assert store.poll()
    assert store.mode is Mode.PROVISIONING
    clock.now += PROVISIONING_S
    assert store.mode is Mode.CLOSED


def test_no_key_in_a_repr_or_log(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    store = keys(tmp_path, clock, configured=KEY)
    assert "AAECAwQF" not in repr(store) + caplog.text

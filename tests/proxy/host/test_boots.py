from pathlib import Path

import pytest

from blupow_proxy.host import Boots
from blupow_proxy.host.boots import CRASHES
from blupow_proxy.storage import Storage


class BurntOutError(Exception):
    pass


def crash(storage: Storage, error: BaseException) -> str:
    told: list[str] = []
    with pytest.raises(type(error)), Boots(storage, told.append):
        raise error
    return "".join(told)


def killed(storage: Storage) -> None:
    Boots(storage).__enter__()


def test_five_crashes_in_a_row_lead_to_safe_mode(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES):
        assert Boots(storage).safe_mode is None
        told = crash(storage, BurntOutError("a\nfuse"))
    assert told.startswith("crashed: ")
    assert "BurntOutError: a fuse in test_boots.py, line " in told
    reason = Boots(storage).safe_mode
    assert reason is not None
    assert told.removeprefix("crashed: ") in reason
    assert "after 5 crashes in a row, the last: " in reason
    assert "Press Restart" in reason


def test_a_long_story_fits_a_state_of_home_assistant(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES):
        crash(storage, BurntOutError("fuse " * 1000))
    assert len(f"Bluetooth is {Boots(storage).safe_mode}") <= 245


def test_of_several_failures_the_first_is_told(tmp_path: Path) -> None:
    group = ExceptionGroup("several", [ExceptionGroup("inner", [BurntOutError("fuse")]), ValueError("other")])
    assert "BurntOutError: fuse" in crash(Storage(tmp_path), group)


def test_a_process_that_was_killed_counts(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES + 3):
        killed(storage)
    reason = Boots(storage).safe_mode
    assert reason is not None
    assert "after 5 crashes in a row, the last: it was killed" in reason


@pytest.mark.parametrize("ended", [None, KeyboardInterrupt(), SystemExit(0)])
def test_an_end_in_order_forgets_the_crashes(tmp_path: Path, ended: BaseException | None) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES):
        killed(storage)
    if ended is None:
        with Boots(storage):
            pass
    else:
        crash(storage, ended)
    assert Boots(storage).safe_mode is None
    assert not storage.has("boots")


def test_a_good_start_writes_once_more_and_never_again(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    killed(storage)
    boots = Boots(storage)
    with boots:
        boots.good()
        assert not storage.has("boots")
    assert not storage.has("boots")


def test_after_a_good_start_a_crash_is_the_first(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES - 1):
        killed(storage)
    boots = Boots(storage)
    boots.__enter__()
    boots.good()
    boots.__exit__(BurntOutError, BurntOutError(), None)
    assert storage.read("boots") is not None
    assert Boots(storage).safe_mode is None


def test_on_probation_one_more_crash_leads_back(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for _ in range(CRASHES):
        crash(storage, BurntOutError("fuse"))
    with Boots(storage) as boots:
        boots.good()  # it has lived for a minute, in safe mode
        boots.on_probation()
    assert Boots(storage).safe_mode is None
    killed(storage)
    assert Boots(storage).safe_mode is not None


@pytest.mark.parametrize("content", ["[]", "{", '{"crashes": "many", "error": 7}'])
def test_a_damaged_count_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "boots.json").write_text(content)
    assert Boots(Storage(tmp_path)).safe_mode is None


def test_a_disk_that_is_full_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Boots(Storage(tmp_path / "file" / "folder")) as boots:
        assert boots.safe_mode is None
        boots.good()

"""The devices that may have been left connected."""

from collections.abc import Collection
from pathlib import Path

import pytest

from blupow_proxy.storage import Storage
from blupow_proxy.visited import MAX_VISITED, PAUSE_S, WRITES, Visited


async def ended(visited: Visited) -> list[str]:
    told: list[str] = []

    async def end(addresses: Collection[str]) -> None:
        told.extend(addresses)

    await visited.let_go(end)
    return told


async def test_they_are_known_after_a_kill_and_the_latest_are_kept(tmp_path: Path) -> None:
    visited = Visited(storage := Storage(tmp_path))
    assert await ended(visited) == []
    for number in range(MAX_VISITED):
        visited.add(f"device {number}")
    visited.add("device 0")  # again, which makes it one of the latest
    visited.add("one more")
    visited.save(0.0)
    storage.flush()
    known = await ended(Visited(Storage(tmp_path)))
    assert len(known) == MAX_VISITED
    assert {"device 0", "device 2", "one more"} <= set(known)
    assert "device 1" not in known


async def test_what_is_linked_stays_known_however_long_ago_it_was_connected(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    visited = Visited(storage, lambda address: address == "for weeks")
    visited.add("for weeks")
    for number in range(2 * MAX_VISITED):
        visited.add(f"device {number}")
    assert "for weeks" in visited
    assert f"device {2 * MAX_VISITED - 1}" in visited
    assert len(await ended(visited)) == MAX_VISITED


def test_only_a_new_one_is_written_and_not_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(tmp_path)
    written: list[object] = []
    monkeypatch.setattr(storage, "write_soon", lambda _name, content: written.append(list(content["addresses"])))
    visited = Visited(storage)
    visited.save(0.0)
    visited.add("one")
    visited.save(1.0)
    visited.add("one")
    visited.save(100.0)
    assert written == [["one"]]
    for number in range(2 * WRITES):
        visited.add(f"of one that changes its address {number}")
        visited.save(101.0)
    assert len(written) == WRITES + 1  # one has come back meanwhile
    visited.save(102.0)
    assert len(written) == WRITES + 1
    visited.save(101.0 + PAUSE_S)
    assert len(written) == WRITES + 2


async def test_all_that_are_connected_at_first_are_known_after_a_kill(tmp_path: Path) -> None:
    visited = Visited(storage := Storage(tmp_path))
    for second, address in enumerate(("one", "two", "three")):
        visited.add(address)
        visited.save(float(second))
    storage.flush()
    assert await ended(Visited(Storage(tmp_path))) == ["one", "two", "three"]


@pytest.mark.parametrize("content", [{}, {"addresses": "AA:BB"}, {"addresses": [1, None, {}]}])
async def test_a_foreign_file_is_none(tmp_path: Path, content: dict[str, object]) -> None:
    Storage(tmp_path).write("visited", content)
    assert await ended(Visited(Storage(tmp_path))) == []

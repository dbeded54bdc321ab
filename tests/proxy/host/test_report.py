import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from blupow_proxy.host import Notifier, Report, report
from blupow_proxy.poller import Progress, Unit, UnitSpec, progress


class Heard(Notifier):
    def __init__(self) -> None:
        super().__init__({})
        self.watchdog_s = 0.2
        self.food = 0
        self.said: list[str] = []

    def alive(self) -> None:
        self.food += 1

    def status(self, text: str) -> None:
        if self.said[-1:] != [text]:
            self.said.append(text)


@dataclass
class Reader:
    units: Sequence[Unit]
    progress: Progress


def reader(*names: str) -> Reader:
    units = [Unit(UnitSpec(id=name.lower(), name=name, address="C4:D3:6A:00:00:01")) for name in names]
    return Reader(units, Progress())


async def run_for(seconds: float, telling: Report) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await telling.run()


async def test_plain_words() -> None:
    heard, one, two = Heard(), reader("Rover", "Battery"), reader("Shunt")
    one.units[0].connected = True
    two.units[0].down("not heard", quiet=True)
    telling = Report(heard, [one, two], lambda: None)
    telling.troubles["reload"] = "not reloaded: shed.yaml: empty"
    await run_for(0.15, telling)
    expected = "not reloaded: shed.yaml: empty; 1 of 3 units connected; Battery: starting; Shunt: not heard"
    assert heard.said == [expected]
    assert heard.food >= 2


async def test_nothing_to_read() -> None:
    heard = Heard()
    await run_for(0.05, Report(heard, [], lambda: None))
    assert heard.said == ["no units to read"]


async def test_one_reader_that_is_stuck_starves_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "STEP_S", 0.0)
    monkeypatch.setattr(report, "GOOD_S", 0.0)
    heard, one, two = Heard(), reader("Rover"), reader("Shunt")
    one.progress.step(wait_s=60)  # patient
    two.progress.step()  # late at once
    await asyncio.sleep(0.01)
    good: list[bool] = []
    telling = Report(heard, [one, two], lambda: good.append(True))
    await run_for(0.15, telling)
    assert not heard.food
    assert not good, "such a start was no good one"
    assert heard.said[-1].startswith("Shunt: reading is stuck; 0 of 2 units connected")
    assert caplog.text.count("Shunt: reading is stuck") == 1
    two.progress.step(wait_s=60)
    await run_for(0.15, telling)
    assert heard.food >= 2
    assert good == [True], "once"


async def test_who_has_not_started_is_not_late() -> None:
    assert not Progress().is_late


async def test_readers_come_first_after_the_process_was_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "STEP_S", 0.2)
    one = reader("Rover")

    async def read() -> None:
        while True:
            one.progress.step()
            await asyncio.sleep(0.02)
            await asyncio.sleep(0.02)

    reading = asyncio.create_task(read())
    asyncio.get_running_loop().call_later(0.1, time.sleep, 0.5)
    await run_for(0.9, Report(Heard(), [one], lambda: None))
    reading.cancel()
    assert not caplog.records

"""Devices that answer late, wrongly, in pieces or not at all: through the unmodified proxy, up to a real client."""

import asyncio
import itertools
import json
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import BATTERY, CHARGER, INVERTER, ROVER, SHUNT, Running, inverters, running, still_world, units

from blupow_proxy.ble import Link, link
from blupow_proxy.errors import DeadlineExceededError
from blupow_proxy.modbus import (
    Event,
    ExceptionResponse,
    ReadRequest,
    Rejected,
    Request,
    Response,
    ResponseParser,
    append_crc,
    decode_request,
)
from blupow_proxy.poller import orders, plan
from blupow_proxy.renogy import Family, PushParser, Schedule, decode_block, register_map
from blupow_proxy.simulator import Member, SimulatedUnit, VirtualRadio
from conftest import Measured

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["vectors"]
ASKED = [vector for vector in VECTORS if vector["request_hex"] and vector["response_hex"]]
PUSHED = [bytes.fromhex(vector["response_hex"]) for vector in VECTORS if vector["kind"] == "push"]
MODBUS_UNITS = (ROVER, CHARGER, BATTERY, INVERTER)
BUFFER_BYTES = 512
SPLITS = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))


def request_of(vector: dict[str, Any]) -> Request:
    return decode_request(append_crc(bytes.fromhex(vector["request_hex"])[:-2]))  # one was sent with a wrong CRC


def events_of(request: Request, pieces: list[bytes]) -> list[Event]:
    parser = ResponseParser()
    parser.expect(request)
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert parser.buffered <= BUFFER_BYTES
    return events


def reading_of(vector: dict[str, Any], pieces: list[bytes]) -> object:
    """What is read of a captured reply, however it comes."""
    answers = [event for event in events_of(request_of(vector), pieces) if not isinstance(event, Rejected)]
    assert len(answers) <= 1
    match answers:
        case [Response(request=ReadRequest(register=register), data=data)]:
            return decode_block(Family(vector["family"]), register, data, variant=vector.get("variant"))
        case [ExceptionResponse(code=code)]:
            return code
        case [Response(data=data)]:
            return data
    return None


def cut(frame: bytes, places: set[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(frame)]
    return [frame[start:end] for start, end in itertools.pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a unit has seen; ``at_s`` monotonic."""

    at_s: float
    address: str
    register: int


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Every request that any unit has seen."""
    seen: list[Asked] = []
    real = SimulatedUnit.respond

    def respond(unit: SimulatedUnit, frame: bytes, now: float) -> bytes | None:
        seen.append(Asked(now, unit.address, int.from_bytes(frame[2:4])))
        return real(unit, frame, now)

    monkeypatch.setattr(SimulatedUnit, "respond", respond)
    return seen


@pytest.fixture(autouse=True)
def _(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.WARNING, "blupow_proxy")
    monkeypatch.setattr(orders, "REFRESH_EVERY_S", 0.0)  # it is how these tests read all that is read seldom


def wrong_values(run: Running, clean: dict[tuple[str, str], Any]) -> list[str]:
    """Return what was shown of a world that stands still, and is not so; what is missing is no wrong value."""
    return [
        f"{entity}: {value} instead of {true}"
        for entity, true in clean.items()
        for value in run.client.shown[entity]
        if value not in (true, None)
    ]


# M1


@pytest.mark.fault("M1")
def test_every_split_of_every_captured_frame_reads_the_same(measured: Measured) -> None:
    different, tried = 0, 0

    def compare(vector: dict[str, Any], pieces: list[bytes], true: object) -> None:
        nonlocal different, tried
        tried += 1
        different += reading_of(vector, pieces) != true

    whole = {vector["id"]: reading_of(vector, [bytes.fromhex(vector["response_hex"])]) for vector in ASKED}
    assert None not in whole.values()
    for vector in ASKED:
        frame, true = bytes.fromhex(vector["response_hex"]), whole[vector["id"]]
        for places in ({place} for place in range(1, len(frame))):
            compare(vector, cut(frame, places), true)
        for size in range(1, 21):
            compare(vector, cut(frame, set(range(size, len(frame), size))), true)
        for other in ASKED:  # a late reply, glued to the one that is waited for, and one behind it
            stray = bytes.fromhex(other["response_hex"])
            if reading_of(vector, [stray]) is None:
                compare(vector, [stray + frame], true)
            compare(vector, [frame + stray], true)

    @SPLITS
    @given(st.sampled_from(ASKED), st.data())
    def any_split(vector: dict[str, Any], data: st.DataObject) -> None:
        frame = bytes.fromhex(vector["response_hex"])
        compare(vector, cut(frame, data.draw(st.sets(st.integers(1, len(frame) - 1)))), whole[vector["id"]])

    any_split()

    pushed = [list(PushParser().feed(frame)) for frame in PUSHED]

    @SPLITS
    @given(st.sampled_from(range(len(PUSHED))), st.sets(st.integers(1, 2 * 110 - 1)))
    def any_split_of_pushes(number: int, places: set[int]) -> None:
        nonlocal different, tried
        parser, tried = PushParser(), tried + 1
        pieces = cut(2 * PUSHED[number], places)
        different += [reading for piece in pieces for reading in parser.feed(piece)] != 2 * pushed[number]

    any_split_of_pushes()
    measured("captured frames", len(ASKED) + len(PUSHED), 48, "", at_least=True)
    measured("splits", tried, 10_000, "", at_least=True)
    measured("of them read differently", different, 0, "")


@pytest.mark.fault("M1")
async def test_pieces_and_glued_replies_show_the_same_values(tmp_path: Path, measured: Measured) -> None:
    rng = random.Random(1)  # noqa: S311
    sent: list[int] = []

    def pieces(frame: bytes) -> Iterator[bytes]:
        while frame:
            size = rng.randint(1, 20)
            sent.append(len(frame[:size]))
            yield frame[:size]
            frame = frame[size:]

    def glued(frame: bytes) -> Iterator[bytes]:
        # an older reply and this one in one notification, and this one again
        yield append_crc(bytes((frame[0], 3, 10)) + bytes(10)) + frame
        yield frame

    async with running(tmp_path, units()) as run:
        await run.client.refresh()
        clean = run.client.measurements()
        for mangle in (pieces, glued):
            for name in MODBUS_UNITS + ((SHUNT,) if mangle is pieces else ()):
                run.unit(name).faults.mangle = mangle
            failed = run.client.states[ROVER, "failed_requests"]
            for _ in range(3):
                await run.client.refresh()
            assert run.client.states[ROVER, "failed_requests"] == failed
            await asyncio.sleep(3)  # for some pushes
        wrong = wrong_values(run, clean)
        assert {entity for entity in clean if run.client.states[entity] is None} == set()
    measured("notifications of 1 to 20 bytes", len(sent), 500, "", at_least=True)
    measured("values shown differently, of pieces or glued replies", len(wrong), 0, "")


# M2


def damaged(frame: bytes, request: Request) -> dict[str, bytes]:
    """What may come instead of a frame; what is not the CRC's fault has a right one."""
    body = frame[:-2]
    found = {
        "crc": body + bytes((frame[-2] ^ 0x40, frame[-1])),
        "longer": append_crc(body[:2] + bytes((body[2] + 2,)) + body[3:] + b"\0\0"),
        "shorter": append_crc(body[:2] + bytes((body[2] - 2,)) + body[3:-2]),
        "length byte": append_crc(body[:2] + bytes((body[2] ^ 0x08,)) + body[3:]),
        "write": append_crc(bytes((body[0], 0x06)) + body[2:]),
        "inputs": append_crc(bytes((body[0], 0x04)) + body[2:]),
        "truncated": frame[: len(frame) // 2],
    }
    if request.address != 0xFF:  # which every device answers, with whatever address it has
        found["unit"] = append_crc(bytes((body[0] ^ 0x01,)) + body[1:])
    return found


@pytest.mark.fault("M2")
def test_no_damaged_frame_is_accepted(measured: Measured) -> None:
    accepted, tried = 0, 0
    reads = [vector for vector in ASKED if vector["kind"] == "read"]

    @SPLITS
    @given(st.sampled_from(reads), st.data())
    def damage(vector: dict[str, Any], data: st.DataObject) -> None:
        nonlocal accepted, tried
        frame, request = bytes.fromhex(vector["response_hex"]), request_of(vector)
        bad = data.draw(st.sampled_from(sorted(damaged(frame, request).values())))
        places = data.draw(st.sets(st.integers(1, len(bad) - 1)))
        tried += 1
        accepted += reading_of(vector, cut(bad, places)) is not None
        # the reply to the next request is read, behind what is left of the damaged one
        parser = ResponseParser()
        parser.expect(request)
        parser.feed(bad)
        parser.expect(request)
        assert [event for event in parser.feed(frame) if isinstance(event, Response)]

    damage()
    measured("damaged frames", tried, 1000, "", at_least=True)
    measured("of them accepted", accepted, 0, "")


@pytest.mark.fault("M2")
async def test_the_request_after_a_damaged_reply_is_answered(measured: Measured) -> None:
    """Over real links, with captured frames: one damaged reply, then the same request once more."""
    reads = [vector for vector in ASKED if vector["kind"] == "read"]
    simulated = []
    for number, vector in enumerate(reads):
        request = request_of(vector).encode()
        member = Member(Family(vector["family"]), request[0], replay={request: bytes.fromhex(vector["response_hex"])})
        simulated.append(SimulatedUnit(f"C4:D3:6A:00:01:{number:02X}", f"BT-TH-{number}", [member], still_world()))
    accepted, requests, attempts = 0, 0, 0

    async with VirtualRadio(simulated) as radio:

        async def one(unit: SimulatedUnit, vector: dict[str, Any]) -> None:
            nonlocal accepted, requests, attempts
            frame, request = bytes.fromhex(vector["response_hex"]), request_of(vector)
            over = Link(radio.adapter, unit.address)
            await over.connect()
            try:
                for bad in damaged(frame, request).values():
                    unit.faults.mangle = lambda _, bad=bad: (bad,)
                    try:
                        await over.request(request, 0.5)
                    except DeadlineExceededError:
                        requests += 1
                    else:
                        accepted += 1
                    unit.faults.mangle = None
                    attempts += 1
                    answer = await over.request(request, 2.0)
                    assert isinstance(answer, Response)
                    assert answer.data == frame[3:-2]
            finally:
                await over.disconnect()

        await asyncio.gather(*(one(unit, vector) for unit, vector in zip(simulated, reads, strict=True)))
    measured("captured frames damaged on a link", requests, 250, "", at_least=True)
    measured("of them accepted", accepted, 0, "")
    measured("requests until the next answer", attempts / requests, 1, "")


# M3


@pytest.mark.fault("M3")
async def test_late_replies_are_nobody_elses(tmp_path: Path, measured: Measured, asked: list[Asked]) -> None:
    """A quarter of the replies leave after their request was given up, at any time until the link would be given up."""
    rng = random.Random(3)  # noqa: S311
    timeout_s = register_map(Family.INVERTER).timeout_s
    late = 0

    def delay(_: bytes) -> float:
        nonlocal late
        if rng.random() < 0.75:
            return 0.2
        late += 1
        return rng.uniform(timeout_s + 0.02, link.LATE_S - 0.1)

    simulated = inverters(12, still_world())
    async with running(tmp_path, simulated) as run:
        await run.client.refresh()
        clean = run.client.measurements()
        for unit in simulated.values():
            unit.faults.delay = delay
        before = len(asked)
        await asyncio.sleep(50)
        wrong = wrong_values(run, clean)
    words = [block.words for block in register_map(Family.INVERTER).blocks]
    assert len(set(words)) < len(words), "no two blocks could be mistaken for one another"
    measured("late replies", late, 80, "", at_least=True)
    measured("requests", len(asked) - before, 300, "", at_least=True)
    measured("wrong values shown", len(wrong), 0, "")


# M4 and M5


PV_CHARGING, MAIN = 4327, 4000


@pytest.mark.fault("M4")
async def test_refused_blocks(
    tmp_path: Path, measured: Measured, asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five inverters, each refusing a block with another code; an hour is 15 s here."""
    assert plan.LEFT_OUT_S == 3600.0
    monkeypatch.setattr(plan, "LEFT_OUT_S", 15.0)
    simulated = inverters(5, still_world())
    for code, unit in zip((1, 2, 3, 4, 6), simulated.values(), strict=True):
        unit.faults.refused_registers.add(PV_CHARGING)
        unit.faults.refusal_code = code
    async with running(tmp_path, simulated) as run:
        start = asked[0].at_s
        await asyncio.sleep(max(start + 24 - time.monotonic(), 0))
        at_first, pauses, live_gap = 0, [], 0.0
        for unit in simulated.values():
            times = [one.at_s for one in asked if (one.address, one.register) == (unit.address, PV_CHARGING)]
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            at_first = max(at_first, next((number for number, gap in enumerate(gaps, 1) if gap > 10), len(times)))
            pauses += [gap for gap in gaps if gap > 10]
            live = [one.at_s for one in asked if (one.address, one.register) == (unit.address, MAIN)]
            live_gap = max(live_gap, *(later - earlier for earlier, later in itertools.pairwise(live[2:])))
        assert all(None not in run.client.shown[run.client.voltage(name)] for name in simulated)
        assert all(run.client.states[name, "failed_requests"] == 0 for name in simulated)
        for unit in simulated.values():
            unit.faults.refused_registers.clear()
        back = await run.client.until(
            lambda: all(run.client.states.get((name, "pv_voltage")) is not None for name in simulated), 40, "the block"
        )
    measured("requests until a block is left out", at_first, 3, "")
    measured("pauses before it is asked again (an hour is 15 s)", len(pauses), 5, "", at_least=True)
    measured("shortest of them", min(pauses), 14.9, at_least=True)
    measured("between two readings of another block", live_gap, 3.0)
    measured("data once it is supported (an hour is 15 s)", back, 15 + 15 + 3)  # and the time to list it anew


@pytest.mark.fault("M5")
async def test_a_silent_block(tmp_path: Path, measured: Measured, asked: list[Asked]) -> None:
    """Chargers with a G6 firmware never answer a read at 288; a known one falls silent about it later on."""
    simulated = units(CHARGER, INVERTER)
    simulated[CHARGER].faults.silent_registers.add(288)
    async with running(tmp_path, simulated) as run:
        await asyncio.sleep(20)
        lost = max(pauses_after(asked, simulated[CHARGER].address, 288))
        tried = sum(one.register == 288 for one in asked)
        simulated[INVERTER].faults.silent_registers.add(PV_CHARGING)
        since = len(asked)
        await asyncio.sleep(30)
        of_inverter = [one for one in asked[since:] if one.address == simulated[INVERTER].address]
        lost = max(lost, *pauses_after(of_inverter, simulated[INVERTER].address, PV_CHARGING))
        readings = [one.at_s for one in of_inverter if one.register == MAIN]
        gap = max(later - earlier for earlier, later in itertools.pairwise(readings))
        for name in simulated:
            assert None not in run.client.shown[run.client.voltage(name)]
            assert run.client.states[name, "link"]
        assert run.client.states[INVERTER, "pv_voltage"] is None  # after three periods: not shown as if it were new
    timeout_s = register_map(Family.INVERTER).timeout_s
    measured("until the next request", lost, timeout_s + link.QUIET_S + 0.5)
    measured("requests until a silent block is left out", tried, 3, "")
    measured("between two readings of another block, period 2 s", gap, 2.0 + timeout_s + link.QUIET_S + 0.5)


def pauses_after(asked: list[Asked], address: str, register: int) -> list[float]:
    of_unit = [one for one in asked if one.address == address]
    return [later.at_s - one.at_s for one, later in itertools.pairwise(of_unit) if one.register == register]


# M6

NOISE = (
    b"AT+NAME?\r\n",
    b"\r\nOK+CONN\r\n",
    b"+ERR=01\r\n",
    b"\xff\x03",
    b"\xff\x03\xff",
    bytes(64),
    b"\xff" * 200,
    bytes(range(256)),
)


@pytest.mark.fault("M6")
async def test_garbage_and_text(tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and garbage in front of, within, behind and between replies, and all the time a notification each 20 ms."""
    rng = random.Random(6)  # noqa: S311
    most, noisy = 0, 0
    real = ResponseParser.feed

    def feed(parser: ResponseParser, data: bytes) -> list[Event]:
        nonlocal most
        events = real(parser, data)
        most = max(most, parser.buffered)
        return events

    monkeypatch.setattr(ResponseParser, "feed", feed)

    def mangle(frame: bytes) -> Iterator[bytes]:
        nonlocal noisy
        noisy += 1
        match noisy % 4:
            case 0:
                yield rng.choice(NOISE[:3]) + frame
            case 1:
                yield from (rng.choice(NOISE), frame)
            case 2:
                yield from (rng.choice(NOISE), rng.randbytes(20), frame, rng.choice(NOISE))
            case 3:
                yield frame + rng.choice(NOISE)

    async with running(tmp_path, units(*MODBUS_UNITS)) as run:
        await run.client.refresh()
        clean = run.client.measurements()
        before = {name: run.unit(name).request_count for name in MODBUS_UNITS}
        failed = {name: run.client.states[name, "failed_requests"] for name in MODBUS_UNITS}
        for name in MODBUS_UNITS:
            run.unit(name).faults.mangle = mangle
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for name in MODBUS_UNITS:
                run.peripheral(name).notify(rng.choice((*NOISE, rng.randbytes(rng.randint(1, 240)))))
            await asyncio.sleep(0.02)
        asked = sum(run.unit(name).request_count - before[name] for name in MODBUS_UNITS)
        unanswered = sum(run.client.states[name, "failed_requests"] - failed[name] for name in MODBUS_UNITS)
        assert all(run.client.states[name, "link"] for name in MODBUS_UNITS)
        wrong = wrong_values(run, clean)
        for name in MODBUS_UNITS:
            run.unit(name).faults.mangle = None
        await asyncio.sleep(1)
        failed = {name: run.client.states[name, "failed_requests"] for name in MODBUS_UNITS}
        await run.client.refresh()
        after = sum(run.client.states[name, "failed_requests"] - failed[name] for name in MODBUS_UNITS)
    measured("replies among garbage", noisy, 100, "", at_least=True)
    measured("bytes kept", most, BUFFER_BYTES, "")
    measured("requests answered meanwhile", 100 * (1 - unanswered / asked), 50, "%", at_least=True)
    measured("wrong values shown", len(wrong), 0, "")
    measured("requests that fail once it is over", after, 0, "")


# M7

# What no such system has: a panel string of 600 V, 600 A, 25 kW and 150 degrees are all above every Renogy device.
POSSIBLE = {
    "temperature": (-40, 150),
    "voltage": (-60, 600),
    "current": (-1000, 1000),
    "power": (-25_000, 25_000),
    "apparent_power": (0, 25_000),
    "battery": (0, 100),
    "frequency": (0, 70),
}
NONSENSE = (0x0000, 0xFFFF, 0x0083, 0x1234, 0xCDCD, 0x7530)  # 0x83 are 13.1 V, 0xCD is -77 °C, 0x7530 are 3000 V


@pytest.mark.fault("M7")
def test_no_word_is_read_as_something_impossible(measured: Measured) -> None:
    """Each register of every family that is measured, with one word after the other in it."""
    tried, impossible = 0, set()
    for family in Family:
        for row in register_map(family).registers:
            limits = POSSIBLE.get(row.device_class)
            if limits is None or row.state_class != "measurement":
                continue
            for word in range(0, 0x10000, 7):
                data = word.to_bytes(2) * row.words
                value = decode_block(family, row.register, data).get(row.key)
                for number in value if isinstance(value, tuple) else (value,):
                    tried += 1
                    if isinstance(number, int | float) and not limits[0] <= number <= limits[1]:
                        impossible.add(f"{family} {row.key}")
    assert not impossible
    measured("words tried", tried, 500_000, "", at_least=True)
    measured("registers with an impossible value", len(impossible), 0, "")


@pytest.mark.fault("M7")
async def test_nonsense_is_not_shown(tmp_path: Path, measured: Measured, asked: list[Asked]) -> None:
    """Every register holds the same word: with a right CRC, at the right length, and all of it nonsense."""
    async with running(tmp_path, units(*MODBUS_UNITS)) as run:
        await run.client.refresh()
        clean = run.client.measurements()
        registers = {
            name: [
                register
                for block in register_map(run.unit(name).members[0].family).blocks
                for register in range(block.register, block.register + block.words)
            ]
            for name in MODBUS_UNITS
        }
        for word in NONSENSE:
            for name in MODBUS_UNITS:
                await last_of_a_pass(asked, run.unit(name))
                run.unit(name).faults.overrides = dict.fromkeys(registers[name], word)
            await asyncio.sleep(3)
            await run.client.refresh()  # what is read seldom as well
            for name in MODBUS_UNITS:
                run.unit(name).faults.overrides = {}
            await asyncio.sleep(3)
        single = {ROVER: (257, 30_000), CHARGER: (259, 0xCD1A), BATTERY: (5043, 30_000), INVERTER: (4329, 30_000)}
        for name, (register, word) in single.items():
            run.unit(name).faults.overrides = {register: word}
        await asyncio.sleep(8)
        for name in MODBUS_UNITS:
            run.unit(name).faults.overrides = {}
        back = await run.client.until(
            lambda: {entity: run.client.states.get(entity) for entity in clean} == clean, 60, "the values as before"
        )
        wrong = wrong_values(run, clean)
    assert not wrong
    measured("words of nonsense in every register", len(NONSENSE), 6, "", at_least=True)
    measured("wrong values shown", len(wrong), 0, "")
    measured("the right ones again", back, 30)


async def last_of_a_pass(asked: list[Asked], unit: SimulatedUnit) -> None:
    """Wait until the next that is read of a unit is what tells whether it is in its senses."""
    live = [block.register for block in register_map(unit.members[0].family).blocks if block.schedule is Schedule.POLL]
    async with asyncio.timeout(30):
        while next(one.register for one in reversed(asked) if one.address == unit.address) != live[-1]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # its reply


# M8


@pytest.mark.fault("M8")
async def test_its_pause_is_kept(tmp_path: Path, measured: Measured, asked: list[Asked]) -> None:
    """Units that fall silent when asked too fast, asked for more than they can answer, and losing replies."""
    rng = random.Random(8)  # noqa: S311
    simulated = units(*MODBUS_UNITS)
    for unit in simulated.values():
        unit.faults.gap_s = register_map(unit.members[0].family).gap_s
    async with running(tmp_path, simulated) as run:
        before, end = len(asked), time.monotonic() + 40
        while time.monotonic() < end:
            refresh = asyncio.create_task(run.client.refresh())
            for _ in range(5):
                run.client.switch(ROVER, "load", rng.random() < 0.5)
                await asyncio.sleep(0.2)
            for unit in simulated.values():
                unit.faults.silent = rng.random() < 0.1
            await asyncio.wait([refresh])
        for unit in simulated.values():
            unit.faults.silent = False
        await run.client.until_read(*simulated, timeout_s=30)
        too_fast = sum(unit.too_fast for unit in simulated.values())
    measured("requests", len(asked) - before, 200, "", at_least=True)
    measured("of them too fast, or before the reply to another", too_fast, 0, "")


# M9


@pytest.mark.fault("M9")
@pytest.mark.parametrize("how", ["unconfirmed", "lost", "ignored", "refused", "link lost"])
async def test_what_is_shown_of_a_write_is_what_was_read(
    tmp_path: Path, measured: Measured, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    simulated = units(ROVER)
    rover = simulated[ROVER]
    async with running(tmp_path, simulated) as run:
        shown = run.client.shown[ROVER, "load"]
        assert set(shown) == {True}
        match how:
            case "refused":
                rover.faults.refused_registers.add(0x010A)
            case "link lost":
                dropping: list[asyncio.Task[None]] = []

                def drop(frame: bytes) -> float:
                    if frame[1] == 6:
                        dropping.append(asyncio.create_task(run.peripheral(ROVER).drop()))
                    return rover.latency_s

                rover.faults.delay = drop
            case _:
                rover.faults.writes = how  # type: ignore[assignment]
        run.client.switch(ROVER, "load", on=False)
        done = how in ("unconfirmed", "link lost")
        if done:
            seconds = await run.client.until(lambda: run.client.states[ROVER, "load"] is False, 30, "the load off")
        else:
            seconds = 0.0
            await asyncio.sleep(6)  # a timeout, the silence after it, what is read back, and a poll
        await run.client.until_read(ROVER, timeout_s=30)
        await run.client.refresh()
        assert run.client.states[ROVER, "load"] is rover.world.load_on is not done
        wrong = 0 if done else shown[False]
        writes = sum(frame[1] == 6 for frame in rover.requests)
        rover.faults.writes = "done"
        rover.faults.delay = None
        rover.faults.refused_registers.clear()
        run.client.switch(ROVER, "load", on=not rover.world.load_on)
        expected = not rover.world.load_on
        await run.client.until(lambda: run.client.states[ROVER, "load"] is expected, 10, "the next write")
    told = [record for record in caplog.records if "Load" in record.getMessage()]
    measured(f"{how}: read back", seconds, 15)
    measured(f"{how}: states shown that were not read", wrong, 0, "")
    measured(f"{how}: times it was written", writes, 1, "")
    measured(f"{how}: warnings", len(told), 1, "")
    assert bool(told) is (how != "ignored")

"""The ESP32's decoder gives what the Python proxy gives, for every capture and for anything a register can hold."""

import json
import random
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from driver import FAMILIES, Driver, as_sent, unit

from blupow_config.esp32 import register_package
from blupow_proxy.modbus import ExceptionResponse, ReadRequest, Response, ResponseParser, WriteRequest, append_crc
from blupow_proxy.poller.plan import Plan
from blupow_proxy.poller.polling import _is_uncertain
from blupow_proxy.poller.unit import Profile
from blupow_proxy.renogy import (
    Block,
    Family,
    Schedule,
    decode_block,
    identify_model,
    is_plausible,
    model_globs,
    problem_state,
    register_map,
    shown_rows,
    to_states,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["vectors"]
ROUNDS = 150
MODELS = {
    Family.CONTROLLER: ("RNG-CTRL-RVR40", "-"),
    Family.DCC: ("RBC50D1S-G1", "RBC30D1S-G6"),
    Family.BATTERY: ("RBT100LFP12S-G1", "RBT100LFP12SH-G1", "-"),
    Family.INVERTER: ("RIV1230RCH-SPS", "RIV4835CSH1S", "-"),
}
KINDS = ("sensor", "binary_sensor", "text_sensor")


def entities(family: Family) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield key, kind and source of each reading that the generated package lists."""
    package = yaml.safe_load(register_package(unit(family)))
    states = {(state.kind, state.name): state.key for state in unit(family).states()}
    for kind in KINDS:
        for entity in package[kind]:
            if "link" not in entity:
                yield states[kind, entity["name"]], kind, entity


def expected(family: Family, block: Block, data: bytes, model: str | None, variant: str | None) -> dict[str, Any]:
    readings = decode_block(family, block.register, data, variant=variant, model=model)
    profile = Profile(family=family, variant=variant, model=model)
    for row in register_map(family).registers:
        if row.key in readings and _is_uncertain(row, profile):
            readings[row.key] = None
    return to_states(family, readings) | problem_state(family, readings, ())


def registers(family: Family, block: Block, source: random.Random) -> bytes:
    """Return words of which many are odd: zero, all ones, single bits, the edges of signs and ranges."""
    odd = [0, 1, 2, 3, 12, 24, 0x7FFF, 0x8000, 0xFFFF, 0xFF80, 0x2020, 0x4142]
    words = []
    for _ in range(block.words):
        word = source.choice(
            (source.choice(odd), 1 << source.randrange(16), source.randrange(256), source.randrange(0x10000))
        )
        words.append(word)
    data = bytearray(b"".join(word.to_bytes(2) for word in words))
    for shown in shown_rows(family):
        row = shown.row
        place = 2 * (row.register - block.register)
        if not 0 <= place <= len(data) - 2 * row.words:
            continue
        if row.type == "text" and source.random() < 0.7:
            data[place : place + 2 * row.words] = b"RIV1230 V1.0*V2\0 "[: 2 * row.words].ljust(2 * row.words, b"\0")
        elif row.enum and row.words == 1 and source.random() < 0.7:
            data[place : place + 2] = (source.choice([*row.enum, 99]) << row.shift & 0xFFFF).to_bytes(2)
        elif row.key.endswith("_count") or row.key == "system_voltage":
            data[place : place + 2] = source.choice((0, 2, 4, 12, 16, 24, 48)).to_bytes(2)
        elif row.range and row.words == 1 and row.shift == 0 and source.random() < 0.6:
            number = round(source.uniform(*row.range) / (row.scale or 1))
            data[place : place + 2] = (number & 0xFFFF).to_bytes(2)
    return bytes(data)


@pytest.mark.parametrize("family", FAMILIES)
def test_any_registers(program: Path, family: Family) -> None:
    source = random.Random(1)  # noqa: S311 - repeatable
    listed = list(entities(family))
    for model in MODELS[family]:
        variant = unit(family).variant
        with Driver(program, family) as driver:
            for place, entry in enumerate(driver.blocks):
                block = Block(
                    "", entry["register"], entry["words"], Schedule(entry["schedule"]), entry.get("plausible", {})
                )
                for _ in range(ROUNDS):
                    data = registers(family, block, source)
                    # as if it were another device each time: nothing is left of the one before
                    driver.tell("identified", "other")
                    driver.tell("identified", model)
                    plausible = driver.ask("block", place, 0, data.hex())
                    known = None if model == "-" else model
                    readings = decode_block(family, block.register, data, variant=variant, model=known)
                    assert plausible == str(int(is_plausible(block, data, readings))), data.hex()
                    states = expected(family, block, data, known, variant)
                    for key, kind, entity in listed:
                        shown = driver.show(entity, kind)
                        assert as_sent(shown) == as_sent(states.get(key)), (key, data.hex(), shown, states.get(key))


READS = [v for v in VECTORS if v["kind"] == "read" and v["family"] in FAMILIES and v["register"] < 0xF000]


@pytest.mark.parametrize("vector", READS, ids=lambda vector: vector["id"])
def test_captures(program: Path, vector: dict[str, Any]) -> None:
    family = Family(vector["family"])
    data = bytes.fromhex(vector["response_hex"])[3:-2]
    variant = unit(family).variant
    with Driver(program, family) as driver:
        driver.tell("identified", "RNG")
        address = bytes.fromhex(vector["response_hex"])[0]
        parsed = driver.ask("parse", address, vector["register"], vector["words"], -1, *vector["fragments_mtu23"])
        assert parsed == f"{address} holds {data.hex()}"
        driver.ask("block_at", vector["register"], 0, data.hex())
        states = expected(family, Block("", vector["register"], vector["words"], Schedule.SLOW), data, "RNG", variant)
        for key, kind, entity in entities(family):
            assert as_sent(driver.show(entity, kind)) == as_sent(states.get(key)), key


def test_rounding(program: Path) -> None:
    source = random.Random(2)  # noqa: S311 - repeatable
    with Driver(program, Family.DCC) as driver:
        for digits in (0, 1, 2, 3):
            for _ in range(3000):
                value = source.choice((source.uniform(-500, 500), source.randrange(-99999, 99999) / 10 ** (digits + 1)))
                assert float(driver.ask("round", repr(value), digits)) == round(value, digits), value


def test_models(program: Path) -> None:
    names = ("RBC50D1S-G1", "RCC20RVRE-G1", "ML2440", "MLX", "MT4830", "RIV4835CSH1S", "rbt100", "X-G6", "ADV30")
    with Driver(program, Family.DCC) as driver:
        for name in names:
            proven = (family for glob, family in model_globs() if driver.ask("matches", glob, name) == "1")
            assert next(proven, None) == identify_model(name)
            for glob in ("*-G6", "RIV4835*", "*SH*"):
                assert driver.ask("matches", glob, name.upper()) == str(int(fnmatchcase(name.upper(), glob)))


def test_any_bytes(program: Path) -> None:
    """The parser lets through what the Python parser does, however the bytes are cut."""
    source = random.Random(3)  # noqa: S311 - repeatable
    with Driver(program, Family.DCC) as driver:
        for _ in range(3000):
            address, words = source.choice((0xFF, 0x30, 1)), source.choice((1, 2, 7, 34))
            payload = source.randbytes(2 * words)
            if source.random() < 0.3:  # registers may hold what looks like a frame
                payload = (append_crc(bytes((address, 0x83, 2))) + payload)[: 2 * words]
            reply = append_crc(bytes((source.choice((address, 0x30)), 3, 2 * words)) + payload)
            parts = [reply]
            for _ in range(source.randrange(4)):
                damaged = bytearray(source.choice(parts))
                damaged[source.randrange(len(damaged))] ^= 1 << source.randrange(8)
                other = source.choice(
                    (
                        append_crc(bytes((0x30, source.choice((0x83, 0x86, 6, 3)), 2, source.randrange(4), 2))),
                        WriteRequest(source.choice((address, 0x30)), 266, source.choice((0, 1))).encode(),
                    )
                )
                parts.insert(
                    source.randrange(len(parts) + 1),
                    source.choice((bytes(damaged), source.randbytes(source.randrange(1, 9)), other, reply[:-5])),
                )
            stream = b"".join(parts)
            size = source.choice((1, 3, 20, 300))
            chunks = [stream[place : place + size] for place in range(0, len(stream), size)]
            is_write = source.random() < 0.2
            request = WriteRequest(address, 266, 1) if is_write else ReadRequest(address, 256, words)
            parser = ResponseParser()
            parser.expect(request)
            events = [event for chunk in chunks for event in parser.feed(chunk)]
            found = "-"
            for event in events:
                if isinstance(event, Response):
                    found = f"{event.address} holds {'' if is_write else event.data.hex()}"
                elif isinstance(event, ExceptionResponse):
                    found = f"{event.address} refused {event.code}"
            value = 1 if is_write else -1
            asked = driver.ask("parse", address, request.register, words, value, *(chunk.hex() for chunk in chunks))
            assert asked == found, (request, [chunk.hex() for chunk in chunks])


@pytest.mark.parametrize("family", FAMILIES)
def test_any_events(program: Path, family: Family) -> None:
    """Both plans ask for the same block at the same time, whatever happens."""
    source = random.Random(4)  # noqa: S311 - repeatable
    for _ in range(15):
        with Driver(program, family) as driver:
            blocks = [
                Block(str(place), entry["register"], entry["words"], Schedule(entry["schedule"]))
                for place, entry in enumerate(driver.blocks)
            ]
            now = 0
            plan = Plan(blocks, 2.0, 0.0)
            answer = driver.ask("plan", "start", now, 0, 0)
            for _ in range(150):
                block, due = plan.next()
                place = blocks.index(block)
                assert answer.split()[:2] == [str(place), str(round(due * 1000))]
                now = max(now, round(due * 1000)) + source.choice((0, 350, 2000, 20_000))
                event, code = source.choice(
                    (("answered", 0), ("answered", 0), ("silent", 0), ("refused", 2), ("refused", 4))
                )
                if event == "refused":
                    plan.refused(block, code, now / 1000)
                else:
                    getattr(plan, event)(block, now / 1000)
                answer = driver.ask("plan", event, now, place, code)
                assert answer.split()[2:] == [str(int(plan.complete)), str(int(plan.expects(block)))]

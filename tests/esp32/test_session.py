"""One link's life on the ESP32: identification, late replies, silence, another device."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from driver import COMPONENT, Driver

from blupow_proxy.ble.failures import ENDED, HELD_OR_GONE
from blupow_proxy.modbus import ReadRequest, append_crc, decode_request
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import demo_units
from blupow_proxy.simulator.unit import SimulatedUnit

STEP_MS = 10
REPLY_MS = 220

type Answer = Callable[[bytes], bytes | None]


class Link:
    """Steps a session through simulated time; ``answer`` says what comes back, after ``delay_ms``."""

    def __init__(self, driver: Driver, answer: Answer) -> None:
        self.driver = driver
        self.answer = answer
        self.delay_ms: Callable[[bytes], int] = lambda _: REPLY_MS
        self.now = 0
        self.sent: list[tuple[int, ReadRequest]] = []
        self._coming: list[tuple[int, bytes]] = []
        driver.tell("begin", 0)

    def run(self, seconds: float) -> bool:
        """Let time pass; returns whether the session has failed."""
        until = self.now + round(1000 * seconds)
        while self.now < until:
            for at, data in [item for item in self._coming if item[0] <= self.now]:
                self._coming.remove((at, data))
                self.driver.tell("receive", self.now, data.hex())
            pause = min([until, *(at for at, _ in self._coming)])
            now, asked = self.driver.ask("run", self.now, pause).split()
            self.now = int(now)
            if asked == "failed":
                return True
            if asked != "-":
                frame = bytes.fromhex(asked)
                request = decode_request(frame)
                assert isinstance(request, ReadRequest)
                self.sent.append((self.now, request))
                if (reply := self.answer(frame)) is not None:
                    self._coming.append((self.now + self.delay_ms(frame), reply))
                self.now += STEP_MS
        return False

    def status(self) -> tuple[bool, int, str]:
        """Return connected, failed requests and the status."""
        connected, failed, status = self.driver.ask("status").split(" ", 2)
        return connected == "1", int(failed), status

    def number(self, key: str) -> str:
        self.driver.tell("expire", self.now)
        return self.driver.ask("show", "number", self.driver.place(key), -1, -1)


def simulated(family: Family) -> tuple[SimulatedUnit, Answer]:
    (unit,) = [unit for unit in demo_units() if unit.members and unit.members[0].family is family]
    return unit, lambda frame: unit.respond(frame, 0.0)


def test_reads_at_the_address_that_answers(program: Path) -> None:
    """A battery answers the universal address from its own, which is used from then on."""
    _, answer = simulated(Family.BATTERY)
    with Driver(program, Family.BATTERY) as driver:
        link = Link(driver, answer)
        assert not link.run(60)
        assert [request.address for _, request in link.sent[:1]] == [0xFF]
        assert {request.address for _, request in link.sent[1:]} == {48}
        live = [at for at, request in link.sent if request.register == 5042]
        assert len(live) == 30
        assert link.status() == (True, 0, "connected")
        assert float(link.number("battery_voltage")) == 13.2


def test_one_request_at_a_time_and_a_pause_after_each_reply(program: Path) -> None:
    _, answer = simulated(Family.INVERTER)
    with Driver(program, Family.INVERTER) as driver:
        link = Link(driver, answer)
        link.run(30)
        times = [at for at, _ in link.sent]
        assert min(later - earlier for earlier, later in pairwise(times)) >= REPLY_MS + 300


def test_a_late_reply_is_not_anothers(program: Path) -> None:
    """The reply to one block comes while another of the same length is due: it is never shown as that one's."""
    unit, answer = simulated(Family.CONTROLLER)
    unit.faults.overrides = {57348: 1, 57373: 2, 26: 77}
    with Driver(program, Family.CONTROLLER) as driver:
        link = Link(driver, answer)
        late = (26, 57348)

        def delay(frame: bytes) -> int:
            return 4500 if int.from_bytes(frame[2:4]) in late else REPLY_MS

        link.delay_ms = delay
        for _ in range(400):
            link.run(0.1)
            assert link.number("device_address") in ("-", "77")
            assert driver.ask("show", "text", driver.place("battery_type"), -1, -1) in ("-", "open")
            assert driver.ask("show", "text", driver.place("load_working_mode"), -1, -1) in ("-", "on 2 h")
        times = {request.register: at for at, request in link.sent}
        assert times


def test_it_is_quiet_after_a_silence(program: Path) -> None:
    """A reply names no register: after a timeout nothing is asked until nothing has come for a second."""
    unit, answer = simulated(Family.DCC)
    unit.faults.silent_registers = {288}
    with Driver(program, Family.DCC) as driver:
        link = Link(driver, answer)
        link.run(30)
        pairs = [(earlier, later) for earlier, later in pairwise(link.sent) if earlier[1].register == 288]
        assert pairs
        assert min(later[0] - earlier[0] for earlier, later in pairs) >= 2000 + 1000


def test_a_value_goes_when_it_is_old(program: Path) -> None:
    """Silence: values stay for as long as they are current, then the link is given up."""
    unit, answer = simulated(Family.DCC)
    with Driver(program, Family.DCC) as driver:
        link = Link(driver, answer)
        link.run(20)
        assert float(link.number("battery_voltage")) == 13.2
        unit.faults.silent = True
        link.run(3)
        assert link.number("battery_voltage") != "-"
        failed = link.run(20)
        assert link.number("battery_voltage") == "-"
        assert failed
        connected, failures, status = link.status()
        assert not connected
        assert failures == 5
        assert status == "no valid reply to 5 requests in a row"
        unit.faults.silent = False
        driver.tell("begin", link.now)
        assert not link.run(5)
        assert link.status()[0]


def test_a_device_of_another_family_is_not_read(program: Path) -> None:
    _, answer = simulated(Family.CONTROLLER)
    with Driver(program, Family.DCC) as driver:
        link = Link(driver, answer)
        assert link.run(5)
        assert link.status()[2] == "RNG-CTRL-RVR40 is a controller, but this firmware was made for a dcc"
        assert len(link.sent) == 1


def test_another_device_is_not_read_on(program: Path) -> None:
    """A model that changes between two readings: the values of the one before are not shown any more."""
    unit, answer = simulated(Family.BATTERY)
    with Driver(program, Family.BATTERY) as driver:
        link = Link(driver, answer)
        link.run(20)
        unit.faults.overrides = {5124: 0x3031}
        assert link.run(310)
        assert link.status()[2] == "another device answers: RBT101LFP12S-G1 instead of RBT100LFP12S-G1"
        driver.tell("begin", link.now)
        unit.faults.silent_registers = {5042}
        assert not link.run(3)
        assert link.number("battery_voltage") == "-"


def test_without_a_model_what_it_decides_is_missing(program: Path) -> None:
    unit, answer = simulated(Family.INVERTER)
    unit.faults.refused_registers = {4311}
    with Driver(program, Family.INVERTER) as driver:
        link = Link(driver, answer)
        link.run(30)
        assert link.number("battery_voltage") != "-"
        assert link.number("charging_current") == "-"


def test_what_does_not_answer_at_all(program: Path) -> None:
    with Driver(program, Family.INVERTER) as driver:
        link = Link(driver, lambda _: None)
        assert link.run(30)
        assert "answers no request" in link.status()[2]
        assert {request.address for _, request in link.sent} == {0xFF, 32, 1}


def test_refusals(program: Path) -> None:
    """A block that the device does not have is left out; a device that only refuses is none that can be read."""
    unit, answer = simulated(Family.CONTROLLER)
    unit.faults.refused_registers = {57373}
    with Driver(program, Family.CONTROLLER) as driver:
        link = Link(driver, answer)
        assert not link.run(700)
        assert len([request for _, request in link.sent if request.register == 57373]) == 1
    with Driver(program, Family.CONTROLLER) as driver:
        link = Link(driver, lambda frame: append_crc(bytes((frame[0], 0x83, 2))))
        assert link.run(30)
        assert "is its family right?" in link.status()[2]


def test_says_what_the_pi_says() -> None:
    source = (COMPONENT / "renogy.cpp").read_text()
    assert f'"{ENDED}"' in source
    assert f'"{HELD_OR_GONE}"' in source


def test_a_device_that_resets_is_not_believed(program: Path) -> None:
    """Its main block holds nonsense: what the others hold is not shown either, until it is in its senses again."""
    unit, answer = simulated(Family.DCC)
    with Driver(program, Family.DCC) as driver:
        link = Link(driver, answer)
        link.run(20)
        assert link.number("output_power") != "-"
        before = link.number("output_power")
        unit.faults.overrides = {257: 0xFFFF, 292: 1234}
        for _ in range(100):
            link.run(0.1)
            assert link.number("output_power") in ("-", before)
            assert link.number("battery_voltage") in ("-", "13.199999999999999")
        assert link.number("output_power") == "-"
        assert link.status()[2] == "answers, but with no readings that can be shown"
        unit.faults.overrides = {292: 1234}
        link.run(5)
        assert link.number("output_power") == "1234"

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import pytest
from aioesphomeapi import parse_log_message

from blupow_proxy.native_api import Limits
from blupow_proxy.server import LogForwarder
from blupow_proxy.server.log_forwarding import BURST_LINES, LINES_PER_S, MAX_LINE


class Forwarded:
    """A logger whose records are forwarded, at a time that the test sets."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.now = 1000.0
        self.handler = LogForwarder(lambda level, line: self.sent.append((level, line)), lambda: self.now)
        self.logger = logging.getLogger("forwarded")
        self.logger.setLevel(1)
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.sent]


@pytest.fixture
async def forwarded() -> AsyncIterator[Forwarded]:
    one = Forwarded()
    yield one
    one.logger.removeHandler(one.handler)


async def test_a_record_of_another_thread_is_sent_by_the_loop(forwarded: Forwarded) -> None:
    thread = threading.Thread(target=forwarded.logger.warning, args=["from afar"])
    thread.start()
    thread.join()
    assert forwarded.sent == []
    await asyncio.sleep(0)
    assert forwarded.sent == [(2, "[W][forwarded]: from afar")]


def test_levels_and_layout(forwarded: Forwarded) -> None:
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, 5):
        forwarded.logger.log(level, "%d V", 12)
    assert forwarded.sent == [
        (1, "[E][forwarded]: 12 V"),
        (1, "[E][forwarded]: 12 V"),
        (2, "[W][forwarded]: 12 V"),
        (3, "[I][forwarded]: 12 V"),
        (5, "[D][forwarded]: 12 V"),
        (6, "[V][forwarded]: 12 V"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Wärme 21 °C für Łódź, 東京 ✓", "Wärme 21 °C für Łódź, 東京 ✓"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\x9b31mb\x00\x7f", "a\\x9b31mb\\x00\\x7f"),
        ("left\u202eright", "left\\u202eright"),
        ("not UTF-8: \udcff", "not UTF-8: \\udcff"),
        ("a\tb", "a   b"),
    ],
)
def test_lines_are_printable(forwarded: Forwarded, text: str, line: str) -> None:
    forwarded.logger.info("%s", text)
    assert forwarded.lines == [f"[I][forwarded]: {line}"]
    assert forwarded.lines[0].encode().decode().isprintable()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028"])
def test_no_text_passes_for_another_record(forwarded: Forwarded, end: str) -> None:
    forwarded.logger.info("A client named %s", f"x{end}[E][proxy]: The key is lost")
    assert forwarded.lines == ["[I][forwarded]: A client named x", "[I][forwarded]: [E][proxy]: The key is lost"]


def test_a_traceback_reads_well_in_the_real_client(forwarded: Forwarded) -> None:
    try:
        int("Ä\x1b[31m")
    except ValueError:
        forwarded.logger.exception("Broke down")
    shown = [shown for line in forwarded.lines for shown in parse_log_message(line, "[09:00]")]
    assert shown[:2] == [
        "[09:00][E][forwarded]: Broke down",
        "[09:00][E][forwarded]: Traceback (most recent call last):",
    ]
    assert shown[2].startswith('[09:00][E][forwarded]:   File "')
    assert shown[-1].startswith("[09:00][E][forwarded]: ValueError: invalid literal")


def test_a_long_line_is_cut_after_it_was_made_printable(forwarded: Forwarded) -> None:
    forwarded.logger.info("\x1b" * MAX_LINE)
    forwarded.logger.info("x" * MAX_LINE)
    assert [len(line) for line in forwarded.lines] == [MAX_LINE, MAX_LINE]


def test_a_flood_fits_into_a_clients_buffer_and_is_owned_up_to(forwarded: Forwarded) -> None:
    for number in range(1000):
        forwarded.logger.debug("%d %s", number, "x" * MAX_LINE)
    assert len(forwarded.sent) == BURST_LINES
    assert sum(len(line.encode()) for line in forwarded.lines) <= Limits().unsent_bytes / 4
    forwarded.logger.error("Still heard")
    assert forwarded.sent.pop() == (1, "[E][forwarded]: Still heard")
    forwarded.sent.clear()
    forwarded.now += 2 / LINES_PER_S
    forwarded.logger.debug("After it")
    forwarded.logger.debug("And again")
    forwarded.logger.debug("Too many")
    assert forwarded.sent == [
        (5, f"[D][forwarded]: (lines left out: {1000 - BURST_LINES})"),
        (5, "[D][forwarded]: After it"),
        (5, "[D][forwarded]: And again"),
    ]
    forwarded.now += 3600
    forwarded.sent.clear()
    for number in range(1000):
        forwarded.logger.debug("%d", number)
    assert forwarded.lines[0] == "[D][forwarded]: (lines left out: 1)"
    assert len(forwarded.sent) == BURST_LINES + 1


def test_a_traceback_of_thousands_of_lines_is_a_flood_too(forwarded: Forwarded) -> None:
    forwarded.logger.error("x\n" * 10_000)
    assert len(forwarded.sent) == BURST_LINES


def test_what_sending_logs_is_not_forwarded(forwarded: Forwarded) -> None:
    def send(level: int, line: str) -> None:
        forwarded.sent.append((level, line))
        forwarded.logger.warning("Sending %s", line)

    forwarded.handler._send = send
    forwarded.logger.error("Once")
    assert forwarded.lines == ["[E][forwarded]: Once"]

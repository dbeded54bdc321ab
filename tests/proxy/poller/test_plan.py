from blupow_proxy.poller.plan import LEFT_OUT_S, SLOW_S, Plan
from blupow_proxy.renogy import Block, Schedule

LIVE = Block("live", 1, 1, Schedule.POLL)
MORE = Block("more", 2, 1, Schedule.POLL)
SETTINGS = Block("settings", 3, 1, Schedule.SLOW)
MODEL = Block("model", 4, 1, Schedule.STARTUP)
HISTORY = Block("history", 5, 1, Schedule.ON_DEMAND)


def plan(*blocks: Block, interval_s: float = 2.0) -> Plan:
    return Plan(blocks, interval_s, 0.0)


def left_out(made: Plan, *blocks: Block, now: float) -> list[Block]:
    """Return which of ``blocks`` are not due within a slow period."""
    return [block for block in blocks if block not in made.due(now + SLOW_S)]


def answer_all(made: Plan, until: float) -> list[tuple[float, str]]:
    done = []
    now = 0.0
    while True:
        block, due = made.next()
        now = max(now, due)
        if now > until:
            return done
        made.answered(block, now)
        done.append((now, block.name))


def test_each_block_on_its_schedule() -> None:
    done = answer_all(plan(HISTORY, SETTINGS, MODEL, LIVE), SLOW_S + 1)
    assert [name for now, name in done if now == 0.0] == ["live", "settings", "model"]
    assert [now for now, name in done if name == "live"] == [2.0 * n for n in range(151)]
    assert [now for now, name in done if name == "settings"] == [0.0, SLOW_S]
    assert [now for now, name in done if name == "model"] == [0.0]


def test_readings_that_were_missed_are_not_made_up_for() -> None:
    made = plan(LIVE)
    made.answered(LIVE, 9.0)
    assert made.next() == (LIVE, 9.0)
    made.answered(LIVE, 9.5)
    assert made.next() == (LIVE, 11.0)


def test_what_is_held_back_lets_others_go_first() -> None:
    made = plan(LIVE, MORE, SETTINGS)

    def held(block: Block) -> float:
        return 6.0 if block == LIVE else 0.0

    made.answered(MORE, 1.0)
    assert made.next(held) == (SETTINGS, 0.0)
    made.answered(SETTINGS, 1.5)
    assert made.next(held) == (MORE, 2.0)
    assert plan(LIVE).next(held) == (LIVE, 6.0)


def test_a_slow_link_starves_no_block() -> None:
    made = plan(LIVE, MORE, SETTINGS, interval_s=0.5)
    now, seen = 0.0, []
    for _ in range(6):
        now += 1.0
        block, _ = made.next()
        made.answered(block, now)
        seen.append(block.name)
    assert set(seen[:3]) == {"live", "more", "settings"}
    assert seen[3:].count("live") in (1, 2)


def test_a_refused_block_is_left_out_and_tried_again_after_an_hour() -> None:
    made = plan(LIVE, SETTINGS)
    made.answered(LIVE, 0.0)
    made.refused(SETTINGS, 2, 0.0)
    assert left_out(made, LIVE, SETTINGS, now=0.0) == [SETTINGS]
    done = answer_all(made, LEFT_OUT_S + 10)
    assert [now for now, name in done if name == "settings"] == [LEFT_OUT_S]


def test_a_busy_device_gets_three_chances() -> None:
    made = plan(LIVE)
    made.refused(LIVE, 6, 0.0)
    made.refused(LIVE, 6, 2.0)
    assert left_out(made, LIVE, now=2.0) == []
    made.refused(LIVE, 6, 4.0)
    assert left_out(made, LIVE, now=4.0) == [LIVE]


def test_silence_of_one_block_leaves_it_out_while_others_are_answered() -> None:
    made = plan(LIVE, MORE)
    for now in (0.0, 2.0, 4.0):
        made.silent(LIVE, now)
        made.answered(MORE, now)
    assert left_out(made, LIVE, MORE, now=4.0) == [LIVE]


def test_silence_of_the_link_leaves_nothing_out() -> None:
    made = plan(LIVE, MORE)
    for now in range(10):
        made.silent(LIVE, float(now))
        made.silent(MORE, float(now))
    assert left_out(made, LIVE, MORE, now=10.0) == []


def test_a_block_that_was_answered_once_is_never_left_out() -> None:
    made = plan(LIVE, MORE)
    made.answered(LIVE, 0.0)
    for now in (2.0, 4.0, 6.0, 8.0):
        made.silent(LIVE, now)
        made.answered(MORE, now)
    assert made.next()[1] <= 10.0


def test_what_is_read_once_is_not_asked_for_all_the_time_after_it_was_answered() -> None:
    made = plan(LIVE, MODEL)
    made.answered(MODEL, 0.0)
    made.refresh(10.0)
    for now in (10.0, 11.0, 12.0):
        made.silent(MODEL, now)
        made.answered(LIVE, now)
    assert left_out(made, LIVE, MODEL, now=12.0) == [MODEL]


def test_a_refresh_asks_for_everything() -> None:
    made = plan(LIVE, SETTINGS, MODEL)
    answer_all(made, 1.0)
    made.refused(SETTINGS, 2, 1.0)
    made.refresh(1.5)
    done = []
    while made.next()[1] <= 1.5:
        block, _ = made.next()
        done.append(block.name)
        made.answered(block, 1.5)
    assert sorted(done) == ["live", "model", "settings"]


def test_a_silent_startup_block_waits_its_turn() -> None:
    made = plan(LIVE, MODEL)
    made.answered(LIVE, 0.0)
    made.silent(MODEL, 0.0)
    assert made.next() == (MODEL, 1.0)


def test_a_lost_reply_is_asked_for_again_but_not_for_ever() -> None:
    made = plan(LIVE, interval_s=10.0)
    made.answered(LIVE, 0.0)
    made.silent(LIVE, 13.0)
    made.silent(LIVE, 16.0)
    assert made.next() == (LIVE, 16.0)
    made.answered(LIVE, 16.5)
    assert made.next() == (LIVE, 20.0)


def test_a_live_block_that_was_answered_before_is_asked_for_again_before_what_is_read_once() -> None:
    made = Plan([LIVE, MORE, MODEL], 10.0, 0.0, answered={LIVE})
    made.silent(LIVE, 3.0)
    assert made.next() == (MORE, 0.0)
    made.answered(MORE, 3.3)
    assert made.next() == (LIVE, 3.0)
    made.silent(LIVE, 6.0)
    made.silent(LIVE, 9.0)
    assert made.next() == (MODEL, 6.0)
    made.answered(MODEL, 9.3)
    assert made.next() == (LIVE, 10.0)


def test_a_block_that_is_silent_beside_others_waits_for_its_turn() -> None:
    made = plan(LIVE, MORE, interval_s=10.0)
    made.answered(LIVE, 0.0)
    made.answered(MORE, 0.0)
    for now in (13.0, 16.0, 19.0):
        made.silent(LIVE, now)
        made.answered(MORE, now)
    assert made.next()[1] >= 20.0

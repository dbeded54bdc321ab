"""Prints what flowed in the simulated system hour by hour, in Wh, as JSON: the oldest hour first, the last ends now.

usage: simulated_day.py CLOCK_HOURS HOURS
"""

import json
import sys

from blupow_proxy.simulator import World

HOUR_S = 3600.0
DAYS = 2  # as many as make any clock minus HOURS positive


def main(clock: float, hours: int) -> None:
    world = World(speed=1.0, clock_s=(clock + 24 * DAYS - hours) * HOUR_S)
    world.advance(0.0)
    rows = []
    for hour in range(hours):
        row = dict.fromkeys(("solar", "charger", "load", "inverter", "charged", "discharged"), 0.0)
        for minute in range(60):
            world.advance(hour * HOUR_S + (minute + 1) * 60.0)
            battery_w = world.battery_a * world.battery_v
            for name, watts in (
                ("solar", world.controller_w),
                ("charger", world.charger_w),
                ("load", world.load_w),
                ("inverter", world.inverter_w),
                ("charged", max(0.0, battery_w)),
                ("discharged", max(0.0, -battery_w)),
            ):
                row[name] += watts / 60
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))

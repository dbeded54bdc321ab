"""Runs the proxy on a real bluetoothd, with five units, a client and a fault every so often; prints a table.

In virtual time a day takes about two hours: whoever idles does not wait.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import linear_regression, mean, stdev
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bluez"))

from rig import NoRigError, run_inside  # noqa: E402

FAILING = 3  # one connection of three
AVAILABLE = 0.995
SLOPE_MIB_H = 1.0  # of real time, in which allocators settle as well
SLOPE_VIRTUAL_MIB_H = 0.1


def report(record: dict[str, Any], hours: float, real_hours: float) -> bool:
    """Print the table; whether all is well."""
    print(f"{'fault':28}{'times':>6}  recovered after")
    for name, took in sorted(record["recovery_s"].items()):
        print(f"{name:28}{len(took):6}  {sum(took) / len(took):.1f} s, at most {max(took):.1f} s")
    share = record["available"] / max(record["seconds"], 1)
    first, last = record["memory"][0], record["memory"][-1]
    slope = linear_regression(*zip(*record["memory"], strict=True)).slope * 3600
    real_slope = slope * hours / real_hours
    limit = SLOPE_MIB_H if real_hours >= hours else SLOPE_VIRTUAL_MIB_H
    bad = {"wrong value": "wrong", "unforeseen": "unforeseen", "not recovered in time": "late", "left over": "leaks"}
    print(f"{hours:g} h in {real_hours:.2f} h, {record['states']} states at the client")
    print(f"available outside of faults: {100 * share:.3f} % (at least {100 * AVAILABLE:g} %)")
    print(
        f"RSS {first[1]:.1f} -> {last[1]:.1f} MiB: {slope:+.3f} MiB/h (at most {limit}), {real_slope:+.2f} of real time"
    )
    for what, key in bad.items():
        print(f"{what}: {len(record[key])} times (at most 0)")
        for line, times in Counter(record[key]).most_common(8):
            print(f"  {times} times {line}")
    return share >= AVAILABLE and not any(record[key] for key in bad.values()) and slope <= limit


def cycle(times: int, failing: int) -> bool:
    """Connect, read and disconnect ``times``, with each ``failing``-th connection failing, and print how that went."""
    result = run([HERE / "cycles.py", times, failing], "cycles.json", virtual=True)
    if result is None:
        return False
    took, errors = result["took"], result["errors"]
    what = f", one of {failing} connections failing" if failing else ""
    print(f"{len(took)} of {times} cycles{what}; {len(errors)} failed attempts, {result['links']} links left")
    print(f"  mean {mean(took):.2f} s, standard deviation {stdev(took):.2f} s, {min(took):.2f} to {max(took):.2f} s")
    for line, number in Counter(errors).most_common(4):
        print(f"  {number} times {line}")
    return len(took) == times and not result["links"] and (bool(failing) or not errors)


def run(program: list[object], result: str, *, virtual: bool) -> Any:
    """Run a program in the guest and return what it leaves; None when it fails, which is printed."""
    with tempfile.TemporaryDirectory(prefix="blupow-soak-", dir=os.environ.get("BLUPOW_SOAK_FOLDER")) as name:
        folder = Path(name)
        try:
            code = asyncio.run(run_inside(folder, *program, virtual_time=virtual))
        except NoRigError as error:
            print(f"no soak here: {error}", file=sys.stderr)
            sys.exit(os.EX_UNAVAILABLE)
        if code:
            print((folder / "main.log").read_text(errors="replace"), file=sys.stderr)
            return None
        return json.loads((folder / result).read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, help="of virtual time")
    parser.add_argument("--minutes", type=float, help="of real time")
    parser.add_argument(
        "--cycles", type=int, help="connect, read, disconnect so often, in virtual time, and do so twice"
    )
    parser.add_argument("--every", type=float, help="seconds between faults; 600 in virtual time, 10 in real time")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="chooses the faults")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the guest must not be left behind
    if [options.hours, options.minutes, options.cycles].count(None) != 2:
        parser.error("one of --hours, --minutes and --cycles")
    if options.cycles is not None:
        outcomes = [cycle(options.cycles, failing) for failing in (0, FAILING)]
        return 0 if all(outcomes) else 1
    virtual = options.hours is not None
    hours = options.hours if virtual else options.minutes / 60
    every_s = options.every or (600.0 if virtual else 10.0)
    program = [HERE / "inside.py", "--hours", hours, "--every", every_s, "--seed", options.seed]
    print(f"seed {options.seed}", flush=True)
    started = time.monotonic()
    record = run(program, "record.json", virtual=virtual)
    good = record is not None and report(record, hours, (time.monotonic() - started) / 3600)
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

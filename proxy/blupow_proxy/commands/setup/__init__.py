"""``setup``: from an adapter and units nearby to a configuration, a key, and a proxy that runs."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from probatio import Invalid

from blupow_config.schema import fields
from blupow_proxy.commands import service as service_command
from blupow_proxy.commands.complaint import complain
from blupow_proxy.errors import BleError
from blupow_proxy.host import service

from .outcome import Draft, StoppedError

if TYPE_CHECKING:
    from .questions import Questions

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_complain: Final = partial(complain, "setup")

FILE: Final = Path("proxy.yaml")
_DEMO_FILE: Final = Path("demo.yaml")
_INTERRUPTED: Final = 130  # as shells have it: `setup && run` does not go on


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``setup`` and its options."""
    parser = subparsers.add_parser(
        "setup",
        help="find the units nearby and write the configuration",
        description="Find the Renogy units nearby, ask which of them to read and what to call them, and write FILE, "
        "with a key beside it. An existing FILE gets more units. Ctrl-C ends it at any time, with nothing written.",
        epilog="without a terminal: blupow-proxy setup --yes --unit C4:D3:6A:00:00:01=Rover --name 'Solar shed'",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        nargs="?",
        help=f"the YAML file (default: {FILE} in this folder; for root, the service's own: {service.CONFIG})",
    )
    parser.add_argument("--adapter", help="such as hci0 (default: asks where there are several)")
    parser.add_argument(
        "--unit",
        type=_unit,
        action="append",
        default=[],
        metavar="ADDRESS=NAME",
        help="a unit to read, instead of those that are picked from a list; can be repeated",
    )
    parser.add_argument("--name", type=_name, help="what the proxy is called, such as 'Solar shed'")
    parser.add_argument("--yes", action="store_true", help="ask nothing: take every unit nearby, and what is proposed")
    parser.add_argument("--no-check", action="store_true", help="do not connect to the units to see what they are")
    parser.add_argument("--service", action="store_true", help="install the service as well, without asking; as root")
    parser.add_argument("--demo", action="store_true", help="try it with simulated units")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Set up, and return the exit code.

    64 without a terminal and --yes, 69 no Bluetooth or no unit, 73 not writable, 78 units only a person can add, 130
    Ctrl-C.
    """
    from .questions import Questions  # noqa: PLC0415 - prompt_toolkit takes a while to import
    from .wizard import set_up  # noqa: PLC0415

    file = args.file or _default_file(demo=args.demo)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not (terminal or args.yes):
        return _complain(
            "there is no terminal to ask on: with --yes it asks nothing; see `blupow-proxy setup --help`", os.EX_USAGE
        )
    questions = Questions(interactive=terminal and not args.yes)
    try:
        draft = asyncio.run(set_up(args, file, questions))
    except (KeyboardInterrupt, EOFError):
        print("\nEnded. Nothing was written.", file=sys.stderr)
        return _INTERRUPTED
    except StoppedError as error:
        return _complain(str(error), error.code)
    except BleError as error:
        return _complain(error.message, os.EX_UNAVAILABLE)
    return finish(args, draft, questions)


def finish(args: argparse.Namespace, draft: Draft, questions: "Questions") -> int:
    """Write the files, install the service if that is wanted, and say what comes next."""
    from .ending import say_next_steps, show_key  # noqa: PLC0415
    from .files import write  # noqa: PLC0415

    try:
        with _undisturbed():
            config = write(draft.file, draft.content, draft.key)
    except StoppedError as error:
        return _complain(str(error), error.code)
    questions.say()
    questions.done(f"{draft.file} is written, with {draft.units}")
    shown = show_key(config, questions)
    if args.demo:
        questions.say(f"These units are simulated: {draft.file} is for looking at.")
        return os.EX_OK
    code = os.EX_OK
    if draft.service:
        options = argparse.Namespace(
            file=draft.file, replace=draft.replace, substitutions=[], volatile_log=False, dry_run=False, root=Path("/")
        )
        code = service_command.run_install(options)
    say_next_steps(draft, config, questions, key_shown=shown, installed=draft.service and code == os.EX_OK)
    return code


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have an interrupt wait: both files are written, or none."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _default_file(*, demo: bool) -> Path:
    if demo:
        return _DEMO_FILE
    return service.CONFIG if os.geteuid() == 0 else FILE


def _unit(text: str) -> tuple[str, str]:
    address, equals, name = text.partition("=")
    try:
        return fields.mac_address(address), fields.label(name)
    except Invalid as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected ADDRESS=NAME, such as C4:D3:6A:00:00:01=Rover"
            if not equals
            else f"{text!r}: {error.msg}"
        ) from None


def _name(text: str) -> str:
    try:
        return fields.label(text)
    except Invalid as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.msg}") from None

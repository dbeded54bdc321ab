"""What is shown at the end: the key, and what to do next."""

import base64
import shlex
import sys

from blupow_config import SECRETS_FILE, ProxyConfig
from blupow_proxy.commands.program import program, program_as_root

from .outcome import Draft
from .qr import key_as_qr
from .questions import Questions
from .wizard import SYSTEMD


def show_key(config: ProxyConfig, questions: Questions) -> bool:
    """Show the key to a person; whether there was one, and somebody to see it."""
    if config.api.key is None or not sys.stdout.isatty():
        return False
    key = base64.b64encode(config.api.key).decode()
    questions.say()
    questions.say("The key, for Home Assistant: ", (key, "bold"))
    if not questions.console.is_dumb_terminal:
        print(*key_as_qr(key, sys.stdout.encoding), sep="\n")
    return True


def say_next_steps(
    draft: Draft, config: ProxyConfig, questions: Questions, *, key_shown: bool, installed: bool
) -> None:
    """Say what is left to do, and what to type for it."""
    file = shlex.quote(str(draft.file))
    steps: list[tuple[str, str | None]] = []
    if not installed:
        steps.append(("See how it does:", f"{program()} run {file}"))
        if SYSTEMD.is_dir():
            replace = " --replace" if draft.replace else ""
            call = f"{program_as_root()} install-service {file}{replace}"
            steps.append(("Keep it running, also after a restart:", call))
    enter = "enter the key above" if key_shown else f"enter the key, which is in {SECRETS_FILE} beside {file}"
    then = "it sets the key itself, within ten minutes of the start" if config.api.key is None else enter
    found = f'Settings > Devices & services shows "{config.esphome.friendly_name}" as discovered'
    steps.append((f"In Home Assistant, {found}. Add it; {then}.", None))
    if not installed:
        steps.append(("Is this a good place? See the signal while you move it:", f"{program()} survey {file}"))
    questions.say()
    questions.say(("Next", "bold"))
    for number, (step, command) in enumerate(steps, 1):
        questions.say(f"  {number}. {step}")
        if command is not None:
            questions.say_command(f"     {command}")

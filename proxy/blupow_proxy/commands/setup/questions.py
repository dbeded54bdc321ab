"""What is asked on a terminal, and what is said there."""

import sys
from collections.abc import Callable, Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.utils import is_dumb_terminal
from prompt_toolkit.validation import ValidationError, Validator
from rich.console import Console
from rich.text import Text


class Questions:
    """Asks a person; where nobody is asked, whatever is proposed is taken."""

    def __init__(self, *, interactive: bool) -> None:
        self.interactive = interactive
        self.console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    @property
    def has_keys(self) -> bool:
        """Whether a list can be walked through with the arrow keys."""
        return self.interactive and not is_dumb_terminal()

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print a line: texts, or texts with a style."""
        self.console.print(Text.assemble(*parts), soft_wrap=not self.console.is_terminal)

    def say_command(self, text: str) -> None:
        """Print what is to be typed: in one piece, so that it can be copied."""
        self.console.print(Text(text, "bold"), soft_wrap=True)

    def done(self, text: str) -> None:
        """Print what has gone well."""
        self.say(("✓ ", "green"), text)

    def warn(self, text: str) -> None:
        """Print what has not."""
        self.say(("! ", "yellow"), text)

    async def text(self, question: str, proposed: str, check: Callable[[str], str | None] = lambda _: None) -> str:
        """Return an answer for which ``check`` has no complaint; nothing typed is what was proposed."""
        if not self.interactive:
            return proposed

        def answer_of(typed: str) -> str:
            return typed.strip() or proposed

        class Checked(Validator):
            def validate(self, document: object) -> None:
                complaint = check(answer_of(document.text))  # type: ignore[attr-defined]
                if complaint is not None:
                    raise ValidationError(cursor_position=len(document.text), message=complaint)  # type: ignore[attr-defined]

        session: PromptSession[str] = PromptSession(complete_style=CompleteStyle.READLINE_LIKE)
        shown = f"{question} [{proposed}]: " if proposed else f"{question}: "
        while True:
            # a dumb terminal could not show what the validator says
            validator = Checked() if self.has_keys else None
            typed = await session.prompt_async(shown, validator=validator, validate_while_typing=False)
            complaint = check(answer_of(typed))
            if complaint is None:
                return answer_of(typed)
            self.warn(complaint)

    async def choose(self, question: str, options: Sequence[str], proposed: int = 0) -> int:
        """Return the index of the option that was chosen, by its number."""
        if not self.interactive:
            return proposed
        self.say(question)
        for number, option in enumerate(options, 1):
            self.say(f"  {number}  {option}")
        numbers = {str(number): number - 1 for number in range(1, len(options) + 1)}
        answer = await self.text(
            "Number",
            str(proposed + 1),
            lambda typed: None if typed in numbers else f"a number from 1 to {len(options)}",
        )
        return numbers[answer]

    async def confirm(self, question: str, *, proposed: bool) -> bool:
        """Return whether the answer was yes."""
        words = {"y": True, "yes": True, "n": False, "no": False}
        answer = await self.text(
            f"{question} (y/n)",
            "y" if proposed else "n",
            lambda typed: None if typed.lower() in words else "y for yes, n for no",
        )
        return words[answer.lower()]

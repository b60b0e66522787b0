"""What several commands need: sentences for what goes wrong, and who is at the keyboard."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from app.domain.mistakes import Refused
from app.domain.phones import InvalidPhone
from app.twilio.failures import TwilioFailure

P = ParamSpec("P")
R = TypeVar("R")


def operator() -> str:
    """Return how the audit log names whoever runs a command."""
    return f"operator {getpass.getuser()}"


def in_sentences(command: Callable[P, R]) -> Callable[P, R]:
    """Show what goes wrong as one sentence instead of a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Refused as refused:
            raise click.ClickException(
                " ".join(mistake.message for mistake in refused.mistakes)
            ) from refused
        except InvalidPhone as invalid:
            raise click.ClickException(invalid.reason) from invalid
        except TwilioFailure as failure:
            raise click.ClickException(f"Twilio: {failure}") from failure

    return run

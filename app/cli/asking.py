"""What several commands need: sentences for what goes wrong, and who is at the keyboard."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import click

from app.domain import specs
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


class Instant(click.ParamType[datetime]):
    """An instant in ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the instant."""
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return specs.instant(at if at.tzinfo else at.replace(tzinfo=UTC))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-21T18:00:00Z", param, ctx)


INSTANT = Instant()

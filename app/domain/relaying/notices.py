"""Notices: mails of our own, to a client's owner, to support, or to a person who signs in.

They go the way of every delivery: recorded in the transaction of what they tell about, sent and
retried by the relay, kept with every try.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from app.domain.relaying import events, outbox, receivers
from app.domain.relaying.events import Happening
from app.extensions import current_settings
from app.models.base import utcnow
from app.models.delivery import EventType


def notify(
    session: Session,
    to: str | Iterable[str],
    subject: str,
    text: str,
    *,
    dedupe_key: str | None = None,
    link: Mapping[str, Any] | None = None,
    answers: str | None = None,
) -> None:
    """Write a mail to one or several addresses when the caller's transaction commits.

    :param text: the whole mail as plain text, lines separated by a newline.
    :param dedupe_key: names the happening, so that it makes one mail per address, however often
        it is noticed. Put the day or month into it if it may be told again then.
    :param link: a link that is written into the text at sending; see :mod:`sign_in_links`.
    :param answers: the Message-ID of the mail that this one answers.
    """
    addresses = {to} if isinstance(to, str) else set(to)
    support = current_settings().support_email.lower()
    data = {"subject": subject, "text": text}
    context: dict[str, Any] = {"link": link} if link else {}
    if answers:
        context["answers"] = answers
    for key, address in {one.strip().lower(): one.strip() for one in sorted(addresses)}.items():
        place = outbox.own_mail(key, is_last=key == support)
        outbox.at_commit(
            session, place, partial(_write, session, address, data, dedupe_key, context)
        )


def _write(
    session: Session,
    address: str,
    data: dict[str, str],
    dedupe_key: str | None,
    context: Mapping[str, Any],
) -> None:
    endpoint = receivers.email(session, None, address)
    happening = Happening(
        endpoint.id, EventType.NOTICE, data, None, utcnow(), dedupe_key, context=context
    )
    events.record(session, happening)

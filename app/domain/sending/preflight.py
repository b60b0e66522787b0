"""What a sender sees before a batch is started: who gets it, what it costs, how long it takes.

Members are read as a stream and each is rendered exactly as it would be sent, so that what is
shown is what happens; nothing is held in memory but counts and a few examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.domain.clients import prices
from app.domain.content import templates
from app.domain.sending import calls, communications, lanes, preparation, quiet
from app.domain.sending.messages import Refusal, check_client, check_sender
from app.domain.sending.preparation import Composed, Plan
from app.models.audience import Member
from app.models.base import utcnow
from app.models.client import Client
from app.models.communication import Communication, Purpose
from app.models.credential import Credential
from app.models.message import Lane, Message
from app.models.route import Channel
from app.models.sender import Sender, SenderKind, SenderType
from app.twilio import segments

EXAMPLES = 20
MANY = 100
"""Recipients from which a long code is the wrong sender: carriers filter it (Twilio)."""
TOGETHER = 500


@dataclass(frozen=True)
class Warned:
    """Something that may go ahead but should be known."""

    code: str
    sentence: str


@dataclass
class Preflight:
    """What would happen if the batch were started now."""

    total: int = 0
    recipients: int = 0
    """Members that get it."""
    suppressed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Members that get nothing, by the code of the reason."""
    examples: list[tuple[int, str]] = field(default_factory=list)
    """The first members that get nothing: position from 1 and the reason in a sentence."""
    missing: Counter[str] = field(default_factory=Counter)
    """Attributes that the templates need, by how many members lack them."""
    messages: int = 0
    segments: int = 0
    longest: int = 0
    """Segments of the longest text."""
    ucs2: int = 0
    """Messages that carry characters outside GSM-7, which makes them dearer."""
    cost: Decimal = Decimal(0)
    currency: str = prices.CURRENCY
    seconds: float = 0.0
    """How long it takes at the sender's rate, what waits in its lane already included."""
    begins_at: datetime | None = None
    """The end of the quiet hours, if it is quiet now."""
    eta: datetime | None = None
    sample: list[str] = field(default_factory=list)
    """What the first recipient gets."""
    heard: dict[str, list[str]] = field(default_factory=dict)
    """What is heard in the first call, by who answers it: ``person`` and ``machine``, or
    ``anybody``."""
    problems: list[str] = field(default_factory=list)
    """Why it cannot be started at all."""
    warnings: list[Warned] = field(default_factory=list)

    @property
    def invalid(self) -> int:
        """Members that get nothing because of their phone or of what they lack."""
        return self.refused.total()


def preflight(
    session: Session,
    communication: Communication,
    members: Iterable[Mapping[str, Any]] | None = None,
) -> Preflight:
    """Work out what a batch of ``communication`` would do now; nothing is written.

    :param members: in place of its population.
    """
    found = Preflight()
    client = session.get_one(Client, communication.client_id)
    sender = session.get_one(Sender, communication.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    try:
        plan = communications.pin(session, communication)
    except Refusal as refusal:
        found.problems.append(refusal.sentence)
        return found
    checks: tuple[Callable[[], None], ...] = (
        partial(check_client, client),
        partial(check_sender, sender, credential, communication.destination),
    )
    for check in checks:
        try:
            check()
        except Refusal as refusal:
            found.problems.append(refusal.sentence)
    if members is None and communication.population_id is None:
        found.problems.append("The communication has no population; choose one.")
    stream = members if members is not None else _population(session, communication)
    _count(session, found, plan, client, sender, stream)
    _time(session, found, client, sender, communication, credential)
    found.warnings += _warnings(found, plan, client, sender, credential, communication)
    return found


def _population(session: Session, communication: Communication) -> Iterator[Mapping[str, Any]]:
    return iter(
        session.scalars(
            select(Member.attributes)
            .where(Member.population_id == communication.population_id)
            .order_by(Member.id)
            .execution_options(yield_per=TOGETHER)
        )
    )


def _count(
    session: Session,
    found: Preflight,
    plan: Plan,
    client: Client,
    sender: Sender,
    members: Iterable[Mapping[str, Any]],
) -> None:
    seen: set[int] = set()  # eight bytes of each fingerprint: a few megabytes for 100,000 members
    numbered = iter(enumerate(members, 1))
    while chunk := list(islice(numbered, TOGETHER)):
        composed: list[tuple[int, Mapping[str, Any], Composed]] = []
        for position, attributes in chunk:
            found.total += 1
            try:
                one = preparation.compose(plan, client, sender, attributes)
                composed.append((position, attributes, one))
            except Refusal as refusal:
                _refuse(found, position, refusal.code, refusal.sentence)
                if refusal.code == "template_error":
                    found.missing.update(_missing(plan, attributes))
        listed = preparation.listed(session, plan, sender, {one.to for *_, one in composed})
        for position, attributes, one in composed:
            key = int(one.fingerprint[:16], 16)
            if one.to in listed:
                found.suppressed += 1
            elif key in seen:
                _refuse(found, position, "duplicate", "The same text goes to this phone already.")
            else:
                seen.add(key)
                if not found.recipients and plan.destination is Channel.VOICE:
                    detection = calls.detection_of(plan.options)
                    found.heard = calls.preview(plan.steps[0].body, attributes, detection)
                _add(found, one, plan)


def _add(found: Preflight, one: Composed, plan: Plan) -> None:
    found.recipients += 1
    if not found.sample:
        found.sample = [part.body for part in one.texts]
    for part in one.texts:
        found.messages += 1
        if plan.destination is Channel.VOICE:
            found.cost += prices.CALL_MINUTE
            found.segments += 1
            continue
        found.segments += part.segments
        found.longest = max(found.longest, part.segments)
        found.ucs2 += segments.measure(part.body).encoding == "UCS-2"
        as_mms = len(part.media) or int(bool(plan.options.get("sendAsMms")))
        found.cost += segments.estimate_cost(part.segments, as_mms, prices.PRICES)


def _refuse(found: Preflight, position: int, code: str, sentence: str) -> None:
    found.refused[code] += 1
    if len(found.examples) < EXAMPLES:
        found.examples.append((position, sentence))


def _missing(plan: Plan, attributes: Mapping[str, Any]) -> list[str]:
    """Return every attribute that any of the steps lacks, once each, in the order of use."""
    names: dict[str, None] = {}
    for step in plan.steps:
        try:
            lacking = templates.missing(step.body, {**attributes, "AnsweredBy": ""})
            names.update(dict.fromkeys(lacking))
        except templates.TemplateProblem:
            continue  # the refusal's sentence says what is wrong
    return list(names)


def _time(
    session: Session,
    found: Preflight,
    client: Client,
    sender: Sender,
    communication: Communication,
    credential: Credential,
) -> None:
    voice = communication.destination is Channel.VOICE
    key = lanes.call_lane(credential.account_sid) if voice else lanes.text_lane(sender)
    lane = session.get(Lane, key)
    owner = session.get_one(Sender, sender.service_id) if sender.service_id else sender
    rate = lane.rate if lane else credential.calls_per_second if voice else owner.rate
    ahead = session.scalar(
        select(func.coalesce(func.sum(Message.segments), 0)).where(
            Message.lane_key == key, text("message.state = 'waiting'")
        )
    )
    found.seconds = (found.segments + (ahead or 0)) / rate
    now = utcnow()
    found.begins_at = quiet.until(now, client.time_zone, client.quiet_from, client.quiet_to)
    found.eta = (found.begins_at or now) + timedelta(seconds=found.seconds)


def _warnings(
    found: Preflight,
    plan: Plan,
    client: Client,
    sender: Sender,
    credential: Credential,
    communication: Communication,
) -> Iterator[Warned]:
    if found.begins_at is not None:
        yield Warned(
            "quiet_hours",
            f"It is quiet from {client.quiet_from} to {client.quiet_to} ({client.time_zone}):"
            f" nothing goes out before then.",
        )
    if client.trial or credential.trial:
        yield Warned(
            "trial", "On trial only phones on the allow-list, or verified at Twilio, are reached."
        )
    if plan.destination is Channel.VOICE:
        return
    long_code = sender.kind is SenderKind.TWILIO and sender.type is SenderType.LONG_CODE
    if long_code and found.recipients >= MANY:
        yield Warned(
            "long_code",
            f"{found.recipients:,} recipients from one long code: carriers take that for spam and"
            " filter it. Use a messaging service, a toll-free number or a short code.",
        )
    if long_code and sender.service_id is None:
        yield Warned(
            "unregistered",
            "This number is in no messaging service, so it is probably not registered for"
            " application texts (A2P 10DLC), and US carriers block it.",
        )
    if communication.purpose is Purpose.MARKETING and sender.type is not SenderType.SHORT_CODE:
        yield Warned("marketing", "Marketing should go out from a short code only.")
    if plan.suppression_list_id is None:
        yield Warned(
            "no_suppression_list",
            "No suppression list is chosen: people who have opted out cause delivery errors.",
        )
    if found.longest > 3 and not plan.options.get("sendAsMms"):
        yield Warned(
            "long_text",
            f"The longest text is split into {found.longest} segments, each of which is charged;"
            " sent as MMS it is one message.",
        )
    if found.ucs2:
        yield Warned(
            "ucs2",
            f"{found.ucs2:,} texts hold characters outside the GSM alphabet, so that a segment"
            " has room for 70 instead of 160.",
        )

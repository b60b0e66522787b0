"""What a sender sees before a batch is started: who gets it, what it costs, how long it takes.

Members are rendered exactly as they would be sent. Up to ``EXAMINED`` of them everybody is, so
that what is shown is what happens; of more, as many are, evenly chosen from the whole list, so
that whoever waits for the answer gets it within seconds; the figures are then estimates and say
so. Preparation examines everybody before the first text goes out. Nothing is held in memory but
counts and a few examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.domain.audience import line_types, populations
from app.domain.clients import prices
from app.domain.content import attachments, budget, templates
from app.domain.content.attachments import Look
from app.domain.reach import Refusal
from app.domain.sending import approval, calls, communications, composing, elsewhere, lanes, quiet
from app.domain.sending.cautions import cautions
from app.domain.sending.clock_there import Clock
from app.domain.sending.composing import Composed, Plan
from app.domain.sending.forecast import Forecast, Warned
from app.domain.sending.messages import check_client, check_sender
from app.domain.sending.twiml_rules import TwimlRules
from app.models.audience import Member, people_of
from app.models.base import utcnow
from app.models.batch import Batch, BatchMember
from app.models.client import Client
from app.models.communication import Communication
from app.models.credential import Credential
from app.models.message import Lane, Message
from app.models.route import Destination
from app.models.sender import Sender
from app.twilio import segments

EXAMPLES = 20
EXAMINED = 3_000
"""Members that are rendered while somebody waits: about a second."""
WORK = 20 * budget.UNITS
"""What filling in their templates may cost together: about two seconds."""
TOGETHER = 500

Numbered = tuple[int, Mapping[str, Any]]
"""A member: position in the population from 1, and attributes."""


def preflight(
    session: Session,
    communication: Communication,
    *,
    examined: int | None = EXAMINED,
    looks: Mapping[str, Look] | None = None,
) -> Forecast:
    """Work out what a batch of ``communication`` would do now; nothing is written.

    :param examined: how many members are looked at; None looks at everybody, however long it
        takes.
    :param looks: what is known of media that are served elsewhere.
    """
    found = Forecast()
    try:
        plan = communications.pin(session, communication)
    except Refusal as refusal:
        found.problems.append(refusal.sentence)
        return found
    members: Iterable[Numbered] = ()
    if communication.population_id is not None:
        found.total = populations.size(session, communication.population_id)
        members = _members(session, communication.population_id, found.total, examined)
    work = math.inf if examined is None else WORK
    _forecast(session, found, communication, plan, members, work, looks)
    if communication.population_id is None:
        found.problems.append("The communication has no population; choose one.")
    return found


def of_batch(
    session: Session, batch: Batch, *, examined: int, looks: Mapping[str, Look] | None = None
) -> Forecast:
    """Work out what a batch whose members are pinned would do; ``examined`` are looked at."""
    found = Forecast(total=batch.total)
    communication = session.get_one(Communication, batch.communication_id)
    plan = composing.read_plan(session, batch.plan)
    every = max(1, -(-batch.total // examined))
    query = (
        select(BatchMember.position + 1, BatchMember.attributes)
        .where(BatchMember.batch_id == batch.id, BatchMember.position % every == 0)
        .order_by(BatchMember.position)
        .execution_options(yield_per=TOGETHER)
    )
    members = ((row[0], row[1]) for row in session.execute(query))
    _forecast(session, found, communication, plan, members, WORK, looks)
    return found


def _forecast(
    session: Session,
    found: Forecast,
    communication: Communication,
    plan: Plan,
    members: Iterable[Numbered],
    work: float,
    looks: Mapping[str, Look] | None,
) -> None:
    """Fill in what comes of these members of ``found.total``."""
    client = session.get_one(Client, communication.client_id)
    sender = session.get_one(Sender, plan.sender_id)
    credential = session.get_one(Credential, sender.credential_id)
    checks: tuple[Callable[[], None], ...] = (
        partial(check_client, client),
        partial(check_sender, sender, credential, plan.destination),
    )
    for check in checks:
        try:
            check()
        except Refusal as refusal:
            found.problems.append(refusal.sentence)
    _look_at_media(session, found, plan, client, looks)
    _count(session, found, plan, client, sender, members, work)
    found.extend()
    found.needs_approval = approval.is_needed(session, client.id, found.total)
    _time(session, found, client, sender, plan.destination, credential)
    found.warnings += cautions(found, plan, client, sender, credential, communication)


def media_of(session: Session, communication: Communication) -> list[str]:
    """Return every address of media in the communication's texts, for a look at them."""
    try:
        plan = communications.pin(session, communication)
    except Refusal:
        return []  # the preflight itself says why
    return [url for step in plan.steps for url in step.media]


def _look_at_media(
    session: Session,
    found: Forecast,
    plan: Plan,
    client: Client,
    looks: Mapping[str, Look] | None,
) -> None:
    for step in plan.steps:
        findings = attachments.inspect(session, client.id, step.media, looks)
        found.problems += [mistake.message for mistake in findings.mistakes]
        found.warnings += [Warned("media", sentence) for sentence in findings.advice]


def _members(
    session: Session, population_id: str, total: int, examined: int | None
) -> Iterator[Numbered]:
    """Stream the members, or evenly chosen ones of more than ``examined``, from the first on."""
    position = func.row_number().over(order_by=Member.id)
    ids = select(Member.id, position.label("position")).where(people_of(population_id)).subquery()
    query = (
        select(ids.c.position, Member.attributes)
        .join(Member, Member.id == ids.c.id)
        .order_by(Member.id)
        .execution_options(yield_per=TOGETHER)
    )
    if examined is not None and total > examined:
        every = -(-total // examined)
        query = query.where(ids.c.position % every == 1)
    for row in session.execute(query):
        yield row.position, row.attributes


def _count(
    session: Session,
    found: Forecast,
    plan: Plan,
    client: Client,
    sender: Sender,
    members: Iterable[Numbered],
    work: float,
) -> None:
    """Look at members, while there is work left to spend on filling in their templates."""
    seen: set[int] = set()  # eight bytes of each fingerprint: a few megabytes for 100,000 members
    stream = iter(members)
    clock = Clock(client, utcnow())
    rules = TwimlRules(session, client, sender)
    while chunk := list(islice(stream, TOGETHER)):
        composed: list[tuple[int, Mapping[str, Any], Composed]] = []
        for position, attributes in chunk:
            found.examined += 1
            with budget.fresh() as spending:
                try:
                    one = composing.compose(plan, client, sender, attributes, rules)
                    composed.append((position, attributes, one))
                except Refusal as refusal:
                    found.refuse(position, refusal.code, refusal.sentence, EXAMPLES)
                    if refusal.code == "template_error":
                        found.missing.update(_missing(plan, attributes))
            work -= spending.spent
            if work < 0:
                stream = iter(())  # the figures are estimates from those who were looked at
                break
        phones = {one.to for *_, one in composed}
        unreachable = composing.unreachable(
            session, plan.destination, plan.suppression_list_id, client, sender, phones
        )
        others: Mapping[str, Collection[str]] = {}
        if plan.destination is Destination.SMS:
            others = elsewhere.lists_of(session, client.id, phones - unreachable.keys())
        found.to_look_up += _unknown_lines(session, plan, client, phones - unreachable.keys())
        for position, attributes, one in composed:
            key = int(one.fingerprint[:16], 16)
            refused = unreachable.get(one.to)
            if refused is not None:
                _get_nothing(found, position, refused)
            elif key in seen:
                found.refuse(position, "duplicate", composing.DUPLICATE, EXAMPLES)
            else:
                seen.add(key)
                _add(found, one, plan, attributes)
                clock.look(found, one.to)
                found.elsewhere.update(others.get(one.to, ()))


def _unknown_lines(session: Session, plan: Plan, client: Client, phones: Collection[str]) -> int:
    """Return of how many phones Twilio Lookup is still to be asked before their texts."""
    if not line_types.are_wanted(client, plan.destination):
        return 0
    return len(line_types.missing(session, client.id, phones))


def _get_nothing(found: Forecast, position: int, refused: Refusal) -> None:
    if refused.error_code is not None:
        found.unreachable += 1
        found.name(position, refused.sentence, EXAMPLES)
    elif refused.code == "suppressed":
        found.suppressed += 1
    else:
        found.refuse(position, refused.code, refused.sentence, EXAMPLES)


def _add(found: Forecast, one: Composed, plan: Plan, attributes: Mapping[str, Any]) -> None:
    if not found.recipients:
        found.sample = [part.body for part in one.texts]
        if plan.destination is Destination.VOICE:
            detection = calls.detection_of(plan.options)
            found.heard = calls.preview(plan.steps[0].body, attributes, detection)
    found.recipients += 1
    for part in one.texts:
        found.messages += 1
        if plan.destination is Destination.VOICE:
            found.cost += prices.CALL_MINUTE
            found.segments += 1
            continue
        found.segments += part.segments
        found.longest = max(found.longest, part.segments)
        found.ucs2 += segments.measure(part.body).encoding == "UCS-2"
        as_mms = len(part.media) or int(bool(plan.options.get("sendAsMms")))
        found.cost += segments.estimate_cost(part.segments, as_mms, prices.PRICES)


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
    found: Forecast,
    client: Client,
    sender: Sender,
    destination: Destination,
    credential: Credential,
) -> None:
    voice = destination is Destination.VOICE
    key = lanes.call_lane(credential) if voice else lanes.text_lane(sender)
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
    begins = max(found.begins_at or now, found.last_opens_at or now)
    found.eta = begins + timedelta(seconds=found.seconds)

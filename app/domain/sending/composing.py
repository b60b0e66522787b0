"""What a batch says, pinned when it is started, and what one member gets of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.audience import in_force, line_types
from app.domain.content import links, templates
from app.domain.reach import Refusal
from app.domain.sending import calls
from app.domain.sending.messages import check_content, check_recipient
from app.domain.sending.twiml_rules import TwimlRules
from app.models.batch import Batch
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import TemplateVersion

DUPLICATE = "The same text goes to this phone already."
TOLD_BEFORE = "This phone gets this about {date} already; it is told of a date once."


@dataclass(frozen=True)
class StepPlan:
    """One text (or call) to each member: a template version, pinned."""

    version_id: str
    body: str
    media: tuple[str, ...]
    after: int | None
    """Seconds after the step before; None for the first."""


@dataclass(frozen=True)
class Plan:
    """What a batch says and how, as it was at the start."""

    destination: Destination
    steps: tuple[StepPlan, ...]
    link_tracking: bool
    short_link_base: str
    sender_id: str
    suppression_list_id: str | None
    options: dict[str, Any]
    retry_calls: int = 0
    """How often a call that nobody took is placed again."""
    retry_calls_after: int = 0
    """Seconds between two tries."""
    dated_by: str | None = None
    """The attribute in which members have a date, where this is about a date of theirs."""
    dated_on: str | None = None
    """That date; see :mod:`app.domain.audience.dated`."""

    def as_json(self) -> dict[str, Any]:
        """Return what ``batch.plan`` stores; the texts are those of the versions."""
        return {
            **asdict(self),
            "steps": [[step.version_id, step.after] for step in self.steps],
        }


@dataclass(frozen=True)
class Text:
    """One rendered message to one member."""

    body: str
    media: tuple[str, ...]
    segments: int
    links: list[links.ShortLink]


@dataclass(frozen=True)
class Composed:
    """All that one member gets."""

    to: str
    texts: tuple[Text, ...]
    fingerprint: str
    """Equal for two members with the same phone and the same texts."""


def sender_of(session: Session, batch: Batch) -> Sender:
    """Return the sender of a batch: that of its communication when it was started."""
    return session.get_one(Sender, batch.plan["sender_id"])


def read_plan(session: Session, stored: Mapping[str, Any]) -> Plan:
    """Return the plan that a batch stores."""
    steps = []
    for version_id, after in stored["steps"]:
        version = session.get_one(TemplateVersion, version_id)
        steps.append(StepPlan(version_id, version.body, tuple(version.media), after))
    rest = {name: stored[name] for name in stored if name not in ("steps", "destination")}
    return Plan(steps=tuple(steps), destination=Destination(stored["destination"]), **rest)


def compose(
    plan: Plan,
    client: Client,
    sender: Sender,
    attributes: Mapping[str, Any],
    rules: TwimlRules,
) -> Composed:
    """Render everything that a member with these attributes gets.

    Own numbers and the suppression list are asked for many members at once: :func:`unreachable`.

    :param rules: those of the client and the sender, made once for many members.

    :raises Refusal: with the first reason why this member gets nothing.
    """
    to = phone_of(attributes, client, sender, plan.destination)
    rendered = [(_render(plan, step, attributes, rules), step.media) for step in plan.steps]
    digest = hashlib.sha256(repr((to, rendered)).encode("utf-8", "surrogatepass"))
    texts = tuple(_finish(plan, body, media) for body, media in rendered)
    return Composed(to, texts, digest.hexdigest()[:32])


def phone_of(
    attributes: Mapping[str, Any], client: Client, sender: Sender, destination: Destination
) -> str:
    """Return a member's phone in E.164.

    Own numbers and the suppression list are asked for many members at once: :func:`unreachable`.

    :raises Refusal: when there is none, or it may not be texted or called.
    """
    phone = attributes.get("toPhone")
    if phone is None or not str(phone).strip():
        raise Refusal("invalid_phone", "The member has no toPhone.", "to")
    return check_recipient(client, sender, str(phone), destination, ours=())


def unreachable(
    session: Session,
    destination: Destination,
    list_id: str | None,
    client: Client,
    sender: Sender,
    numbers: set[str],
) -> dict[str, Refusal]:
    """Return the phones among ``numbers`` that get nothing now, each with the reason.

    :param list_id: the suppression list that counts, if there is one.
    """
    credential = session.get_one(Credential, sender.credential_id)
    standing = reach.standing(client, sender, credential)
    ours, listed = (
        reach.own_numbers(session, numbers),
        _listed(session, destination, list_id, sender, numbers),
    )
    found = {
        to: reach.why_not(standing, to, destination, ours, listed.get(to))
        for to in ours | listed.keys()
    }
    refused = {to: refusal for to, refusal in found.items() if refusal is not None}
    if destination is Destination.SMS:
        for to in line_types.landlines(session, client, numbers - refused.keys()):
            refused[to] = Refusal("landline", line_types.SENTENCE, "to")
    return refused


def _listed(
    session: Session,
    destination: Destination,
    list_id: str | None,
    sender: Sender,
    numbers: set[str],
) -> dict[str, reach.Listed]:
    """Return the phones among ``numbers`` that must not be texted, by the list or by a “Stop.”."""
    if destination is Destination.VOICE:
        return {}
    scopes = in_force.scopes_of(sender.id, sender.service_id)
    entries = in_force.in_force(session, [list_id], numbers)
    found = {one: entries.why_not(list_id, one, scopes) for one in numbers}
    return {one: listed for one, listed in found.items() if listed is not None}


def _render(plan: Plan, step: StepPlan, attributes: Mapping[str, Any], rules: TwimlRules) -> str:
    if plan.destination is Destination.VOICE:
        detection = calls.detection_of(plan.options)
        return calls.prepare(step.body, attributes, detection, rules)
    try:
        return templates.render(step.body, attributes)
    except templates.TemplateProblem as problem:
        raise Refusal("template_error", problem.message, "body") from problem


def _finish(plan: Plan, body: str, media: tuple[str, ...]) -> Text:
    """Shorten the links, then count: a text is measured as it goes out."""
    if plan.destination is Destination.VOICE:
        return Text(body, media, 1, [])
    found: list[links.ShortLink] = []
    if plan.link_tracking:
        body, found = links.rewrite(body, plan.short_link_base)
    return Text(body, media, check_content(body, media, plan.options), found)

"""Making a batch's messages: each member's texts rendered, checked, and put into the lane.

What is said is pinned in a plan when the batch is started. Members come in chunks, each a
transaction of its own, so that a crash resumes where it stopped and writes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from app.domain.audience import suppression
from app.domain.content import links, templates
from app.domain.relaying import announcements
from app.domain.sending import calls
from app.domain.sending.messages import SUPPRESSED, Refusal, check_content, check_recipient
from app.models.base import new_id, utcnow
from app.models.batch import Batch
from app.models.client import Client
from app.models.link import Link
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Channel
from app.models.sender import Sender
from app.models.template import TemplateVersion


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

    destination: Channel
    steps: tuple[StepPlan, ...]
    link_tracking: bool
    short_link_base: str
    sender_id: str
    suppression_list_id: str | None
    options: dict[str, Any]

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


@dataclass(frozen=True)
class Refused:
    """A member that gets nothing, and why."""

    position: int
    code: str
    reason: str
    sentence: str


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
    return Plan(steps=tuple(steps), destination=Channel(stored["destination"]), **rest)


def compose(plan: Plan, client: Client, sender: Sender, attributes: Mapping[str, Any]) -> Composed:
    """Render everything that a member with these attributes gets.

    :raises Refusal: with the first reason why this member gets nothing.
    """
    phone = attributes.get("toPhone")
    if phone is None or not str(phone).strip():
        raise Refusal("invalid_phone", "The member has no toPhone.", "to")
    to = check_recipient(client, sender, str(phone), plan.destination)
    rendered = [(_render(plan, step, attributes), step.media) for step in plan.steps]
    digest = hashlib.sha256(repr((to, rendered)).encode("utf-8", "surrogatepass"))
    texts = tuple(_finish(plan, body, media) for body, media in rendered)
    return Composed(to, texts, digest.hexdigest()[:32])


def prepare(
    session: Session,
    batch: Batch,
    plan: Plan,
    members: Sequence[tuple[int, Mapping[str, Any]]],
) -> list[Refused]:
    """Write the messages of some members, by position; the caller owns the transaction.

    A member whose phone or texts are at fault is refused alone, one whose phone is suppressed is
    marked so, and the same texts go to the same phone once.

    :returns: the members that get nothing, with the reason.
    """
    sender = sender_of(session, batch)
    client = session.get_one(Client, batch.client_id)
    now = utcnow()
    rows: list[dict[str, Any]] = []
    link_rows: list[dict[str, Any]] = []
    refused: list[Refused] = []
    composed: list[tuple[int, Mapping[str, Any], Composed]] = []
    for position, attributes in members:
        try:
            composed.append((position, attributes, compose(plan, client, sender, attributes)))
        except Refusal as refusal:
            refused.append(Refused(position, refusal.code, refusal.reason, refusal.sentence))
            rows.append(_ended(batch, plan, sender, position, attributes, refusal))
    known = _fingerprints(session, batch, {one.to for _, _, one in composed})
    on_list = listed(session, plan, sender, {one.to for _, _, one in composed})
    for position, attributes, one in composed:
        refusal_ = None
        if one.to in on_list:
            refusal_ = Refusal("suppressed", SUPPRESSED, "to")
        elif one.fingerprint in known:
            refusal_ = Refusal("duplicate", "The same text goes to this phone already.", "to")
        if refusal_ is not None:
            refused.append(Refused(position, refusal_.code, refusal_.reason, refusal_.sentence))
            rows.append(_ended(batch, plan, sender, position, attributes, refusal_, one.to))
            continue
        known.add(one.fingerprint)
        for row, found in _waiting(batch, plan, sender, position, attributes, one, now):
            rows.append(row)
            link_rows += [
                {"code": link.code, "url": link.url, "message_id": row["id"],
                 "client_id": batch.client_id}
                for link in found
            ]  # fmt: skip
    if rows:
        session.execute(insert(Message), rows)
    if link_rows:
        session.execute(insert(Link), link_rows)
    _announce(session, [row for row in rows if row["state"] is not MessageState.WAITING], now)
    return sorted(refused, key=lambda one: one.position)


def _render(plan: Plan, step: StepPlan, attributes: Mapping[str, Any]) -> str:
    if plan.destination is Channel.VOICE:
        return calls.prepare(step.body, attributes, calls.detection_of(plan.options))
    try:
        return templates.render(step.body, attributes)
    except templates.TemplateProblem as problem:
        raise Refusal("template_error", problem.message, "body") from problem


def _finish(plan: Plan, body: str, media: tuple[str, ...]) -> Text:
    """Shorten the links, then count: a text is measured as it goes out."""
    if plan.destination is Channel.VOICE:
        return Text(body, media, 1, [])
    found: list[links.ShortLink] = []
    if plan.link_tracking:
        body, found = links.rewrite(body, plan.short_link_base)
    return Text(body, media, check_content(body, media, plan.options), found)


def _fingerprints(session: Session, batch: Batch, numbers: set[str]) -> set[str]:
    """Return what has been put into the lane for these phones, by earlier chunks."""
    if not numbers:
        return set()
    found = session.scalars(
        select(Message.fingerprint).where(
            Message.lane_key == batch.lane_key,
            text("message.state IN ('waiting', 'claimed')"),
            Message.to.in_(numbers),
            Message.batch_id == batch.id,
            Message.fingerprint.is_not(None),
        )
    )
    return {one for one in found if one}


def listed(session: Session, plan: Plan, sender: Sender, numbers: set[str]) -> set[str]:
    """Return the phones among ``numbers`` that the plan's suppression list forbids now."""
    if plan.destination is Channel.VOICE or plan.suppression_list_id is None:
        return set()
    scopes = suppression.scopes_of(sender.id, sender.service_id)
    entries = suppression.listed_among(session, [plan.suppression_list_id], numbers)
    return {phone for _, phone, scope in entries if scope in scopes}


def _common(
    batch: Batch, plan: Plan, sender: Sender, position: int, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "client_id": batch.client_id,
        "destination": plan.destination,
        "sender_id": sender.id,
        "credential_id": sender.credential_id,
        "from_": sender.address,
        "member": dict(attributes),
        "communication_id": batch.communication_id,
        "batch_id": batch.id,
        "position": position,
        "suppression_list_id": plan.suppression_list_id,
        "options": plan.options,
    }


def _waiting(
    batch: Batch,
    plan: Plan,
    sender: Sender,
    position: int,
    attributes: Mapping[str, Any],
    one: Composed,
    now: datetime,
) -> list[tuple[dict[str, Any], list[links.ShortLink]]]:
    made = []
    for number, (step, part) in enumerate(zip(plan.steps, one.texts, strict=True)):
        row = {
            **_common(batch, plan, sender, position, attributes),
            "id": new_id(),
            "to": one.to,
            "body": part.body,
            "media": list(part.media),
            "segments": part.segments,
            "template_version_id": step.version_id,
            "step": number,
            "step_after": step.after,
            "fingerprint": one.fingerprint if number == 0 else None,
            "state": MessageState.WAITING,
            "lane_key": batch.lane_key,
            "due_at": now if number == 0 else None,
            "reason": None,
            "error_message": None,
        }
        made.append((row, part.links))
    return made


def _ended(
    batch: Batch,
    plan: Plan,
    sender: Sender,
    position: int,
    attributes: Mapping[str, Any],
    refusal: Refusal,
    to: str | None = None,
) -> dict[str, Any]:
    suppressed = refusal.code == "suppressed"
    return {
        **_common(batch, plan, sender, position, attributes),
        "id": new_id(),
        "to": to or str(attributes.get("toPhone") or "")[:64].replace("\x00", ""),
        "body": None,
        "media": [],
        "segments": 0,
        "template_version_id": plan.steps[0].version_id,
        "step": 0,
        "step_after": None,
        "fingerprint": None,
        "state": MessageState.SUPPRESSED if suppressed else MessageState.REFUSED,
        "lane_key": None,
        "due_at": None,
        "reason": refusal.reason,
        "error_message": refusal.sentence[:500],
    }


def _announce(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not rows:
        return
    session.execute(
        insert(MessageReport),
        [
            {"message_id": row["id"], "at": now, "status": row["state"].value,
             "source": "dispatch", "details": {}}
            for row in rows
        ],
    )  # fmt: skip
    for message in session.scalars(select(Message).where(Message.id.in_([r["id"] for r in rows]))):
        announcements.problem(session, message, message.reason or "refused")

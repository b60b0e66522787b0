"""Calls: what is said to whom, checked before the phone rings and chosen when it is answered.

A call's template is rendered twice from the same pinned source: when the call is queued, with an
empty ``AnsweredBy``, and when it is answered, with ``human`` or ``machine``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.domain.content import templates
from app.domain.content.voice_templates import ANSWERED_BY
from app.domain.reach import Refusal
from app.domain.relaying.callbacks import CallbacksSpec, save_callbacks
from app.domain.sending import allowance, lanes
from app.domain.sending.call_options import RANGES
from app.domain.sending.messages import check_client, check_recipient, check_sender
from app.domain.sending.twiml_rules import TwimlRules
from app.extensions import current_settings
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.communication import Communication, MachineDetection
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.template import TemplateVersion
from app.twiml import voice
from app.twiml.check import mistakes_in
from app.twiml.onward import ways_onward
from app.twiml.parse import Element, Unreadable, parse
from app.twiml.rewrite import PREFIX_LENGTH, finish_actions, own_names, speech_of, write
from app.twiml.values import Leads

log = structlog.get_logger(__name__)

HUMAN, MACHINE, NOT_KNOWN = "human", "machine", ""
MAX_BYTES = 60_000
"""Longest TwiML: Twilio fetches 64 kB (error 11750)."""
OUR_BYTES = 400
"""How much our own addresses add to a verb that needs them."""


@dataclass(frozen=True)
class Script:
    """A call's TwiML for one person, rendered for everybody who may answer; see :func:`script`."""

    source: str
    """TwiML; placeholders take the member's attributes, and ``AnsweredBy``."""
    member: Mapping[str, Any] | None
    detection: MachineDetection
    documents: tuple[str, ...]
    """As it is before anybody has answered; then for a person and for a machine, if they differ."""

    def checked(self, rules: TwimlRules) -> str:
        """Return the TwiML as it is before anybody has answered, if it may be served.

        :raises Refusal: ``not_allowed`` where it goes on to what the client may not use, which a
            member's attributes may have put there.
        """
        for document in self.documents:
            rules.check(parse(document))
        return self.documents[0]


def script(
    source: str,
    member: Mapping[str, Any] | None = None,
    detection: MachineDetection = MachineDetection.OFF,
) -> Script:
    """Render a call for one person; it takes what its author decides, so nothing may be locked.

    :raises Refusal: ``template_error``, with the line of the first mistake.
    """
    answers = [NOT_KNOWN]
    if detection is not MachineDetection.OFF and ANSWERED_BY in source:
        answers += [HUMAN, MACHINE]
    documents = tuple(_read(source, member, who)[0] for who in answers)
    return Script(source, member, detection, documents)


def queue_call(
    session: Session,
    client: Client,
    sender: Sender,
    to: str,
    *,
    script: Script,
    communication: Communication | None = None,
    options: Mapping[str, int] | None = None,
    callbacks: CallbacksSpec | None = None,
    due_at: datetime | None = None,
) -> Message:
    """Put one call into its account's lane; after the commit the caller wakes ``send``.

    :param script: what is said, rendered before the transaction opened.
    :param options: see :mod:`app.domain.sending.call_options`.
    :param callbacks: who is told of this call, in place of the client's defaults.
    :param due_at: not to be placed before this; now when not given.
    :raises Refusal: when the client, sender, phone or TwiML does not allow it, and the caller's
        transaction is not to be kept; ``Limited`` is one, when a limit of the client is reached.
    :raises app.domain.mistakes.Refused: when the callbacks name what does not exist.
    """
    credential = session.get_one(Credential, sender.credential_id)
    check_client(client)
    check_sender(sender, credential, Destination.VOICE)
    number = check_recipient(client, sender, to, Destination.VOICE)
    told = check_options(script.detection, options or {})
    message = Message(
        id=new_id(),
        client_id=client.id,
        destination=Destination.VOICE,
        sender_id=sender.id,
        credential_id=credential.id,
        to=number,
        from_=sender.address,
        body=script.checked(TwimlRules(session, client, sender)),
        twiml_source=script.source,
        member=dict(script.member) if script.member is not None else None,
        communication_id=communication.id if communication else None,
        options=told,
        state=MessageState.WAITING,
        lane_key=lanes.ensure_lane(session, sender, Destination.VOICE, credential),
        due_at=due_at or utcnow(),
    )
    session.add(message)
    session.flush()
    if callbacks is not None:
        save_callbacks(session, client.id, callbacks, message=message)
    allowance.accept(session, client, message)
    return message


def check_options(detection: MachineDetection, options: Mapping[str, int]) -> dict[str, Any]:
    """Return what a message keeps of the way a call is placed.

    :raises Refusal: ``bad_option``, for an unknown name or a value that Twilio would not take.
    """
    for name, value in options.items():
        if name not in RANGES:
            raise Refusal("bad_option", f"There is no option {name} of calls.", "options")
        low, high = RANGES[name]
        if not low <= value <= high:
            raise Refusal(
                "bad_option", f"{name} has to be {low} to {high}, not {value}.", "options"
            )
    told: dict[str, Any] = dict(options)
    if detection is not MachineDetection.OFF:
        told["machineDetection"] = detection.value
    return told


def detection_of(options: Mapping[str, Any]) -> MachineDetection:
    """Return the detection that a message or batch was queued with."""
    return MachineDetection(options.get("machineDetection", MachineDetection.OFF))


def prepare(
    source: str,
    member: Mapping[str, Any] | None,
    detection: MachineDetection,
    rules: TwimlRules,
) -> str:
    """Return the TwiML as it is before anybody has answered, once it is right for every answer.

    :raises Refusal: ``template_error``, with the line of the first mistake; ``not_allowed`` where
        it goes on to what the client may not use, which a member's attributes may have put there.
    """
    return script(source, member, detection).checked(rules)


def render(source: str, member: Mapping[str, Any] | None, answered_by: str = NOT_KNOWN) -> str:
    """Return the TwiML of ``source`` for one person.

    :param answered_by: ``human``, ``machine``, or empty while it is not known.
    :raises Refusal: ``template_error``.
    """
    return _read(source, member, answered_by)[0]


def _read(
    source: str, member: Mapping[str, Any] | None, answered_by: str = NOT_KNOWN
) -> tuple[str, Element]:
    """Return the TwiML for one person, as it was rendered and as it was understood.

    :raises Refusal: ``template_error``.
    """
    attributes = {**(member or {}), ANSWERED_BY: answered_by}
    try:
        document = templates.render(source, attributes, autoescape_xml=True).strip()
        root = parse(document)
    except templates.TemplateProblem as problem:
        raise Refusal("template_error", problem.message, "twiml") from problem
    except Unreadable as error:
        raise Refusal("template_error", str(error), "twiml") from error
    if mistakes := mistakes_in(root):
        raise Refusal("template_error", str(mistakes[0]), "twiml")
    if (size := _size(root)) > MAX_BYTES:
        raise Refusal(
            "template_error",
            f"The TwiML has {size:,} bytes with our own addresses; at most {MAX_BYTES:,} are"
            " allowed.",
            "twiml",
        )
    return document, root


def _size(root: Element) -> int:
    """Return how many bytes the document has at most when it is served."""
    ours = sum(element.name in ("Gather", "Record", "Dial") for element in root.walk())
    names = sum(way.leads is Leads.NAME for way in ways_onward(root))
    return len(write(root).encode()) + ours * OUR_BYTES + names * PREFIX_LENGTH


def verdict(answered_by: str | None) -> str:
    """Return ``human`` or ``machine`` for Twilio's word on who answered; empty without a word.

    Twilio (answering machine detection): ``human``, ``fax``, ``unknown``, ``machine_start``, or
    ``machine_end_beep``, ``machine_end_silence``, ``machine_end_other``. Whoever is not known to
    be a machine is treated as a person.
    """
    if not answered_by:
        return NOT_KNOWN
    return MACHINE if answered_by.startswith("machine") or answered_by == "fax" else HUMAN


def choose(session: Session, message: Message, answered_by: str | None) -> str:
    """Return what an answered call is to be told, before a transaction opens.

    Never raises for what the template does: the person is on the line, and hears a sentence.
    """
    return message.answer_twiml or _choose(session, message, answered_by)


def answer(session: Session, message: Message, document: str) -> str:
    """Keep the TwiML that the answered call is told, and return it; a repeat gets the same.

    :param document: what :func:`choose` chose.
    """
    if message.answer_twiml is not None:
        return message.answer_twiml
    stored: str | None = session.scalar(
        update(Message)
        .where(Message.id == message.id, Message.answer_twiml.is_(None))
        .values(answer_twiml=document)
        .returning(Message.answer_twiml)
        .execution_options(synchronize_session=False)
    )
    if stored is None:  # another request was quicker: it decides
        session.refresh(message)
        stored = message.answer_twiml
    return stored or document


def _choose(session: Session, message: Message, answered_by: str | None) -> str:
    who = verdict(answered_by)
    if who == MACHINE and detection_of(message.options) is MachineDetection.HANG_UP:
        return voice.hangup()
    base = f"{current_settings().public_base_url}/inbound/voice"
    try:
        root = _read(_source(session, message), message.member, who)[1]
        client = session.get_one(Client, message.client_id)
        TwimlRules(session, client, session.get(Sender, message.sender_id)).check(root)
        own_names(root, client.id)
        finish_actions(root, f"{base}/gathered/{message.id}", f"{base}/recorded/{message.id}")
        return write(root)
    except (Refusal, ValueError) as error:
        log.error("an answered call has no TwiML", message=message.id, error=str(error))
        return voice.sorry()


def was_hung_up_on(message: Message) -> bool:
    """Tell whether a machine answered a call that says nothing to machines."""
    hangs_up = detection_of(message.options) is MachineDetection.HANG_UP
    return hangs_up and verdict(message.answered_by) == MACHINE


def _source(session: Session, message: Message) -> str:
    """Return the template that was pinned when the call was queued."""
    if message.twiml_source is not None:
        return message.twiml_source
    if message.template_version_id is not None:
        return session.get_one(TemplateVersion, message.template_version_id).body
    return message.body or ""


def preview(
    source: str, member: Mapping[str, Any] | None, detection: MachineDetection
) -> dict[str, list[str]]:
    """Return what a ``person`` and a ``machine`` would hear, step by step, in sentences.

    Without detection both hear the same, and there is only ``anybody``.

    :raises Refusal: ``template_error``.
    """
    if detection is MachineDetection.OFF:
        return {"anybody": speech_of(render(source, member))}
    machine = ["Hangs up"]
    if detection is not MachineDetection.HANG_UP:
        machine = speech_of(render(source, member, MACHINE))
    return {"person": speech_of(render(source, member, HUMAN)), "machine": machine}

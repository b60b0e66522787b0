"""The form of a communication: as stored, as typed, and in the shape in which it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import request
from pydantic.alias_generators import to_camel
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import mistakes
from app.domain.mistakes import Mistake, Refused
from app.domain.sending.authoring import CommunicationSpec
from app.models.audience import Population
from app.models.communication import Campaign, Communication
from app.models.route import Destination
from app.models.sender import Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind
from app.staff.sending import schedule_fields
from app.staff.systems import callback_fields
from app.staff.systems.callback_fields import CallbackField

SPARE_STEPS = 2
CHECKS = ("link_tracking", "smart_encoding", "send_as_mms")
CALL_OPTIONS = {
    "timeout": (
        "Let it ring", "5 to 600. Empty: Twilio's own minute, after which most mailboxes answer.",
        "seconds",
    ),
    "time_limit": ("End the call after", "At most 14,400, which is Twilio's own.", "seconds"),
    "machine_detection_timeout": (
        "Listen for a machine", "3 to 59. Empty: at most 30.", "seconds",
    ),
    "machine_detection_speech_threshold": (
        "Who speaks longer is a machine", "1,000 to 6,000. Empty: 2,400.", "milliseconds",
    ),
    "machine_detection_speech_end_threshold": (
        "Silence that ends a greeting", "500 to 5,000. Empty: 1,200.", "milliseconds",
    ),
    "machine_detection_silence_timeout": (
        "Silence at first, then we stop listening", "2,000 to 10,000. Empty: 5,000.",
        "milliseconds",
    ),
}  # fmt: skip
"""How calls are placed: label, hint and unit of each field."""
DETECTION = {
    "off": ("Off", "The message begins as soon as somebody answers."),
    "continue": ("Continue", "A machine hears the message too."),
    "hang_up": ("Hang up", "A machine hears nothing: the call ends."),
    "wait_for_beep": ("Wait for the beep", "On a machine the message begins after its greeting."),
}


@dataclass
class Form:
    """What the form holds; ``wrong`` has what is to be mended, by field."""

    destination: Destination
    values: dict[str, Any]
    steps: list[dict[str, str]]
    callbacks: list[CallbackField]
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @property
    def step_rows(self) -> list[dict[str, str]]:
        """The further texts, and room for some more."""
        return self.steps + [{"template": "", "after": ""} for _ in range(SPARE_STEPS)]

    def on(self, name: str) -> bool:
        """Tell whether a check box is ticked."""
        return bool(self.values.get(name))

    def given(self, names: Iterable[str]) -> bool:
        """Tell whether any of these fields holds something, or is to be mended."""
        return any(self.values.get(name) or self.wrong.get(name) for name in names)


@dataclass(frozen=True)
class Choices:
    """What may be chosen, by name."""

    templates: list[str]
    populations: list[str]
    lists: list[str]
    campaigns: list[str]
    senders: list[Sender]
    callbacks: callback_fields.Choices
    attributes: list[str]


def empty(destination: Destination, choices: Choices) -> Form:
    """Return the form of a new communication, with the first of what is there once only."""
    values: dict[str, Any] = {
        "campaign": "General", "purpose": "notification", "machine_detection": "off",
        "retry_calls": "0", "retry_calls_after": "15", **schedule_fields.EMPTY,
    }  # fmt: skip
    for name, names in (("suppression_list", choices.lists), ("template", choices.templates)):
        if len(names) == 1:
            values[name] = names[0]
    if len(choices.senders) == 1:
        values["sender"] = choices.senders[0].id
    callbacks = [CallbackField(event) for event in callback_fields.OF_A_COMMUNICATION]
    return Form(destination, values, [], callbacks)


def stored(session: Session, communication: Communication) -> Form:
    """Return the form of a communication as it is."""
    one = communication
    values: dict[str, Any] = {
        "name": one.name,
        "campaign": session.get_one(Campaign, one.campaign_id).name,
        "template": session.get_one(Template, one.template_id).name,
        "population": _name(session, Population, one.population_id),
        "suppression_list": _name(session, SuppressionList, one.suppression_list_id),
        "sender": one.sender_id,
        "purpose": one.purpose.value,
        "machine_detection": one.machine_detection.value,
        "validity_period": _minutes(one.validity_period),
        "retry_calls": str(one.retry_calls),
        "retry_calls_after": _minutes(one.retry_calls_after),
        **{name: str(one.call_options.get(to_camel(name), "")) for name in CALL_OPTIONS},
        **{name: getattr(one, name) for name in CHECKS},
        **schedule_fields.stored(one),
    }
    steps = [
        {
            "template": session.get_one(Template, step.template_id).name,
            "after": _minutes(step.after),
        }
        for step in one.steps
    ]
    callbacks = callback_fields.saved(session, one.client_id, one.id)
    return Form(one.destination, values, steps, callbacks)


def stored_options(one: Communication) -> list[tuple[str, str]]:
    """Return how calls are placed, in words, where it is not left to Twilio."""
    given = [(words, one.call_options.get(to_camel(name))) for name, words in CALL_OPTIONS.items()]
    return [(label, f"{value:,} {unit}") for (label, _, unit), value in given if value is not None]


def typed(destination: Destination) -> Form:
    """Return the form as it was sent."""
    names = (
        "name", "campaign", "template", "population", "suppression_list", "sender", "purpose",
        "machine_detection", "validity_period", "retry_calls", "retry_calls_after", *CALL_OPTIONS,
    )  # fmt: skip
    values: dict[str, Any] = {name: request.form.get(name, "").strip() for name in names}
    values |= {name: name in request.form for name in CHECKS} | schedule_fields.typed()
    pairs = zip(
        request.form.getlist("step_template"), request.form.getlist("step_after"), strict=False
    )
    steps = [{"template": name, "after": after.strip()} for name, after in pairs if name]
    return Form(destination, values, steps, callback_fields.typed())


def read(session: Session, client_id: str, form: Form) -> CommunicationSpec:
    """Return what the form asks for.

    :raises Refused: with every mistake.
    """
    values, wrong = form.values, list[Mistake]()
    data: dict[str, Any] = {
        "name": values["name"],
        "campaign": values["campaign"] or "General",
        "destination": form.destination.value,
        "template": values["template"],
        "callbacks": callback_fields.as_written(form.callbacks),
    }
    for name, sentence in (
        ("name", "Give it a name."), ("template", "Choose what is said."),
        ("sender", "Choose a number to send from."),
    ):  # fmt: skip
        if not values[name]:
            wrong.append(Mistake((name,), sentence))
    data |= _sender(session, client_id, values["sender"])
    data["population"] = values["population"] or None
    data |= schedule_fields.written(values, wrong)
    if form.destination is Destination.VOICE:
        data["machine_detection"] = values["machine_detection"] or "off"
        data["retry_calls"] = values["retry_calls"] or 0
        data["retry_calls_after"] = _seconds(values["retry_calls_after"] or "15",
                                             "retry_calls_after", wrong)  # fmt: skip
        data["call_options"] = {name: values[name] for name in CALL_OPTIONS if values[name]}
    else:
        data |= {name: values[name] for name in CHECKS}
        data["purpose"] = values["purpose"] or "notification"
        data["suppression_list"] = values["suppression_list"] or None
        period = values["validity_period"]
        data["validity_period"] = _seconds(period, "validity_period", wrong) if period else None
        data["steps"] = [
            {"template": step["template"], "after": _seconds(step["after"] or "0", "steps", wrong)}
            for step in form.steps
        ]
    try:
        spec = mistakes.parse(CommunicationSpec, data)
    except Refused as refused:
        known = {mistake.path for mistake in wrong}
        rest = [one for one in refused.mistakes if one.path and one.path not in known]
        raise Refused([*wrong, *rest] or refused.mistakes) from None
    if wrong:
        raise Refused(wrong)
    return spec


def show_mistakes(form: Form, refused: Refused) -> None:
    """Put each mistake at the field that it is about."""
    for mistake in refused.mistakes:
        name = str(mistake.path[0]) if mistake.path else ""
        if name == "call_options":
            name = str(mistake.path[-1])
        name = {"from": "sender", "messaging_service": "sender"}.get(name, name)
        sentence = callback_fields.sentences(Refused([mistake]))[0]
        if name in CALL_OPTIONS:
            sentence = sentence.replace(f"“{name}”", f"“{CALL_OPTIONS[name][0]}”")
        form.wrong.setdefault(name, []).append(sentence)


def choices(session: Session, client_id: str, destination: Destination) -> Choices:
    """Return what may be chosen for texts, or for calls."""

    def names(model: Any, *conditions: Any) -> list[str]:
        query = select(model.name).where(model.client_id == client_id, *conditions)
        return list(session.scalars(query.order_by(model.name)))

    senders = select(Sender).where(Sender.client_id == client_id).order_by(Sender.address)
    if destination is Destination.VOICE:
        senders = senders.where(
            Sender.kind != SenderKind.MESSAGING_SERVICE, Sender.type != SenderType.SHORT_CODE
        )
    else:
        senders = senders.where(Sender.kind != SenderKind.VERIFIED)
    return Choices(
        templates=names(Template, Template.kind == TemplateKind(destination.value)),
        populations=names(Population),
        lists=names(SuppressionList),
        campaigns=names(Campaign),
        senders=list(session.scalars(senders)),
        callbacks=callback_fields.choices(session, client_id),
        attributes=schedule_fields.attributes(session, client_id),
    )


def _sender(session: Session, client_id: str, sender_id: str) -> dict[str, str]:
    sender = session.get(Sender, sender_id) if sender_id else None
    if sender is None or sender.client_id != client_id:
        return {}
    if sender.is_number:
        return {"from": sender.address}
    return {"messaging_service": sender.name or sender.address}


def _seconds(minutes: str, name: str, wrong: list[Mistake]) -> int:
    """Read minutes, which may have a fraction, as seconds."""
    try:
        value = float(minutes)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60 * 24 * 366:
        wrong.append(Mistake((name,), f"“{minutes[:20]}” is not a number of minutes."))
        return 60
    return round(value * 60)


def _minutes(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds / 60:g}"


def _name(session: Session, model: Any, key: str | None) -> str:
    return str(session.get_one(model, key).name) if key else ""

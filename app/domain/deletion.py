"""Deleting what nobody uses; what is in use says by what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import ColumnElement, String, cast, delete, exists, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import audit, chores, leftovers, urls
from app.domain.mistakes import Refused
from app.domain.named import WORDS
from app.models.audience import Population
from app.models.base import utcnow
from app.models.batch import BATCH_TRANSITIONS, Batch, BatchTaking
from app.models.chore import ChoreKind
from app.models.communication import Callback, Communication, CommunicationStep
from app.models.credential import Credential, SavedCredential
from app.models.delivery import Delivery
from app.models.endpoint import Endpoint, EndpointSecret
from app.models.hours import Hours
from app.models.media import Media, Recording
from app.models.message import Message
from app.models.rota import Rota
from app.models.route import KeywordRule, Route
from app.models.sender import Sender
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateDraft, TemplateVersion
from app.models.upload import Upload

Thing = (
    Template
    | SuppressionList
    | Endpoint
    | Population
    | Recording
    | Credential
    | SavedCredential
    | Hours
    | Rota
)


def in_use(session: Session, thing: Thing) -> list[str]:
    """Say by what ``thing`` is used, one entry each: ``the number +13195550100``."""
    return list(_USERS[type(thing)](session, thing.id))


def recordings_in_use(session: Session, client_id: str) -> dict[str, list[str]]:
    """Say by what each of a client's recordings is used, by its id, with one statement for all."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        select(Route.recording_id, Sender)
        .join(Sender, Sender.id == Route.sender_id)
        .where(Route.client_id == client_id, Route.recording_id.is_not(None))
    )
    for recording_id, sender in rows:
        found.setdefault(str(recording_id), []).append(_sender_words(sender))
    return found


def remove(session: Session, thing: Thing, by: str) -> None:
    """Delete a template, list, endpoint, population, recording or credential.

    :param by: the person's e-mail address, for the audit trail.
    :raises Refused: when something uses it; the sentence says what.
    """
    if users := in_use(session, thing):
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        raise Refused.because(
            f"The {WORDS[type(thing)]} “{thing.name}” cannot be deleted: it is used by {shown}.",
            code="in_use",
        )
    match thing:
        case Template():
            _expire_files(session, thing)
            session.execute(delete(TemplateVersion).filter_by(template_id=thing.id))
            session.execute(delete(TemplateDraft).filter_by(template_id=thing.id))
        case Endpoint():
            session.execute(delete(EndpointSecret).filter_by(endpoint_id=thing.id))
        case SuppressionList():
            chores.begin(session, ChoreKind.ENTRIES, thing.id, leftovers.forget_entries)
        case Population():
            kept = select(Upload.id).filter_by(population_id=thing.id)
            leftovers.remove_uploads(session, session.scalars(kept).all())
        case Recording():
            expire_media(session, thing.media_code)
        case _:
            pass
    session.delete(thing)
    session.flush()
    if isinstance(thing, Population):
        leftovers.let_go_of_roll(session, thing.roll)
    audit.record(session, by, "delete", f"{WORDS[type(thing)]} {thing.name}", thing.client_id)


def expire_media(session: Session, code: str) -> None:
    """Let a file go at the next round of retention: it is not served from now on."""
    media = session.get(Media, code)
    if media is not None:
        media.expires_at = utcnow()


def _expire_files(session: Session, template: Template) -> None:
    """Let the files of a template's versions go that no other template shows."""
    shown: list[list[str]] = []
    for kind in (TemplateVersion, TemplateDraft):
        shown += session.scalars(select(kind.media).filter_by(template_id=template.id))
    for code in {urls.media_code(url) for media in shown for url in media}:
        if code is not None and not _is_shown(session, Template.id != template.id, template, code):
            expire_media(session, code)


def let_files_go(session: Session, template: Template, media: Sequence[str]) -> None:
    """Let files go that no template shows any more, this one included."""
    for code in {urls.media_code(url) for url in media}:
        if code is not None and not _is_shown(session, true(), template, code):
            expire_media(session, code)


def _is_shown(session: Session, which: ColumnElement[bool], template: Template, code: str) -> bool:
    """Tell whether a version or draft of such a template of the same client shows a file."""
    for kind in (TemplateVersion, TemplateDraft):
        shows = (
            select(kind.template_id)
            .join(Template, Template.id == kind.template_id)
            .where(
                Template.client_id == template.client_id,
                which,
                cast(kind.media, String).contains(code, autoescape=True),
            )
        )
        if session.scalar(shows.limit(1)) is not None:
            return True
    return False


def _template_users(session: Session, key: str) -> Iterator[str]:
    rules = select(KeywordRule.route_id).filter_by(template_id=key)
    named = (Route.template_id == key) | (Route.text_back_id == key)
    yield from _routes(session, named | Route.id.in_(rules))
    steps = select(CommunicationStep.communication_id).filter_by(template_id=key)
    yield from _communications(
        session, (Communication.template_id == key) | Communication.id.in_(steps)
    )
    versions = session.scalars(select(TemplateVersion.id).filter_by(template_id=key)).all()
    yield from _log(session, Message.template_version_id.in_(versions), "messages")
    yield from _batches(session, versions)


def _batches(session: Session, versions: Sequence[str]) -> Iterator[str]:
    """Yield the unfinished batches that were pinned to one of the versions."""
    unfinished = [state for state, further in BATCH_TRANSITIONS.items() if further]
    for batch in session.scalars(select(Batch).where(Batch.state.in_(unfinished))):
        pinned = json.dumps(batch.plan)
        if any(version in pinned for version in versions):
            yield f"a batch of the communication “{_communication(session, batch)}”"


def _communication(session: Session, batch: Batch) -> str:
    return session.get_one(Communication, batch.communication_id).name


def _list_users(session: Session, key: str) -> Iterator[str]:
    yield from _senders(session, Sender.suppression_list_id, key)
    yield from _communications(session, Communication.suppression_list_id == key)
    yield from _log(session, Message.suppression_list_id == key, "messages")


def _endpoint_users(session: Session, key: str) -> Iterator[str]:
    yield from _routes(session, Route.endpoint_id == key)
    yield from _callbacks(session, key)
    yield from _log(session, Delivery.endpoint_id == key, "deliveries")


def _callbacks(session: Session, key: str) -> Iterator[str]:
    chosen = session.execute(
        select(Callback.event, Communication.name)
        .join(Communication, Communication.id == Callback.communication_id)
        .where(Callback.endpoint_id == key)
        .order_by(Communication.name, Callback.event)
    )
    for event, name in chosen:
        yield f"the callback {event} of the communication “{name}”"
    of_client = select(Callback.event).filter_by(
        endpoint_id=key, communication_id=None, message_id=None
    )
    for event in session.scalars(of_client.order_by(Callback.event)):
        yield f"the client's callback {event}"
    of_messages = exists().where(Callback.endpoint_id == key, Callback.message_id.is_not(None))
    if session.scalar(select(of_messages)):
        yield "callbacks of messages"


def _population_users(session: Session, key: str) -> Iterator[str]:
    yield from _routes(session, Route.population_id == key)
    yield from _communications(session, Communication.population_id == key)
    roll = select(Population.roll).where(Population.id == key).scalar_subquery()
    if session.scalar(select(exists().where(BatchTaking.roll == roll))):
        yield "a batch that begins"


def _recording_users(session: Session, key: str) -> Iterator[str]:
    yield from _routes(session, Route.recording_id == key)


def _hours_users(session: Session, key: str) -> Iterator[str]:
    yield from _routes(session, Route.hours_id == key)


def _rota_users(session: Session, key: str) -> Iterator[str]:
    yield from _routes(session, Route.rota_id == key)


def _credential_users(session: Session, key: str) -> Iterator[str]:
    yield from _senders(session, Sender.credential_id, key)
    yield from _log(session, Message.credential_id == key, "messages")
    yield from _log(session, Media.credential_id == key, "media")


def _saved_credential_users(session: Session, key: str) -> Iterator[str]:
    for endpoint in session.scalars(select(Endpoint).filter_by(saved_credential_id=key)):
        yield f"the callback to {endpoint.url}"


def _routes(session: Session, condition: ColumnElement[bool]) -> Iterator[str]:
    query = select(Sender).join(Route, Route.sender_id == Sender.id).where(condition).distinct()
    for sender in session.scalars(query):
        yield _sender_words(sender)


def _senders(
    session: Session,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    key: str,
) -> Iterator[str]:
    for sender in session.scalars(select(Sender).where(column == key)):
        yield _sender_words(sender)


def _sender_words(sender: Sender) -> str:
    if sender.is_number:
        return f"the number {sender.address}"
    return f"the messaging service “{sender.name}”"


def _communications(session: Session, condition: ColumnElement[bool]) -> Iterator[str]:
    for name in session.scalars(select(Communication.name).where(condition)):
        yield f"the communication “{name}”"


def _log(session: Session, condition: ColumnElement[bool], what: str) -> Iterator[str]:
    """Say that something of the log fits, without counting a log of any length."""
    if session.scalar(select(exists().where(condition))):
        yield f"{what} in the log"


_USERS: dict[type, Callable[[Session, str], Iterator[str]]] = {
    Template: _template_users,
    SuppressionList: _list_users,
    Endpoint: _endpoint_users,
    Population: _population_users,
    Recording: _recording_users,
    Credential: _credential_users,
    SavedCredential: _saved_credential_users,
    Hours: _hours_users,
    Rota: _rota_users,
}

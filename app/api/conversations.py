"""Conversations: what is between one of the client's numbers and one phone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.messages import MessageObject, describe
from app.api.operation import Answer, operation
from app.api.paging import CursorQuery, Page, read_page
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import Phone
from app.domain import named
from app.domain.audience import names
from app.domain.content import attachments
from app.domain.conversations import care, entries, finding, record
from app.domain.mistakes import Mistake, Refused
from app.domain.phone_spellings import texted
from app.domain.reach import Refusal
from app.domain.sending import answering
from app.domain.specs import Instant
from app.domain.wake import wake
from app.extensions import db
from app.models.base import PHONE_LENGTH
from app.models.client import Client
from app.models.conversation import Conversation, ConversationState, EntryKind
from app.models.credential import Scope
from app.models.sender import Sender
from app.models.user import User
from app.outbound.send import media_links

_PHONE: TypeAdapter[str] = TypeAdapter(Phone)


class ConversationObject(Shape):
    """One number and one phone: whose turn it is, and who looks after it."""

    number: str
    phone: str
    name: str | None = Field(description="From the last text to the phone, or the client's lists.")
    state: ConversationState = Field(
        description="`waiting`: the last word is theirs; `answered`: a person of ours had it;"
        " `closed`: nobody waits, and a new text opens it again. Automatic replies answer nothing;"
        " reactions and keywords such as STOP wait for nothing."
    )
    assigned: str | None = Field(description="The e-mail address of whoever has taken it.")
    unread: int = Field(description="How many of their texts nobody has looked at on the pages.")
    last_at: datetime
    last_text: str | None = Field(description="Null for a call.")


class EntryMedia(Shape):
    """A picture, recording or the like."""

    url: str
    content_type: str | None = Field(description="Where it is known.")


class EntryObject(Shape):
    """One thing in a conversation."""

    kind: EntryKind
    id: str = Field(description="Of the incoming text or call, the message or the note.")
    at: datetime
    by: str | None = Field(
        description="Their phone; of ours the person or API key, null for what was automatic."
    )
    text: str | None
    media: list[EntryMedia]
    status: str | None = Field(
        description="Of theirs the `outcome`, of a voice message `recorded`, `kept` or `lost`, of"
        " ours the message's `status`; null for notes."
    )


class WholeConversation(ConversationObject):
    """A conversation with what was said."""

    entries: list[EntryObject] = Field(
        description=f"Oldest first; the newest {entries.MOST:,} at most."
    )


class ConversationsQuery(CursorQuery):
    """Which conversations."""

    state: Literal["open", "waiting", "answered", "closed"] | None = Field(
        None, description="`open` is all that are not closed."
    )
    assigned: str | None = Field(None, max_length=254, description="An e-mail address.")
    q: str | None = Field(None, max_length=100, description="A part of the phone or last text.")


class ReplyBody(Shape):
    """What somebody is answered."""

    body: str = Field("", max_length=100_000)
    media: list[str] = Field(
        default_factory=list, max_length=100, description="As those of `POST messages`."
    )
    send_at: Instant | None = Field(None, description="As that of `POST messages`.")


class AssignBody(Shape):
    """Who looks after a conversation."""

    user: str | None = Field(max_length=254, description="An e-mail address; null releases it.")


class NoteBody(Shape):
    """What only those who work for the client see."""

    text: care.NoteText


@operation("GET", "/conversations", Scope.READ, {200: Page[ConversationObject]})
def listing(caller: Caller, query: ConversationsQuery) -> Page[ConversationObject]:
    """List conversations, those first that began first."""
    chosen = select(Conversation)
    assigned = _user_id(query.assigned) if query.assigned is not None else None
    chosen = finding.fitting(
        chosen, state=query.state, assigned_id=assigned, wanted=(query.q or "").strip()
    )
    page = read_page(Conversation, caller, query, chosen, "conversations")
    return Page(items=_describe(db.session(), caller, page.rows), next=page.next)


@operation("GET", "/conversations/<number>/<phone>", Scope.READ, {200: WholeConversation})
def show(caller: Caller, number: str, phone: str) -> WholeConversation:
    """Show a conversation, with both sides, calls and notes in one line of time."""
    session = db.session()
    client = session.get_one(Client, caller.client_id)
    sender, talk, is_kept = _find(session, client, number, phone)
    said = entries.between(
        session, sender, talk.phone, finding.retention_start(client), talk if is_kept else None
    )
    about = _describe(session, caller, [talk])[0]
    return WholeConversation(**about.model_dump(by_alias=False), entries=list(map(_entry, said)))


@operation(
    "POST",
    "/conversations/<number>/<phone>/reply",
    Scope.SEND,
    {201: MessageObject},
    problems=(409, 429),
    example={"body": "We are open until five."},
)
def reply(caller: Caller, number: str, phone: str, body: ReplyBody) -> Answer:
    """Answer from the number that was texted; the conversation is `answered` when it goes.

    The rules are those of `POST messages`: a phone that has opted out makes a message with the
    status `suppressed`, and answers nothing.
    """
    looks = media_links.look_in_passing(body.media, caller.client_id)

    def make(session: Session) -> Answer:
        client = session.get_one(Client, caller.client_id)
        sender, talk, _ = _find(session, client, number, phone)
        wrong = attachments.inspect(session, client.id, body.media, looks).mistakes
        try:
            message = answering.reply(
                session, client, sender, talk.phone,
                body=body.body, media=[] if wrong else body.media, looks=looks,
                send_at=body.send_at, by=caller.actor,
            )  # fmt: skip
        except Refusal as refusal:
            raise _refused(refusal, wrong) from None
        if wrong:
            raise Refused(wrong)
        return Answer(201, describe([message])[0])

    answer = once(caller, body, make)
    wake("send")
    wake("relay")
    return answer


@operation(
    "POST",
    "/conversations/<number>/<phone>/assign",
    Scope.SEND,
    {200: ConversationObject},
    example={"user": "pat@example.edu"},
)
def assign(caller: Caller, number: str, phone: str, body: AssignBody) -> Answer:
    """Let one person look after a conversation, or with null give it back to all."""

    def make(session: Session) -> Answer:
        talk = _kept(session, caller, number, phone)
        user = care.assignable(session, caller.client_id, body.user) if body.user else None
        care.assign(session, talk, user, caller.actor)
        return Answer(200, _describe(session, caller, [talk])[0])

    return once(caller, body, make)


@operation(
    "POST",
    "/conversations/<number>/<phone>/notes",
    Scope.SEND,
    {201: EntryObject},
    example={"text": "Called the dean's office; they will write."},
)
def add_note(caller: Caller, number: str, phone: str, body: NoteBody) -> Answer:
    """Write down what only those who work for the client see."""

    def make(session: Session) -> Answer:
        talk = _kept(session, caller, number, phone)
        made = care.note(session, talk, body.text, caller.actor)
        entry = entries.Entry(EntryKind.NOTE, made.id, made.at, made.author, made.text, None)
        return Answer(201, _entry(entry))

    return once(caller, body, make)


@operation("POST", "/conversations/<number>/<phone>/close", Scope.SEND, {200: ConversationObject})
def close(caller: Caller, number: str, phone: str) -> Answer:
    """Say that nobody waits for anything any more; a new text opens it again."""

    def make(session: Session) -> Answer:
        talk = _kept(session, caller, number, phone)
        care.close(session, talk, caller.actor)
        session.refresh(talk)
        return Answer(200, _describe(session, caller, [talk])[0])

    return once(caller, None, make)


def _find(
    session: Session, client: Client, number: str, phone: str
) -> tuple[Sender, Conversation, bool]:
    sender = named.find_number(session, client.id, number)
    written = _read(phone)  # calls are kept under it, texts under its one spelling
    for one in dict.fromkeys((written, texted(written))):
        if sender is not None and (talk := finding.one(session, client, sender, one)) is not None:
            return sender, *talk
    raise HttpProblem(404, "There is no conversation of this number with this phone.")


def _kept(session: Session, caller: Caller, number: str, phone: str) -> Conversation:
    """Return the conversation; one that the log alone tells of is kept from now on."""
    client = session.get_one(Client, caller.client_id)
    sender, talk, is_kept = _find(session, client, number, phone)
    return talk if is_kept else record.keep(session, sender, talk)


def _read(phone: str) -> str:
    """Read a phone; whoever has none, such as an alphanumeric sender, is named as in the log."""
    try:
        return _PHONE.validate_python(phone)
    except ValidationError:
        return phone[:PHONE_LENGTH]


def _user_id(email: str) -> str:
    found = db.session.scalar(select(User.id).filter_by(email=email.strip().lower()))
    return found or ""


def _refused(refusal: Refusal, wrong: list[Mistake]) -> Exception:
    if refusal.field == "client" and refusal.code in ("not_enabled", "halted"):
        return HttpProblem(403, refusal.sentence)
    if refusal.code == "limit_reached":
        return refusal
    return Refused([Mistake((refusal.field,), refusal.sentence, refusal.code), *wrong])


def _describe(
    session: Session, caller: Caller, talks: Sequence[Conversation]
) -> list[ConversationObject]:
    """Describe conversations with four queries, however many there are."""
    wanted = {one.sender_id for one in talks}
    senders = session.execute(select(Sender.id, Sender.address).where(Sender.id.in_(wanted)))
    numbers = {row.id: row.address for row in senders}
    takers = {one.assigned_id for one in talks if one.assigned_id}
    users = session.execute(select(User.id, User.email).where(User.id.in_(takers)))
    people = {row.id: row.email for row in users}
    known = names.of(session, caller.client_id, {one.phone for one in talks})
    return [
        ConversationObject(
            number=numbers[one.sender_id], phone=one.phone, name=known.get(one.phone),
            state=one.state, assigned=people.get(one.assigned_id or ""), unread=one.unread,
            last_at=one.last_at, last_text=one.last_text,
        )
        for one in talks
    ]  # fmt: skip


def _entry(one: entries.Entry) -> EntryObject:
    return EntryObject(
        kind=one.kind, id=one.id, at=one.at, by=one.by, text=one.text, status=one.status,
        media=[EntryMedia(url=file.url, content_type=file.content_type) for file in one.media],
    )  # fmt: skip

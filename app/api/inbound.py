"""What came in: texts and calls to the client's numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.api.auth import Caller
from app.api.operation import operation
from app.api.paging import Page, PageQuery, read_page
from app.api.reading import Shape
from app.api.shapes import Phone
from app.api.urls import Url, owned
from app.domain.content import file_types
from app.domain.routing.handlers.ring import PersonSpec
from app.domain.voicemails import log, telling
from app.extensions import current_settings, db
from app.inbound import way
from app.models.credential import Scope
from app.models.incoming import Incoming, OptOut, Outcome, TextChannel
from app.models.route import Destination, Handler
from app.models.voicemail import Voicemail


class InboundMedia(Shape):
    """A picture, recording or the like that came with a text."""

    url: Url = Field(description="Served by Dispatch until retention ends.")
    content_type: str


class InboundReaction(Shape):
    """What somebody showed about one of our texts."""

    kind: Literal["like", "love", "dislike", "laugh", "emphasize", "question", "other"]
    removed: bool = Field(description="It was taken back.")
    message_id: str | None = Field(description="The text that the phone quotes, where known.")


class InboundVoicemail(Shape):
    """What a caller left."""

    id: str = Field(description="As in the events `voicemail.received` and `.transcribed`.")
    url: Url | None = Field(description="The sound; null until it is here, and once it is gone.")
    duration_seconds: int | None
    text: str | None = Field(description="What was said, where that was to be written down.")
    language: str | None


class InboundPerson(Shape):
    """Somebody whose phone rang."""

    to: str = Field(description="Their phone.")
    name: str | None


class InboundStep(Shape):
    """One step of a call: what a caller did at a menu, or what became of a phone that rang."""

    at: datetime
    handler: Handler = Field(description="What was there: `menu` or `ring`.")
    place: list[str] = Field(
        description="Where in the number's route the call was then: `keys.1`, `otherwise` and so "
        "on, inside each other; empty at its beginning."
    )
    digits: str | None = Field(description="The key that was pressed, if any.")
    speech: str | None = Field(description="What was said, as Twilio understood it.")
    dial_call_status: str | None = Field(description="Twilio's word on the phones that rang.")
    person: InboundPerson | None = Field(description="Whose phone it is about.")
    sentence: str = Field(description="What happened, for people.")


class InboundObject(Shape):
    """One text or call that came in."""

    id: str
    destination: Destination
    sid: str
    from_: str = Field(alias="from")
    to: str
    body: str | None = Field(description="Null for calls, and once it is past retention.")
    media: list[InboundMedia]
    received_at: datetime
    channel: TextChannel | None = Field(description="By what a text came; null for calls.")
    reaction: InboundReaction | None = Field(
        description="Not null for a tapback, which is no message."
    )
    handler: Handler | None
    opt_out: OptOut | None
    outcome: Outcome
    reply: str | None = Field(description="The reply message's id.")
    path: list[str] | None = Field(
        description="The keys that a caller pressed, to where they were when they left; null "
        "where there was nothing to choose."
    )
    voicemails: list[InboundVoicemail] = Field(description="What the caller left; mostly one.")
    status: str | None = Field(description="Twilio's last word on a call; null for texts.")
    call_duration: int | None = Field(description="Seconds; once a call is over.")
    dial_call_status: str | None = Field(
        description="Twilio's word on the phones that a call went on to."
    )
    taken_by: InboundPerson | None = Field(
        description="Who took a call, of those whose phones rang; null where nobody did, or "
        "several rang at once and nobody had to press a key."
    )
    steps: list[InboundStep] = Field(description="How a call went through menus and people.")


class InboundQuery(PageQuery):
    """Which texts and calls."""

    from_: Phone | None = Field(None, alias="from")
    to: Phone | None = None
    destination: Destination | None = None


@operation("GET", "/inbound", Scope.READ, {200: Page[InboundObject]}, csv=True)
def listing(caller: Caller, query: InboundQuery) -> Page[InboundObject]:
    """List the texts and calls that came in, oldest first."""
    chosen = select(Incoming).options(undefer(Incoming.flow), undefer(Incoming.steps))
    if query.from_ is not None:
        chosen = chosen.where(Incoming.from_ == query.from_)
    if query.to is not None:
        chosen = chosen.where(Incoming.to == query.to)
    if query.destination is not None:
        chosen = chosen.where(Incoming.destination == query.destination)
    page = read_page(Incoming, caller, query, chosen, "inbound")
    left = log.beside(db.session(), page.rows)
    return Page(items=[_describe(one, left.get(one.id, [])) for one in page.rows], next=page.next)


@operation("GET", "/inbound/<inbound_id>", Scope.READ, {200: InboundObject})
def show(caller: Caller, inbound_id: str) -> InboundObject:
    """Show one text or call that came in."""
    one = owned(Incoming, caller, inbound_id, "incoming text or call")
    return _describe(one, log.beside(db.session(), [one]).get(one.id, []))


def _describe(one: Incoming, left: list[Voicemail]) -> InboundObject:
    base = current_settings().public_base_url
    went = way.of(one)
    taker = way.taken_by(one, went)
    return InboundObject(
        id=one.id,
        destination=one.destination,
        sid=one.sid,
        from_=one.from_,
        to=one.to,
        body=one.body,
        media=[
            InboundMedia(
                url=f"{base}/media/{item['code']}",
                content_type=file_types.plain(item["contentType"]),
            )
            for item in one.media
            if "code" in item
        ],
        received_at=one.received_at,
        channel=one.channel,
        reaction=InboundReaction.model_validate(one.reaction) if one.reaction else None,
        handler=one.handler,
        opt_out=one.opt_out,
        outcome=one.outcome,
        reply=one.reply_id,
        path=one.path,
        voicemails=[
            InboundVoicemail(
                id=each.id,
                url=telling.url(each),
                duration_seconds=each.duration,
                text=each.transcription,
                language=each.language,
            )
            for each in left
        ],
        status=one.call_status,
        call_duration=one.call_duration,
        dial_call_status=one.dial_status,
        taken_by=_person(taker) if taker else None,
        steps=[_step(each) for each in went.events] if went else [],
    )


def _person(person: PersonSpec) -> InboundPerson:
    return InboundPerson(to=person.to, name=person.name)


def _step(event: way.Event) -> InboundStep:
    is_menu, told = event.handler is Handler.MENU, event.told or None
    pressed = way.is_key(event.told)
    return InboundStep(
        at=event.at,
        handler=event.handler,
        place=list(event.place),
        digits=told if pressed else None,
        speech=told if is_menu and not pressed else None,
        dial_call_status=told if event.what == "rung" else None,
        person=_person(event.person) if event.person else None,
        sentence=event.words,
    )

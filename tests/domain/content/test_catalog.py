"""Templates are kept in versions, and what is in use cannot be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import deletion
from app.domain.content import catalog, recordings
from app.domain.mistakes import Refused, parse
from app.domain.relaying import callbacks
from app.domain.routing import routes
from app.extensions import unit_of_work
from app.models.audience import Member, Population
from app.models.client import Client
from app.models.communication import Callback
from app.models.credential import Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.media import Media, Recording
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind, TemplateVersion

PAT, LEE = "pat@example.edu", "lee@example.edu"
HELLO = "<Response><Say>Hello {{ toName }}</Say></Response>"


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context(), unit_of_work() as session:
        yield session


@pytest.fixture
def client(session: Session) -> Client:
    client = Client(name="registrar", owner_email=PAT)
    session.add(client)
    session.flush()
    return client


def save(
    session: Session, client: Client, body: str, kind: str = "sms", media: tuple[str, ...] = (),
    by: str = PAT,
) -> tuple[Template, bool]:  # fmt: skip
    return catalog.save_template(session, client, "news", TemplateKind(kind), body, list(media), by)


def history(session: Session) -> list[tuple[int, str, str]]:
    versions = session.scalars(select(TemplateVersion).order_by(TemplateVersion.number))
    return [(one.number, one.body, one.created_by) for one in versions]


def test_a_version_is_added_only_when_something_differs(session: Session, client: Client) -> None:
    template, changed = save(session, client, "One")
    assert (changed, template.current_version) == (True, 1)
    assert save(session, client, "One", by=LEE) == (template, False)
    assert save(session, client, "Two", by=LEE) == (template, True)
    assert save(session, client, "Two", media=("https://a.example.edu/x.png",)) == (template, True)
    assert history(session) == [(1, "One", PAT), (2, "Two", LEE), (3, "Two", PAT)]


def test_restoring_an_old_version_makes_a_new_one(session: Session, client: Client) -> None:
    save(session, client, "One")
    template, _ = save(session, client, "Two")
    assert catalog.restore_version(session, template, 1, LEE) == (template, True)
    assert history(session) == [(1, "One", PAT), (2, "Two", PAT), (3, "One", LEE)]
    assert catalog.restore_version(session, template, 1, LEE) == (template, False)
    with pytest.raises(Refused, match="no version 9"):
        catalog.restore_version(session, template, 9, LEE)


REFUSED: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {
    "empty": ("sms", " ", (), "body", "empty"),
    "syntax": ("sms", "Hi\n{% if x %}", (), "body", "Line 2"),
    "a function": ("reply", "{{ x() }}", (), "body", "Functions"),
    # Twilio sends at most 1,600 characters (error 21617).
    "1,601 characters": ("sms", "x" * 1601, (), "body", "1601"),
    "1,601 beside placeholders": ("reply", "{{ toName }}" + "x" * 1601, (), "body", "1601"),
    "TwiML": ("voice", "<Response><Sya>Hello</Sya></Response>", (), "body", "Line 1"),
    "no TwiML": ("voice", "Hello", (), "body", "Line 1"),
    "media of a call": ("voice", HELLO, ("https://a.example.edu/a.mp3",), "media", "no media"),
    "eleven media": ("sms", "x", ("https://a.example.edu/a.png",) * 11, "media", "at most 10"),
    "insecure media": ("sms", "x", ("http://a.example.edu/a.png",), "media[0]", "https://"),
}


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(("kind", "body", "media", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_a_template_that_cannot_work_is_refused(
    session: Session, client: Client, kind: str, body: str, media: tuple[str, ...], field: str,
    words: str,
) -> None:  # fmt: skip
    with pytest.raises(Refused) as refused:
        save(session, client, body, kind, media)
    assert refused.value.mistakes[0].field == field
    assert words in refused.value.mistakes[0].message
    assert session.scalars(select(Template)).all() == []


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("kind", "body", "media"),
    [
        ("sms", "x" * 1600, ()),
        ("sms", "{% if a %}" + "x" * 1000 + "{% else %}" + "y" * 1000 + "{% endif %}", ()),
        ("sms", "", ("https://a.example.edu/a.png",)),
        ("voice", HELLO, ()),
    ],
    ids=["1,600 characters", "either of two", "a picture alone", "TwiML"],
)
def test_a_template_that_can_work_is_saved(
    session: Session, client: Client, kind: str, body: str, media: tuple[str, ...]
) -> None:
    assert save(session, client, body, kind, media)[1]


def test_a_template_keeps_its_kind(session: Session, client: Client) -> None:
    save(session, client, "One")
    with pytest.raises(Refused, match="cannot be changed"):
        save(session, client, "One", "reply")


class TestDeleting:
    """What is in use cannot be deleted, and says by what."""

    @pytest.fixture
    def things(self, session: Session, client: Client) -> dict[str, Any]:
        """One of each, all in use by a number, but for the last, used by a callback."""

        def add(thing: Any) -> Any:
            session.add(thing)
            session.flush()
            return thing

        owned = {"client_id": client.id}
        template, _ = catalog.save_template(
            session, client, "away", TemplateKind.REPLY, "Away", [], PAT
        )
        things = {
            "template": template,
            "list": add(SuppressionList(**owned, name="opted-out")),
            "endpoint": add(
                Endpoint(
                    **owned, kind=EndpointKind.WEBHOOK, name="sis", url="https://a.example.edu"
                )
            ),
            "population": add(Population(**owned, name="helpdesk")),
            "recording": recordings.save(
                session, client, "closed", "closed.mp3", b"ID3" + bytes(9), PAT
            ).row,
            "credential": add(
                Credential(**owned, name="main", account_sid="AC" + "0" * 32, auth_token="t")
            ),
            "saved": add(
                SavedCredential(
                    **owned,
                    name="legacy",
                    username="u",
                    password="p",
                    origins=["https://old.example.edu"],
                )
            ),
        }
        add(Member(roll=things["population"].id, attributes={"toAddress": "a@b.edu"}))
        specs = (
            ({"handler": "auto_reply", "template": "away"}, "sms"),
            ({"handler": "forward_to_webhook", "endpoint": "sis"}, "sms"),
            ({"handler": "forward_to_email", "population": "helpdesk"}, "sms"),
            ({"handler": "play_message", "recording": "closed"}, "voice"),
        )
        for index, (data, destination) in enumerate(specs):
            number = add(
                Sender(
                    **owned, credential_id=things["credential"].id, kind=SenderKind.TWILIO,
                    address=f"+1319555010{index}", rate=1,
                    suppression_list_id=things["list"].id if index == 0 else None,
                )
            )  # fmt: skip
            spec = routes.parse(Destination(destination), data)
            routes.save_route(session, number, Destination(destination), spec, PAT)
        spec = parse(
            callbacks.CallbacksSpec,
            {"complete": {"url": "https://old.example.edu/", "credential": "legacy"}},
        )
        callbacks.save_callbacks(session, client.id, spec)
        return things

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("template", "the number +13195550100"),
            ("list", "the number +13195550100"),
            ("endpoint", "the number +13195550101"),
            ("population", "the number +13195550102"),
            ("recording", "the number +13195550103"),
            ("credential", "the number +13195550100, the number +13195550101"),
            ("saved", "the callback to https://old.example.edu/"),
        ],
    )
    def test_is_refused_while_in_use(
        self, session: Session, things: dict[str, Any], name: str, words: str
    ) -> None:
        with pytest.raises(Refused, match="cannot be deleted: it is used by") as refused:
            deletion.remove(session, things[name], "pat")
        assert words in str(refused.value)

    def test_is_done_when_nothing_uses_it_any_more(
        self, session: Session, things: dict[str, Any]
    ) -> None:
        for number in session.scalars(select(Sender)).all():
            for destination in Destination:
                routes.clear_route(session, number, destination)
            session.delete(number)
        for callback in session.scalars(select(Callback)).all():
            session.delete(callback)
        session.flush()
        for plain in session.scalars(select(Endpoint).filter_by(kind=EndpointKind.PLAIN)).all():
            deletion.remove(session, plain, "pat")
        for thing in things.values():
            assert catalog.in_use(session, thing) == []
            deletion.remove(session, thing, "pat")
        for model in (Template, TemplateVersion, SuppressionList, Endpoint, Population, Member):
            assert session.scalars(select(model)).all() == []
        assert session.scalars(select(Recording)).all() == []
        assert session.scalars(select(Media)).one().expires_at is not None

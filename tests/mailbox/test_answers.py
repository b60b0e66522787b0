"""A help desk works from its mailbox: its answers reach the person, by the door of all texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.domain import passwords
from app.domain.content import attachments
from app.domain.mail_tags import ANSWER_ABOVE
from app.models.base import new_id
from app.models.client import Client
from app.models.delivery import Delivery, EventType
from app.models.endpoint import Endpoint
from app.models.house import AuditEntry, MailTaken
from app.models.incoming import Incoming
from app.models.media import Media, MediaSource
from app.models.message import Message, MessageState
from app.models.suppression import SuppressionEntry, SuppressionList
from app.models.user import Membership, User
from tests.mailbox.conftest import DESK, PHONE, HelpDesk
from tests.staff.conftest import PASSWORD, Staff

TAKEN = 250
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def texts(desk: HelpDesk) -> list[Message]:
    return list(desk.rows.all(select(Message).order_by(Message.id)))


def test_what_is_answered_by_mail_goes_to_the_person_as_a_text(desk: HelpDesk) -> None:
    forwarded = desk.text()
    assert forwarded.get_content().startswith(ANSWER_ABOVE)
    assert "Your answer to this mail goes to that person" in forwarded.get_content()
    code, _ = desk.hand_over(desk.answer(forwarded, "Yes, until five.\n\n-- \nPat Doe"))
    assert code == TAKEN
    (message,) = texts(desk)
    assert (message.to, message.from_, message.body) == (PHONE, "+13195550100", "Yes, until five.")
    assert message.state is MessageState.WAITING
    noted = desk.rows.one(select(AuditEntry).where(AuditEntry.action == "answer"))
    assert (noted.actor, noted.target) == (DESK, f"text from {PHONE} by mail")


def test_it_is_seen_in_the_conversation(desk: HelpDesk, client: FlaskClient) -> None:
    forwarded = desk.text()
    desk.hand_over(desk.answer(forwarded, "Yes, until five."))
    person = User(email="pat@example.edu", password_hash=passwords.hash_password(PASSWORD))
    desk.rows.add(person)
    desk.rows.add(Membership(user_id=person.id, client_id=desk.department.client.id))
    staff = Staff(client)
    staff.sign_in(person.email)
    page = client.get(f"/staff/clients/registrar/inbox/phone/{PHONE}").get_data(as_text=True)
    assert page.index("Are you open today?") < page.index("Yes, until five.")


def test_the_same_mail_is_sent_once_however_often_it_comes(desk: HelpDesk) -> None:
    answer = desk.answer(desk.text(), "Yes.")
    for _ in range(3):
        assert desk.hand_over(answer)[0] == TAKEN
    assert len(texts(desk)) == 1
    del answer["Message-ID"]  # what has no name is named by all that it says
    for _ in range(2):
        desk.hand_over(answer)
    assert len(texts(desk)) == 2


def test_each_text_of_a_conversation_can_be_answered(desk: HelpDesk) -> None:
    first, second = desk.text("One"), desk.text("Two")
    assert first["Reply-To"] != second["Reply-To"]
    assert first["References"] == second["References"]  # one conversation in mail programs
    desk.hand_over(desk.answer(second, "Two, then."))
    desk.hand_over(desk.answer(first, "And one."))
    assert [one.body for one in texts(desk)] == ["Two, then.", "And one."]


@pytest.mark.parametrize("way", ["recipient", "owner", "member", "member in capitals"])
def test_who_got_it_and_who_works_there_may_answer(desk: HelpDesk, way: str) -> None:
    client = desk.department.client
    person = User(id=new_id(), email="pat@example.edu")
    desk.rows.add(person)
    desk.rows.add(Membership(user_id=person.id, client_id=client.id))
    author = {"recipient": DESK, "owner": client.owner_email, "member": person.email,
              "member in capitals": "PAT@Example.edu"}[way]  # fmt: skip
    desk.hand_over(desk.answer(desk.text(), "Yes.", author))
    assert [one.body for one in texts(desk)] == ["Yes."]


def waiting(desk: HelpDesk) -> list[str]:
    return [one.id for one in texts(desk) if one.state is MessageState.WAITING]


def refused(desk: HelpDesk, answer: EmailMessage) -> str:
    """Hand over an answer that is not sent; return the mail that says why."""
    before, went_out = len(desk.box.mails), waiting(desk)
    assert desk.hand_over(answer)[0] == TAKEN
    assert desk.hand_over(answer)[0] == TAKEN  # again, and told once
    said = desk.next_mail()
    assert len(desk.box.mails) == before + 1
    assert said["To"] == answer["From"].addresses[0].addr_spec
    assert said["Auto-Submitted"] == "auto-replied"
    assert said["In-Reply-To"] == answer["Message-ID"]
    assert said["Reply-To"] is None
    assert waiting(desk) == went_out
    return str(said.get_content())


def closed_account(desk: HelpDesk) -> None:
    person = User(id=new_id(), email="gone@example.edu", disabled_at=datetime.now(UTC))
    desk.rows.add(person)
    desk.rows.add(Membership(user_id=person.id, client_id=desk.department.client.id))


def opted_out(desk: HelpDesk) -> None:
    client = desk.department.client
    made = SuppressionList(id=new_id(), client_id=client.id, name="opted-out")
    desk.rows.add(made)
    desk.rows.add(
        SuppressionEntry(list_id=made.id, phone=PHONE, source="manual", since=datetime.now(UTC))
    )
    desk.rows.change(update(type(desk.department.number)).values(suppression_list_id=made.id))


def used_up(desk: HelpDesk) -> None:
    desk.hand_over(desk.answer(desk.text("And now?"), "Yes."))
    desk.rows.change(update(Client).values(limit_segments_hour=1))


def changed(**columns: Any) -> Any:
    return lambda desk: desk.rows.change(update(Client).values(**columns))


REFUSALS = {
    "a stranger": (lambda desk: None, "Yes.", "eve@example.com", "is none of them"),
    "a closed account": (closed_account, "Yes.", "gone@example.edu", "is none of them"),
    "opted out": (opted_out, "Yes.", DESK, "has opted out"),
    "halted": (changed(halted_at=datetime(2026, 1, 1, tzinfo=UTC)), "Yes.", DESK, "halted"),
    "not enabled": (changed(twilio_enabled=False), "Yes.", DESK, "not enabled"),
    "on trial": (changed(trial=True), "Yes.", DESK, "on trial"),
    "over a limit": (used_up, "And once more.", DESK, "within an hour"),
    "too long": (lambda desk: None, "words " * 300, DESK, "Twilio takes 1,600 at most"),
    "nothing written": (lambda desk: None, "", DESK, "No words and no files"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "body", "author", "why"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_sent_is_told_to_who_wrote(
    desk: HelpDesk, given: Any, body: str, author: str, why: str
) -> None:
    forwarded = desk.text()
    given(desk)
    assert why in refused(desk, desk.answer(forwarded, body, author))


def test_an_address_is_over_after_thirty_days_and_when_the_text_is_gone(desk: HelpDesk) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=31)):
        old = desk.text()
    assert "too old" in refused(desk, desk.answer(old, "Yes."))
    forwarded = desk.text()
    desk.rows.change(update(Delivery).values(incoming_id=None))
    desk.rows.change(Incoming.__table__.delete())  # type: ignore[attr-defined]
    assert "deleted" in refused(desk, desk.answer(forwarded, "Yes."))


MACHINES = {
    "out of office": {"Auto_Submitted": "auto-replied"},
    "a list": {"Precedence": "list"},
    "a robot": {"X_Autoreply": "yes"},
    "a mail server": {"From": "MAILER-DAEMON@example.edu"},
    "ourselves": {"From": "dispatch@example.edu"},
    "from two": {"From": f"{DESK}, other@example.edu"},
}


@pytest.mark.parametrize("headers", MACHINES.values(), ids=MACHINES)
def test_what_a_machine_wrote_is_let_go(desk: HelpDesk, headers: dict[str, str]) -> None:
    answer = desk.answer(desk.text(), "I am away.", **headers)
    sent = len(desk.box.mails)
    assert desk.hand_over(answer)[0] == TAKEN
    assert desk.hand_over(desk.answer(desk.box.mails[0], "x"), sender="")[0] == TAKEN
    desk.next_mail()
    assert (texts(desk), len(desk.box.mails)) == ([], sent)
    assert desk.rows.count(MailTaken) == 0


def test_our_own_mails_go_in_no_circles(desk: HelpDesk) -> None:
    """Handed back to us by some robot, neither a forwarded text nor a refusal does anything."""
    forwarded = desk.text()
    refused(desk, desk.answer(forwarded, "", DESK))
    sent = len(desk.box.mails)
    for own in list(desk.box.mails):
        assert (
            desk.hand_over(own.as_bytes(policy=SMTP), str(forwarded["Reply-To"]), DESK)[0] == TAKEN
        )
    desk.next_mail()
    assert (texts(desk), len(desk.box.mails)) == ([], sent)


@pytest.mark.parametrize(
    "address",
    ["dispatch@example.edu", "dispatch+r" + "0" * 26 + "a" * 13 + "@example.edu", "x@y.example"],
)
def test_an_address_that_somebody_made_up_is_refused_at_the_door(
    desk: HelpDesk, address: str
) -> None:
    code, _ = desk.hand_over(desk.answer(desk.text(), "Yes."), address)
    assert (code, texts(desk)) == (550, [])


def with_files(desk: HelpDesk, *files: tuple[bytes, str, str, str]) -> EmailMessage:
    answer = desk.answer(desk.text(), "Look:")
    for content, maintype, subtype, name in files:
        answer.add_attachment(content, maintype, subtype, filename=name)
    return answer


def test_what_is_attached_goes_along(desk: HelpDesk) -> None:
    desk.hand_over(with_files(desk, (PNG, "application", "octet-stream", "map"),
                              (b"%PDF-1.7\n", "application", "pdf", "form.pdf")))  # fmt: skip
    (message,) = texts(desk)
    kept = {one.content_type: one for one in desk.rows.all(Media)}
    assert set(kept) == {"image/png", "application/pdf"}
    assert {one.source for one in kept.values()} == {MediaSource.STORED}
    assert len(message.media) == 2
    assert (message.body, message.segments) == ("Look:", 1)


def test_a_logo_of_the_letter_is_no_file(desk: HelpDesk) -> None:
    answer = desk.answer(desk.text(), "Yes.")
    answer.add_alternative('<p>Yes.</p><img src="cid:logo@x">', subtype="html")
    html = answer.get_body(("html",))
    assert html is not None
    html.add_related(PNG, "image", "png", cid="<logo@x>")
    desk.hand_over(answer)
    (message,) = texts(desk)
    assert (message.body, message.media) == ("Yes.", [])


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ((b"MZ\x90\0\0", "application", "octet-stream", "setup.exe"), "no kind that Twilio takes"),
        ((PNG + bytes(attachments.MAX_TOTAL), "image", "png", "map.png"), "MB"),
    ],
)
def test_a_file_that_no_text_can_show_is_refused_with_all_of_it(
    desk: HelpDesk, file: tuple[bytes, str, str, str], why: str
) -> None:
    assert why in refused(desk, with_files(desk, file))
    assert desk.rows.count(Media) == 0


def test_nobody_reads_where_nothing_is_set_up(
    desk: HelpDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    object.__setattr__(desk.app.extensions["settings"], "mail_in_url", None)
    forwarded = desk.text()
    assert forwarded["Reply-To"] is None
    assert ANSWER_ABOVE not in forwarded.get_content()
    assert "An answer to this mail does not reach that person." in forwarded.get_content()
    assert desk.box.envelopes[-1][0] == "dispatch@example.edu"


def test_an_answer_from_an_address_shows_that_it_is_read(desk: HelpDesk) -> None:
    forwarded = desk.text()
    desk.rows.change(update(Endpoint).values(bounced_at=datetime.now(UTC), bounce_reason="Full"))
    desk.hand_over(desk.answer(forwarded, "Yes."))
    assert desk.rows.one(select(Endpoint).where(Endpoint.url == DESK)).bounced_at is None
    assert {one.type for one in desk.rows.all(Delivery)} == {EventType.SMS_RECEIVED}

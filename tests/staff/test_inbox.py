"""The inbox shows what came in, to the right people, in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from app.domain import urls
from app.extensions import db
from app.models.base import utcnow
from app.models.client import Client
from app.models.conversation import Conversation, ConversationNote, ConversationState, EntryKind
from app.models.incoming import Incoming, OptOut, Outcome
from app.models.media import Media, MediaSource
from app.models.message import Direction, Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.models.voicemail import TranscriptionState, Voicemail, VoicemailState
from tests.staff.conftest import OF_CLIENTS, Staff
from tests.support.rows import Rows

PHONE = "+13195550142"
HOSTILE = '<script>alert(1)</script> & "quotes" {{ 7 * 7 }}'


@pytest.fixture
def text_in(rows: Rows, number: Sender) -> Callable[..., Incoming]:
    counter = iter(range(10_000))

    def add(body: str, **more: object) -> Incoming:
        values: dict[str, object] = {
            "client_id": number.client_id, "destination": Destination.SMS, "sender_id": number.id,
            "sid": f"SM{next(counter):032x}", "from_": PHONE, "to": number.address, "body": body,
            "outcome": Outcome.REPLIED,
        } | more  # fmt: skip
        incoming = Incoming(**values)
        rows.add(incoming)
        return incoming

    return add


def shown(staff: Staff, path: str) -> str:
    answer = staff.http.get(f"/staff/clients/registrar{path}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def test_an_empty_inbox_says_what_to_do(pat: Staff) -> None:
    assert "Nothing has come in yet" in shown(pat, "/inbox")


def test_texts_are_listed_newest_first_with_what_was_done(
    pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    text_in("first", received_at=utcnow() - timedelta(minutes=2))
    text_in("STOP", opt_out=OptOut.STOP, outcome=Outcome.KEYWORD)
    page = shown(pat, "/inbox")
    assert page.index("STOP") < page.index("first")
    assert "(319) 555-0142" in page
    assert "Opted out" in page
    assert "Answered" in page


def test_hostile_words_stay_words(pat: Staff, text_in: Callable[..., Incoming]) -> None:
    one = text_in(HOSTILE, from_="<b>anonymous</b>")
    for path in ("/inbox", f"/inbox/{one.id}", "/inbox/phone/<b>anonymous</b>"):
        page = shown(pat, path)
        assert "<script>alert" not in page
        assert "<b>anonymous" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=library", ["library hours?"]),
        ("q=LIBRARY", ["library hours?"]),
        ("q=100%25", []),
        ("q=(319)+555-0142", ["library hours?", "STOP"]),
        ("q=%2B13195550142", ["library hours?", "STOP"]),
        ("q=319-555-0143", []),
        ("q=555-0142", ["library hours?", "STOP"]),
        ("kind=opt_out", ["STOP"]),
        ("kind=voice", []),
    ],
    ids=[
        "word",
        "any case",
        "percent is no wildcard",
        "phone",
        "E.164",
        "another phone",
        "part",
        "opt-outs",
        "calls",
    ],
)
def test_the_inbox_is_searched_by_words_phone_and_kind(
    pat: Staff, text_in: Callable[..., Incoming], query: str, found: list[str]
) -> None:
    text_in("library hours?")
    text_in("STOP", opt_out=OptOut.STOP)
    page = shown(pat, f"/inbox?{query}")
    assert [words for words in ("library hours?", "STOP") if f">{words}" in page] == found


def test_a_long_inbox_costs_as_many_statements_as_a_short_one(
    app: Flask, pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    counts = []
    for texts in (1, 30):
        for _ in range(texts):
            text_in("hello")
        statements.clear()
        shown(pat, "/inbox")
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 9


def test_older_pages_follow_without_gap_or_repeat(
    pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    same_second = utcnow()
    for number in range(60):
        text_in(f"text-{number:02d}.", received_at=same_second)
    first = shown(pat, "/inbox")
    older = first.split("before=")[1].split('"')[0].split("&")[0]
    second = shown(pat, f"/inbox?before={older}")
    seen = [[n for n in range(60) if f"text-{n:02d}." in page] for page in (first, second)]
    assert len(seen[0]) == 50
    assert sorted(seen[0] + seen[1]) == list(range(60))


def test_nothing_older_than_retention_is_shown(
    pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    text_in("long ago", received_at=utcnow() - timedelta(days=46))
    assert "long ago" not in shown(pat, "/inbox")
    assert pat.http.get(f"/staff/clients/registrar/inbox/phone/{PHONE}").status_code == 404


LEFT = {
    "to be heard": (
        {"state": VoicemailState.KEPT, "duration": 7, "media_code": "sound"},
        'src="/media/sound" aria-label="Voice message of 7 seconds"',
    ),
    "being fetched": ({"state": VoicemailState.RECORDED}, "being fetched from Twilio"),
    "lost": ({"state": VoicemailState.LOST, "error": "It is <gone>."}, "It is &lt;gone&gt;."),
    "in words": (
        {
            "state": VoicemailState.KEPT, "transcription_state": TranscriptionState.DONE,
            "transcription": "<b>Call</b> me", "language": "en-US", "path": ["2", "#"],
        },
        '<p class="words" lang="en-US">&lt;b&gt;Call&lt;/b&gt; me</p>',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "words"), LEFT.values(), ids=LEFT)
def test_a_voice_message_stands_wherever_its_call_does(
    pat: Staff,
    text_in: Callable[..., Incoming],
    rows: Rows,
    columns: dict[str, object],
    words: str,
) -> None:
    call = text_in("", destination=Destination.VOICE, outcome=Outcome.PLAYED)
    own = {"client_id": call.client_id}
    if "media_code" in columns:
        sound = {"source": MediaSource.STORED, "content_type": "audio/mpeg", "content": b"ID3"}
        rows.add(Media(**own, **sound, code="sound", size=3))
    rows.add(Voicemail(**own, incoming_id=call.id, recording_sid="RE1", **columns))
    text_in("a text")
    talk = f"/conversations/{call.sender_id}/{PHONE}"
    kind = "/inbox?kind=voicemail"
    for path in ("/inbox", f"/inbox/{call.id}", f"/inbox/phone/{PHONE}", kind, talk):
        assert words in shown(pat, path), path
    assert "a text" not in shown(pat, "/inbox?kind=voicemail")


def test_a_conversation_has_both_sides_in_order(
    pat: Staff, text_in: Callable[..., Incoming], rows: Rows, number: Sender
) -> None:
    text_in("When do you open?", received_at=utcnow() - timedelta(minutes=5))
    rows.add(
        Message(
            client_id=number.client_id, destination=Destination.SMS, direction=Direction.REPLY,
            sender_id=number.id, credential_id=number.credential_id, to=PHONE,
            from_=number.address, body="At nine.", state=MessageState.ACCEPTED, status="delivered",
            created_at=utcnow() - timedelta(minutes=4),
        )
    )  # fmt: skip
    text_in("Thank you")
    page = shown(pat, f"/inbox/phone/{PHONE}")
    places = [page.index(words) for words in ("When do you open?", "At nine.", "Thank you")]
    assert places == sorted(places)
    assert "automatic reply" in page
    assert "Delivered" in page


def test_a_person_is_shown_with_pictures_of_both_sides_and_what_was_noted(
    app: Flask, pat: Staff, text_in: Callable[..., Incoming], rows: Rows, number: Sender
) -> None:
    text_in("Look", media=[{"code": "theirs123456", "contentType": "image/png"}])
    code = "ours12345678"
    with app.test_request_context():
        url = urls.of_media(code)
    assert url.endswith(code)
    rows.add(
        Media(
            code=code, client_id=number.client_id, content_type="image/jpeg", size=3,
            source=MediaSource.STORED,
        ),
        Message(
            client_id=number.client_id, destination=Destination.SMS, sender_id=number.id,
            credential_id=number.credential_id, to=PHONE, from_=number.address, body="The way",
            media=[url], author="kim@example.edu", state=MessageState.ACCEPTED, status="sent",
        ),
    )  # fmt: skip
    talk = Conversation(
        client_id=number.client_id, sender_id=number.id, phone=PHONE, last_at=utcnow(), unread=0,
        state=ConversationState.WAITING, last_kind=EntryKind.IN,
    )  # fmt: skip
    rows.add(talk)
    rows.add(
        ConversationNote(
            client_id=number.client_id, conversation_id=talk.id, author="kim", text="A regular"
        )
    )
    page = shown(pat, f"/inbox/phone/{PHONE}")
    assert page.count('<img class="picture"') == 2
    assert "kim@example.edu" in page
    assert page.index("A regular") < page.index("Note by kim")


FORWARDED = {
    "nobody was there": (
        "no-answer", "Nobody took the call", "(319) 555-0111 did not take the call.",
    ),
    "busy": ("busy", "Nobody took the call", "(319) 555-0111 was busy."),
    "taken": ("completed", "Put through", "(319) 555-0111 took the call."),
}  # fmt: skip


@pytest.mark.parametrize(("status", "tag", "why"), FORWARDED.values(), ids=FORWARDED)
def test_one_reads_why_a_call_reached_nobody(
    status: str, tag: str, why: str, pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    call = text_in(
        "", destination=Destination.VOICE, outcome=Outcome.FORWARDED, handler="call_forward",
        dial_status=status, later={"to": "+13195550111"}, call_status="completed",
        call_duration=26,
    )  # fmt: skip
    page = shown(pat, f"/inbox/{call.id}")
    for said in (tag, why, "Forward to another phone", "ended after 26 s"):
        assert said in page
    for machine_word in ("call_forward", "call forward", "no-answer", "completed"):
        assert machine_word not in page
    assert tag in shown(pat, "/inbox?kind=voice")


def test_the_link_of_an_e_mail_leads_to_the_right_client(
    pat: Staff, text_in: Callable[..., Incoming]
) -> None:
    one = text_in("hello")
    answer = pat.http.get(f"/staff/inbox/{one.id}")
    assert answer.headers["Location"] == f"/staff/clients/registrar/inbox/{one.id}"


def test_another_clients_texts_do_not_exist(
    pat: Staff, text_in: Callable[..., Incoming], rows: Rows
) -> None:
    other = Client(name="bursar", owner_email="bursar@example.edu")
    rows.add(other)
    one = text_in("private", client_id=other.id)
    assert "private" not in shown(pat, "/inbox")
    for path in (f"/staff/clients/registrar/inbox/{one.id}", f"/staff/inbox/{one.id}"):
        assert pat.http.get(path).status_code == 404
    assert pat.http.get(f"/staff/clients/registrar/inbox?before={one.id}").status_code == 404


def test_what_somebody_has_read_needs_no_reader_any_more(
    pat: Staff, text_in: Callable[..., Incoming], rows: Rows
) -> None:
    text = text_in("please stop", flagged=True)
    path = f"/staff/clients/registrar/inbox/{text.id}"
    assert "somebody to read it" in shown(pat, "/")
    pat.send(f"{path}/read", seen_at=path)
    assert "somebody to read it" not in shown(pat, "/")
    assert [entry.action for entry in rows.all(OF_CLIENTS)] == ["read"]


def test_a_reply_follows_what_it_answers(
    pat: Staff, text_in: Callable[..., Incoming], rows: Rows, number: Sender
) -> None:
    began = utcnow() - timedelta(minutes=1)
    text_in("Are you open?", received_at=began)
    rows.add(
        Message(
            client_id=number.client_id, sender_id=number.id, credential_id=number.credential_id,
            destination=Destination.SMS, direction=Direction.REPLY, to=PHONE, from_=number.address,
            body="We are.", state=MessageState.ACCEPTED, created_at=began,
            sent_at=began + timedelta(seconds=30),
        )
    )  # fmt: skip
    text_in("Thank you", received_at=began + timedelta(seconds=10))
    page = shown(pat, f"/inbox/phone/{PHONE}")
    assert page.index("Are you open?") < page.index("We are.") < page.index("Thank you")

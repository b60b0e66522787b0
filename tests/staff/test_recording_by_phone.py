"""A greeting spoken into the telephone: the call, what came of it, and keeping it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from xml.etree import ElementTree

import pytest

from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.credential import Credential
from app.models.media import Media, Recording
from app.models.message import Message, MessageReport, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from tests.staff.conftest import Staff
from tests.support.hostile import answering, resetting
from tests.support.recordings import SOUND, Recordings, recordings
from tests.support.rows import Rows
from tests.support.twilio import sid

LIST = "/staff/clients/registrar/recordings"
MINE = "+13195550110"


@pytest.fixture
def at_twilio() -> Iterator[Recordings]:
    with recordings() as made:
        yield made


@pytest.fixture
def environ(environ: dict[str, str], at_twilio: Recordings) -> dict[str, str]:
    return {**environ, "TWILIO_API_BASE_URL": at_twilio.url}


@pytest.fixture
def called(pat: Staff, number: Sender, rows: Rows) -> Message:
    """Pat has asked to be called."""
    answer = pat.send(f"{LIST}/by-phone", seen_at=LIST, phone="(319) 555-0110", sender=number.id)
    assert answer.status_code == 302
    return rows.one(Message)


@pytest.fixture
def spoken(called: Message, at_twilio: Recordings, rows: Rows) -> Message:
    """Pat has spoken, and Twilio has told of it."""
    recording = sid("RE")
    at_twilio.add(sid("CA"), recording)
    root = "https://api.twilio.com/2010-04-01/Accounts/AC" + "0" * 32
    called.recording_url = f"{root}/Recordings/{recording}"
    called.state, called.status = MessageState.ACCEPTED, "completed"
    rows.add(called)
    return called


def page_of(called: Message, what: str = "") -> str:
    return f"{LIST}/by-phone/{called.id}{what}"


def test_who_asks_is_called_and_speaks_after_the_tone(
    pat: Staff, called: Message, number: Sender
) -> None:
    assert (called.to, called.from_, called.destination) == (MINE, number.address, "voice")
    heard = [verb.tag for verb in ElementTree.fromstring(called.body or "")]
    assert heard == ["Say", "Record"]
    page = pat.http.get(page_of(called)).text
    assert "Speak after the tone" in page
    assert "every 2s" in page


@pytest.mark.parametrize(
    ("phone", "says"),
    [
        pytest.param("", "phone", id="none"),
        pytest.param("call me", "phone", id="words"),
        pytest.param("911", "emergency", id="emergency"),
        pytest.param("+19005551234", "premium", id="premium"),
    ],
)
def test_who_may_not_be_called_is_told_why(
    pat: Staff, number: Sender, rows: Rows, phone: str, says: str
) -> None:
    answer = pat.send(f"{LIST}/by-phone", seen_at=LIST, phone=phone, sender=number.id)
    assert answer.status_code == 422
    assert "You are not called." in answer.text
    assert says in answer.text.split("You are not called.")[1][:200]
    assert rows.all(Message) == []


def test_sound_is_heard_and_kept_under_a_name(pat: Staff, spoken: Message, rows: Rows) -> None:
    assert pat.http.get(page_of(spoken, "/sound")).data == SOUND
    nameless = pat.send(page_of(spoken, "/keep"), seen_at=page_of(spoken), name=" ")
    assert (nameless.status_code, rows.all(Recording)) == (422, [])
    assert "needs a name" in nameless.text
    kept = pat.send(page_of(spoken, "/keep"), seen_at=page_of(spoken), name="greeting")
    assert kept.headers["Location"].endswith("/recordings")
    assert rows.one(Recording).name == "greeting"
    served = pat.http.get(f"/media/{rows.one(Media).code}")
    assert (served.data, served.content_type) == (SOUND, "audio/mpeg")


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        pytest.param(answering("503 Service Unavailable"), 502, id="busy"),
        pytest.param(resetting(), 502, id="cut"),
        pytest.param(answering("404 Not Found"), 404, id="gone"),
    ],
)
def test_a_twilio_that_does_not_give_it_is_told_of_in_a_sentence(
    pat: Staff,
    spoken: Message,
    at_twilio: Recordings,
    rows: Rows,
    behaviour: Callable[..., None],
    status: int,
) -> None:
    at_twilio.instead["/Recordings/"] = behaviour
    answer = pat.send(page_of(spoken, "/keep"), seen_at=page_of(spoken), name="greeting")
    assert (answer.status_code, rows.all(Recording)) == (status, [])
    assert "The recording could not be fetched." in answer.text


@pytest.mark.parametrize(
    ("status", "minutes", "is_over"),
    [
        pytest.param("ringing", 9, False, id="it rings"),
        pytest.param("in-progress", 9, False, id="somebody speaks"),
        pytest.param("completed", 0, False, id="just over: Twilio may still tell"),
        pytest.param("completed", 9, True, id="nothing was said"),
        pytest.param("no-answer", 0, True, id="nobody answered"),
    ],
)
def test_the_page_looks_again_until_nothing_more_can_come(
    pat: Staff, called: Message, rows: Rows, status: str, minutes: int, is_over: bool
) -> None:
    called.state, called.status = MessageState.ACCEPTED, status
    heard = utcnow() - timedelta(minutes=minutes)
    rows.add(
        called, MessageReport(message_id=called.id, status=status, source="callback", at=heard)
    )
    page = pat.http.get(page_of(called, "/state")).text
    assert ("every 2s" in page) is not is_over
    assert ("Try again" in page) is is_over
    assert pat.http.get(page_of(called, "/sound")).status_code == 404


def test_neither_anothers_call_nor_one_about_something_else_is_shown(
    pat: Staff, spoken: Message, rows: Rows
) -> None:
    housing = Client(name="housing", owner_email="housing@example.edu", twilio_enabled=True)
    rows.add(housing)
    login = Credential(client_id=housing.id, name="m", account_sid=sid("AC"), auth_token="x")
    rows.add(login)
    theirs = Sender(
        client_id=housing.id, credential_id=login.id, kind=SenderKind.TWILIO,
        address="+13195550199", rate=1.0,
    )  # fmt: skip
    rows.add(theirs)
    answer = pat.send(f"{LIST}/by-phone", seen_at=LIST, phone=MINE, sender=theirs.id)
    assert answer.status_code == 404
    other = Message(
        id=new_id(), client_id=spoken.client_id, sender_id=spoken.sender_id, to=MINE,
        credential_id=spoken.credential_id, from_=spoken.from_, lane_key=spoken.lane_key,
        destination=Destination.VOICE, state=MessageState.ACCEPTED, due_at=utcnow(),
        recording_url=spoken.recording_url,
    )  # fmt: skip
    rows.add(other)
    assert pat.http.get(page_of(other, "/sound")).status_code == 404
    spoken.client_id = housing.id
    rows.add(spoken)
    assert pat.http.get(page_of(spoken, "/sound")).status_code == 404

"""Canned replies: written, measured, versioned, restored, tried out."""

from __future__ import annotations

import html
import io

import pytest
from sqlalchemy import select

from app.models.audience import Member, Population, phone_key
from app.models.base import utcnow
from app.models.client import Client
from app.models.media import Media
from app.models.message import Message
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateVersion
from tests.staff.conftest import Staff
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.rows import Rows

HOME = "/staff/clients/registrar"
NEW = f"{HOME}/templates/new/reply"


def write(staff: Staff, body: str, **more: str) -> str:
    """Write a canned reply called `away` and return the path of its page."""
    answer = staff.send(NEW, name="away", body=body, media=more.get("media", ""))
    assert answer.status_code == 302, answer.get_data(as_text=True)
    return str(answer.headers["Location"])


def shown(staff: Staff, path: str) -> str:
    answer = staff.http.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return str(answer.get_data(as_text=True))


def test_a_reply_is_written_and_listed(pat: Staff, rows: Rows) -> None:
    path = write(pat, "Please call 319-335-0000.\r\nThank you.")
    assert rows.one(TemplateVersion).body == "Please call 319-335-0000.\nThank you."
    assert rows.one(TemplateVersion).created_by == "pat@example.edu"
    assert "away" in shown(pat, f"{HOME}/replies")
    page = shown(pat, path)
    assert "Not in use yet" in page
    assert "1 segment" in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "", "body": "hello"}, "needs a name"),
        ({"name": "away", "body": "  "}, "is empty"),
        ({"name": "away", "body": "Hi {{ toName"}, "Line 1"),
        ({"name": "away", "body": "x" * 1601}, "1601 characters"),
        ({"name": "away", "body": "hi", "media": "ftp://example.edu/a.png"}, "https"),
    ],
    ids=["no name", "empty", "broken braces", "too long", "no web address"],
)
def test_what_cannot_be_saved_is_said_and_nothing_typed_is_lost(
    pat: Staff, rows: Rows, fields: dict[str, str], said: str
) -> None:
    answer = pat.send(NEW, **{"media": "", **fields})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in page
    assert fields["body"].strip()[:1500] in page
    assert rows.count(Template) == 0


def test_a_name_is_taken_once(pat: Staff) -> None:
    write(pat, "one")
    answer = pat.send(NEW, name="away", body="two", media="")
    assert answer.status_code == 422
    assert "There is a “away” already" in answer.get_data(as_text=True)


def test_saving_makes_versions_and_an_older_one_comes_back(pat: Staff, rows: Rows) -> None:
    path = write(pat, "first words")
    pat.send(path, body="second words", media="")
    pat.send(path, body="second words", media="")
    assert rows.count(TemplateVersion) == 2, "the same words make no new version"
    pat.send(f"{path}/restore/1", seen_at=path)
    bodies = rows.all(select(TemplateVersion.body).order_by(TemplateVersion.number))
    assert list(bodies) == ["first words", "second words", "first words"]
    assert rows.one(Template).current_version == 3


def test_the_counter_counts_as_twilio_bills(pat: Staff) -> None:
    token = pat.token(NEW)

    def preview(body: str) -> str:
        data = {"csrf_token": token, "body": body, "media": ""}
        answer = pat.http.post(f"{HOME}/templates/preview/reply", data=data)
        return str(answer.get_data(as_text=True))

    assert "1 segment<" in preview("a" * 160)
    assert "2 segments<" in preview("a" * 161)
    curly = preview("It’s closed")
    assert "a segment then holds 70 characters instead of 160" in curly
    assert "UCS-2" not in curly
    assert "write <code>&#39;</code> instead" in curly
    assert "[toName]" in preview("Hi {{ toName }}")
    assert "&lt;Response&gt;" in preview("Hi")


def test_a_wording_is_seen_as_anybody_would_get_it(pat: Staff, rows: Rows, number: Sender) -> None:
    token = pat.token(NEW)
    students = Population(client_id=number.client_id, name="students")
    news = SuppressionList(client_id=number.client_id, name="news")
    rows.add(students, news)
    ana = {"toName": "Ana", "toPhone": "+13195550110", "First major": "art"}
    rows.add(Member(roll=students.roll, attributes=ana, phone_key=phone_key("+13195550110")))
    of_list = {"as": f"list:{students.id}"}

    def preview(kind: str, body: str, **who: str) -> str:
        data = {"csrf_token": token, "body": body, "media": "", "how": "twiml", **who}
        return html.unescape(pat.http.post(f"{HOME}/templates/preview/{kind}", data=data).text)

    body = 'Hi {{ toName or "there" }}, {{ From }}'
    assert "Hi Ana, +13195550110" in preview("reply", body, **of_list)
    assert "Hi there, +13195550142" in preview("reply", body, **{"as": "stranger"})
    assert "Hi Ana!" in preview("sms", "Hi {{ toName }}!", **of_list)
    missing = preview("sms", "Hi {{ toName }}!", **{"as": "stranger"})
    assert "toName" in missing.partition('class="note bad"')[2]
    then = "{% if AnsweredBy == 'machine' %}, call us{% endif %}"
    call = f"<Response><Say>Hi {{{{ toName }}}}{then}</Say></Response>"
    heard = preview("voice", call, **of_list)
    assert ("Hi Ana" in heard, "Hi Ana, call us" in heard) == (True, True)
    assert "Nobody has opted out so far." in preview("sms", "Hi", **{"as": "opted_out"})
    rows.add(
        SuppressionEntry(
            list_id=news.id, phone="+13195550110", source=SuppressionSource.MANUAL, since=utcnow()
        )
    )
    assert "they have opted out" in preview("sms", "Hi", **{"as": "opted_out"})
    assert 'data-insert="{{ toName or "there" }}"' in preview("sms", "Hi")
    assert '{{ First_major or "your first major" }}' in preview("sms", "Hi", **of_list)


def test_what_a_number_uses_cannot_be_deleted(pat: Staff, rows: Rows, number: Sender) -> None:
    path = write(pat, "hello")
    template = rows.one(Template)
    rows.add(
        Route(
            client_id=number.client_id, sender_id=number.id, destination=Destination.SMS,
            handler=Handler.AUTO_REPLY, template_id=template.id, updated_by="pat@example.edu",
        )
    )  # fmt: skip
    assert "Used by" in shown(pat, path)
    answer = pat.send(f"{path}/delete", seen_at=path)
    assert answer.status_code == 302
    assert "cannot be deleted" in shown(pat, path)
    assert rows.count(Template) == 1


def test_what_nothing_uses_can_be_deleted(pat: Staff, rows: Rows) -> None:
    path = write(pat, "hello")
    pat.send(f"{path}/delete", seen_at=path)
    assert rows.count(Template) == 0
    assert rows.count(TemplateVersion) == 0


def test_a_test_goes_to_ones_own_phone(pat: Staff, rows: Rows, number: Sender) -> None:
    path = write(pat, "Hi {{ toName }}")
    pat.send(f"{path}/test", seen_at=path, phone="(319) 555-0142", sender=number.id)
    sent = rows.one(Message)
    assert (sent.to, sent.body) == ("+13195550142", "Hi [toName]")
    pat.send(f"{path}/test", seen_at=path, phone="12", sender=number.id)
    assert rows.count(Message) == 1
    pat.send(f"{path}/test", seen_at=path, phone="3195550142", sender="somebody else's")
    assert rows.count(Message) == 1


def test_another_clients_templates_do_not_exist(pat: Staff, rows: Rows) -> None:
    other = Client(name="bursar", owner_email="bursar@example.edu")
    rows.add(other)
    theirs = Template(client_id=other.id, name="secret", kind="reply", current_version=1)
    rows.add(theirs)
    rows.add(TemplateVersion(template_id=theirs.id, number=1, body="private", created_by="someone"))
    path = f"{HOME}/templates/{theirs.id}"
    assert pat.http.get(path).status_code == 404
    for action in ("delete", "restore/1", "test"):
        answer = pat.send(f"{path}/{action}", seen_at="/staff/account")
        assert answer.status_code == 404
    assert "private" not in shown(pat, f"{HOME}/replies")


PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def upload(pat: Staff, *files: tuple[bytes, str], **fields: str) -> str:
    """Send the form with files in it; return the page that follows."""
    given = [(io.BytesIO(content), name) for content, name in files]
    data = {"csrf_token": pat.token(NEW), "name": "away", "media": "", "files": given, **fields}
    answer = pat.http.post(NEW, data=data, follow_redirects=True)
    return str(answer.get_data(as_text=True))


def test_files_and_a_card_are_put_into_a_wording(pat: Staff, rows: Rows) -> None:
    page = upload(pat, (PNG, "map.png"), body="Hi", card_name="Desk", card_phone="319-335-0000")
    version = rows.one(TemplateVersion)
    assert [one.content_type for one in rows.all(Media)] == ["image/png", "text/vcard"]
    assert version.media == [f"{PUBLIC_BASE_URL}/media/{one.code}" for one in rows.all(Media)]
    assert all(one.expires_at is None for one in rows.all(Media))
    assert version.media[0] in page


def test_uploaded_files_survive_a_wording_that_cannot_be_saved(pat: Staff, rows: Rows) -> None:
    page = upload(pat, (PNG, "map.png"), body="Hi {{ toName")
    assert "Line 1" in page
    assert f"/media/{rows.one(Media).code}" in page
    assert rows.count(TemplateVersion) == 0


def test_what_twilio_would_not_take_is_said_at_the_pictures(pat: Staff, rows: Rows) -> None:
    page = upload(pat, (b"MZ\x90\0", "a.exe"), body="Hi", card_name="Desk")
    assert "no kind that Twilio takes" in page
    assert "a phone or an e-mail address" in page
    assert (rows.count(Media), rows.count(TemplateVersion)) == (0, 0)


def test_a_large_file_is_advised_against(pat: Staff) -> None:
    assert "600 KB" in upload(pat, (PNG + bytes(600 * 1024), "map.png"), body="Hi")


def test_eleven_files_are_too_many(pat: Staff, rows: Rows) -> None:
    assert "at most 10 media" in upload(pat, *[(PNG, "map.png")] * 11, body="Hi")
    assert rows.count(Media) == 0


WITHOUT = [
    ("Hi {{ toName }}", True, None),
    ("Hi {{ toName or nick }}", True, None),
    ('Hi {{ toName or "there" }}', False, "Hi there"),
    ("Hi{% if toName %} {{ toName }}{% endif %}!", False, "Hi!"),
    ("Hi, you wrote {{ Body }}", False, None),
    ("{% for c in courses %}{{ c.name }}{% endfor %}", True, None),
    ("Hello", False, None),
]


@pytest.mark.parametrize(("body", "somebody_goes_without", "stranger"), WITHOUT)
def test_the_preview_says_who_would_get_no_answer_and_what_strangers_get(
    pat: Staff, body: str, somebody_goes_without: bool, stranger: str | None
) -> None:
    data = {"body": body, "media": "", "csrf_token": pat.token(NEW)}
    page = pat.http.post(f"{HOME}/templates/preview/reply", data=data).get_data(as_text=True)
    assert ("gets no answer" in page) is somebody_goes_without
    assert ("nothing is known gets" in page) is (stranger is not None)
    assert stranger is None or f">{stranger}</div>" in page


@pytest.mark.parametrize(("body", "somebody_goes_without", "_stranger"), WITHOUT)
def test_saving_names_who_would_get_no_answer(
    pat: Staff, body: str, somebody_goes_without: bool, _stranger: str | None
) -> None:
    path = write(pat, body)
    pat.http.get(path)
    again = pat.send(path, body=f"{body}!", media="")
    assert again.status_code == 302
    said = "and of whom we do not know" in shown(pat, path).split("<h1>")[0]
    assert said is somebody_goes_without


def test_a_list_is_shown_by_examples(pat: Staff) -> None:
    source = "{% for c in courses %}{{ c.name }} in {{ c.room }}. {% endfor %}{{ seats + 1 }} left"
    data = {"body": source, "media": "", "csrf_token": pat.token(NEW)}
    page = pat.http.post(f"{HOME}/templates/preview/reply", data=data).get_data(as_text=True)
    assert "[name] in [room]. [name] in [room]. 4 left" in page


def test_a_fallback_is_offered_beside_the_field(pat: Staff) -> None:
    assert 'data-insert="{{ toName or &#34;there&#34; }}"' in shown(pat, NEW)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<Redirect>https://elsewhere.example/next</Redirect>", "is no host of registrar"),
        ("<Dial callerId='+13195550199'>+13195550142</Dial>", "is not a number of registrar"),
        ("<Dial><Sip>sip:a@pbx.example</Sip></Dial>", "is no SIP domain of registrar"),
        ("<Say>Hi</Say>", None),
    ],
)
def test_a_call_that_may_not_be_saved_says_so_while_it_is_written(
    pat: Staff, inside: str, said: str | None
) -> None:
    new = f"{HOME}/templates/new/voice"
    data = {
        "how": "twiml", "body": f"<Response>{inside}</Response>", "media": "",
        "csrf_token": pat.token(new),
    }  # fmt: skip
    page = pat.http.post(f"{HOME}/templates/preview/voice", data=data).get_data(as_text=True)
    assert (said in page) if said else ("note bad" not in page)


def test_a_name_that_no_list_has_is_met_with_the_one_that_is_near(
    pat: Staff, rows: Rows, registrar: Client
) -> None:
    population = Population(client_id=registrar.id, name="students")
    rows.add(population)
    rows.add(Member(roll=population.id, attributes={"First Name": "Ada", "course": "A"}))
    said = "did you mean {{ First_Name }} in place of {{ first_name }}?"
    body = 'Hi {{ first_name or "there" }}, {{ course or "x" }} {{ Body }}'
    data = {"body": body, "media": "", "csrf_token": pat.token(NEW)}
    page = pat.http.post(f"{HOME}/templates/preview/reply", data=data).get_data(as_text=True)
    assert said in page
    assert said in shown(pat, write(pat, body))
    right = body.replace("first_name", "First_Name")
    data = {"body": right, "media": "", "csrf_token": pat.token(NEW)}
    page = pat.http.post(f"{HOME}/templates/preview/reply", data=data).get_data(as_text=True)
    assert "did you mean" not in page

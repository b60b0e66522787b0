"""A password alone opens no account that has, or must have, a second factor."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import update

from app.domain import sign_in_links
from app.domain.second_factor import codes
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.second_factor import CodeApp, RecoveryCode
from app.models.user import StaffSession, User
from tests.staff.conftest import PASSWORD, Staff
from tests.support.racing import at_once
from tests.support.rows import Rows

AddPerson = Callable[..., User]
PAT, SAM = "pat@example.edu", "sam@example.edu"
SET_UP = "/staff/account/second-factor"
ON_SQLITE = pytest.mark.database("sqlite")
WANTED = pytest.mark.settings(SECOND_FACTOR="support")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller


def shown_by(secret: str) -> str:
    """Return what an app shows now, by RFC 6238 and RFC 4226, 5.3, written anew."""
    step = int(datetime.now(UTC).timestamp()) // 30
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class App:
    """The app on a person's phone."""

    def __init__(self, staff: Staff) -> None:
        page = staff.http.get(SET_UP).text
        found = re.search(r'class="mono">([A-Z2-7 ]+)<', page)
        assert found, page
        self.secret = found[1].replace(" ", "")
        answer = staff.send(SET_UP, code=self.shows())
        assert answer.status_code == 200, answer.text
        self.paper = re.findall(r"<li>([a-z2-7-]{19})</li>", answer.text)

    def shows(self) -> str:
        return shown_by(self.secret)


def is_inside(staff: Staff) -> bool:
    return staff.http.get("/staff/account").status_code == 200


def enter(app: Flask, email: str, code: str) -> Staff:
    """Sign in with password and code, from another browser; who it was need not be inside."""
    staff = Staff(app.test_client())
    assert staff.sign_in(email).headers["Location"].startswith("/staff/login/second")
    assert not is_inside(staff)
    staff.send("/staff/login/second", code=code)
    return staff


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, of whose eight digits an app shows the last six."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    moment = datetime.fromtimestamp(seconds, UTC)
    with time_machine.travel(moment, tick=False) as travelling:
        assert codes.step_of(secret, code) == seconds // 30
        assert shown_by(secret) == code
        travelling.move_to(moment + timedelta(seconds=30))
        assert codes.step_of(secret, f"{code[:3]} {code[3:]}") == seconds // 30
        travelling.move_to(moment + timedelta(seconds=90))
        assert codes.step_of(secret, code) is None


@pytest.mark.parametrize(
    ("wanted", "led"),
    [("support", [True, False]), ("all", [True, True]), ("off", [False, False])],
)
@ON_SQLITE
def test_who_must_have_one_is_led_to_set_it_up(
    app: Flask, registrar: Client, add_person: AddPerson, wanted: str, led: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import dataclasses

    changed = dataclasses.replace(app.extensions["settings"], second_factor=wanted)
    monkeypatch.setitem(app.extensions, "settings", changed)
    add_person(SAM, support=True)
    add_person(PAT, registrar)
    for email, is_led in zip((SAM, PAT), led, strict=True):
        staff = Staff(app.test_client())
        staff.sign_in(email)
        answer = staff.http.get("/staff/clients/registrar/")
        assert answer.headers.get("Location") == (SET_UP if is_led else None)


@WANTED
def test_support_sets_up_an_app_and_each_of_its_codes_opens_once(
    app: Flask, registrar: Client, add_person: AddPerson, rows: Rows,
    clock: time_machine.Traveller,
) -> None:  # fmt: skip
    add_person(SAM, support=True)
    elsewhere, sam = Staff(app.test_client()), Staff(app.test_client())
    elsewhere.sign_in(SAM)
    sam.sign_in(SAM)
    for path in ("", "clients", "account", "clients/registrar/", "accounts", "help"):
        assert sam.http.get(f"/staff/{path}").headers["Location"] == SET_UP
    part = sam.http.get("/staff/clients/registrar/inbox", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, SET_UP)
    assert sam.send(SET_UP, code="000000").status_code == 422
    phone = App(sam)
    assert sam.http.get("/staff/clients/registrar/").status_code == 200
    assert not is_inside(elsewhere), "what had begun without it has ended"
    assert phone.secret not in str(rows.one(CodeApp).__dict__["secret"]).encode().hex()
    assert "A second factor for signing in" in rows.one(Delivery).body

    assert not is_inside(enter(app, SAM, phone.shows())), "it was used to set up the app"
    clock.shift(30)
    now = phone.shows()
    assert is_inside(enter(app, SAM, now))
    assert not is_inside(enter(app, SAM, now)), "twice"
    clock.shift(30)
    assert is_inside(enter(app, SAM, f"{phone.shows()[:3]} {phone.shows()[3:]}"))
    for wrong in ("", "123", "x" * 99, "٣٣٣٣٣٣"):
        assert not is_inside(enter(app, SAM, wrong))


def test_of_two_who_show_the_same_code_at_once_one_gets_in(
    app: Flask, pat: Staff, clock: time_machine.Traveller
) -> None:
    phone = App(pat)
    clock.shift(30)
    both = [Staff(app.test_client()) for _ in range(2)]
    for staff in both:
        staff.sign_in(PAT)
    path, code = "/staff/login/second", phone.shows()
    shows = [
        partial(staff.http.post, path, data={"csrf_token": staff.token(path), "code": code})
        for staff in both
    ]
    answers = at_once(app, "login_failure", shows)
    assert sorted(one.status_code for one in answers) == [302, 422]
    assert sorted(map(is_inside, both)) == [False, True]


@ON_SQLITE
def test_a_code_on_paper_opens_once_and_new_ones_replace_them(
    app: Flask, pat: Staff, rows: Rows
) -> None:
    phone = App(pat)
    assert len(set(phone.paper)) == 10
    kept = {one.digest for one in rows.all(RecoveryCode)}
    assert not kept & set(phone.paper), "none is stored as it is"
    code = phone.paper[3]
    assert is_inside(enter(app, PAT, code.upper().replace("-", " ")))
    assert not is_inside(enter(app, PAT, code))
    answer = pat.send(f"{SET_UP}/codes", seen_at=SET_UP)
    new = re.findall(r"<li>([a-z2-7-]{19})</li>", answer.text)
    assert not is_inside(enter(app, PAT, phone.paper[4]))
    assert is_inside(enter(app, PAT, new[4]))


@ON_SQLITE
def test_ten_wrong_codes_are_the_limit_and_the_password_forgives_none(
    app: Flask, pat: Staff, clock: time_machine.Traveller
) -> None:
    phone = App(pat)
    for number in range(10):
        assert not is_inside(enter(app, PAT, f"{number:06}"))
    clock.shift(30)
    thief = Staff(app.test_client())
    thief.http.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    thief.sign_in(PAT)
    answer = thief.send("/staff/login/second", code=phone.shows())
    assert answer.status_code == 429
    clock.shift(timedelta(minutes=16))
    assert is_inside(enter(app, PAT, phone.shows()))


@ON_SQLITE
def test_the_first_step_alone_is_worth_nothing_and_not_for_long(
    app: Flask, pat: Staff, rows: Rows, clock: time_machine.Traveller
) -> None:
    phone = App(pat)
    half = Staff(app.test_client())
    half.sign_in(PAT)
    late = Staff(app.test_client())
    late.sign_in(PAT)
    for staff in (half, Staff(app.test_client())):
        assert staff.http.get("/staff/clients/registrar/").status_code == 302
    assert Staff(app.test_client()).http.get("/staff/login/second").status_code == 302
    rows.change(update(User).values(session_version=User.session_version + 1))
    assert half.http.get("/staff/login/second").status_code == 302, "the password is another now"
    late.sign_in(PAT)
    clock.shift(timedelta(minutes=10, seconds=1))
    assert late.http.get("/staff/login/second").status_code == 302
    assert phone.shows()


@ON_SQLITE
def test_a_link_to_a_new_password_does_not_go_round_it(
    app: Flask, pat: Staff, rows: Rows, clock: time_machine.Traveller
) -> None:
    phone = App(pat)
    user = rows.one(User)
    with app.app_context():
        link = sign_in_links._url(sign_in_links.of(user, sign_in_links.RESET_LASTS))
    thief = Staff(app.test_client())
    new = "other plain words here"
    answer = thief.send(urlsplit(link).path, new=new, again=new)
    assert urlsplit(answer.headers["Location"]).path == "/staff/login/second"
    assert not is_inside(thief)
    clock.shift(30)
    thief.send("/staff/login/second", code=phone.shows())
    assert is_inside(thief)


@WANTED
@ON_SQLITE
def test_who_lost_their_phone_is_let_in_by_others_and_sets_it_up_anew(
    app: Flask, registrar: Client, add_person: AddPerson, rows: Rows,
    flask_command: FlaskCliRunner, clock: time_machine.Traveller,
) -> None:  # fmt: skip
    lost = add_person(SAM, support=True)
    add_person("kim@example.edu", support=True)
    sam, kim = Staff(app.test_client()), Staff(app.test_client())
    for staff, email in ((sam, SAM), (kim, "kim@example.edu")):
        staff.sign_in(email)
        App(staff)
    assert sam.send(f"{SET_UP}/remove", seen_at=SET_UP).status_code == 409, "who must have one"
    path = f"/staff/accounts/{lost.id}/second-factor"
    assert sam.send(path, seen_at="/staff/accounts").status_code == 409, "nobody for themselves"
    assert kim.send(path, seen_at="/staff/accounts").status_code == 302
    assert not is_inside(sam)
    sam.sign_in(SAM)
    assert sam.http.get("/staff/").headers["Location"] == SET_UP
    clock.shift(30)
    App(sam)
    answer = flask_command.invoke(args=["user", "forget-factor", SAM])
    assert "signs in with the password alone now" in answer.output
    assert not is_inside(sam)
    assert rows.count(StaffSession) == 1, "kim's"


@ON_SQLITE
def test_how_one_signs_in_is_changed_only_by_who_has_just_proved_who_they_are(
    pat: Staff, clock: time_machine.Traveller
) -> None:
    pat.sign_in(PAT)
    clock.shift(timedelta(minutes=16))
    answer = pat.http.get(SET_UP)
    confirm = answer.headers["Location"]
    assert parse_qs(urlsplit(confirm).query) == {"next": [SET_UP]}
    assert pat.send(confirm, password="wrong").status_code == 422
    assert pat.send(f"{SET_UP}/remove", seen_at=confirm).headers["Location"] == confirm
    assert pat.send(confirm, password=PASSWORD).headers["Location"] == SET_UP
    phone = App(pat)
    clock.shift(timedelta(minutes=16))
    pat.send("/staff/account/confirm", password=PASSWORD)
    assert pat.send(f"{SET_UP}/remove", seen_at=SET_UP).status_code == 302
    assert pat.sign_in(PAT).headers["Location"] == "/staff/"
    assert phone.paper

"""Whoever forges a sign-in by a provider, or its end, gets nowhere.

The attacks are those of RFC 9700 (OAuth 2.0 Security Best Current Practice), and those on tokens of
OpenID Connect Core, 3.1.3.7, and Back-Channel Logout, 2.6. The provider is a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from flask import Flask

from app.models.client import Client
from app.models.user import StaffSession, User
from tests.staff.conftest import Staff
from tests.support import oidc
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.oidc import Provider, back, begun, parameters, signed_in
from tests.support.rows import Rows

AddPerson = Callable[..., User]
PAT = "pat@example.edu"
ON_SQLITE = pytest.mark.database("sqlite")
OWNERS = "registrar-owners"
GROUPS = {OWNERS: {"client": "registrar", "role": "owner"}}
HOUR = 3600


@pytest.fixture
def environ(environ: dict[str, str], providers: tuple[Provider, Provider]) -> dict[str, str]:
    listed = oidc.setting(*[one.setting(GROUPS) for one in providers])
    return {**environ, "OIDC_PROVIDERS": listed}


def is_inside(staff: Staff) -> bool:
    return staff.http.get("/staff/account").status_code == 200


# Attacks on the way there and back -------------------------------------------------------------


@ON_SQLITE
def test_the_way_to_the_provider_is_bound_to_this_browser(app: Flask, campus: Provider) -> None:
    """Code, PKCE by S256, and a state and a nonce of their own each time."""
    first, second = (parameters(begun(app.test_client(), "campus")) for _ in range(2))
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["scope"] == "openid email profile"
    assert first["redirect_uri"] == f"{PUBLIC_BASE_URL}/staff/login/oidc/campus/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


Change = Callable[[str, Staff, Provider], str]
WRONG_WAYS: dict[str, Change] = {
    "no state": lambda url, *_: url.replace("&state=", "&other="),
    "a forged state": lambda url, *_: url.replace("&state=", "&state=x"),
    "the state of another browser": lambda url, staff, _: url.replace(
        parameters(url)["state"], parameters(begun(staff.http, "campus"))["state"]
    ),
    "no code": lambda url, *_: url.replace("?code=", "?other="),
    "a forged code": lambda url, *_: url.replace("?code=", "?code=x"),
    "no issuer, which this provider always names": lambda url, *_: url.replace("&iss=", "&x="),
    "another issuer": lambda url, _, hospital: url.replace(
        quote(parameters(url)["iss"], ""), quote(hospital.issuer, "")
    ),
    "at the callback of another provider": lambda url, *_: url.replace("/campus/", "/hospital/", 1),
    "a refusal": lambda url, *_: url.replace("?code=", "?error=access_denied&x="),
}


@ON_SQLITE
@pytest.mark.parametrize("change", WRONG_WAYS.values(), ids=WRONG_WAYS)
def test_an_answer_that_is_not_the_providers_to_this_browser_signs_nobody_in(
    app: Flask, staff: Staff, registrar: Client, campus: Provider, hospital: Provider, rows: Rows,
    change: Change,
) -> None:  # fmt: skip
    campus.has("pat", groups=[OWNERS])
    good = campus.signs_in(begun(staff.http, "campus"), "pat")
    # The code is what an attacker is after: it goes to the provider it is of, or to nobody.
    before = hospital.control()["redeemed"]
    answer = back(staff.http, change(good, Staff(app.test_client()), hospital))
    assert answer.status_code in (400, 403)
    assert 'role="alert"' in answer.text
    assert not is_inside(staff)
    assert rows.count(User) == 0
    assert hospital.control()["redeemed"] == before


@ON_SQLITE
def test_an_answer_works_once_and_not_late(
    app: Flask, staff: Staff, registrar: Client, campus: Provider
) -> None:
    campus.has("pat", groups=[OWNERS])
    url = begun(staff.http, "campus")
    cookies = "; ".join(f"{one.key}={one.value}" for one in staff.http._cookies.values())
    good = campus.signs_in(url, "pat")
    assert back(staff.http, good).status_code == 302
    again = app.test_client(use_cookies=False).get(
        good.removeprefix(PUBLIC_BASE_URL), headers={"Cookie": cookies}
    )
    assert again.status_code == 400, "a copy of the cookie does not help"

    late = campus.signs_in(begun(staff.http, "campus"), "pat")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10, seconds=1)):
        assert back(staff.http, late).status_code == 400


@ON_SQLITE
def test_a_code_of_another_browser_is_worth_nothing_here(
    app: Flask, staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    """Code injection (RFC 9700, 4.5): the verifier of PKCE is not the one of that code."""
    campus.has("pat", groups=[OWNERS])
    theirs = parameters(campus.signs_in(begun(app.test_client(), "campus"), "pat"))["code"]
    own = campus.signs_in(begun(staff.http, "campus"), "pat")
    answer = back(staff.http, own.replace(parameters(own)["code"], theirs))
    assert (answer.status_code, is_inside(staff)) == (400, False)


@ON_SQLITE
@pytest.mark.parametrize(
    "taken", ["&code_challenge_method=S256", "&code_challenge="], ids=["to plain", "to none"]
)
def test_pkce_cannot_be_taken_away_on_the_way(
    staff: Staff, registrar: Client, campus: Provider, taken: str
) -> None:
    """Downgrade (RFC 9700, 4.8): our verifier is sent whatever became of the challenge."""
    campus.has("pat", groups=[OWNERS])
    url = begun(staff.http, "campus")
    assert taken in url
    answer = back(staff.http, campus.signs_in(url.replace(taken, "&x="), "pat"))
    assert answer.status_code in (400, 403)
    assert not is_inside(staff)


@ON_SQLITE
@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example/staff/", "/staff/\\evil.example", "/api/v1/client"],
)
def test_nobody_is_sent_elsewhere_afterwards(
    staff: Staff, registrar: Client, campus: Provider, wanted: str
) -> None:
    campus.has("pat", groups=[OWNERS])
    answer = signed_in(staff.http, campus, "pat", f"?next={wanted}")
    assert answer.headers["Location"] == "/staff/"


# Forged tokens ---------------------------------------------------------------------------------


FORGED: dict[str, dict[str, Any]] = {
    "not signed": {"sign": "none"},
    "signed with the public key as a password": {"sign": "HS256"},
    "signed by a key that is not the provider's": {"sign": "another key"},
    "for another program": {"claims": {"aud": "another program"}},
    "for others as well, without saying for whom": {"claims": {"aud": ["dispatch-at-campus", "x"]}},
    "handed to another program": {"claims": {"azp": "another program"}},
    "by another issuer": {"claims": {"iss": "https://evil.example"}},
    "of another sign-in": {"claims": {"nonce": "of another sign-in"}},
    "without a nonce": {"claims": {"nonce": None}},
    "without a subject": {"claims": {"sub": None}},
    "with a subject that cannot be kept": {"claims": {"sub": "x" * 256}},
    "expired": {"claims": {"exp": int(time.time()) - HOUR}},
    "without an end": {"claims": {"exp": None}},
    "of tomorrow": {"claims": {"iat": int(time.time()) + 24 * HOUR}},
    "with another access token": {"claims": {"at_hash": "AAAA"}},
}


@ON_SQLITE
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_the_providers_for_us_and_now_signs_nobody_in(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows, forged: dict[str, Any]
) -> None:
    campus.has("pat", groups=[OWNERS])
    campus.control(**forged)
    answer = signed_in(staff.http, campus, "pat")
    assert answer.status_code == 400
    assert "does not belong to this sign-in" in answer.text
    assert (is_inside(staff), rows.count(User)) == (False, 0)


@ON_SQLITE
def test_a_new_key_of_the_provider_is_found_and_forged_ones_do_not_make_us_ask(
    app: Flask, registrar: Client, campus: Provider
) -> None:
    campus.has("pat", groups=[OWNERS])
    signed_in(app.test_client(), campus, "pat")
    campus.control(new_key=True)
    assert signed_in(app.test_client(), campus, "pat").status_code == 302


@ON_SQLITE
def test_user_info_of_somebody_else_is_not_believed(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    campus.has("pat", groups=[OWNERS])
    campus.control(only_userinfo=["groups"], claims={"sub": "somebody else"})
    answer = signed_in(staff.http, campus, "pat")
    assert (answer.status_code, rows.count(User)) == (400, 0)


# Ended by the provider --------------------------------------------------------------------------


EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
FALSE_LOGOUTS: dict[str, dict[str, Any]] = {
    "for another program": {"aud": "another program"},
    "by another issuer": {"iss": "https://evil.example"},
    "without its event, as an ID token": {"events": None},
    "with another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "with a nonce, as an ID token": {"nonce": "x"},
    "of nobody": {"sub": None},
    "expired": {"exp": int(time.time()) - HOUR},
    "without an end": {"exp": None},
    "good for a day": {"exp": int(time.time()) + 24 * HOUR},
    "without an id of its own": {"jti": None},
}


def log_out(app: Flask, token: str, name: str = "campus") -> int:
    other_server = app.test_client()
    answer = other_server.post(f"/staff/login/oidc/{name}/logout", data={"logout_token": token})
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code


@pytest.fixture
def at_campus(staff: Staff, registrar: Client, campus: Provider) -> Staff:
    """Pat, signed in by the provider."""
    campus.has("pat", groups=[OWNERS])
    signed_in(staff.http, campus, "pat")
    assert is_inside(staff)
    return staff


@ON_SQLITE
@pytest.mark.parametrize("false", FALSE_LOGOUTS.values(), ids=FALSE_LOGOUTS)
def test_a_false_notice_of_a_logout_ends_nothing(
    app: Flask, at_campus: Staff, campus: Provider, false: dict[str, Any]
) -> None:
    assert log_out(app, campus.logout_token(**{"sub": "pat-at-campus", **false})) == 400
    assert is_inside(at_campus)


@ON_SQLITE
def test_an_unsigned_or_misdirected_notice_of_a_logout_ends_nothing(
    app: Flask, at_campus: Staff, campus: Provider, hospital: Provider
) -> None:
    good = campus.logout_token(sub="pat-at-campus")
    assert log_out(app, good, "hospital") == 400
    assert log_out(app, hospital.logout_token(sub="pat-at-campus"), "hospital") == 200
    assert log_out(app, "") == log_out(app, "a.b.c") == log_out(app, good, "nobody") == 400
    for sign in ("none", "HS256", "another key"):
        campus.control(sign=sign)
        assert log_out(app, campus.logout_token(sub="pat-at-campus")) == 400
    assert is_inside(at_campus)


def test_a_logout_at_the_provider_ends_the_session_here_and_works_once(
    app: Flask, at_campus: Staff, campus: Provider, rows: Rows
) -> None:
    elsewhere = Staff(app.test_client())
    signed_in(elsewhere.http, campus, "pat")  # another session there, too
    assert rows.count(StaffSession) == 2
    sid = campus.control()["sids"]["pat"]
    token = campus.logout_token(sid=sid)
    assert log_out(app, token) == 200
    assert (is_inside(elsewhere), is_inside(at_campus)) == (False, True)
    signed_in(elsewhere.http, campus, "pat")
    assert log_out(app, token) == 400, "told again"
    assert log_out(app, campus.logout_token(sub="pat-at-campus")) == 200
    assert rows.count(StaffSession) == 0

"""Who a provider signs in gets in, as what its groups say. The provider is a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from app import create_app
from app.models.client import Client
from app.models.delivery import Delivery
from app.models.house import AuditEntry
from app.models.sign_in import Identity
from app.models.user import Membership, Role, User
from config import load
from tests.staff.conftest import PASSWORD, Staff
from tests.support import oidc
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.oidc import Provider, back, begun, signed_in
from tests.support.racing import at_once
from tests.support.rows import Rows

AddPerson = Callable[..., User]
PAT = "pat@example.edu"
ON_SQLITE = pytest.mark.database("sqlite")
GROUPS = {
    "registrar-staff": {"client": "registrar", "role": "staff"},
    "registrar-owners": {"client": "registrar", "role": "owner"},
    "of-nobody": {"client": "a client that is not there", "role": "owner"},
    "dispatch-support": {"role": "support"},
}


@pytest.fixture
def environ(environ: dict[str, str], providers: tuple[Provider, Provider]) -> dict[str, str]:
    listed = oidc.setting(*[one.setting(GROUPS) for one in providers])
    return {**environ, "OIDC_PROVIDERS": listed}


def is_inside(staff: Staff) -> bool:
    return staff.http.get("/staff/account").status_code == 200


def role_of_pat(rows: Rows) -> Role | None:
    found = rows.all(select(Membership.role))
    assert len(found) < 2
    return found[0] if found else None


# Who gets in -----------------------------------------------------------------------------------


def test_a_person_of_a_group_signs_in_for_the_first_time(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    campus.has("pat", groups=["choir", "registrar-owners"])
    answer = signed_in(staff.http, campus, "pat", "?next=/staff/clients/registrar/people")
    assert answer.headers["Location"] == "/staff/clients/registrar/people"
    assert staff.http.get("/staff/clients/registrar/people").status_code == 200
    user = rows.one(User)
    assert (user.email, user.password_hash, user.is_support) == (PAT, None, False)
    assert rows.one(Identity).subject == "pat-at-campus"
    assert role_of_pat(rows) is Role.OWNER
    noted = [(one.actor, one.action) for one in rows.all(AuditEntry)]
    assert ("sign-in by campus", "invite") in noted
    assert (PAT, "sign in by campus") in noted


OWNERS, STAFF = "registrar-owners", "registrar-staff"


@pytest.mark.parametrize(
    ("by_hand", "groups", "roles"),
    [
        (None, [OWNERS, STAFF, None], [Role.OWNER, Role.STAFF, None]),
        (None, ["of-nobody", None, STAFF], [None, None, Role.STAFF]),
        (Role.STAFF, [OWNERS, STAFF, None], [Role.OWNER, Role.STAFF, Role.STAFF]),
        (Role.OWNER, [STAFF, None, OWNERS], [Role.OWNER, Role.OWNER, Role.OWNER]),
    ],
    ids=["groups alone", "later", "given by hand, and more by a group", "an owner by hand"],
)
def test_roles_come_and_go_with_groups_at_each_sign_in(
    app: Flask, staff: Staff, registrar: Client, campus: Provider, rows: Rows,
    add_person: AddPerson, by_hand: Role | None, groups: list[str | None], roles: list[Role | None],
) -> None:  # fmt: skip
    if by_hand:
        add_person(PAT, registrar, role=by_hand)
    for group, role in zip(groups, roles, strict=True):
        campus.has("pat", groups=[group] if group else [])
        answer = signed_in(staff.http, campus, "pat")
        assert role_of_pat(rows) is role, group
        assert answer.status_code == (302 if role else 403)
        if not role:
            assert "nothing in Dispatch is open to you" in answer.text


@pytest.mark.parametrize(
    ("is_known", "table"), [(False, "user"), (True, "identity")], ids=["a new one", "a known one"]
)
def test_a_person_who_arrives_twice_at_once_is_one_person(
    app: Flask, registrar: Client, campus: Provider, rows: Rows, add_person: AddPerson,
    is_known: bool, table: str,
) -> None:  # fmt: skip
    if is_known:
        add_person(PAT, registrar)
    campus.has("pat", groups=[OWNERS])
    browsers = [app.test_client() for _ in range(2)]
    ways = [(one, campus.signs_in(begun(one, "campus"), "pat")) for one in browsers]
    answers = at_once(app, table, [partial(back, *way) for way in ways])
    assert [one.status_code for one in answers] == [302, 302]
    assert [rows.count(one) for one in (User, Identity, Membership)] == [1, 1, 1]
    assert all(one.get("/staff/account").status_code == 200 for one in browsers)


@ON_SQLITE
def test_support_comes_and_goes_with_its_group_but_not_where_a_person_gave_it(
    app: Flask, campus: Provider, rows: Rows, add_person: AddPerson
) -> None:
    add_person("sam@example.edu", support=True)
    for login, group, now in [
        ("kim", ["dispatch-support"], True), ("kim", [], False), ("sam", [], True),
    ]:  # fmt: skip
        campus.has(login, groups=group)
        signed_in(app.test_client(), campus, login)
        who = select(User.is_support).where(User.email == f"{login}@example.edu")
        assert rows.one(who) is now


@ON_SQLITE
def test_a_second_provider_takes_nothing_that_the_first_gave(
    staff: Staff, registrar: Client, campus: Provider, hospital: Provider, rows: Rows
) -> None:
    campus.has("pat", groups=[OWNERS])
    hospital.has("pat", groups=[])
    signed_in(staff.http, campus, "pat")
    assert signed_in(staff.http, hospital, "pat").status_code == 302
    assert role_of_pat(rows) is Role.OWNER
    assert len({one.user_id for one in rows.all(Identity)}) == 1


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({}, 302, ""),
        ({"email": "PAT@Example.EDU"}, 302, ""),
        ({"email_verified": None, "xms_edov": "1"}, 302, ""),
        ({"email_verified": False}, 403, "does not vouch for an e-mail address"),
        ({"email_verified": "no"}, 403, "does not vouch"),
        ({"email_verified": None}, 403, "does not vouch"),
        ({"email": None}, 403, "does not vouch"),
        ({"email": "pat@example.edu\x00x"}, 403, "does not vouch"),
    ],
    ids=["verified", "in capitals", "verified by Entra's claim", "not verified", "a word",
         "nothing said", "no address", "no address either"],
)  # fmt: skip
@ON_SQLITE
def test_an_account_is_taken_by_its_address_only_where_the_provider_vouches_for_it(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows, add_person: AddPerson,
    told: dict[str, Any], status: int, words: str,
) -> None:  # fmt: skip
    add_person(PAT, registrar)
    campus.has("pat", groups=[OWNERS], **told)
    answer = signed_in(staff.http, campus, "pat")
    assert answer.status_code == status
    assert words in answer.text
    assert is_inside(staff) is (status == 302)
    assert rows.count(Identity) == (1 if status == 302 else 0)
    assert rows.count(User) == 1


@ON_SQLITE
def test_an_address_that_the_provider_gives_to_somebody_else_opens_nothing(
    app: Flask, registrar: Client, campus: Provider, rows: Rows
) -> None:
    """Addresses of people who leave are given again; a subject never is (Core, 5.7)."""
    campus.has("pat", groups=[OWNERS])
    signed_in(app.test_client(), campus, "pat")
    campus.has("pat", groups=[OWNERS], sub="another person")
    answer = signed_in(app.test_client(), campus, "pat")
    assert answer.status_code == 403
    assert "belongs to somebody else here" in answer.text
    campus.has("pat", groups=[OWNERS], email="patricia@example.edu")
    assert signed_in(app.test_client(), campus, "pat").status_code == 302, "by their subject"
    assert rows.one(User).email == PAT


@ON_SQLITE
def test_a_vacated_address_begins_anew_with_nothing_of_the_former_person(
    app: Flask, staff: Staff, registrar: Client, campus: Provider, rows: Rows,
    add_person: AddPerson, flask_command: FlaskCliRunner,
) -> None:  # fmt: skip
    former = add_person(PAT, registrar)
    campus.has("pat")
    signed_in(staff.http, campus, "pat")
    answer = flask_command.invoke(args=["user", "vacate", PAT])
    assert answer.output == f"{PAT} is free: it has no role, no password and no session any more.\n"
    assert not is_inside(staff)
    campus.has("pat", sub="another person")
    assert signed_in(app.test_client(), campus, "pat").status_code == 403, "no role is left"
    campus.has("pat", sub="another person", groups=[STAFF])
    assert signed_in(app.test_client(), campus, "pat").status_code == 302
    assert (rows.one(User).id, rows.one(User).password_hash) == (former.id, None)
    assert role_of_pat(rows) is Role.STAFF
    add_person("sam@example.edu", support=True)
    refused = flask_command.invoke(args=["user", "vacate", "sam@example.edu"])
    assert "last open account of Dispatch support" in refused.output


@ON_SQLITE
def test_a_closed_account_stays_closed(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    campus.has("pat", groups=[OWNERS])
    signed_in(staff.http, campus, "pat")
    rows.change(update(User).values(disabled_at=datetime.now(UTC)))
    answer = signed_in(staff.http, campus, "pat")
    assert (answer.status_code, "This account is closed" in answer.text) == (403, True)
    assert not is_inside(staff)
    last = rows.all(select(AuditEntry).order_by(AuditEntry.id))[-1]
    told = (PAT, "fail to sign in", "by campus from 127.0.0.1")
    assert (last.actor, last.action, last.target) == told


@ON_SQLITE
def test_what_is_told_by_user_info_alone_is_asked_for(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    campus.has("pat", groups=[OWNERS])
    campus.control(only_userinfo=["email", "email_verified", "groups"])
    assert signed_in(staff.http, campus, "pat").status_code == 302
    assert role_of_pat(rows) is Role.OWNER


@ON_SQLITE
def test_nobody_loses_a_role_because_their_groups_are_too_many(
    staff: Staff, registrar: Client, campus: Provider, rows: Rows
) -> None:
    """Microsoft Entra leaves them out above 200, and says where to ask."""
    campus.has("pat", groups=[OWNERS])
    signed_in(staff.http, campus, "pat")
    campus.has("pat", groups=None, _claim_names={"groups": "src1"})
    answer = signed_in(staff.http, campus, "pat")
    assert (answer.status_code, "too many of them" in answer.text) == (403, True)
    assert role_of_pat(rows) is Role.OWNER


# A provider that is away, or not the one that was meant -----------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.1/evil"},
        {"code_challenge_methods_supported": ["plain"]},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"token_endpoint": "http://idp.example.edu/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=["another name", "no PKCE", "no signature to check", "no https", "no address"],
)
def test_a_provider_that_is_not_safe_is_not_used(
    staff: Staff, campus: Provider, metadata: dict[str, Any]
) -> None:
    campus.control(metadata=metadata)
    answer = staff.http.get("/staff/login/oidc/campus")
    assert answer.status_code == 503
    assert "campus does not answer as it should" in answer.text


AWAY = {
    "name": "campus", "issuer": "http://127.0.0.1:9/campus", "client_id": "x", "client_secret": "x",
}  # fmt: skip


@ON_SQLITE
def test_while_the_provider_is_away_a_password_still_opens(
    app: Flask, environ: dict[str, str], registrar: Client, add_person: AddPerson
) -> None:
    away = create_app(load({**environ, "OIDC_PROVIDERS": oidc.setting(AWAY)}))
    away.test_client_class = app.test_client_class
    add_person(PAT, registrar)
    staff = Staff(away.test_client())
    answer = staff.http.get("/staff/login/oidc/campus?next=/staff/account")
    assert answer.status_code == 503
    assert "Try again in a few minutes, or sign in another way." in answer.text
    began = time.monotonic()
    assert staff.http.get("/staff/login/oidc/campus").status_code == 503
    assert time.monotonic() - began < 1, "it is not waited for again at once"
    assert staff.sign_in(PAT).status_code == 302


@ON_SQLITE
def test_an_unknown_provider_is_a_page_that_is_not_there(staff: Staff) -> None:
    for path in ("nobody", "nobody/callback", "CAMPUS"):
        assert staff.http.get(f"/staff/login/oidc/{path}").status_code == 404


# What the operator is told ----------------------------------------------------------------------


@ON_SQLITE
def test_the_doctor_asks_each_provider_and_looks_for_the_clients_of_its_groups(
    flask_command: FlaskCliRunner, registrar: Client, campus: Provider, hospital: Provider
) -> None:
    campus.control(metadata={"issuer": "https://evil.example"})
    shown = flask_command.invoke(args=["doctor"]).output
    assert "BAD  sign-in by campus: " in shown
    assert "calls itself 'https://evil.example'" in shown
    assert f"ok   sign-in by hospital: {hospital.issuer} answers and signs by RS256" in shown
    missing = "they give roles for what is no client here: a client that is not there."
    assert f"BAD  groups of hospital: {missing}" in shown


@ON_SQLITE
def test_the_second_factor_is_the_providers_business(
    app: Flask, environ: dict[str, str], registrar: Client, campus: Provider
) -> None:
    strict = create_app(load({**environ, "SECOND_FACTOR": "all"}))
    strict.test_client_class = app.test_client_class
    campus.has("pat", groups=[OWNERS])
    pat = Staff(strict.test_client())
    signed_in(pat.http, campus, "pat")
    assert pat.http.get("/staff/clients/registrar/").status_code == 200


# Without passwords ------------------------------------------------------------------------------


@ON_SQLITE
def test_without_local_passwords_only_the_provider_opens(
    app: Flask, environ: dict[str, str], staff: Staff, registrar: Client, campus: Provider,
    add_person: AddPerson, rows: Rows,
) -> None:  # fmt: skip
    add_person(PAT, registrar)
    assert staff.sign_in(PAT).status_code == 302
    cookie = "; ".join(f"{one.key}={one.value}" for one in staff.http._cookies.values())
    closed = create_app(load({**environ, "LOCAL_PASSWORDS": "0"}))
    closed.test_client_class = app.test_client_class
    before = closed.test_client(use_cookies=False)
    answer = before.get("/staff/account", headers={"Cookie": cookie})
    assert answer.status_code == 302, "a session that began with a password has ended"

    pat = Staff(closed.test_client())
    page = pat.http.get("/staff/login").text
    assert ("Sign in with campus" in page, "Password" in page) == (True, False)
    campus.has("pat")
    assert signed_in(pat.http, campus, "pat").status_code == 302
    for path in ("login", "account", "forgotten", "invitation/x"):
        fields = {"email": PAT, "password": PASSWORD}
        assert pat.send(f"/staff/{path}", "/staff/account", **fields).status_code == 403
    page = pat.http.get("/staff/account").text
    assert "Change your password" not in page
    here = "/staff/clients/registrar/people"
    pat.send(here, email="kim@example.edu", role="staff")
    mail = rows.one(Delivery).body
    assert "Sign in with campus or hospital" in mail
    assert f"{PUBLIC_BASE_URL}/staff/login" in mail
    made = closed.test_cli_runner().invoke(
        args=["user", "add", "sam@example.edu", "--support", "--generate"]
    )
    assert made.output == "+ person sam@example.edu: support\n"

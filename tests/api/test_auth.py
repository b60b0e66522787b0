"""Who may call: keys, scopes, limits."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app.models.credential import ApiKey, Scope
from tests.support.departments import Caller, Department, api_key
from tests.support.rows import Rows

SECRET = "a-second-key-of-at-least-32-characters"


def basic(name: str, key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{key}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-dispatch-api-key": ""},
        {"x-dispatch-api-key": "wrong"},
        {"x-dispatch-api-key": "\u00e9"},
        {"Authorization": "Bearer registrar-key-of-at-least-32-characters-11"},
        {"Authorization": "Basic !!!"},
        basic("registrar", "wrong"),
        basic("library", "registrar-key-of-at-least-32-characters-11"),
        basic("", "registrar-key-of-at-least-32-characters-11"),
    ],
    ids=["none", "empty", "wrong", "odd", "bearer", "garbled", "password", "name", "no-name"],
)
def test_without_a_valid_key_it_is_401(
    client: FlaskClient, registrar: Department, headers: dict[str, str]
) -> None:
    answer = client.get("/api/v1/client", headers=headers)
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.json["status"] == 401


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"expires_at": datetime(2026, 11, 1, tzinfo=UTC)}, 401),
        ({"expires_at": datetime(2027, 11, 1, tzinfo=UTC)}, 200),
        ({"revoked_at": datetime(2026, 11, 1, tzinfo=UTC)}, 401),
    ],
    ids=["expired", "not yet expired", "revoked"],
)
@time_machine.travel(datetime(2026, 11, 21, tzinfo=UTC))
def test_a_key_ends(
    client: FlaskClient, rows: Rows, registrar: Department, more: dict[str, datetime], status: int
) -> None:
    rows.add(api_key(registrar.client, SECRET, **more))
    answer = client.get("/api/v1/client", headers={"x-dispatch-api-key": SECRET})
    assert answer.status_code == status


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("send", 201), ("admin", 201)])
def test_a_scope_includes_the_ones_before_it(
    client: FlaskClient, rows: Rows, registrar: Department, scope: str, status: int
) -> None:
    rows.add(api_key(registrar.client, SECRET, scope=Scope(scope)))
    caller = Caller(client, {"x-dispatch-api-key": SECRET})
    path = f"populations/{registrar.population.id}/subscribers"
    answer = caller.post(path, {"toAddress": "new@example.edu"})
    assert answer.status_code == status
    assert caller.get("client").status_code == 200


def test_the_last_use_is_noted_once_a_minute(
    rows: Rows, api: Caller, registrar: Department
) -> None:
    start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    seen = []
    with time_machine.travel(start, tick=False) as clock:
        for seconds in (0, 30, 29, 1):
            clock.shift(timedelta(seconds=seconds))
            assert api.get("client").status_code == 200
            seen.append(rows.one(ApiKey).last_used_at)
    assert seen == [start, start, start, start + timedelta(seconds=60)]


@pytest.mark.settings(API_REQUESTS_PER_MINUTE="3")
@pytest.mark.parametrize("redis_is", ["there", "away"])
def test_a_key_may_make_so_many_requests_a_minute(
    api: Caller, other: Caller, redis_is: str
) -> None:
    if redis_is == "away":
        pool = api.http.application.extensions["redis"].connection_pool
        pool.connection_kwargs["path"] = "/nonexistent"
        pool.disconnect()
    statuses = [api.get("client").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = api.get("client")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.content_type == "application/problem+json"
    assert other.get("client").status_code == 200


def test_guessing_keys_is_slowed_down_and_harms_nobody_else(
    client: FlaskClient, api: Caller
) -> None:
    statuses = {
        client.get("/api/v1/client", headers={"x-dispatch-api-key": str(n)}).status_code
        for n in range(61)
    }
    assert statuses == {401, 429}
    assert api.get("client").status_code == 200


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200), (None, 200)],
)
def test_a_page_of_another_site_cannot_use_a_remembered_log_in(
    client: FlaskClient, registrar: Department, site: str | None, status: int
) -> None:
    caller = Caller.by_basic(client, registrar)
    more = {"Sec_Fetch_Site": site} if site else {}
    assert caller.get("client", **more).status_code == status


def test_without_a_database_it_is_503_for_a_while(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    monkeypatch.setattr("app.api.auth._look_up", away)
    answer = api.get("client")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.content_type == "application/problem+json"

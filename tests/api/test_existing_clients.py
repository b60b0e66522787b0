"""What systems that already use Dispatch send, unchanged apart from the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models.audience import Member
from app.models.message import Message, MessageState
from app.outbound import batches
from tests.support.departments import Caller, Department
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.rows import Rows

STYLES = pytest.mark.parametrize(
    "style", [Caller.by_header, Caller.by_basic], ids=["header", "basic"]
)
API = f"{PUBLIC_BASE_URL}/api/v1"


@STYLES
def test_the_key_is_tried_by_asking_for_the_client(
    client: FlaskClient, registrar: Department, style: Callable[..., Caller]
) -> None:
    answer = style(client, registrar).get("client")
    assert answer.status_code == 200
    assert answer.json["name"] == "registrar"
    assert answer.json["id"] == registrar.client.id
    assert answer.json["deniedNetworks"] == []
    assert (answer.json["twimlHosts"], answer.json["sipDomains"]) == ([], [])


@STYLES
@pytest.mark.parametrize(
    ("collection", "names"),
    [
        ("campaigns", ["spring"]),
        ("populations", ["students"]),
        ("templates", ["away", "reminder", "closing"]),
        ("suppressionlists", ["opted-out"]),
        ("numbers", ["+13195550111"]),
        ("endpoints", ["sis"]),
    ],
)
def test_a_collection_is_a_list_of_urls_each_of_which_has_a_name(
    client: FlaskClient,
    registrar: Department,
    library: Department,
    style: Callable[..., Caller],
    collection: str,
    names: list[str],
) -> None:
    caller = style(client, registrar)
    urls = caller.get(collection, Accept="application/json").json
    assert all(url.startswith(f"{API}/{collection}/") for url in urls)
    shown = [caller.get(url).json for url in urls]
    assert [one["name"] for one in shown] == names
    assert all(one["id"] for one in shown)


def test_the_communications_of_each_campaign(api: Caller, registrar: Department) -> None:
    (campaign,) = api.get("campaigns").json
    urls = api.get(f"{campaign}/communications").json
    assert urls == [f"{API}/communications/{one.id}" for one in (registrar.texts, registrar.calls)]
    shown = [api.get(url).json for url in urls]
    assert [(one["name"], one["type"], one["destination"]) for one in shown] == [
        ("reminders", "twilio", "sms"),
        ("closing-call", "twilio", "voice"),
    ]


def test_somebody_subscribes_to_a_population(api: Caller, rows: Rows) -> None:
    """The body of the University's Drupal sites; they send no Content-Type."""
    (population,) = api.get("populations").json
    body = {"toAddress": "pat@example.edu", "firstName": "Pat", "lastName": "Doe"}
    answer = api.post(f"{population}/subscribers", body, Accept="application/json")
    assert answer.status_code == 201
    assert [one.attributes for one in rows.all(Member)][-1] == body

    again = api.post(f"{population}/subscribers", {**body, "firstName": "Patricia"})
    assert again.status_code == 200
    assert [one.attributes["firstName"] for one in rows.all(Member)[1:]] == ["Patricia"]


@STYLES
def test_an_adhoc_send_answers_with_the_batch(
    app: Flask, client: FlaskClient, rows: Rows, registrar: Department,
    style: Callable[..., Caller],
) -> None:  # fmt: skip
    caller = style(client, registrar)
    (campaign,) = caller.get("campaigns").json
    communication = caller.get(f"{campaign}/communications").json[0]
    body = {
        "members": [
            {"toName": "Ann", "toPhone": "(319) 555-0150", "toAddress": "ann@example.edu"},
            {"toName": "Bob", "toPhone": "+1319555"},
            {"toName": "Cid", "toAddress": "cid@example.edu"},
            {"toPhone": "+13195550151", "subject": "Thank you"},
        ],
        "includeBatchResponse": False,
    }
    answer = caller.post(f"{communication}/adhocs", body, Accept="application/json")
    assert answer.status_code == 201
    assert list(answer.json) == ["batch", "refused"]
    assert answer.json["batch"] == answer.headers["Location"]
    assert answer.json["batch"].startswith(f"{API}/batches/")
    refused = {one["index"]: one["reason"] for one in answer.json["refused"]}
    assert refused == {1: "invalid_phone", 2: "invalid_phone"}
    assert all(one["message"].endswith(".") for one in answer.json["refused"])

    with app.app_context():
        batches.drain()
    batch = caller.get(answer.json["batch"]).json
    assert batch["state"] == "running"
    assert batch["total"] == 4
    assert batch["counts"] == {"queued": 1, "refused": 3}
    waiting = [one for one in rows.all(Message) if one.state is MessageState.WAITING]
    assert [(one.to, one.body) for one in waiting] == [("+13195550150", "Hi Ann!")]


def test_an_adhoc_send_shows_the_whole_batch_when_asked(api: Caller, registrar: Department) -> None:
    body = {"members": [{"toName": "A", "toPhone": "+13195550150"}], "includeBatchResponse": True}
    answer = api.post(f"communications/{registrar.texts.id}/adhocs", body)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{API}/batches/{answer.json['batch']['id']}"
    assert answer.json["batch"]["total"] == 1
    assert answer.json["refused"] == []


def test_a_subscriber_needs_a_phone_or_an_address(api: Caller, registrar: Department) -> None:
    path = f"populations/{registrar.population.id}/subscribers"
    assert api.post(path, {"firstName": "Pat"}).status_code == 422
    refused = api.post(path, {"toPhone": "555"})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == "toPhone"


@pytest.mark.parametrize(
    "path",
    [
        "campaigns/{campaign.id}",
        "campaigns/{campaign.id}/communications",
        "communications/{texts.id}",
        "populations/{population.id}",
        "templates/{reminder.id}",
        "suppressionlists/{suppression.id}",
        "numbers/{number.address}",
        "numbers/{number.id}",
        "endpoints/{endpoint.id}",
    ],
)
def test_what_is_another_clients_is_not_there(
    api: Caller, other: Caller, library: Department, path: str
) -> None:
    theirs = path.format(**vars(library))
    assert other.get(theirs).status_code == 200
    hidden = api.get(theirs)
    missing = api.get(path.format(**{name: _Unknown() for name in vars(library)}))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.content_type == "application/problem+json"
    assert hidden.json == missing.json


class _Unknown:
    id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    address = "+13195550199"

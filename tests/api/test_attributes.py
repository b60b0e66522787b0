"""A member's attributes of any JSON come back whole, and a refusal names its place."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.domain.mistakes import Refused
from app.domain.relaying.callbacks import CallbacksSpec, save_callbacks
from app.extensions import unit_of_work
from app.models.communication import Communication
from tests.support.departments import Caller, Department

COURSES = {
    "toName": "Pat",
    "courses": [{"name": "Algebra", "room": 4}, {"name": "Ethics", "room": None}],
    "n": 7,
    "paid": True,
    "First Name": "Pat",
}
PYTHON_WORDS = ("dict", "str", "int", "float", "bool", "union", "input should", "valid")


def text(of: Department, **more: Any) -> dict[str, Any]:
    return {"to": "+13195550150", "from": of.number.address, "body": "Hi", **more}


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ({"a": [[[[[[1]]]]]]}, "member.a[0][0][0][0][0]"),
        ({"courses": [{"name": {"x": {"y": {"z": [1]}}}}]}, "member.courses[0].name.x.y.z"),
        ({"toName": {"first": "Pat"}}, "member.toName"),
        ({"long": "x" * 40_000}, "member"),
        ({"": "x"}, "member"),
        ("Pat", "member"),
        (["Pat"], "member"),
        (3, "member"),
    ],
)
def test_a_refusal_names_the_place_as_it_was_written(
    api: Caller, registrar: Department, member: Any, place: str
) -> None:
    answer = api.post("messages", text(registrar, member=member))
    assert answer.status_code == 422
    errors = answer.json["errors"]
    assert place in [one["field"] for one in errors]
    said = " ".join(one["message"] for one in errors).lower().split()
    assert not [word for word in PYTHON_WORDS if word in said]


def test_all_members_of_an_adhoc_are_looked_at(api: Caller, registrar: Department) -> None:
    members = [{"toPhone": "+13195550150"}, {"toName": 1}, {"a": [[[[[[1]]]]]]}]
    answer = api.post(f"communications/{registrar.texts.id}/adhocs", {"members": members})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [
        "members[1].toName", "members[2].a[0][0][0][0][0]",
    ]  # fmt: skip


def test_a_list_has_no_room_in_a_plain_url(api: Caller, registrar: Department) -> None:
    callbacks = {"message_status": {"url": "https://sis.example.edu/{{ courses }}/{{ n }}"}}
    answer = api.post("messages", text(registrar, member=COURSES, callbacks=callbacks))
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"] == "callbacks.message_status.url"
    assert "“courses”" in error["message"]
    good = {"message_status": {"url": "https://sis.example.edu/{{ n }}"}}
    assert api.post("messages", text(registrar, member=COURSES, callbacks=good)).status_code == 201


@pytest.mark.parametrize("name", ["member", "counts"])
def test_what_is_an_object_in_every_event_has_no_room_either(
    api: Caller, registrar: Department, name: str
) -> None:
    callbacks = {"complete": {"url": f"https://sis.example.edu/{{{{ {name} }}}}"}}
    answer = api.post("messages", text(registrar, callbacks=callbacks))
    assert answer.status_code == 422
    assert f"“{name}”" in answer.json["errors"][0]["message"]


def test_a_plain_url_of_a_communication_has_no_room_for_its_members_lists(
    api: Caller, registrar: Department, app: Flask
) -> None:
    with app.app_context(), unit_of_work() as session:
        spec = CallbacksSpec.model_validate(
            {"message_status": {"url": "https://sis.example.edu/{{ courses }}"}}
        )
        texts = session.get_one(Communication, registrar.texts.id)
        save_callbacks(session, registrar.client.id, spec, communication=texts)
    members = [{"toPhone": "+13195550150", "toName": "Ann"}, {**COURSES, "toPhone": "+13195550151"}]
    answer = api.post(f"communications/{registrar.texts.id}/adhocs", {"members": members})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == ["members[1].courses"]


def test_nor_for_those_of_its_population(api: Caller, registrar: Department, app: Flask) -> None:
    url = f"populations/{registrar.population.id}/subscribers"
    api.post(url, {**COURSES, "toAddress": "pat@example.edu"})
    filled = "https://sis.example.edu/{{ courses }}/{{ n }}/{{ toName }}"
    with app.app_context(), unit_of_work() as session:
        spec = CallbacksSpec.model_validate({"message_status": {"url": filled}})
        texts = session.get_one(Communication, registrar.texts.id)
        with pytest.raises(Refused) as refused:
            save_callbacks(session, registrar.client.id, spec, communication=texts)
    assert [one.field for one in refused.value.mistakes] == ["message_status.url"]
    assert "“courses”" in str(refused.value)


def test_attributes_come_back_as_they_were_given(api: Caller, registrar: Department) -> None:
    member = {**COURSES, "toPhone": "+13195550177", "toAddress": "pat@example.edu"}
    answer = api.post(f"populations/{registrar.population.id}/subscribers", member)
    assert answer.status_code == 201
    assert answer.json["member"] == member
    more = api.post(f"populations/{registrar.population.id}/subscribers", {**member, "n": [7.5]})
    assert more.json["member"] == {**member, "n": [7.5]}
    members = f"communications/{registrar.texts.id}/adhocs"
    batch = api.post(members, {"members": [member], "includeBatchResponse": True}).json["batch"]
    shown = api.get(f"batches/{batch['id']}?includemembers=true").json
    assert shown["members"][0]["member"] == member


def test_what_grows_too_large_by_additions_is_refused(api: Caller, registrar: Department) -> None:
    url = f"populations/{registrar.population.id}/subscribers"
    person = {"toAddress": "pat@example.edu"}
    assert api.post(url, {**person, "a": "x" * 20_000}).status_code == 201
    answer = api.post(url, {**person, "b": "x" * 20_000})
    assert answer.status_code == 422
    assert "bytes as JSON" in answer.json["errors"][0]["message"]

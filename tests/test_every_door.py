"""Whatever is set up is kept, or refused, alike at every door: file, form and API.

Each thing has a table: what is given, and either the row that is kept or the mistake (place, code
and words) that is told. Every door that has the thing gets every line of its table.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select

from app.models.audience import Member, Population
from app.models.client import Client
from app.models.communication import Callback, Communication
from app.models.credential import ApiKey, Credential, SavedCredential
from app.models.endpoint import Endpoint
from app.models.hours import Hours
from app.models.media import Recording
from app.models.rota import Rota
from app.models.route import Route
from app.models.sender import Sender
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template
from app.models.user import Membership, Role, User
from tests.support.doors import SUPPORT, Doors, Told
from tests.support.fake_twilio import FakeTwilio
from tests.support.forms import route_fields
from tests.support.rows import Rows
from tests.support.twilio import AUTH_TOKEN

ACCOUNT = "AC" + "5" * 32
MP3 = b"ID3" + bytes(100)


@dataclass(frozen=True)
class Line:
    """A line of a thing's table: what is given, and what is kept or told."""

    given: Any
    kept: Any = None
    place: str = ""
    code: str = ""
    words: str = ""


@dataclass(frozen=True)
class Thing:
    """A thing that is set up: its doors, what is kept of it, and its table."""

    doors: dict[str, Callable[[Doors, Any], Told]]
    kept: Callable[[Doors], Any]
    table: dict[str, Line]


@pytest.fixture
def environ(environ: dict[str, str], twilio_port: int) -> Iterator[dict[str, str]]:
    """Twilio, which knows two accounts."""
    with FakeTwilio(port=twilio_port) as twilio:
        twilio.tokens = {ACCOUNT: ("right",), "AC" + "11" * 16: (AUTH_TOKEN,)}
        yield {**environ, "TWILIO_API_BASE_URL": twilio.url}


@pytest.fixture
def doors(flask_command: FlaskCliRunner, client: FlaskClient, rows: Rows, tmp_path: Path) -> Doors:
    folder = tmp_path / "configuration"
    return Doors.open(flask_command, folder, client, rows, registrar="11")[0]


def _member_by_form(doors: Doors, person: dict[str, str]) -> Told:
    path = f"populations/{doors.ours.population.id}/people/new"
    known = {name: person[name] for name in ("toName", "toPhone", "toAddress") if name in person}
    others = {name: value for name, value in person.items() if name not in known}
    return doors.form(path, path, **known, attribute=[*others], value=[*others.values()])


def _member_by_upload(doors: Doors, person: dict[str, str]) -> Told:
    path = f"populations/{doors.ours.population.id}"
    person = {"toPhone": "", **person}
    content = StringIO()
    csv.writer(content).writerows([person, person.values()])
    return doors.upload(path, content.getvalue())


def _members(doors: Doors) -> list[dict[str, Any]]:
    """Return who came in after Ann, who is there."""
    ours = select(Member).where(Member.roll == doors.ours.population.id)
    members = sorted(doors.rows.all(ours), key=lambda one: one.id)
    return [one.attributes for one in members[1:]]


MEMBER = Thing(
    {
        "file": lambda doors, person: doors.file(
            "populations", {"name": "students", "members": [person]}, "members[0]"
        ),
        "form": _member_by_form,
        "upload": _member_by_upload,
        "API": lambda doors, person: doors.call(
            "post", f"populations/{doors.ours.population.id}/subscribers", person
        ),
    },
    _members,
    {
        "a phone in any writing": Line(
            {"toName": "Kim", "toPhone": "(319) 555-0177"},
            kept=[{"toName": "Kim", "toPhone": "+13195550177"}],
        ),
        "an address": Line(
            {"toAddress": "Kim@Example.edu", "major": "Art"},
            kept=[{"toAddress": "Kim@Example.edu", "major": "Art"}],
        ),
        "no phone": Line(
            {"toPhone": "call me"}, place="toPhone", code="invalid_phone", words="“call me”"
        ),
        "a phone with a digit too few": Line(
            {"toPhone": "319555017"}, place="toPhone", code="invalid_phone", words="“319555017”"
        ),
        "nobody": Line(
            {"toName": "Kim"}, place="toPhone", code="missing",
            words="There is neither a phone nor an e-mail address.",
        ),
        "no address": Line(
            {"toPhone": "+13195550177", "toAddress": "nowhere"}, place="toAddress",
            code="invalid", words="“nowhere” is not an e-mail address.",
        ),
        "more than is kept of anybody": Line(
            {"toPhone": "+13195550177", "x": "y" * 33_000}, code="too_long",
            words="bytes as JSON; 32,768 are allowed.",
        ),
    },
)  # fmt: skip


def _entries(doors: Doors) -> list[tuple[str, str, SuppressionSource]]:
    ours = select(SuppressionEntry).where(SuppressionEntry.list_id == doors.ours.suppression.id)
    entries = sorted(doors.rows.all(ours), key=lambda one: one.id)
    return [(one.phone, one.scope, one.source) for one in entries]


ENTRY = Thing(
    {
        "file": lambda doors, phone: doors.file(
            "suppression_lists", {"name": "opted-out", "entries": [phone]}, "entries[0]"
        ),
        "form": lambda doors, phone: doors.form(
            f"suppression-lists/{doors.ours.suppression.id}/add",
            f"suppression-lists/{doors.ours.suppression.id}", phone=phone, scope="all",
        ),
        "API": lambda doors, phone: doors.call(
            "post", f"suppressionlists/{doors.ours.suppression.id}/entries", {"phone": phone}
        ),
    },
    _entries,
    {
        "a phone": Line(
            "319-555-0177", kept=[("+13195550177", "all", SuppressionSource.MANUAL)]
        ),
        "no phone": Line(
            "call me", place="phone", code="invalid_phone", words="“call me”"
        ),
        "a short code": Line("55555", place="phone", code="invalid_phone", words="“55555”"),
    },
)  # fmt: skip


def _by_name(model: Any, *columns: str) -> Callable[[Doors], Any]:
    """Return what reads all rows of a thing, by their names or the like, as they were made."""

    def read(doors: Doors) -> list[tuple[Any, ...]]:
        rows = doors.rows.all(select(model).where(model.client_id == doors.ours.client.id))
        return sorted(tuple(getattr(one, name) for name in columns) for one in rows)

    return read


def _new(kept: Callable[[Doors], Any], *there: Any) -> Callable[[Doors], Any]:
    """Leave out what was there before."""
    return lambda doors: [one for one in kept(doors) if one not in there]


POPULATION = Thing(
    {
        "file": lambda doors, name: doors.file("populations", {"name": name}),
        "form": lambda doors, name: doors.form("populations", "populations", name=name),
    },
    _new(_by_name(Population, "name"), ("students",)),
    {
        "a name": Line(" Staff ", kept=[("Staff",)]),
        "no name": Line(" ", place="name", words="“name” must not be empty."),
        "a long name": Line("x" * 101, place="name", words="at most 100 characters"),
    },
)

SUPPRESSION_LIST = Thing(
    {
        "file": lambda doors, name: doors.file("suppression_lists", {"name": name}),
        "form": lambda doors, name: doors.form("suppression-lists", "suppression-lists", name=name),
    },
    _new(_by_name(SuppressionList, "name"), ("opted-out",)),
    {
        "a name": Line(" Never ", kept=[("Never",)]),
        "no name": Line(" ", place="name", words="“name” must not be empty."),
    },
)


def _key_by_file(doors: Doors, given: dict[str, str]) -> Told:
    expires = {"expires_at": f"{day}T00:00:00Z"} if (day := given.get("expires")) else {}
    item = {name: value for name, value in given.items() if name != "expires"}
    return doors.file(
        "api_keys", {**item, **expires, "key": hashlib.sha256(given["label"].encode()).hexdigest()}
    )


API_KEY = Thing(
    {"file": _key_by_file, "form": lambda doors, given: doors.form("keys", "keys", **given)},
    _new(_by_name(ApiKey, "label", "scope"), ("sis", "admin")),
    {
        "a label": Line({"label": " crm ", "scope": "send"}, kept=[("crm", "send")]),
        "a day to come": Line(
            {"label": "crm", "scope": "read", "expires": "2099-01-01"}, kept=[("crm", "read")]
        ),
        "no label": Line(
            {"label": "", "scope": "send"}, place="label", words="“label” must not be empty."
        ),
        "a scope that is none": Line(
            {"label": "crm", "scope": "all"}, place="scope", words="must be one of read, send"
        ),
        "a day that has passed": Line(
            {"label": "crm", "scope": "send", "expires": "2020-01-01"}, place="expires_at",
            words="That day has passed; choose a later one.",
        ),
    },
)  # fmt: skip


def _credential_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    known = given["name"] == "main"
    path = f"credentials/{doors.ours.credential.id}" if known else "credentials/new"
    return doors.form(path, path, **{name: str(value) for name, value in given.items()})


def _account(**more: Any) -> dict[str, Any]:
    return {"name": "second", "account_sid": ACCOUNT, "auth_token": "right", **more}


CREDENTIAL = Thing(
    {
        "file": lambda doors, given: doors.file("credentials", given),
        "form": _credential_by_form,
    },
    _by_name(Credential, "name", "account_sid", "auth_token", "calls_per_second"),
    {
        "an account": Line(
            _account(calls_per_second=2),
            kept=[("main", "AC" + "11" * 16, AUTH_TOKEN, 1.0), ("second", ACCOUNT, "right", 2.0)],
        ),
        "an account that becomes another": Line(
            _account(name="main"), place="account_sid",
            words="The account stays; add another credential.",
        ),
        "what Twilio refuses": Line(
            _account(auth_token="wrong"), place="auth_token",
            words="Twilio refuses this auth token for this account SID.",
        ),
        "no SID": Line(
            _account(account_sid="AC5"), place="account_sid", words="AC and 32 hexadecimal digits."
        ),
        "half a key": Line(
            _account(api_key_sid="SK" + "5" * 32), words="belong together; one is missing."
        ),
        "a rate that stands still": Line(
            _account(calls_per_second="0.001"), place="calls_per_second", words="0.01 or more."
        ),
    },
)  # fmt: skip


def _login(**more: Any) -> dict[str, Any]:
    return {"name": "legacy", "username": "dispatch", "password": "secret", **more}


def _login_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    origins = "\n".join(given.get("origins", []))
    return doors.form(
        "saved-credentials/new", "saved-credentials/new", **{**given, "origins": origins}
    )


SAVED_CREDENTIAL = Thing(
    {
        "file": lambda doors, given: doors.file("saved_credentials", given),
        "form": _login_by_form,
    },
    _by_name(SavedCredential, "name", "username", "password", "origins"),
    {
        "where it may go": Line(
            _login(origins=["https://SIS.example.edu"] * 2),
            kept=[("legacy", "dispatch", "secret", ["https://sis.example.edu"])],
        ),
        "a colon": Line(_login(username="a:b"), place="username", words="“a:b” holds a colon"),
        "a place inside": Line(
            _login(origins=["https://10.1.2.3"]), place="origins[0]", words="private network"
        ),
        "no password": Line(
            _login(password=""), place="password", words="“password” must not be empty."
        ),
    },
)  # fmt: skip

ENDPOINT = Thing(
    {
        "file": lambda doors, given: doors.file("endpoints", given),
        "form": lambda doors, given: doors.form("endpoints", "endpoints", **given),
    },
    _new(_by_name(Endpoint, "name", "url"), ("sis", "https://registrar.example.edu/hooks")),
    {
        "a webhook": Line(
            {"name": "crm", "url": "https://crm.example.edu/x"},
            kept=[("crm", "https://crm.example.edu/x")],
        ),
        "no name": Line(
            {"name": "", "url": "https://crm.example.edu/"}, place="name",
            words="“name” must not be empty.",
        ),
        "an insecure address": Line(
            {"name": "crm", "url": "http://crm.example.edu/"}, place="url", words="https://"
        ),
        "an address inside": Line(
            {"name": "crm", "url": "https://10.1.2.3/"}, place="url", words="private network"
        ),
    },
)  # fmt: skip

CHOSEN = {
    "owner_email": "boss@example.edu", "time_zone": "America/New_York", "retention_days": "30",
    "remind_after": "60", "approval_above": "200",
}  # fmt: skip


def _hosts(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "twiml_hosts": [given["twiml_hosts"]]} if "twiml_hosts" in given else given


CLIENT = Thing(
    {
        "file": lambda doors, given: doors.settings(_hosts(CHOSEN | given)),
        "form": lambda doors, given: doors.form(
            "settings", "settings", languages="en", **(CHOSEN | given)
        ),
    },
    lambda doors: [
        (one.owner_email, one.time_zone, one.retention_days, one.remind_after, one.approval_above)
        for one in doors.rows.all(select(Client).filter_by(id=doors.ours.client.id))
    ],
    {
        "what an owner chooses": Line(
            {}, kept=[("boss@example.edu", "America/New_York", 30, 60, 200)]
        ),
        "everybody needs approval": Line(
            {"approval_above": "0"}, kept=[("boss@example.edu", "America/New_York", 30, 60, 0)]
        ),
        "fewer than nobody": Line(
            {"approval_above": "-1"}, place="approval_above", words="0 or more."
        ),
        "no address": Line(
            {"owner_email": "boss"}, place="owner_email", words="“boss” is not an e-mail address."
        ),
        "an address nobody can write to": Line(
            {"owner_email": "a@b"}, place="owner_email", words="“a@b” is not an e-mail address."
        ),
        "no zone": Line({"time_zone": "Iowa"}, place="time_zone", words="“Iowa” is no time zone"),
        "too soon": Line({"remind_after": "1"}, place="remind_after", words="5 or more."),
        "no day": Line({"retention_days": "0"}, place="retention_days", words="1 or more."),
        "no host": Line(
            {"twiml_hosts": "https://evil.test/"}, place="twiml_hosts[0]",
            words="is not the name of a host",
        ),
    },
)  # fmt: skip


def _support_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    lines = {name: "\n".join(value) for name, value in given.items() if isinstance(value, list)}
    limits = {name: str(value) for name, value in given.get("limits", {}).items()}
    ticked = {name: "on" for name, value in given.items() if value is True}
    return doors.form("settings/support", "settings", **lines, **limits, **ticked)


SUPPORTED = Thing(
    {
        "file": lambda doors, given: doors.settings({"twilio_enabled": False, **given}),
        "form": _support_by_form,
    },
    lambda doors: [
        (one.twilio_enabled, one.international, one.allow_list, one.limit_phone_hour)
        for one in doors.rows.all(select(Client).filter_by(id=doors.ours.client.id))
    ],
    {
        "what support decides": Line(
            {"international": True, "allow_list": ["(319) 555-0177"],
             "limits": {"messages_per_phone_per_hour": 7}},
            kept=[(False, True, ["+13195550177"], 7)],
        ),
        "no phone": Line({"allow_list": ["call me"]}, place="allow_list[0]", words="“call me”"),
        "no network": Line(
            {"denied_networks": ["10.0.0.0/99"]}, place="denied_networks[0]",
            words="“10.0.0.0/99” is no network",
        ),
        "nothing at all": Line(
            {"limits": {"segments_per_day": 0}}, place="limits.segments_per_day",
            words="1 or more.",
        ),
    },
)  # fmt: skip


def _told_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    event = "callback-message_status"
    chosen = {event: f"endpoint:{given['endpoint']}"} if "endpoint" in given else {event: "url"}
    rest = {f"{event}-{name}": given[name] for name in given if name != "endpoint"}
    return doors.form("settings", "settings", languages="en", **CHOSEN, **chosen, **rest)


CALLBACK = Thing(
    {
        "file": lambda doors, given: doors.settings(
            {"callbacks": {"message_status": given}}, "callbacks", "message_status"
        ),
        "form": _told_by_form,
    },
    _by_name(Callback, "event", "communication_id"),
    {
        "an endpoint": Line({"endpoint": "sis"}, kept=[("message_status", None)]),
        "a plain address": Line(
            {"url": "https://a.example.edu/{{ status }}", "method": "GET"},
            kept=[("message_status", None)],
        ),
        "no endpoint": Line(
            {"endpoint": "x"}, place="endpoint", words="There is no endpoint “x”."
        ),
        "no credential": Line(
            {"url": "https://a.example.edu/", "credential": "x"}, place="credential",
            words="There is no saved credential “x”.",
        ),
        "an address inside": Line(
            {"url": "https://10.1.2.3/"}, place="url", words="private network"
        ),
        "a placeholder in the host": Line(
            {"url": "https://{{ toName }}/"}, place="url", words="has a placeholder in its host"
        ),
    },
)  # fmt: skip


def _user_by_command(doors: Doors, given: dict[str, str]) -> Told:
    arguments = (
        "user",
        "add",
        given["email"],
        "--client",
        doors.ours.client.name,
        "--role",
        given["role"],
    )
    return doors.command(*arguments)


def _roles(doors: Doors) -> list[tuple[str, Role]]:
    emails = {one.id: one.email for one in doors.rows.all(User)}
    ours = select(Membership).where(Membership.client_id == doors.ours.client.id)
    return sorted((emails[one.user_id], one.role) for one in doors.rows.all(ours))


USER = Thing(
    {
        "file": lambda doors, given: doors.file("users", given),
        "form": lambda doors, given: doors.form("people", "people", **given),
        "command": _user_by_command,
    },
    _roles,
    {
        "somebody new": Line(
            {"email": "Kim@Example.edu", "role": "staff"},
            kept=[("kim@example.edu", Role.STAFF), (SUPPORT, Role.OWNER)],
        ),
        "no address": Line(
            {"email": "kim", "role": "staff"}, place="email",
            words="“kim” is not an e-mail address.",
        ),
        "an address nobody can write to": Line(
            {"email": "a@b", "role": "staff"}, place="email",
            words="“a@b” is not an e-mail address.",
        ),
        "the last owner": Line(
            {"email": SUPPORT, "role": "staff"}, place="role",
            words="A client needs an owner. Make somebody else an owner first.",
        ),
    },
)  # fmt: skip


def _recording_by_file(doors: Doors, given: tuple[str, str, bytes]) -> Told:
    name, file, content = given
    doors.put(file, content)
    return doors.file("recordings", {"name": name, "file": file})


def _recording_by_form(doors: Doors, given: tuple[str, str, bytes]) -> Told:
    name, file, content = given
    return doors.form("recordings", "recordings", name=name, file=(BytesIO(content), file))


def _recording_by_command(doors: Doors, given: tuple[str, str, bytes]) -> Told:
    name, file, content = given
    return doors.command(
        "recordings", "add", doors.ours.client.name, name, str(doors.put(file, content))
    )


RECORDING = Thing(
    {
        "file": _recording_by_file,
        "form": _recording_by_form,
        "command": _recording_by_command,
    },
    _by_name(Recording, "name"),
    {
        "sound": Line(("closed", "closed.mp3", MP3), kept=[("closed",)]),
        "no sound": Line(
            ("closed", "closed.mp3", b"hello"), place="file", words="“closed.mp3” is not audio"
        ),
    },
)


def _template_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    path = f"templates/new/{given['kind']}"
    media = "\n".join(given.get("media", []))
    return doors.form(path, path, name=given["name"], body=given["body"], media=media)


def _wording(**more: Any) -> dict[str, Any]:
    return {"name": "news", "kind": "sms", "body": "News", **more}


TEMPLATE = Thing(
    {
        "file": lambda doors, given: doors.file("templates", given),
        "form": _template_by_form,
    },
    _new(_by_name(Template, "name"), ("away",), ("reminder",), ("closing",)),
    {
        "a text": Line(_wording(), kept=[("news",)]),
        "no name": Line(_wording(name=" "), place="name", words="A template needs a name"),
        "half a placeholder": Line(_wording(body="Hi {{ name"), place="body", words="Line 1"),
        "nothing": Line(_wording(body=" "), place="body", words="The template is empty."),
        "more than Twilio sends": Line(
            _wording(body="x" * 1601), place="body", words="1601 characters"
        ),
        "a picture nowhere": Line(
            _wording(media=["ftp://example.edu/x.png"]), place="media[0]", words="https://"
        ),
    },
)


def _communication(**more: Any) -> dict[str, Any]:
    return {"name": "again", "campaign": "spring", "template": "reminder", **more}


def _communication_by_file(doors: Doors, given: dict[str, Any]) -> Told:
    item = {"destination": "sms", "from": doors.ours.number.address, **given}
    return doors.file("communications", item)


def _communication_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    path = "communications/new/sms"
    steps = given.get("steps", [])
    fields = {name: value for name, value in given.items() if name != "steps"}
    fields["step_template"] = [step["template"] for step in steps]
    fields["step_after"] = [str(step["after"] / 60) for step in steps]
    return doors.form(path, path, sender=doors.ours.number.id, **fields)


COMMUNICATION = Thing(
    {"file": _communication_by_file, "form": _communication_by_form},
    _new(_by_name(Communication, "name"), ("reminders",), ("closing-call",)),
    {
        "a text": Line(_communication(population="students"), kept=[("again",)]),
        "a template of calls": Line(
            _communication(template="closing"), place="template", words="is of the kind voice"
        ),
        "nobody's template": Line(
            _communication(template="x"), place="template", words="There is no template “x”."
        ),
        "no population": Line(
            _communication(population="x"), place="population", words="no population “x”."
        ),
        "no list": Line(
            _communication(suppression_list="x"), place="suppression_list",
            words="There is no suppression list “x”.",
        ),
        "a step that says nothing": Line(
            _communication(steps=[{"template": "x", "after": 60}]), place="steps[0].template",
            words="There is no template “x”.",
        ),
        "a purpose that is none": Line(
            _communication(purpose="fun"), place="purpose", words="must be one of notification"
        ),
    },
)  # fmt: skip


def _schedule_by_file(doors: Doors, given: dict[str, Any]) -> Told:
    item = _communication(name="reminders", population="students", **given)
    return _communication_by_file(doors, item)


def _schedule_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    path = f"communications/{doors.ours.texts.id}/edit"
    fields: dict[str, Any] = {"schedule": next(iter(given), "")}
    if repeat := given.get("repeat"):
        on = repeat.get("on", [])
        weekly = repeat["every"] == "week"
        fields |= {"every": repeat["every"], "repeat_at": repeat["at"],
                   "weekday": on if weekly else [], "until": repeat.get("until", ""),
                   "monthdays": "" if weekly else ", ".join(map(str, on))}  # fmt: skip
    if relative := given.get("relative"):
        fields |= {"attribute": relative["attribute"], "relative_at": relative["at"],
                   "days": str(abs(relative["days"])),
                   "direction": "after" if relative["days"] > 0 else "before"}  # fmt: skip
    return doors.form(
        path, path, name="reminders", campaign="spring", template="reminder",
        population="students", sender=doors.ours.number.id, **fields,
    )  # fmt: skip


def _schedules(doors: Doors) -> Any:
    (one,) = doors.rows.all(
        select(Communication).filter_by(name="reminders", client_id=doors.ours.client.id)
    )
    return one.repeat or one.relative


SCHEDULE = Thing(
    {
        "file": _schedule_by_file,
        "form": _schedule_by_form,
        "API": lambda doors, given: doors.call(
            "put", f"communications/{doors.ours.texts.id}/schedule", given
        ),
    },
    _schedules,
    {
        "days of the week": Line(
            {"repeat": {"every": "week", "on": ["thu", "mon"], "at": "09:00"}},
            kept={"every": "week", "on": ["mon", "thu"], "at": "09:00", "until": None},
        ),
        "days of the month": Line(
            {"repeat": {"every": "month", "on": [31, 1], "at": "09:00", "until": "2099-05-31"}},
            kept={"every": "month", "on": [1, 31], "at": "09:00", "until": "2099-05-31"},
        ),
        "a date of each": Line(
            {"relative": {"attribute": "appointment", "days": -2, "at": "09:00"}},
            kept={"attribute": "appointment", "days": -2, "at": "09:00"},
        ),
        "by hand": Line({}, kept=None),
        "no day": Line(
            {"repeat": {"every": "week", "on": [], "at": "09:00"}},
            place="repeat",
            code="value_error",
            words="Say on which weekdays it goes out.",
        ),
        "no time": Line(
            {"repeat": {"every": "day", "at": "noon"}},
            place="repeat.at",
            code="value_error",
            words="” is no time of day",
        ),
        "a day that no month has": Line(
            {"repeat": {"every": "month", "on": [32], "at": "09:00"}},
            place="repeat.on[0]",
            code="value_error",
            words="“32” is neither a weekday",
        ),
        "what no column is called": Line(
            {"relative": {"attribute": "my date", "days": 1, "at": "09:00"}},
            place="relative.attribute",
            code="value_error",
            words="“my date” is no attribute",
        ),
    },
)


def _route_by_file(doors: Doors, route: dict[str, Any]) -> Told:
    number = {"number": doors.ours.number.address, "voice": route}
    return doors.file("numbers", number, "voice")


def _route_by_form(doors: Doors, route: dict[str, Any]) -> Told:
    page = f"numbers/{doors.ours.number.id}"
    lists = {name: value for name, value in route.items() if isinstance(value, list)}
    fields = {name: value for name, value in route.items() if name not in lists}
    for name, items in lists.items():
        for column in dict.fromkeys(key for item in items for key in item):
            fields[f"{name}-{column}"] = [item.get(column, "") for item in items]
    return doors.form(f"{page}/voice", page, **route_fields(**fields))


def _route_by_api(doors: Doors, route: dict[str, Any]) -> Told:
    told = doors.call("put", f"numbers/{doors.ours.number.address}/routes", {"voice": route})
    told.mistakes = {
        place.removeprefix("voice").removeprefix("."): one for place, one in told.mistakes.items()
    }
    return told


ROUTE = Thing(
    {"file": _route_by_file, "form": _route_by_form, "API": _route_by_api},
    _by_name(Route, "destination", "handler"),
    {
        "a message": Line(
            {"handler": "play_message", "say": "We are closed."},
            kept=[("sms", "auto_reply"), ("voice", "play_message")],
        ),
        "a phone in any writing": Line(
            {"handler": "call_forward", "to": "(319) 555-0177"},
            kept=[("sms", "auto_reply"), ("voice", "call_forward")],
        ),
        "voice messages": Line(
            {"handler": "voicemail", "transcribe": "true", "max_seconds": "60"},
            kept=[("sms", "auto_reply"), ("voice", "voicemail")],
        ),
        "a message that Twilio does not write down": Line(
            {"handler": "voicemail", "transcribe": "true", "max_seconds": "300"},
            place="max_seconds", code="invalid", words="at most 120 seconds",
        ),
        "its own number": Line(
            {"handler": "call_forward", "to": "+13195550111"}, place="to", code="invalid",
            words="circles",
        ),
        "no phone": Line(
            {"handler": "call_forward", "to": "call me"}, place="to", code="invalid_phone",
            words="“call me”",
        ),
        "people who are rung": Line(
            {"handler": "ring", "people": [{"to": "(319) 555-0177", "name": "Kim"}]},
            kept=[("sms", "auto_reply"), ("voice", "ring")],
        ),
        "nobody who is rung": Line(
            {"handler": "ring", "strategy": "all"}, code="value_error",
            words="exactly one of people and rota; there is none",
        ),
        "its own number among who is rung": Line(
            {"handler": "ring", "people": [{"to": "+13195550111"}]}, place="people[0].to",
            code="invalid", words="circles",
        ),
        "no recording": Line(
            {"handler": "play_message", "recording": "x"}, place="recording",
            code="unknown_name", words="There is no recording “x”.",
        ),
    },
)  # fmt: skip


def _number_by_file(doors: Doors, given: dict[str, str]) -> Told:
    return doors.file("numbers", {"number": doors.ours.number.address, **given})


def _number_by_form(doors: Doors, given: dict[str, str]) -> Told:
    page = f"numbers/{doors.ours.number.id}"
    return doors.form(f"{page}/about", page, name="", **given)


def _rota_by_form(doors: Doors, rota: dict[str, Any]) -> Told:
    people = "\n".join(f"{one['name']} {one['phone']}" for one in rota["people"])
    days = {day: ", ".join(turns) for day, turns in rota["weeks"][0].items()}
    return doors.form("rotas/new", "rotas/new", name=rota["name"], people=people, **days)


def rota(name: str = "desk", phone: str = "(319) 555-0177", **days: list[str]) -> dict[str, Any]:
    """Return a rota of one person."""
    return {"name": name, "people": [{"name": "Pat", "phone": phone}], "weeks": [days]}


ROTA = Thing(
    {"file": lambda doors, given: doors.file("rotas", given), "form": _rota_by_form},
    lambda doors: [
        (one.name, one.people[0]["phone"], one.weeks)
        for one in doors.rows.all(select(Rota).filter_by(client_id=doors.ours.client.id))
    ],
    {
        "a week": Line(
            rota(mon=["08:00 – 12:00  Pat"]),
            kept=[("desk", "+13195550177", [{"mon": ["08:00-12:00 Pat"]}])],
        ),
        "no turn": Line(
            rota(mon=["always Pat"]), place="weeks[0].mon[0]", words="“always Pat” is no turn"
        ),
        "somebody else": Line(
            rota(mon=["08:00-12:00 Kim"]), words="“Kim” (mon) is none of the people."
        ),
        "a phone abroad": Line(
            rota(phone="+442079460018", mon=["08:00-12:00 Pat"]), place="people[0].phone",
            words="outside the +1 calling code",
        ),
    },
)  # fmt: skip


NUMBER = Thing(
    {"file": _number_by_file, "form": _number_by_form},
    lambda doors: [
        one.suppression_list_id == doors.ours.suppression.id
        for one in doors.rows.all(select(Sender).filter_by(id=doors.ours.number.id))
    ],
    {
        "a list": Line({"suppression_list": "opted-out"}, kept=[True]),
        "no list": Line(
            {"suppression_list": "x"}, place="suppression_list",
            words="There is no suppression list “x”.",
        ),
    },
)  # fmt: skip


def _hours_by_form(doors: Doors, given: dict[str, Any]) -> Told:
    spans = {"mon": ", ".join(given["mon"])}
    dates = "\n".join(f"{day} {spans}" for day, spans in given.get("dates", {}).items())
    return doors.form("hours/new", "hours/new", **{**given, **spans, "dates": dates})


HOURS = Thing(
    {"file": lambda doors, given: doors.file("hours", given), "form": _hours_by_form},
    lambda doors: [
        (one.name, one.week, one.dates)
        for one in doors.rows.all(select(Hours).filter_by(client_id=doors.ours.client.id))
    ],
    {
        "two spans": Line(
            {"name": " Office ", "mon": ["13:00-17:00", "08:00-12:00"]},
            kept=[("Office", {"mon": ["08:00-12:00", "13:00-17:00"]}, {})],
        ),
        "a holiday": Line(
            {"name": "Office", "mon": ["22:00-06:00"], "dates": {"2027-01-01": "closed"}},
            kept=[("Office", {"mon": ["22:00-06:00"]}, {"2027-01-01": []})],
        ),
        "no name": Line({"name": "", "mon": []}, place="name", words="“name” must not be empty."),
        "a step further": Line(
            {"name": "a/b", "mon": []}, place="name", words="must be without a slash"
        ),
        "no time": Line(
            {"name": "Office", "mon": ["8 to 5"]}, place="mon[0]",
            words="“8 to 5” is no span of a day",
        ),
        "no hour": Line(
            {"name": "Office", "mon": ["08:00-25:00"]}, place="mon[0]", words="is no span of a day"
        ),
        "spans that overlap": Line(
            {"name": "Office", "mon": ["08:00-12:00", "11:00-13:00"]}, place="mon",
            words="08:00-12:00 and 11:00-13:00 overlap.",
        ),
    },
)  # fmt: skip

THINGS = {
    "member": MEMBER, "entry": ENTRY, "population": POPULATION, "list": SUPPRESSION_LIST,
    "API key": API_KEY, "credential": CREDENTIAL, "saved credential": SAVED_CREDENTIAL,
    "endpoint": ENDPOINT, "client": CLIENT, "support": SUPPORTED, "callback": CALLBACK,
    "user": USER, "recording": RECORDING,
    "template": TEMPLATE, "communication": COMMUNICATION, "schedule": SCHEDULE,
    "route": ROUTE, "number": NUMBER,
    "hours": HOURS, "rota": ROTA,
}  # fmt: skip
LINES = [(thing, name, line) for thing, one in THINGS.items() for name, line in one.table.items()]
GOOD = [
    pytest.param(THINGS[thing], door, line, id=f"{thing}: {name}, {door}")
    for thing, name, line in LINES
    for door in THINGS[thing].doors
    if not line.words
]
BAD = [
    pytest.param(THINGS[thing], line, id=f"{thing}: {name}")
    for thing, name, line in LINES
    if line.words
]


@pytest.mark.parametrize(("thing", "door", "line"), GOOD)
def test_what_is_right_is_kept_alike(doors: Doors, thing: Thing, door: str, line: Line) -> None:
    told = thing.doors[door](doors, line.given)
    assert not told.is_refused, told.text
    assert thing.kept(doors) == line.kept


@pytest.mark.parametrize(("thing", "line"), BAD)
def test_what_is_wrong_is_refused_alike(doors: Doors, thing: Thing, line: Line) -> None:
    before = thing.kept(doors)
    for name, door in thing.doors.items():
        told = door(doors, line.given)
        assert told.is_refused, name
        assert line.words in told.text, name
        if name in ("file", "API"):
            place = "" if name == "file" and thing is ENTRY else line.place
            code, words = told.mistakes[place]
            assert line.words in words, name
            assert code in (None, line.code), name
    assert thing.kept(doors) == before

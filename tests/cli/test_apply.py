"""`flask apply`: the whole configuration file, its mistakes, and what it leaves alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import select, text, update

from app.models.audience import Member
from app.models.client import Client
from app.models.communication import Callback, CallbackEvent, Campaign, Communication
from app.models.credential import ApiKey, Credential, SavedCredential
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.hours import Hours
from app.models.house import AuditEntry
from app.models.media import Media, Recording
from app.models.rota import Rota
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderType
from app.models.suppression import SuppressionEntry, SuppressionList, SuppressionSource
from app.models.template import Template, TemplateVersion
from app.models.user import Membership, Role, User
from tests.support.fake_twilio import FakeTwilio
from tests.support.rows import Rows

GUIDE = Path(__file__).parents[2] / "docs" / "configuration.md"
SECRETS = {
    "SUPPORT_PASSWORD": "support-password",
    "PAT_PASSWORD": "pat-password",
    "REGISTRAR_KEY": "0123456789abcdef0123456789abcdef",
    "TWILIO_AUTH_TOKEN": "twilio-auth-token",
    "TWILIO_NEXT_AUTH_TOKEN": "twilio-next-auth-token",
    "TWILIO_API_KEY_SECRET": "twilio-api-key-secret",
    "LEGACY_PASSWORD": "legacy-password",
    "SIS_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


class Operator:
    """Writes files and applies them."""

    def __init__(self, runner: FlaskCliRunner, folder: Path) -> None:
        self.runner = runner
        self.file = folder / "dispatch.yaml"
        (folder / "closed.mp3").write_bytes(b"ID3" + bytes(100))

    def apply(self, text: str, *options: str) -> Result:
        self.file.write_text(text, encoding="utf-8")
        return self.runner.invoke(args=["apply", str(self.file), *options])

    def change(self, text: str, *options: str) -> str:
        """Apply, expect success, and return what was printed."""
        result = self.apply(text, *options)
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def environ(environ: dict[str, str], twilio_port: int) -> Iterator[dict[str, str]]:
    """There is a Twilio that takes every account: it is asked about each."""
    with FakeTwilio(port=twilio_port) as twilio:
        yield {**environ, "TWILIO_API_BASE_URL": twilio.url}


@pytest.fixture
def operator(
    flask_command: FlaskCliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Operator:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "configuration"
    folder.mkdir()
    return Operator(flask_command, folder)


@pytest.fixture(scope="module")
def example() -> str:
    """The full example of the guide."""
    found = re.search(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def everything(rows: Rows) -> dict[str, int]:
    """Count the rows of every table."""
    return {mapper.class_.__name__: rows.count(mapper.class_) for mapper in Client.registry.mappers}


class TestTheFullExample:
    def test_every_field_takes_effect(self, operator: Operator, example: str, rows: Rows) -> None:
        operator.change(example)

        client = rows.one(Client)
        assert (client.name, client.owner_email) == ("registrar", "registrar@example.edu")
        assert (client.twilio_enabled, client.international, client.trial) == (True, False, False)
        assert (client.time_zone, client.quiet_from, client.quiet_to) == (
            "America/Chicago", "21:00", "08:00",
        )  # fmt: skip
        assert (client.retention_days, client.alert_segments, client.alert_call_minutes) == (
            45, 10_000, 1000,
        )  # fmt: skip

        people = {user.email: user for user in rows.all(User)}
        assert people["support@example.edu"].is_support
        assert not people["pat@example.edu"].is_support
        roles = {one.user_id: one.role for one in rows.all(Membership)}
        assert roles == {
            people["pat@example.edu"].id: Role.OWNER,
            people["lee@example.edu"].id: Role.STAFF,
        }
        key = rows.one(ApiKey)
        # printf %s 0123456789abcdef0123456789abcdef | sha256sum
        assert key.key_sha256 == "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9"
        assert (key.label, key.scope.value) == ("sis", "admin")

        credential = rows.one(Credential)
        assert credential.tokens == ("twilio-auth-token", "twilio-next-auth-token")
        assert credential.account_sid == "AC00000000000000000000000000000001"
        assert credential.api_key_secret == "twilio-api-key-secret"
        assert rows.one(SavedCredential).password == "legacy-password"

        opted_out = rows.one(SuppressionList)
        entry = rows.one(SuppressionEntry)
        assert (entry.phone, entry.scope, entry.source) == (
            "+13195550199", "all", SuppressionSource.MANUAL,
        )  # fmt: skip
        assert [member.attributes for member in rows.all(select(Member).order_by(Member.id))] == [
            {"toName": "Help Desk", "toAddress": "help@example.edu"},
            {"toName": "Ada", "toPhone": "+13195550111", "course": "Algebra"},
            {"toName": "Grace", "toPhone": "+13195550112", "course": "Compilers"},
        ]
        media = rows.one(Media)
        assert (media.content_type, media.size, media.filename) == (
            "audio/mpeg", 103, "closed.mp3",
        )  # fmt: skip
        assert rows.one(Recording).media_code == media.code

        templates = {template.name: template for template in rows.all(Template)}
        assert {name: str(one.kind) for name, one in templates.items()} == {
            "away": "reply", "hours": "reply", "reminder": "sms", "followup": "sms",
            "closing": "voice",
        }  # fmt: skip
        away = rows.one(select(TemplateVersion).filter_by(template_id=templates["away"].id))
        assert away.media == ["https://www.example.edu/map.png"]
        assert (away.number, away.created_by) == (1, "flask apply")

        hooks = rows.one(select(Endpoint).filter_by(kind=EndpointKind.WEBHOOK))
        assert (hooks.name, hooks.url) == ("sis", "https://sis.example.edu/hooks")
        assert rows.one(EndpointSecret).secret == SECRETS["SIS_SECRET"]
        plain = rows.one(select(Endpoint).filter_by(kind=EndpointKind.PLAIN))
        assert plain.url == "https://legacy.example.edu/done/{{ batchId }}"
        assert (plain.method, plain.saved_credential_id) == ("GET", rows.one(SavedCredential).id)

        senders = {sender.address: sender for sender in rows.all(Sender)}
        assert {
            address: (sender.kind.value, sender.type.value, sender.rate)
            for address, sender in senders.items()
        } == {
            "+13195550100": ("twilio", "long_code", 1.0),
            "+13195550101": ("twilio", "long_code", 1.0),
            "+13195550102": ("twilio", "long_code", 1.0),
            "+13195550103": ("twilio", "long_code", 1.0),
            "+13195550104": ("twilio", "long_code", 1.0),
            "+13195550105": ("twilio", "long_code", 1.0),
            "+13195550106": ("twilio", "long_code", 1.0),
            "55555": ("twilio", "short_code", 100.0),
            "+13195550150": ("verified", "long_code", 1.0),
            "MG00000000000000000000000000000001": ("messaging_service", "long_code", 12.0),
        }
        service = senders["MG00000000000000000000000000000001"]
        assert senders["+13195550101"].service_id == service.id
        assert senders["+13195550150"].verified_at is not None
        assert service.suppression_list_id == opted_out.id
        assert senders["+13195550100"].suppression_list_id == opted_out.id

        routes = rows.all(Route)
        handlers = {
            (one.sender_id, one.destination): one.handler for one in routes if one.parent_id is None
        }
        assert handlers[senders["+13195550100"].id, Destination.SMS] is Handler.AUTO_REPLY
        assert handlers[senders["+13195550101"].id, Destination.VOICE] is Handler.HOURS
        rings = [one for one in routes if one.handler is Handler.RING]
        (people,) = (one.options["people"] for one in rings if one.rota_id is None)
        assert [one["to"] for one in people] == ["+13195550181", "+13195550182"]
        assert {one.text_back_id for one in rings} == {None, templates["away"].id}
        rota = rows.one(Rota)
        assert {one.rota_id for one in rings} == {None, rota.id}
        assert (len(rota.weeks), rota.begins) == (2, date(2026, 11, 30))
        assert {one.place: one.handler for one in routes if one.parent_id} == {
            "keys.1": Handler.CALL_FORWARD,
            "keys.2": Handler.MENU,
            "otherwise": Handler.VOICEMAIL,
            "open": Handler.CALL_FORWARD,
            "closed": Handler.PLAY_MESSAGE,
            "holiday": Handler.PLAY_MESSAGE,
        }
        office = rows.one(Hours)
        assert (office.week["fri"], "sat" in office.week) == (["08:00-12:00"], False)
        assert office.dates == {"2026-12-24": ["08:00-12:00"], "2026-12-25": []}
        assert handlers[service.id, Destination.SMS] is Handler.FORWARD_TO_WEBHOOK
        assert len(handlers) == 12

        assert rows.one(Campaign).name == "spring"
        told = {one.name: one for one in rows.all(Communication)}
        texts, calls = told["reminders"], told["closing-call"]
        assert (calls.retry_calls, calls.retry_calls_after) == (2, 900)
        assert calls.call_options == {"timeout": 25, "machineDetectionTimeout": 20}
        assert texts.call_options == {}
        assert (texts.destination, texts.sender_id) == (Destination.SMS, service.id)
        assert (texts.link_tracking, texts.validity_period) == (True, 36_000)
        assert texts.suppression_list_id == opted_out.id
        assert [(step.template_id, step.after) for step in texts.steps] == [
            (templates["followup"].id, 60)
        ]
        assert (calls.destination, calls.sender_id) == (
            Destination.VOICE, senders["+13195550150"].id,
        )  # fmt: skip
        assert calls.machine_detection.value == "continue"
        callbacks = {(one.communication_id, one.event): one for one in rows.all(Callback)}
        assert callbacks[None, CallbackEvent.MESSAGE_STATUS].endpoint_id == hooks.id
        assert callbacks[texts.id, CallbackEvent.MESSAGE_STATUS].endpoint_id == hooks.id
        assert callbacks[texts.id, CallbackEvent.COMPLETE].endpoint_id == plain.id
        assert len(callbacks) == 3

    def test_a_second_run_changes_nothing(
        self, operator: Operator, example: str, rows: Rows
    ) -> None:
        operator.change(example)
        before = everything(rows)
        assert operator.change(example) == "nothing to change\n"
        assert everything(rows) == before

    def test_a_dry_run_says_the_same_and_writes_nothing(
        self, operator: Operator, example: str, rows: Rows
    ) -> None:
        planned = operator.change(example, "--dry-run")
        assert "+ client registrar" in planned
        assert "dry run" in planned
        assert set(everything(rows).values()) == {0}
        done = operator.change(example)
        assert planned.replace("This was a dry run: nothing was changed.\n", "") == done

    def test_no_secret_is_printed_or_audited(
        self, operator: Operator, example: str, rows: Rows
    ) -> None:
        printed = operator.change(example)
        audited = [f"{entry.target} {entry.details}" for entry in rows.all(AuditEntry)]
        for secret in SECRETS.values():
            assert secret not in printed
            assert secret not in "".join(audited)
        assert {entry.actor for entry in rows.all(AuditEntry)} == {"flask apply"}
        assert "template away" in {entry.target for entry in rows.all(AuditEntry)}


SMALL = """\
clients:
  - name: registrar
    suppression_lists: [{name: opted-out}]
    credentials:
      - {name: main, account_sid: AC00000000000000000000000000000001, auth_token: token}
    templates:
      - {name: away, kind: reply, body: Away.}
      - {name: news, kind: sms, body: News}
    numbers:
      - number: +13195550100
        sms: {handler: auto_reply, template: away}
"""
# What follows SMALL begins on line 12.
MISTAKES: dict[str, tuple[str, list[tuple[int, int, str, str]]]] = {
    "no YAML": ("clients: }", [(1, 10, "", "cannot be read as YAML")]),
    "an empty file": ("", [(1, 1, "", "must begin with")]),
    "a list": ("- clients", [(1, 1, "", "must begin with")]),
    "two documents": ("clients: []\n---\nclients: []\n", [(2, 1, "", "YAML")]),
    "an unknown section": ("client: []", [(1, 1, "client", "did you mean “clients”")]),
    "clients that are no list": ("clients: {}", [(1, 10, "clients", "must be a list")]),
    "a client without a name": ("clients: [{}]", [(1, 11, "clients[0].name", "is required")]),
    "a client's unknown key": (
        SMALL + "    numberz: []\n", [(12, 5, "clients[0].numberz", "did you mean “numbers”")]),
    "a key given twice": (
        SMALL + "    name: again\n", [(12, 5, "clients[0].name", "the first is on line 2")]),
    "a client described twice": (
        SMALL + "  - name: registrar\n", [(12, 5, "clients[1]", "the first is on line 2")]),
    "an item described twice": (
        SMALL + "    endpoints: []\n    recordings: []\n    populations: [{name: a}, {name: a}]\n",
        [(14, 30, "clients[0].populations[1]", "described twice")]),
    "a time zone": (
        SMALL + "    time_zone: Iowa\n", [(12, 16, "clients[0].time_zone", "America/Chicago")]),
    "recipient hours": (
        SMALL + "    recipient_hours: {from: 09:00, to: 09:00}\n",
        [(12, 22, "clients[0].recipient_hours", "the same")]),
    "quiet hours": (
        SMALL + "    quiet_hours: {from: 9pm, to: 08:00}\n",
        [(12, 25, "clients[0].quiet_hours.from", "21:00")]),
    "a number that is none": (
        SMALL + "    retention_days: many\n",
        [(12, 21, "clients[0].retention_days", "must be a whole number")]),
    "a truth that is none": (
        SMALL + "    trial: perhaps\n", [(12, 12, "clients[0].trial", "must be true or false")]),
    "a phone": (
        SMALL + "    allow_list: [nobody]\n", [(12, 18, "clients[0].allow_list[0]", "letters")]),
    "an unset variable": (
        SMALL + "    owner_email: ${NO_SUCH_NAME}\n",
        [(12, 18, "clients[0].owner_email", "NO_SUCH_NAME is not set")]),
    "a setting of our own": (
        SMALL + "    owner_email: ${SECRET_KEY}@example.edu\n",
        [(12, 18, "clients[0].owner_email", "SECRET_KEY is a setting of Dispatch itself")]),
    "no variable": (
        SMALL + "    owner_email: ${NO-NAME}@example.edu\n",
        [(12, 18, "clients[0].owner_email", "$${NO-NAME}")]),
    "an e-mail address": (
        SMALL + "    users: [{email: pat, role: boss}]\n",
        [(12, 21, "clients[0].users[0].email", "not an e-mail address"),
         (12, 32, "clients[0].users[0].role", "owner, staff")]),
    "a short password": (
        SMALL + "    users: [{email: pat@example.edu, password: short}]\n",
        [(12, 48, "clients[0].users[0].password", "8 to 200 characters")]),
    "a short key": (
        SMALL + "    api_keys: [{label: sis, key: secret}]\n",
        [(12, 34, "clients[0].api_keys[0].key", "32 random characters")]),
    "an expiry without a zone": (
        SMALL + "    api_keys: [{label: sis, key: 0123456789abcdef0123456789abcdef,"
        " expires_at: 2027-01-01T00:00:00}]\n",
        [(12, 80, "clients[0].api_keys[0].expires_at", "with its zone")]),
    "half an API key": (
        "clients:\n- name: a\n  credentials:\n  - name: main\n    auth_token: t\n"
        "    account_sid: ACx\n  - name: b\n    auth_token: t\n"
        "    account_sid: AC00000000000000000000000000000001\n"
        "    api_key_sid: SK00000000000000000000000000000001\n",
        [(6, 18, "clients[0].credentials[0].account_sid", "32 hexadecimal digits"),
         (7, 5, "clients[0].credentials[1]", "belong together")]),
    "a signing secret": (
        SMALL + "    endpoints: [{name: a, url: https://a.example.edu, secret: whsec_c2hvcnQ=}]\n",
        [(12, 63, "clients[0].endpoints[0].secret", "24 to 64 random bytes")]),
    "an insecure endpoint": (
        SMALL + "    endpoints: [{name: a, url: http://a.example.edu}]\n",
        [(12, 32, "clients[0].endpoints[0].url", "https://")]),
    "an endpoint on another port": (
        SMALL + "    endpoints: [{name: a, url: 'https://a.example.edu:8443'}]\n",
        [(12, 32, "clients[0].endpoints[0].url", "port 8443")]),
    "a private endpoint": (
        SMALL + "    endpoints: [{name: a, url: https://10.1.2.3/}]\n",
        [(12, 32, "clients[0].endpoints[0].url", "private network")]),
    "people who cannot be reached": (
        SMALL + "    populations:\n    - name: p\n      members:\n"
        "      - {toPhone: call me}\n      - {toName: Nobody}\n      - {toAddress: nowhere}\n"
        "      - {toPhone: (319) 555-0150}\n      - {toPhone: +13195550150}\n",
        [(15, 19, "clients[0].populations[0].members[0].toPhone", "“call me”"),
         (16, 9, "clients[0].populations[0].members[1].toPhone", "neither a phone"),
         (17, 21, "clients[0].populations[0].members[2].toAddress", "not an e-mail address"),
         (19, 19, "clients[0].populations[0].members[4].toPhone", "first is item 4")]),
    "no recording": (
        SMALL + "    recordings: [{name: a, file: nothing.mp3}]\n",
        [(12, 34, "clients[0].recordings[0].file", "no such file")]),
    "a recording that is no audio": (
        SMALL + "    recordings: [{name: a, file: dispatch.yaml}]\n",
        [(12, 34, "clients[0].recordings[0].file", "not audio")]),
    "a recording elsewhere": (
        SMALL + "    recordings: [{name: a, file: ../closed.mp3}]\n",
        [(12, 34, "clients[0].recordings[0].file", "outside")]),
    "a credential of nobody": (
        "clients:\n- name: a\n  numbers:\n  - {number: +13195550100, credential: main}\n",
        [(4, 40, "clients[0].numbers[0].credential", "no credential “main”")]),
    "no credential": (
        "clients:\n- name: a\n  numbers:\n  - {number: +13195550100}\n",
        [(4, 5, "clients[0].numbers[0].credential", "is required")]),
    "a number of another client": (
        SMALL + "  - name: library\n    credentials:\n    - {name: main, auth_token: t,"
        " account_sid: AC00000000000000000000000000000001}\n"
        "    numbers: [{number: +13195550100}]\n",
        [(15, 24, "clients[1].numbers[0].number", "another client")]),
    "a long code with six digits": (
        SMALL + "      - {number: 555555, sender_type: long_code}\n",
        [(12, 9, "clients[0].numbers[1]", "short code")]),
    "texts of a verified number": (
        SMALL + "      - number: +13195550101\n        kind: verified\n"
        "        sms: {handler: auto_reply, template: away}\n",
        [(14, 14, "clients[0].numbers[1].sms", "institution")]),
    "a route's template": (
        SMALL + "      - number: +13195550101\n        sms: {handler: auto_reply, template: x}\n",
        [(13, 46, "clients[0].numbers[1].sms.template", "no template “x”")]),
    "a route's handler": (
        SMALL + "        voice: {handler: auto_reply, template: away}\n",
        [(12, 26, "clients[0].numbers[0].voice.handler", "play_message, call_forward")]),
    "a route that is none": (
        SMALL + "        voice: hello\n",
        [(12, 16, "clients[0].numbers[0].voice", "must name its handler")]),
    "handle yourself with a list": (
        SMALL + "      - number: +13195550101\n        suppression_list: opted-out\n"
        "        sms: {handler: handle_yourself, url: https://a.example.edu}\n",
        [(14, 24, "clients[0].numbers[1].sms.handler", "STOP")]),
    "handle yourself in a service with a list": (
        SMALL + "      - number: +13195550101\n"
        "        sms: {handler: handle_yourself, url: https://a.example.edu}\n"
        "    messaging_services:\n      - name: outreach\n"
        "        sid: MG00000000000000000000000000000001\n"
        "        suppression_list: opted-out\n        numbers: [+13195550101]\n",
        [(13, 24, "clients[0].numbers[1].sms.handler", "STOP"),
         ]),
    "a service's number": (
        SMALL + "    messaging_services:\n      - name: outreach\n"
        "        sid: MG00000000000000000000000000000001\n"
        "        numbers: [+13195550100, +13195550109]\n",
        [(15, 33, "clients[0].messaging_services[0].numbers[1]", "no number “+13195550109”")]),
    "calls from a service": (
        SMALL + "    communications:\n      - {name: a, destination: voice, template: away,"
        " messaging_service: x}\n",
        [(13, 9, "clients[0].communications[0]", "places no calls")]),
    "texts with machine detection": (
        SMALL + "    communications:\n      - {name: a, destination: sms, template: news,"
        " from: +13195550100, machine_detection: hang_up}\n",
        [(13, 9, "clients[0].communications[0]", "machine_detection")]),
    "a communication of nothing": (
        SMALL + "    communications:\n      - name: a\n        destination: sms\n"
        "        template: away\n        population: x\n        suppression_list: y\n"
        "        from: +13195550108\n        steps: [{template: z, after: 1}]\n",
        [(15, 19, "clients[0].communications[0].template", "kind reply"),
         (16, 21, "clients[0].communications[0].population", "no population “x”"),
         (17, 27, "clients[0].communications[0].suppression_list", "no suppression list “y”"),
         (18, 15, "clients[0].communications[0].from", "no number “+13195550108”"),
         (19, 28, "clients[0].communications[0].steps[0].template", "no template “z”")]),
    "callbacks": (
        SMALL + "    callbacks:\n      message_status: {endpoint: x}\n"
        "      message_sent: {url: 'https://{{ host }}/', method: GET}\n"
        "      complete: {endpoint: x, method: GET}\n      done: {}\n",
        [(14, 27, "clients[0].callbacks.message_sent.url", "host"),
         (15, 17, "clients[0].callbacks.complete", "belong to a plain"),
         (16, 7, "clients[0].callbacks.done", "message_status")]),
    "an unknown endpoint of a callback": (
        SMALL + "    callbacks: {message_status: {endpoint: x}}\n",
        [(12, 44, "clients[0].callbacks.message_status.endpoint", "no endpoint “x”")]),
    "a template's syntax": (
        "clients:\n- name: a\n  templates:\n  - {name: a, kind: sms, body: 'Hi {{ name'}\n",
        [(4, 32, "clients[0].templates[0].body", "Line 1")]),
    "a template's length": (
        f"clients:\n- name: a\n  templates:\n  - {{name: a, kind: sms, body: {'x' * 1601}}}\n",
        [(4, 32, "clients[0].templates[0].body", "1601 characters")]),
    "a template without text": (
        "clients:\n- name: a\n  templates:\n  - {name: a, kind: sms}\n",
        [(4, 5, "clients[0].templates[0].body", "empty")]),
    "a template's media": (
        "clients:\n- name: a\n  templates:\n  - {name: a, kind: sms, body: b,"
        " media: ['ftp://a.example.edu/']}\n",
        [(4, 43, "clients[0].templates[0].media[0]", "https://")]),
    "a NUL": (
        'clients: [{name: a, owner_email: "a\\0@example.edu"}]',
        [(1, 34, "clients[0].owner_email", "NUL")]),
    "an alias of itself": ("clients: &a [*a]", [(1, 10, "clients[0]", "contains itself")]),
    "a broken item and what refers to it": (
        "clients:\n- name: a\n  templates: [{name: away, kind: replay, body: b}]\n"
        "  credentials: [{name: main, account_sid: x, auth_token: t}]\n"
        "  numbers:\n  - number: +13195550100\n    credential: main\n"
        "    sms: {handler: auto_reply, template: away}\n",
        [(3, 34, "clients[0].templates[0].kind", "reply, sms, voice"),
         (4, 43, "clients[0].credentials[0].account_sid", "AC and 32")]),
}  # fmt: skip


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_its_place_and_a_sentence_and_nothing_is_written(
    operator: Operator, rows: Rows, text: str, expected: list[tuple[int, int, str, str]]
) -> None:
    result = operator.apply(text)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    for line, (row, column, field, words) in zip(lines, expected, strict=False):
        where = f"{operator.file}:{row}:{column}: " + (f"{field}: " if field else "")
        assert line.startswith(where), result.stderr
        assert words in line, result.stderr
    count = len(expected)
    assert lines[count:] == [f"{count} mistake{'s' if count > 1 else ''}; nothing was changed."]
    assert set(everything(rows).values()) == {0}


def test_mistakes_of_every_sort_are_told_together(operator: Operator, rows: Rows) -> None:
    text = SMALL.replace("template: away}", "template: gone}") + "    time_zone: Iowa\n    x: 1\n"
    result = operator.apply(text + "    owner_email: ${NO_SUCH_NAME}\n")
    assert result.exit_code == 2
    assert [line.split(": ")[1] for line in result.stderr.splitlines()[:-1]] == [
        "clients[0].numbers[0].sms.template", "clients[0].time_zone", "clients[0].x",
        "clients[0].owner_email",
    ]  # fmt: skip
    assert rows.count(Client) == 0


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("section", ["api_keys: [{label: a, key: ${TYPO}}]",
                                     "endpoints: [{name: a, url: 'https://a.example.edu',"
                                     " secret: ${TYPO}}]"])  # fmt: skip
def test_a_secret_is_not_shown_in_a_mistake_either(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    monkeypatch.setenv("TYPO", "half-a-secret")
    result = operator.apply(f"clients: [{{name: a, {section}}}]")
    assert result.exit_code == 2
    assert "half-a-secret" not in result.output


class TestWhatPeopleChangedSince:
    """A template or route changed by anything but `flask apply` is left alone."""

    EDIT = SMALL.replace("body: Away.", "body: Gone.")

    def change_template(self, rows: Rows) -> Template:
        template = rows.one(select(Template).filter_by(name="away"))
        rows.change(update(Template).filter_by(id=template.id).values(current_version=2))
        rows.add(
            TemplateVersion(
                template_id=template.id, number=2, body="By Pat", created_by="pat@example.edu"
            )
        )
        return template

    def bodies(self, rows: Rows, template: Template) -> list[str]:
        query = select(TemplateVersion).filter_by(template_id=template.id)
        return [version.body for version in rows.all(query.order_by(TemplateVersion.number))]

    def test_a_template_is_left_alone_and_reported(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL)
        template = self.change_template(rows)
        printed = operator.change(self.EDIT)
        assert "template away was changed by pat@example.edu and is left alone" in printed
        assert "nothing to change" in printed
        assert self.bodies(rows, template) == ["Away.", "By Pat"]

    def test_force_makes_a_new_version(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL)
        template = self.change_template(rows)
        assert "template away: version 3" in operator.change(self.EDIT, "--force")
        assert self.bodies(rows, template) == ["Away.", "By Pat", "Gone."]

    def test_a_template_of_the_file_gets_a_version_only_when_it_differs(
        self, operator: Operator, rows: Rows
    ) -> None:
        operator.change(SMALL)
        assert "template away: version 2" in operator.change(self.EDIT)
        operator.change(self.EDIT)
        template = rows.one(select(Template).filter_by(name="away"))
        assert self.bodies(rows, template) == ["Away.", "Gone."]

    ROUTE = SMALL.replace("{handler: auto_reply, template: away}",
                          "{handler: handle_yourself, url: https://a.example.edu}")  # fmt: skip

    @pytest.mark.parametrize(
        ("options", "handler"), [((), Handler.AUTO_REPLY), (("--force",), Handler.HANDLE_YOURSELF)]
    )
    def test_a_route(
        self, operator: Operator, rows: Rows, options: tuple[str, ...], handler: Handler
    ) -> None:
        operator.change(SMALL)
        rows.change(update(Route).values(updated_by="pat@example.edu"))
        assert "nothing to change" in operator.change(SMALL)
        printed = operator.change(self.ROUTE, *options)
        assert ("is left alone" in printed) == (not options)
        assert rows.one(Route).handler is handler

    def test_a_route_of_the_file_is_changed(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL)
        operator.change(self.ROUTE)
        assert rows.one(Route).handler is Handler.HANDLE_YOURSELF

    def test_a_phone_that_was_taken_off_a_list(self, operator: Operator, rows: Rows) -> None:
        text = SMALL.replace("name: opted-out", 'name: opted-out, entries: ["+13195550199"]')
        operator.change(text)
        entry = rows.one(SuppressionEntry)
        rows.change(update(SuppressionEntry).values(lifted_at=entry.since))
        assert "stays off" in operator.change(text)
        assert rows.one(SuppressionEntry).lifted_at is not None
        operator.change(text, "--force")
        assert rows.one(SuppressionEntry).lifted_at is None

    def test_a_revoked_key_stays_revoked(self, operator: Operator, rows: Rows) -> None:
        text = SMALL + "    api_keys: [{label: sis, key: '${REGISTRAR_KEY}'}]\n"
        operator.change(text)
        rows.change(update(ApiKey).values(revoked_at=rows.one(ApiKey).created_at))
        assert "stays so" in operator.change(text)
        assert rows.one(ApiKey).revoked_at is not None

    def test_a_password_is_set_at_creation_only(self, operator: Operator, rows: Rows) -> None:
        text = SMALL + "    users: [{email: Pat@Example.edu, password: first-password}]\n"
        operator.change(text)
        before = rows.one(User)
        assert before.email == "pat@example.edu"
        assert operator.change(text.replace("first", "other")) == "nothing to change\n"
        assert rows.one(User).password_hash == before.password_hash


class TestWhatChanges:
    def test_the_changes_are_told(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL)
        text = SMALL.replace("sms: {handler", "rate: 2.5\n        sms: {handler")
        text = text.replace("auth_token: token", "auth_token: another-token")
        assert operator.change(text + "    international: true\n") == (
            "~ client registrar: international no → yes\n"
            "~ registrar: credential main: auth token changed\n"
            "~ registrar: number +13195550100: rate 1 → 2.5\n"
        )
        assert rows.one(Credential).auth_token == "another-token"
        assert rows.one(Sender).rate == 2.5

    def test_what_the_file_leaves_out_stays(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL + "    international: true\n    retention_days: 7\n")
        assert operator.change(SMALL) == "nothing to change\n"
        assert (rows.one(Client).international, rows.one(Client).retention_days) == (True, 7)
        assert operator.change("clients: []") == "nothing to change\n"
        assert rows.count(Client) == 1

    def test_null_takes_a_choice_back(self, operator: Operator, rows: Rows) -> None:
        chosen = SMALL.replace(
            "sms: {handler", "suppression_list: opted-out\n        sms: {handler"
        )
        operator.change(chosen + "    quiet_hours: {from: 21:00, to: 08:00}\n")
        assert rows.one(Sender).suppression_list_id is not None
        operator.change(chosen.replace(": opted-out\n", ": null\n") + "    quiet_hours: null\n")
        assert rows.one(Sender).suppression_list_id is None
        assert rows.one(Client).quiet_from is None

    def test_members_are_added_and_changed_but_never_removed(
        self, operator: Operator, rows: Rows
    ) -> None:
        def people(*members: str) -> str:
            listed = ", ".join(members)
            return f"clients: [{{name: a, populations: [{{name: p, members: [{listed}]}}]}}]"

        ada, kim = "{toPhone: '319 555 0111', n: Ada, year: 1}", "{toAddress: kim@example.edu}"
        operator.change(people(ada, kim))
        assert operator.change(people(kim, ada)) == "nothing to change\n"
        changed = operator.change(
            people("{toPhone: +13195550111, n: Ada Lovelace}", "{toPhone: 3195550112, n: Grace}")
        )
        assert "population p: 1 member added, 1 member changed" in changed
        found = [member.attributes for member in rows.all(select(Member).order_by(Member.id))]
        assert found == [
            {"toPhone": "+13195550111", "n": "Ada Lovelace", "year": 1},
            {"toAddress": "kim@example.edu"},
            {"toPhone": "+13195550112", "n": "Grace"},
        ]

    def test_members_keep_what_was_written(self, operator: Operator, rows: Rows) -> None:
        operator.change(
            "clients: [{name: a, populations: [{name: p, members: "
            "[{toPhone: +13195550111, id: 007, on: off, day: 2026-11-30, at: 21:00,"
            " price: 1.50, gone: null}]}]}]"
        )
        assert rows.one(Member).attributes == {
            "toPhone": "+13195550111", "id": "007", "on": "off", "day": "2026-11-30",
            "at": "21:00", "price": "1.50", "gone": None,
        }  # fmt: skip

    def test_members_have_attributes_of_any_json(self, operator: Operator, rows: Rows) -> None:
        people = (
            "clients: [{name: a, populations: [{name: p, members: [{toPhone: 3195550111, n: 7,"
            " courses: [{name: Algebra, room: 4}], paid: true, half: 0.5, text: '7'}]}]}]"
        )
        operator.change(people)
        assert operator.change(people) == "nothing to change\n"
        assert rows.one(Member).attributes == {
            "toPhone": "+13195550111", "n": 7, "courses": [{"name": "Algebra", "room": 4}],
            "paid": True, "half": 0.5, "text": "7",
        }  # fmt: skip

    def test_an_endpoint_without_a_secret_gets_one_which_is_shown_once(
        self, operator: Operator, rows: Rows
    ) -> None:
        text = "clients: [{name: a, endpoints: [{name: sis, url: 'https://sis.example.edu/'}]}]"
        assert "whsec_" not in operator.change(text, "--dry-run")
        printed = operator.change(text)
        secret = rows.one(EndpointSecret).secret
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
        assert secret in printed
        assert operator.change(text) == "nothing to change\n"

    def test_a_new_secret_leaves_the_old_one_for_a_day(
        self, operator: Operator, rows: Rows
    ) -> None:
        text = (
            "clients: [{name: a, endpoints: "
            "[{name: sis, url: 'https://sis.example.edu/', secret: %s}]}]"
        )
        operator.change(text % "'${SIS_SECRET}'")
        other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        assert "secret changed" in operator.change(text % other)
        found = {one.secret: one.expires_at for one in rows.all(EndpointSecret)}
        assert found[other] is None
        assert found[SECRETS["SIS_SECRET"]] is not None

    def test_a_secret_that_signs_beside_the_new_one_does_not_come_back(
        self, operator: Operator, rows: Rows
    ) -> None:
        text = (
            "clients: [{name: a, endpoints: "
            "[{name: sis, url: 'https://sis.example.edu/', secret: %s}]}]"
        )
        operator.change(text % "'${SIS_SECRET}'")
        operator.change(text % "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        refused = operator.apply(text % "'${SIS_SECRET}'")
        assert refused.exit_code == 2
        assert "secret: This secret is in use for this endpoint already." in refused.stderr
        assert rows.count(EndpointSecret) == 2

    def test_a_key_whose_end_has_come_meanwhile_is_no_mistake(
        self, operator: Operator, rows: Rows
    ) -> None:
        text = SMALL + "    api_keys: [{label: sis, key: '${REGISTRAR_KEY}', expires_at: %s}]\n"
        operator.change(text % "2099-01-01T00:00:00Z")
        rows.change(update(ApiKey).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
        assert operator.change(text % "2020-01-01T00:00:00Z") == "nothing to change\n"
        assert "has passed" in operator.apply(text % "2020-01-02T00:00:00Z").stderr

    def test_an_owner_may_hand_over_to_another(self, operator: Operator, rows: Rows) -> None:
        text = SMALL + "    users: [{email: pat@example.edu, role: %s}%s]\n"
        operator.change(text % ("owner", ""))
        assert "needs an owner" in operator.apply(text % ("staff", "")).stderr
        operator.change(text % ("staff", ", {email: lee@example.edu, role: owner}"))
        assert sorted(one.role for one in rows.all(Membership)) == [Role.OWNER, Role.STAFF]

    def test_another_recording_replaces_the_first(self, operator: Operator, rows: Rows) -> None:
        text = "clients: [{name: a, recordings: [{name: closed, file: closed.mp3}]}]"
        operator.change(text)
        first = rows.one(Media)
        (operator.file.parent / "closed.mp3").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(9))
        assert "recording closed: 21 bytes" in operator.change(text)
        media = {one.code: one for one in rows.all(Media)}
        assert media[rows.one(Recording).media_code].content_type == "audio/wav"
        assert media[first.code].expires_at is not None

    def test_a_null_callback_is_taken_away(self, operator: Operator, rows: Rows) -> None:
        text = (
            "clients: [{name: a, endpoints: [{name: sis, url: 'https://sis.example.edu/'}],"
            " callbacks: {complete: %s}}]"
        )
        operator.change(text % "{endpoint: sis}")
        assert rows.count(Callback) == 1
        assert operator.change(text % "null") == "~ a: callback complete\n"
        assert rows.count(Callback) == 0

    def test_a_number_moves_to_another_service(self, operator: Operator, rows: Rows) -> None:
        service = "      - {name: s%d, sid: MG0000000000000000000000000000000%d, numbers: [%s]}\n"
        base = SMALL + "    messaging_services:\n"
        operator.change(base + service % (1, 1, "+13195550100") + service % (2, 2, ""))
        operator.change(base + service % (1, 1, "") + service % (2, 2, "+13195550100"))
        senders = {one.address: one for one in rows.all(Sender)}
        assert senders["+13195550100"].service_id == senders["MG" + "0" * 31 + "2"].id

    def test_a_new_type_brings_its_rate(self, operator: Operator, rows: Rows) -> None:
        operator.change(SMALL)
        typed = SMALL.replace("sms: {handler", "sender_type: toll_free\n        sms: {handler")
        operator.change(typed)
        assert (rows.one(Sender).type, rows.one(Sender).rate) == (SenderType.TOLL_FREE, 3.0)

    def test_a_number_may_forward_only_to_what_is_no_number_of_ours(
        self, operator: Operator
    ) -> None:
        """Numbers further down in the file, and of other clients, count as well."""
        text = SMALL.replace("sms: {handler: auto_reply, template: away}",
                             "voice: {handler: call_forward, to: +13195550105}")  # fmt: skip
        text += (
            "  - name: library\n    credentials:\n    - {name: main, auth_token: t,"
            " account_sid: AC00000000000000000000000000000001}\n    numbers:\n"
            "    - {number: +13195550105, kind: %s}\n"
        )
        assert "circles" in operator.apply(text % "twilio").stderr
        operator.change(text % "verified")

    def test_aliases_and_merges_are_understood(self, operator: Operator, rows: Rows) -> None:
        operator.change(
            "clients:\n- name: a\n  templates:\n  - &t {name: one, kind: sms, body: Hi}\n"
            "  - {<<: *t, name: two}\n"
        )
        assert {template.name for template in rows.all(Template)} == {"one", "two"}
        assert {version.body for version in rows.all(TemplateVersion)} == {"Hi"}

    def test_a_dollar_sign_can_be_meant(self, operator: Operator, rows: Rows) -> None:
        operator.change(
            "clients: [{name: a, templates: [{name: t, kind: sms, body: 'Pay $5 $${X}'}]}]"
        )
        assert rows.one(TemplateVersion).body == "Pay $5 ${X}"


def test_a_file_that_is_not_there(flask_command: FlaskCliRunner) -> None:
    result = flask_command.invoke(args=["apply", "nowhere.yaml"])
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_a_file_in_another_encoding(operator: Operator) -> None:
    operator.file.write_bytes("clients:\n- name: Universität".encode("latin-1"))
    result = operator.runner.invoke(args=["apply", str(operator.file)])
    assert result.exit_code == 2
    assert f"{operator.file}:2:18: The file is not written in UTF-8." in result.stderr


@pytest.mark.database("sqlite")
def test_a_database_without_tables_is_explained(operator: Operator, rows: Rows) -> None:
    rows.change(text("DROP TABLE membership"))
    rows.change(text("DROP TABLE user"))
    result = operator.apply(SMALL + "    users: [{email: pat@example.edu}]\n")
    assert result.exit_code == 1
    assert "flask db upgrade" in result.stderr


class TestWhereCallsMayGoOn:
    """Templates stand before the numbers and endpoints that they go on to."""

    CALLING = SMALL.replace(
        "{name: news, kind: sms, body: News}",
        '{name: news, kind: voice, body: \'<Response><Gather action="https://ivr.example.edu/k"/>'
        '<Dial callerId="+13195550100" action="https://sis.example.edu/a">+13195550142</Dial>'
        "</Response>'}",
    )

    def test_its_own_numbers_endpoints_and_hosts_further_down_count(
        self, operator: Operator, rows: Rows
    ) -> None:
        text = self.CALLING + (
            "    endpoints: [{name: sis, url: 'https://sis.example.edu/hooks'}]\n"
            "    twiml_hosts: [IVR.example.edu]\n    sip_domains: [pbx.example.edu]\n"
            "    denied_networks: [10.20.0.0/16]\n"
        )
        operator.change(text)
        client = rows.one(Client)
        assert (client.twiml_hosts, client.sip_domains) == (
            ["ivr.example.edu"],
            ["pbx.example.edu"],
        )
        assert client.denied_networks == ["10.20.0.0/16"]
        assert operator.change(text) == "nothing to change\n"

    def test_what_is_not_its_own_is_a_mistake_at_its_place(
        self, operator: Operator, rows: Rows
    ) -> None:
        result = operator.apply(self.CALLING.replace('callerId="+13195550100"',
                                                     'callerId="+13195550199"'))  # fmt: skip
        assert result.exit_code != 0
        for said in (
            "clients[0].templates[1].body",
            "“ivr.example.edu” is no host of registrar",
            "“sis.example.edu” is no host",
            "+13195550199 is not a number of registrar",
        ):
            assert said in result.output
        assert rows.count(Client) == 0

    @pytest.mark.parametrize(
        "line", ["twiml_hosts: ['https://evil.test/']", "sip_domains: ['evil.test:5060']"]
    )
    def test_what_is_no_host_is_said(self, line: str, operator: Operator) -> None:
        assert "is not the name of a host" in operator.apply(f"{SMALL}    {line}\n").output

"""Two departments with everything that the API shows, and client systems that call for them."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.audience import Member, Population
from app.models.client import Client
from app.models.communication import Campaign, Communication
from app.models.credential import ApiKey, Credential, Scope
from app.models.endpoint import Endpoint, EndpointKind
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.support.rows import Rows
from tests.support.twilio import AUTH_TOKEN


@dataclass
class Department:
    """One client with one of each thing; ``key`` is the secret of its admin key."""

    client: Client
    key: str
    credential: Credential
    number: Sender
    service: Sender
    suppression: SuppressionList
    population: Population
    reply: Template
    reminder: Template
    closing: Template
    endpoint: Endpoint
    campaign: Campaign
    texts: Communication
    calls: Communication
    more: dict[str, Any] = field(default_factory=dict)


def api_key(client: Client, secret: str, **more: Any) -> ApiKey:
    """Make the row of an API key whose secret is ``secret``."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return ApiKey(client_id=client.id, key_sha256=digest, **{"label": secret, **more})


def department(rows: Rows, name: str, tail: str) -> Department:
    """Add a client called ``name`` whose number ends in ``tail`` (two digits)."""
    client = Client(name=name, owner_email=f"{name}@example.edu", twilio_enabled=True)
    rows.add(client)
    secret = f"{name}-key-of-at-least-32-characters-{tail}"
    credential = Credential(
        client_id=client.id, name="main", account_sid="AC" + tail * 16, auth_token=AUTH_TOKEN,
        api_key_sid="SK" + tail * 16, api_key_secret="secret",
    )  # fmt: skip
    suppression = SuppressionList(client_id=client.id, name="opted-out")
    population = Population(client_id=client.id, name="students")
    endpoint = Endpoint(
        client_id=client.id, kind=EndpointKind.WEBHOOK, name="sis",
        url=f"https://{name}.example.edu/hooks",
    )  # fmt: skip
    campaign = Campaign(client_id=client.id, name="spring")
    rows.add(
        credential, suppression, population, endpoint, campaign,
        api_key(client, secret, label="sis", scope=Scope.ADMIN),
    )  # fmt: skip
    reply = _template(rows, client, "away", TemplateKind.REPLY, "We are away.")
    reminder = _template(rows, client, "reminder", TemplateKind.SMS, "Hi {{ toName }}!")
    closing = _template(
        rows, client, "closing", TemplateKind.VOICE, "<Response><Say>Closed.</Say></Response>"
    )
    service = Sender(
        client_id=client.id, credential_id=credential.id, kind=SenderKind.MESSAGING_SERVICE,
        address="MG" + tail * 16, name="outreach", type=SenderType.LONG_CODE, rate=12,
    )  # fmt: skip
    number = Sender(
        client_id=client.id, credential_id=credential.id, kind=SenderKind.TWILIO,
        address=f"+131955501{tail}", type=SenderType.LONG_CODE, rate=1,
        twilio_sid="PN" + tail * 16,
    )  # fmt: skip
    rows.add(service, number)
    texts = _communication(client, campaign, "reminders", Destination.SMS, reminder, number)
    calls = _communication(client, campaign, "closing-call", Destination.VOICE, closing, number)
    texts.population_id = calls.population_id = population.id
    made = Department(
        client, secret, credential, number, service, suppression, population, reply, reminder,
        closing, endpoint, campaign, texts, calls,
    )  # fmt: skip
    rows.add(
        made.texts, made.calls,
        Member(
            roll=population.id,
            attributes={"toName": "Ann", "toPhone": "+13195550150", "major": "Art"},
        ),
        Route(
            client_id=client.id, sender_id=number.id, destination=Destination.SMS,
            handler=Handler.AUTO_REPLY, template_id=reply.id, updated_by="test",
        ),
    )  # fmt: skip
    return made


def _template(rows: Rows, client: Client, name: str, kind: TemplateKind, body: str) -> Template:
    template = Template(client_id=client.id, name=name, kind=kind)
    template.versions.append(TemplateVersion(number=1, body=body, created_by="test"))
    rows.add(template)
    return template


def _communication(
    client: Client, campaign: Campaign, name: str, destination: Destination, template: Template,
    sender: Sender,
) -> Communication:  # fmt: skip
    return Communication(
        client_id=client.id, campaign_id=campaign.id, name=name, destination=destination,
        template_id=template.id, sender_id=sender.id,
    )  # fmt: skip


class Caller:
    """A client system: calls the API as existing clients do, without a Content-Type."""

    def __init__(self, http: FlaskClient, headers: dict[str, str]) -> None:
        self.http = http
        self.headers = headers

    @classmethod
    def by_header(cls, http: FlaskClient, department: Department) -> Caller:
        return cls(http, {"x-dispatch-api-key": department.key})

    @classmethod
    def by_basic(cls, http: FlaskClient, department: Department) -> Caller:
        pair = f"{department.client.name}:{department.key}".encode()
        return cls(http, {"Authorization": "Basic " + b64encode(pair).decode()})

    def get(self, url: str, **headers: str) -> TestResponse:
        return self._call("GET", url, None, headers)

    def post(self, url: str, body: Any = None, **headers: str) -> TestResponse:
        return self._call("POST", url, body, headers)

    def put(self, url: str, body: Any = None, **headers: str) -> TestResponse:
        return self._call("PUT", url, body, headers)

    def delete(self, url: str, **headers: str) -> TestResponse:
        return self._call("DELETE", url, None, headers)

    def _call(self, method: str, url: str, body: Any, headers: dict[str, str]) -> TestResponse:
        path = url if "://" in url else f"/api/v1/{url}"
        data = json.dumps(body) if body is not None else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.open(path, method=method, data=data, headers={**self.headers, **named})

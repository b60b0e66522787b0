"""A client with a credential and a number, for tests that are about something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.models.audience import Member, Population
from app.models.base import new_id
from app.models.client import Client
from app.models.communication import Campaign, Communication, CommunicationStep
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender, SenderKind, SenderType
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN


@dataclass
class House:
    """The rows that everything else hangs on."""

    client: Client
    credential: Credential
    sender: Sender


def furnish(
    rows: Rows,
    *,
    address: str = "+13195550100",
    rate: float = 1.0,
    kind: SenderKind = SenderKind.TWILIO,
    sender_type: SenderType = SenderType.LONG_CODE,
    account_sid: str = ACCOUNT_SID,
    **client: Any,
) -> House:
    """Add a client, enabled for Twilio unless told otherwise, with one credential and sender."""
    owner = Client(
        id=new_id(),
        name=f"client {address}",
        owner_email="owner@example.edu",
        **{"twilio_enabled": True, **client},
    )
    rows.add(owner)
    credential = Credential(
        id=new_id(),
        client_id=owner.id,
        name="main",
        account_sid=account_sid,
        auth_token=AUTH_TOKEN,
    )
    rows.add(credential)
    sender = Sender(
        id=new_id(),
        client_id=owner.id,
        credential_id=credential.id,
        kind=kind,
        address=address,
        type=sender_type,
        rate=rate,
    )
    rows.add(sender)
    return House(owner, credential, sender)


def text(house: House, **changes: Any) -> Message:
    """Make a text of ``house``, not yet stored, that waits in its sender's lane."""
    values: dict[str, Any] = {
        "id": new_id(),
        "client_id": house.client.id,
        "destination": Destination.SMS,
        "sender_id": house.sender.id,
        "credential_id": house.credential.id,
        "to": "+13195550150",
        "from_": house.sender.address,
        "body": "Hello",
        "segments": 1,
        "state": MessageState.WAITING,
        "lane_key": f"sms:{house.sender.id}",
        "due_at": datetime.now(UTC),
    }
    return Message(**{**values, **changes})


def communication(rows: Rows, house: House, *bodies: str, **changes: Any) -> Communication:
    """Add a communication that says the first of ``bodies``; the others are its steps."""
    client_id = house.client.id
    population = Population(id=new_id(), client_id=client_id, name=f"students {new_id()}")
    campaign = Campaign(id=new_id(), client_id=client_id, name=f"spring {new_id()}")
    kind = (
        TemplateKind.VOICE if changes.get("destination") is Destination.VOICE else TemplateKind.SMS
    )
    templates = []
    for body in bodies or ("Hi {{ toName }}",):
        template = Template(id=new_id(), client_id=client_id, name=f"t {new_id()}", kind=kind)
        template.versions = [TemplateVersion(number=1, body=body, created_by="pat")]
        templates.append(template)
    rows.add(population, campaign, *templates)
    values: dict[str, Any] = {
        "id": new_id(),
        "client_id": client_id,
        "campaign_id": campaign.id,
        "name": "reminder",
        "destination": Destination.SMS,
        "template_id": templates[0].id,
        "population_id": population.id,
        "sender_id": house.sender.id,
        "steps": [
            CommunicationStep(position=position, template_id=template.id, after=0)
            for position, template in enumerate(templates[1:], 1)
        ],
    }
    made = Communication(**{**values, **changes})
    rows.add(made)
    return made


def join(rows: Rows, made: Communication, *people: dict[str, Any]) -> None:
    """Add members to the communication's population."""
    assert made.population_id is not None
    rows.add(*(Member(roll=made.population_id, attributes=person) for person in people))

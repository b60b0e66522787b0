"""A client with a credential and a number, for tests that are about something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.models.base import new_id
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Channel
from app.models.sender import Sender, SenderKind, SenderType
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
        "destination": Channel.SMS,
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

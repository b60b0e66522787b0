"""A client with a number, an endpoint and a message: rows that many tests begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.models.base import new_id
from app.models.client import Client
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind, EndpointSecret
from app.models.message import Message
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN

# The example secret of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Department:
    """A client with one number; everything else is made when it is asked for."""

    rows: Rows
    client: Client
    credential: Credential
    number: Sender

    def endpoint(self, url: str = "https://sis.example.edu/hooks", **columns: Any) -> Endpoint:
        """Write an endpoint: a webhook with the example secret unless `kind` says otherwise."""
        kind = columns.setdefault("kind", EndpointKind.WEBHOOK)
        columns.setdefault("name", f"endpoint {new_id()}")
        endpoint = Endpoint(id=new_id(), client_id=self.client.id, url=url, **columns)
        self.rows.add(endpoint)
        if kind is EndpointKind.WEBHOOK:
            self.rows.add(EndpointSecret(endpoint_id=endpoint.id, secret=SECRET))
        return endpoint

    def service(self, address: str = "MG" + "0" * 32) -> Sender:
        """Write a messaging service of the same account."""
        service = Sender(
            client_id=self.client.id, credential_id=self.credential.id, address=address,
            kind=SenderKind.MESSAGING_SERVICE, name=address, rate=1.0,
        )  # fmt: skip
        self.rows.add(service)
        return service

    def other_number(self, address: str) -> Sender:
        """Write another number of the same account."""
        number = Sender(
            client_id=self.client.id, credential_id=self.credential.id, address=address,
            kind=SenderKind.TWILIO, rate=1.0,
        )  # fmt: skip
        self.rows.add(number)
        return number

    def text(self, to: str = "+13195550150", **columns: Any) -> Message:
        """Write an outgoing text."""
        columns.setdefault("sender_id", self.number.id)
        message = Message(
            client_id=self.client.id, credential_id=self.credential.id, destination=Destination.SMS,
            to=to, from_=self.number.address, **{"body": "Your class starts Monday.", **columns},
        )  # fmt: skip
        self.rows.add(message)
        return message


def department(rows: Rows, name: str = "registrar", number: str = "+13195550100") -> Department:
    """Write a client that may use Twilio, with a credential and one long-code number."""
    client = Client(id=new_id(), name=name, owner_email=f"{name}@example.edu", twilio_enabled=True)
    credential = Credential(
        id=new_id(), client_id=client.id, name="main", account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
    )  # fmt: skip
    sender = Sender(
        id=new_id(), client_id=client.id, credential_id=credential.id, address=number,
        kind=SenderKind.TWILIO, rate=1.0,
    )  # fmt: skip
    rows.add(client)
    rows.add(credential)
    rows.add(sender)
    return Department(rows, client, credential, sender)

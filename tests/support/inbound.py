"""A department with a number, as the tests of incoming texts and calls need it."""

from __future__ import annotations

from typing import Any

from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination, Handler, KeywordRule, Route
from app.models.sender import DEFAULT_RATES, Sender, SenderKind, SenderType
from app.models.suppression import SuppressionList
from app.models.template import Template, TemplateKind, TemplateVersion
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN

NUMBER = "+13195550100"
PHONE = "+13195550150"
AWAY = "This is an automated service. Please call 319-335-0000."


class Department:
    """A client with a credential, to which numbers, templates and routes are added."""

    def __init__(
        self,
        rows: Rows,
        name: str = "registrar",
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        next_auth_token: str | None = None,
        **client: Any,
    ) -> None:
        self.rows = rows
        self.client = Client(
            name=name,
            owner_email=f"{name}@example.edu",
            **{"twilio_enabled": True, **client},
        )
        rows.add(self.client)
        self.credential = Credential(
            client_id=self.client.id,
            name="main",
            account_sid=account_sid,
            auth_token=auth_token,
            next_auth_token=next_auth_token,
        )
        rows.add(self.credential)

    def number(self, address: str = NUMBER, **columns: Any) -> Sender:
        """Add a number at Twilio."""
        return self._sender(address, SenderKind.TWILIO, **columns)

    def service(self, sid: str, **columns: Any) -> Sender:
        """Add a messaging service."""
        return self._sender(sid, SenderKind.MESSAGING_SERVICE, name="outreach", **columns)

    def _sender(
        self,
        address: str,
        kind: SenderKind,
        type: SenderType = SenderType.LONG_CODE,
        **columns: Any,
    ) -> Sender:
        sender = Sender(
            client_id=self.client.id,
            credential_id=self.credential.id,
            kind=kind,
            address=address,
            type=type,
            rate=DEFAULT_RATES[type],
            **columns,
        )
        self.rows.add(sender)
        return sender

    def suppression_list(self, name: str = "opted-out") -> SuppressionList:
        """Add a suppression list."""
        made = SuppressionList(client_id=self.client.id, name=name)
        self.rows.add(made)
        return made

    def template(
        self,
        body: str = AWAY,
        name: str = "away",
        kind: TemplateKind = TemplateKind.REPLY,
        media: tuple[str, ...] = (),
    ) -> Template:
        """Add a template with one version."""
        made = Template(client_id=self.client.id, name=name, kind=kind)
        self.rows.add(made)
        self.rows.add(
            TemplateVersion(
                template_id=made.id, number=1, body=body, media=list(media), created_by="test"
            )
        )
        return made

    def route(
        self,
        sender: Sender,
        handler: Handler,
        destination: Destination = Destination.SMS,
        **columns: Any,
    ) -> Route:
        """Say what a sender does with what comes in."""
        made = Route(
            client_id=self.client.id,
            sender_id=sender.id,
            destination=destination,
            handler=handler,
            updated_by="test",
            **columns,
        )
        self.rows.add(made)
        return made

    def keyword(self, route: Route, word: str, template: Template, position: int = 0) -> None:
        """Add a keyword rule to an auto-reply."""
        self.rows.add(
            KeywordRule(route_id=route.id, match=word, position=position, template_id=template.id)
        )

    def auto_reply(self, body: str = AWAY, address: str = NUMBER, **columns: Any) -> Sender:
        """Add a number that answers every text with ``body``."""
        sender = self.number(address, **columns)
        template = self.template(body, name=f"away {address}")
        self.route(sender, Handler.AUTO_REPLY, template_id=template.id)
        return sender

"""Files that texts may show: kept by Dispatch and served to Twilio."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from pydantic import Field
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.idempotency import once
from app.api.operation import Answer, operation
from app.api.problem import invalid
from app.api.reading import Shape
from app.api.urls import Url
from app.domain import urls
from app.domain.content import attachments, vcards
from app.models.client import Client
from app.models.credential import Scope


class ContactBody(Shape):
    """What a contact card says: a name, and a phone or an e-mail address."""

    name: str = Field(max_length=1000)
    phone: str = Field("", max_length=1000)
    email: str = Field("", max_length=1000)
    organization: str = Field("", max_length=1000)
    url: str = Field("", max_length=1000)


class MediaBody(Shape):
    """A file, or a contact card to be made: one of the two."""

    filename: str = Field("", max_length=1000, description="Needed with `content`.")
    content: str | None = Field(None, description="The file's bytes in Base64; 5 MB at most.")
    vcard: ContactBody | None = Field(None, description="A vCard is made of this.")


class MediaObject(Shape):
    """A file that anybody with its URL can fetch."""

    url: Url = Field(description="For `media` of a message.")
    content_type: str
    size: int = Field(description="Bytes.")
    expires_at: datetime | None = Field(
        description="The end of retention; a template that shows the file keeps it longer."
    )
    warnings: list[str]


@operation(
    "POST",
    "/media",
    Scope.SEND,
    {201: MediaObject},
    example={"vcard": {"name": "Registrar", "phone": "+13195550100"}},
)
def upload(caller: Caller, body: MediaBody) -> Answer:
    """Keep a file for texts to show.

    What it is is told by its content. Twilio takes the usual kinds of pictures, audio and video,
    PDF and vCards; all of one message together may have 5 MB.
    """
    filename, content = _file(body)

    def make(session: Session) -> Answer:
        client = session.get_one(Client, caller.client_id)
        kept = attachments.keep(session, client, filename, content)
        url = urls.of_media(kept.code)
        made = MediaObject(
            url=url,
            content_type=kept.content_type,
            size=len(content),
            expires_at=kept.expires_at,
            warnings=attachments.inspect(session, client.id, [url]).advice,
        )
        return Answer(201, made)

    return once(caller, body, make)


def _file(body: MediaBody) -> tuple[str, bytes]:
    if (body.content is None) == (body.vcard is None):
        raise invalid("content", "one_of", "Give exactly one of content and vcard.")
    if body.vcard is not None:
        contact = vcards.Contact(**body.vcard.model_dump(by_alias=False))
        return "contact.vcf", vcards.write(contact)
    try:
        return body.filename, base64.b64decode(body.content or "", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("content", "not_base64", "content is not Base64.") from None

"""People by their phones: all that is known of one, given out or erased on their request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from app.api.auth import Caller
from app.api.operation import operation
from app.api.problem import HttpProblem
from app.api.reading import Shape
from app.api.shapes import Phone as PathPhone
from app.domain.mistakes import Refused
from app.domain.persons import digests, erasing, known
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.credential import Scope

_PHONE: TypeAdapter[str] = TypeAdapter(PathPhone)
Things = list[dict[str, Any]]


class PersonObject(Shape):
    """All that the client knows of a person."""

    client: str
    phone: str
    at: datetime = Field(description="When this was written.")
    name: str | None
    lists: Things = Field(description="Populations they are in, with all attributes.")
    line_type: str | None = Field(
        description="What kind of line Twilio Lookup has told that it is, such as `landline`."
    )
    opt_outs: Things
    conversations: Things = Field(description="With your people's notes.")
    received: Things = Field(description="Texts and calls from them.")
    sent: Things = Field(description="Texts and calls to them.")
    voice_messages: Things
    links: Things = Field(description="Short links they were sent, and when each was opened.")
    last_texts: Things
    dates_told: Things = Field(description="Dates of theirs that they were reminded of.")
    waiting_in_batches: Things
    told: Things = Field(description="What your systems and mailboxes were told of them.")


class ReceiptObject(Shape):
    """What was erased."""

    phone: str
    erased: dict[str, int] = Field(description="How much of each kind.")
    digest: str = Field(description="Stands in your history in place of the phone.")


@operation("GET", "/people/<phone>", Scope.ADMIN, {200: PersonObject})
def show(caller: Caller, phone: str) -> PersonObject:
    """Give out all that is known of a person; the history notes that it was given out."""
    number = _read(phone)
    with unit_of_work() as session:
        client = session.get_one(Client, caller.client_id)
        found = known.export(session, client, number, caller.actor)
    if found is None:
        raise _unknown()
    return PersonObject.model_validate(found)


@operation("DELETE", "/people/<phone>", Scope.ADMIN, {200: ReceiptObject}, problems=(409,))
def erase(caller: Caller, phone: str) -> ReceiptObject:
    """Erase a person: words, name and phone go, waiting texts are canceled.

    Opt-outs stay, and each message as what it cost, without a word or a phone (`erased` stands in
    its place). 409 while something to them is under way.
    """
    number = _read(phone)
    try:
        receipt = erasing.erase(caller.client_id, number, caller.actor)
    except Refused as refused:
        raise HttpProblem(409, str(refused)) from None
    if receipt is None:
        raise _unknown()
    return ReceiptObject(phone=number, erased=receipt, digest=digests.of(number))


def _read(phone: str) -> str:
    try:
        return _PHONE.validate_python(phone)
    except ValidationError:
        raise _unknown() from None


def _unknown() -> HttpProblem:
    return HttpProblem(404, "Nothing is known of this phone.")

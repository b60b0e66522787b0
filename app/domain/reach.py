"""Who may be reached: every rule with its one sentence, asked at every door.

Single messages, batches, claims, replies by TwiML, forwarded calls, TwiML that dials, routes when
they are saved, and previews: each brings a :class:`Standing` and asks the same two questions, may
anything go out at all (:func:`silence`), and may it go to this phone (:func:`why_not`).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.domain import phone_kinds, phones
from app.models.client import Client
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import Sender, SenderKind
from app.twilio import errors

SUPPRESSED = "This phone has opted out of texts from this sender."
_REASONS = {"invalid_phone", "not_allowed", "suppressed", "template_error"}


class Refusal(ValueError):
    """A message that may not go out: a code for programs and a sentence for people.

    ``field`` is the part of a request that is at fault (``to``, ``from``, ``body``, ``media``,
    ``client``). ``error_code`` is Twilio's, of a phone that it cannot reach.
    """

    def __init__(self, code: str, sentence: str, field: str, error_code: int | None = None) -> None:
        super().__init__(sentence)
        self.error_code = error_code
        self.code = code
        self.sentence = sentence
        self.field = field

    @property
    def reason(self) -> str:
        """The reason as ``message.problem`` names it."""
        return self.code if self.code in _REASONS else "refused"


@dataclass(frozen=True, slots=True)
class Listed:
    """Why a phone must not be texted."""

    code: int | None = None
    """Twilio's code of a phone that cannot be reached; None where the person has opted out."""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def sentence(self) -> str:
        """Say it for people."""
        if self.code is None:
            return SUPPRESSED
        told = f", {self.since:%Y-%m-%d}" if self.since else ""
        ends = f" It may be tried again from {self.until:%Y-%m-%d}." if self.until else ""
        return (
            f"This phone cannot be reached by text (Twilio's error {self.code}{told})."
            f" {errors.explain(self.code)}{ends}"
        )


OPTED_OUT_LISTED = Listed()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client, and the sender it would use, stand with Dispatch and Twilio just now."""

    client: str
    """Its name."""
    enabled: bool
    halted: bool
    international: bool
    allow_list: Sequence[str]
    trial: str | None = None
    """What is on trial, so that the allow-list alone is reached: half a sentence; else None."""
    stopped: str | None = None
    """That the sender, or its Twilio account, has been stopped, and why: a sentence; else None."""
    address: str | None = None
    """The sender's own; None while it is not known."""


def standing(
    client: Client, sender: Sender | None = None, credential: Credential | None = None
) -> Standing:
    """Return how ``client`` stands with this sender and credential, as far as they are known."""
    return Standing(
        client=client.name,
        enabled=client.twilio_enabled,
        halted=client.halted_at is not None,
        international=client.international,
        allow_list=client.allow_list,
        trial=on_trial(
            client.name if client.trial else None,
            credential.name if credential is not None and credential.trial else None,
        ),
        stopped=stopping(sender, credential),
        address=sender.address if sender is not None else None,
    )


def on_trial(client: str | None, credential: str | None) -> str | None:
    """Say what is on trial: the client of this name, or the account of that credential's.

    Twilio's trial accounts reach verified phones only: those belong on the allow-list.
    """
    if client is not None:
        return f"{client} is on trial"
    if credential is not None:
        return f"the Twilio account of the credential “{credential}” is a trial account"
    return None


def stopping(sender: Sender | None, credential: Credential | None) -> str | None:
    """Say that the sender, or its Twilio account, has been stopped, and why; None if it was not."""
    for one in (sender, credential):
        if sender is not None and one is not None and one.stopped_at is not None:
            return stopped(sender.name or sender.address, one.stopped_reason)
    return None


def stopped(name: str, reason: str | None) -> str:
    """Say that the sender of this name has been stopped, and why."""
    return f"{name} has been stopped: {reason or 'it may not be used.'}"


def silence(standing: Standing) -> Refusal | None:
    """Return why nothing goes out at all, whoever it is for: ``not_enabled``, ``halted`` or
    ``sender_stopped``; None while the client and the sender may send."""
    if not standing.enabled:
        sentence = f"Twilio is not enabled for {standing.client}; ask support to enable it."
        return Refusal("not_enabled", sentence, "client")
    if standing.halted:
        sentence = f"{standing.client} is halted: support has stopped all sending; ask support."
        return Refusal("halted", sentence, "client")
    if standing.stopped is not None:
        return Refusal("sender_stopped", standing.stopped, "from")
    return None


def handing_over(standing: Standing) -> Refusal | None:
    """Return why no system of the client's own may answer in place of Dispatch: ``not_allowed``.

    On trial the allow-list alone is reached, and nobody here sees whom another system reaches.
    """
    if standing.trial is None:
        return None
    trial = f"{standing.trial[:1].upper()}{standing.trial[1:]}"
    return Refusal("not_allowed", f"{trial}, so another system may not answer for it.", "url")


def why_not(
    standing: Standing,
    to: str,
    destination: Destination,
    ours: Container[str] = (),
    listed: Listed | None = None,
) -> Refusal | None:
    """Return why this phone may not be texted or called: ``not_allowed`` or ``suppressed``.

    :param to: in E.164, or whatever Twilio gave as From.
    :param ours: the numbers at Twilio among those that are asked about (:func:`own_numbers`):
        whatever went to one would come back to us.
    :param listed: why it is on the suppression list that counts; calls have none.
    """
    sentence = (
        phone_kinds.refusal(to, standing.international, destination)
        or _trial(standing, to)
        or _own(standing, to, destination, ours)
    )
    if sentence is not None:
        return Refusal("not_allowed", sentence, "to")
    if listed is not None and destination is Destination.SMS:
        return suppressed(listed)
    return None


def suppressed(listed: Listed) -> Refusal:
    """Return the refusal of a text to a phone on a suppression list."""
    return Refusal("suppressed", listed.sentence, "to", listed.code)


def normalized(written: str) -> str:
    """Return a phone, as people write it, in E.164.

    :raises Refusal: ``invalid_phone``.
    """
    try:
        return phones.normalize(written)
    except phones.InvalidPhone as error:
        raise Refusal("invalid_phone", error.reason, "to") from error


def own_numbers(session: Session, among: Collection[str]) -> set[str]:
    """Return those of these phones that are numbers at Twilio, of any client.

    Not what is written down under an account that Twilio has not confirmed: anybody could keep
    others from reaching a phone.
    """
    if not among:
        return set()
    return set(session.scalars(_OWN_NUMBERS, {"among": list(among)}))


def _trial(standing: Standing, to: str) -> str | None:
    if standing.trial is None or to in standing.allow_list:
        return None
    return f"{to} is not on the allow-list, and {standing.trial}."


def _own(standing: Standing, to: str, destination: Destination, ours: Container[str]) -> str | None:
    if to == standing.address:
        return f"{to} is the sender itself; it would go in circles."
    if to in ours:
        verb = "texted" if destination is Destination.SMS else "called"
        return f"{to} is one of our own numbers, never {verb} from here; it would go in circles."
    is_test = standing.address is not None and standing.address.startswith(
        phone_kinds.TWILIO_TEST_NUMBERS
    )
    if (
        standing.address is not None
        and to.startswith(phone_kinds.TWILIO_TEST_NUMBERS)
        and not is_test
    ):
        return f"{to} is one of Twilio's test numbers, which work with test credentials only."
    return None


_OWN_NUMBERS = (
    select(Sender.address)
    .join(Credential, Credential.id == Sender.credential_id)
    .where(
        Sender.address.in_(bindparam("among", expanding=True)),
        Sender.kind == SenderKind.TWILIO,
        Credential.unconfirmed_since.is_(None),
    )
)

"""Lanes: the queue of one sender (texts) or of one Twilio account (calls), and its pace."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain.restoring.installation import ensure as ensure_installation
from app.models.base import insert_into
from app.models.credential import Credential
from app.models.message import Lane
from app.models.route import Destination
from app.models.sender import Sender


def text_lane(sender: Sender) -> str:
    """Return the key of the lane of ``sender``'s texts.

    A number inside a messaging service has no lane of its own: it shares its service's.
    """
    return f"sms:{sender.service_id or sender.id}"


def call_lane(credential: Credential) -> str:
    """Return the key of the lane of all calls of one Twilio account.

    An account that Twilio has not confirmed has a lane for each client that claims it.
    """
    confirmed = credential.unconfirmed_since is None
    return f"voice:{credential.account_sid if confirmed else credential.id}"


def ensure_lane(
    session: Session, sender: Sender, destination: Destination, credential: Credential
) -> str:
    """Return the key of the lane that a message of ``sender`` waits in, and make that lane.

    Its rate follows the sender's (segments per second) or the account's (calls per second; the
    lowest where several credentials share the account, of those that Twilio has confirmed).
    """
    if destination is Destination.VOICE:
        key = call_lane(credential)
        rate = _rate_of(session, key)
    else:
        key = text_lane(sender)
        owner = session.get_one(Sender, sender.service_id) if sender.service_id else sender
        rate = owner.rate
    lane = session.get(Lane, key)
    if lane is None:
        ensure_installation(session)
        _insert_lane(session, key, rate)
    elif lane.rate != rate:
        session.execute(update(Lane).where(Lane.key == key).values(rate=rate))
    return key


def make(session: Session, key: str) -> None:
    """Make the lane of messages that have been put into it already.

    :raises LookupError: when its sender or account is not there.
    """
    _insert_lane(session, key, _rate_of(session, key))


def _rate_of(session: Session, key: str) -> float:
    """Return the pace of a lane, asked for without reading anything that is encrypted."""
    kind, _, name = key.partition(":")
    if kind == Destination.SMS:
        rate = session.scalar(select(Sender.rate).where(Sender.id == name))
    else:
        slowest = select(func.min(Credential.calls_per_second))
        rate = session.scalar(
            slowest.where(Credential.account_sid == name, Credential.unconfirmed_since.is_(None))
        ) or session.scalar(
            slowest.where((Credential.id == name) | (Credential.account_sid == name))
        )
    if rate is None:
        raise LookupError(f"nothing has the lane {key}")
    return rate


def _insert_lane(session: Session, key: str, rate: float) -> None:
    insert = insert_into(session, Lane).values(key=key, rate=rate, next_slot_us=0)
    session.execute(insert.on_conflict_do_nothing(index_elements=["key"]))

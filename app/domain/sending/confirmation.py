"""Whether a Twilio account is its client's: Twilio itself is asked before anything rests on it.

Anybody can write down any account's SID. Until Twilio has taken the SID with the auth token, what
is to be sent waits, the token verifies requests for the client's own numbers only, and the account
shares no lane with others. Who had an account before this was asked counts as confirmed until
Twilio refuses it.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.domain.relaying import notices
from app.domain.sending import lanes
from app.extensions import current_settings
from app.models.batch import Batch
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.twilio.client import RefusedByTwilio, TwilioClient, TwilioFailure

log = structlog.get_logger(__name__)

LOOP = "confirm"
AGAIN = timedelta(seconds=10)
"""How soon Twilio is asked again when it could not be asked."""
TIMEOUT = (3.0, 7.0)
AT_ONCE = 8
REFUSED = (
    "Twilio refuses this auth token for this account SID. Copy both again from Twilio's console."
)
UNCONFIRMED = (
    "is unconfirmed: Twilio could not be asked about it. What is sent with it waits; Twilio is"
    " asked again every 10 seconds."
)

Login = tuple[str, str]
"""An account's SID and an auth token."""


class Word(enum.StrEnum):
    """Twilio's word on a login; unknown when it could not be asked, or said something else."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unconfirmed"


Words = Mapping[Login, Word]


def ask(logins: Collection[Login]) -> Words:
    """Ask Twilio about logins, several at once. Never within a transaction: this takes seconds."""
    base = current_settings().twilio_api_base_url
    wanted = sorted(set(logins))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="confirm") as pool:
        return dict(zip(wanted, pool.map(partial(_ask, base), wanted), strict=True))


def _ask(base_url: str | None, login: Login) -> Word:
    account_sid, token = login
    twilio = TwilioClient(account_sid, account_sid, token, base_url=base_url, timeout=TIMEOUT)
    try:
        return Word.CONFIRMED if twilio.fetch_account() == account_sid else Word.UNKNOWN
    except RefusedByTwilio as refused:
        log.info("Twilio says no about an account", account=account_sid, status=refused.status)
        return Word.REFUSED if refused.status in (401, 403) else Word.UNKNOWN
    except TwilioFailure as failure:
        log.warning(
            "Twilio cannot be asked about an account", account=account_sid, why=str(failure)
        )
        return Word.UNKNOWN


def new_logins(
    known: Credential | None, account_sid: str, tokens: Iterable[str | None]
) -> list[Login]:
    """Return the logins of a credential to be saved that Twilio has not taken yet.

    :param known: as it is saved, if it is; what is confirmed of it is not asked about again.
    """
    kept = (
        known is not None and known.unconfirmed_since is None and known.account_sid == account_sid
    )
    old = known.auth_tokens if known is not None and kept else ()
    return [(account_sid, token) for token in tokens if token and token not in old]


def refused(words: Words, logins: Iterable[Login]) -> list[Login]:
    """Return the logins that Twilio refuses."""
    return [login for login in logins if words.get(login) is Word.REFUSED]


def saved(session: Session, credential: Credential, logins: Iterable[Login], words: Words,
          now: datetime) -> bool:  # fmt: skip
    """Note what Twilio says about the new logins of a credential; return whether it may be used.

    One that changed between the question and the transaction counts as not asked about.
    """
    logins = list(logins)
    if not logins:
        return credential.unconfirmed_since is None
    credential.asked_at = now
    if all(words.get(login) is Word.CONFIRMED for login in logins):
        confirm(session, credential)
        return True
    credential.unconfirmed_since = credential.unconfirmed_since or now
    return False


def confirm(session: Session, credential: Credential) -> None:
    """Let a credential be used; calls that wait join the lane of its account."""
    if credential.unconfirmed_since is None:
        return
    own = lanes.call_lane(credential)
    credential.unconfirmed_since = None
    session.flush()
    account = lanes.call_lane(credential)
    lanes.make(session, account)
    session.execute(
        update(Batch)
        .where(Batch.lane_key == own)
        .values(lane_key=account)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Message)
        .where(
            Message.credential_id == credential.id,
            Message.lane_key == own,
            Message.state == MessageState.WAITING,
        )
        .values(lane_key=account)
        .execution_options(synchronize_session=False)
    )


def heard(session: Session, credential: Credential, words: Words, now: datetime) -> bool:
    """Note what Twilio says about a saved credential; return whether it may send from now on.

    One that was confirmed stays so while any of its tokens is taken: during a rotation the old one
    is refused some time.
    """
    said = [words[login] for login in logins_of(credential)]
    credential.asked_at = now
    if credential.unconfirmed_since is None:
        if all(word is Word.REFUSED for word in said):
            _refuse(session, credential, now)
        return False
    if Word.REFUSED in said:
        _refuse(session, credential, now)
        return False
    if all(word is Word.CONFIRMED for word in said):
        confirm(session, credential)
        return True
    return False


def logins_of(credential: Credential) -> list[Login]:
    """Return the logins of a credential."""
    return [(credential.account_sid, token) for token in credential.auth_tokens]


def _refuse(session: Session, credential: Credential, now: datetime) -> None:
    credential.unconfirmed_since = credential.unconfirmed_since or now
    if credential.stopped_at is None:
        credential.stopped_at, credential.stopped_reason = now, REFUSED
    client = session.get_one(Client, credential.client_id)
    notices.notify(
        session,
        {client.owner_email, current_settings().support_email},
        f"Twilio refuses the account {credential.name}",
        f"{REFUSED}\n\nNothing is sent with it until then; what waits goes on waiting.\n",
        dedupe_key=f"refused:{credential.id}:{now.isoformat()}",
    )

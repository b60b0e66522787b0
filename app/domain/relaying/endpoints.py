"""What people do with an endpoint: test it, pause it, enable it again, give it a new secret.

Every act runs within the caller's transaction and is noted in the audit log. After the commit the
caller may ``wake("relay")``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.mistakes import Refused
from app.domain.relaying import events, signing, together
from app.models.base import utcnow
from app.models.delivery import AttemptTrigger, Delivery, DeliveryState, EventType
from app.models.endpoint import (
    DisabledReason,
    Endpoint,
    EndpointKind,
    EndpointSecret,
    EndpointState,
)

SECRET_OVERLAP = timedelta(hours=24)
"""How long the old secret signs as well, so that a receiver may change over at leisure."""


def ping(session: Session, endpoint: Endpoint, actor: str) -> Delivery:
    """Send a test event: once, at once, even to an endpoint that is paused or disabled.

    :returns: the delivery, whose attempt shows how it went.
    """
    delivery = events.record(
        session,
        events.Happening(
            endpoint.id,
            EventType.ENDPOINT_PING,
            {"endpoint": endpoint.id, "name": called(endpoint)},
            client_id=endpoint.client_id,
            occurred_at=utcnow(),
        ),
    )
    if delivery is None:
        raise RuntimeError("a ping has no dedupe key and is always recorded")
    delivery.state, delivery.next_attempt_at = DeliveryState.PENDING, utcnow()
    delivery.trigger, delivery.requested_by = AttemptTrigger.PING, actor[:254]
    _note(session, endpoint, actor, "ping")
    session.flush()
    return delivery


def pause(session: Session, endpoint: Endpoint, actor: str) -> bool:
    """Send nothing to an endpoint until it is resumed; what comes meanwhile waits.

    :returns: whether it was active.
    :raises Refused: when it is disabled.
    """
    lock(session, endpoint)
    if endpoint.state is EndpointState.DISABLED:
        raise Refused.because(
            f"The endpoint {called(endpoint)} is disabled, which holds everything already.",
            code="disabled",
        )
    if endpoint.state is EndpointState.PAUSED:
        going_on = together.resuming(session, endpoint)
        if going_on is None or going_on.details["stay"]:
            return False
        going_on.details = {**going_on.details, "stay": True}
    else:
        endpoint.state, endpoint.changed_at = EndpointState.PAUSED, utcnow()
    _note(session, endpoint, actor, "pause")
    return True


def resume(session: Session, endpoint: Endpoint, actor: str) -> bool:
    """Send again what waited for a paused endpoint. The pause costs no delivery any of its time.

    It goes on as soon as each has been given that: where thousands wait, some seconds later.

    :returns: whether it was paused.
    :raises Refused: when it is disabled, or was moved and has taken no test since.
    """
    lock(session, endpoint)
    if endpoint.state is EndpointState.DISABLED:
        raise Refused.because(
            f"The endpoint {called(endpoint)} is disabled; enable it.", code="disabled"
        )
    _refuse_unproven(endpoint)
    if endpoint.state is EndpointState.ACTIVE:
        return False
    _forgive(endpoint)
    session.flush()
    if (going_on := together.resuming(session, endpoint)) is None:
        together.resume(session, endpoint)
    elif going_on.details["stay"]:
        going_on.details = {**going_on.details, "stay": False}
    else:
        return False
    _note(session, endpoint, actor, "resume")
    return True


def disable(session: Session, endpoint: Endpoint, actor: str) -> bool:
    """Hold everything for an endpoint until it is enabled; return whether it was not disabled."""
    shut_out(session, endpoint)
    if endpoint.state is EndpointState.DISABLED:
        return False
    endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, DisabledReason.STAFF
    endpoint.changed_at = utcnow()
    together.hold(session, endpoint)
    _note(session, endpoint, actor, "disable")
    return True


def enable(session: Session, endpoint: Endpoint, actor: str, *, send_held: bool) -> int:
    """Make a disabled or paused endpoint active again.

    :param send_held: whether what was held goes out now; otherwise it is canceled, and can still
        be sent again one by one or by a replay.
    :returns: how many deliveries that were.
    :raises Refused: when it was moved and has taken no test since.
    """
    shut_out(session, endpoint)
    _refuse_unproven(endpoint)
    if endpoint.state is EndpointState.PAUSED:
        resume(session, endpoint, actor)
    else:
        endpoint.state, endpoint.disabled_reason = EndpointState.ACTIVE, None
        endpoint.changed_at = utcnow()
        _forgive(endpoint)
    held = held_count(session, endpoint)
    together.release(session, endpoint, send=send_held)
    _note(session, endpoint, actor, "enable", held=held, sent=send_held)
    return held


def held_count(session: Session, endpoint: Endpoint) -> int:
    """Return how many deliveries are held, for the question whether to send them."""
    return session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.endpoint_id == endpoint.id, Delivery.state == DeliveryState.HELD)
    ) or 0  # fmt: skip


def rotate_secret(
    session: Session, endpoint: Endpoint, actor: str, secret: str | None = None
) -> str:
    """Give a webhook a new secret; for 24 hours the old one signs as well.

    :param secret: one of the client's own; made when not given.
    :returns: the new secret, to be shown once.
    :raises Refused: when this is no webhook, or the secret is malformed or in use.
    """
    if endpoint.kind is not EndpointKind.WEBHOOK:
        raise Refused.because("Only webhooks are signed; this endpoint has no secret.")
    secret = secret or signing.new_secret()
    try:
        signing.check_secret(secret)
    except ValueError as error:
        raise Refused.because(str(error), "secret") from error
    now = utcnow()
    for old in session.scalars(select(EndpointSecret).filter_by(endpoint_id=endpoint.id)):
        if old.secret == secret:
            raise Refused.because("This secret is in use for this endpoint already.", "secret")
        old.expires_at = min(old.expires_at or now + SECRET_OVERLAP, now + SECRET_OVERLAP)
    session.add(EndpointSecret(endpoint_id=endpoint.id, secret=secret))
    _note(session, endpoint, actor, "rotate secret")
    session.flush()
    return secret


def begin_anew(session: Session, endpoint: Endpoint) -> str:
    """Give a webhook that was moved a secret that nobody has known, and pause it until a test.

    The old secret signs nothing any more: what is signed goes to another server now.
    """
    shut_out(session, endpoint)
    session.execute(delete(EndpointSecret).filter_by(endpoint_id=endpoint.id))
    secret = signing.new_secret()
    session.add(EndpointSecret(endpoint_id=endpoint.id, secret=secret))
    endpoint.unproven = True
    if endpoint.state is EndpointState.ACTIVE:
        endpoint.state, endpoint.changed_at = EndpointState.PAUSED, utcnow()
    session.flush()
    return secret


def prove(session: Session, endpoint: Endpoint) -> None:
    """Let an endpoint go on that was moved and has taken a test at its new address."""
    endpoint.unproven = False
    session.flush()  # before the row is read again
    if endpoint.state is EndpointState.PAUSED:
        resume(session, endpoint, "a test that was taken")


def _refuse_unproven(endpoint: Endpoint) -> None:
    if endpoint.unproven:
        raise Refused.because(
            f"The endpoint {called(endpoint)} was moved to another address: send it a test first;"
            " it goes on by itself once that is taken.",
            code="unproven",
        )


def retire_old_secrets(session: Session, endpoint: Endpoint, actor: str) -> int:
    """End the overlap of a rotation now; return how many secrets that were."""
    retired = session.scalars(
        delete(EndpointSecret)
        .where(EndpointSecret.endpoint_id == endpoint.id, EndpointSecret.expires_at.isnot(None))
        .returning(EndpointSecret.id)
    ).all()
    if retired:
        _note(session, endpoint, actor, "retire old secret")
    return len(retired)


def overlap_until(session: Session, endpoint: Endpoint) -> datetime | None:
    """Return until when an old secret signs as well; None when there is only one."""
    return session.scalar(
        select(func.max(EndpointSecret.expires_at)).where(
            EndpointSecret.endpoint_id == endpoint.id, EndpointSecret.expires_at > utcnow()
        )
    )


def called(endpoint: Endpoint) -> str:
    """Return what people call an endpoint: its name, or its URL or address."""
    return endpoint.name if endpoint.kind is EndpointKind.WEBHOOK else endpoint.url


def lock(session: Session, endpoint: Endpoint) -> None:
    """Lock the endpoint's row, and read it as it is now; deliveries are locked after it."""
    session.refresh(endpoint, with_for_update={"key_share": True})


def shut_out(session: Session, endpoint: Endpoint) -> None:
    """Lock the endpoint also against those who record events for it.

    What they record is held or waits by what the endpoint is: that must not change meanwhile.
    """
    session.refresh(endpoint, with_for_update=True)


def _forgive(endpoint: Endpoint) -> None:
    """Begin anew: what went wrong before was a reason to act, and somebody has acted."""
    endpoint.consecutive_failures = endpoint.backoff_seconds = endpoint.warnings_sent = 0
    endpoint.open_until = endpoint.first_failure_at = None


def _note(session: Session, endpoint: Endpoint, actor: str, action: str, **details: object) -> None:
    target = f"endpoint {called(endpoint)}"
    audit.record(session, actor, action, target, endpoint.client_id, details)

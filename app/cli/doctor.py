"""``flask doctor``: is everything as it has to be? If not, what to do, in a sentence each."""

from __future__ import annotations

import secrets
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import InvalidToken
from flask import current_app
from flask.cli import with_appcontext
from redis import Redis, RedisError, ResponseError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.domain import aside, clocks, wake
from app.domain.provisioning import differences, number_audit
from app.domain.restoring import hold, marks
from app.extensions import current_settings, db, redis_client
from app.models.client import Client
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind, EndpointState
from app.models.installation import Installation
from app.models.sender import Sender
from app.outbound.relay.smtp import Server
from app.twilio import signature
from app.twilio.clock import Clock, Difference

MOST_SKEW = 2.0
"""Seconds by which clocks may differ; Twilio's and the receivers' signatures allow minutes."""
TIMEOUT = (5.0, 16.0)
ASKED = 3
"""How often a clock that shows whole seconds is asked: together the answers say it better."""
_TWILIO = "https://api.twilio.com"


@dataclass(frozen=True)
class Finding:
    """What one look found: all right, or a sentence on what to do."""

    subject: str
    well: bool
    sentence: str


@click.command("doctor")
@with_appcontext
def command() -> None:
    """Check everything that Dispatch needs, and say what to do about what is wrong."""
    bad = 0
    for check in CHECKS:
        for found in _examine(check):
            bad += not found.well
            click.echo(f"{'ok ' if found.well else 'BAD'}  {found.subject}: {found.sentence}")
    if bad:
        click.echo(f"{bad} thing{'s' if bad > 1 else ''} to put right.")
        raise SystemExit(1)
    click.echo("All is well.")


def _examine(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except SQLAlchemyError as error:
        db.session.rollback()
        yield _bad(
            check.__name__.strip("_").replace("_", " "),
            f"the database cannot be asked ({type(error).__name__}); see DATABASE_URL.",
        )


def _database() -> Iterator[Finding]:
    heads = set(ScriptDirectory(str(current_app.extensions["migrate"].directory)).get_heads())
    current = set(MigrationContext.configure(db.session.connection()).get_current_heads())
    if current == heads:
        yield _ok("database", f"migrated to {', '.join(sorted(heads))}.")
    else:
        found = ", ".join(sorted(current)) or "nothing"
        yield _bad("database", f"it is at {found}; run: flask db upgrade")
    if not current_settings().is_sqlite:
        yield _clock("the database's clock", clocks.database(db.session()))
    elif not current_settings().is_development:
        yield _ok("database", "it is SQLite: fine for one machine; use PostgreSQL for several.")
    db.session.rollback()


def _clocks() -> Iterator[Finding]:
    import requests

    base, clock = current_settings().twilio_api_base_url or _TWILIO, Clock()
    try:
        for _ in range(ASKED):
            before = time.time()
            answer = requests.head(base, timeout=TIMEOUT, allow_redirects=False)
            clock.learn(before, time.time(), answer.headers.get("Date"))
    except requests.RequestException as error:
        yield _bad("Twilio", f"{base} cannot be reached ({error}); check the way out.")
        return
    yield _ok("Twilio", f"{base} answers.")
    difference = clock.difference()
    if difference is None:
        yield _bad("Twilio's clock", "it says no time.")
    else:
        yield _clock("Twilio's clock", difference)


def _clock(name: str, ahead: Difference) -> Finding:
    words = f"{abs(ahead.middle):.1f} s {'ahead of' if ahead.middle >= 0 else 'behind'} ours"
    sentence = f"it is {words}, give or take {ahead.uncertainty:.1f} s."
    if not -MOST_SKEW <= ahead.middle <= MOST_SKEW:
        return _bad(name, f"{sentence} Let NTP set this machine's.")
    return _ok(name, sentence)


def _redis() -> Iterator[Finding]:
    connection = redis_client()
    try:
        persistence = connection.info("persistence")
        memory = connection.info("memory")
    except RedisError as error:
        yield _bad(
            "Redis",
            f"it cannot be reached ({error}): answers go on, sends and deliveries wait. See"
            " REDIS_URL.",
        )
        return
    if persistence.get("aof_enabled") or _snapshots(connection):
        yield _ok("Redis", "it keeps its data on disk.")
    else:
        yield _bad("Redis", "it keeps nothing on disk; set appendonly yes.")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield _bad("Redis", f"it may throw jobs away ({policy}); set maxmemory-policy noeviction.")
    yield from _workers()


def _snapshots(connection: Redis) -> bool:
    """Tell whether Redis writes snapshots. Hosts that do not let us ask keep data themselves."""
    try:
        return bool(connection.config_get("save").get("save"))
    except ResponseError:
        return True


def _workers() -> Iterator[Finding]:
    from rq import Worker

    connection = redis_client()
    served = {name for one in Worker.all(connection=connection) for name in one.queue_names()}
    for name in sorted(wake.DRAINS):
        if wake.queue(name, connection).name in served:
            yield _ok("workers", f"there is one for {name}.")
        else:
            yield _bad("workers", f"there is none for {name}; start: flask worker {name}")


def _public_address() -> Iterator[Finding]:
    """Send ourselves a signed text to a number that nobody has, as Twilio would."""
    import requests

    url = f"{current_settings().public_base_url}/inbound/sms"
    credential = _any_credential()
    if credential is None:
        yield _bad("public address", "no credential is there to try it with; add one.")
        return
    form = {
        "MessageSid": f"SM{secrets.token_hex(16)}", "AccountSid": credential.account_sid,
        "From": "+15005550006", "To": "+15005550006", "Body": "flask doctor", "NumMedia": "0",
    }  # fmt: skip
    token = credential.auth_token
    db.session.rollback()
    headers = {signature.HEADER: signature.compute(url, list(form.items()), token)}
    try:
        answer = requests.post(
            url, data=form, headers=headers, timeout=TIMEOUT, allow_redirects=False
        )
    except requests.RequestException as error:
        yield _bad("public address", f"{url} cannot be reached from here: {error}")
        return
    if answer.status_code == 200 and "<Response" in answer.text:
        yield _ok("public address", f"a signed request to {url} is answered.")
    elif answer.status_code == 403:
        yield _bad(
            "public address",
            f"a request signed for {url} is refused: what answers there has another"
            " PUBLIC_BASE_URL, or a proxy changes the path or the query.",
        )
    else:
        yield _bad(
            "public address",
            f"{url} answers {answer.status_code} instead of TwiML; does it lead to Dispatch?",
        )


def _any_credential() -> Credential | None:
    """Return the first credential that can be read and may sign for every number."""
    confirmed = select(Credential.id).where(Credential.unconfirmed_since.is_(None))
    for credential_id in db.session.scalars(confirmed.order_by(Credential.id)).all():
        try:
            return db.session.get_one(Credential, credential_id)
        except InvalidToken:
            continue  # `_secrets` tells of it
    return None


def _mail() -> Iterator[Finding]:
    settings = current_settings()
    if settings.smtp_url is None:
        yield _bad("mail", "SMTP_URL is not set: forwards to e-mail and notices wait.")
        return
    server = Server.read(settings.smtp_url, settings.public_base_url)
    trust = ssl.create_default_context()
    try:
        connect = (
            smtplib.SMTP_SSL(server.host, server.port, server.own_name, timeout=10, context=trust)
            if server.tls
            else smtplib.SMTP(server.host, server.port, server.own_name, timeout=10)
        )
        with connect as session:
            if server.starttls:
                session.starttls(context=trust)
            if server.user is not None:
                session.login(server.user, server.password)
            session.noop()
    except (OSError, smtplib.SMTPException) as error:
        yield _bad("mail", f"{server.host}:{server.port} does not take our mails: {error}")
        return
    yield _ok("mail", f"{server.host}:{server.port} is ready.")


def _secrets() -> Iterator[Finding]:
    names = db.session.execute(
        select(Credential.id, Credential.name, Client.name).join(
            Client, Client.id == Credential.client_id
        )
    ).all()
    wrong = 0
    for credential_id, name, client in names:
        try:
            db.session.get_one(Credential, credential_id)
        except InvalidToken:
            wrong += 1
            yield _bad(
                "credentials",
                f"{name} of {client} cannot be read: ENCRYPTION_KEYS lacks the key that it was"
                " encrypted with; add that again behind the newest.",
            )
    if not wrong:
        yield _ok("credentials", "they can be read with ENCRYPTION_KEYS.")
    db.session.rollback()


def _unconfirmed() -> Iterator[Finding]:
    named = select(Client.name, Credential.name, Credential.stopped_at).join(
        Client, Client.id == Credential.client_id
    )
    for client, name, stopped in db.session.execute(
        named.where(Credential.unconfirmed_since.is_not(None))
    ):
        state = "is refused by Twilio" if stopped else "is unconfirmed: Twilio could not be asked"
        yield _bad("credentials", f"{name} of {client} {state}; what is sent with it waits.")
    db.session.rollback()


def _set_aside() -> Iterator[Finding]:
    found = aside.current(db.session())
    for one in found:
        yield _bad(
            "set aside",
            f"while {aside.LOOPS.get(one.loop, one.loop)}, “{one.name}” raised {one.reason}"
            f" ({one.times} times since {one.since:%Y-%m-%d %H:%M} UTC); the log says more.",
        )
    if not found:
        yield _ok("set aside", "nothing is left out by any loop.")
    db.session.rollback()


def _stopped() -> Iterator[Finding]:
    named = select(Client.name, Sender.address, Sender.stopped_reason).join(
        Client, Client.id == Sender.client_id
    )
    for client, address, reason in db.session.execute(
        named.where(Sender.stopped_at.is_not(None), Sender.twilio_sid.is_not(None))
    ):
        yield _bad("senders", f"{address} of {client} has been stopped: {reason}")
    endpoints = select(Client.name, Endpoint.name).join(Client, Client.id == Endpoint.client_id)
    for client, name in db.session.execute(
        endpoints.where(
            Endpoint.kind == EndpointKind.WEBHOOK, Endpoint.state == EndpointState.DISABLED
        )
    ):
        yield _bad(
            "endpoints", f"{name} of {client} is disabled; see: flask endpoints enable --help"
        )
    db.session.rollback()


def _numbers() -> Iterator[Finding]:
    found = number_audit.run(keep=False)
    for difference in found:
        yield _bad("numbers", f"{difference.sentence} {_remedy(difference)}")
    if not found:
        yield _ok("numbers", "everything at Twilio is set as the routes need it.")


def _remedy(difference: differences.Difference) -> str:
    if difference.setting == differences.UNCHECKED:
        return f"Check the client's credential, then: flask numbers audit {difference.client}"
    if difference.setting == differences.CALLER_ID:
        return f"See: flask numbers verify {difference.client} {difference.address}"
    return "See: flask numbers repair"


def _sending() -> Iterator[Finding]:
    held = hold.state()
    if held is None:
        yield _ok("sending", "nothing is held.")
    else:
        yield _bad("sending", held.sentence)
    if problem := marks.trouble(db.session.scalar(select(Installation.id))):
        yield _bad("restores", problem)
    else:
        yield _ok("restores", "the mark by which a restored backup is noticed can be written.")
    db.session.rollback()


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _database, _redis, _sending, _secrets, _mail, _clocks, _public_address, _numbers, _stopped,
    _set_aside, _unconfirmed,
)  # fmt: skip


def _ok(subject: str, sentence: str) -> Finding:
    return Finding(subject, True, sentence)


def _bad(subject: str, sentence: str) -> Finding:
    return Finding(subject, False, sentence)

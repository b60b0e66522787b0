"""What the doctor asks outside: Twilio, the public address, the mail server."""

from __future__ import annotations

import secrets
import smtplib
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from sqlalchemy import select

from app.cli.doctor import clock
from app.cli.doctor.finding import Finding, bad, ok, warn
from app.extensions import current_settings, db
from app.models.credential import Credential
from app.outbound.relay.smtp import Server
from app.twilio import signature
from app.twilio.clock import Clock

TIMEOUT = (5.0, 16.0)
ASKED = 3
"""How often a clock that shows whole seconds is asked: together the answers say it better."""
_TWILIO = "https://api.twilio.com"


def clocks() -> Iterator[Finding]:
    """Does Twilio answer, and what time is it there?"""
    import requests

    base, theirs = current_settings().twilio_api_base_url or _TWILIO, Clock()
    try:
        for _ in range(ASKED):
            before = time.time()
            answer = requests.head(base, timeout=TIMEOUT, allow_redirects=False)
            theirs.learn(before, time.time(), answer.headers.get("Date"))
    except requests.RequestException as error:
        yield bad("Twilio", f"{base} cannot be reached ({error}); check the way out.")
        return
    yield ok("Twilio", f"{base} answers.")
    difference = theirs.difference()
    if difference is None:
        yield warn("Twilio's clock", "it says no time.")
    else:
        yield clock.judge("Twilio's clock", difference)


def public_address() -> Iterator[Finding]:
    """Send ourselves a signed text to a number that nobody has, as Twilio would."""
    import requests

    url = f"{current_settings().public_base_url}/inbound/sms"
    credential = _any_credential()
    if credential is None:
        yield warn("public address", "no credential is there to try it with; add one.")
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
        yield bad("public address", f"{url} cannot be reached from here: {error}")
        return
    if answer.status_code == 200 and "<Response" in answer.text:
        yield ok("public address", f"a signed request to {url} is answered.")
    elif answer.status_code == 403:
        yield bad(
            "public address",
            f"a request signed for {url} is refused: what answers there has another"
            " PUBLIC_BASE_URL, or a proxy changes the path or the query.",
        )
    else:
        yield bad(
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
            continue  # `clients.secrets` tells of it
    return None


def mail() -> Iterator[Finding]:
    """Does the mail server take our mails?"""
    settings = current_settings()
    if settings.smtp_url is None:
        yield warn("mail", "SMTP_URL is not set: forwards to e-mail and notices wait.")
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
        yield bad("mail", f"{server.host}:{server.port} does not take our mails: {error}")
        return
    yield ok("mail", f"{server.host}:{server.port} is ready.")


def proxies() -> Iterator[Finding]:
    """Can callers be told apart behind what ends TLS?"""
    settings = current_settings()
    parts = urlsplit(settings.public_base_url)
    if parts.scheme == "https" and not settings.trusted_proxy_hops:
        yield warn(
            "proxies",
            "TRUSTED_PROXY_HOPS is 0, while something in front ends TLS: to the limits of log-ins"
            " and in the log, everybody comes from its address. Count the proxies.",
        )
    else:
        yield ok("proxies", f"TRUSTED_PROXY_HOPS is {settings.trusted_proxy_hops}.")

"""Mails on their way through a real mail server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.domain.relaying import events, notices, receivers
from app.extensions import unit_of_work
from app.models.base import new_id
from app.models.delivery import Delivery, DeliveryAttempt, DeliveryState, EventType
from app.models.incoming import Incoming, Outcome
from app.models.route import Destination
from app.outbound.relay import smtp
from embedded.process import free_port
from tests.outbound.relay.test_letters import DATA
from tests.support.certificates import Authority
from tests.support.clients import Department
from tests.support.hostile import answering, dripping, sending, serving, silent
from tests.support.mailbox import Mailbox, mailbox
from tests.support.relay import run
from tests.support.rows import Rows
from tests.support.twilio import ACCOUNT_SID, AUTH_TOKEN, sid

SENDER, RECIPIENT = "dispatch@example.edu", "help@example.edu"


# --- the exchange with the mail server -----------------------------------------------------------


def mail(size: int = 10) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = SENDER, RECIPIENT, f"{size}"
    made.set_content("x" * 60 + "\n" * (size // 60) + "y" * size)
    return made


def hand_over(url: str, **more: Any) -> smtp.Handed:
    options = {"step_seconds": 10.0, "total_seconds": 20.0, **more}
    server = smtp.Server.read(url, "https://dispatch.example.edu")
    recipient = options.pop("recipient", RECIPIENT)
    large, small = options.pop("large", mail()), options.pop("small", mail())
    return smtp.hand_over(server, SENDER, recipient, large, small, **options)


def test_a_mail_is_taken() -> None:
    with mailbox() as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}")
    assert (handed.status, handed.error) == (250, None)
    assert (handed.reply, handed.address) == ("Taken as 4711", "127.0.0.1")
    assert box.envelopes == [(SENDER, [RECIPIENT])]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_starttls_with_a_log_in(authority: Authority) -> None:
    with mailbox(starttls=authority.server("127.0.0.1"), log_in=True) as box:
        handed = hand_over(
            f"smtp://dispatch:p%40ss@127.0.0.1:{box.port}?starttls=1", trust=authority.trusting()
        )
    assert handed.error is None
    assert box.was_tls == [True]
    assert box.log_ins == [("dispatch", "p@ss")]


def test_tls_from_the_first_byte(authority: Authority) -> None:
    with mailbox(tls=authority.server("127.0.0.1")) as box:
        handed = hand_over(f"smtps://127.0.0.1:{box.port}", trust=authority.trusting())
    assert handed.error is None
    assert len(box.mails) == 1


@pytest.mark.parametrize("scheme", ["smtps://127.0.0.1:{}", "smtp://127.0.0.1:{}?starttls=1"])
def test_a_certificate_nobody_knows_is_refused(authority: Authority, scheme: str) -> None:
    context = authority.server("127.0.0.1")
    with mailbox(**{"tls" if "smtps" in scheme else "starttls": context}) as box:
        handed = hand_over(scheme.format(box.port))
    assert handed.error == "tls"
    assert box.mails == []


def test_starttls_that_is_not_offered_is_not_done_without() -> None:
    with mailbox() as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}?starttls=1")
    assert handed.error == "smtp"
    assert "SMTP_URL" in (handed.detail or "")
    assert (box.mails, handed.permanent) == ([], False)


# A-labels by RFC 5891, as Python's own and the registries' converters write them.
DOMAINS = {
    "bücher.example": "xn--bcher-kva.example",
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "BÜCHER.example": "xn--bcher-kva.example",
    "mail.пример.испытание": "mail.xn--e1afmkfd.xn--80akhbyknj4f",
    "example.edu": "example.edu",
}


@pytest.mark.parametrize(("domain", "wire"), DOMAINS.items(), ids=DOMAINS.values())
def test_a_domain_in_any_script_needs_no_smtputf8(domain: str, wire: str) -> None:
    with mailbox() as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}", recipient=f"help@{domain}")
    assert (handed.status, handed.error) == (250, None)
    assert box.envelopes == [(SENDER, [f"help@{wire}"])]


def test_letters_before_the_at_need_it_and_that_is_said() -> None:
    with mailbox() as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}", recipient="grüße@example.edu")
    assert (box.mails, handed.permanent) == ([], True)
    assert "SMTPUTF8" in (handed.detail or "")
    with mailbox(utf8=True) as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}", recipient="grüße@bücher.example")
    assert (handed.status, handed.error) == (250, None)
    assert box.envelopes == [(SENDER, ["grüße@xn--bcher-kva.example"])]


@pytest.mark.parametrize(
    ("step", "answer", "permanent"),
    [
        ("RCPT", "550 No such user", True),
        ("RCPT", "451 Greylisted", False),
        ("DATA", "554 Spam", True),
        ("DATA", "452 Full", False),
        ("MAIL", "550 Who are you", False),
    ],
)
def test_refusals(step: str, answer: str, permanent: bool) -> None:
    with mailbox() as box:
        box.refuse[step] = answer
        handed = hand_over(f"smtp://127.0.0.1:{box.port}")
    assert (handed.status, handed.error) == (int(answer[:3]), "smtp")
    assert handed.permanent is permanent
    assert answer[4:] in (handed.detail or "")


def test_a_wrong_password_is_our_mistake_and_not_the_address(authority: Authority) -> None:
    with mailbox(log_in=True) as box:
        handed = hand_over(f"smtp://dispatch:wrong@127.0.0.1:{box.port}")
    assert (handed.error, handed.permanent, handed.status) == ("smtp", False, 535)


def test_a_mail_too_large_for_the_server_goes_without_attachments() -> None:
    with mailbox(size=5_000) as box:
        hand_over(f"smtp://127.0.0.1:{box.port}", large=mail(9_000), small=mail(30))
    assert [one["Subject"] for one in box.mails] == ["30"]


def test_an_address_that_the_server_cannot_write() -> None:
    with mailbox() as box:
        handed = hand_over(f"smtp://127.0.0.1:{box.port}", recipient="grüße@example.edu")
    assert (handed.error, handed.permanent) == ("smtp", True) or handed.status == 250


GREETING = b"220 ready\r\n"
SHORT = {"timeout": {"step_seconds": 0.5}, "deadline": {"total_seconds": 1.0}}
"""The time that is given where it is to run out; elsewhere a busy machine has more."""
UNTIL_DATA = b"250 a\r\n250 b\r\n250 c\r\n354 go\r\n"


@pytest.mark.parametrize(
    ("behaviour", "errors"),
    [
        pytest.param(silent(), ("timeout",), id="hangs"),
        pytest.param(dripping(b"2" * 200, 0.05), ("deadline",), id="drips"),
        pytest.param(sending(b""), ("smtp",), id="closes"),
        pytest.param(answering(), ("smtp",), id="speaks HTTP"),
        pytest.param(sending(GREETING + UNTIL_DATA), ("smtp", "connect"), id="closes after data"),
        pytest.param(sending(GREETING + UNTIL_DATA + b"25"), ("smtp", "connect"), id="half answer"),
        pytest.param(sending(b"554 go away\r\n"), ("smtp",), id="no service"),
    ],
)
def test_no_false_success(behaviour: Any, errors: tuple[str, ...]) -> None:
    with serving(behaviour, read_request=False) as server:
        started = time.monotonic()
        handed = hand_over(f"smtp://127.0.0.1:{server.port}", **SHORT.get(errors[0], {}))
    assert handed.error in errors
    assert not handed.permanent
    assert time.monotonic() - started < 6  # the drips last for 10 s


def test_nobody_listens() -> None:
    assert hand_over(f"smtp://127.0.0.1:{free_port()}").error == "connect"


# --- the way of a delivery -----------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def settings(environ: dict[str, str], tmp_path: Path, port: int) -> Any:
    import config

    return config.load({**environ, "SMTP_URL": f"smtp://127.0.0.1:{port}"}, tmp_path / "instance")


@pytest.fixture
def box(port: int) -> Iterator[Mailbox]:
    with mailbox(port=port) as running:
        yield running


def record(
    app: Flask, registrar: Department, address: str = RECIPIENT, incoming: Incoming | None = None
) -> Delivery:
    with app.app_context(), unit_of_work() as session:
        endpoint = receivers.email(session, registrar.client.id, address)
        made = events.record(
            session,
            events.Happening(
                endpoint.id,
                EventType.SMS_RECEIVED,
                DATA,
                client_id=registrar.client.id,
                occurred_at=datetime.now(UTC),
                incoming_id=incoming.id if incoming else None,
                context={"client": "registrar", "timeZone": "America/Chicago", "lastBody": None},
            ),
        )
        assert made is not None
        return made


def texted(registrar: Department, *urls: str) -> Incoming:
    """A text with files at these addresses, whose codes are the ends of their paths."""
    media = [
        {"url": url, "contentType": "image/jpeg", "code": f"CODE{url.rpartition('/')[2]}"}
        for url in urls
    ]
    return Incoming(
        id=new_id(), client_id=registrar.client.id, destination=Destination.SMS, sid=sid("MM"),
        sender_id=registrar.number.id, from_=DATA["from"], to=DATA["to"], body=DATA["body"],
        media=media, outcome=Outcome.FORWARDED,
    )  # fmt: skip


def state_of(rows: Rows, delivery: Delivery) -> Delivery:
    return rows.one(select(Delivery).where(Delivery.id == delivery.id))


def test_a_text_becomes_a_mail(app: Flask, registrar: Department, rows: Rows, box: Mailbox) -> None:
    delivery = record(app, registrar)
    run(app)
    assert state_of(rows, delivery).state is DeliveryState.DELIVERED
    (received,) = box.mails
    assert received["Message-ID"] == f"<{delivery.event_id}@example.edu>"
    assert "I can't come." in received.get_content()
    attempt = rows.one(DeliveryAttempt)
    assert (attempt.url, attempt.status, attempt.error) == (f"mailto:{RECIPIENT}", 250, None)
    assert attempt.request_headers["Message-ID"] == received["Message-ID"]


def test_the_mail_server_is_down_a_while(
    app: Flask, registrar: Department, rows: Rows, port: int, time_machine: Any
) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    time_machine.move_to(now, tick=False)
    delivery = record(app, registrar)
    for minutes in (0, 1, 10, 50):
        time_machine.move_to(now + timedelta(minutes=minutes), tick=False)
        run(app)
        assert state_of(rows, delivery).state is DeliveryState.PENDING
    with mailbox(port=port) as box:
        time_machine.move_to(now + timedelta(hours=4), tick=False)
        run(app)
        assert state_of(rows, delivery).state is DeliveryState.DELIVERED
        assert len(box.mails) == 1
    tries = rows.all(select(DeliveryAttempt).order_by(DeliveryAttempt.id))
    assert [one.error for one in tries] == ["connect"] * 4 + [None]


def test_an_address_that_does_not_exist_is_given_up_and_the_owner_told(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox
) -> None:
    box.refuse["RCPT"] = "550 No such user"
    delivery = record(app, registrar)
    run(app)
    after = state_of(rows, delivery)
    assert (after.state, after.attempts) == (DeliveryState.EXHAUSTED, 1)
    assert "550 No such user" in (after.last_error or "")
    notices = rows.all(select(Delivery).where(Delivery.dedupe_key.like("%exhausted%")))
    assert [notice.body.count(RECIPIENT) > 0 for notice in notices if "sms.re" in notice.body] == [
        True
    ]


def test_notices_that_cannot_be_delivered_do_not_breed(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox
) -> None:
    box.refuse["RCPT"] = "550 No such user"
    record(app, registrar)
    for _ in range(5):
        run(app)
    # The mail, the notice to the owner, and the notice to support about that one.
    assert rows.count(Delivery) == 3


def test_a_domain_in_any_script_stands_in_the_headers_as_servers_know_it(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox
) -> None:
    settings = app.extensions["settings"]
    object.__setattr__(settings, "mail_from", "dispatch@bücher.example")
    delivery = record(app, registrar, "help@bücher.example")
    run(app)
    assert state_of(rows, delivery).state is DeliveryState.DELIVERED
    (received,) = box.mails
    assert box.envelopes == [("dispatch@xn--bcher-kva.example", ["help@xn--bcher-kva.example"])]
    assert received["To"] == "help@xn--bcher-kva.example"
    assert received["From"].addresses[0].addr_spec == "dispatch@xn--bcher-kva.example"
    assert received["Message-ID"].endswith("@xn--bcher-kva.example>")


@pytest.mark.parametrize("address", ["Desk <a@example.edu>", "a@example.edu\r\nBcc: x@example.edu"])
def test_an_address_that_is_none_reaches_nobody(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox, address: str
) -> None:
    delivery = record(app, registrar, address)
    run(app)
    assert state_of(rows, delivery).state is DeliveryState.EXHAUSTED
    assert [to for _, (to,) in box.envelopes] == [registrar.client.owner_email]


Fetch = Callable[..., Any]


@pytest.mark.parametrize(
    ("sizes", "attached"),
    [([1000], ["1000"]), ([4_000_000, 3_000_000, 500], ["4000000", "500"]), ([6_000_000], [])],
    ids=["small", "as far as it fits", "too large"],
)
def test_media_are_fetched_with_our_log_in_and_attached_when_small(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox, sizes: list[int],
    attached: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[bytes] = []

    def behave(connection: Any, request: bytes) -> None:
        seen.append(request)
        size = int(request.split(b" ")[1].rpartition(b"/")[2])
        answering(body=b"\xff" * size, headers={"Content-Type": "image/jpeg"})(connection, request)

    with serving(behave) as twilio:
        settings = app.extensions["settings"]
        object.__setattr__(settings, "twilio_api_base_url", twilio.url("").rstrip("/"))
        incoming = texted(registrar, *(f"https://api.twilio.com/Media/{size}" for size in sizes))
        rows.add(incoming)
        record(app, registrar, incoming=incoming)
        run(app, 60)
    (received,) = box.mails
    files = [part.get_content() for part in received.iter_attachments()]
    assert [str(len(content)) for content in files] == attached
    text = received.get_body(("plain",))
    assert text is not None
    for size in sizes:
        linked = f"https://dispatch.example.edu/media/CODE{size}" in text.get_content()
        assert linked is (str(size) not in attached)
    from base64 import b64encode

    login = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode())
    assert all(b"Basic " + login in request for request in seen)


def test_a_file_that_is_not_at_twilio_is_not_fetched(
    app: Flask, registrar: Department, rows: Rows, box: Mailbox
) -> None:
    """Whoever knows the account's token can sign a text whose file is inside our network."""
    with serving(answering(body=b"secret", headers={"Content-Type": "image/jpeg"})) as inside:
        incoming = texted(registrar, inside.url("/latest"))
        rows.add(incoming)
        record(app, registrar, incoming=incoming)
        run(app, 60)
        assert inside.requests == []
    (received,) = box.mails
    assert list(received.iter_attachments()) == []


def test_a_mail_has_seven_bits(app: Flask, registrar: Department, rows: Rows, box: Mailbox) -> None:
    with app.app_context(), unit_of_work() as session:
        notices.notify(session, RECIPIENT, "Grüße", "Schöne Grüße 👍\n" * 3)
    run(app)
    (received,) = box.mails
    assert received.as_bytes().isascii()
    assert received.get_content().replace("\r\n", "\n") == "Schöne Grüße 👍\n" * 3

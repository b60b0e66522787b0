"""``flask numbers``: numbers come into service, are checked, and go."""

from __future__ import annotations

import time

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.asking import in_sentences, operator
from app.domain import named
from app.domain.mistakes import Refused
from app.domain.provisioning import (
    differences,
    number_audit,
    numbers,
    senders,
    services,
    verifications,
)
from app.domain.sending import breaker
from app.domain.wake import wake
from app.extensions import current_settings, db, unit_of_work
from app.models.base import utcnow
from app.models.client import Client
from app.models.number import VerificationState
from app.models.sender import Sender, SenderKind
from app.twilio.numbers import Capability

group = AppGroup("numbers", help="Numbers at Twilio: buy, verify, check, repair, release.")
credential_option = click.option("--credential", help="Which credential, if there are several.")
POLL_SECONDS = 2.0


@group.command()
@click.argument("client")
@click.option("--area-code", help="Three digits; DEFAULT_AREA_CODE if not given.")
@click.option("--locality", help="A town; DEFAULT_LOCALITY in the default area code.")
@click.option("--toll-free", is_flag=True, help="Numbers of 800, 833 and so on.")
@click.option(
    "--can",
    "capabilities",
    multiple=True,
    type=click.Choice(("sms", "mms", "voice")),
    default=("sms", "voice"),
    show_default=True,
    help="What it must be able to; repeatable.",
)
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(1, 50), help="At most so many."
)
@credential_option
@in_sentences
def search(
    client: str,
    area_code: str | None,
    locality: str | None,
    toll_free: bool,
    capabilities: tuple[Capability, ...],
    limit: int,
    credential: str | None,
) -> None:
    """Show numbers for sale, for CLIENT."""
    settings = current_settings()
    if area_code is None and not toll_free:
        area_code = settings.default_area_code
        locality = locality or settings.default_locality
    where = numbers.account(client, credential)
    found = numbers.search(where, area_code, locality, toll_free, limit, capabilities)
    for one in found:
        place = ", ".join(part for part in (one.locality, one.region) if part)
        can = " ".join(sorted(one.capabilities))
        click.echo(f"{one.phone_number}  {place or '-'}  {can}")
    if not found:
        raise click.ClickException("Twilio has no such number for sale; try another area code.")


@group.command()
@click.argument("client")
@click.argument("number")
@credential_option
@in_sentences
def buy(client: str, number: str, credential: str | None) -> None:
    """Buy NUMBER for CLIENT and point it at this Dispatch. It costs money from now on."""
    sender = numbers.buy(numbers.account(client, credential), number, operator())
    click.echo(f"{sender.address} belongs to {client} now ({sender.type}, {sender.rate:g}/s).")
    click.echo("Choose what it does with texts and calls, on its page or with flask apply.")


@group.command("import")
@click.argument("client")
@click.argument("chosen", nargs=-1)
@credential_option
@in_sentences
def import_(client: str, chosen: tuple[str, ...], credential: str | None) -> None:
    """Take over numbers that the account of CLIENT has already: the CHOSEN ones, or all.

    Nothing changes at Twilio; `flask numbers repair` points them at this Dispatch.
    """
    taken = numbers.import_numbers(numbers.account(client, credential), chosen, operator())
    for sender in taken:
        click.echo(f"{sender.address}  {sender.type}  {sender.twilio_sid}")
    if not taken:
        click.echo("There was nothing to take over.")


@group.command()
@click.argument("client")
@click.argument("number")
@click.option("--name", help="What the number is called at Twilio.")
@click.option("--extension", help="Digits to dial when the call is answered.")
@click.option(
    "--wait",
    type=click.IntRange(0, 3600),
    default=120,
    show_default=True,
    help="Seconds to wait for the outcome.",
)
@credential_option
@in_sentences
def verify(
    client: str,
    number: str,
    name: str | None,
    extension: str | None,
    wait: int,
    credential: str | None,
) -> None:
    """Have Twilio call NUMBER, which CLIENT owns, so that calls can come from it."""
    where = numbers.account(client, credential)
    started = verifications.start(where, number, operator(), name=name, extension=extension)
    if started.state is VerificationState.PENDING:
        click.echo(f"Twilio is calling {started.phone} now. Type this code there: {started.code}")
    deadline = time.monotonic() + wait
    while started.state in verifications.OPEN and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        started = verifications.current(started.id)
    if started.state is VerificationState.SUCCESS:
        click.echo(f"{started.phone} is verified: calls can come from it.")
    elif started.state is VerificationState.FAILED:
        raise click.ClickException("The code was not typed, or not rightly. Start again.")
    else:
        click.echo("The outcome is not known yet; it will be noted when Twilio reports it.")


@group.command()
@click.argument("client", required=False)
@in_sentences
def audit(client: str | None) -> None:
    """Compare numbers and messaging services, of CLIENT or of all, with what Twilio has."""
    _show(number_audit.run(client), "Everything at Twilio is as it should be.")


@group.command()
@click.argument("client", required=False)
@in_sentences
def repair(client: str | None) -> None:
    """Set numbers and messaging services, of CLIENT or of all, to what their routes need."""
    _show(number_audit.repair(operator(), client), "Everything at Twilio is as it should be now.")


def _show(found: list[differences.Difference], all_is_well: str) -> None:
    for one in found:
        click.echo(one.sentence)
    if found:
        raise SystemExit(1)
    click.echo(all_is_well)


@group.command()
@click.argument("client")
@click.argument("name")
@click.option("--add", "chosen", multiple=True, help="A number of the client; repeatable.")
@credential_option
@in_sentences
def service(client: str, name: str, chosen: tuple[str, ...], credential: str | None) -> None:
    """Create the messaging service NAME for CLIENT, or add numbers to it."""
    where = numbers.account(client, credential)
    found = named.find_service(db.session(), where.client_id, name)
    if found is None:
        found = services.create_service(where, name, operator())
        click.echo(f"Created the messaging service {name}: {found.address}")
    for number in chosen:
        sender = _number(where, number)
        services.add_to_service(where, found.id, sender.id, operator())
        click.echo(f"{sender.address} is in {name}.")


@group.command()
@click.argument("client")
@click.argument("number")
@click.option("--confirm", help="The number again: it cannot be had back for sure.")
@credential_option
@in_sentences
def release(client: str, number: str, confirm: str | None, credential: str | None) -> None:
    """Give NUMBER of CLIENT back to Twilio, for good."""
    where = numbers.account(client, credential)
    sender = _number(where, number)
    typed = confirm or click.prompt(f"This cannot be undone. Type {sender.address} to release it")
    if typed.strip() != sender.address:
        raise Refused.because("That is not the same number; nothing was released.")
    numbers.release(where, sender.id, operator())
    click.echo(f"{sender.address} has been given back.")


@group.command("try-one")
@click.argument("client")
@click.argument("sender")
@in_sentences
def try_one(client: str, sender: str) -> None:
    """Let one message go of what SENDER (a number or service) of CLIENT holds."""
    with unit_of_work() as session:
        found = _sender(session, client, sender)
        keys = breaker.keys_of(found)
        if not breaker.try_one(session, keys, found.client_id, operator(), utcnow()):
            raise Refused.because(breaker.NOTHING_HELD)
    wake("send")
    click.echo("One goes out now; if Twilio takes it, the others follow.")


@group.command()
@click.argument("client")
@click.argument("sender")
@in_sentences
def resume(client: str, sender: str) -> None:
    """Let SENDER (a number or service) of CLIENT, stopped or held, send all that waits."""
    with unit_of_work() as session:
        if not senders.resume(session, _sender(session, client, sender), operator()):
            raise Refused.because(breaker.NOTHING_HELD)
    wake("send")
    click.echo("It may send again; what waited goes out.")


def _sender(session: Session, client: str, name: str) -> Sender:
    client_id = session.scalar(select(Client.id).filter_by(name=client))
    if client_id is None:
        raise Refused.because(f"There is no client “{client}”.")
    found = named.find_number(session, client_id, name) or named.find_service(
        session, client_id, name
    )
    if found is None:
        raise Refused.because(f"{client} has no number or messaging service “{name}”.")
    return found


def _number(where: numbers.Account, number: str) -> Sender:
    found = named.find_number(db.session(), where.client_id, number)
    if found is None or found.kind is not SenderKind.TWILIO:
        known = db.session.scalars(
            select(Sender.address).filter_by(client_id=where.client_id, kind=SenderKind.TWILIO)
        )
        raise Refused.because(
            f"{number} is not a number of {where.client_name} at Twilio; there is"
            f" {', '.join(known) or 'none'}."
        )
    return found

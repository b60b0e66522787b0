"""`flask user`: the people who sign in."""

from __future__ import annotations

import secrets
import sys

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.asking import in_sentences
from app.domain import changes, mistakes, passwords
from app.domain.clients import people
from app.domain.clients.people import SupportUserSpec
from app.domain.mistakes import Refused
from app.domain.second_factor import state
from app.extensions import current_settings, unit_of_work
from app.models.client import Client
from app.models.user import Role

ACTOR = "flask user add"

group = AppGroup("user", help="The people who sign in.")


@group.command()
@click.argument("email")
@click.option("--client", "client_name", metavar="NAME", help="The client they work for.")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.STAFF.value,
    show_default=True,
    help="What they may do for the client.",
)  # fmt: skip
@click.option("--support", is_flag=True, help="Dispatch Support: they see every client.")
@click.option("--generate", is_flag=True, help="Make a password and print it, without asking.")
@in_sentences
def add(email: str, client_name: str | None, role: str, support: bool, generate: bool) -> None:
    """Add a person, or give one who is there another client, or a first password.

    The password is asked for on a terminal; elsewhere it is generated and printed once. Nobody's
    password is changed by this. With LOCAL_PASSWORDS=0 nobody gets one: they sign in by a provider
    that vouches for the address.
    """
    try:
        email = mistakes.parse(SupportUserSpec, {"email": email.strip()}).email
    except Refused as refused:
        raise click.UsageError(str(refused)) from refused
    with unit_of_work() as session:
        _client(session, client_name)
        known = people.find(session, email)
        if known is None and not client_name and not support:
            raise click.UsageError("Nobody has that address. Say --client NAME, or --support.")
        has_none = known is None or known.password_hash is None
        needs_password = has_none and current_settings().local_passwords
    password, is_generated = _password(email, generate) if needs_password else (None, False)
    hashed = passwords.hash_password(password) if password else None
    with unit_of_work() as session:
        lines = _add(session, email, hashed, client_name, Role(role), support)
    for line in lines or ["nothing to change"]:
        click.echo(line)
    if is_generated:
        click.echo(f"Their password, shown only now: {password}")


@group.command("forget-factor")
@click.argument("email")
@in_sentences
def forget_factor(email: str) -> None:
    """Take away the second factor of somebody who has lost it: the password alone signs them in.

    Where SECOND_FACTOR wants one, they are led to set up another.
    """
    with unit_of_work() as session:
        user = people.find(session, email.strip().lower())
        if user is None:
            raise click.UsageError("Nobody has that address.")
        state.forget(session, user, "flask user forget-factor")
        people.sign_out(session, user.id)
    click.echo(f"{user.email} signs in with the password alone now, and is signed out everywhere.")


@group.command()
@click.argument("email")
@in_sentences
def vacate(email: str) -> None:
    """End the account of somebody whose address has gone to another person.

    Roles, password, second factor, sessions, and what providers know them by are taken away; who
    then comes with the address, or is invited, begins anew. What they wrote stays.
    """
    with unit_of_work() as session:
        user = people.find(session, email.strip().lower())
        if user is None:
            raise click.UsageError("Nobody has that address.")
        try:
            people.vacate(session, user, "flask user vacate")
        except Refused as refused:
            raise click.UsageError(str(refused)) from refused
        state.forget(session, user, "flask user vacate", told=False)
    click.echo(f"{user.email} is free: it has no role, no password and no session any more.")


def _password(email: str, generate: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made here."""
    if generate or not sys.stdin.isatty():
        return secrets.token_urlsafe(16), True
    while True:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        reason = passwords.refusal(password, email)
        if reason is None:
            return password, False
        click.echo(reason, err=True)


def _add(
    session: Session,
    email: str,
    hashed: str | None,
    client_name: str | None,
    role: Role,
    support: bool,
) -> list[str]:
    account = changes.note(
        session, people.account(session, email, hashed, is_support=support), ACTOR
    )
    lines = [account.line()] if account else []
    if client := _client(session, client_name):
        joined = people.join(session, client, account.row, role, ACTOR)
        lines += [joined.line(client.name)] if joined else []
    return lines


def _client(session: Session, name: str | None) -> Client | None:
    if name is None:
        return None
    client = session.scalar(select(Client).filter_by(name=name))
    if client is None:
        names = ", ".join(session.scalars(select(Client.name).order_by(Client.name)))
        raise click.UsageError(f"There is no client “{name}”. There are: {names or 'none yet'}.")
    return client

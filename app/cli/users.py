"""`flask user`: the people who sign in."""

from __future__ import annotations

import secrets
import sys

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import audit, mistakes, passwords
from app.domain.editing.specs import SupportUserSpec
from app.domain.mistakes import Refused
from app.extensions import unit_of_work
from app.models.client import Client
from app.models.user import Membership, Role, User

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
def add(email: str, client_name: str | None, role: str, support: bool, generate: bool) -> None:
    """Add a person, or give one who is there another client, or a first password.

    The password is asked for on a terminal; elsewhere it is generated and printed once. Nobody's
    password is changed by this.
    """
    try:
        email = mistakes.parse(SupportUserSpec, {"email": email.strip()}).email.lower()
    except Refused as refused:
        raise click.UsageError(str(refused)) from refused
    with unit_of_work() as session:
        _client(session, client_name)
        known = session.scalar(select(User).filter_by(email=email))
        if known is None and not client_name and not support:
            raise click.UsageError("Nobody has that address. Say --client NAME, or --support.")
        needs_password = known is None or known.password_hash is None
    password, is_generated = _password(email, generate) if needs_password else (None, False)
    hashed = passwords.hash_password(password) if password else None
    with unit_of_work() as session:
        lines = _add(session, email, hashed, client_name, Role(role), support)
    for line in lines or ["nothing to change"]:
        click.echo(line)
    if is_generated:
        click.echo(f"Their password, shown only now: {password}")


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
    lines = []
    user = session.scalar(select(User).filter_by(email=email))
    if user is None:
        user = User(email=email, password_hash=hashed)
        session.add(user)
        session.flush()
        lines.append(f"+ user {email}")
    elif user.password_hash is None and hashed is not None:
        user.password_hash = hashed
        lines.append(f"~ user {email}: first password")
    if support and not user.is_support:
        user.is_support = True
        lines.append(f"~ user {email}: support")
    for line in lines:
        audit.record(session, ACTOR, "update", f"user {email}", None, {"change": line})
    if client := _client(session, client_name):
        lines += _join(session, user, client, role)
    return lines


def _join(session: Session, user: User, client: Client, role: Role) -> list[str]:
    membership = session.get(Membership, {"user_id": user.id, "client_id": client.id})
    if membership is None:
        session.add(Membership(user_id=user.id, client_id=client.id, role=role))
    elif membership.role is not role:
        membership.role = role
    else:
        return []
    audit.record(session, ACTOR, "update", f"user {user.email}", client.id, {"role": role})
    return [f"~ {client.name}: user {user.email}: role {role}"]


def _client(session: Session, name: str | None) -> Client | None:
    if name is None:
        return None
    client = session.scalar(select(Client).filter_by(name=name))
    if client is None:
        names = ", ".join(session.scalars(select(Client.name).order_by(Client.name)))
        raise click.UsageError(f"There is no client “{name}”. There are: {names or 'none yet'}.")
    return client

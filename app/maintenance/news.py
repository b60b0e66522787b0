"""Owners are told what a new release has changed in their settings."""

from __future__ import annotations

from sqlalchemy import delete, select

from app.domain import aside
from app.domain.relaying import notices
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.house import Bookmark

LOOP = "news"
HOSTS_ADDED = "tell of twiml_hosts: "
"""A bookmark of this name and a client's id: the migration that gave clients ``twiml_hosts`` and
``sip_domains`` has put in what their templates used."""


def tick() -> None:
    """Mail each owner once, in the transaction in which that is done with."""
    waiting = list(
        db.session.scalars(
            select(Bookmark.name).where(
                Bookmark.name.startswith(HOSTS_ADDED), aside.free(LOOP, Bookmark.name)
            )
        )
    )
    db.session.rollback()
    for name in waiting:
        with aside.set_aside(LOOP, name), unit_of_work() as session:
            gone = session.execute(
                delete(Bookmark).where(Bookmark.name == name).returning(Bookmark.name)
            ).scalar()
            client = session.get(Client, name.removeprefix(HOSTS_ADDED))
            if gone is None or client is None:  # another clock was quicker
                continue
            notices.notify(
                session,
                client.owner_email,
                f"Where the calls of {client.name} may go on",
                _text(client),
                dedupe_key=name,
            )


def _text(client: Client) -> str:
    listed = [
        *(f"  {host} (may be asked for TwiML, and told)" for host in client.twiml_hosts),
        *(f"  {domain} (SIP addresses there may be called)" for domain in client.sip_domains),
    ]
    places = "\n".join(listed)
    return (
        "From now on the TwiML of calls goes on only to hosts and SIP domains that an owner has"
        f" listed. Your saved templates use these, so they have been listed for {client.name}:\n\n"
        f"{places}\n\n"
        "Please look whether all of them are meant to be there, and take out the others, in the"
        " settings.\n"
    )

"""Events that are written down at the very end of the transaction in which they happened.

An event shares its endpoint's row with others that tell it something, and shuts out who would
disable it. Many transactions tell the same endpoint about different messages, and some change many
messages: if each event were written at once, two of them and a third that disables could hold what
the next one waits for. So all that locks endpoints waits in memory until the commit, when all other
rows are locked already, and is then done in one order: clients' endpoints by their ids, many events
by one statement; mails of our own last. A rollback forgets it together with what it tells.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import cast

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.domain.relaying import events
from app.domain.relaying.events import Happening
from app.domain.wake import wake
from app.extensions import db

_WAITING = "outbox"
_WRITTEN = "outbox_written"

Order = tuple[int, str]
Waiting = list[tuple[Order, Happening | Callable[[], object]]]


def tell(session: Session, happening: Happening) -> None:
    """Let ``happening`` be recorded when the current transaction commits; relay is then woken."""
    _waiting(session).append((client_endpoint(happening.endpoint_id), happening))


def client_endpoint(endpoint_id: str) -> Order:
    """Return where in the order of locks an endpoint of a client's stands."""
    return 0, endpoint_id


def own_mail(address: str, is_last: bool) -> Order:
    """Return where in the order of locks an address stands to which we write ourselves.

    :param is_last: support, who is told when a mail to anybody else is given up.
    """
    return (2 if is_last else 1), address


def at_commit(session: Session, order: Order, write: Callable[[], object]) -> None:
    """Have ``write`` lock one endpoint and write at the end of the current transaction.

    What stands at the same place in the order is done in the order in which it was asked for.
    """
    _waiting(session).append((order, write))


def _waiting(session: Session) -> Waiting:
    """Return what waits in the current transaction; another transaction's is forgotten."""
    transaction = session.get_transaction() or session.begin()
    kept: tuple[SessionTransaction, Waiting] | None = session.info.get(_WAITING)
    if kept is None or kept[0] is not transaction:
        kept = (transaction, [])
        session.info[_WAITING] = kept
    return kept[1]


def _write(session: Session) -> None:
    kept: tuple[SessionTransaction, Waiting] | None = session.info.pop(_WAITING, None)
    if kept is None or kept[0] is not session.get_transaction():
        return
    ordered = (one for _order, one in sorted(kept[1], key=itemgetter(0)))
    for are_events, together in groupby(ordered, lambda one: isinstance(one, Happening)):
        if are_events:
            events.record_all(session, cast(list[Happening], list(together)))
        else:
            for write in together:
                cast(Callable[[], object], write)()
    if kept[1]:
        session.info[_WRITTEN] = True


def _wake(session: Session) -> None:
    if session.info.pop(_WRITTEN, False):
        wake("relay")


event.listen(db.session, "before_commit", _write)
event.listen(db.session, "after_commit", _wake)

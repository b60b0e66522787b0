"""Requests that may be repeated: the same Idempotency-Key gives the same answer for a day.

Every POST that changes something is made by :func:`once`. The key's row is written in the
transaction that does the work, so there is never one without the other. Of concurrent repeats one
inserts the row; on PostgreSQL the others wait at its unique key until that transaction has ended,
on SQLite writers queue anyway.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

from flask import request
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.operation import IDEMPOTENCY_KEY as HEADER
from app.api.operation import Answer, Written
from app.api.problem import HttpProblem, invalid
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.house import IdempotencyKey

MAX_LENGTH = 255
KEPT_FOR = timedelta(days=1)
"""Older ones are deleted by retention; until then they count as gone."""
_TRIES = 3

Make = Callable[[Session], Answer]
"""Does the work of a request in the transaction of the session; its content is a shape."""


def once(caller: Caller, body: BaseModel | None, make: Make) -> Answer:
    """Answer what ``make`` answers in one transaction: once per key, with its status and headers.

    :param body: what was asked for; with the same key it must be the same.
    :raises HttpProblem: 409 when the key was used for something else, 422 when it is no key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        with unit_of_work() as session:
            return make(session)
    if not 1 <= len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
        sentence = f"{HEADER} must have 1 to {MAX_LENGTH} printable ASCII characters."
        raise invalid(HEADER, "invalid", sentence)
    digest = _digest(body)
    for _ in range(_TRIES):
        try:
            with unit_of_work() as session:
                return _once(session, caller, key, digest, make)
        except IntegrityError as error:
            if IdempotencyKey.__tablename__ not in str(error.orig):
                raise
    raise HttpProblem(409, f"Another request with this {HEADER} is under way; repeat it later.")


def _once(session: Session, caller: Caller, key: str, digest: str, make: Make) -> Answer:
    kept = session.get(IdempotencyKey, (caller.client_id, key), populate_existing=True)
    if kept is not None and kept.created_at <= utcnow() - KEPT_FOR:
        session.delete(kept)
        session.flush()
        kept = None
    if kept is None:
        kept = IdempotencyKey(
            client_id=caller.client_id,
            key=key,
            request_sha256=digest,
            status=0,
            headers={},
            body="",
        )
        session.add(kept)
        session.flush()  # a repeat that came first is waited for here
        _keep(kept, make(session))
    elif kept.request_sha256 != digest:
        raise HttpProblem(409, f"This {HEADER} was used for a request with other content.")
    return Answer(kept.status, Written(kept.body), kept.headers)


def _keep(kept: IdempotencyKey, made: Answer) -> None:
    kept.status, kept.headers = made.status, dict(made.headers)
    kept.body = made.content.model_dump_json()


def _digest(body: BaseModel | None) -> str:
    content = json.dumps([request.path, body and body.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()

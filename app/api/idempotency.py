"""Requests that may be repeated: the same Idempotency-Key gives the same answer for a day.

The key's row is written in the transaction that does the work, so there is never one without the
other. Of concurrent repeats one inserts the row; on PostgreSQL the others wait at its unique key
until that transaction has ended, on SQLite writers queue anyway.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from flask import request
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.api.auth import Caller
from app.api.operation import Answer
from app.api.problem import Refusal, invalid
from app.api.reading import Shape
from app.extensions import unit_of_work
from app.models.base import utcnow
from app.models.house import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEPT_FOR = timedelta(days=1)
"""Older ones are deleted by retention; until then they count as gone."""
_TRIES = 3

M = TypeVar("M", bound=Shape)


def once(caller: Caller, body: BaseModel, kind: type[M], make: Callable[[Session], M]) -> Answer:
    """Answer 201 with what ``make`` makes in one transaction, once per key.

    :param body: what was asked for; with the same key it must be the same.
    :raises Refusal: 409 when the key was used for something else, 422 when it is no key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        with unit_of_work() as session:
            return Answer(201, make(session))
    if not 1 <= len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
        sentence = f"{HEADER} must have 1 to {MAX_LENGTH} printable ASCII characters."
        raise invalid(HEADER, "invalid", sentence)
    digest = _digest(body)
    for _ in range(_TRIES):
        try:
            with unit_of_work() as session:
                return _once(session, caller, key, digest, kind, make)
        except IntegrityError as error:
            if IdempotencyKey.__tablename__ not in str(error.orig):
                raise
    raise Refusal(409, f"Another request with this {HEADER} is under way; repeat it later.")


def _once(
    session: Session,
    caller: Caller,
    key: str,
    digest: str,
    kind: type[M],
    make: Callable[[Session], M],
) -> Answer:
    kept = session.get(IdempotencyKey, (caller.client_id, key), populate_existing=True)
    if kept is not None and kept.created_at <= utcnow() - KEPT_FOR:
        session.delete(kept)
        session.flush()
        kept = None
    if kept is None:
        kept = IdempotencyKey(
            client_id=caller.client_id, key=key, request_sha256=digest, status=201, body=""
        )
        session.add(kept)
        session.flush()  # a repeat that came first is waited for here
        made = make(session)
        kept.body = made.model_dump_json()
        return Answer(kept.status, made)
    if kept.request_sha256 != digest:
        raise Refusal(409, f"This {HEADER} was used for a request with other content.")
    return Answer(kept.status, kind.model_validate_json(kept.body))


def _digest(body: BaseModel) -> str:
    content = json.dumps([request.path, body.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()

"""Refusals of the API: raised anywhere below a route, answered as RFC 9457 problem details."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from flask import Response

from app.problems import problem


@dataclass(frozen=True)
class FieldError:
    """One mistake in what was sent: where, a word for programs, a sentence for people."""

    field: str
    code: str
    message: str


@dataclass
class Refusal(Exception):
    """A request that is answered with an error; nothing of it has been kept."""

    status: int
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail


def not_found(what: str) -> Refusal:
    """Say that this client has no such thing; what belongs to another client is not there."""
    return Refusal(404, f"There is no {what} with this id.")


def invalid(name: str, code: str, message: str) -> Refusal:
    """Say that one field (or query parameter) holds something that cannot be accepted."""
    return invalid_all([FieldError(name, code, message)])


def invalid_all(errors: list[FieldError]) -> Refusal:
    """Say everything that is wrong with what was sent, at once."""
    detail = " ".join(dict.fromkeys(error.message for error in errors[:5]))
    more = len(errors) - 5
    return Refusal(422, f"{detail} And {more} more." if more > 0 else detail, errors)


def answer(refusal: Refusal) -> Response:
    """Turn ``refusal`` into the response."""
    more = {"errors": [asdict(error) for error in refusal.errors]} if refusal.errors else {}
    response = problem(refusal.status, HTTPStatus(refusal.status).phrase, refusal.detail, **more)
    response.headers.update(refusal.headers)
    return response

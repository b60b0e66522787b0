"""Errors of the API: raised anywhere below a route, answered as RFC 9457 problem details."""

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
class HttpProblem(Exception):
    """A request that is answered with an error; nothing of it has been kept."""

    status: int
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail


def not_found(what: str) -> HttpProblem:
    """Say that this client has no such thing; what belongs to another client is not there."""
    return HttpProblem(404, f"There is no {what} with this id.")


def invalid(name: str, code: str, message: str) -> HttpProblem:
    """Say that one field (or query parameter) holds something that cannot be accepted."""
    return invalid_all([FieldError(name, code, message)])


def invalid_all(errors: list[FieldError]) -> HttpProblem:
    """Say everything that is wrong with what was sent, at once."""
    detail = " ".join(dict.fromkeys(error.message for error in errors[:5]))
    more = len(errors) - 5
    return HttpProblem(422, f"{detail} And {more} more." if more > 0 else detail, errors)


def answer(raised: HttpProblem) -> Response:
    """Turn what was raised into the response."""
    more = {"errors": [asdict(error) for error in raised.errors]} if raised.errors else {}
    response = problem(raised.status, HTTPStatus(raised.status).phrase, raised.detail, **more)
    response.headers.update(raised.headers)
    return response

"""Reading what a client system sent, with every mistake reported at once, in sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.problem import FieldError, HttpProblem, invalid_all
from app.domain import mistakes
from app.domain.specs import Input

MAX_BODY_BYTES = 16 * 1024 * 1024


class Shape(Input):
    """An object of the API: camelCase outside, and nothing in it that we do not know."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
    )


M = TypeVar("M", bound=BaseModel)


FurtherCheck = Callable[[Any, set[str | int]], Iterable[mistakes.Mistake]]
"""Says what else is wrong with a body of which some fields, which it is told, cannot be read."""


def read_body(model: type[M], further: FurtherCheck | None = None) -> M:
    """Read the body as JSON whatever its Content-Type: existing clients send none.

    :param further: looks at the rest where some fields cannot be read, so that all is told at once.
    :raises HttpProblem: 400 when it is not JSON, 413 when it is too large, 422 when it does not
        fit.
    """
    request.max_content_length = MAX_BODY_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise HttpProblem(413, f"The body is larger than {MAX_BODY_BYTES // 2**20} MB.") from None
    try:
        value = json.loads(raw or b"{}", parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise HttpProblem(400, f"The body is not JSON: {error}.") from None
    _refuse_unstorable(value)
    read, wrong = mistakes.parse_partly(model, value)
    if read is not None and not wrong:
        return read
    if read is not None and further is not None:
        unread = {one.path[0] for one in wrong if one.path}
        more = further(read, unread)
        wrong += [one for one in more if one.path and one.path[0] not in unread]
    raise mistakes.Refused(wrong)


def read_query(model: type[M]) -> M:
    """Read the query string.

    :raises mistakes.Refused: with every mistake, answered as 422; a parameter we do not know is
        one.
    """
    values: dict[str, Any] = {}
    for name in request.args:
        given = request.args.getlist(name)
        values[name] = given[0] if len(given) == 1 else given
    _refuse_unstorable(values)
    return mistakes.parse(model, values)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _refuse_unstorable(value: object) -> None:
    errors = [
        FieldError(
            where,
            "bad_character",
            f"{where or 'The body'} holds a NUL or half a surrogate pair, which is not text.",
        )
        for where in _unstorable(value, ())
    ]
    if errors:
        raise invalid_all(errors)


def _unstorable(value: object, where: mistakes.Path) -> Iterator[str]:
    """Name the places of text that no database can keep."""
    if isinstance(value, str):
        if not storable(value):
            yield mistakes.Mistake(where, "").field
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not storable(key):
                yield mistakes.Mistake(where, "").field
            yield from _unstorable(inner, (*where, key if storable(key) else "?"))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, (*where, index))


def storable(text: str) -> bool:
    """Tell whether both databases can keep ``text``: no NUL, no half surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

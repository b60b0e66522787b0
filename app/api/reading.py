"""Reading what a client system sent, with every mistake reported at once, in sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.problem import FieldError, Refusal, invalid_all

MAX_BODY_BYTES = 16 * 1024 * 1024


class Shape(BaseModel):
    """An object of the API: camelCase outside, and nothing in it that we do not know."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
    )


M = TypeVar("M", bound=BaseModel)


def read_body(model: type[M]) -> M:
    """Read the body as JSON whatever its Content-Type: existing clients send none.

    :raises Refusal: 400 when it is not JSON, 413 when it is too large, 422 when it does not fit.
    """
    request.max_content_length = MAX_BODY_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Refusal(413, f"The body is larger than {MAX_BODY_BYTES // 2**20} MB.") from None
    try:
        value = json.loads(raw or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The body is not JSON: {error}.") from None
    _refuse_unstorable(value)
    return check(model, value)


def read_query(model: type[M]) -> M:
    """Read the query string.

    :raises Refusal: 422 with every mistake; a parameter we do not know is one.
    """
    values: dict[str, Any] = {}
    for name in request.args:
        given = request.args.getlist(name)
        values[name] = given[0] if len(given) == 1 else given
    _refuse_unstorable(values)
    return check(model, values)


def check(model: type[M], value: object) -> M:
    """Make a ``model`` of ``value``.

    :raises Refusal: 422 with every mistake.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        known = [info.alias or name for name, info in model.model_fields.items()]
        raise invalid_all([_explain(one, known) for one in error.errors()]) from None


_SENTENCES = {
    "missing": "{field} is missing.",
    "string_type": "{field} must be text.",
    "int_type": "{field} must be a whole number.",
    "int_parsing": "{field} must be a whole number.",
    "int_from_float": "{field} must be a whole number.",
    "bool_type": "{field} must be true or false.",
    "bool_parsing": "{field} must be true or false.",
    "list_type": "{field} must be a list.",
    "dict_type": "{field} must be an object.",
    "model_type": "{field} must be an object.",
    "model_attributes_type": "{field} must be an object.",
    "string_too_short": "{field} must not be empty.",
}


def _explain(error: ErrorDetails, known: list[str]) -> FieldError:
    kind = error["type"]
    name = _path(error["loc"])
    shown = name or "The body"
    if kind == "extra_forbidden":
        close = get_close_matches(name, known, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        return FieldError(name, "unknown_field", f"There is no field {name}.{hint}")
    if kind == "value_error":
        return FieldError(name, "invalid", str(error["ctx"]["error"]))
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        text = error["msg"]
        return FieldError(name, kind, f"{shown}: {text[0].lower()}{text[1:]}.")
    return FieldError(name, kind, sentence.format(field=shown))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON value")


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


def _unstorable(value: object, where: tuple[int | str, ...]) -> Iterator[str]:
    """Name the places of text that no database can keep."""
    if isinstance(value, str):
        if not storable(value):
            yield _path(where)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not storable(key):
                yield _path(where)
            yield from _unstorable(inner, (*where, key if storable(key) else "?"))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, (*where, index))


def storable(text: str) -> bool:
    """Tell whether both databases can keep ``text``: no NUL, no half surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

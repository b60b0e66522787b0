"""What is wrong with something that a person or a program wrote: all of it at once, in sentences.

The configuration file, the API and the staff pages show the same mistakes, each in its own way.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
Spec = TypeVar("Spec", bound=BaseModel)
Found = TypeVar("Found")

SECRET_FIELDS = frozenset(
    {
        "password",
        "key",
        "auth_token",
        "next_auth_token",
        "api_key_secret",
        "secret",
        "webhook_key",
        "next_webhook_key",
    }
)
"""Fields whose values are never shown, not even in a mistake."""

INVALID_PHONE = "invalid_phone"
"""The code of a mistake in a phone."""
UNKNOWN_NAME = "unknown_name"
"""The code of a mistake that names something which does not exist."""


SEVERAL = "several"
"""Of an error that holds mistakes of its own, each with its place within what was read."""


@dataclass(frozen=True)
class Mistake:
    """One mistake: where (keys and list positions from 0), what to do about it, and a code."""

    path: Path
    message: str
    code: str = "invalid"

    def under(self, *prefix: str | int) -> Mistake:
        """Return the same mistake seen from further out."""
        return replace(self, path=(*prefix, *self.path))

    @property
    def field(self) -> str:
        """The place in words that programs use: ``sms.keywords[0].match``."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text


class Refused(ValueError):
    """Something cannot be saved; ``mistakes`` holds every reason at once."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(" ".join(mistake.message for mistake in self.mistakes))

    @classmethod
    def because(cls, message: str, *path: str | int, code: str = "invalid") -> Refused:
        """Make a refusal with one reason."""
        return cls([Mistake(path, message, code)])


@contextmanager
def under(*prefix: str | int) -> Iterator[None]:
    """Have what is refused inside seen from further out.

    :raises Refused: with the same mistakes, each at its place below ``prefix``.
    """
    try:
        yield
    except Refused as refused:
        raise Refused(one.under(*prefix) for one in refused.mistakes) from None


class Reasons:
    """Collects the reasons of several checks, so that all are told at once."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def add(self, message: str, *path: str | int, code: str = "invalid") -> None:
        """Add a reason."""
        self.mistakes.append(Mistake(path, message, code))

    def get(self, look_up: Callable[..., Found], *arguments: object) -> Found | None:
        """Return what ``look_up`` finds; what it refuses is added, and there is None."""
        try:
            return look_up(*arguments)
        except Refused as refused:
            self.mistakes.extend(refused.mistakes)
            return None

    def refuse_if_any(self) -> None:
        """Go on only if there was no reason against it.

        :raises Refused: with all of them.
        """
        if self.mistakes:
            raise Refused(self.mistakes)


def parse(model: type[Spec], data: object, context: dict[str, Any] | None = None) -> Spec:
    """Read ``data`` as ``model``.

    :param context: what its validators are given besides.
    :raises Refused: with every mistake as a sentence.
    """
    read, wrong = parse_partly(model, data, context)
    if wrong or read is None:
        raise Refused(wrong)
    return read


def parse_partly(
    model: type[Spec], data: object, context: dict[str, Any] | None = None
) -> tuple[Spec | None, list[Mistake]]:
    """Read ``data`` as ``model`` without the fields that cannot be read.

    So what can be read is looked at further, and its mistakes are told with the others.

    :returns: what could be read, None where that is nothing; and every mistake as a sentence.
    """
    try:
        return model.model_validate(data, context=context), []
    except ValidationError as error:
        wrong = list(_translate(model, error))
    bad = {mistake.path[0] for mistake in wrong if mistake.path}
    if not isinstance(data, dict) or not bad:
        return None, wrong
    try:
        readable = {name: value for name, value in data.items() if name not in bad}
        return model.model_validate(readable, context=context), wrong
    except ValidationError:
        return None, wrong


def unknown_key(name: str, known: Iterable[str]) -> str:
    """Say that a key is not known, and which one may have been meant."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1, 0.7)
    hint = f"did you mean “{close[0]}”?" if close else f"what is known is {', '.join(names)}."
    return f"“{name}” is not known here; {hint}"


def _translate(model: type[BaseModel], error: ValidationError) -> Iterator[Mistake]:
    for details in error.errors(include_url=False):
        path = tuple(part for part in details["loc"] if part != "[key]")
        if details["type"] == SEVERAL:
            yield from (one.under(*path) for one in details["ctx"]["mistakes"])
            continue
        yield Mistake(path, _sentence(model, path, details), details["type"])


def _sentence(model: type[BaseModel], path: Path, details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == INVALID_PHONE:
        return details["msg"]
    names = [part for part in path if isinstance(part, str)]
    name = f"“{names[-1]}”" if names else "This"
    if path and isinstance(path[-1], int):
        name = f"Item {path[-1] + 1} of {name}"
    if kind == "missing":
        return f"{name} is required."
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), _keys_at(model, path[:-1]))
    if kind in ("literal_error", "enum"):
        shown = f"“{details['input']}”" if isinstance(details["input"], str) else "something else"
        return f"{name} must be one of {_listed(context['expected'])}, not {shown}."
    return f"{name} {_RULES.get(kind, 'is not valid: {message}').format(**_words(details))}"


_RULES = {
    "int_parsing": "must be a whole number.",
    "int_type": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "int_parsing_size": "is too large a number.",
    "float_parsing": "must be a number.",
    "float_type": "must be a number.",
    "finite_number": "must be a number.",
    "bool_parsing": "must be true or false.",
    "bool_type": "must be true or false.",
    "string_type": "must be text.",
    "list_type": "must be a list.",
    "dict_type": "must hold names with values.",
    "model_type": "must hold names with values.",
    "model_attributes_type": "must hold names with values.",
    "greater_than": "must be more than {gt}.",
    "greater_than_equal": "must be {ge} or more.",
    "less_than": "must be less than {lt}.",
    "less_than_equal": "must be {le} or less.",
    "string_too_short": "must not be empty.",
    "string_too_long": "is too long; at most {max_length} characters are allowed.",
    "too_long": "has too many entries; at most {max_length} are allowed.",
    "too_short": "needs at least {min_length}.",
    "datetime_from_date_parsing": "must be a time such as 2027-01-31T12:00:00Z.",
    "datetime_parsing": "must be a time such as 2027-01-31T12:00:00Z.",
    "timezone_aware": "must be a time with its zone, such as 2027-01-31T12:00:00Z.",
}


def _words(details: ErrorDetails) -> dict[str, Any]:
    words: dict[str, Any] = dict(details.get("ctx", {}))
    if details["type"] == "string_too_short" and words.get("min_length", 1) > 1:
        words["min_length"] = f"{words['min_length']} characters"
    return {"message": details["msg"], **words}


def _listed(expected: object) -> str:
    return str(expected).replace("'", "").replace(" or ", ", ")


def _keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """Return the keys that are known at ``path`` inside ``model``."""
    found: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or found is None:
            continue
        fields = {field.alias or name: field for name, field in found.model_fields.items()}
        found = _model_in(fields[part].annotation) if part in fields else None
    if found is None:
        return set()
    return {field.alias or name for name, field in found.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, dict, tuple, Union, types.UnionType):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None

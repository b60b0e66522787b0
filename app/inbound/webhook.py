"""A request of Twilio's: read as it was sent, and believed only when its signature is right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import BadRequest, Forbidden

from app.extensions import current_settings
from app.models.base import ID_LENGTH
from app.twilio import signature

MAX_BYTES = 256 * 1024
"""Largest body read; Twilio's own requests have a few kilobytes."""
MAX_FIELDS = 1000
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"
_ID = re.compile(f"[0-9A-Z]{{{ID_LENGTH}}}")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Webhook:
    """The form of one request.

    ``pairs`` is what Twilio signed: every name and value, repeated and blank ones too. ``fields``
    is what we use: the first value of each name, without NUL, which no database stores.
    """

    url: str
    pairs: list[tuple[str, str]]
    fields: dict[str, str]
    signature: str | None

    def get(self, name: str) -> str:
        """Return a field's value; empty when it is missing."""
        return self.fields.get(name, "")

    def has(self, name: str) -> bool:
        """Tell whether a field was sent, if only an empty one."""
        return name in self.fields

    def require_signature(self, tokens: Iterable[str]) -> None:
        """Go on only if Twilio signed this request with one of these auth tokens.

        :raises Forbidden: otherwise.
        """
        if not signature.verify(self.url, self.pairs, self.signature, tokens):
            raise Forbidden(
                "The request's signature (X-Twilio-Signature) is not that of the account that"
                " owns this number."
            )

    def require(self, **expected: str) -> None:
        """Go on only if these parameters have these values.

        :raises Forbidden: naming the first that has not.
        """
        for name, value in expected.items():
            if self.get(name) != value:
                raise Forbidden(f"{name} is not the one that this belongs to.")


def is_id(text: str) -> bool:
    """Tell whether ``text`` can be one of our ids; nothing else is looked up."""
    return _ID.fullmatch(text) is not None


def received() -> Webhook:
    """Read the current request.

    The signed URL is our public address and the undecoded request target: never the Host header,
    which anybody can write, nor the decoded path, which may have been written differently.

    :raises Forbidden: when it carries no signature.
    :raises BadRequest: when it is too large or no form at all.
    """
    given = request.headers.get(signature.HEADER)
    if not given:
        raise Forbidden("The request is not signed: the header X-Twilio-Signature is missing.")
    target = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path
    pairs = _pairs()
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name.replace("\0", ""), value.replace("\0", ""))
    url = signature.signed_url(current_settings().public_base_url, target)
    return Webhook(url, pairs, fields, given)


def _pairs() -> list[tuple[str, str]]:
    request.max_content_length = MAX_BYTES
    body = request.get_data(cache=False)
    if not body:
        return []
    if request.mimetype != _FORM:
        raise BadRequest(f"The request must be a form of type {_FORM}.")
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadRequest(f"The form cannot be read: {error}.") from error

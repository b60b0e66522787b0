"""A request of Twilio's: read as it was sent, and believed only when its signature is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import Response, request
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
_JSON = "application/json"


@dataclass(frozen=True)
class Webhook:
    """The form, or JSON object, of one request.

    ``pairs`` is what Twilio signed of a form: every name and value, repeated and blank ones too.
    ``fields`` is what we use: the first value of each name, without NUL, which no database stores.
    Of JSON the ``body`` is signed, by its hash in the URL. ``settings`` say how it was signed.
    """

    url: str
    pairs: list[tuple[str, str]]
    fields: dict[str, str]
    signature: str | None
    body: bytes | None = None
    settings: str | None = None

    def get(self, name: str) -> str:
        """Return a field's value; empty when it is missing."""
        return self.fields.get(name, "")

    def has(self, name: str) -> bool:
        """Tell whether a field was sent, if only an empty one."""
        return name in self.fields

    def require_signature(self, tokens: Iterable[str]) -> None:
        """Go on only if Twilio signed this request with one of these auth tokens or shared keys.

        :raises Forbidden: otherwise.
        """
        if not signature.verify(
            self.url, self.pairs, self.signature, tokens, self.body, self.settings
        ):
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
    request.max_content_length = MAX_BYTES
    body = request.get_data()  # kept: the request may be begun anew
    is_json = request.mimetype == _JSON and bool(body)
    pairs = [] if is_json else _pairs(body)
    fields: dict[str, str] = {}
    for name, value in _members(body) if is_json else pairs:
        fields.setdefault(name.replace("\0", ""), value.replace("\0", ""))
    return Webhook(
        signature.signed_url(current_settings().public_base_url, target),
        pairs,
        fields,
        given,
        body if is_json else None,
        request.headers.get(signature.SETTINGS_HEADER),
    )


def twiml(document: str, status: int = 200) -> Response:
    """Make an answer of type ``text/xml``."""
    return Response(document, status, content_type="text/xml; charset=utf-8")


def _members(body: bytes) -> list[tuple[str, str]]:
    """Return the members of a JSON object as a form would have them; null is left out."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The request's JSON cannot be read.") from error
    if not isinstance(data, dict) or len(data) > MAX_FIELDS:
        raise BadRequest("The request's JSON must be an object of at most 1,000 fields.")
    return [(name, _as_text(value)) for name, value in data.items() if value is not None]


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no character


def _pairs(body: bytes) -> list[tuple[str, str]]:
    if not body:
        return []
    if request.mimetype != _FORM:
        raise BadRequest(f"The request must be a form of type {_FORM}, or JSON.")
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadRequest(f"The form cannot be read: {error}.") from error

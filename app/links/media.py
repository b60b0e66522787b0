"""``/media/<code>``: recordings, uploads, and what people texted to us.

Twilio asks HEAD and GET and refuses a file whose type is not what it is, or whose name is long
(Twilio, "Accepted content types for media"). Browsers are told not to guess the type and to run
nothing: anybody can text anything.
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from flask import Blueprint, Response, abort, request
from sqlalchemy import select

from app.domain.content import attachments, file_types
from app.extensions import current_settings, db
from app.models.base import utcnow
from app.models.credential import Credential
from app.models.media import Media, MediaSource
from app.twilio.media import MediaUnavailable, fetch_media

log = structlog.get_logger(__name__)

blueprint = Blueprint("media", __name__)

MAX_NAME = 20
"""Longest file name in Content-Disposition that Twilio takes."""
FETCH_SECONDS = 8.0
"""How long Twilio may take to give a file: one of few web processes waits for it."""
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHOWN = re.compile(r"(image|audio|video)/|text/(plain|x?-?vcard|csv|calendar)$|application/pdf$")


@blueprint.get("/media/<code>")
def serve(code: str) -> Response:
    """Serve a file by its code until it expires; afterwards it never was."""
    found = _find(code)
    if found is None:
        abort(404, "There is no such file, or it has expired.")
    if found.source is MediaSource.STORED:
        return _stored(found)
    return _from_twilio(found)


def _find(code: str) -> Any:
    if not _CODE.fullmatch(code):
        return None
    row = db.session.execute(
        select(
            Media.code,
            Media.source,
            Media.content_type,
            Media.filename,
            Media.size,
            Media.twilio_url,
            Media.credential_id,
            Media.expires_at,
        ).where(Media.code == code)
    ).one_or_none()
    if row is None or row.expires_at is None or row.expires_at > utcnow():
        return row
    wanted = select(Media.code).where(Media.code == code, attachments.are_on_their_way())
    return row if db.session.scalar(wanted) is not None else None


def _stored(found: Any) -> Response:
    """Serve our own bytes; a HEAD does not even read them."""
    if request.method == "HEAD":
        answer = _answer(found, b"", found.content_type)
        answer.headers["Content-Length"] = str(found.size)
        answer.set_etag(found.code)
        return answer
    content = db.session.scalar(select(Media.content).where(Media.code == found.code))
    if content is None:
        abort(404, "There is no such file, or it has expired.")
    answer = _answer(found, content, found.content_type)
    answer.set_etag(found.code)  # what a code leads to never changes
    answer.make_conditional(request, accept_ranges=True, complete_length=len(content))
    return answer


def _from_twilio(found: Any) -> Response:
    """Pass on what Twilio holds; only Twilio's own hosts are asked, with the account's log-in."""
    declared = file_types.plain(found.content_type)
    if request.method == "HEAD" and declared != file_types.UNKNOWN:
        answer = _answer(found, b"", declared)
        answer.automatically_set_content_length = False  # only Twilio knows it; it is not 0
        del answer.headers["Content-Length"]
        return answer
    credential = db.session.get(Credential, found.credential_id)
    db.session.rollback()  # nothing is held open while Twilio is asked
    if credential is None:
        abort(404, "The account that holds this file is gone.")
    user = credential.api_key_sid if credential.api_key_secret else credential.account_sid
    password = credential.api_key_secret or credential.auth_token
    try:
        fetched = fetch_media(
            found.twilio_url or "", user or "", password,
            base_url=current_settings().twilio_api_base_url, deadline_seconds=FETCH_SECONDS,
        )  # fmt: skip
    except MediaUnavailable as error:
        log.warning("media could not be fetched", code=found.code[:6], error=str(error))
        abort(404 if error.gone else 502, str(error))
    kind = file_types.identify(fetched.content, declared)
    return _answer(found, fetched.content, kind)


def _answer(found: Any, content: bytes, content_type: str) -> Response:
    """Make the answer with the headers that keep it harmless."""
    kind = content_type.lower()
    safe = kind if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind) else "application/octet-stream"
    answer = Response(content, content_type=safe)
    shown = "inline" if _SHOWN.match(safe) else "attachment"
    answer.headers["Content-Disposition"] = f'{shown}; filename="{_name(found, safe)}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Cache-Control"] = "private, max-age=3600"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def _name(found: Any, content_type: str) -> str:
    """Return a file name of at most 20 plain characters, with an ending."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", found.filename).strip("-.") or "file"
    stem, dot, ending = plain.rpartition(".")
    if not dot:
        stem, ending = plain, file_types.extension(content_type)
    ending = ending[:5]
    return f"{stem[: MAX_NAME - len(ending) - 1]}.{ending}"

"""``/l/<code>``: short links in texts lead to what was written there, and nowhere else.

Phones and messengers open links to show a preview before anybody has looked at them; such opens,
and those of robots and link scanners, are counted apart from those of people.
"""

from __future__ import annotations

import re

import structlog
from flask import Blueprint, Response, abort, request
from limits import RateLimitItemPerMinute
from markupsafe import escape
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.domain import limits
from app.domain.content.links import CODE_LENGTH, location
from app.extensions import db, unit_of_work
from app.models.link import Click, Link
from app.models.message import Message

log = structlog.get_logger(__name__)
blueprint = Blueprint("short_links", __name__)

_CODE = re.compile(rf"[0-9A-Za-z]{{{CODE_LENGTH}}}(?![0-9A-Za-z](?!\ufe0f?\u20e3))")
"""A code, and behind it perhaps what a phone took for a part of the link: the words of a text that
go on without a blank, as in Chinese, or an emoji (that of a digit begins with the digit)."""
_GUESSES = RateLimitItemPerMinute(60)
"""Unknown codes that one address may ask for: whoever guesses is slowed down further."""
_ROBOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|prefetch|prerender|scan|monitor|headless|lighthouse"
    r"|facebookexternalhit|facebot|whatsapp|telegram|skypeuri|slack-imgproxy|vkshare|pinterest"
    r"|embedly|quora link|outbrain|google-(pagerenderer|safety|read-aloud)|googlemessages"
    r"|mediapartners|bingpreview|yahoo|baidu|yandex|proofpoint|barracuda|mimecast|safelinks"
    r"|curl|wget|python|go-http|java/|okhttp|libwww|httpclient|axios|node-fetch|ruby|perl|php",
    re.IGNORECASE,
)
_AHEAD = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<p style="font: 1.2rem/1.5 system-ui, sans-serif; max-width: 30em; margin: 20vh auto; padding: 1em">
{sentence}
"""


@blueprint.get("/l/<path:written>")
def open_link(written: str) -> Response:
    """Lead to the address behind a code (HEAD too), and count who came."""
    code = code_in(written)
    url = db.session.scalar(select(Link.url).where(Link.code == code)) if code else None
    db.session.rollback()
    if url is None:
        if limits.hit(_GUESSES, "links", request.remote_addr or "") is not None:
            abort(429, "Too many unknown links were asked for; try again in a minute.")
        abort(404, "There is no such link, or it has expired.")
    _count(code)
    answer = Response(status=302)
    answer.autocorrect_location_header = False
    answer.headers["Location"] = location(url)
    answer.headers["Cache-Control"] = "no-store, private"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


@blueprint.errorhandler(404)
@blueprint.errorhandler(429)
def _say(error: HTTPException) -> Response:
    """Say it in a sentence: it is people with a phone in their hands who open these links."""
    page = _PAGE.format(title=error.name, sentence=escape(error.description or error.name))
    answer = Response(page, error.code, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def code_in(written: str) -> str:
    """Return what could be one of our codes at the beginning of a path; empty if nothing could."""
    found = _CODE.match(written)
    return found.group() if found else ""


def is_preview() -> bool:
    """Tell whether the current request comes from a preview or a robot rather than a person."""
    headers = request.headers
    agent = headers.get("User-Agent", "")
    ahead = " ".join(
        headers.get(name, "") for name in ("Purpose", "Sec-Purpose", "X-Purpose", "X-Moz")
    )
    return (
        request.method == "HEAD"
        or not agent
        or _ROBOT.search(agent) is not None
        or _AHEAD.search(ahead) is not None
    )


def _count(code: str) -> None:
    """Note the opening; a database that cannot write just now does not keep people waiting."""
    agent = request.headers.get("User-Agent", "").replace("\x00", "")[:200]
    try:
        with unit_of_work() as session:
            batch_id = (
                select(Message.batch_id)
                .join(Link, Link.message_id == Message.id)
                .where(Link.code == code)
                .scalar_subquery()
            )
            session.add(Click(code=code, batch_id=batch_id, is_preview=is_preview(), agent=agent))
    except SQLAlchemyError as error:
        log.warning("a click was not counted", code=code, error=type(error).__name__)

"""A look at the links of a text before it goes out: Twilio will ask for the same files, by HEAD.

A look may be slow, and the web processes that make it answer Twilio as well. So it ends after
seconds, and single messages are looked at for a tenth of a process's time at most; what nobody
looked at is left to Twilio's own check.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from sqlalchemy import select

from app.domain import addresses, urls
from app.domain.addresses import Networks
from app.domain.content.attachments import MAX_FILES, Look
from app.extensions import db
from app.models.client import Client
from app.version import NAMED

if TYPE_CHECKING:
    from app.outbound.relay.transport import EndpointAnswer

SECONDS = 3.0
"""For one link with its redirects; all of a message are looked at together."""
SHARE = 0.1
"""Of a process's time that looking at the links of single messages may take."""
MAX_REDIRECTS = 2
_GONE = {
    401: "it asks for a password, and Twilio has none.",
    404: "there is nothing at this address (404).",
    410: "there is nothing at this address any more (410).",
}
_AGENT = f"{NAMED} (checks media before they are texted)"


class _Budget:
    """When a look at a single message's links may be taken next, by ``time.monotonic``."""

    free_at = 0.0


def look_now(media: Iterable[str], client_id: str) -> dict[str, Look]:
    """Look at every link that we do not serve ourselves; for somebody who waits for the answer."""
    links = [url for url in dict.fromkeys(media) if urls.media_code(url) is None][:MAX_FILES]
    if not links:
        return {}
    denied = db.session.scalar(select(Client.denied_networks).where(Client.id == client_id))
    networks = addresses.networks_for(denied or ())
    db.session.rollback()  # nothing is held open while others are asked
    with ThreadPoolExecutor(len(links), thread_name_prefix="look") as pool:
        return dict(zip(links, pool.map(lambda url: _look(url, networks), links), strict=True))


def look_in_passing(media: Iterable[str], client_id: str) -> dict[str, Look]:
    """Look at the links of a single message, if there is time for it; none are known if not."""
    began = time.monotonic()
    if began < _Budget.free_at:
        return {}
    found = look_now(media, client_id)
    ended = time.monotonic()
    _Budget.free_at = ended + (ended - began) * (1 / SHARE - 1)
    return found


def _look(url: str, networks: Networks) -> Look:
    # Here, not above: requests is slow to import, and most web processes never look.
    from app.outbound.relay.transport import Call, EndpointAnswer, Limits, send

    ends = time.monotonic() + SECONDS
    answer = EndpointAnswer(error="deadline")
    for _ in range(MAX_REDIRECTS + 1):
        left = ends - time.monotonic()
        if left <= 0:
            break
        limits = Limits(connect=left, read=left, total=left, dns=left, body=0)
        answer = send(Call("HEAD", url, {"User-Agent": _AGENT, "Accept": "*/*"}), networks, limits)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status not in (301, 302, 303, 307, 308) or "location" not in headers:
            break
        try:
            url = urljoin(url, headers["location"])
        except ValueError:  # it is no address, such as https://[
            break
    return _judge(answer)


def _judge(answer: EndpointAnswer) -> Look:
    if answer.status is None:
        return Look(doubt=_why_not_seen(answer))
    if answer.status in _GONE:
        return Look(wrong=_GONE[answer.status])
    if answer.status != 200:
        return Look(doubt=f"its server answers {answer.status} when it is asked by HEAD.")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    size = headers.get("content-length", "")
    return Look(content_type or None, int(size) if size.isdecimal() else None)


def _why_not_seen(answer: EndpointAnswer) -> str:
    known = {
        "blocked": "it is on no public address, or not on https, where Dispatch does not look.",
        "deadline": f"its server does not answer within {SECONDS:g} s.",
    }
    return known.get(answer.error or "", answer.detail or "its server does not answer.")

"""Messages and their media."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from flask import Flask, Response, redirect, request

from .. import outbox
from ..clock import rfc2822
from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..orders import Order
from ..records import Account, Media, Message
from .base import integer, page_2010, reply, signed_in
from .resource import ACCOUNT, Resource, add

FINISHED = {"delivered", "undelivered", "failed", "sent", "received", "canceled", "read"}


def shown(message: Message) -> dict[str, Any]:
    """A message as Twilio's JSON."""
    uri = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    pending = message.status in ("accepted", "scheduled") and message.service_sid
    count = len(message.media) or len(message.media_urls)
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.date_created),
        "date_updated": rfc2822(message.date_updated),
        "date_sent": rfc2822(message.date_sent),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": message.error_message,
        "from": message.from_,
        "to": message.to,
        "messaging_service_sid": message.service_sid,
        "num_media": str(count),
        "num_segments": "0" if pending else str(message.num_segments),
        "price": message.price,
        "price_unit": "USD",
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "uri": f"{uri}.json",
    }


def shown_media(account_sid: str, media: Media) -> dict[str, Any]:
    """A file of a message as Twilio's JSON."""
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{media.parent_sid}/Media/"
    return {
        "sid": media.sid,
        "account_sid": account_sid,
        "parent_sid": media.parent_sid,
        "content_type": media.content_type,
        "date_created": rfc2822(media.date_created),
        "date_updated": rfc2822(media.date_created),
        "uri": f"{path}{media.sid}.json",
    }


def register(app: Flask, box: Sandbox) -> None:
    """Create, fetch, list, update, delete; media of incoming MMS."""

    def remove(message: Message) -> None:
        if message.status not in FINISHED:
            raise RestError(20009)
        box.store.remove_message(message)

    @app.post(f"{ACCOUNT}/Messages.json", endpoint="Messages.create")
    @signed_in(box, test_allowed=True)
    def create(account: Account) -> Response:
        return reply(shown(outbox.create(box, account, _order())), 201)

    messages = Resource(
        "Messages", "messages", box.store.messages.get, partial(_matching, box), shown,
        change=lambda message: outbox.change(box, message, request.form), remove=remove,
    )  # fmt: skip
    add(app, box, messages)
    _register_media(app, box, messages)
    _register_storage(app, box)


def _register_media(app: Flask, box: Sandbox, messages: Resource[Message]) -> None:
    base = f"{ACCOUNT}/Messages/<message_sid>/Media"

    def find(account: Account, message_sid: str, sid: str) -> Media:
        media = box.store.media.get(sid)
        if media not in messages.find(account.sid, message_sid).media:
            raise RestError(20404, path=request.path)
        return media

    @app.get(f"{base}.json", endpoint="Media.list")
    @signed_in(box)
    def listing(account: Account, message_sid: str) -> Response:
        rows = messages.find(account.sid, message_sid).media
        return page_2010(
            "media_list", rows, lambda media: media.sid, partial(shown_media, account.sid)
        )

    @app.get(f"{base}/<sid>.json", endpoint="Media.fetch")
    @signed_in(box)
    def fetch(account: Account, message_sid: str, sid: str) -> Response:
        return reply(shown_media(account.sid, find(account, message_sid, sid)))

    @app.get(f"{base}/<sid>", endpoint="Media.content")
    @signed_in(box)
    def content(account: Account, message_sid: str, sid: str) -> Response:
        media = find(account, message_sid, sid)
        url = f"{box.settings.media_url}/media-storage/{media.token}"
        return redirect(url, 307)  # type: ignore[return-value]

    @app.delete(f"{base}/<sid>.json", endpoint="Media.delete")
    @signed_in(box)
    def delete(account: Account, message_sid: str, sid: str) -> Response:
        media = find(account, message_sid, sid)
        box.store.messages[message_sid].media.remove(media)
        del box.store.media[sid]
        return Response(status=204)


def _register_storage(app: Flask, box: Sandbox) -> None:
    @app.get("/media-storage/<token>", endpoint="Media.storage")
    def storage(token: str) -> Response:
        """Another host, as with Twilio: credentials sent here are a mistake, and refused."""
        if request.authorization is not None or request.headers.get("Authorization"):
            return Response("Only one auth mechanism is allowed.", 400, mimetype="text/plain")
        media = next((m for m in list(box.store.media.values()) if m.token == token), None)
        if media is None:
            return Response("There is no such file.", 404, mimetype="text/plain")
        response = Response(media.data, mimetype=media.content_type)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = "sandbox"
        return response


def _order() -> Order:
    form = request.form
    return Order(
        to=form.get("To", "").strip(),
        from_=form.get("From", "").strip(),
        service_sid=form.get("MessagingServiceSid", ""),
        body=form.get("Body", ""),
        media_urls=[u for u in form.getlist("MediaUrl") if u],
        status_callback=form.get("StatusCallback") or None,
        validity_period=integer("ValidityPeriod", 36000, 21624),
        send_at=_send_at(),
    )


def _send_at() -> datetime | None:
    if request.form.get("ScheduleType") != "fixed":
        return None
    text = request.form.get("SendAt", "")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise RestError(35111) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matching(box: Sandbox, account: Account) -> Iterator[Message]:
    to, from_ = request.args.get("To"), request.args.get("From")
    phones = [phone for phone in (to, from_) if phone]
    bounds = [
        (op, _moment(request.args[name]))
        for op, name in (("=", "DateSent"), ("<", "DateSent<"), (">", "DateSent>"))
        if request.args.get(name)
    ]
    for message in box.store.messages_newest_first(*phones):
        if message.account_sid != account.sid:
            continue
        if (to and message.to != to) or (from_ and message.from_ != from_):
            continue
        if all(_within(message.date_sent, op, bound) for op, bound in bounds):
            yield message


def _moment(text: str) -> date | datetime:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise RestError(20001) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _within(sent: datetime | None, op: str, bound: date | datetime) -> bool:
    """Twilio's DateSent filters include the bound (`<=` and `>=`), days are GMT days."""
    if sent is None:
        return False
    if op == "=":
        # The libraries write a day as its midnight: DateSent=2026-11-21T00:00:00Z.
        day = bound.astimezone(UTC).date() if isinstance(bound, datetime) else bound
        return sent.astimezone(UTC).date() == day
    value = sent if isinstance(bound, datetime) else sent.astimezone(UTC).date()
    if isinstance(bound, datetime):
        value = sent.replace(microsecond=0)
    return value <= bound if op == "<" else value >= bound

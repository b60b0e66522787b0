"""Texts from people to numbers: the webhook, the TwiML that comes back, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from . import geo, optout, outbox, segments, twiml
from .clock import utcnow
from .core import API_VERSION, Sandbox
from .errors import RestError
from .orders import Order
from .records import Account, Media, Message, Number, Service, new_sid
from .webhooks import Answer

MAX_DOCUMENTS = 50
MAX_REPLIES = 10
LOOP_REPLIES = 30
LOOP_SECONDS = 30.0


@dataclass
class Visit:
    """One incoming text while its TwiML is run."""

    account: Account
    number: Number
    message: Message
    params: list[tuple[str, str]]
    documents: int = 0
    replies: int = 0


def receive(
    box: Sandbox, from_: str, to: str, body: str, media: Sequence[tuple[str, bytes]] = ()
) -> tuple[Message | None, Visit | None]:
    """A person texts a number. Returns the logged text and what `run` needs.

    Raises LookupError if nobody owns the number. A text to a messaging service without an inbound
    URL is neither logged nor delivered, as Twilio documents; then both are None.
    """
    number = box.store.numbers.get(to)
    if number is None:
        raise LookupError(f"No account of this sandbox owns {to}.")
    service = box.store.services.get(number.service_sid or "")
    handled = optout.handle(box.store, from_, number, service, body)
    disabled = (
        service is not None
        and not service.use_inbound_webhook_on_number
        and not service.inbound_request_url
    )
    message = _logged(box, number, from_, body, media, not disabled)
    if handled.reply:
        _whisper(box, number, from_, handled.reply)
    if disabled:
        return None, None
    account = box.account(number.account_sid)
    params = _params(box, message, number, service, handled.opt_out_type)
    return message, Visit(account, number, message, params)


def _logged(
    box: Sandbox,
    number: Number,
    from_: str,
    body: str,
    media: Sequence[tuple[str, bytes]],
    keep: bool,
) -> Message:
    sid = new_sid("MM" if media else "SM")
    message = Message(
        account_sid=number.account_sid,
        to=number.phone,
        from_=from_,
        body=body,
        direction="inbound",
        status="received",
        sid=sid,
        num_segments=1 if media else segments.count(body),
        media=[Media(sid, kind, data) for kind, data in media],
        service_sid=number.service_sid,
        date_sent=utcnow(),
        history=["received"],
    )
    if keep:
        box.store.add_message(message)
        box.scheduler.after(box.delays.price, lambda: setattr(message, "price", _price(message)))
    box.store.touch()
    return message


def _price(message: Message) -> str:
    return f"-{0.0079 * message.num_segments:.5f}" if not message.media else "-0.01650"


def _whisper(box: Sandbox, number: Number, phone: str, text: str) -> None:
    """An automatic reply of Twilio's: the person sees it, the log does not."""
    note = Message(
        account_sid=number.account_sid,
        to=phone,
        from_=number.phone,
        body=text,
        direction="twilio",
        status="delivered",
        date_sent=utcnow(),
    )
    box.store.whispers.setdefault(phone, []).append(note)
    box.store.touch()


def _params(
    box: Sandbox, message: Message, number: Number, service: Service | None, opt_out: str | None
) -> list[tuple[str, str]]:
    params = [
        *geo.place(number.phone, "To"),
        *geo.place(message.from_ or "", "From"),
        ("SmsMessageSid", message.sid),
        ("NumMedia", str(len(message.media))),
        ("SmsSid", message.sid),
        ("SmsStatus", "received"),
        ("Body", message.body),
        ("To", message.to),
        ("NumSegments", str(message.num_segments)),
        ("MessageSid", message.sid),
        ("AccountSid", message.account_sid),
        ("From", message.from_ or ""),
        ("ApiVersion", API_VERSION),
    ]
    if service is not None:
        params.append(("MessagingServiceSid", service.sid))
    for index, item in enumerate(message.media):
        path = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}/Media/"
        params.append((f"MediaContentType{index}", item.content_type))
        params.append((f"MediaUrl{index}", box.settings.public_url + path + item.sid))
    if opt_out:
        params.append(("OptOutType", opt_out))
    return params


def run(box: Sandbox, visit: Visit) -> None:
    """Ask the application what to do with the text, and do it."""
    urls = _urls(box, visit.number)
    sid = visit.message.sid
    answer = box.fetch_document(visit.account, urls, visit.params, "incoming text", sid)
    if answer is None:
        return
    try:
        _execute(box, visit, answer)
    except twiml.Refused as refused:
        box.alert(refused.code, str(refused), sid, answer.url)
        failed = Answer(answer.url, code=refused.code)
        kind = "incoming text"
        other = box.fetch_fallback(visit.account, urls[1:], visit.params, kind, sid, failed)
        if other is not None:
            _retry(box, visit, other)


def _retry(box: Sandbox, visit: Visit, answer: Answer) -> None:
    try:
        _execute(box, visit, answer)
    except twiml.Refused as refused:
        box.alert(refused.code, str(refused), visit.message.sid, answer.url)


def _urls(box: Sandbox, number: Number) -> list[tuple[str | None, str]]:
    service = box.store.services.get(number.service_sid or "")
    if service is not None and not service.use_inbound_webhook_on_number:
        return [
            (service.inbound_request_url, service.inbound_method),
            (service.fallback_url, service.fallback_method),
        ]
    return [
        (number.sms_url, number.sms_method),
        (number.sms_fallback_url, number.sms_fallback_method),
    ]


def _execute(box: Sandbox, visit: Visit, answer: Answer) -> None:
    sid = visit.message.sid
    while True:
        visit.documents += 1
        if visit.documents > MAX_DOCUMENTS:
            box.alert(14106, "More than 50 TwiML documents for one text.", sid, answer.url)
            return
        document = twiml.read(answer, twiml.MESSAGING)
        if document.plain is not None:
            _reply(box, visit, answer.url, twiml.Verb("Message", {}, document.plain))
            return
        for warning in document.warnings:
            box.alert(12200, warning, sid, answer.url)
        following = _follow(box, visit, answer.url, document)
        if following is None:
            return
        answer = following


def _follow(box: Sandbox, visit: Visit, base: str, document: twiml.Document) -> Answer | None:
    """Run the verbs; the answer of a <Redirect>, or None at the end."""
    for verb in document.verbs:
        if verb.name in ("Message", "Sms"):
            _reply(box, visit, base, verb)
        elif verb.name == "Redirect":
            url = urljoin(base, verb.text.strip())
            method = verb.get("method", "POST")
            answer = box.fetch(
                visit.account, url, method, visit.params, "redirect", visit.message.sid
            )
            if answer.code is not None:
                raise twiml.Refused(answer.code, answer.error)
            return answer
    return None


def _reply(box: Sandbox, visit: Visit, base: str, verb: twiml.Verb) -> None:
    sid, phone = visit.message.sid, visit.message.from_ or ""
    visit.replies += 1
    if visit.replies > MAX_REPLIES:
        box.alert(14109, "More than 10 <Message> replies to one text.", sid, base)
        return
    body, media = _content(verb, base)
    if (not body and not media) or len(body.encode("utf-16-le")) // 2 > 1600:
        box.alert(14103, "Invalid Body of <Message>: empty or over 1600 characters.", sid, base)
        return
    to, from_ = verb.get("to", phone), verb.get("from", visit.number.phone)
    if _looping(box, to, from_):
        box.alert(14107, "Reply limit hit: 30 replies in a row, each within 30 s.", sid, base)
        return
    callback = verb.get("action") or verb.get("statusCallback")
    order = Order(
        to=to,
        from_=from_,
        service_sid=visit.number.service_sid or "",
        body=body,
        media_urls=media,
        status_callback=urljoin(base, callback) if callback else None,
    )
    try:
        outbox.create(box, visit.account, order, "outbound-reply")
    except RestError as error:
        code = {21211: 14101, 21212: 14102, 21606: 14102, 21609: 14105}.get(error.code, error.code)
        box.alert(code, error.message, sid, base)


def _content(verb: twiml.Verb, base: str) -> tuple[str, list[str]]:
    parts = [c.text for c in verb.children if c.name == "Body"]
    body = "".join(parts) if parts else verb.text.strip()
    media = [urljoin(base, c.text.strip()) for c in verb.children if c.name == "Media"]
    return body, media


def _looping(box: Sandbox, to: str, from_: str) -> bool:
    """Twilio's loop guard: 30 replies between two numbers, each within 30 s of the last."""
    with box.store.lock:
        count, last = box.store.loops.get((to, from_), (0, -LOOP_SECONDS))
        now = box.clock.now()
        count = count + 1 if now - last < LOOP_SECONDS else 1
        box.store.loops[(to, from_)] = (count, now)
        return count > LOOP_REPLIES

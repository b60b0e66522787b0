"""A call tried out step by step: answered by the functions that answer Twilio; nothing is stored.

What the caller, and whoever is rung, has done so far is a list of words such as ``key:1``; the call
is gone through from its beginning each time, so that there is nothing to remember.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy.orm import Session

from app.domain.routing.handlers.menu import KEYS
from app.domain.routing.handlers.ring import Ring
from app.inbound import calls, flow, lookup, steps
from app.inbound.answers import Answer, CallContext
from app.inbound.flow import Lost, Step
from app.inbound.handlers import call_forward
from app.inbound.number import RouteFacts
from app.inbound.webhook import Webhook
from app.models.route import Handler, Route
from app.models.sender import Sender
from app.staff.numbers import route_preview
from app.staff.numbers.drafts import Place
from app.twiml import parse, ringing, voice
from app.twiml.parse import Element

MOST = 60
"""Most things that are done in one call here."""


@dataclass(frozen=True)
class Line:
    """Something that was heard, done, or happened."""

    kind: str
    """``say``, ``play``, ``whisper`` (what somebody hears who is rung), ``did`` or ``note``."""
    text: str
    """The words; of ``play`` the address of the sound."""
    language: str = ""


@dataclass(frozen=True)
class Choice:
    """Something that the caller, or somebody who is rung, may do next."""

    did: str
    label: str


@dataclass
class Trial:
    """A call as far as it has come."""

    lines: list[Line] = field(default_factory=list)
    keys: str = ""
    """The keys that may be pressed."""
    choices: list[Choice] = field(default_factory=list)
    at: Place = ()
    """The box of the picture in which it is."""


def run(session: Session, sender: Sender, at: datetime, done: Iterable[str]) -> Trial | None:
    """Return a call that comes at a time, after all that was done; None for a number without one.

    What was done that cannot be done there is left out.
    """
    number = lookup.for_call(session.connection(), sender.address, route_preview.CALLER, at)
    if number is None:
        return None
    walk = _Walk(session, route_preview.call(session, number, at))
    walk.outer = _place_of(session, number.route) if number.route else ()
    walk.begin()
    for one in list(done)[:MOST]:
        walk.do(one)
    return walk.shown()


def _place_of(session: Session, facts: RouteFacts) -> Place:
    """Return where a route is inside the number's: hours that lead to it are gone through."""
    found: list[str] = []
    row = session.get(Route, facts.id)
    while row is not None and row.parent_id is not None:
        found.insert(0, str(row.place))
        row = session.get(Route, row.parent_id)
    return tuple(found)


class _Walk:
    """Goes through a call, document by document."""

    def __init__(self, session: Session, context: CallContext) -> None:
        self.session, self.context = session, context
        self.outer: Place = ()
        self.root: RouteFacts | None = None
        self.before: dict[str, str] = {}
        self.trial = Trial()
        self.verb: Element | None = None
        self.rest: list[Element] = []
        self.later: dict[str, object] = {}

    def begin(self) -> None:
        """Let the phone be answered."""
        self.context, answer = calls.begun(self.context)
        self.root = flow.read(answer.flow) if answer.flow else None
        self._take(answer)

    def do(self, what: str) -> None:
        """Do one thing, if it can be done there."""
        allowed = {one.did: one.label for one in self._choices()}
        if what not in allowed:
            return
        verb, (kind, _, which) = self.verb, what.partition(":")
        if verb is None:
            return
        self._note("did", allowed[what])
        if verb.name == "Gather":
            said = {"key": "Digits", "word": "SpeechResult"}.get(kind, "Digits")
            self._step(verb.attributes["action"], {said: which})
        elif verb.name == "Record":
            self._recorded(kind)
        else:
            self._dialed(verb, kind, which)

    def shown(self) -> Trial:
        """Return the call as far as it has come."""
        self.trial.at = (*self.outer, *self.context.at)
        found = self._choices()
        self.trial.keys = "".join(one.did[4:] for one in found if one.did.startswith("key:"))
        self.trial.choices = [one for one in found if not one.did.startswith("key:")]
        return self.trial

    def _take(self, answer: Answer) -> None:
        if answer.error:
            self._note("note", answer.error)
        self.later = answer.later or self.later
        self._hear(parse.parse(answer.twiml).children)

    def _hear(self, verbs: list[Element], kind: str = "say") -> None:
        """Go through a document, as far as nobody has to do anything."""
        self.verb = None
        for position, verb in enumerate(verbs):
            if verb.name == "Gather":
                self._speak(verb.children, kind)
            if verb.name in ("Gather", "Record", "Dial"):
                self.verb, self.rest = verb, verbs[position + 1 :]
                return
            if verb.name == "Redirect":
                self._note("note", f"The call goes on at {verb.text}.")
            self._speak([verb], kind)
        if kind == "say":
            self._note("note", "The call is over.")

    def _speak(self, verbs: Iterable[Element], kind: str) -> None:
        for verb in verbs:
            if verb.name == "Say":
                self._note(kind, verb.text, verb.attributes.get("language", ""))
            elif verb.name == "Play":
                self._note("play", verb.text)

    def _note(self, kind: str, text: str, language: str = "") -> None:
        self.trial.lines.append(Line(kind, text, language))

    def _choices(self) -> list[Choice]:
        return list(self._offered(self.verb)) if self.verb is not None else []

    def _offered(self, verb: Element) -> Iterator[Choice]:
        if verb.name == "Gather":
            yield from (Choice(f"key:{key}", f"Press {key}") for key in KEYS)
            words = filter(None, verb.attributes.get("hints", "").split(","))
            yield from (Choice(f"word:{word}", f"Say “{word}”") for word in words)
            yield Choice("none", "Press nothing")
        elif verb.name == "Record":
            yield Choice("speak", "Leave a message")
            yield Choice("silent", "Say nothing")
        else:
            for at, number in enumerate(verb.children):
                who = self._known_as(number.text)
                yield Choice(f"takes:{at}", f"{who} takes the call")
                if number.attributes.get("url"):
                    yield Choice(f"mailbox:{at}", f"The mailbox of {who} picks up")
            yield Choice("nobody", "Nobody picks up")

    def _known_as(self, phone: str) -> str:
        """Return who has a phone, where the route says so."""
        route = self._route()
        if route is not None and route.handler is Handler.RING:
            people = {one.to: one.known_as for one in Ring.of(route.options).people}
            return people.get(phone, phone)
        return phone

    def _route(self) -> RouteFacts | None:
        return flow.find(self.root, self.context.at) if self.root else None

    def _step(self, url: str, told: dict[str, str]) -> None:
        """Go on as Twilio does: by asking an address."""
        if (answer := self._asked(url, told)) is not None:
            self._take(answer)

    def _asked(self, url: str, told: dict[str, str]) -> Answer | None:
        if self.root is None:
            return None
        try:
            asked = Step.read(dict(parse_qsl(urlsplit(url).query)))
            context = route_preview.moved(self.context, asked.at, told)
            said = Webhook(url, [], told, None)
            self.context, answer = steps.answered(context, self.root, asked, said, self.before)
        except Lost as lost:
            self._note("note", str(lost))
            self.verb = None
            return None
        self.before[asked.key] = answer.twiml
        return answer

    def _recorded(self, kind: str) -> None:
        if kind == "silent":
            return self._hear(self.rest)
        spoken = (str(self.later.get(name) or "") or None for name in ("voice", "language"))
        return self._hear(parse.parse(voice.farewell(*spoken)).children)

    def _dialed(self, verb: Element, kind: str, which: str) -> None:
        action, taken = verb.attributes["action"], kind == "takes"
        if kind in ("takes", "mailbox"):
            number = verb.children[int(which)]
            if url := number.attributes.get("url"):
                self._picked_up(url, ringing.TAKES if taken else "")
        if taken:
            self.verb = None
            self._note("note", "The two are connected. When they hang up, the call is over.")
        elif "/step/" in action:
            self._step(action, {"DialCallStatus": "no-answer", "DialBridged": "false"})
        else:
            after = call_forward.after("no-answer", dict(self.later))
            self._hear(parse.parse(after).children)

    def _picked_up(self, url: str, key: str) -> None:
        """Let somebody hear who calls, and press a key, where one is asked for."""
        if (heard := self._asked(url, {})) is None:
            return
        self._hear(parse.parse(heard.twiml).children, "whisper")
        if self.verb is not None:
            self._asked(self.verb.attributes["action"], {"Digits": key})

"""``auto_reply``: a text is answered with a canned reply, some words with others."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy.orm import Session

from app.domain import keywords
from app.domain.mistakes import Reasons
from app.domain.routing.handlers.base import HandlerSpec, Place, Refers, Shown
from app.domain.specs import Name, Spec
from app.models.client import Client
from app.models.route import Destination, KeywordRule, Route
from app.models.template import Template, TemplateKind

CARRIER_KEYWORDS = keywords.TWILIO_WORDS.keys() - {keywords.YES}
"""Words that never reach a number's own rules. YES may: one that lifts nothing is ordinary."""
_TAKEN = (
    "“{}” is a word by which people opt out or in or ask for help in the languages of this client;"
    " it is handled before any rule and cannot have one."
)
_REPLY = Refers(Template, TemplateKind.REPLY)


def _keyword(text: str) -> str:
    word = keywords.read(text)
    if not word or len(word.split()) != 1:
        raise ValueError(f"“{text.strip()}” must be one word: only a text of that word matches.")
    if word in CARRIER_KEYWORDS:
        raise ValueError(
            f"“{word}” is a word by which people opt out or in or ask for help;"
            " it is handled before any rule and cannot have one."
        )
    return word


class KeywordSpec(Spec):
    """A text of just this word is answered by another template."""

    match: Annotated[
        str,
        StringConstraints(min_length=1, max_length=100),
        AfterValidator(_keyword),
        Shown("Keyword", hint="HOURS"),
    ]
    template: Annotated[
        Name,
        _REPLY,
        Shown("Reply to keyword", empty="Choose a reply", missing="Choose a reply to “{match}”."),
    ]


class AutoReply(HandlerSpec):
    """Answer each text with a template."""

    label = "Answer with a canned reply"
    hint = "People get the same words back at once."
    destinations = (Destination.SMS,)

    handler: Literal["auto_reply"]
    template: Annotated[
        Name,
        _REPLY,
        Shown("Canned reply", "Write new ones under Canned replies.", empty="Choose one"),
    ]
    keywords: Annotated[
        list[KeywordSpec],
        Field(max_length=100),
        Shown("Keywords", "A text of just one of these words gets another reply.", "rows"),
    ] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        words = [rule.match for rule in self.keywords]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"The keyword {' and '.join(twice)} has more than one rule.")
        return self

    def summary(self) -> str:
        """Say in words what it does."""
        text = f"Answers each text with the template “{self.template}”"
        rules = ", ".join(f"{rule.match} with “{rule.template}”" for rule in self.keywords)
        return f"{text}; {rules}." if rules else f"{text}."

    def stored(self, place: Place, reasons: Reasons) -> dict[str, Any]:
        """Return the columns of the route, with a row for each keyword."""
        client_id = place.sender.client_id
        owner = place.session.get_one(Client, client_id)
        vocabulary = keywords.Vocabulary.of(owner.languages, owner.opt_words)
        columns, rules = super().stored(place, reasons), []
        for index, rule in enumerate(self.keywords):
            where = ("keywords", index)
            if vocabulary.read(rule.match) and rule.match != keywords.YES:
                reasons.add(_TAKEN.format(rule.match), *where, "match")
            found = reasons.get(
                _REPLY.find, place.session, client_id, rule.template, *where, "template"
            )
            if found is not None:
                rules.append(KeywordRule(match=rule.match, position=index, template_id=found.id))
        return columns | {"keywords": rules}

    @classmethod
    def read(cls, session: Session, route: Route) -> Self:
        """Return what is stored."""
        spec = super().read(session, route)
        spec.keywords = [
            KeywordSpec.model_construct(
                match=rule.match, template=session.get_one(Template, rule.template_id).name
            )
            for rule in route.keywords
        ]
        return spec

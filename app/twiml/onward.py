"""Every place of a document from which a call goes on: to whom, by which host, under which name."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.twiml.parse import Element
from app.twiml.values import Leads
from app.twiml.verbs import VOICE_VERBS


@dataclass(frozen=True, slots=True)
class Way:
    """One such place: `value` stands in `attribute` of `element`, or is its text."""

    element: Element
    attribute: str | None
    leads: Leads
    value: str

    def put(self, value: str) -> None:
        """Write another value there."""
        if self.attribute is not None:
            self.element.attributes[self.attribute] = value
        else:
            self.element.content = [value, *self.element.children]


_NOWHERE = frozenset({Leads.NOWHERE, Leads.SOUND})


def ways_onward(root: Element) -> Iterator[Way]:
    """Yield every way onward of a call's document, in its order.

    What is no TwiML leads nowhere either: it has been refused by `app.twiml.check`.
    """
    for element in [*root.walk()]:
        verb = VOICE_VERBS.get(element.name)
        if verb is None:
            continue
        for name, value in [*element.attributes.items()]:
            known = verb.attributes.get(name)
            if known is not None and known.leads not in _NOWHERE and value.strip():
                yield Way(element, name, known.leads, value.strip())
        text = element.text.strip()
        if text and verb.content.leads not in _NOWHERE:
            yield Way(element, None, verb.content.leads, text)

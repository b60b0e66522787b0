"""Words for a call, as people write them, and the TwiML of the same."""

from __future__ import annotations

import pytest

from app.twiml.spoken import Spoken, as_twiml, take_apart

BOTH_WAYS = {
    "words alone": (Spoken("Hello."), "<Response><Say>Hello.</Say></Response>"),
    "a voice and a language": (
        Spoken("Hola.", "Polly.Lupe", "es-US"),
        '<Response><Say voice="Polly.Lupe" language="es-US">Hola.</Say></Response>',
    ),
    "signs of XML are escaped": (
        Spoken("Art & Music < 3"), "<Response><Say>Art &amp; Music &lt; 3</Say></Response>",
    ),
    "placeholders stay as they are": (
        Spoken("{% if n < 3 %}Hi & {{ toName }}{% endif %}"),
        "<Response><Say>{% if n < 3 %}Hi &amp; {{ toName }}{% endif %}</Say></Response>",
    ),
}  # fmt: skip
MORE_THAN_WORDS = {
    "two verbs": "<Response><Say>a</Say><Play>b</Play></Response>",
    "said twice": '<Response><Say loop="2">a</Say></Response>',
    "marks inside": "<Response><Say>a<break/>b</Say></Response>",
    "no document": "Hello.",
    "a voice from a placeholder": '<Response><Say voice="{{ a["b"] }}">a</Say></Response>',
}


@pytest.mark.parametrize(("spoken", "twiml"), BOTH_WAYS.values(), ids=BOTH_WAYS)
def test_words_become_twiml_and_words_again(spoken: Spoken, twiml: str) -> None:
    assert as_twiml(spoken) == twiml
    assert take_apart(twiml) == spoken


@pytest.mark.parametrize("twiml", MORE_THAN_WORDS.values(), ids=MORE_THAN_WORDS)
def test_what_does_more_than_say_something_stays_twiml(twiml: str) -> None:
    assert take_apart(twiml) is None

"""Answers to a call: what a caller hears, and Twilio's limits."""

import xml.etree.ElementTree as ET
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twiml import voice


def verbs(document: str) -> list[tuple[str, str | None, dict[str, str]]]:
    return [(verb.tag, verb.text, verb.attrib) for verb in ET.fromstring(document)]


def test_say() -> None:
    assert verbs(voice.say("We are closed.", "Polly.Joanna", "en-US", 2)) == [
        ("Say", "We are closed.", {"voice": "Polly.Joanna", "language": "en-US", "loop": "2"}),
        ("Hangup", None, {}),
    ]


def test_say_until_the_caller_hangs_up() -> None:
    assert verbs(voice.say("Please hold.", loop=0))[0] == ("Say", "Please hold.", {"loop": "0"})


def test_nothing_to_say_hangs_up() -> None:
    assert verbs(voice.say("\x07 ")) == [("Hangup", None, {})]


@pytest.mark.parametrize(
    ("name", "limit"),
    [(None, 4096), ("woman", 4096), ("Polly.Joanna", 3000), ("Google.en-US-A", 3000)],
)
def test_a_long_text_becomes_several_says(name: str | None, limit: int) -> None:
    sentence = "The office is closed until Monday. "
    spoken = [verb for verb in verbs(voice.say(sentence * 400, name)) if verb[0] == "Say"]
    assert len(spoken) > 1
    assert " ".join(text or "" for _, text, _ in spoken) == (sentence * 400).strip()
    for _, text, _ in spoken:
        assert text
        assert len(text) <= limit
        assert len(quote(text, safe="")) <= 4500
        assert text.endswith(".")


@pytest.mark.parametrize("loop", [0, 3, 1000])
def test_a_long_text_is_repeated_as_a_whole_within_one_document(loop: int) -> None:
    document = voice.say("one two three & " * 500, loop=loop)
    assert len(document.encode()) <= 64_000
    spoken = [text for tag, text, _ in verbs(document) if tag == "Say"]
    once = [text for tag, text, _ in verbs(voice.say("one two three & " * 500)) if tag == "Say"]
    repeats, rest = divmod(len(spoken), len(once))
    assert rest == 0
    assert spoken == once * repeats
    assert repeats == loop if loop == 3 else repeats > 1


def test_play() -> None:
    assert verbs(voice.play("https://d.example.edu/media/abc", loop=0)) == [
        ("Play", "https://d.example.edu/media/abc", {"loop": "0"}),
        ("Hangup", None, {}),
    ]


def test_dial() -> None:
    action = "https://d.example.edu/inbound/voice/dialed/01J"
    (forward,) = ET.fromstring(voice.dial("+13193350000", "+13195550100", 20, action))
    assert forward.attrib == {
        "action": action, "method": "POST", "timeout": "20", "callerId": "+13195550100",
        "answerOnBridge": "true", "timeLimit": "7200",
    }  # fmt: skip
    assert [(child.tag, child.text) for child in forward] == [("Number", "+13193350000")]


def test_dial_shows_the_caller_unless_told_otherwise() -> None:
    (forward,) = ET.fromstring(voice.dial("+13193350000", None, 20, "https://x.test/"))
    assert "callerId" not in forward.attrib


@pytest.mark.parametrize("timeout", [0, 4, 601, -1])
def test_dial_refuses_an_impossible_time_out(timeout: int) -> None:
    with pytest.raises(ValueError, match="5 to 600 seconds"):
        voice.dial("+13193350000", None, timeout, "https://x.test/")


@pytest.mark.parametrize("document", [voice.apology(), voice.neutral()], ids=["apology", "neutral"])
def test_sentences_for_people_end_the_call(document: str) -> None:
    said, ended = verbs(document)
    assert said[0] == "Say"
    assert said[1]
    assert said[1].endswith("Goodbye.")
    assert ended[0] == "Hangup"


def test_hangup_and_redirect() -> None:
    assert verbs(voice.hangup()) == [("Hangup", None, {})]
    assert verbs(voice.redirect("https://x.test/v?a=1&b=2")) == [
        ("Redirect", "https://x.test/v?a=1&b=2", {"method": "POST"})
    ]


@given(st.text(st.characters()), st.text(st.characters(), max_size=20), st.integers(0, 50))
def test_any_text_gives_a_document_that_parses(text: str, name: str, loop: int) -> None:
    assert ET.fromstring(voice.say(text, voice.clean(name), None, loop)).tag == "Response"

"""Documents completed with our addresses, and told in words."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twiml.parse import Unreadable
from app.twiml.rewrite import finish_actions, speech_of

G, R = "https://d.test/g?a=1&b=2", "https://d.test/r"
G_XML = "https://d.test/g?a=1&amp;b=2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<Response><Gather/></Response>", f'<Response><Gather action="{G_XML}"/></Response>'),
        ("<Response><Gather timeout='5'><Say>1</Say></Gather></Response>",
         f"<Response><Gather action=\"{G_XML}\" timeout='5'><Say>1</Say></Gather></Response>"),
        ("<Response><Record/></Response>",
         f'<Response><Record action="{R}" recordingStatusCallback="{R}"/></Response>'),
        ("<Response><Record action='https://x.test/'/></Response>",
         f"<Response><Record recordingStatusCallback=\"{R}\" action='https://x.test/'/></Response>"),
        ("<Response><Dial timeLimit='60' record='record-from-answer'>1</Dial></Response>",
         f"<Response><Dial recordingStatusCallback=\"{R}\" timeLimit='60'"
         " record='record-from-answer'>1</Dial></Response>"),
        ("<Response><Gather action=''/></Response>",
         f'<Response><Gather action="{G_XML}"/></Response>'),
        ("<Response><Gather hints=\" method='GET'\" method='GET'/></Response>",
         f"<Response><Gather action=\"{G_XML}\" hints=\" method='GET'\" method=\"POST\"/>"
         "</Response>"),
        ("<Response><Gather hints='a > b'\n/><Gather/></Response>",
         f"<Response><Gather action=\"{G_XML}\" hints='a > b'\n/><Gather action=\"{G_XML}\"/>"
         "</Response>"),
        ("<Response><Say>Grüße 👍</Say><Gather/></Response>",
         f'<Response><Say>Grüße 👍</Say><Gather action="{G_XML}"/></Response>'),
    ],
    ids=["gather", "other attributes", "record", "record with its own action", "recorded dial",
         "empty action", "method", "bracket in a value, and two", "after other characters"],
)  # fmt: skip
def test_what_has_no_address_gets_ours(before: str, after: str) -> None:
    assert finish_actions(before, G, R) == after
    ET.fromstring(after)


@pytest.mark.parametrize(
    ("given", "limit"),
    [("", "7200"), (" timeLimit='14400'", "7200"), (" timeLimit=''", "7200"),
     (" timeLimit='7200'", "7200"), (" timeLimit='90'", "90")],
)  # fmt: skip
def test_no_dial_lasts_for_ever(given: str, limit: str) -> None:
    xml = f"<Response><Dial{given}><Number>+13195550150</Number></Dial></Response>"
    (dial,) = ET.fromstring(finish_actions(xml, G, R))
    assert dial.attrib == {"timeLimit": limit}


@pytest.mark.parametrize(
    "xml",
    [
        "<?xml version='1.0'?>\n<!-- <Gather/> --><Response >\n\t<Say x:y='&amp;' xmlns:x='z'>"
        "&#233; &lt;Gather/&gt; <![CDATA[<Record/>]]></Say></Response>\n",
        "<Response><Gather action='https://x.test/'/><Dial timeLimit='60'"
        " record='do-not-record'>1</Dial></Response>",
        "<Response><Record action='https://x.test/' recordingStatusCallback='https://x.test/r'/>"
        "</Response>",
    ],
    ids=["comments, escapes, CDATA, namespaces", "own actions", "own callbacks"],
)
def test_everything_else_stays_byte_for_byte(xml: str) -> None:
    assert finish_actions(xml, G, R) == xml


def test_doing_it_twice_changes_nothing() -> None:
    once = finish_actions("<Response><Gather method='GET'/><Record/></Response>", G, R)
    assert finish_actions(once, "https://other.test/", "https://other.test/") == once


def test_what_is_no_document_is_refused() -> None:
    for action in (lambda: finish_actions("<Response>", G, R), lambda: speech_of("nonsense")):
        with pytest.raises(Unreadable):
            action()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_any_text_survives(said: str) -> None:
    root = ET.Element("Response")
    ET.SubElement(root, "Say", {"voice": said}).text = said
    ET.SubElement(root, "Gather", {"hints": said})
    completed = ET.fromstring(finish_actions(ET.tostring(root, "unicode"), G, R))
    assert completed[0].text == (said or None)
    assert completed[1].attrib == {"hints": said, "action": G}


def test_told_in_words() -> None:
    xml = (
        "<Response><Say loop='2'>Hello <emphasis>you</emphasis>\n there</Say>"
        "<Play>https://x.test/a.mp3</Play><Pause length='2'/>"
        "<Gather timeout='1'><Say>Press 1</Say></Gather><Record maxLength='30'/>"
        "<Dial><Number>+13195550100</Number><Number>+13195550101</Number></Dial>"
        "<Play digits='12'/><Redirect>https://x.test/n</Redirect><Reject reason='busy'/>"
        "<Play loop='0'>https://x.test/b.mp3</Play><Leave/><Hangup/></Response>"
    )
    assert speech_of(xml) == [
        "Says: “Hello you there” 2 times",
        "Plays https://x.test/a.mp3",
        "Waits 2 seconds",
        "Says: “Press 1”",
        "Waits for keys, 1 second",
        "Records what is said, up to 30 seconds",
        "Calls +13195550100, +13195550101",
        "Presses the keys 12",
        "Goes on at https://x.test/n",
        "Signals busy",
        "Plays https://x.test/b.mp3 until the caller hangs up",
        "Does <Leave>",
        "Hangs up",
    ]

"""Documents completed with our addresses, and told in words."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.twiml.parse import Unreadable, parse
from app.twiml.rewrite import finish_actions, own_names, speech_of, write

G, R = "https://d.test/g?a=1&b=2", "https://d.test/r"
XML = '<?xml version="1.0" encoding="UTF-8"?>'


def finished(xml: str) -> str:
    root = parse(xml)
    finish_actions(root, G, R)
    return write(root)


def same(one: str, other: str) -> bool:
    return ET.canonicalize(one) == ET.canonicalize(other)


@pytest.mark.parametrize(
    ("before", "element", "added"),
    [
        ("<Gather/>", "Gather", {"action": G}),
        ("<Gather timeout='5'><Say>1</Say></Gather>", "Gather", {"timeout": "5", "action": G}),
        ("<Record/>", "Record", {"action": R, "recordingStatusCallback": R}),
        ("<Record action='https://x.test/'/>", "Record",
         {"action": "https://x.test/", "recordingStatusCallback": R}),
        ("<Dial timeLimit='60' record='record-from-answer'>1</Dial>", "Dial",
         {"timeLimit": "60", "record": "record-from-answer", "recordingStatusCallback": R}),
        ("<Gather action=''/>", "Gather", {"action": G}),
        ("<Gather hints=\" method='GET'\" method='GET'/>", "Gather",
         {"hints": " method='GET'", "method": "POST", "action": G}),
        ("<Record recordingStatusCallbackMethod='GET'/>", "Record",
         {"action": R, "recordingStatusCallback": R, "recordingStatusCallbackMethod": "POST"}),
        ("<Gather hints='a > b'\n/>", "Gather", {"hints": "a > b", "action": G}),
        ("<Say>Grüße 👍</Say><Gather/>", "Gather", {"action": G}),
    ],
    ids=["gather", "other attributes", "record", "record with its own action", "recorded dial",
         "empty action", "method", "method of the report", "bracket in a value",
         "after other characters"],
)  # fmt: skip
def test_what_has_no_address_gets_ours(before: str, element: str, added: dict[str, str]) -> None:
    found = ET.fromstring(finished(f"<Response>{before}</Response>")).find(element)
    assert found is not None
    assert found.attrib == added


@pytest.mark.parametrize(
    ("given", "limit"),
    [("", "7200"), (" timeLimit='14400'", "7200"), (" timeLimit=''", "7200"),
     (" timeLimit='7200'", "7200"), (" timeLimit='90'", "90")],
)  # fmt: skip
def test_no_dial_lasts_for_ever(given: str, limit: str) -> None:
    xml = f"<Response><Dial{given}><Number>+13195550150</Number></Dial></Response>"
    (dial,) = ET.fromstring(finished(xml))
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
        "<Response><Say voice='a&#10;b&#9;&quot;&#13;'>&#13;]]&gt; &amp;amp;</Say></Response>",
    ],
    ids=["comments, escapes, CDATA, namespaces", "own actions", "own callbacks", "white space"],
)
def test_everything_else_means_the_same(xml: str) -> None:
    assert same(finished(xml), xml)


@pytest.mark.parametrize(
    ("written", "served"),
    [
        ("+1<!-- 900 -->3195550142", "+13195550142"),
        ("<![CDATA[+1319]]>5550142", "+13195550142"),
        ("&#43;1&#x33;195550142", "+13195550142"),
        ("+1<?pi 900?>3195550142", "+13195550142"),
    ],
    ids=["a comment", "CDATA", "character references", "an instruction"],
)
def test_what_is_served_is_what_was_understood(written: str, served: str) -> None:
    """Whatever Twilio thinks of comments inside a number: there are none when it reads it."""
    xml = f"<Response><Dial timeLimit='9'><Number>{written}</Number></Dial></Response>"
    expected = f'{XML}<Response><Dial timeLimit="9"><Number>{served}</Number></Dial></Response>'
    assert finished(xml) == expected


def test_doing_it_twice_changes_nothing() -> None:
    once = finished("<Response><Gather method='GET'/><Record/></Response>")
    root = parse(once)
    finish_actions(root, "https://other.test/", "https://other.test/")
    assert write(root) == once


CLIENT = "01J00000000000000000000000"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<Dial><Conference> lobby </Conference></Dial>",
         f"<Dial><Conference>{CLIENT}_lobby</Conference></Dial>"),
        ("<Dial><Queue>a &amp; b</Queue></Dial>",
         f"<Dial><Queue>{CLIENT}_a &amp; b</Queue></Dial>"),
        ("<Queue>desk</Queue>", f"<Queue>{CLIENT}_desk</Queue>"),
        ("<Enqueue>desk</Enqueue><Leave/>", f"<Enqueue>{CLIENT}_desk</Enqueue><Leave/>"),
        ("<Dial><Client>ann<Parameter name='a' value='b'/></Client></Dial>",
         f"<Dial><Client>{CLIENT}_ann<Parameter name='a' value='b'/></Client></Dial>"),
        ("<Dial><Client><Identity>ann</Identity></Client></Dial>",
         f"<Dial><Client><Identity>{CLIENT}_ann</Identity></Client></Dial>"),
        ("<Connect><Room>r</Room></Connect>", f"<Connect><Room>{CLIENT}_r</Room></Connect>"),
        ("<Pay paymentConnector='shop'/>", f"<Pay paymentConnector='{CLIENT}_shop'/>"),
        ("<Start><Siprec name='s' connectorName='c'/></Start>",
         f"<Start><Siprec name='s' connectorName='{CLIENT}_c'/></Start>"),
        ("<Start><Stream name='s' url='wss://x.test/'/></Start>",
         "<Start><Stream name='s' url='wss://x.test/'/></Start>"),
        ("<Connect><VirtualAgent connectorName='c'/></Connect>",
         f"<Connect><VirtualAgent connectorName='{CLIENT}_c'/></Connect>"),
        (f"<Dial><Conference>{CLIENT}_lobby</Conference></Dial>",
         f"<Dial><Conference>{CLIENT}_lobby</Conference></Dial>"),
    ],
)  # fmt: skip
def test_names_that_an_account_shares_become_the_clients_own(before: str, after: str) -> None:
    root = parse(f"<Response>{before}</Response>")
    own_names(root, CLIENT)
    assert same(write(root), f"<Response>{after}</Response>")


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(Unreadable):
        speech_of("nonsense")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_any_text_survives(said: str) -> None:
    root = ET.Element("Response")
    ET.SubElement(root, "Say", {"voice": said}).text = said
    ET.SubElement(root, "Gather", {"hints": said})
    completed = ET.fromstring(finished(ET.tostring(root, "unicode")))
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

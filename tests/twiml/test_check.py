"""Mistakes in TwiML are found when it is saved, not when somebody listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Gather, VoiceResponse

from app.twiml import messaging, voice
from app.twiml.check import check_document
from tests.support import cost


def doc(inside: str) -> str:
    return f"<Response>{inside}</Response>"


GOOD = [
    "<Response/>",
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><!-- remark --><Hangup/></Response>',
    doc('<Say voice="Polly.Joanna-Neural" language="en-US" loop="2">a <break time="1s"/>b</Say>'),
    doc('<Say voice="alice">5 &lt; 6 &amp; 7</Say><Pause length="2"/><Hangup/>'),
    doc('<Say><say-as interpret-as="telephone">319</say-as><lang xml:lang="fr-FR">a</lang></Say>'),
    doc('<Play loop="0">https://x.test/a.mp3?b=1&amp;c=2</Play><Play digits="12w#"/>'),
    doc('<Gather input="dtmf speech" numDigits="1" timeout="10" action="https://x.test/g">'
        "<Say>Press 1</Say><Play>https://x.test/a.mp3</Play><Pause/></Gather><Say>Bye</Say>"),
    doc('<Record maxLength="60" finishOnKey="#" playBeep="true" trim="do-not-trim"/>'),
    doc('<Dial timeout="20" callerId="+13195550100" record="record-from-answer-dual">'
        '<Number sendDigits="ww12" statusCallbackEvent="ringing answered">+13195550101</Number>'
        "</Dial>"),
    doc("<Dial>+13195550101</Dial>"),
    doc('<Redirect method="GET">https://x.test/next?a=1&amp;b=2</Redirect>'),
    doc('<Reject reason="busy"/>'),
    # Namespaces in XML 1.0, 3: without these two an XML editor takes none of it.
    '<Response xmlns:amazon="urn:x"><Say><amazon:effect name="whispered">a</amazon:effect></Say>'
    "</Response>",
    '<Response xmlns="urn:x" xmlns:xsi="urn:y"><Hangup/></Response>',
    doc('<Enqueue waitUrl="https://x.test/w">support</Enqueue>'),
    doc('<Connect><Stream url="wss://x.test/s"/></Connect>'),
    doc("<Dial>" + "<Number>+13195550101</Number>" * 10 + "</Dial>"),
    doc("<Dial><Sip><Uri priority='1' username='a' password='b'>sip:desk@x.test</Uri>"
        "<Headers><Header name='X-Ticket' value='7'/></Headers></Sip></Dial>"),
    doc("<Dial><Sip>sips:desk@x.test:5061;transport=tls?X-A=1&amp;X-B=2</Sip></Dial>"),
    doc("<Queue url='https://x.test/w'>desk</Queue>"),
    doc("<Dial><Conference waitUrl=''>lobby</Conference></Dial>"),
    doc("<Enqueue waitUrl=''>desk</Enqueue>"),
    doc("<Say voice='Polly.Joanna'><amazon:effect name='whispered'>psst</amazon:effect></Say>"),
    doc("<Dial><Number machineDetection='Enable' machineDetectionTimeout='59'>1</Number></Dial>"),
    doc("<Refer action='https://x.test/r'><Sip>sip:desk@x.test</Sip></Refer>"),
    doc("<Connect><ConversationRelay url='wss://x.test/r' welcomeGreeting='Hi'>"
        "<Language code='es-ES' voice='x'/><Parameter name='a' value='b'/></ConversationRelay>"
        "</Connect>"),
    doc("<Start><Transcription statusCallbackUrl='https://x.test/t' languageCode='en-US'/>"
        "<Recording recordingStatusCallback='https://x.test/r'/></Start>"),
    doc("<Pay paymentConnector='shop' chargeAmount='5.00'><Prompt for='payment-card-number'>"
        "<Say>Your card</Say></Prompt></Pay>"),
]  # fmt: skip


@pytest.mark.parametrize("xml", GOOD)
def test_sound_documents(xml: str) -> None:
    assert check_document(xml) == []


def test_what_twilios_library_and_ours_write_is_sound() -> None:
    response = VoiceResponse()
    gather = Gather(num_digits=1, action="https://x.test/g", method="POST", finish_on_key="#")
    gather.say("Press 1", voice="woman", language="en-GB", loop=1)
    response.append(gather)
    response.dial("+13195550100", hangup_on_star=True, time_limit=60)
    response.record(max_length=30, transcribe=True, transcribe_callback="https://x.test/t")
    response.redirect("https://x.test/again", method="POST")
    assert check_document(str(response)) == []
    for ours in (
        voice.apology(), voice.neutral(), voice.hangup(), voice.play("https://x.test/a", 0),
        voice.say("Hello " * 3000, "Polly.Joanna", "en-US", 0), voice.redirect("https://x.test/"),
        voice.dial("+13195550100", None, 20, "https://x.test/d"),
    ):  # fmt: skip
        assert check_document(ours) == []
    for ours in (
        messaging.empty(), messaging.redirect("https://x.test/"),
        messaging.reply("a" * 5000, ["https://x.test/a.png"] * 10, "https://x.test/s"),
    ):  # fmt: skip
        assert check_document(ours, "messaging") == []


BAD = [
    ("<Response>\n <say>Hi</say></Response>", 2, 2, "There is no <say> here; did you mean <Say>?"),
    ("<Response><Sya>Hi</Sya></Response>", 1, 11, "did you mean <Say>?"),
    ("<Response><Frobnicate/></Response>", 1, 11, "There is no <Frobnicate> here."),
    ("<response/>", 1, 1, "has to begin with <Response>, not <response>"),
    ("<Message/>", 1, 1, "has to begin with <Response>"),
    (doc('<Say Voice="man">Hi</Say>'), 1, 11, "<Say> has no attribute Voice; did you mean voice?"),
    (doc('<Say color="red">Hi</Say>'), 1, 11, "<Say> has no attribute color."),
    (doc('<Say voice="Joanna">Hi</Say>'), 1, 11, "voice of <Say> has to be man, woman"),
    (doc('<Say loop="-1">Hi</Say>'), 1, 11, "a whole number from 0 to 1000, not “-1”"),
    (doc("<Say>" + "a" * 4097 + "</Say>"), 1, 11, "more than 4,096 characters"),
    (doc('<Say voice="Polly.Joanna">' + "a" * 3001 + "</Say>"), 1, 11, "more than 3,000"),
    (doc("<Say>" + "word " * 700 + "</Say>"), 1, 11, "more than 4,500 bytes as Twilio counts"),
    (doc("<Say>" + "\u00e9" * 800 + "</Say>"), 1, 11, "more than 4,500 bytes as Twilio counts"),
    (doc("<Redirect/>"), 1, 11, "for ever"),
    (doc("<Redirect> \n</Redirect>"), 1, 11, "for ever"),
    (doc("<Redirect>/next</Redirect>"), 1, 11, "begins with https://"),
    (doc("<Play/>"), 1, 11, "neither an address nor digits"),
    (doc("<Play>closed.mp3</Play>"), 1, 11, "begins with https://"),
    (doc('<Gather action=""/>'), 1, 11, "action of <Gather> has to be an address"),
    (doc('<Gather method="post"/>'), 1, 11, "one of GET, POST, not “post”"),
    (doc('<Gather input="keys"/>'), 1, 11, "one or more of dtmf, speech"),
    (doc("<Gather><Dial>+13195550100</Dial></Gather>"), 1, 19, "not allowed inside <Gather>"),
    (doc("<Say><Play>https://x.test</Play></Say>"), 1, 16, "<Play> is not allowed inside <Say>"),
    (doc("<Number>+13195550100</Number>"), 1, 11, "not allowed inside <Response>"),
    (doc("<Dial></Dial>"), 1, 11, "nobody to call"),
    (doc("<Dial><Number/></Dial>"), 1, 17, "no phone number"),
    (doc("<Dial>" + "<Number>1</Number>" * 11 + "</Dial>"), 1, 11, "There are 11 <Number>; 10"),
    (doc('<Dial timeout="601">+13195550100</Dial>'), 1, 11, "from 1 to 600"),
    (doc('<Dial callerId="me">+13195550100</Dial>'), 1, 11, "a phone number such as"),
    (doc('<Reject reason="away"/>'), 1, 11, "one of rejected, busy"),
    (doc("<Dial><Number machineDetectionTimeout='60'>1</Number></Dial>"), 1, 17, "from 3 to 59"),
    (doc("<Dial callerId='sip:a@x.test'>+13195550100</Dial>"), 1, 11, "a phone number such as"),
    (doc("<Dial>1<Number>2</Number></Dial>"), 1, 11, "write each as a <Number>"),
    (doc("<Sms>Hi</Sms>"), 1, 11, "cannot be sent from within a call"),
    (doc("<Dial><Application>AP1</Application></Dial>"), 1, 17, "by its SID"),
    (doc("<Dial><Sim>DE1</Sim></Dial>"), 1, 17, "by its SID"),
    (doc("<Enqueue workflowSid='WW1'>a</Enqueue>"), 1, 11, "by its SID"),
    (doc("<Dial><Number byoc='BY1'>1</Number></Dial>"), 1, 17, "by its SID"),
    (doc("<Pay/>"), 1, 11, "needs the attribute paymentConnector"),
    (doc("<Start><Siprec name='a'/></Start>"), 1, 11, "needs the attribute connectorName"),
    (doc("<Dial><Client/></Dial>"), 1, 17, "has no identity"),
    (doc("<Dial><Sip/></Dial>"), 1, 17, "has no address"),
    (doc("<Dial><Sip>sip:a@x.test<Uri>sip:b@x.test</Uri></Sip></Dial>"), 1, 17, "more than one"),
    (doc("<Dial><Sip>sip:a@x.test;maddr=evil.test</Sip></Dial>"), 1, 17, "a SIP address"),
    (doc("<Dial><Sip>sip:a@x.test?Route=evil.test</Sip></Dial>"), 1, 17, "a SIP address"),
    (doc("<Dial><Sip>tel:+13195550100</Sip></Dial>"), 1, 17, "a SIP address"),
    (doc("<Dial><Sip><Headers><Header name='Route' value='x'/></Headers>"
         "<Uri>sip:a@x.test</Uri></Sip></Dial>"), 1, 31, "begin with X-"),
    (doc("<Connect><Stream url='https://x.test/'/></Connect>"), 1, 20, "begins with wss://"),
    (doc("<Dial><Conference statusCallbak='https://x.test/'>a</Conference></Dial>"), 1, 17,
     "did you mean statusCallback?"),
    (doc("Hello"), 1, 1, "Twilio ignores the text “Hello” in <Response>"),
    (doc("<Message>Hi</Message>"), 1, 11, "There is no <Message> here."),
    ("", 1, 1, "The document is empty."),
    ("Hello", 1, 1, "not XML"),
    ("<Response>", 1, 11, "empty"),
    ("<Response><Say></Response>", 1, 18, "does not match"),
    ("\n<?xml version='1.0'?><Response/>", 2, 1, "very first thing"),
    (doc("<Say>Fish & chips</Say>"), 1, 22, "&amp;"),
    (doc("<Say>&nbsp;</Say>"), 1, 16, "does not know this entity"),
    ('<Response a="1" a="2"/>', 1, 17, "given twice"),
    ("<Response/><Response/>", 1, 12, "after the end"),
    ("<!DOCTYPE x []><Response/>", 1, 13, "DOCTYPE"),
    ("a" * 64_001, 1, 1, "64,001 bytes"),
    ("<Response>" + "<Say>" * 40 + "</Say>" * 40 + "</Response>", 1, 156, "30 deep"),
    (doc("<Say>\x07</Say>"), 1, 16, "not XML"),
]  # fmt: skip


@pytest.mark.parametrize(("xml", "line", "column", "said"), BAD)
def test_mistakes_with_their_place(xml: str, line: int, column: int, said: str) -> None:
    first = check_document(xml)[0]
    assert said in first.message
    assert (first.line, first.column) == (line, column)
    assert first.message.endswith((".", "?"))


def test_all_mistakes_at_once() -> None:
    xml = "<Response>\n<say>Hi</say>\n<Redirect/>\n<Pause length='x'/>\n</Response>"
    assert [problem.line for problem in check_document(xml)] == [2, 3, 4]


def test_a_whisper_may_not_dial() -> None:
    xml = doc("<Say>Press 1</Say><Dial>+13195550100</Dial>")
    assert check_document(xml) == []
    (problem,) = check_document(xml, whisper=True)
    assert "connected" in problem.message


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<Say>Hi</Say>", "There is no <Say> here."),
        ("<Message>" + "a" * 1601 + "</Message>", "more than 1,600 characters"),
        ("<Message><Body>" + "😀" * 801 + "</Body></Message>", "more than 1,600 characters"),
        ("<Message>" + "<Media>https://x.test</Media>" * 11 + "</Message>", "11 <Media>; 10"),
        ("<Message>Hi</Message>" * 11, "11 <Message>; 10"),
        ("<Message><Media/></Message>", "<Media> has no address."),
        ("<Message/>", "<Message> is empty"),
        ("<Message><Body> </Body></Message>", "<Message> is empty"),
    ],
)
def test_messaging(inside: str, said: str) -> None:
    (problem,) = check_document(doc(inside), "messaging")
    assert said in problem.message


LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><Response><Say>&i;</Say></Response>"
)
OUTSIDE = (
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Response><Say>&x;</Say></Response>'
)


@pytest.mark.parametrize("xml", [LAUGHS, OUTSIDE], ids=["billion laughs", "external entity"])
def test_entities_are_refused_at_once(xml: str) -> None:
    def look() -> None:
        (problem,) = check_document(xml)
        assert "DOCTYPE" in problem.message

    assert cost.seconds(look, 0.5) < 0.5


@given(st.text() | st.text(alphabet="<>/=\"' RespnSayGther&;!-[]\n"))
def test_never_raises(inside: str) -> None:
    check_document(inside)
    check_document(doc(inside))
    check_document(doc(inside), "messaging", whisper=True)

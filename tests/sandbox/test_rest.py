"""The REST API, driven by Twilio's own SDK."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from sandbox.records import Recording
from sandbox.segments import count
from tests.support.sandbox import DEMO, PERSON, Running, Stub, eventually


def refused(code: int, status: int, work: object) -> None:
    with pytest.raises(TwilioRestException) as caught:
        work()  # type: ignore[operator]
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_text_goes_out_and_is_delivered(running: Running, stub: Stub) -> None:
    client = running.client()
    callback = stub.url + "/status"
    sent = client.messages.create(to=PERSON, from_=DEMO, body="Hello", status_callback=callback)
    assert (sent.status, sent.direction, sent.num_segments) == ("queued", "outbound-api", "1")
    assert sent.price is None
    assert isinstance(sent.date_created, datetime)
    seen = eventually(lambda: len(stub.at("/status")) == 2 and stub.at("/status"))
    assert [r.params["MessageStatus"] for r in seen] == ["sent", "delivered"]
    assert set(seen[0].params) == {
        "MessageSid", "SmsSid", "MessageStatus", "SmsStatus", "AccountSid", "From", "To",
        "ApiVersion",
    }  # fmt: skip
    assert client.messages(sent.sid).fetch().status == "delivered"
    assert eventually(lambda: client.messages(sent.sid).fetch().price) == "-0.00790"
    assert running.bubbles()[-1]["body"] == "Hello"


def test_the_api_key_opens_and_a_wrong_token_does_not(running: Running) -> None:
    settings = running.box.settings
    assert running.client(settings.api_key_sid, settings.api_key_secret).messages.list() == []
    refused(20003, 401, lambda: running.client(password="wrong").messages("SM0").fetch())
    answer = requests.get(
        f"{running.url}/2010-04-01/Accounts/{settings.account_sid}/Messages.json", timeout=5
    )
    assert answer.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"body": ""}, 21602, id="no-body"),
        pytest.param({"to": ""}, 21604, id="no-to"),
        pytest.param({"from_": ""}, 21603, id="no-from"),
        pytest.param({"to": "12345"}, 21265, id="to-short-code"),
        pytest.param({"to": "nobody"}, 21211, id="to-invalid"),
        pytest.param({"to": DEMO}, 21266, id="to-itself"),
        pytest.param({"from_": "+13195559999"}, 21606, id="from-foreign"),
        pytest.param({"from_": "me"}, 21212, id="from-invalid"),
        pytest.param({"body": "a" * 1601}, 21617, id="too-long"),
        pytest.param({"media_url": ["ftp://x"]}, 21620, id="media"),
        pytest.param({"media_url": ["https://x.example/a"] * 11}, 21623, id="too-many-media"),
        pytest.param({"validity_period": 40000}, 21624, id="validity"),
        pytest.param({"status_callback": "nowhere"}, 21609, id="callback"),
        pytest.param({"messaging_service_sid": "MG0", "from_": ""}, 21701, id="service"),
    ],
)
def test_what_twilio_refuses(running: Running, changes: dict[str, object], code: int) -> None:
    values = {"to": PERSON, "from_": DEMO, "body": "Hello"} | changes
    refused(code, 400, lambda: running.client().messages.create(**values))


def test_a_person_who_said_stop_gets_nothing(running: Running) -> None:
    running.text("STOP")
    create = running.client().messages.create
    refused(21610, 400, lambda: create(to=PERSON, from_=DEMO, body="Hello"))
    assert create(to=PERSON, from_="+13195550101", body="Hello").status == "queued"
    running.text("start")
    assert create(to=PERSON, from_=DEMO, body="Hello").status == "queued"


def test_stop_to_a_service_blocks_the_whole_service(running: Running) -> None:
    running.text("STOP", "+13195550102")
    service, create = running.box.settings.service_sid, running.client().messages.create
    refused(21610, 400, lambda: create(to=PERSON, messaging_service_sid=service, body="Hello"))


def test_a_service_chooses_its_sender_later(running: Running, stub: Stub) -> None:
    client, service = running.client(), running.box.settings.service_sid
    callback = stub.url + "/status"
    sent = client.messages.create(
        to=PERSON, messaging_service_sid=service, body="Hello", status_callback=callback
    )
    assert (sent.status, sent.from_, sent.num_segments) == ("accepted", None, "0")
    eventually(lambda: client.messages(sent.sid).fetch().status == "delivered")
    assert client.messages(sent.sid).fetch().from_ in ("+13195550102", "+13195550103")
    seen = stub.at("/status")
    assert {r.params["MessagingServiceSid"] for r in seen} == {service}


@pytest.mark.parametrize(
    ("plan", "status", "code"),
    [
        pytest.param(
            {"outcome": "undelivered", "error_code": 30003}, "undelivered", 30003, id="off"
        ),
        pytest.param({"outcome": "failed", "error_code": 30007}, "failed", 30007, id="filtered"),
        pytest.param({"outcome": "sent"}, "sent", None, id="no-receipt"),
    ],
)  # fmt: skip
def test_error_plans(running: Running, stub: Stub, plan: dict, status: str, code: int) -> None:
    running.put(f"phones/{PERSON}", plan)
    client = running.client()
    callback = stub.url + "/status"
    sent = client.messages.create(to=PERSON, from_=DEMO, body="Hello", status_callback=callback)
    eventually(lambda: client.messages(sent.sid).fetch().status == status)
    assert client.messages(sent.sid).fetch().error_code == code
    last = eventually(lambda: [r for r in stub.at("/status") if r.params["SmsStatus"] == status])[0]
    assert last.params.get("ErrorCode") == (str(code) if code else None)


def test_a_create_error_so_many_times(running: Running) -> None:
    running.put(f"phones/{PERSON}", {"create_error": 21614, "times": 1})
    create = running.client().messages.create
    refused(21614, 400, lambda: create(to=PERSON, from_=DEMO, body="Hello"))
    assert create(to=PERSON, from_=DEMO, body="Hello").sid


def test_listing_pages_newest_first(running: Running) -> None:
    client = running.client()
    sids = [client.messages.create(to=PERSON, from_=DEMO, body=str(n)).sid for n in range(23)]
    client.messages.create(to="+13195550111", from_=DEMO, body="other")
    listed = [m.sid for m in client.messages.list(to=PERSON, from_=DEMO, page_size=5)]
    assert listed == sids[::-1]
    assert len(client.messages.list(limit=5000)) == 24
    today = datetime.now(UTC)
    eventually(lambda: client.messages(sids[0]).fetch().date_sent)
    assert client.messages.list(date_sent_after=today - timedelta(days=1))
    assert client.messages.list(date_sent_before=today - timedelta(days=1)) == []
    # The library writes a day as its midnight; in a URL people write the day alone.
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    assert client.messages.list(date_sent=midnight)
    assert client.messages.list(date_sent=midnight - timedelta(days=1)) == []
    settings = running.box.settings
    by_hand = requests.get(
        f"{running.url}/2010-04-01/Accounts/{settings.account_sid}/Messages.json",
        params={"DateSent": f"{today:%Y-%m-%d}", "DateSent>": f"{today:%Y-%m-%d}"},
        auth=(settings.account_sid, settings.auth_token), timeout=10,
    ).json()  # fmt: skip
    assert by_hand["messages"]


def test_redact_delete_and_what_is_not_there(running: Running) -> None:
    client = running.client()
    sid = client.messages.create(to=PERSON, from_=DEMO, body="Hello").sid
    eventually(lambda: client.messages(sid).fetch().status == "delivered")
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).delete()
    refused(20404, 404, lambda: client.messages(sid).fetch())


def test_scheduled_and_canceled(running: Running) -> None:
    client, service = running.client(), running.box.settings.service_sid
    soon = datetime.now(UTC) + timedelta(hours=1)

    def schedule(when: datetime) -> object:
        return client.messages.create(
            to=PERSON, messaging_service_sid=service, body="Later", schedule_type="fixed",
            send_at=when,
        )  # fmt: skip

    message = schedule(soon)
    assert message.status == "scheduled"  # type: ignore[attr-defined]
    canceled = client.messages(message.sid).update(status="canceled")  # type: ignore[attr-defined]
    assert canceled.status == "canceled"
    refused(35114, 400, lambda: schedule(datetime.now(UTC)))


def test_a_long_code_sends_one_segment_a_second(running: Running) -> None:
    running.put("time", {"speed": 1, "sent": 0})
    client = running.client()
    first, second = (
        client.messages.create(to=PERSON, from_="+13195550101", body=text).sid
        for text in ("a" * 161, "b")
    )
    messages = running.box.store.messages
    assert messages[second].slot_at - messages[first].slot_at == pytest.approx(2.0)


def test_a_full_queue(running: Running) -> None:
    number = running.box.store.numbers[DEMO]
    number.next_slot_at = running.box.clock.now() + 36100 * 1.1
    create = running.client().messages.create
    refused(21611, 400, lambda: create(to=PERSON, from_=DEMO, body="Hello"))


def test_trial_accounts(running: Running) -> None:
    settings, client = running.box.settings, running.client()
    running.put(f"accounts/{settings.account_sid}", {"trial": True})
    refused(21608, 400, lambda: client.messages.create(to=PERSON, from_=DEMO, body="Hello"))
    running.put("phones/+13195550110", {"answers": "person"})
    request = client.validation_requests.create(phone_number=PERSON)
    assert len(request.validation_code) == 6
    eventually(lambda: client.outgoing_caller_ids.list(phone_number=PERSON))
    sent = client.messages.create(to=PERSON, from_=DEMO, body="Hello")
    assert sent.body == "Sent from your Twilio trial account - Hello"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        pytest.param({}, None, id="ok"),
        pytest.param({"to": "+15005550001"}, 21211, id="invalid"),
        pytest.param({"to": "+15005550004"}, 21610, id="opted-out"),
        pytest.param({"to": "+15005550009"}, 21614, id="not-mobile"),
        pytest.param({"from_": "+15005550001"}, 21212, id="from-invalid"),
        pytest.param({"from_": "+15005550008"}, 21611, id="queue-full"),
        pytest.param({"from_": DEMO}, 21606, id="from-real"),
    ],
)
def test_magic_numbers(running: Running, values: dict[str, str], code: int) -> None:
    from twilio.rest import Client

    from tests.support.sandbox import Rebased

    settings = running.box.settings
    client = Client(
        settings.test_account_sid, settings.test_auth_token, http_client=Rebased(running.url)
    )
    order = {"to": PERSON, "from_": "+15005550006", "body": "Hello"} | values
    if code:
        refused(code, 400, lambda: client.messages.create(**order))
    else:
        assert client.messages.create(**order).status == "queued"
    refused(20008, 403, lambda: client.messages("SM0").fetch())


def test_numbers_are_searched_bought_configured_and_released(running: Running) -> None:
    client = running.client()
    offers = client.available_phone_numbers("US").local.list(area_code=319, sms_enabled=True)
    assert all(o.phone_number.startswith("+1319") for o in offers)
    assert client.available_phone_numbers("US").local.list(limit=1)[0].phone_number[2:5] == "319"
    assert client.available_phone_numbers("US").toll_free.list(limit=1)
    local = client.available_phone_numbers("US").local
    assert {o.locality for o in local.list(in_locality="Iowa City", in_region="IA")} == {
        "Iowa City"
    }
    assert local.list(in_locality="Chicago") == []
    phone = offers[0].phone_number
    number = client.incoming_phone_numbers.create(
        phone_number=phone, sms_url="https://app.example.edu/inbound/sms"
    )
    assert (number.phone_number, number.sms_method) == (phone, "POST")
    refused(21422, 400, lambda: client.incoming_phone_numbers.create(phone_number=phone))
    assert offers[0].phone_number not in [
        o.phone_number for o in client.available_phone_numbers("US").local.list(area_code=319)
    ]
    changed = client.incoming_phone_numbers(number.sid).update(
        voice_url="https://app.example.edu/inbound/voice#rc=2", status_callback_method="GET"
    )
    assert changed.voice_url.endswith("#rc=2")
    assert client.incoming_phone_numbers.list(phone_number=phone)[0].sid == number.sid
    assert client.incoming_phone_numbers(number.sid).delete()
    assert client.incoming_phone_numbers.list(phone_number=phone) == []


def test_services_and_their_pools(running: Running) -> None:
    client = running.client()
    service = client.messaging.v1.services.create(
        friendly_name="Alumni", inbound_request_url="https://app.example.edu/inbound/sms"
    )
    number = client.incoming_phone_numbers.list(phone_number=DEMO)[0]
    pool = client.messaging.v1.services(service.sid).phone_numbers
    pool.create(phone_number_sid=number.sid)
    assert [n.phone_number for n in pool.list()] == [DEMO]
    refused(21710, 409, lambda: pool.create(phone_number_sid=number.sid))
    changed = client.messaging.v1.services(service.sid).update(
        use_inbound_webhook_on_number=True, fallback_url="https://app.example.edu/inbound/sms"
    )
    assert changed.use_inbound_webhook_on_number is True
    assert [s.friendly_name for s in client.messaging.v1.services.list(page_size=1)] == [
        "Outreach",
        "Alumni",
    ]
    assert pool(number.sid).delete()
    assert client.messaging.v1.services(service.sid).delete()


def test_sub_accounts_have_their_own_things(running: Running) -> None:
    parent = running.box.settings.account_sid
    sub = "AC" + "5ab0" * 8
    running.put(f"accounts/{sub}", {"auth_token": "t" * 32, "parent_sid": parent})
    running.put("numbers/+13195550190", {"account_sid": sub})
    create = running.client().messages.create
    refused(21660, 400, lambda: create(to=PERSON, from_="+13195550190", body="Hello"))
    client = running.client()
    through_parent = client.api.v2010.accounts(sub).messages
    assert through_parent.create(to=PERSON, from_="+13195550190", body="Hi").account_sid == sub


@pytest.mark.parametrize(
    ("mode", "status", "accepted"),
    [
        pytest.param("429", 429, 0, id="429"),
        pytest.param("500-before", 500, 0, id="500-before"),
        pytest.param("500-after", 500, 1, id="500-after"),
        pytest.param("503-before", 503, 0, id="503-before"),
    ],
)
def test_rest_faults(running: Running, mode: str, status: int, accepted: int) -> None:
    running.put("faults", {"rest": [{"mode": mode, "when": "Messages.json", "times": 1}]})
    create = running.client().messages.create
    with pytest.raises(TwilioRestException) as caught:
        create(to=PERSON, from_=DEMO, body="Hello")
    assert caught.value.status == status
    assert len(running.get("arrivals")["items"]) == accepted
    assert create(to=PERSON, from_=DEMO, body="Hello").sid


@pytest.mark.parametrize(("mode", "accepted"), [("reset-before", 0), ("reset-after", 1)])
def test_a_connection_reset(running: Running, mode: str, accepted: int) -> None:
    running.put("faults", {"rest": [{"mode": mode, "times": 1}]})
    with pytest.raises(requests.ConnectionError):
        running.client().messages.create(to=PERSON, from_=DEMO, body="Hello")
    assert len(running.get("arrivals")["items"]) == accepted


def test_hanging_after_accepting(running: Running) -> None:
    running.put("faults", {"rest": [{"mode": "hang-after", "times": 1}]})
    client = running.client()
    client.http_client.timeout = 0.5
    with pytest.raises(requests.Timeout):
        client.messages.create(to=PERSON, from_=DEMO, body="Hello")
    assert len(running.get("arrivals")["items"]) == 1


def test_callbacks_early_and_shuffled(running: Running, stub: Stub) -> None:
    client, callback = running.client(), stub.url + "/status"
    running.put("faults", {"webhooks": {"early_callbacks": 1}})
    client.messages.create(to=PERSON, from_=DEMO, body="Hello", status_callback=callback)
    assert stub.at("/status")[0].params["MessageStatus"] == "sent"
    eventually(lambda: len(stub.at("/status")) == 2)
    running.put("faults", {"webhooks": {"shuffle_callbacks": 1}})
    stub.requests.clear()
    client.messages.create(to=PERSON, from_=DEMO, body="Hello", status_callback=callback)
    seen = eventually(lambda: len(stub.at("/status")) == 2 and stub.at("/status"))
    assert [r.params["MessageStatus"] for r in seen] == ["delivered", "sent"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param((200, "image/png", "picture"), None, id="picture"),
        pytest.param((200, "text/vcard", "card"), None, id="vcard"),
        pytest.param((200, "text/html", "page"), 12300, id="type"),
        pytest.param((404, "text/html", "none"), 11200, id="gone"),
        pytest.param((200, "image/png", "x" * (5 * 1024 * 1024 + 1)), 11751, id="over-5-mb"),
        pytest.param((200, "application/pdf", "x" * 600_000), 11751, id="large-pdf"),
    ],
)
def test_pictures_are_fetched(
    running: Running, stub: Stub, answer: tuple[int, str, str], code: int
) -> None:
    client, url = running.client(), stub.on("/file", answer)
    sent = client.messages.create(to=PERSON, from_=DEMO, media_url=[url])
    assert sent.sid.startswith("MM")
    expected = "failed" if code else "delivered"
    eventually(lambda: client.messages(sent.sid).fetch().status == expected)
    assert client.messages(sent.sid).fetch().error_code == code
    assert stub.at("/file")[0].method == "HEAD"


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"sms_fallback_url": "https://d.test/sms"}, 21406),
     ({"voice_fallback_url": "https://d.test/voice"}, 21405),
     ({"sms_url": "https://d.test/sms", "sms_fallback_url": "https://d.test/sms"}, None)],
    ids=["text", "call", "both"],
)  # fmt: skip
def test_a_fallback_needs_the_address_that_it_is_for(
    fields: dict[str, str], code: int | None, running: Running
) -> None:
    numbers = running.client().incoming_phone_numbers
    bought = numbers.create(phone_number="+13192000001")
    if code is None:
        assert numbers(bought.sid).update(**fields).sms_fallback_url == "https://d.test/sms"
        return
    refused(code, 400, lambda: numbers(bought.sid).update(**fields))
    found = numbers(bought.sid).fetch()
    assert (found.sms_fallback_url, found.voice_fallback_url) == ("", "")


def test_a_recording_tells_where_its_sound_is(running: Running) -> None:
    """By an absolute address, and of which track, as Twilio's API has it."""
    box, sid = running.box, running.box.settings.account_sid
    recording = Recording(sid, "CA" + "0" * 32, 3, "OutboundAPI")
    box.store.recordings[recording.sid] = recording
    found = running.client().recordings(recording.sid).fetch()
    assert found.media_url.startswith(f"{running.url}/2010-04-01/Accounts/{sid}/Recordings/")
    assert requests.get(f"{found.media_url}.wav", timeout=10).content.startswith(b"RIFF")
    assert found._version is not None
    shown = requests.get(
        f"{running.url}/2010-04-01/Accounts/{sid}/Recordings/{recording.sid}.json",
        auth=(sid, box.settings.auth_token), timeout=10,
    ).json()  # fmt: skip
    assert shown["track"] == "both"


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 152 + "{" + "a" * 152, 3),
     ("\U0001f61c" + "1" * 133, 3),
     ("e\u0301\u0301\u0301" + "a" * 66, 1), ("e\u0301\u0301\u0301" + "a" * 67, 2),
     ("á" * 1600, 24), ("", 1)],
)  # fmt: skip
def test_segments_are_counted_by_whole_graphemes(text: str, segments: int) -> None:
    """Twilio's segment calculator."""
    assert count(text) == segments

"""The REST client against a server that answers as Twilio documents, and as a failing one does."""

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from app.twilio.client import NotSent, RefusedByTwilio, TwilioClient, Uncertain
from tests.twilio.fake_twilio import Asked, Server, serving

ACCOUNT = "AC" + "1" * 32
KEY = "SK" + "2" * 32
SID = "SM" + "3" * 32
MESSAGE = {
    "sid": SID,
    "account_sid": ACCOUNT,
    "api_version": "2010-04-01",
    "body": "Hi",
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_updated": "Thu, 24 Aug 2023 05:01:46 +0000",
    "date_sent": None,
    "direction": "outbound-api",
    "error_code": None,
    "error_message": None,
    "from": "+13195550100",
    "to": "+13195550101",
    "messaging_service_sid": None,
    "num_media": "0",
    "num_segments": "1",
    "price": None,
    "price_unit": "USD",
    "status": "queued",
    "subresource_uris": {"media": "/x"},
    "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json",
}
CALL = {
    "sid": "CA" + "4" * 32,
    "account_sid": ACCOUNT,
    "status": "completed",
    "direction": "outbound-api",
    "from": "+13195550100",
    "to": "+13195550101",
    "start_time": "Thu, 24 Aug 2023 05:01:45 +0000",
    "duration": "15",
    "price": "-0.01400",
    "price_unit": "USD",
    "answered_by": "machine_start",
}
NUMBER = {
    "sid": "PN" + "5" * 32,
    "phone_number": "+13195550100",
    "friendly_name": "(319) 555-0100",
    "capabilities": {"voice": True, "sms": True, "mms": False},
    "sms_url": None,
    "voice_url": "https://d.example.edu/inbound/voice",
}
SERVICE = {
    "sid": "MG" + "6" * 32,
    "friendly_name": "outreach",
    "inbound_request_url": None,
    "use_inbound_webhook_on_number": True,
    "validity_period": 36000,
    "date_created": "2015-07-30T20:12:31Z",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def client(server: Server) -> TwilioClient:
    return TwilioClient(ACCOUNT, KEY, "secret", base_url=server.url, timeout=(1, 1))


class TestRequests:
    def test_a_text_is_sent_as_twilio_documents_it(
        self, server: Server, client: TwilioClient
    ) -> None:
        server.answers(201, MESSAGE)
        made = client.create_message(
            "+13195550101",
            from_="+13195550100",
            body="Grüße & 100 % 👍",
            media_url=["https://x.test/a.png", "https://x.test/b.png"],
            status_callback="https://d.example.edu/inbound/sms/status/1",
            validity_period=3600,
            smart_encoded=False,
        )
        (asked,) = server.asked
        assert (asked.method, asked.path) == (
            "POST",
            f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        )
        assert asked.form == {
            "To": ["+13195550101"],
            "From": ["+13195550100"],
            "Body": ["Grüße & 100 % 👍"],
            "MediaUrl": ["https://x.test/a.png", "https://x.test/b.png"],
            "StatusCallback": ["https://d.example.edu/inbound/sms/status/1"],
            "ValidityPeriod": ["3600"],
            "SmartEncoded": ["false"],
        }
        assert asked.headers["X-Original-Host"] == "api.twilio.com"
        credentials = base64.b64encode(f"{KEY}:secret".encode()).decode()
        assert asked.headers["Authorization"] == f"Basic {credentials}"
        assert (made.sid, made.status, made.num_segments, made.price) == (SID, "queued", 1, None)
        assert made.date_created == datetime(2023, 8, 24, 5, 1, 45, tzinfo=UTC)
        assert made.date_sent is None

    def test_what_is_not_given_is_not_sent(self, server: Server, client: TwilioClient) -> None:
        server.answers(201, MESSAGE)
        client.create_message("+13195550101", messaging_service_sid="MG1", body="Hi")
        assert set(server.asked[0].form) == {"To", "MessagingServiceSid", "Body"}

    def test_a_call(self, server: Server, client: TwilioClient) -> None:
        server.answers(201, CALL)
        made = client.create_call(
            "+13195550101",
            "+13195550100",
            url="https://d.example.edu/answer",
            status_callback="https://d.example.edu/status",
            machine_detection="Enable",
        )
        assert server.asked[0].form == {
            "To": ["+13195550101"],
            "From": ["+13195550100"],
            "Url": ["https://d.example.edu/answer"],
            "StatusCallback": ["https://d.example.edu/status"],
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
            "MachineDetection": ["Enable"],
        }
        assert (made.from_, made.duration, made.price) == ("+13195550100", 15, Decimal("-0.014"))
        assert made.answered_by == "machine_start"

    def test_a_call_is_ended(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, CALL)
        client.update_call("CA1", status="canceled")
        assert server.asked[0].form == {"Status": ["canceled"]}

    def test_numbers(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, {"available_phone_numbers": [
            {"phone_number": "+13195550102", "friendly_name": "(319) 555-0102",
             "locality": "Iowa City", "region": "IA", "postal_code": "52240",
             "capabilities": {"voice": True, "SMS": True, "MMS": False}},
        ], "uri": "/x"})  # fmt: skip
        (found,) = client.search_numbers(area_code="319", locality="Iowa City")
        assert found.capabilities == {"voice", "sms"}
        assert server.asked[0].path.endswith("/AvailablePhoneNumbers/US/Local.json")
        assert server.asked[0].query["AreaCode"] == ["319"]
        server.answers(201, NUMBER)
        bought = client.buy_number("+13195550102", sms_url="https://d.example.edu/inbound/sms")
        assert server.asked[1].form["SmsUrl"] == ["https://d.example.edu/inbound/sms"]
        assert (bought.sms_url, bought.capabilities) == ("", {"voice", "sms"})
        server.answers(200, {"incoming_phone_numbers": [NUMBER], "next_page_uri": None})
        assert client.list_numbers("+13195550100")[0].phone_number == "+13195550100"
        server.answers(200, NUMBER)
        client.update_number(bought.sid, sms_url="")
        assert server.asked[3].form == {"SmsUrl": [""]}
        server.answers(204, b"")
        client.release_number(bought.sid)
        assert server.asked[4].method == "DELETE"

    def test_a_setting_that_does_not_exist_is_our_mistake(self, client: TwilioClient) -> None:
        with pytest.raises(TypeError, match="no setting 'sms_uri'"):
            client.update_number("PN1", sms_uri="x")

    def test_messaging_services_live_on_their_own_host(
        self, server: Server, client: TwilioClient
    ) -> None:
        server.answers(201, SERVICE)
        made = client.create_service("outreach", use_inbound_webhook_on_number=True)
        assert server.asked[0].path == "/v1/Services"
        assert server.asked[0].headers["X-Original-Host"] == "messaging.twilio.com"
        assert (made.inbound_request_url, made.validity_period) == ("", 36000)
        server.answers(201, {"sid": "PN1", "phone_number": "+13195550100"})
        client.add_number_to_service(made.sid, "PN1")
        assert server.asked[1].form == {"PhoneNumberSid": ["PN1"]}
        server.answers(200, {"services": [SERVICE], "meta": {"key": "services"}})
        assert client.list_services() == [made]

    def test_a_caller_id_is_verified(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, {"account_sid": ACCOUNT, "call_sid": "CA1", "friendly_name": "Desk",
                             "phone_number": "+13193350000",
                             "validation_code": "123456"})  # fmt: skip
        made = client.verify_caller_id("+13193350000", friendly_name="Desk", call_delay=5)
        assert (made.validation_code, made.call_sid) == ("123456", "CA1")
        assert server.asked[0].form["CallDelay"] == ["5"]


class TestLists:
    def test_pages_are_followed_as_far_as_needed(
        self, server: Server, client: TwilioClient
    ) -> None:
        def pages(asked: Asked) -> Any:
            page = int(asked.query.get("Page", ["0"])[0])
            records = [{**MESSAGE, "sid": f"SM{page}{n}"} for n in range(2)]
            following = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page={page + 1}"
            body = {
                "messages": records,
                "next_page_uri": following if page < 9 else None,
                "page": 1,
            }
            return 200, {}, json.dumps(body).encode()

        server.respond = pages
        found = [message.sid for message in client.list_messages(limit=5, page_size=2)]
        assert found == ["SM00", "SM01", "SM10", "SM11", "SM20"]
        assert len(server.asked) == 3

    def test_times_are_sent_in_utc(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, {"messages": [], "next_page_uri": None})
        noon = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=-6)))
        assert list(client.list_messages(to="+13195550100", sent_after=noon)) == []
        assert server.asked[0].query["DateSent>"] == ["2026-11-21T18:00:00Z"]
        assert server.asked[0].query["To"] == ["+13195550100"]

    def test_media_of_a_message(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, {"media_list": [{"sid": "ME1", "content_type": "image/png"}],
                             "next_page_uri": None})  # fmt: skip
        (item,) = client.list_media(SID)
        assert item.url == (
            f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}/Media/ME1"
        )


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "body", "code"),
        [
            (400, {"code": 21211, "message": "invalid", "more_info": "x", "status": 400}, 21211),
            (401, {"code": 20003, "message": "Authenticate", "status": 401}, 20003),
            (
                400,
                {"type": "u", "title": "Bad", "status": 400, "code": 21610, "detail": "no"},
                21610,
            ),
            (403, b"<html>blocked by a proxy</html>", None),
            (422, {"code": "text"}, None),
            (400, [1, 2], None),
        ],
        ids=["code", "credentials", "RFC 9457", "HTML", "code is no number", "list"],
    )
    def test_refused(
        self, server: Server, client: TwilioClient, status: int, body: Any, code: int | None
    ) -> None:
        server.answers(status, body)
        with pytest.raises(RefusedByTwilio) as refused:
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        assert (refused.value.code, refused.value.status) == (code, status)
        assert refused.value.message

    @pytest.mark.parametrize(
        "body", [b"", b"<html>no such page</html>", {"code": 20404, "message": "not found"}]
    )
    def test_what_stands_before_twilio_knows_no_texts(
        self, server: Server, client: TwilioClient, body: Any
    ) -> None:
        """A 404 of TWILIO_API_BASE_URL means that Twilio was not asked, never a failed send."""
        server.answers(404, body)
        with pytest.raises(NotSent):
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        with pytest.raises(NotSent):
            client.create_call("+13195550101", "+13195550100", url="https://dispatch.example.edu/")

    def test_what_twilio_itself_does_not_have(self, server: Server, client: TwilioClient) -> None:
        server.answers(404, {"code": 20404, "message": "not found", "status": 404})
        with pytest.raises(RefusedByTwilio) as refused:
            client.fetch_message(SID)
        assert (refused.value.code, refused.value.status) == (20404, 404)
        server.answers(404, b"<html>no such page</html>")
        with pytest.raises(NotSent):
            client.fetch_message(SID)

    def test_refused_in_a_list(self, server: Server, client: TwilioClient) -> None:
        server.answers(401, {"code": 20003, "message": "Authenticate"})
        with pytest.raises(RefusedByTwilio) as refused:
            list(client.list_messages())
        assert refused.value.code == 20003

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [({}, None), ({"Retry_After": "7"}, 7.0), ({"Retry_After": "soon"}, None),
         ({"Retry_After": "nan"}, None), ({"Retry_After": "-1"}, None)],
    )  # fmt: skip
    def test_too_many_requests(
        self, server: Server, client: TwilioClient, header: dict[str, str], seconds: float | None
    ) -> None:
        server.answers(429, {"code": 20429, "message": "Too Many Requests"}, **header)
        with pytest.raises(NotSent) as failed:
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        assert failed.value.retry_after == seconds

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, {"code": 20500, "message": "Internal"}),
            (503, b"<html>"),
            (408, b""),
            (302, b""),
            (201, b"not json"),
            (201, b""),
            (201, {"unexpected": True}),
            (201, [1]),
            (201, {**MESSAGE, "price": "dear"}),
        ],
        ids=[
            "500",
            "503 HTML",
            "408",
            "redirect",
            "no JSON",
            "empty",
            "no SID",
            "list",
            "bad price",
        ],
    )
    def test_uncertain(self, server: Server, client: TwilioClient, status: int, body: Any) -> None:
        server.answers(status, body, **({"Location": "/elsewhere"} if status == 302 else {}))
        with pytest.raises(Uncertain):
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        assert len(server.asked) == 1, "a request was repeated"

    def test_a_connection_closed_without_an_answer_is_uncertain(
        self, server: Server, client: TwilioClient
    ) -> None:
        server.respond = lambda _: None
        with pytest.raises(Uncertain):
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        assert len(server.asked) == 1, "a request was repeated"

    def test_no_answer_in_time_is_uncertain(self, server: Server) -> None:
        release = threading.Event()

        def slow(_: Asked) -> None:
            release.wait(5)

        server.respond = slow
        client = TwilioClient(ACCOUNT, KEY, "secret", base_url=server.url, timeout=(1, 0.1))
        with pytest.raises(Uncertain):
            client.create_message("+13195550101", from_="+13195550100", body="Hi")
        release.set()

    def test_a_refused_connection_was_not_sent(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(NotSent, match="refused"):
                TwilioClient(ACCOUNT, KEY, "s", base_url=url).create_message("+1", body="Hi")

    def test_an_unknown_name_was_not_sent(self) -> None:
        client = TwilioClient(ACCOUNT, KEY, "s", base_url="http://twilio.invalid")
        with pytest.raises(NotSent):
            client.create_message("+13195550101", body="Hi")

    def test_a_full_backlog_was_not_sent(self) -> None:
        with socket.socket() as silent:  # listens, and accepts nobody
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            port = silent.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            client = TwilioClient(
                ACCOUNT, KEY, "s", base_url=f"http://127.0.0.1:{port}", timeout=(0.2, 0.2)
            )
            with pytest.raises(NotSent):
                client.create_message("+13195550101", body="Hi")
            for one in waiting:
                one.close()


class TestSurroundings:
    def test_the_environment_changes_nothing(
        self, server: Server, client: TwilioClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("TWILIO_EDGE", "dublin")
        monkeypatch.setenv("TWILIO_REGION", "ie1")
        server.answers(200, MESSAGE)
        client.fetch_message(SID)
        assert server.asked[0].headers["X-Original-Host"] == "api.twilio.com"

    def test_no_cookie_is_kept(self, server: Server, client: TwilioClient) -> None:
        server.answers(200, MESSAGE, Set_Cookie="a=b; Path=/")
        client.fetch_message(SID)
        client.fetch_message(SID)
        assert "Cookie" not in server.asked[1].headers

    def test_a_base_address_may_have_a_path(self, server: Server) -> None:
        server.answers(200, MESSAGE)
        TwilioClient(ACCOUNT, KEY, "s", base_url=f"{server.url}/twilio/").fetch_message(SID)
        assert server.asked[0].path.startswith("/twilio/2010-04-01/")

    def test_the_client_itself_is_light(self) -> None:
        code = (
            "import sys; import app.twilio.client as c; c.TwilioClient('AC1', 'a', 'b');"
            "sys.exit(any(n in sys.modules for n in ('twilio.rest', 'requests')))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_so_is_the_web_process(self) -> None:
        code = (
            "import sys; from app import create_app;"
            "sys.exit(str([n for n in ('twilio.rest', 'requests') if n in sys.modules] or ''))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
        )
        assert run.stderr.decode().strip() == ""

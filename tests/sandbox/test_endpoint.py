"""The demo client's endpoint and the mail sink."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from embedded.process import free_port
from sandbox import smtp
from tests.support.sandbox import Running, eventually

BODY = json.dumps({"type": "sms.received", "data": {"body": "Grüße"}}, ensure_ascii=False)


def signed(secret: str, body: str = BODY) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }


def test_a_signature_is_judged(running: Running) -> None:
    url, secret = running.url + "/endpoint/demo", running.box.settings.endpoint_secret
    requests.post(url, data=BODY.encode(), headers=signed(secret), timeout=5)
    requests.post(url, data=b"{}", headers=signed(secret), timeout=5)
    requests.get(url + "/done/7?a=b", timeout=5)
    unsigned, forged, valid = running.get("endpoints/demo")["items"]
    assert (valid["signature"], valid["body"]) == ("valid", BODY)
    assert forged["signature"].startswith("invalid")
    assert (unsigned["signature"], unsigned["path"], unsigned["query"]) == (
        "unsigned",
        "done/7",
        "a=b",
    )


@pytest.mark.parametrize(
    ("mode", "status"), [("200", 204), ("500", 500), ("410", 410), ("429", 429)]
)
def test_switches(running: Running, mode: str, status: int) -> None:
    running.put("endpoints/demo", {"mode": mode})
    assert requests.post(running.url + "/endpoint/demo", timeout=5).status_code == status
    assert requests.post(running.url + "/endpoint/other", timeout=5).status_code == 204


def test_hanging(running: Running) -> None:
    running.put("endpoints/demo", {"mode": "hang"})
    with pytest.raises(requests.Timeout):
        requests.post(running.url + "/endpoint/demo", timeout=0.3)


@pytest.fixture
def mail_port(running: Running) -> Iterator[int]:
    port = free_port()
    controller = smtp.start(running.box, "127.0.0.1", port)
    yield port
    controller.stop()


def test_a_mail_is_kept_with_its_attachment(running: Running, mail_port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "dispatch@example.edu", "help@example.edu"
    mail["Subject"], mail["Message-ID"] = "Text from Änne", "<1@example.edu>"
    mail.set_content("What are your hours?")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    with smtplib.SMTP("127.0.0.1", mail_port, timeout=5) as client:
        client.send_message(mail)
    kept = eventually(lambda: running.get("mails")["items"])[0]
    assert (kept["subject"], kept["messageId"]) == ("Text from Änne", "<1@example.edu>")
    assert kept["envelopeTo"] == ["help@example.edu"]
    assert kept["text"].strip() == "What are your hours?"
    assert kept["attachments"] == [{"name": "a.png", "contentType": "image/png", "size": 4}]

"""A help desk that works from its mailbox, and what its colleagues see of it in the browser."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.staff.conftest import enter
from tests.support.looks import Looker
from tests.support.stack import Stack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.processes]

DESK, NUMBER, PERSON = "help@example.edu", "+13195550102", "+12065550191"
ANSWER = "Yes, until five. Bring your card – the blue one."


def mail_about(stack: Stack, words: str) -> dict[str, Any]:
    """Return the newest mail to the help desk with these words in it."""

    def look() -> dict[str, Any] | None:
        mails = stack.ask("GET", "mails")["items"]
        return next((one for one in mails if DESK in one["to"] and words in one["text"]), None)

    return eventually(look, f"a mail to the help desk: {words}")


def answer(stack: Stack, mail: dict[str, Any], body: str) -> None:
    """Press Reply, write, and send, as a mail program and its server do."""
    headers = dict(mail["headers"])
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = f"Pat at the desk <{DESK}>", headers["Reply-To"]
    made["Subject"], made["In-Reply-To"] = f"Re: {mail['subject']}", mail["messageId"]
    made["Message-ID"] = "<4711@mail.example.edu>"
    quoted = "".join(f"> {line}\n" for line in mail["text"].splitlines())
    made.set_content(f"{body}\n\nOn Sun, Nov 29, 2026 at 9:00 AM Dispatch wrote:\n\n{quoted}")
    with smtplib.LMTP("127.0.0.1", stack.mail_port, timeout=20) as server:
        server.sendmail(DESK, made["To"].addresses[0].addr_spec, made.as_bytes())


def test_a_help_desk_answers_by_mail_and_a_thumb_comes_back(page: Page, stack: Stack) -> None:
    looker = Looker(page)
    stack.text_in("Is the desk open today?", NUMBER, PERSON)
    answer(stack, mail_about(stack, "Is the desk open today?"), ANSWER)
    texts = eventually(lambda: stack.texts_of(PERSON), "the answer is on the phone", 60)
    assert texts == [ANSWER]

    stack.text_in(f"Liked “{ANSWER}”", NUMBER, PERSON)
    enter(page, stack.base_url)
    page.goto(f"{stack.base_url}/staff/clients/registrar/inbox")
    page.get_by_role("link", name="(206) 555-0191").first.click()
    talk = page.get_by_role("log")
    expect(talk).to_contain_text("Is the desk open today?")
    expect(talk).to_contain_text(ANSWER)
    expect(talk).to_contain_text("👍")
    expect(talk).not_to_contain_text("Liked")
    looker.look("conversation-answered-by-mail")
    assert stack.texts_of(PERSON) == [ANSWER], "nobody answers a thumb"
    assert looker.wrong == []

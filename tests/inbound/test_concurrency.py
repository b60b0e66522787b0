"""Many copies of one request at the same moment, and many texts of one phone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from flask import Flask

from app.models.incoming import Incoming, Outcome
from app.models.message import Message
from app.models.route import Destination, Handler
from tests.support.environment import PUBLIC_BASE_URL
from tests.support.inbound import Department
from tests.support.rows import Rows
from tests.support.twilio import call_parameters, signed, sms_parameters

COPIES = 30


def at_once(app: Flask, requests: list[tuple[str, dict[str, str]]]) -> list[str]:
    """Post all requests from threads that wait for each other; return the answers."""
    barrier = Barrier(len(requests))

    def post(request: tuple[str, dict[str, str]]) -> str:
        path, form = request
        headers = signed(PUBLIC_BASE_URL + path, form)
        client = app.test_client()
        barrier.wait(30)
        answer = client.post(path, data=form, headers=headers, base_url=PUBLIC_BASE_URL)
        assert answer.status_code == 200, answer.text
        return answer.text

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(post, requests))


def test_thirty_copies_of_a_text_make_one_row_and_the_same_answer(app: Flask, rows: Rows) -> None:
    Department(rows).auto_reply()
    form = sms_parameters()
    answers = at_once(app, [("/inbound/sms", form)] * COPIES)
    assert len(set(answers)) == 1
    assert "automated service" in answers[0]
    assert rows.count(Incoming) == rows.count(Message) == 1


def test_thirty_copies_of_a_call_make_one_row_and_the_same_answer(app: Flask, rows: Rows) -> None:
    department = Department(rows)
    department.route(
        department.number(),
        Handler.CALL_FORWARD,
        Destination.VOICE,
        options={"to": "+13195550175"},
    )
    form = call_parameters()
    answers = at_once(app, [("/inbound/voice", form)] * COPIES)
    assert len(set(answers)) == 1
    assert rows.count(Incoming) == 1


def test_a_loop_is_broken_after_five_however_fast_it_is(app: Flask, rows: Rows) -> None:
    Department(rows).auto_reply()
    texts = [("/inbound/sms", sms_parameters(Body=f"text {n}")) for n in range(20)]
    at_once(app, texts)
    outcomes = [text.outcome for text in rows.all(Incoming)]
    assert outcomes.count(Outcome.REPLIED) == rows.count(Message) == 5
    assert outcomes.count(Outcome.LOOP_STOPPED) == 15


def test_many_people_are_answered_at_once(app: Flask, rows: Rows) -> None:
    Department(rows).auto_reply()
    texts = [("/inbound/sms", sms_parameters(From=f"+131955502{n:02}")) for n in range(COPIES)]
    answers = at_once(app, texts)
    assert all("automated service" in answer for answer in answers)
    assert rows.count(Message) == COPIES

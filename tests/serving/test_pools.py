"""Which processes serve what: every route is in its pool on purpose."""

from __future__ import annotations

import pytest
from flask import Flask

from app.serving import pools
from app.serving.pools import Pool

REPORTS = {
    "/inbound/sms/status/<message_id>",
    "/inbound/voice/status",
    "/inbound/voice/status/<message_id>",
    "/inbound/voice/verification/<verification_id>",
}
"""Twilio tells something and waits for nothing; all else below /inbound is an answer."""


@pytest.mark.database("sqlite")
def test_every_route_has_its_pool(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        expected = Pool.OTHERS
        if rule.rule.startswith("/inbound/"):
            expected = Pool.REPORTS if rule.rule in REPORTS else Pool.ANSWERS
        assert pools.of(rule.rule.encode()) is expected, rule.rule


@pytest.mark.parametrize(
    ("target", "pool"),
    [
        (b"/inbound/sms?a=/inbound/sms/status/1", Pool.ANSWERS),
        (b"http://dispatch.example.edu/inbound/voice", Pool.ANSWERS),
        (b"/inbound/voice/status?x=1", Pool.REPORTS),
        (b"/inbound/voice/statusquo", Pool.ANSWERS),
        (b"/staff/?next=/inbound/sms", Pool.OTHERS),
        (b"/inboundish/sms", Pool.OTHERS),
        (b"*", Pool.OTHERS),
        (b"", Pool.OTHERS),
        (b"\xff\xfe", Pool.OTHERS),
    ],
)
def test_a_target_is_read_as_it_was_sent(target: bytes, pool: Pool) -> None:
    assert pools.of(target) is pool


@pytest.mark.parametrize("processes", range(pools.FEWEST, 40))
def test_every_pool_has_a_process_and_answers_have_a_third_or_more(processes: int) -> None:
    shares = pools.shares(processes)
    assert sum(shares.values()) == processes
    assert min(shares.values()) >= 1
    assert shares[Pool.ANSWERS] * 3 >= processes


def test_too_few_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        pools.shares(pools.FEWEST - 1)


def test_reports_wait_together_for_one_commit_and_answers_for_nobody() -> None:
    assert {pool: pools.threads(pool, 4) for pool in Pool} == {
        Pool.ANSWERS: 1, Pool.REPORTS: 4, Pool.OTHERS: 4,
    }  # fmt: skip

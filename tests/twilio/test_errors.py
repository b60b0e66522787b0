"""What error codes lead to: Twilio's error dictionary, and a way on for each code."""

from datetime import UTC, datetime

import pytest

from app.twilio.errors import RULES, Action, docs_url, explain, rule

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        (Action.STOP_CREDENTIAL, [20003, 20005, 20006, 20010, 10001, 20403, 30002]),
        (Action.STOP_SENDER, [21212, 21660, 21701, 21703, 21704, 21705, 21712, 30032, 30033,
                              30034, 21210, 21264, 21267, 21407, 21601, 21607, 21616,
                              21659, 21661, 21711, 21715]),
        (Action.SUPPRESS, [21211, 21265, 21268, 21610, 21614, 21635, 30004, 30005, 30006, 63024,
                           63033]),
        (Action.RETRY, [20429, 21611, 21619, 30001, 30036, 30003, 30008, 30017, 30410, 30022, 30023,
                        30027, 30035, 30450, 63038, 10004, 15002, 32016]),
        (Action.FAIL, [21266, 21408, 21602, 21603, 21604, 21605, 21606, 21608, 21609, 21612, 21617,
                       21618, 21620, 21621, 21623, 21624, 21626, 30007, 30010, 30011, 30019, 11751,
                       30400, 30409, 35111, 35118, 63016, 13214, 13223, 13224, 13227, 21201, 21202,
                       21205, 21214, 21215, 21216, 21217, 21219, 21220, 32017, 32018, 10002, 10005,
                       20404, 21203, 21206, 21208, 21213, 21234, 21263, 30012, 30013, 30018, 30020,
                       30021, 30024, 30040, 30041, 30042, 30044, 30454, 30500, 32203, 572002,
                       572005, 573002, 573005]),
    ],
)  # fmt: skip
def test_what_follows_a_code(action: Action, codes: list[int]) -> None:
    assert {code: rule(code).action for code in codes} == dict.fromkeys(codes, action)


@pytest.mark.parametrize(
    "code",
    [99999, 1, 20404, 21203, 21205, 21206, 21208, 21213, 21234, 21263, 21609, 21620, 21626, 30012,
     30013, 30018, 30020, 30021, 30024, 30040, 30041, 30042, 30044, 30454, 30500, 32203, 10002,
     10005, 572002, 572005, 573002, 573005],
)  # fmt: skip
def test_somebody_hears_of_what_only_support_can_mend_and_of_what_nobody_knows(code: int) -> None:
    assert rule(code).alert


def test_what_one_phone_does_not_take_says_nothing_about_its_sender() -> None:
    own = {code for code, one in RULES.items() if one.recipient}
    assert own >= {21211, 21214, 21217, 21408, 21610, 21612, 21614, 21635}
    assert not any(RULES[code].action is Action.STOP_SENDER for code in own)
    assert not rule(99999).recipient


def test_only_an_opt_out_can_be_undone_by_start() -> None:
    assert rule(21610).opted_out
    assert not rule(30005).opted_out


def test_the_owner_hears_of_what_stops_a_sender_or_an_account() -> None:
    for one in RULES.values():
        if one.action in (Action.STOP_SENDER, Action.STOP_CREDENTIAL):
            assert one.alert, one.code


@pytest.mark.parametrize("code", [30007, 30004, 21610])
def test_a_blocked_text_is_never_sent_again_by_itself(code: int) -> None:
    assert rule(code).retry_at(1, NOW) is None


def test_delays_until_they_are_used_up() -> None:
    unreachable = rule(30003)
    assert unreachable.max_tries == 3
    assert unreachable.retry_at(1, NOW) == datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
    assert unreachable.retry_at(2, NOW) == datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
    assert unreachable.retry_at(3, NOW) is None
    assert unreachable.retry_at(0, NOW) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW, datetime(2026, 11, 22, 8, 5, tzinfo=UTC)),
        (datetime(2026, 11, 22, 7, 59, tzinfo=UTC), datetime(2026, 11, 22, 8, 5, tzinfo=UTC)),
        (datetime(2026, 11, 22, 8, 1, tzinfo=UTC), datetime(2026, 11, 23, 8, 5, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 7, 2, 7, 5, tzinfo=UTC)),
    ],
    ids=["midday", "before midnight in California", "after it", "in summer"],
)
def test_daily_limits_wait_for_midnight_in_california(now: datetime, expected: datetime) -> None:
    assert rule(30023).retry_at(1, now) == expected


def test_delays_and_retries_go_together() -> None:
    for one in RULES.values():
        ends = one.action is Action.SUPPRESS and not one.opted_out
        assert bool(one.delays) == (one.action is Action.RETRY or ends), one.code
        assert all(delay > 0 for delay in one.delays)


def test_every_code_has_one_row_and_a_sentence() -> None:
    from app.twilio.error_table import ROWS

    codes = [code for row in ROWS for code in row[0]]
    assert len(codes) == len(set(codes))
    for one in RULES.values():
        assert one.meaning[0].isupper()
        assert one.meaning.endswith(".")


def test_an_unknown_code_fails_and_points_to_twilios_page() -> None:
    assert rule(99999).action is Action.FAIL
    assert not rule(None).alert
    assert "99999" in explain(99999)
    assert docs_url(99999) in explain(99999)
    assert docs_url(21610) == "https://www.twilio.com/docs/api/errors/21610"
    assert explain(None) == "Twilio gave no reason for the failure."


@pytest.mark.parametrize("code", [one for one in RULES if 30_000 <= one < 33_000])
def test_what_is_only_told_afterwards_promises_no_further_try(code: int) -> None:
    """Twilio reports these when it has the message; then it is not sent again by itself."""
    assert "tried" not in rule(code).meaning
    assert "goes out" not in rule(code).meaning

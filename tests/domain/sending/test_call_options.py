"""How a call is placed: what Twilio may be told, in a file and in a message, is the same."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from app.domain.sending.call_options import RANGES, CallOptionsSpec


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def test_both_know_the_same_names() -> None:
    assert {snake(name) for name in RANGES} == set(CallOptionsSpec.model_fields)


@pytest.mark.parametrize("name", RANGES)
def test_both_have_the_same_limits(name: str) -> None:
    low, high = RANGES[name]
    for value in (low, high):
        assert CallOptionsSpec.model_validate({snake(name): value}).as_stored() == {name: value}
    for value in (low - 1, high + 1):
        with pytest.raises(ValidationError):
            CallOptionsSpec.model_validate({snake(name): value})

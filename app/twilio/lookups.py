"""What Dispatch asks of Twilio Lookup v2: what kind of line a phone is.

https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence
"""

from typing import Any

from app.twilio.asking import Asking

LANDLINE = "landline"
_LONGEST_WORD = 16


class LookupRequests(Asking):
    """Questions about phones; see `Asking` for how it is made."""

    def line_type(self, phone: str) -> str | None:
        """Return Twilio's word for the line of `phone` (E.164); None where it has none.

        It is one of landline, mobile, fixedVoip, nonFixedVoip, personal, tollFree, premium,
        sharedCost, uan, voicemail, pager and unknown. There is none where Twilio answers with an
        `error_code` instead, such as 60601 for Canadian phones without access to their registry,
        and for what is no phone (`valid` is false). Each answer is charged.
        """
        found = self.ask(
            lambda sdk: (
                sdk.lookups.v2.phone_numbers(phone)
                .fetch(fields="line_type_intelligence")
                .line_type_intelligence
            )
        )
        return _word(found)


def _word(found: Any) -> str | None:
    word = found.get("type") if isinstance(found, dict) else None
    if not isinstance(word, str) or word == "unknown":
        return None
    return word[:_LONGEST_WORD]

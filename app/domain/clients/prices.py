"""What Twilio charges in the US, for estimates until its own price comes.

Twilio's list prices of 2025 without carrier fees, in US dollars, from its pricing pages for SMS,
MMS, voice and phone numbers. Once Twilio has reported a price, that one counts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from app.models.sender import SenderType
from app.twilio.segments import Prices

CURRENCY: Final = "USD"
PRICES: Final = Prices(segment=Decimal("0.0083"), media_message=Decimal("0.0220"))
"""Of a text that is sent."""
INCOMING_PRICES: Final = Prices(segment=Decimal("0.0083"), media_message=Decimal("0.0165"))
"""Of a text that is received."""
CALL_MINUTE: Final = Decimal("0.0140")
"""Of a call that is placed; each begun minute counts."""
INCOMING_CALL_MINUTE: Final = Decimal("0.0085")
LINE_TYPE: Final = Decimal("0.008")
"""Of one phone that is looked up (Line Type Intelligence of Lookup v2)."""
MONTHLY: Final[dict[SenderType, Decimal]] = {
    SenderType.LONG_CODE: Decimal("1.15"),
    SenderType.TOLL_FREE: Decimal("2.15"),
    SenderType.SHORT_CODE: Decimal("1000"),
}
"""Of a number, each month."""

"""By how much other clocks differ from this process's: the database's, and Twilio's.

Several machines have several clocks, and each may be set at any time. What is compared with a time
that another clock has stamped is compared by that clock.
"""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy.orm import Session

from app.domain.sending.lanes import db_now_us
from app.twilio.clock import Difference

SAME = Difference(0.0, 0.0)

MOST_APART = timedelta(seconds=5)
"""By how much the clocks of machines may differ with no effect but that: beyond this the doctor
complains, and nothing is promised but that work goes on."""


def database(session: Session) -> Difference:
    """Return by how much the database's clock is ahead of ours. SQLite's is ours."""
    if session.get_bind().dialect.name == "sqlite":
        return SAME
    before = time.time()
    theirs = db_now_us(session) / 1e6
    after = time.time()
    return Difference(theirs - max(after, before), theirs - min(after, before))

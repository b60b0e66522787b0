"""Put on a process's path, this shifts its wall clock by as many seconds as a file says.

Python imports a module of this name at start. The monotonic clock goes on as it is, as it does when
somebody sets a machine's clock.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

EVERY_SECONDS = 0.1


def _follow(file: Path) -> None:
    import time_machine

    shifted, travel = 0.0, None
    while True:
        try:
            wanted = float(file.read_text() or 0)
        except OSError:
            wanted = 0.0
        if wanted != shifted:
            if travel is not None:
                travel.stop()
            travel = None
            if wanted:
                travel = time_machine.travel(datetime.now(UTC) + timedelta(seconds=wanted))
                travel.start()
            shifted = wanted
        time.sleep(EVERY_SECONDS)


def _begin() -> None:
    file = Path(os.environ["FAULT_CLOCK"])
    threading.Thread(target=_follow, args=(file,), name="clock", daemon=True).start()


if "FAULT_CLOCK" in os.environ:
    _begin()
    os.register_at_fork(after_in_child=_begin)  # a thread does not survive it
